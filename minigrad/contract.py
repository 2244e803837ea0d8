"""What an op's rule may return, and words for what it was given: for the engine's messages."""

import inspect
import math


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


def refuse_sequences(inputs, outputs):
    """Raise TypeError for a list or tuple in place of an array: NumPy would make it float64."""
    for x, vjp in zip(inputs, outputs[1:]):
        if vjp is not None and isinstance(x, (list, tuple)):
            raise TypeError(f"a {type(x).__name__} where an array is expected: make a Tensor of it")


def describe(inputs):
    """Shapes and dtypes of arrays, other values as they are."""
    return ", ".join(
        f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x) for x in inputs
    )
