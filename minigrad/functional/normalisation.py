"""Normalisation of rows (layer norm, RMS norm) and of features over a batch (batch norm)."""

from ..backend import Kernel, xp
from ..checks import check_pairs, check_shares
from ..engine import op
from .shared import once, require_floats


def require_one_for_each_feature(x, gain, bias):
    require_floats(x)
    if x.ndim < 2 or not x.shape[-1] == gain.shape[-1] == bias.shape[-1]:
        raise ValueError(
            f"rows x (..., B, D) and a gain and a bias for each of D features are expected, not x "
            f"{x.shape}, gain {gain.shape} and bias {bias.shape}"
        )
    if not x.dtype == gain.dtype == bias.dtype:
        raise TypeError(
            f"x is {x.dtype}, the gain {gain.dtype} and the bias {bias.dtype}: "
            f"x.astype({str(gain.dtype)!r}) converts"
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
        ValueError: fewer than two rows, which have no variance; or a momentum outside of [0, 1].
    """
    require_one_for_each_feature(x, gain, bias)
    n = x.shape[-2]
    if n < 2:
        raise ValueError(f"the batch has {n} rows: batch norm needs two or more for a variance")
    if gain.ndim > 1 and gain.shape[-2] != 1:
        raise ValueError(f"a gain has one number for each feature, (..., 1, D), not {gain.shape}")
    if running is not None:
        check_pairs(running=running)
        check_shares(momentum=momentum)
        mean, variance = running
        if hasattr(mean, "requires_grad") or hasattr(variance, "requires_grad"):
            raise TypeError("running is a pair of arrays, which are written into, not of Tensors")
        if mean.shape != variance.shape:
            raise ValueError(f"running averages of two shapes, {mean.shape} and {variance.shape}")
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
