"""Exercise 8. A Jacobian that is not diagonal: the differences of neighbours (lesson 6).

y_i = x_(i+1) - x_i. So x_i is in y_(i-1), with 1, and in y_i, with -1.
"""

from minigrad import op
from minigrad.backend import xp


@op
def difference(x):
    """(..., n) -> (..., n - 1)."""

    def vjp(g):
        gx = xp.zeros(x.shape, x.dtype)
        gx[..., 1:] += ____
        gx[..., :-1] += ____
        return gx

    return x[..., 1:] - x[..., :-1], vjp
