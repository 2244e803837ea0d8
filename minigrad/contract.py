"""What the engine asks of a rule, of its inputs and of backward; and the words in which it refuses.

Each function that refuses raises an error that says what happened and what to do.
"""

import inspect
import math

from . import backend
from .backend import xp

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
    lists in place of arrays, which NumPy would make float64, and values that are not real."""
    for x, vjp in zip(inputs, outputs[1:]):
        if vjp is not None and isinstance(x, (list, tuple)):
            raise TypeError(f"a {type(x).__name__} where an array is expected: make a Tensor of it")
    dtype = getattr(outputs[0], "dtype", None)
    if dtype is not None and dtype.kind not in "biuf":
        raise TypeError(f"an array holds real numbers, not {dtype}")


def explain(error, name, inputs):
    """Add to a rule's error in which op it happened. If the rule asked an input for what only an
    array has, raise a TypeError that says so."""
    error.add_note(f"in op {name}({describe(inputs)})")
    of_array = isinstance(error, AttributeError) and hasattr(xp.empty(0), error.name or "")
    if of_array and any(error.obj is x for x in inputs):
        raise TypeError(
            f"op {name} takes no {type(error.obj).__name__}, which has no .{error.name}, where it "
            "expects a Tensor or an array: make a Tensor of it"
        ) from error


def refuse_by_name(name, key):
    """Raise TypeError for a Tensor among the options of an op."""
    raise TypeError(f"op {name} takes the Tensor {key!r} by position, not by name")


def describe(inputs):
    """Shapes and dtypes of arrays, other values as they are."""
    return ", ".join(
        f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x) for x in inputs
    )


# --- backward --------------------------------------------------------------------------------


def start_of(root, grad):
    """The gradient from which backward starts: `grad` as an array, or 1 for a single number."""
    array = root.data
    if not root.requires_grad:
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
        grad = xp.ones(array.shape, array.dtype)
        return grad
    grad = grad.data if isinstance(grad, type(root)) else backend.asarray(grad)
    if grad.shape != root.shape:
        raise ValueError(f"grad has shape {grad.shape}, but the Tensor has shape {root.shape}")
    return grad.astype(root.dtype, copy=False)


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
    """Raise ValueError for a gradient that no broadcasting of the array explains."""
    added = g.ndim - array.ndim
    if added < 0 or any(n not in (1, m) for n, m in zip(array.shape, g.shape[added:])):
        raise ValueError(f"a gradient of shape {g.shape} for an input of shape {array.shape}")
