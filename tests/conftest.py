"""What every test shares."""

import gc
import os
import signal

import pytest

# Before NumPy is imported: one BLAS thread. The matrices are too small to be worth sharing: two
# threads on two busy cores take ten times as long for a spiking network.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from architectures import ARCHITECTURES
from minigrad import backend, engine

# A shell has what it starts in the background ignore Ctrl-C, and nohup the end of the terminal;
# children inherit that: those that are to be interrupted would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def nothing_stays_behind():
    """After a test, the ops and architectures that it registered are forgotten, and it is the CPU
    that computes."""
    before = [(registry, dict(registry)) for registry in (engine.OPS, ARCHITECTURES)]
    yield
    for registry, entries in before:
        registry.clear()
        registry.update(entries)
    backend.use("cpu")


def pytest_collection_finish():
    """Thousands of tests and the modules they need live to the end: the garbage collector need not
    walk over them again and again, which took a fifth of the time."""
    gc.freeze()


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and (problem := backend.why_no_gpu()):
        pytest.skip(problem)
