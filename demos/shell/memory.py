"""What the machine has room for: a request that is larger is refused before anything is drawn."""

import os

from demos.shell.ending import Refusal, say

try:
    import resource
except ImportError:  # Windows, which promises no more than there is
    resource = None

COPIES = 4  # of every weight while Adam trains: itself, its gradient, and two moments
MANY = 10_000  # replicas: drawn one by one, they take seconds


def bound_memory():
    """Let an array that the machine has no room for be a MemoryError.

    Without a bound Linux promises any amount, and ends a process of its choice when it is used.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_DATA, (room(), hard))


def room():
    """Bytes of memory that the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require_room(what, replicas, *models, rows=0):
    """Raise a Refusal if so many replicas cannot train on this machine, whatever the batches.

    models: what one replica consists of.
    rows: bytes of the data that each replica has of its own.
    """
    parameters = [p for model in models for p in model.parameters()]
    needed = replicas * (COPIES * sum(p.data.nbytes for p in parameters) + rows)
    if resource is not None and needed > room():
        data = " and the rows" * bool(rows)
        raise Refusal(
            f"{what}: {replicas:,} replica{'s' * (replicas > 1)} of "
            f"{sum(p.size for p in parameters):,} parameters need {needed / 2**30:,.1f} GiB (with "
            f"gradients, Adam's two moments{data}), and the machine has {room() / 2**30:,.1f}: "
            "lower --replicas, or the widths"
        )


def say_if_many(replicas):
    """A word on what takes long before the first line of results."""
    if replicas >= MANY:
        say(f"{replicas:,} replicas are drawn one by one, which takes a while ...")
