"""Exercise 12. Backward through a normalisation (lesson 12).

Shift a row, or make it larger: its normal form stays. So no gradient goes in these two directions.
"""

from minigrad import op
from minigrad.backend import xp


@op
def normalise(x):
    """Each row to mean 0 and variance 1: (..., D) -> (..., D)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = xp.sqrt((centred * centred).mean(axis=-1, keepdims=True))
    normal = centred / deviation

    def vjp(g):
        along_ones = g.mean(axis=-1, keepdims=True)
        along_normal = normal * (g * normal).mean(axis=-1, keepdims=True)
        return (g - along_ones - along_normal) / deviation

    return normal, vjp
