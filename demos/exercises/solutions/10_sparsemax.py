"""Exercise 10. Make sparsemax: probabilities, many of them exactly 0.

p = max(x - tau, 0), where tau is such that p sums to 1. If the k largest x were those above tau, it
would be (their sum - 1) / k; of these, over all k, the largest is the one.
"""

from minigrad import op
from minigrad.backend import xp


@op
def my_sparsemax(x):
    descending = xp.flip(xp.sort(x, axis=-1), axis=-1)
    k = xp.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    tau = ((xp.cumsum(descending, axis=-1) - 1) / k).max(axis=-1, keepdims=True)
    p = xp.maximum(x - tau, 0)

    def vjp(g):
        support = p > 0
        count = support.sum(axis=-1, keepdims=True, dtype=g.dtype)
        return support * (g - (g * support).sum(axis=-1, keepdims=True) / count)

    return p, vjp
