"""Exercise 13. Fuse linear and relu: one node and fewer arrays (minigrad/functional/layers.py)."""

from minigrad import op
from minigrad.backend import xp


@op
def linear_relu(x, weight, bias):
    """max(x @ weight + bias, 0): (..., B, D), (..., D, H), (..., 1, H) -> (..., B, H)."""
    y = xp.maximum(x @ weight + bias, 0)

    def before_relu(g):
        """The gradient with respect to x @ weight + bias."""
        return ____

    return (
        y,
        lambda g: ____,
        lambda g: ____,
        lambda g: ____,
    )
