"""Losses: means over the batch, one number for each of what leads."""

import functools
import math

import numpy

from ..backend import Kernel, Sum, xp
from ..checks import check_shares
from ..engine import Tensor, op
from .probabilities import one_thread_a_row
from .shared import require_floats

FEW_CLASSES = 100  # of so many there is a table, and label + 1 fits into any dtype


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
        ValueError: shapes that do not fit; a softmax in place of logits; on the CPU also class
            numbers outside 0 ... C-1, and probabilities that are negative or do not sum to one. On
            a GPU, which would have to be waited for, and in a compiled step such labels give a
            wrong loss without a word.
        TypeError: neither arrays nor Tensors, or a dtype that is neither kind of labels.
    """
    z = logits
    if isinstance(logits, Tensor):
        if logits.op == "softmax":
            raise ValueError("cross_entropy takes logits, not their softmax, which it takes itself")
        z = logits.data
    array = labels.data if isinstance(labels, Tensor) else labels
    if not (isinstance(z, xp.ndarray) and isinstance(array, xp.ndarray)):
        refuse_no_arrays(logits=logits, labels=labels)
    shape, kind = z.shape, array.dtype.kind
    if kind == "f":
        target = array.astype(z.dtype, copy=False)
    elif kind in "iub":
        target = xp.one_hot(z, array, shape[-1])
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
    if type(smoothing) is not float or smoothing:
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
    if isinstance(labels, numpy.ndarray) and classes <= FEW_CLASSES:  # then in half the time
        try:
            return _targets(classes, like.dtype).take(labels + 1, axis=0, mode="clip")
        except TypeError:  # of uint64, by which NumPy takes nothing
            pass
    is_class = labels[..., None] == xp.arange(classes)
    target = is_class.astype(like.dtype)
    return target


@functools.lru_cache
def _targets(classes, dtype):
    """A table of the targets of all classes, between two rows of 0 for labels out of range."""
    return numpy.eye(classes + 2, classes, -1, dtype)


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
    class probabilities, without a gradient; that they sum to one is not looked at here, but in
    cross_entropy, which see.
    """
    require_floats(logits)
    batch = logits.shape[-2]
    if not batch:
        raise ValueError(f"no rows, no mean: logits of shape {logits.shape}")
    shifted, exps, total = xp.exponentials(logits, logits.shape[-1])
    loss = xp.batch_cross_entropy(target, shifted, total, batch, axis=(-1, -2))

    def vjp(g):
        if g.ndim:  # NumPy takes three times as long for a factor (1, 1) as for a number
            g = g[..., None, None]
        elif isinstance(g, numpy.ndarray):  # to divide an array () takes it six times as long
            g = g[()]
        return xp.cross_entropy_gradient(g, target, exps, total, batch)

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
        ValueError: no rows, shapes of mean and target that differ, or a log_variance that fits
            neither.
        TypeError: anything but floating-point numbers.
    """
    for x in (mean, log_variance, target):
        require_floats(x)
    if mean.shape[-2:] != target.shape[-2:] or mean.ndim < 2 or not mean.size:
        raise ValueError(
            f"mean {mean.shape} and target {target.shape} differ in shape, or have no rows: "
            "expected (..., B, D) both (for y of shape (B,) give y[..., None])"
        )
    pairs = zip(log_variance.shape[::-1], mean.shape[:-3:-1])
    if any(n not in (1, m) for n, m in pairs):  # its terms would be more than those of the mean
        raise ValueError(f"log_variance {log_variance.shape} does not fit mean {mean.shape}")
    if target.dtype != mean.dtype:
        target = target.astype(mean.dtype)
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
