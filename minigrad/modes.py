"""Modes, each a ``with`` block that changes what every op inside it does.

no_grad()       no graph is recorded
watched(by)     `by` is called after every op and every vjp; so program/ records a step
detect_nan()    watched by a function that looks for NaN and infinity
detect_writes() arrays of a graph are read-only
"""

import inspect
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar

import numpy

from .backend import xp
from .contract import describe

# Context variables: each thread and each asyncio task has its own values.
recording = ContextVar("recording", default=True)
watcher = ContextVar("watcher", default=None)


# What the engine asks at every op: is a graph recorded, and whom to call (None: nobody)?
is_recording, who_watches = recording.get, watcher.get


class _Mode(ContextDecorator):
    """Gives a context variable another value, inside a ``with`` block or a decorated function."""

    def __init__(self, variable, value):
        self.variable, self.value = variable, value
        self.before = []  # one value for each block that is open: blocks nest

    def __enter__(self):
        self.before.append(self.variable.get())
        self.variable.set(self.value)

    def __exit__(self, *error):
        self.variable.set(self.before.pop())

    def __call__(self, function):
        if not callable(function) or isinstance(function, type):
            raise TypeError(f"a mode decorates a function, not {function!r}; or write `with` it")
        # Calling these only makes an object: their body would run after the mode has ended.
        for kind in ("isgeneratorfunction", "iscoroutinefunction", "isasyncgenfunction"):
            if getattr(inspect, kind)(function):
                raise TypeError(
                    f"{function.__name__} is a generator or a coroutine, which a mode cannot "
                    "decorate: write a `with` block inside, around what is to run in that mode"
                )
        return super().__call__(function)

    def _recreate_cm(self):  # a block of its own for each call of a decorated function
        return _Mode(self.variable, self.value)


def no_grad():
    """Record nothing inside: no graph, no memory for it. Nests; works as a decorator too.

    A generator that yields inside the block leaves its caller in this mode until it goes on.
    """
    return _Mode(recording, False)


def watched(by):
    """Call ``by(value, kind, name, about)`` after each op and each vjp.

    value: the array that came out; for a vjp the gradient, which has been added up by then.
    kind, name: "op" or "vjp", and the name of the op.
    about: for an op the arrays that went in, for a vjp the Tensor whose gradient it is.
    """
    return _Mode(watcher, by)


def detect_nan():
    """Raise FloatingPointError at the op whose value or gradient is the first to hold NaN or inf.

    Every array is checked, and on a GPU waited for: a tool for finding a fault, not for training.
    """
    return watched(require_finite)


def require_finite(value, kind, name, about):
    """Raise FloatingPointError, naming the op or vjp, if the array holds NaN or infinity."""
    if not xp.isfinite(value).all():
        source = f"op {name}({describe(about)})" if kind == "op" else f"the vjp of op {name}"
        raise FloatingPointError(f"NaN or infinity in the result of {source}")


@contextmanager
def detect_writes():
    """Inside, on a CPU, the arrays that ops take and give are read-only: who writes into one that a
    vjp may still need gets NumPy's error, at that very line.

    Without it ``w.data[...] = values`` between forward and backward makes gradients wrong without a
    word. It is a tool for finding a fault: put forward and backward of one step inside (and an
    optimizer's step, if you like, which writes into arrays of its own). What a step may rightly
    write into after an op has taken it, as an average, is read-only, too.
    """
    locked = []

    def lock(value, kind, name, about):
        for array in (value, *about) if kind == "op" else ():
            if isinstance(array, numpy.ndarray) and array.flags.writeable:
                array.flags.writeable = False
                locked.append(array)

    try:
        with watched(lock):
            yield
    finally:
        for array in reversed(locked):  # a view after what it is a view of
            array.flags.writeable = True
