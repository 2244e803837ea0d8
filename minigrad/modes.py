"""Two modes: no_grad(), which records no graph, and detect_nan(), which looks for bad numbers."""

import inspect
from contextlib import ContextDecorator
from contextvars import ContextVar

from .backend import xp

# Context variables: each thread and each asyncio task has its own values.
recording = ContextVar("recording", default=True)
detecting_nan = ContextVar("detecting_nan", default=False)


# Called for every op: is the mode on?
is_recording, is_detecting_nan = recording.get, detecting_nan.get


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


def detect_nan():
    """Raise FloatingPointError at the op whose value or gradient is the first to hold NaN or inf.

    Every array is checked, and on a GPU waited for: a tool for finding a fault, not for training.
    """
    return _Mode(detecting_nan, True)


def require_finite(array, source):
    """Raise FloatingPointError, naming the source of the array, if it holds NaN or infinity."""
    if not xp.isfinite(array).all():
        raise FloatingPointError(f"NaN or infinity in the result of {source}")
