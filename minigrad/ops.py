"""The primitives: each op computes its value and, beside it, its vector-Jacobian products.

In every rule ``x`` and ``y`` are arrays of the backend (or Python numbers), ``g`` is the gradient
of the loss with respect to the value, of the value's shape. Broadcasting is undone by the engine.
The last section attaches the ops to Tensor as operators and methods.

Names follow NumPy, so ``sum``, ``max``, ``min`` and ``abs`` hide Python's own in this file.
"""

import itertools

from . import backend
from .backend import xp
from .engine import Tensor, op

# --- arithmetic ------------------------------------------------------------------------------


@op
def add(x, y):
    return x + y, lambda g: g, lambda g: g


@op
def subtract(x, y):
    return x - y, lambda g: g, lambda g: -g


@op
def multiply(x, y):
    return x * y, lambda g: g * y, lambda g: g * x


@op
def divide(x, y):
    z = x / y
    return z, lambda g: g / y, lambda g: -g * z / y


@op
def negative(x):
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
    rows = x if x.ndim > 1 else x[None, :]
    columns = y if y.ndim > 1 else y[:, None]
    z = x @ y

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
        x, g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    return x.mT @ g


# --- elementwise functions -------------------------------------------------------------------


@op
def exp(x):
    y = xp.exp(x)
    return y, lambda g: g * y


@op
def log(x):
    return xp.log(x), lambda g: g / x


@op
def log1p(x):
    return xp.log1p(x), lambda g: g / (1 + x)


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
    return xp.sin(x), lambda g: g * xp.cos(x)


@op
def cos(x):
    return xp.cos(x), lambda g: -g * xp.sin(x)


@op
def tanh(x):
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
def clip(x, low, high):
    """Limit x to [low, high]; the gradient passes where x is inside or on the border."""
    return xp.clip(x, low, high), lambda g: g * ((x >= low) & (x <= high))


@op
def where(condition, x, y):
    """x where the condition holds, y elsewhere."""
    z = xp.where(condition, x, y)
    return z, None, lambda g: xp.where(condition, g, 0), lambda g: xp.where(condition, 0, g)


# --- reductions ------------------------------------------------------------------------------
# `axis` is None (all), a number or a tuple of them, as in NumPy. Each rule first keeps the axes,
# with length one: g in that shape broadcasts against x.


def drop_axes(y, axis, keepdims):
    return y if keepdims else y.squeeze(axis)


@op
def sum(x, axis=None, keepdims=False):
    y, shape = x.sum(axis=axis, keepdims=True), x.shape
    return drop_axes(y, axis, keepdims), lambda g: xp.broadcast_to(g.reshape(y.shape), shape)


@op
def mean(x, axis=None, keepdims=False):
    y, shape = x.sum(axis=axis, keepdims=True), x.shape
    n = x.size / (y.size or 1)
    y = y / n
    return drop_axes(y, axis, keepdims), lambda g: xp.broadcast_to(g.reshape(y.shape) / n, shape)


@op
def var(x, axis=None, keepdims=False):
    """The population variance, as the mean of squared deviations (never E[x^2] - E[x]^2)."""
    deviation = x - x.mean(axis=axis, keepdims=True)
    y = xp.square(deviation).mean(axis=axis, keepdims=True)
    n = x.size / (y.size or 1)
    # d/dx_i mean_j (x_j - m)^2 = 2 (x_i - m) / n; through m comes 0, as deviations sum to 0.
    return drop_axes(y, axis, keepdims), lambda g: g.reshape(y.shape) * 2 * deviation / n


def _extremum(x, y, axis, keepdims):
    """The value and vjp of max and min; equal extrema share the gradient equally."""
    chosen = x == y
    count = chosen.sum(axis=axis, keepdims=True, dtype=x.dtype)
    return drop_axes(y, axis, keepdims), lambda g: g.reshape(y.shape) * chosen / count


@op
def max(x, axis=None, keepdims=False):
    return _extremum(x, x.max(axis=axis, keepdims=True), axis, keepdims)


@op
def min(x, axis=None, keepdims=False):
    return _extremum(x, x.min(axis=axis, keepdims=True), axis, keepdims)


@op
def cumsum(x, axis):
    """Running sums; x_i enters all sums from the i-th on, so the gradient is a sum from the end."""
    return xp.cumsum(x, axis=axis), lambda g: xp.flip(
        xp.cumsum(xp.flip(g, axis=axis), axis=axis), axis=axis
    )


@op
def sort(x, axis=-1):
    """Ascending; the gradient is carried back by the inverse permutation."""
    order = xp.argsort(x, axis=axis)
    inverse = xp.argsort(order, axis=axis)
    return xp.take_along_axis(x, order, axis=axis), lambda g: xp.take_along_axis(
        g, inverse, axis=axis
    )


@op
def astype(x, dtype):
    """The same numbers in another dtype; integers have no gradient to send back."""
    y = x.astype(dtype)
    return y, (lambda g: g) if y.dtype.kind == "f" else None


# --- shapes ----------------------------------------------------------------------------------


@op
def reshape(x, shape):
    before = x.shape
    return x.reshape(shape), lambda g: g.reshape(before)


@op
def transpose(x, axes=None):
    """Reorder the axes (reverse them, without `axes`)."""
    if axes is None:
        return xp.transpose(x), lambda g: xp.transpose(g)
    inverse = sorted(range(x.ndim), key=lambda i: axes[i] % x.ndim)
    return xp.transpose(x, axes), lambda g: xp.transpose(g, inverse)


@op
def swap_last_axes(x):
    """The transpose of the matrices in the last two axes: ``x.mT``."""
    return x.mT, lambda g: g.mT


@op
def expand_dims(x, axis):
    before = x.shape
    return xp.expand_dims(x, axis), lambda g: g.reshape(before)


@op
def squeeze(x, axis=None):
    before = x.shape
    return xp.squeeze(x, axis=axis), lambda g: g.reshape(before)


@op
def broadcast_to(x, shape):
    return xp.broadcast_to(x, shape), lambda g: g


@op
def concatenate_all(*xs, axis):
    ends = [0]
    for x in xs:
        ends.append(ends[-1] + x.shape[axis])

    def vjp(i):
        return lambda g: xp.moveaxis(xp.moveaxis(g, axis, 0)[ends[i] : ends[i + 1]], 0, axis)

    return xp.concatenate(xs, axis=axis), *map(vjp, range(len(xs)))


@op
def stack_all(*xs, axis):
    def vjp(i):
        return lambda g: xp.moveaxis(g, axis, 0)[i]

    return xp.stack(xs, axis=axis), *map(vjp, range(len(xs)))


def concatenate(xs, axis=0):
    """Join a list of Tensors along an axis that they have."""
    return concatenate_all(*xs, axis=axis)


def stack(xs, axis=0):
    """Join a list of Tensors of one shape along a new axis."""
    return stack_all(*xs, axis=axis)


def split(x, sections, axis=-1):
    """Cut x into `sections` equal parts (a number), or at the given places (a list)."""
    n = x.shape[axis]
    if isinstance(sections, int):
        if sections < 1 or n % sections:
            raise ValueError(f"cannot cut an axis of length {n} into {sections} equal parts")
        sections = range(n // sections, n, n // sections)
    borders = [0, *sections, n]
    before = (slice(None),) * (axis % x.ndim)
    return [getitem(x, (*before, slice(a, b))) for a, b in itertools.pairwise(borders)]


@op
def pad(x, widths, value=0):
    """Add constant borders; `widths` is one (before, after) pair per axis."""
    inside = tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape))
    return xp.pad(x, widths, constant_values=value), lambda g: g[inside]


# --- picking elements ------------------------------------------------------------------------


@op
def getitem(x, index):
    """x[index]: slices, integers, integer arrays (with repeats) and boolean masks."""
    shape, dtype = x.shape, x.dtype
    parts = index if isinstance(index, tuple) else (index,)
    repeats = any(
        isinstance(i, list) or (hasattr(i, "dtype") and i.dtype.kind != "b") for i in parts
    )

    def vjp(g):
        gx = xp.zeros(shape, dtype)
        if repeats:
            backend.add_at(gx, index, g)
        else:
            gx[index] = g
        return gx

    return x[index], vjp


@op
def take_along_axis(x, indices, axis):
    """One element for every index along `axis`, the other axes side by side."""
    shape, dtype, axis = x.shape, x.dtype, axis % x.ndim

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

    return xp.take_along_axis(x, indices, axis=axis), vjp


# --- Tensor's operators and methods ----------------------------------------------------------


def _spread(*values):
    """Let a method take axes as f(1, 2) or as f((1, 2))."""
    return values[0] if len(values) == 1 and isinstance(values[0], (tuple, list)) else values


def _arrays(index):
    """The arrays of the Tensors in an index."""
    if isinstance(index, tuple):
        return tuple(_arrays(i) for i in index)
    return index.data if isinstance(index, Tensor) else index


def _plain(function):
    """Comparisons and the like: computed on arrays, never part of a graph."""
    return lambda *args, **options: Tensor(function(*map(_arrays, args), **options))


Tensor.__add__ = Tensor.__radd__ = add
Tensor.__sub__ = subtract
Tensor.__rsub__ = lambda x, y: subtract(y, x)
Tensor.__mul__ = Tensor.__rmul__ = multiply
Tensor.__truediv__ = divide
Tensor.__rtruediv__ = lambda x, y: divide(y, x)
Tensor.__pow__ = power
Tensor.__rpow__ = lambda x, y: power(y, x)
Tensor.__matmul__ = matmul
Tensor.__rmatmul__ = lambda x, y: matmul(y, x)
Tensor.__neg__ = negative
Tensor.__abs__ = abs
Tensor.__getitem__ = lambda x, index: getitem(x, _arrays(index))

Tensor.__lt__ = _plain(lambda x, y: x < y)
Tensor.__le__ = _plain(lambda x, y: x <= y)
Tensor.__gt__ = _plain(lambda x, y: x > y)
Tensor.__ge__ = _plain(lambda x, y: x >= y)
Tensor.__eq__ = _plain(lambda x, y: x == y)
Tensor.__ne__ = _plain(lambda x, y: x != y)
Tensor.argmax = _plain(lambda x, axis=None: x.argmax(axis=axis))
Tensor.argmin = _plain(lambda x, axis=None: x.argmin(axis=axis))

for _method in (exp, log, sqrt, tanh, clip, sum, mean, var, max, min, cumsum, squeeze, astype):
    setattr(Tensor, _method.__name__, _method)
Tensor.reshape = lambda x, *shape: reshape(x, _spread(*shape))
Tensor.transpose = lambda x, *axes: transpose(x, _spread(*axes) or None)
Tensor.T = property(transpose)
Tensor.mT = property(swap_last_axes)
