"""Modes, each a ``with`` block that changes what every op inside it does.

no_grad()       no graph is recorded
watched(by)     `by` is called after every op and every vjp; so program/ records a step
detect_nan()    watched by a function that looks for NaN and infinity
"""

import inspect
from contextlib import ContextDecorator
from contextvars import ContextVar

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
