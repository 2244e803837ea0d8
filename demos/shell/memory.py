"""What the machine has room for: a request that is larger is refused before anything is drawn."""

import os

from demos.shell.ending import Refusal, say

try:
    import resource
except ImportError:  # Windows, which promises no more than there is
    resource = None

COPIES = 4  # of every weight while Adam trains: itself, its gradient, and two moments
MUCH = 2**29  # bytes: seconds go by before so much is drawn


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


def require_room(what, replicas, *models, lower, rows=0):
    """Raise a Refusal if so many replicas cannot train on this machine, whatever else they need; of
    many, which are drawn one by one, say that they take a while.

    models: what one replica consists of.
    lower: which options decide how much it is, in words.
    rows: bytes of the data that each replica has of its own.
    """
    parameters = [p for model in models for p in model.parameters()]
    needed = replicas * (COPIES * sum(p.data.nbytes for p in parameters) + rows)
    of_them = f"{replicas:,} replica{'s' * (replicas > 1)} of {sum(p.size for p in parameters):,}"
    says = f"{what}: {of_them} parameters need {needed / 2**30:,.1f} GiB"
    if resource is not None and needed > room():
        data = " and the rows" * bool(rows)
        raise Refusal(
            f"{says} (with gradients, Adam's two moments{data}), and the machine has "
            f"{room() / 2**30:,.1f}: lower {lower}"
        )
    if needed > MUCH:
        say(f"{says}, which takes a while ...")
