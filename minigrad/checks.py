"""What makes no sense is refused where it enters: options where an object is made, a state before
it is loaded.

Each check of options takes them by keyword and raises an error that names the first one that does
not fit, and its value: a TypeError for another kind of thing, a ValueError for a wrong number.
"""

import math
import reprlib
from collections.abc import Collection, Mapping
from numbers import Integral, Real

import numpy

from . import backend
from .engine import Tensor


def check_kind(kind, **options):
    """Instances of the class `kind`."""
    for name, value in options.items():
        if not isinstance(value, kind):
            what = f"the class {value.__name__}" if isinstance(value, type) else reprlib.repr(value)
            raise TypeError(f"{name} must be of the class {kind.__name__}, not {what}")


def check_arrays(**options):
    """Arrays, Tensors, or what has the shape of one."""
    for name, value in options.items():
        if not hasattr(value, "shape"):
            raise TypeError(
                f"{name} must be an array, not a {type(value).__name__}: numpy.asarray({name}, "
                "'float32') makes one of numbers"
            )


def check_functions(**options):
    """Functions, or what can be called like one."""
    for name, value in options.items():
        if not callable(value):
            raise TypeError(f"{name} must be a function, not {reprlib.repr(value)}")


def check_flags(**options):
    """True or False: any text counts as true, "no" as well."""
    for name, value in options.items():
        if not isinstance(value, (bool, numpy.bool_)):
            raise TypeError(f"{name} must be True or False, not {reprlib.repr(value)}")


def check_pairs(**options):
    """Two things in a tuple or list."""
    for name, value in options.items():
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            raise ValueError(f"{name} must be a pair, (a, b), not {reprlib.repr(value)}")


def check_given(check, *kind, **options):
    """By another of these checks, those options that are not None."""
    check(*kind, **{name: value for name, value in options.items() if value is not None})


def check_sizes(**options):
    """Whole numbers above 0."""
    for name, value in options.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
            raise ValueError(f"{name} must be a whole number and must be above 0, not {value!r}")


def check_positive(**options):
    """Finite numbers above 0."""
    for name, value in options.items():
        if not (_is_number(value) and value > 0):
            raise ValueError(f"{name} must be above 0, not {value!r}")


def check_not_negative(**options):
    """Finite numbers, 0 or above."""
    for name, value in options.items():
        if not (_is_number(value) and value >= 0):
            raise ValueError(f"{name} must be 0 or above, not {value!r}")


def check_counts(**options):
    """Whole numbers, 0 or above."""
    for name, value in options.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 0:
            raise ValueError(f"{name} must be a whole number, 0 or above, not {value!r}")


def check_numbers(**options):
    """Finite numbers."""
    for name, value in options.items():
        if not _is_number(value):
            raise ValueError(f"{name} must be a finite number, not {value!r}")


def check_shares(**options):
    """Numbers from 0 to 1: how much of a whole."""
    for name, value in options.items():
        if not (_is_number(value) and 0 <= value <= 1):
            raise ValueError(f"{name} must lie in [0, 1], not {value!r}")


def check_rates(**options):
    """Numbers from 0 up to, and not including, 1: what is left is never nothing."""
    for name, value in options.items():
        if not (_is_number(value) and 0 <= value < 1):
            raise ValueError(f"{name} must lie in [0, 1), not {value!r}")


def check_widths(widths, name="hidden_sizes"):
    """Raise a ValueError for anything but a sequence of whole numbers above 0."""
    if not isinstance(widths, Collection):  # nor an iterator, which can be read only once
        raise ValueError(f"{name} is one width for each layer, as in (64, 32), not {widths!r}")
    for size in widths:
        check_sizes(**{name: size})


NEVER_NEGATIVE = ("running_var", "square", "steps", "turn")  # variances, squares and counts


def check_state(arrays, state):
    """`state`, {name: array or Tensor}, as NumPy arrays, if it fits `arrays` in every way.

    Raises:
        ValueError: names, shapes or dtypes that differ, NaN, or a negative number for one of
            NEVER_NEGATIVE; the message lists all of them.
        TypeError: no dict.
    """
    if not isinstance(state, Mapping):
        raise TypeError(
            f"a state is a dict {{name: array}}, not {type(state).__name__} (a file's is loaded by "
            "minigrad.load(path).restore(module, optimizer))"
        )
    for value in state.values():
        backend.refuse_masked(value)
    new = {
        name: backend.to_numpy(value.data if isinstance(value, Tensor) else value)
        for name, value in state.items()
    }
    problems = [f"missing: {name}" for name in arrays if name not in new]
    problems += [f"unknown: {name}" for name in new if name not in arrays]
    for name in arrays.keys() & new.keys():
        ours, theirs = arrays[name], new[name]
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            problems.append(
                f"{name} is {ours.dtype} of shape {ours.shape}, "
                f"in the state {theirs.dtype} of shape {theirs.shape}"
            )
        elif theirs.dtype.kind == "f" and numpy.isnan(theirs).any():
            problems.append(f"{name} holds NaN in the state")
        elif name == "parameter_shapes" and (theirs != ours).any():
            problems.append("it is that of an optimizer of parameters of other shapes")
        elif name.rpartition(".")[2] in NEVER_NEGATIVE and (theirs < 0).any():
            problems.append(f"{name} is negative in the state")
    if problems:
        raise ValueError("the state does not fit: " + "; ".join(sorted(problems)))
    return new


def _is_number(value):
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
