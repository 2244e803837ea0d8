"""What networks are written in: activations, losses, normalisation and the fused layers.

Arrays end in (..., B, D): batch and features. Whatever leads is independent: replicas, samples,
timesteps. A fused op is here for one of three reasons, and says which: it is more stable than its
parts, much faster, or its true derivative is of no use. Its gradient is derived above its vjp.

NumPy has no ``xp.relu_gradient``: a function under ``@Kernel`` is called as ``xp.`` and its name.
On a CPU that is the function that stands there; on a GPU it is the text above it, CUDA, which says
the same and may be passed over (see Kernel in backend.py).
"""

import math

import numpy

from .backend import Kernel, Sum, add_at, xp
from .checks import check_positive, check_rates, check_shares
from .engine import Tensor, op
from .ops import drop_axes, product_over_rows, tanh


def once(function):
    """For vjps that share an intermediate result: compute it at the first call, then remember it.

    Safe, because all vjps of one node receive the same g and the node is freed afterwards.
    """
    results: list = []

    def call(g):
        if not results:
            results.append(function(g))
        return results[0]

    return call


# --- activations -----------------------------------------------------------------------------


@op
def relu(x):
    """max(x, 0); the derivative at 0 is taken as 0."""
    y = xp.maximum(x, 0)
    return y, lambda g: xp.relu_gradient(g, y)


@Kernel("T g, T y", "T gx", "gx = g * T(y > 0)")
def relu_gradient(g, y):
    """What passes where y is above 0."""
    return g * (y > 0.0)  # with 0.0: NumPy takes twice the time with 0


def require_floats(x):
    """Raise a TypeError for integers, which would be rounded or turn into float64 on the way."""
    if x.dtype.kind != "f":
        raise TypeError(f"expected floating-point numbers, not {x.dtype}: x.astype('float32')")


def _sigmoid(x):
    require_floats(x)
    return xp.logistic(x)


def logistic_in_cuda(x):
    """What a kernel's code says for the logistic function of x."""
    return f"(T(1) / (exp({x} < T(-88) ? T(88) : -{x}) + T(1)))"


@Kernel("T x", "T y", f"y = {logistic_in_cuda('x')}")
def logistic(x):
    """1 / (1 + exp(-x))."""
    y = xp.asarray(-x)
    xp.minimum(y, 88, out=y)  # e^88 is still a float32, and 1 / (1 + e^88) = 6e-39 as good as 0
    xp.exp(y, out=y)
    y += 1
    return xp.reciprocal(y, out=y)


@op
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    y = _sigmoid(x)
    return y, lambda g: g * y * (1 - y)


@op
def silu(x):
    """x sigmoid(x): Hendrycks & Gimpel 2016; Elfwing et al. 2018."""
    s = _sigmoid(x)
    return x * s, lambda g: xp.silu_gradient(g, x, s)


@Kernel("T g, T x, T s", "T gx", "gx = g * s * (1 + x * (1 - s))")
def silu_gradient(g, x, s):
    """d(x s)/dx = s + x s (1 - s), since ds/dx = s (1 - s)."""
    return g * s * (1 + x * (1 - s))


@op
def gelu(x):
    """x Phi(x) by the tanh approximation of Hendrycks & Gimpel 2016 (NumPy has no erf)."""
    require_floats(x)
    a, b = math.sqrt(2 / math.pi), 0.044715
    c = xp.clip(x, -10, 10)  # beyond, the tanh is 1 to the last digit, and x^3 may overflow
    t = xp.tanh(a * (c + b * c * c * c))

    def vjp(g):
        # y = x (1 + t) / 2 and dt/dx = (1 - t^2) a (1 + 3 b x^2).
        return g * 0.5 * (1 + t + x * (1 - t * t) * a * (1 + 3 * b * c * c))

    return 0.5 * x * (1 + t), vjp


@op
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    require_floats(x)
    return xp.logaddexp(x, 0), lambda g: g * _sigmoid(x)


@op
def glu(x):
    """Gated linear unit, a * sigmoid(b) where x = [a, b] along the features (Dauphin et al. 2017).

    (..., B, 2H) -> (..., B, H). Fused for speed: two slices would each send back an array of zeros.
    """
    half = x.shape[-1] // 2
    if 2 * half != x.shape[-1]:
        raise ValueError(f"glu halves the features: {x.shape[-1]} is odd")
    gate, y = xp.gated(x[..., :half], x[..., half:])
    return y, lambda g: xp.glu_gradient(g, gate, y, half)


@Kernel("T a, T b", "T gate, T y", f"gate = {logistic_in_cuda('b')}; y = a * gate;")
def gated(a, b):
    """The gate sigmoid(b), and what it lets through of a."""
    gate = _sigmoid(b)
    return gate, a * gate


@Kernel(
    "raw T g, raw T gate, raw T y, int64 half",
    "raw T gx",
    """
    const long long a = i / half * 2 * half + i % half;
    gx[a] = g[i] * gate[i];
    gx[a + half] = g[i] * y[i] * (1 - gate[i]);
    """,
    threads=lambda g, gate, y, half: (g.size, (*g.shape[:-1], 2 * half)),
)
def glu_gradient(g, gate, y, half):
    """The gradients of a and of b, side by side, where y = a gate: da s(b)/db = a s (1 - s)."""
    gx = xp.empty((*g.shape[:-1], 2 * half), g.dtype)
    gx[..., :half] = g * gate
    gx[..., half:] = g * y * (1 - gate)
    return gx


ACTIVATIONS = {f.__name__: f for f in (relu, sigmoid, tanh, silu, gelu, softplus)}


def activation(choice):
    """The activation function of that name; a function is returned as it is."""
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {choice!r}: choose one of {', '.join(ACTIVATIONS)}, or a function"
        )
    return ACTIVATIONS[choice]


# --- softmax and its relatives ---------------------------------------------------------------


def _softmax(x, axis):
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
    p = _softmax(x, axis)
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


# --- losses: means over the batch, one number for each of what leads -------------------------


def cross_entropy(logits, labels, smoothing=0.0):
    """Mean over the batch of -log softmax(logits)[label], in nats.

    Args:
        logits: (..., B, C).
        labels: (..., B) class numbers 0 ... C-1 of integer dtype, or (..., B, C) class
            probabilities of floating-point dtype; arrays or Tensors.
        smoothing: the share of each label that is spread evenly over all classes.

    Returns:
        shape logits.shape[:-2]: a scalar, or one loss for each of what leads.

    Raises:
        ValueError: shapes that do not fit; on the CPU also class numbers outside 0 ... C-1, and
            probabilities that are negative or do not sum to one. On a GPU, which would have to be
            waited for, and in a compiled step such labels give a wrong loss without a word.
        TypeError: neither arrays nor Tensors, or a dtype that is neither kind of labels.
    """
    array = labels.data if isinstance(labels, Tensor) else labels
    if not isinstance(array, xp.ndarray) or not isinstance(logits, (Tensor, xp.ndarray)):
        refuse_no_arrays(logits=logits, labels=labels)
    shape, kind = logits.shape, array.dtype.kind
    if kind == "f":
        target = array.astype(logits.dtype, copy=False)
    elif kind in "iub":
        like = logits.data if isinstance(logits, Tensor) else logits
        target = xp.one_hot(like, array, shape[-1])
    else:
        raise TypeError(f"labels are class numbers or probabilities, not {array.dtype}")
    if target.shape[-2:] != shape[-2:] or not 2 <= target.ndim <= len(shape) or shape[-1] < 2:
        refuse_labels(array, shape)
    if isinstance(target, numpy.ndarray):  # neither on a GPU nor while a step is compiled
        if kind == "f":
            check_probabilities(target)
        elif numpy.count_nonzero(target) != array.size:  # not one class for each label
            raise ValueError(
                f"labels from {array.min()} to {array.max()} for {shape[-1]} classes: they are "
                f"numbered from 0 to {shape[-1] - 1} (numpy.unique(..., return_inverse=True))"
            )
    if smoothing:
        check_shares(smoothing=smoothing)
        target = target * (1 - smoothing) + smoothing / shape[-1]
    if array is not labels and labels.requires_grad:
        raise TypeError("cross_entropy has no gradient for labels: detach() them")
    return soft_cross_entropy(logits, target)


@Kernel(
    "raw T like, raw L labels, int64 classes",
    "raw T target",
    "target[i] = labels[i / classes] == i % classes",
    threads=lambda like, labels, classes: (labels.size * classes, (*labels.shape, classes)),
)
def one_hot(like, labels, classes):
    """1 in the class of each label and 0 in the others, in the dtype of `like`."""
    is_class = labels[..., None] == xp.arange(classes)
    target = is_class.astype(like.dtype)
    return target


def check_probabilities(p):
    """A ValueError, unless the rows of the array p, on the CPU, sum to one and none is negative."""
    if not ((p >= 0).all() and (abs(p.sum(axis=-1) - 1) < 1e-3).all()):
        raise ValueError("class probabilities must not be negative and must sum to one")


def refuse_labels(labels, shape):
    """Raise a ValueError that says why labels do not fit logits of that shape, and what would."""
    if len(shape) < 2:
        why = "logits have two axes or more, (..., B, C): x[None, :] makes one row of a vector"
    elif shape[-1] < 2:
        why = "of one class there is nothing to learn: two classes have two logits"
    elif labels.dtype.kind == "f" and labels.shape == shape[:-1]:
        why = "class numbers are integers, labels.astype(int); floats are probabilities (..., B, C)"
    elif labels.shape == (*shape[:-1], 1):
        why = "class numbers have no axis for the classes: labels[..., 0]"
    else:
        why = "class numbers are integers (..., B), probabilities are floats (..., B, C)"
    raise ValueError(
        f"labels {labels.dtype} of shape {labels.shape} do not fit logits {shape}: {why}"
    )


def refuse_no_arrays(**values):
    """Raise a TypeError that names those that are neither a Tensor nor an array."""
    kinds = {name: type(x).__name__ for name, x in values.items() if not hasattr(x, "dtype")}
    raise TypeError(f"expected Tensors or arrays of this device, but got {kinds or values}")


@op
def soft_cross_entropy(logits, target):
    """-sum_c t_c log softmax(z)_c, its mean over the batch: (..., B, C), (..., B, C) -> (...).

    Fused for stability (the log never meets an underflowed softmax) and speed. The targets t are
    class probabilities, without a gradient.
    """
    require_floats(logits)
    batch = logits.shape[-2]
    if not batch:
        raise ValueError(f"no rows, no mean: logits of shape {logits.shape}")
    shifted, exps, total = xp.exponentials(logits, logits.shape[-1])
    loss = xp.batch_cross_entropy(target, shifted, total, batch, axis=(-1, -2))

    def vjp(g):
        return xp.cross_entropy_gradient(g[..., None, None], target, exps, total, batch)

    return loss, vjp


@Kernel(
    "raw T z, int64 classes",
    "raw T shifted, raw T exps, raw T total",
    """
    const long long begin = i * classes, end = begin + classes;
    T largest = z[begin], sum = 0;
    for (long long j = begin; j < end; ++j)
        largest = z[j] > largest || z[j] != z[j] ? z[j] : largest;  // NaN, if there is one
    for (long long j = begin; j < end; ++j) {
        const T below = z[j] - largest;
        shifted[j] = below < T(-3e38) ? T(-3e38) : below;
        exps[j] = exp(shifted[j]);
        sum += exps[j];
    }
    total[i] = sum;
    """,
    threads=lambda z, classes: one_thread_a_row(z, z.shape, z.shape, (*z.shape[:-1], 1)),
)
def exponentials(z, classes):
    """z less the largest of its row, e to the power of that, and the sum of those in a row."""
    shifted = z - z.max(axis=-1, keepdims=True)
    # A logit of -inf forbids its class, whose t_c is 0: 0 times infinity would be NaN.
    shifted = xp.maximum(shifted, -3e38)
    exps = xp.exp(shifted)
    total = exps.sum(axis=-1, keepdims=True)
    return shifted, exps, total


@Sum(
    "T target, T shifted, T total, T batch",
    "T loss",
    "target * (log(total) - shifted)",
    "loss = a / batch",
)
def batch_cross_entropy(target, shifted, total, batch, axis):
    """-sum_c t_c (z_c - log sum exp z), its mean over the batch; the t_c sum to one."""
    loss = xp.log(total).sum(axis=axis) - (target * shifted).sum(axis=axis)
    return loss / batch


@Kernel(
    "T g, T target, T exps, T total, T batch",
    "T gx",
    "gx = (exps / total - target) * (g / batch)",
)
def cross_entropy_gradient(g, target, exps, total, batch):
    """d/dz_c = (softmax(z)_c - t_c) / B."""
    gx = exps / total
    gx -= target
    gx *= g / batch
    return gx


def mse(prediction, target):
    """Mean squared error over batch and features: (..., B, D), (..., B, D) -> (...).

    For one output and y of shape (..., B) use ``mse(model(x), y[..., None])``. The target takes the
    prediction's dtype.

    Raises:
        ValueError: shapes that differ, or no numbers, of which there is no mean.
        TypeError: neither arrays nor Tensors, or a prediction of integers.
    """
    if not (hasattr(prediction, "dtype") and hasattr(target, "dtype")):
        refuse_no_arrays(prediction=prediction, target=target)
    if prediction.shape[-2:] != target.shape[-2:] or not prediction.size:
        raise ValueError(
            f"prediction {prediction.shape} and target {target.shape} differ in shape, or are "
            "empty: for one output and a number for each row, give target[..., None]"
        )
    if target.dtype != prediction.dtype:
        require_floats(prediction)
        if target.dtype.kind not in "biuf":
            raise TypeError(f"a target is real numbers, not {target.dtype}")
        target = target.astype(prediction.dtype)
    difference = prediction - target
    axes = tuple(range(-min(difference.ndim, 2), 0))
    return (difference * difference).mean(axis=axes)


@op
def gaussian_nll(mean, log_variance, target):
    """-log N(target; mean, exp(log_variance)) in nats, its mean over batch and targets.

    (..., B, D), (..., B, D), (..., B, D) -> (...). The constant log(2 pi) / 2 is included (PyTorch:
    GaussianNLLLoss(full=True)); D times it is -log p of a row. With the logarithm of the variance
    every number that a network gives makes sense (Nix & Weigend 1994, Eq. 2); ``split(y, 2)`` cuts
    the outputs of one into both. A log_variance of shape (1, D) is one for all rows.

    Fused for stability: an error of 0 under a vanishing variance is 0, not 0 times infinity.

    Raises:
        ValueError: no rows, or shapes of mean and target that differ.
        TypeError: anything but floating-point numbers.
    """
    for x in (mean, log_variance, target):
        require_floats(x)
    if mean.shape[-2:] != target.shape[-2:] or mean.ndim < 2 or not mean.size:
        raise ValueError(
            f"mean {mean.shape} and target {target.shape} differ in shape, or have no rows: "
            "expected (..., B, D) both (for y of shape (B,) give y[..., None])"
        )
    # One over the standard deviation. e^85 and e^-85 are float32s: it is neither infinite nor 0.
    inverse = xp.exp(xp.clip(log_variance / -2, -85, 85))
    z = (target - mean) * inverse
    terms = z * z + log_variance + math.log(2 * math.pi)
    n = 2 * mean.shape[-1] * mean.shape[-2]

    def vjp_mean(g):
        return (g[..., None, None] / (n / -2)) * z * inverse

    # d/ds of (z^2 + s) / 2, where z ~ exp(-s / 2), is (1 - z^2) / 2.
    return (
        terms.sum(axis=(-1, -2)) / n,
        vjp_mean,
        lambda g: (g[..., None, None] / n) * (1 - z * z),
        lambda g: -vjp_mean(g),
    )


# --- layers ----------------------------------------------------------------------------------


@op
def linear(x, weight, bias=None):
    """x @ weight + bias: (..., B, D), (..., D, H), (..., 1, H) -> (..., B, H).

    Fused for speed: one node and one array instead of two.
    """
    if x.ndim < 2 or x.dtype != weight.dtype:
        raise ValueError(
            f"linear takes rows x (..., B, D) of the weight's dtype {weight.dtype}, not {x.dtype} "
            f"of shape {x.shape}: x[None, :] is one row, x.astype({str(weight.dtype)!r}) converts"
        )
    try:
        y = x @ weight
    except ValueError:
        raise ValueError(
            f"x of shape {x.shape} does not fit a weight of shape {weight.shape}: it has "
            f"{x.shape[-1]} features and the layer takes {weight.shape[-2]}, or the axes in front "
            "do not broadcast"
        ) from None
    if bias is None:
        return y, lambda g: g @ weight.mT, lambda g: product_over_rows(x, g, weight.ndim)
    try:
        y += bias  # no second array
    except ValueError:  # the bias has axes that x @ weight lacks
        y = y + bias
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
    if causal:
        if queries.shape[-2] != keys.shape[-2]:
            raise ValueError(
                f"{queries.shape[-2]} queries and {keys.shape[-2]} keys: causal attention has one "
                "of each at every timestep"
            )
        time = xp.arange(keys.shape[-2])
        scores = xp.where(time > time[:, None], -xp.inf, scores)
    return _softmax(scores, axis=-1)


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
    uniform = noise.random(x.shape, dtype=x.dtype)
    mask = xp.dropout_mask(uniform, rate, 1 / (1 - rate))
    return x * mask, lambda g: g * mask


@Kernel("T uniform, T rate, T scale", "T mask", "mask = T(uniform >= rate) * scale")
def dropout_mask(uniform, rate, scale):
    """0 with probability `rate`, elsewhere `scale`."""
    return xp.multiply(uniform >= rate, scale, dtype=uniform.dtype)


def require_one_for_each_feature(x, gain, bias):
    require_floats(x)
    if x.ndim < 2 or not x.shape[-1] == gain.shape[-1] == bias.shape[-1]:
        raise ValueError(
            f"rows x (..., B, D) and a gain and a bias for each of D features are expected, not x "
            f"{x.shape}, gain {gain.shape} and bias {bias.shape}"
        )


@op
def layer_norm(x, gain, bias, eps=1e-5):
    """Each row to mean 0 and variance 1, then gain and bias (Ba et al. 2016). Fused for speed.

    (..., B, D), (..., 1, D), (..., 1, D) -> (..., B, D).
    """
    require_one_for_each_feature(x, gain, bias)
    n = x.shape[-1]
    centred = x - x.sum(axis=-1, keepdims=True) / n
    scale = 1 / xp.sqrt((centred * centred).sum(axis=-1, keepdims=True) / n + eps)
    normal = centred * scale

    def vjp_x(g):
        # For n = normal(x): dn_i/dx_j = scale (delta_ij - 1/D - n_i n_j / D), which is symmetric.
        h = g * gain
        along_ones = h.sum(axis=-1, keepdims=True) / n
        along_normal = (h * normal).sum(axis=-1, keepdims=True) / n
        return scale * (h - along_ones - normal * along_normal)

    return normal * gain + bias, vjp_x, lambda g: g * normal, lambda g: g


@op
def rms_norm(x, gain, eps=1e-5):
    """Each row to mean square 1, then gain (Zhang & Sennrich 2019): half of what layer_norm does.

    (..., B, D), (..., 1, D) -> (..., B, D). Fused for speed.
    """
    n = x.shape[-1]
    require_one_for_each_feature(x, gain, gain)
    scale = 1 / xp.sqrt((x * x).sum(axis=-1, keepdims=True) / n + eps)
    normal = x * scale

    def vjp_x(g):
        # As for layer_norm, without a mean to subtract: dn_i/dx_j = scale (delta_ij - n_i n_j / D).
        h = g * gain
        return scale * (h - normal * ((h * normal).sum(axis=-1, keepdims=True) / n))

    return normal * gain, vjp_x, lambda g: g * normal


def one_thread_a_feature(x, n, *others):
    """A kernel's threads, where each goes down the batch alone with one feature, if it is short."""
    row = (*x.shape[:-2], 1, x.shape[-1])
    return (x.size // n, x.shape, row, row, row) if n <= 512 else None


@Kernel(
    "raw T x, int64 n, int64 features, T eps",
    "raw T normal, raw T mean, raw T variance, raw T scale",
    """
    const long long begin = i / features * n * features + i % features;
    const long long end = begin + n * features;
    T sum = 0, squares = 0;
    for (long long k = begin; k < end; k += features) sum += x[k];
    mean[i] = sum / n;
    for (long long k = begin; k < end; k += features) {
        normal[k] = x[k] - mean[i];
        squares += normal[k] * normal[k];
    }
    variance[i] = squares / n;
    scale[i] = 1 / sqrt(variance[i] + eps);
    for (long long k = begin; k < end; k += features) normal[k] *= scale[i];
    """,
    threads=one_thread_a_feature,
)
def standardised(x, n, features, eps):
    """x with mean 0 and variance 1 along the batch, and the mean, variance and scale of that."""
    mean = x.sum(axis=-2, keepdims=True) / n
    normal = x - mean
    variance = (normal * normal).sum(axis=-2, keepdims=True) / n
    scale = 1 / xp.sqrt(variance + eps)
    normal *= scale
    return normal, mean, variance, scale


@Kernel(
    "T mean, T variance, T part",
    "S running_mean, S running_variance",  # which may be of another dtype
    """
    running_mean += part * (mean - running_mean);
    running_variance += part * (variance - running_variance);
    """,
)
def approach(mean, variance, part, out):
    """Move two averages towards new values by that part of the way, in place."""
    for average, value in zip(out, (mean, variance)):
        average += part * (value - average)
    return out


@Kernel("T normal, T gain, T bias", "T y", "y = normal * gain + bias")
def gain_and_bias(normal, gain, bias):
    """normal * gain + bias."""
    y = normal * gain
    y += bias
    return y


def repeats(g, *others):
    """Whether the others repeat themselves along the leading axes that they lack, as in NumPy."""
    row = (*g.shape[:-2], 1, g.shape[-1])
    return all(a.shape in (g.shape[-a.ndim :], row[-a.ndim :]) for a in others)


def one_thread_a_gradient(g, normal, gain, scale, n, *sizes):
    """As one_thread_a_feature, if it knows where to find everything."""
    found = one_thread_a_feature(g, n) if repeats(g, normal, gain, scale) else None
    return found and found[:4]


@Kernel(
    "raw T g, raw T normal, raw T gain, raw T scale, int64 n, int64 features, "
    "int64 normals, int64 gains, int64 scales",
    "raw T gx, raw T along_ones, raw T along_normal",
    """
    const long long begin = i / features * n * features + i % features;
    const long long end = begin + n * features;
    T ones = 0, products = 0;
    for (long long k = begin; k < end; k += features) {
        ones += g[k];
        products += g[k] * normal[k % normals];
    }
    along_ones[i] = ones;
    along_normal[i] = products;
    for (long long k = begin; k < end; k += features)
        gx[k] = (normal[k % normals] * (products / -n) + g[k] - ones / n)
              * (gain[i % gains] * scale[i % scales]);
    """,
    threads=one_thread_a_gradient,
)
def batch_norm_gradients(g, normal, gain, scale, n, features, normals, gains, scales):
    """The gradients of x, bias and gain; the last numbers are the sizes of those arrays.

    As for layer_norm, along the batch; here gain is constant along the axis of the sums, so that
    these are the gradients of bias and gain.
    """
    along_ones = g.sum(axis=-2, keepdims=True)
    along_normal = (g * normal).sum(axis=-2, keepdims=True)
    gx = normal * (along_normal / -n)
    gx += g
    gx -= along_ones / n
    gx *= gain * scale
    return gx, along_ones, along_normal


def move_statistics(running, mean, variance, part, in_turn=False):
    """Move two running averages towards the statistics of a batch, or of G of them in turn."""
    if in_turn:
        for k in range(mean.shape[-3]):
            move_statistics(running, mean[..., k, :, :], variance[..., k, :, :], part)
        return
    if mean.ndim > running[0].ndim:  # it has leading axes that `running` lacks: average them
        axes = tuple(range(mean.ndim - running[0].ndim))
        mean, variance = mean.mean(axis=axes), variance.mean(axis=axes)
    xp.approach(mean, variance, part, out=tuple(running))


@op
def batch_norm(x, gain, bias, running=None, momentum=0.1, eps=1e-5, in_turn=False):
    """Each feature to mean 0 and variance 1 over the batch, then gain and bias. Fused for speed.

    Ioffe & Szegedy 2015, Algorithm 1: (..., B, D), (..., 1, D), (..., 1, D) -> (..., B, D).
    `running`, a pair of arrays (mean, variance), is moved towards the statistics of this batch by
    the fraction `momentum`. Deviation: the running variance is the biased one, as in training, so
    that evaluation repeats what training did; the paper's Algorithm 2 (and PyTorch) multiply it by
    n / (n - 1), for 32 rows by 1.03. With `in_turn` x is (..., G, B, D), and G batches
    move `running` one after the other.

    Raises:
        ValueError: fewer than two rows, which have no variance.
    """
    require_one_for_each_feature(x, gain, bias)
    n = x.shape[-2]
    if n < 2:
        raise ValueError(f"the batch has {n} rows: batch norm needs two or more for a variance")
    features = x.shape[-1]
    normal, mean, variance, scale = xp.standardised(x, n, features, eps)
    if running is not None:
        move_statistics(running, mean, variance, momentum, in_turn)

    @once
    def gradients(g):
        sizes = normal.size, gain.size, scale.size
        return xp.batch_norm_gradients(g, normal, gain, scale, n, features, *sizes)

    y = xp.gain_and_bias(normal, gain, bias)
    return y, lambda g: gradients(g)[0], lambda g: gradients(g)[2], lambda g: gradients(g)[1]
