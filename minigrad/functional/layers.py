"""Layers as functions: linear, attention, rotary positions, embedding, dropout."""

import math

import numpy

from ..backend import Kernel, add_at, xp
from ..checks import check_flags, check_positive, check_rates
from ..engine import op
from ..ops import product_over_rows
from .probabilities import softmax_array
from .shared import once, require_floats


@op
def linear(x, weight, bias=None):
    """x @ weight + bias: (..., B, D), (..., D, H), (..., 1, H) -> (..., B, H).

    Fused for speed: one node and one array instead of two.
    """
    if x.ndim < 2 or weight.ndim < 2 or x.dtype != weight.dtype:
        raise ValueError(
            f"linear takes rows x (..., B, D) of the weight's dtype {weight.dtype}, not {x.dtype} "
            f"of shape {x.shape}: x[None, :] is one row, x.astype({str(weight.dtype)!r}) converts; "
            f"and a weight (..., D, H), not {weight.shape}"
        )
    try:
        y = x @ weight
    except ValueError:
        features, taken = x.shape[-1], weight.shape[-2]
        why = f"it has {features} features and the layer takes {taken}"
        if features == taken:  # replicas meet the axis before the batch
            why = "the axes in front do not broadcast"
        raise ValueError(
            f"x of shape {x.shape} does not fit a weight of shape {weight.shape}: {why}"
        ) from None
    if bias is None:
        return y, lambda g: g @ weight.mT, lambda g: product_over_rows(x, g, weight.ndim)
    try:
        y += bias  # no second array
    except ValueError:
        pairs = zip(bias.shape[:-3:-1], y.shape[:-3:-1])
        if any(n not in (1, m) for n, m in pairs):
            raise ValueError(
                f"a bias of shape {bias.shape} does not fit x @ weight of shape {y.shape}: "
                f"(..., 1, {y.shape[-1]}) is expected"
            ) from None
        y = y + bias  # the bias has axes in front that x @ weight lacks
    return (
        y,
        lambda g: g @ weight.mT,
        lambda g: product_over_rows(x, g, weight.ndim),
        lambda g: g.sum(axis=-2, keepdims=True) if bias.shape[-2:-1] == (1,) else g,
    )


@op
def attention(queries, keys, values, beta, causal=False):
    """softmax(beta queries keys^T) values: (..., B, d), (..., K, d), (..., K, v) -> (..., B, v).

    Fused for speed: one node instead of five. `beta` is the inverse temperature. If it is `causal`,
    rows are timesteps, (..., T, d) all three, and none sees a later one.
    """
    p = attention_weights(queries, keys, beta, causal)  # (..., B, K)

    @once
    def scores(g):
        """The gradient of queries keys^T: the softmax's J^T, see there, times beta."""
        gs = g @ values.mT
        gs -= (gs * p).sum(axis=-1, keepdims=True)
        gs *= p  # 0 for what was not to be seen
        gs *= beta
        return gs

    return (
        p @ values,
        lambda g: scores(g) @ keys,
        lambda g: product_over_rows(scores(g), queries, keys.ndim),
        lambda g: product_over_rows(p, g, values.ndim),
    )


def attention_weights(queries, keys, beta, causal=False):
    """How much each query looks at each key, (..., B, K) from arrays: see `attention`."""
    scores = beta * (queries @ keys.mT)
    if type(causal) is not bool:
        check_flags(causal=causal)
    if causal:
        if queries.shape[-2] != keys.shape[-2]:
            raise ValueError(
                f"{queries.shape[-2]} queries and {keys.shape[-2]} keys: causal attention has one "
                "of each at every timestep"
            )
        time = xp.arange(keys.shape[-2])
        scores = xp.where(time > time[:, None], -xp.inf, scores)
    return softmax_array(scores, axis=-1)


def _turned(x, cos, sin):
    a, b = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
    return xp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


@op
def rotary(x, base=10000.0):
    """Positions as rotations (Su et al. 2021): (..., T, d), d even, -> (..., T, d).

    The plane of features i and i + d/2 is turned by the angle t base^(-2i/d) at timestep t. So the
    product of a turned query and a turned key depends on how far apart they are, and not on when.
    """
    require_floats(x)
    check_positive(base=base)
    *_, steps, width = x.shape
    if width % 2:
        raise ValueError(f"rotary turns pairs of features: {width} is odd")
    speed = base ** (-xp.arange(0, width, 2) / width)  # radians per timestep
    angle = xp.arange(steps)[:, None] * speed  # (T, d/2)
    cos, sin = xp.cos(angle).astype(x.dtype), xp.sin(angle).astype(x.dtype)
    # A rotation's transpose turns back.
    return _turned(x, cos, sin), lambda g: _turned(g, cos, -sin)


@op
def embedding(weight, ids):
    """Rows of a table, picked by number: (..., V, E), (..., N) integers -> (..., N, E).

    What leads the table leads the result: each replica looks up its own row.

    Raises:
        TypeError: ids that are no integers.
        IndexError: an id outside 0 ... V-1; on the CPU (on a GPU, which would have to be waited
            for, and in a compiled step such an id picks another row without a word).
    """
    if not hasattr(ids, "dtype") or ids.dtype.kind not in "iu":
        raise TypeError("ids pick rows of a table: give an array of integers, x.astype('int64')")
    *lead, rows, width = weight.shape
    if isinstance(ids, numpy.ndarray) and ids.size and not 0 <= ids.min() <= ids.max() < rows:
        raise IndexError(f"ids from {ids.min()} to {ids.max()} for a table of {rows} rows")
    # All tables in one, below each other: in it, each begins where the one before it ends.
    begin = rows * xp.arange(math.prod(lead)).reshape(*lead, 1)
    places = begin + ids  # (..., N)

    def vjp(g):
        # The row that was picked n times gets n gradients, added up: element by element, since for
        # flat arrays the array libraries are fastest at that.
        gradient = xp.zeros(weight.size, weight.dtype)
        elements = places[..., None] * width + xp.arange(width)
        add_at(gradient, elements.reshape(-1), g.reshape(-1))
        return gradient.reshape(weight.shape)

    return weight.reshape(-1, width)[places], vjp, None


@op
def dropout(x, rate, noise):
    """Zero each element with probability `rate`, divide the others by 1 - rate (inverted dropout).

    `noise` is a `backend.Noise`, from which the mask is drawn.
    """
    require_floats(x)
    if type(rate) is not float or not 0 <= rate < 1:
        check_rates(dropout_rate=rate)
    if not hasattr(noise, "random"):
        raise TypeError(f"noise is a backend.Noise, of which nn.Dropout has one, not {noise!r}")
    uniform = noise.random(x.shape, dtype=x.dtype)
    mask = xp.dropout_mask(uniform, rate, 1 / (1 - rate))
    return x * mask, lambda g: g * mask


@Kernel("T uniform, T rate, T scale", "T mask", "mask = T(uniform >= rate) * scale")
def dropout_mask(uniform, rate, scale):
    """0 with probability `rate`, elsewhere `scale`."""
    return xp.multiply(uniform >= rate, scale, dtype=uniform.dtype)
