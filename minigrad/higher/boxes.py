"""Rules compute with Tensors: what stands behind ``xp`` while gradients are differentiated.

A rule computes with whatever arrays it is given. So it is given a `Box`: an array to look at, a
Tensor inside. What the rule does to a Box an op does to the Tensor in it, and is recorded::

    y = Tensor(Box(x), requires_grad=True)   # a Tensor whose array is a Tensor
    (y**3).backward()
    y.grad.tensor                            # 3 x^2, a Tensor with a graph that ends in x

It is as if each Tensor had a floor below it: ops upstairs take Tensors whose arrays are Boxes; what
their rules and vjps compute happens downstairs, one `level` lower, in the Tensors inside; on the
ground, level 0, arrays are arrays. A third derivative takes two floors. Three things need care:

* In-place work. ``y += 1`` gives the Box another Tensor, so whoever holds the old one keeps it.
  But then a view does not see what is written to its base, nor the base what is written to a view:
  both are errors (the first when the view is used).
* What comes from outside. Of a function's argument f(x) = w x upstairs, w is a constant upstairs
  and a variable downstairs: an op's inputs are lifted, by the engine's only concession (`lift`).
* Numbers without a derivative (comparisons, signs, ranks) are what they are on the ground: arrays.
"""

import operator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from .. import engine, functional, ops
from ..backend import xp
from ..methods import Tensor
from ..spiking import NOT_A_TRUE_GRADIENT

# The floor where this thread computes.
level = ContextVar("level", default=0)

# On the ground, a Tensor with a lower serial number than this is a constant (see `_gradient`).
oldest = ContextVar("oldest", default=0)


@contextmanager
def at(variable, value):
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


# --- the Box ---------------------------------------------------------------------------------


class Box:
    """An array that is a Tensor inside. Most of its methods are made from the tables below.

    `base` is the Box that this one is a view of, if it is one.
    """

    __slots__ = ("tensor", "level", "base", "seen")

    shape: Any
    dtype: Any
    swapaxes: Any
    T: Any
    mT: Any

    __hash__: Any = None
    __array_ufunc__ = None  # NumPy leaves ``array * box`` to Box.__rmul__

    def __init__(self, tensor, base: Any = None):
        if base is not None and base.base is not None:
            base = base.base  # a view of a view is one of the same array
        self.tensor, self.level = tensor, level.get()
        self.base, self.seen = base, None if base is None else base.tensor

    def read(self):
        if self.base is not None and self.base.tensor is not self.seen:
            raise RuntimeError(
                "no second derivative: this rule writes to an array and then uses a view of it"
            )
        return self.tensor

    def write(self, tensor):
        """Hold the value of `tensor` from now on, as ``self[...] = tensor`` would do."""
        if self.base is not None:
            raise RuntimeError(
                "no second derivative: this rule writes to a view of an array "
                "(y[i] += z is one: y[i] = y[i] + z is none)"
            )
        if tensor.shape != self.shape:
            raise ValueError(f"a result of shape {tensor.shape} for an array of {self.shape}")
        self.tensor = tensor

    def get(self):
        """The numbers, as a NumPy array (`backend.to_numpy` calls this)."""
        return self.tensor.numpy()

    def __getitem__(self, index):
        parts = index if isinstance(index, tuple) else (index,)
        copies = any(isinstance(i, list) or hasattr(i, "dtype") for i in parts)
        return (_getitem if copies else _getitem_view)(self, numbers(index))

    def __setitem__(self, index, value):
        _set_at(self, numbers(index), value, out=self)

    def astype(self, dtype, copy=True):
        return self if self.dtype == dtype and not copy else _astype(self, dtype)

    def copy(self):
        return _astype(self, self.dtype)

    def sum(self, axis=None, dtype=None, keepdims=False):
        return _sum(self.astype(dtype or self.dtype, copy=False), axis, keepdims=keepdims)

    def __array__(self, *args, **options):
        raise TypeError("an array with a derivative is not silently turned into a NumPy array")

    def __array_function__(self, function, *rest):
        raise TypeError(f"higher/boxes.py has no numpy.{function.__name__}: add it to a table")

    def __repr__(self):
        return f"Box({self.tensor})"


def content(x):
    """What is to be computed with downstairs: Boxes, also in lists, give way to their Tensors."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(content, x))
    if type(x) is not Box:
        return x
    if x.level != level.get():
        raise RuntimeError("a Tensor from inside a function was used after its gradient was taken")
    return x.read()


def numbers(x):
    """The same on the ground: Boxes, also in lists, give way to their arrays of numbers."""
    if isinstance(x, (list, tuple)):
        return type(x)(map(numbers, x))
    return numbers(x.read().data) if type(x) is Box else x


def boxed(array):
    """An array of numbers as a Box: a constant."""
    with at(level, 0):
        tensor = Tensor(array)
    return Box(tensor)


def lifted(function, view=False, plain=None):
    """`function`, of Tensors, as one of Boxes; for arrays alone it is `plain`.

    Args:
        view: whether the result shows its first argument's memory, and not its own.
    """

    def call(*args, out=None, **options):
        if plain and not any(type(a) is Box for a in (out, *args, *_inside(args))):
            return plain(*args, **(options if out is None else options | {"out": out}))
        tensors = content(args)
        here = level.set(level.get() - 1)  # not by at(): the time is spent in here
        try:
            result = function(*tensors, **options)
            if out is not None and result.dtype != out.dtype:
                result = result.astype(out.dtype)
        finally:
            level.reset(here)
        if out is None:
            return Box(result, args[0] if view else None)
        out.write(result)
        return out

    return call


def _inside(args):
    return args[0] if args and isinstance(args[0], (list, tuple)) else ()


# --- what can be done to a Box ----------------------------------------------------------------


def _moveaxis(x, source, destination):
    order = list(range(x.ndim))
    order.insert(destination % x.ndim, order.pop(source))
    return ops.transpose(x, order)


def _swapaxes(x, a, b):
    order = list(range(x.ndim))
    order[a], order[b] = order[b], order[a]
    return ops.transpose(x, order)


def _flip(x, axis):
    axes = [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    return x[tuple(slice(None, None, -1 if i in axes else None) for i in range(x.ndim))]


# The functions of xp that an op of the same name and arguments stands for, and all others.
SAME_AS_OPS = """
    abs add broadcast_to clip concatenate cos cumsum divide exp expand_dims expm1 log log1p matmul
    maximum minimum multiply negative power sin sort sqrt squeeze stack subtract take_along_axis
    tanh transpose where
"""
FUNCTIONS = {name: getattr(ops, name) for name in SAME_AS_OPS.split()} | {
    "flip": _flip,
    "logaddexp": lambda x, y: functional.softplus(x - y) + y,
    "moveaxis": _moveaxis,
    "pad": lambda x, widths, constant_values=0: ops.pad(x, widths, constant_values),
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "swapaxes": _swapaxes,
}
# Methods and properties of arrays that are those of Tensor, and those that only look at numbers.
METHODS = "cumsum max mean min reshape squeeze __abs__ __neg__"
PROPERTIES = "shape dtype ndim size"
LOOKS = "argmax argmin item __bool__ __float__ __int__ __invert__ __len__"
OPERATORS = "add sub mul truediv pow matmul"
COMPARISONS = "eq ne lt le gt ge and or"
# Functions that see their arguments' memory, functions without a derivative, and new arrays.
VIEWS = "T broadcast_to expand_dims flip mT moveaxis reshape squeeze swapaxes transpose"
CONSTANT = """
    argmax argmin argsort ceil equal floor greater greater_equal isfinite isinf isnan less
    less_equal not_equal rint round sign
"""
NEW = "empty empty_like full full_like ones ones_like zeros zeros_like"

for _name in METHODS.split():
    setattr(Box, _name, lifted(getattr(Tensor, _name), view=_name in VIEWS.split()))
for _name in PROPERTIES.split():
    setattr(Box, _name, property(operator.attrgetter(f"tensor.{_name}")))
for _name in LOOKS.split():
    setattr(Box, _name, lambda x, *a, name=_name, **axis: getattr(numbers(x), name)(*a, **axis))
for _name in OPERATORS.split():
    _forward = lifted(getattr(Tensor, f"__{_name}__"))
    setattr(Box, f"__{_name}__", _forward)
    setattr(Box, f"__r{_name}__", lifted(getattr(Tensor, f"__r{_name}__")))
    setattr(Box, f"__i{_name}__", lambda x, y, function=_forward: function(x, y, out=x))
for _name in COMPARISONS.split():
    _plain = getattr(operator, f"__{_name}__")
    setattr(Box, f"__{_name}__", lambda x, y, plain=_plain: plain(numbers(x), numbers(y)))
Box.swapaxes = lifted(_swapaxes, view=True)
Box.T, Box.mT = (property(lifted(operator.attrgetter(name), view=True)) for name in ("T", "mT"))

_getitem, _getitem_view = lifted(ops.getitem), lifted(ops.getitem, view=True)
_astype, _sum, _set_at, _add_at = map(lifted, (ops.astype, ops.sum, ops.set_at, ops.add_at))


class Upstairs:
    """What stands behind xp: on the ground the library, above it the same functions of Boxes."""

    def __init__(self, library):
        self.library = library
        self.ndarray = (Box, library.ndarray)  # for isinstance()

    def __getattr__(self, name):
        plain = getattr(self.library, name)
        if name in FUNCTIONS:
            function = lifted(FUNCTIONS[name], name in VIEWS.split(), plain)
            if name == "add":
                function.at = self.add_at
            return function
        if name in CONSTANT.split():
            return lambda *args, **options: plain(*map(numbers, args), **options)
        if name in NEW.split():
            return lambda *args, **options: self.asarray(plain(*map(numbers, args), **options))
        return plain

    def add_at(self, target, index, values):
        if type(target) is Box:
            _add_at(target, numbers(index), values, out=target)
        else:
            self.library.add.at(target, index, values)

    def asarray(self, x, dtype=None):
        if type(x) is Box:
            return x if dtype is None else x.astype(dtype, copy=False)
        array = self.library.asarray(x, dtype)
        return boxed(array) if level.get() else array

    def array(self, x, dtype=None):
        if type(x) is Box:
            return x.astype(dtype or x.dtype)
        return self.asarray(self.library.array(x, dtype))


# --- lifting ---------------------------------------------------------------------------------


def lift(name, inputs, options):
    """What an op is given, as its floor needs it: what comes from outside becomes a constant.

    In options too, so that what a rule writes to (running statistics) is a Box.
    """
    here = level.get()
    if not here:
        limit = oldest.get()
        return [x.detach() if _is_older(x, limit) else x for x in inputs], options
    if name in NOT_A_TRUE_GRADIENT:
        raise TypeError(f"op {name} has no second derivative: {NOT_A_TRUE_GRADIENT[name]}")
    return [_lift(x, here) for x in inputs], {key: _box(x) for key, x in options.items()}


def _is_older(x, limit):
    return isinstance(x, Tensor) and x.order < limit and x.requires_grad


def _lift(x, here):
    if not isinstance(x, Tensor):
        return Tensor(_box(x)) if isinstance(x, xp.ndarray) else x
    if type(x.data) is not Box or x.data.level < here:
        return Tensor(Box(x))
    if x.op is None and not x.requires_grad and x.data.tensor.requires_grad:
        with at(level, here - 1):
            below = x.data.tensor.detach()
        return Tensor(Box(below))  # detach(), upstairs, is from all floors
    return x


def _box(x):
    if isinstance(x, (list, tuple)):
        return type(x)(map(_box, x))
    return boxed(x) if isinstance(x, xp.ndarray) and type(x) is not Box else x


_lock, _users, _library = Lock(), 0, None


@contextmanager
def upstairs():
    """Put an `Upstairs` behind xp, for all threads, as long as one is inside."""
    global _users, _library
    with _lock:
        if not _users:
            engine.lift, _library = lift, xp._library
            xp.switch_to(Upstairs(_library))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                engine.lift = None
                xp.switch_to(_library)
