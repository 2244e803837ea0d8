"""Probabilities from scores: softmax, its logarithm, and sparsemax."""

from ..backend import Kernel, xp
from ..engine import op
from ..ops import drop_axes
from .shared import require_floats


def softmax_array(x, axis):
    """See `softmax`; of an array."""
    require_floats(x)
    if not x.ndim:
        raise ValueError("a softmax needs an axis to sum along, and a single number has none")
    e = x - x.max(axis=axis, keepdims=True)  # the largest exponent is 0
    xp.exp(e, out=e)
    e /= e.sum(axis=axis, keepdims=True)
    return e


@op
def softmax(x, axis: int | tuple[int, ...] = -1):
    """exp(x) / sum(exp(x)) along `axis`, with the largest exponent taken out."""
    p = softmax_array(x, axis)
    # If x_j rises, so do p_j and the sum that all are divided by: dp_i/dx_j = p_i (delta_ij - p_j),
    # J^T g = p * (g - <g, p>): how far each g is above their mean, weighted by p, times p.
    return p, lambda g: p * (g - (g * p).sum(axis=axis, keepdims=True))


@op
def logsumexp(x, axis: int | tuple[int, ...] | None = -1, keepdims=False):
    """log(sum(exp(x))), with the largest exponent taken out. Its gradient is the softmax."""
    require_floats(x)
    largest = x.max(axis=axis, keepdims=True)
    exps = xp.exp(x - largest)
    total = exps.sum(axis=axis, keepdims=True)
    y = xp.log(total) + largest
    return drop_axes(y, axis, keepdims), lambda g: g.reshape(y.shape) * exps / total


@op
def log_softmax(x, axis: int | tuple[int, ...] = -1):
    """The logarithm of the softmax, without taking the logarithm of a small number."""
    require_floats(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    y = shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))
    # dy_i/dx_j = delta_ij - p_j, so J^T g = g - p * sum(g).
    return y, lambda g: g - xp.exp(y) * g.sum(axis=axis, keepdims=True)


@op
def sparsemax(x):
    """The point of the probability simplex nearest to x, row by row; usually with exact zeros.

    Martins & Astudillo 2016, Algorithm 1: p = max(x - tau, 0), where tau makes p sum to one.
    """
    require_floats(x)
    p = xp.simplex_projection(x, x.shape[-1])
    return p, lambda g: xp.simplex_projection_gradient(g, p, x.shape[-1])


def one_thread_a_row(x, *shapes):
    """A kernel's threads, where each goes along a row alone, if that is short."""
    return (x.size // x.shape[-1], *shapes) if 0 < x.shape[-1] <= 32 else None


@Kernel(
    "raw T x, int64 features",
    "raw T p",
    """
    const long long begin = i * features, end = begin + features;
    T largest = x[begin], tau = -1;  // which is less than no other
    for (long long j = begin; j < end; ++j)
        largest = x[j] > largest || x[j] != x[j] ? x[j] : largest;  // NaN, if there is one
    for (long long j = begin; j < end; ++j) {
        // The support, if x[j] were its smallest member.
        T excess = -1, size = 0;
        for (long long k = begin; k < end; ++k)
            if (x[k] >= x[j]) { excess += x[k] - largest; ++size; }
        tau = excess / size > tau ? excess / size : tau;
    }
    for (long long j = begin; j < end; ++j) {
        const T above = x[j] - largest - tau;
        p[j] = above < 0 ? 0 : above;
    }
    """,
    threads=lambda x, features: one_thread_a_row(x, x.shape),
)
def simplex_projection(x, features):
    """max(x - tau, 0), which sums to one. (Of z, x less its largest, tau is less by the same.)"""
    z = x - x.max(axis=-1, keepdims=True)
    descending = xp.flip(xp.sort(z, axis=-1), axis=-1)
    rank = xp.arange(1, features + 1, dtype=x.dtype)
    excess = xp.cumsum(descending, axis=-1) - 1
    # If the k largest were the support, tau would be tau_k = (z_(1) + ... + z_(k) - 1) / k. And
    # tau_k+1 is the mean of tau_k, with weight k, and z_(k+1), with weight 1: it rises as long as
    # z_(k+1) is above tau_k, and so belongs to the support. So tau is the largest of them.
    tau = (excess / rank).max(axis=-1, keepdims=True)
    return xp.maximum(z - tau, 0)


@Kernel(
    "raw T g, raw T p, int64 features",
    "raw T gx",
    """
    const long long begin = i * features, end = begin + features;
    T sum = 0, size = 0;
    for (long long j = begin; j < end; ++j)
        if (p[j] > 0) { sum += g[j]; ++size; }
    for (long long j = begin; j < end; ++j) gx[j] = (g[j] - sum / size) * T(p[j] > 0);
    """,
    threads=lambda g, p, features: one_thread_a_row(g, g.shape),
)
def simplex_projection_gradient(g, p, features):
    """g minus its mean over the support, and 0 elsewhere."""
    # On the support p_i = x_i - tau, and if x_j rises by 1, tau, a mean, does by 1 / |support|:
    # there J = I - 1 1^T / |support| and J^T g is g minus its mean; elsewhere both are 0.
    support = p > 0.0
    size = support.sum(axis=-1, keepdims=True, dtype=g.dtype)
    return (g - (g * support).sum(axis=-1, keepdims=True) / size) * support
