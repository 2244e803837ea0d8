"""The primitives: each op computes its value and, beside it, its vector-Jacobian products.

In every rule ``x`` and ``y`` are arrays of the backend (or Python numbers), ``g`` is the gradient
of the loss with respect to the value, of the value's shape. Broadcasting is undone by the engine.

Names follow NumPy, so ``sum``, ``max``, ``min`` and ``abs`` hide Python's own in this file.
"""

import itertools
import math
import operator
from numbers import Real
from typing import TYPE_CHECKING

import numpy

from . import backend, elsewhere
from .backend import xp
from .checks import check_flags, check_kind
from .contract import explained
from .engine import Tensor, op

if not TYPE_CHECKING:
    __getattr__ = elsewhere.telling(__name__, elsewhere.OPS)

# --- arithmetic ------------------------------------------------------------------------------


@op
def add(x, y):
    """x + y."""
    return x + y, lambda g: g, lambda g: g


@op
def subtract(x, y):
    """x - y."""
    return x - y, lambda g: g, lambda g: -g


@op
def multiply(x, y):
    """x * y, element by element."""
    return x * y, lambda g: g * y, lambda g: g * x


@op
def divide(x, y):
    """x / y."""
    z = x / y
    return z, lambda g: g / y, lambda g: -g * z / y


@op
def negative(x):
    """-x."""
    return -x, lambda g: -g


@op
def power(x, y):
    """x ** y. For a gradient with respect to the exponent, x must be >= 0; 0 log(0) counts as 0."""
    z = x**y

    def vjp_base(g):
        # y x^(y-1). With y = 0 the value is constant, but 0 * 0^(-1) would be NaN: any other
        # exponent will do.
        lower = xp.where(y == 0, 1, y - 1) if hasattr(y, "shape") else (y - 1 if y else 1)
        return g * y * x**lower

    def vjp_exponent(g):
        return g * z * xp.log(xp.where((z == 0) | (x == 0), 1, x))  # d(x^y)/dy = x^y log x

    return z, vjp_base, vjp_exponent


@op
def matmul(x, y):
    """(..., M, K) @ (..., K, N) -> (..., M, N); a vector is a matrix with one row (or column)."""
    if not (getattr(x, "ndim", 0) and getattr(y, "ndim", 0)):
        raise ValueError(
            "@ is for matrices and vectors: multiply by a number with *, make a Tensor of a list"
        )
    rows = x if x.ndim > 1 else x[None, :]
    columns = y if y.ndim > 1 else y[:, None]
    try:
        z = x @ y
    except ValueError:
        raise ValueError(
            f"x @ y of shapes {x.shape} and {y.shape}: the last axis of x must be as long as the "
            "last but one (or only) of y, and the axes in front must broadcast"
        ) from None

    def as_matrix(g):
        g = g if y.ndim > 1 else g[..., None]
        return g if x.ndim > 1 else g[..., None, :]

    def vjp_left(g):
        gx = as_matrix(g) @ columns.mT
        return gx if x.ndim > 1 else gx[..., 0, :]

    def vjp_right(g):
        gy = product_over_rows(rows, as_matrix(g), columns.ndim)
        return gy if y.ndim > 1 else gy[..., 0]

    return z, vjp_left, vjp_right


def product_over_rows(x, g, ndim):
    """x.mT @ g, the gradient of a matrix W in x @ W: (..., M, K), (..., M, N) -> (..., K, N).

    A plain matrix (`ndim` 2) is shared by all that leads: then leading axes are just more rows, and
    one product adds everything up where a stack of products would have to be summed afterwards.
    """
    if ndim == 2 and x.ndim > 2 and x.shape[:-1] == g.shape[:-1]:
        rows = math.prod(x.shape[:-1])  # not -1, which an empty array does not tell
        x, g = x.reshape(rows, x.shape[-1]), g.reshape(rows, g.shape[-1])
    return x.mT @ g


# --- elementwise functions -------------------------------------------------------------------


@op
def exp(x):
    """e to the power of x."""
    y = xp.exp(x)
    return y, lambda g: g * y


@op
def log(x):
    """The natural logarithm."""
    return xp.log(x), lambda g: g / x


@op
def log1p(x):
    """log(1 + x), exact for small x too."""
    return xp.log1p(x), lambda g: g / (1 + x)


@op
def expm1(x):
    """exp(x) - 1, exact for small x too."""
    y = xp.expm1(x)
    return y, lambda g: g * (y + 1)


@op
def sqrt(x):
    """Its derivative is infinite at 0."""
    y = xp.sqrt(x)
    return y, lambda g: g * 0.5 / y


@op
def abs(x):
    """Its derivative at 0 is taken as 0."""
    return xp.abs(x), lambda g: g * xp.sign(x)


@op
def sin(x):
    """The sine of x in radians."""
    return xp.sin(x), lambda g: g * xp.cos(x)


@op
def cos(x):
    """The cosine of x in radians."""
    return xp.cos(x), lambda g: -g * xp.sin(x)


@op
def tanh(x):
    """The hyperbolic tangent."""
    y = xp.tanh(x)
    return y, lambda g: g * (1 - y * y)


@op
def maximum(x, y):
    """Where both are equal, each gets half of the gradient."""
    return (
        xp.maximum(x, y),
        lambda g: xp.where(x == y, g / 2, xp.where(x > y, g, 0)),
        lambda g: xp.where(x == y, g / 2, xp.where(x < y, g, 0)),
    )


@op
def minimum(x, y):
    """Where both are equal, each gets half of the gradient."""
    return (
        xp.minimum(x, y),
        lambda g: xp.where(x == y, g / 2, xp.where(x < y, g, 0)),
        lambda g: xp.where(x == y, g / 2, xp.where(x > y, g, 0)),
    )


@op
def clip(x, low=None, high=None):
    """Limit x to [low, high]; the gradient passes where x is inside or on the border.

    None in place of a limit is no limit.
    """
    known = int, float, numpy.ndarray  # what is on a GPU would have to be waited for
    if isinstance(low, known) and isinstance(high, known) and not numpy.all(low <= high):
        raise ValueError(f"clip from {low} to {high}: the first must not be the larger")

    def vjp(g):
        g = g if low is None else g * (x >= low)
        return g if high is None else g * (x <= high)

    return xp.clip(x, low, high), vjp


@op
def where(condition, x, y):
    """x where the condition, of booleans (or integers, 0 for false), holds, y elsewhere."""
    condition = condition if hasattr(condition, "dtype") else xp.asarray(condition)
    if condition.dtype.kind not in "biu":
        raise TypeError(f"a condition is booleans, x > 0 say, not {condition.dtype}")
    if not (hasattr(x, "dtype") or hasattr(y, "dtype")):
        x = xp.float32(x)  # as everywhere, numbers become float32
    z = xp.where(condition, x, y)
    return z, None, lambda g: xp.where(condition, g, 0), lambda g: xp.where(condition, 0, g)


# --- reductions ------------------------------------------------------------------------------
# `axis` is None (all), a number or a tuple of them, as in NumPy. Each rule first keeps the axes,
# with length one: g in that shape broadcasts against x.


def drop_axes(y, axis, keepdims):
    if type(keepdims) is not bool:
        check_flags(keepdims=keepdims)
    return y if keepdims else y.squeeze(axis)


def mean_of(x, y):
    """How many elements of x each element of y is the mean of; of none there is no mean."""
    if y.size and not x.size:
        raise ValueError(f"the mean of nothing: x has the shape {x.shape}")
    return x.size / (y.size or 1)


@op
def sum(x, axis=None, *, keepdims=False):
    """The sum over `axis`."""
    y, shape = x.sum(axis=axis, keepdims=True), x.shape
    return drop_axes(y, axis, keepdims), lambda g: xp.broadcast_to(g.reshape(y.shape), shape)


@op
def mean(x, axis=None, *, keepdims=False):
    """The mean over `axis`."""
    y, shape = x.sum(axis=axis, keepdims=True), x.shape
    n = mean_of(x, y)
    y = y / n
    return drop_axes(y, axis, keepdims), lambda g: xp.broadcast_to(g.reshape(y.shape) / n, shape)


@op
def var(x, axis=None, *, keepdims=False):
    """The population variance, as the mean of squared deviations (never E[x^2] - E[x]^2)."""
    deviation = x - x.mean(axis=axis, keepdims=True)
    y = xp.square(deviation).mean(axis=axis, keepdims=True)
    n = mean_of(x, y)
    # d/dx_i mean_j (x_j - m)^2 = 2 (x_i - m) / n; through m comes 0, as deviations sum to 0.
    return drop_axes(y, axis, keepdims), lambda g: g.reshape(y.shape) * 2 * deviation / n


def _extremum(x, y, axis, keepdims):
    """The value and vjp of max and min; equal extrema share the gradient equally."""
    chosen = x == y
    count = chosen.sum(axis=axis, keepdims=True, dtype=x.dtype)
    return drop_axes(y, axis, keepdims), lambda g: g.reshape(y.shape) * chosen / count


@op
def max(x, axis=None, *, keepdims=False):
    """The largest element along `axis`; equal ones share the gradient equally."""
    return _extremum(x, x.max(axis=axis, keepdims=True), axis, keepdims)


@op
def min(x, axis=None, *, keepdims=False):
    """The smallest element along `axis`; equal ones share the gradient equally."""
    return _extremum(x, x.min(axis=axis, keepdims=True), axis, keepdims)


@op
def cumsum(x, axis):
    """Running sums along `axis` (None: of the flat array).

    x_i enters all sums from the i-th on, so its gradient is a sum from the end.
    """
    shape = x.shape

    def vjp(g):
        from_the_end = xp.cumsum(xp.flip(g, axis=axis), axis=axis)
        return xp.flip(from_the_end, axis=axis).reshape(shape)

    return xp.cumsum(x, axis=axis), vjp


@op
def sort(x, axis=-1):
    """Ascending along `axis`; the gradient is carried back by the inverse permutation."""
    order, shape = xp.argsort(x, axis=axis), x.shape

    def vjp(g):
        inverse = xp.argsort(order, axis=axis)
        return xp.take_along_axis(g, inverse, axis=axis).reshape(shape)

    return xp.take_along_axis(x, order, axis=axis), vjp


@op
def astype(x, dtype):
    """The same numbers in another dtype; integers have no gradient to send back."""
    y = x.astype(dtype)
    if y.dtype.kind not in "biuf":
        raise TypeError(f"an array holds real numbers, not {y.dtype}")
    return y, (lambda g: g) if y.dtype.kind == "f" else None


# --- shapes ----------------------------------------------------------------------------------


@op
def reshape(x, shape):
    """The same elements in another shape, a tuple; -1 is what fits."""
    before = x.shape
    return x.reshape(shape), lambda g: g.reshape(before)


@op
def transpose(x, axes=None):
    """Reorder the axes (reverse them, without `axes`)."""
    if axes is None:
        return xp.transpose(x), lambda g: xp.transpose(g)
    y, n = xp.transpose(x, axes), x.ndim
    return y, lambda g: xp.transpose(g, sorted(range(n), key=lambda i: axes[i] % n))


@op
def swap_last_axes(x):
    """The transpose of the matrices in the last two axes: ``x.mT``."""
    return x.mT, lambda g: g.mT


@op
def expand_dims(x, axis):
    """Axes of length 1, put in so that they are `axis` (a number or a tuple) of the result."""
    before = x.shape
    return xp.expand_dims(x, axis), lambda g: g.reshape(before)


@op
def squeeze(x, axis=None):
    """Axes of length 1 taken out: all of them, or `axis`."""
    before = x.shape
    return xp.squeeze(x, axis=axis), lambda g: g.reshape(before)


@op
def broadcast_to(x, shape):
    """Repeated along axes of length 1 and along new ones in front, to fill `shape`."""
    return xp.broadcast_to(x, shape), lambda g: g


@op
def concatenate_all(*xs, axis):
    """See `concatenate`."""
    y, ends = xp.concatenate(xs, axis=axis), [0]
    for x in xs:
        ends.append(ends[-1] + x.shape[axis])

    def vjp(i):
        return lambda g: xp.moveaxis(xp.moveaxis(g, axis, 0)[ends[i] : ends[i + 1]], 0, axis)

    return y, *map(vjp, range(len(xs)))


@op
def stack_all(*xs, axis):
    """See `stack`."""

    def vjp(i):
        return lambda g: xp.moveaxis(g, axis, 0)[i]

    return xp.stack(xs, axis=axis), *map(vjp, range(len(xs)))


@explained
def concatenate(xs, axis=0) -> Tensor:
    """Join a list of Tensors along an axis that they have."""
    return concatenate_all(*map(_tensor, xs), axis=operator.index(axis))


@explained
def stack(xs, axis=0) -> Tensor:
    """Join a list of Tensors of one shape along a new axis."""
    return stack_all(*map(_tensor, xs), axis=operator.index(axis))


def _tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


@explained
def split(x, sections, axis=-1) -> list[Tensor]:
    """Cut x into `sections` equal parts (a number), or at the given places (a list), which rise."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"there is no axis {axis} to cut in an array of shape {x.shape}")
    n = x.shape[axis]
    if not isinstance(sections, (list, tuple, numpy.ndarray)):
        sections = operator.index(sections)
        if sections < 1 or n % sections:
            raise ValueError(f"cannot cut an axis of length {n} into {sections} equal parts")
        sections = range(n // sections, n, n // sections)
    borders = [0, *(place + n if place < 0 else place for place in sections), n]
    if any(a >= b for a, b in itertools.pairwise(borders)) and n:
        raise ValueError(f"places to cut {n} elements rise from 1 to {n - 1}, not {sections}")
    before = (slice(None),) * (axis % x.ndim)
    return [getitem(x, (*before, slice(a, b))) for a, b in itertools.pairwise(borders)]


@op
def pad(x, widths, value: float = 0):
    """Add constant borders; `widths` is one (before, after) pair per axis."""
    try:
        inside = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))
    except (TypeError, ValueError):
        raise ValueError(
            f"an array of {x.ndim} axes is padded by {x.ndim} pairs (before, after), not {widths}"
        ) from None
    check_kind(Real, value=value)
    return xp.pad(x, widths, constant_values=value), lambda g: g[inside]


# --- picking elements ------------------------------------------------------------------------


def _names_each_once(part):
    """Whether a part of an index cannot name an element twice, as a sequence of integers can."""
    if hasattr(part, "dtype"):
        return part.dtype.kind == "b" or part.ndim == 0
    return part is None or part is ... or isinstance(part, (slice, int))


@op
def getitem(x, index):
    """x[index]: slices, integers, arrays or sequences of integers (with repeats), boolean masks."""
    shape, dtype = x.shape, x.dtype
    parts = index if isinstance(index, tuple) else (index,)

    def vjp(g):
        gx = xp.zeros(shape, dtype)
        if all(map(_names_each_once, parts)):
            gx[index] = g
        else:
            backend.add_at(gx, index, g)
        return gx

    return x[index], vjp


@op
def take_along_axis(x, indices, axis):
    """One element for every index along `axis`, the other axes side by side."""
    if axis is None:
        raise ValueError(
            "take_along_axis needs an axis: reshape(-1) first, to take from a flat array"
        )
    y, shape, dtype = xp.take_along_axis(x, indices, axis=axis), x.shape, x.dtype

    def vjp(g):
        gx = xp.zeros(shape, dtype)
        # The positions of all elements of g, with the given indices in place of those of `axis`.
        where_to = [
            xp.arange(n).reshape([-1 if a == b else 1 for b in range(len(shape))])
            for a, n in enumerate(shape)
        ]
        where_to[axis] = indices
        backend.add_at(gx, tuple(where_to), g)
        return gx

    return y, vjp, None


def require_room(x, values):
    """Raise TypeError for fractions that are to go into an array of integers: they would be cut."""
    kind = "f" if isinstance(values, float) else getattr(values, "dtype", x.dtype).kind
    if kind == "f" and x.dtype.kind != "f":
        raise TypeError(f"floating-point numbers into an array of {x.dtype}: x.astype('float32')")


@op
def set_at(x, index, values):
    """A copy of x with x[index] = values. No element may be named twice (checked on the CPU)."""
    require_room(x, values)
    y = xp.array(x)
    y[index] = values
    parts = index if isinstance(index, tuple) else (index,)
    if isinstance(x, numpy.ndarray) and not all(map(_names_each_once, parts)):
        places = numpy.arange(x.size).reshape(x.shape)[index]
        if numpy.unique(places).size < places.size:
            raise ValueError("an index that names an element twice: which value is it to have?")

    def vjp(g):
        gx = xp.array(g)
        gx[index] = 0
        return gx

    return y, vjp, None, lambda g: g[index]


@op
def add_at(x, index, values):
    """A copy of x with x[index] += values, where an element named twice is added to twice."""
    require_room(x, values)
    y = xp.array(x)
    backend.add_at(y, index, values)
    return y, lambda g: g, None, lambda g: g[index]
