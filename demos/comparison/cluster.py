"""A Dask cluster as the place where to train: --scheduler."""

import logging
from contextlib import contextmanager

import minigrad
from demos.shell.ending import Refusal

PATIENCE = 10  # seconds to wait for an answer, and for a worker
# Sent as text, since a worker that lacks the package could not load a function of it.
VERSION = "__import__('demos.comparison.training') and __import__('minigrad').__version__"


@contextmanager
def cluster(address):
    """An executor that trains on the workers of the scheduler at `address`.

    Raises:
        Refusal: Dask is not installed, nobody answers, no worker is there, or scheduler or
            worker cannot import this version of the comparison.
    """
    try:
        from distributed import Client
    except ImportError:
        raise Refusal("--scheduler needs Dask: pip install -e '.[distributed]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what it knows, the errors say
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise Refusal(f"no scheduler answers at {address}: {error}") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise Refusal(f"the scheduler at {address} has no workers") from None
        for who, found in versions(client).items():
            if found != minigrad.__version__:
                raise Refusal(
                    f"{who} lacks demos and minigrad {minigrad.__version__} ({found!r}): start it "
                    "with this checkout's folder in PYTHONPATH"
                )
        yield client.get_executor()


def versions(client):
    """{address: its version of minigrad, or the exception that came instead}."""
    found = client.run(eval, VERSION, on_error="return")
    try:
        found["the scheduler"] = client.run_on_scheduler(eval, VERSION)
    except ImportError as error:
        found["the scheduler"] = error
    return found
