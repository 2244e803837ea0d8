"""What the engine asks of a rule, of its inputs and of backward; and the words in which it refuses.

Each function that refuses raises an error that says what happened and what to do.
"""

import functools
import inspect
import math
import reprlib
from collections.abc import Callable
from numbers import Number
from typing import Any, TypeVar

import numpy

from . import backend
from .backend import xp

F = TypeVar("F", bound=Callable[..., Any])

# --- a rule and its inputs -------------------------------------------------------------------


def most_outputs(rule):
    """How many outputs a rule may have: its value, and a vjp for each argument by position."""
    kinds = [parameter.kind for parameter in inspect.signature(rule).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return math.inf
    return 1 + sum(kind is not inspect.Parameter.KEYWORD_ONLY for kind in kinds)


def refuse_outputs(outputs, most):
    """Raise TypeError for what is not a tuple of 1 to `most` entries."""
    what = type(outputs).__name__ + (f" of {len(outputs)}" if type(outputs) is tuple else "")
    raise TypeError(
        f"a rule returns a tuple, its value and a vjp for each of its {most - 1} arguments: "
        f"this one returned a {what}"
    )


def check_foreign(inputs, outputs):
    """Raise TypeError for what inputs that are neither Tensors nor numbers must not bring along:
    lists in place of arrays, which NumPy would make float64, arrays that compute in another way,
    and values that are not real."""
    for x, vjp in zip(inputs, outputs[1:]):
        if vjp is not None and isinstance(x, (list, tuple)):
            raise TypeError(f"a {type(x).__name__} where an array is expected: make a Tensor of it")
    for x in inputs:
        backend.refuse_masked(x)
        if isinstance(x, numpy.matrix):
            raise TypeError("a matrix, for which * is @: give numpy.asarray(...) of it")
        if isinstance(x, backend.NUMPY_SCALARS) and x.dtype.kind not in "biuf":
            raise TypeError(f"an array holds real numbers, not {x.dtype}")
    dtype = getattr(outputs[0], "dtype", None)
    if dtype is not None and dtype.kind not in "biuf":
        raise TypeError(f"an array holds real numbers, not {dtype}")


def takes(function):
    """What a function takes, for an error that says that it got something else."""
    known = inspect.signature(function).parameters.values()
    names = [p.replace(default=p.empty, annotation=p.empty) for p in known if p.name != "self"]
    name = function.__qualname__.removesuffix(".__init__").removeprefix("Methods.")
    return f"{name} takes {inspect.Signature(names, __validate_parameters__=False)}"


def explained(function: F) -> F:
    """The function; a call that does not fit it is told what it takes."""

    @functools.wraps(function)
    def call(*args, **options):
        try:
            return function(*args, **options)
        except TypeError as error:
            explain_call(error, function)
            raise

    return call  # type: ignore[return-value]


def explain_call(error, function):
    """Add what a function takes to the error of calling it, caught by the caller of this."""
    if error.__traceback__.tb_next is None and isinstance(error, TypeError):  # not from inside
        error.add_note(takes(function))


# What Python and NumPy say when an input does not fit, and the question that it amounts to.
HINTS = {
    "not enough values to unpack": "has an input too few axes?",
    "tuple index out of range": "has an input too few axes?",
    "zero-size array to reduction": "of no elements none is the largest",
    "mismatch in its core dimension": "do the axes that a matrix product sums over fit?",
    "unhashable type": "is an option an array or a list, where one number is expected?",
    "axes don't match": "all axes are named, in their new order: .mT exchanges the last two",
    "axis remapping": "has the shape fewer axes than the array?",
    "operand 'Box'": "an array that is no input cannot take what `higher` differentiates",
    "memoryview": "a rule is given arrays, not Tensors: x, not x.data",
    "interpreted as an integer": "an axis or a length is a whole number, several are a tuple",
}


def explain(error, name, rule, inputs, options):
    """Add to a rule's error in which op it happened. If it does not tell what is wrong with an
    input, raise one that does: a rule may have asked a number for what only an array has."""
    explain_call(error, rule)
    error.add_note(f"in op {name}({describe(inputs, **options)})")
    if "could not be broadcast" in str(error):
        error.add_note("axes meet from the right: two that meet have one length, or one has 1")
    of_array = isinstance(error, AttributeError) and hasattr(xp.empty(0), error.name or "")
    if of_array and any(error.obj is x for x in inputs):
        raise TypeError(
            f"op {name} takes no {type(error.obj).__name__}, which has no .{error.name}, where it "
            "expects a Tensor or an array: make a Tensor of it"
        ) from error
    kind = TypeError if isinstance(error, TypeError) else ValueError
    for words, hint in HINTS.items():
        if words in str(error):
            raise kind(f"op {name}({describe(inputs)}): {error}: {hint}") from error
    strangers = [x for x in inputs if not (isinstance(x, Number) or _is_real(x))]
    unsupported = any(words in str(error) for words in ("operand", "not support", "a loop"))
    if kind is TypeError and unsupported and strangers:
        what = f"op {name} takes Tensors, arrays and numbers, not {reprlib.repr(strangers[0])}"
        raise TypeError(what) from error


def _is_real(x):
    return getattr(getattr(x, "dtype", None), "kind", "O") in "biuf"


def check_options(name, options):
    """Raise TypeError for a Tensor among the options of an op."""
    for key, value in options.items():
        if hasattr(value, "requires_grad"):
            raise TypeError(f"op {name} takes the Tensor {key!r} by position, not by name")


def describe(inputs, **options):
    """Shapes and dtypes of arrays, other values as they are."""

    def said(x):
        return f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else reprlib.repr(x)

    return ", ".join([*map(said, inputs), *(f"{key}={said(x)}" for key, x in options.items())])


# --- backward --------------------------------------------------------------------------------


def start_of(root, grad):
    """The gradient from which backward starts: `grad` as an array, or 1 for a single number."""
    array = root._data
    if not root._requires_grad:
        raise RuntimeError(
            "nothing to differentiate: this Tensor does not depend on any that requires a gradient"
            " (or was computed under no_grad())"
        )
    if grad is None:
        if array.size != 1:
            raise RuntimeError(
                f"backward() of a Tensor of shape {root.shape} needs to know where to start: "
                "call .sum().backward() or .backward(grad=...)"
            )
        if type(array) is numpy.ndarray:  # neither on a GPU nor while a step is compiled
            return _one(array.shape, array.dtype)
        grad = xp.ones(array.shape, array.dtype)
        return grad
    grad = grad.data if isinstance(grad, type(root)) else backend.asarray(grad)
    if grad.shape != root.shape:
        raise ValueError(f"grad has shape {grad.shape}, but the Tensor has shape {root.shape}")
    return grad.astype(root.dtype, copy=False)


@functools.cache
def _one(shape, dtype):
    """1 in an array of one element, which nobody writes into: so one will do for all steps."""
    if dtype.kind != "f":
        raise TypeError(f"a Tensor of {dtype} has no derivative: an op with a vjp gives floats")
    one = numpy.ones(shape, dtype)
    one.flags.writeable = False
    return one


def explain_vjp(error, op, array):
    """Add to a vjp's error whose it is. If the engine could not call it, or not take what it
    returned, raise one that says what a vjp is."""
    error.add_note(f"in the vjp of op {op}, whose input has shape {array.shape}")
    if error.__traceback__.tb_next is None:  # not from inside of it
        raise TypeError(
            f"the vjp of op {op}: {error}: a vjp is a function of g that returns an array, the "
            f"gradient of its input of shape {array.shape} (None in its place: no derivative)"
        ) from error


def refuse_freed(op):
    """Raise RuntimeError for a second walk through the same graph."""
    raise RuntimeError(
        f"the graph behind op {op} was freed by an earlier backward(): compute the "
        "loss again, or add the losses up and call backward() once"
    )


def refuse_changed(leaf, op):
    """Raise RuntimeError for a leaf whose data are not those that the op had used."""
    raise RuntimeError(
        f"a leaf of shape {leaf.shape} was changed (by an optimizer's step, "
        "load_state_dict() or an assignment to its data) after "
        f"op {op} had used it: compute the loss again"
    )


def check_gradient(leaf):
    """Raise ValueError for a .grad, set by hand, that is no array like the leaf's."""
    given = getattr(leaf.grad, "shape", None), getattr(leaf.grad, "dtype", None)
    if given != (leaf.shape, leaf.dtype) or not isinstance(leaf.grad, xp.ndarray):
        raise ValueError(
            f"the .grad of a leaf, {leaf.dtype} of shape {leaf.shape}, is None or an array like "
            f"it, not {leaf.grad!r}"
        )


def addend(g, leaf):
    """g, if the leaf's .grad is such that it can be added to."""
    check_gradient(leaf)
    return g


def check_broadcast(g, array):
    """Raise an error for a gradient that is not real, or that no broadcasting explains."""
    if g.dtype.kind not in "biuf":
        raise TypeError(f"a gradient is real numbers, not {g.dtype}")
    added = g.ndim - array.ndim
    if added < 0 or any(n not in (1, m) for n, m in zip(array.shape, g.shape[added:])):
        raise ValueError(f"a gradient of shape {g.shape} for an input of shape {array.shape}")
