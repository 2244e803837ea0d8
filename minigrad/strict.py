"""A stand-in for CuPy that needs no GPU: NumPy inside, a GPU's manners outside. For tests.

    backend.activate(strict, "strict")
    with strict.counting() as counters:
        loss.backward()
    print(counters)             # Counters(launches=31, synchronisations=0, transfers=0)

What runs on it runs on CuPy, because it is never more generous: it has only names and keywords that
CuPy has (a test compares), its arrays never turn into NumPy arrays on their own and take no NumPy
function and no NumPy operand, and a result without dimensions stays an array. It counts

* launches: every call that computes, fills or copies is one kernel; views are free. CuPy needs more
  than one for a few of them (``pad``, an index of several arrays), so this is a lower bound;
* synchronisations: whatever makes the host wait for the device, ``float(x)`` or ``if x:``;
* transfers: copies from the host to the device.

array-api-strict, a fine implementation of the Python array API standard, is not the base: the
standard is narrower than what NumPy and CuPy share (no methods, ``out=``, ``add.at``, assignment to
integer arrays or random numbers), and ``float(x)`` and ``numpy.exp(x)`` work on its arrays.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy

# Elementwise; of NumPy's options CuPy has these three.
UFUNCS = (
    "abs absolute add arccos arcsin arctan arctan2 arctanh bitwise_and bitwise_or cbrt ceil "
    "copysign cos cosh divide equal exp exp2 expm1 floor floor_divide fmax fmin fmod greater "
    "greater_equal hypot invert isfinite isinf isnan less less_equal log log10 log1p log2 "
    "logaddexp logaddexp2 logical_and logical_not logical_or logical_xor maximum minimum multiply "
    "negative not_equal power reciprocal remainder rint sign signbit sin sinh sqrt square subtract "
    "tan tanh true_divide trunc"
).split()
UFUNC_OPTIONS = {"out", "dtype", "casting"}

# One launch each.
FUNCTIONS = (
    "all allclose any arange argmax argmin argsort array_equal clip concatenate copy count_nonzero "
    "cumprod cumsum diff dot einsum eye full full_like linspace matmul max mean median min "
    "nan_to_num ones ones_like outer pad prod roll searchsorted sort stack std sum take "
    "take_along_axis tensordot tile tril triu var where zeros zeros_like"
).split()
# The shape of the result, or a check of the input, depends on values: the host has to see them.
WAITING_FUNCTIONS = "argwhere bincount flatnonzero nonzero percentile quantile unique".split()
# No launch, unless the result cannot be a view: reshape() of a transposed array copies.
VIEWS = (
    "atleast_1d atleast_2d broadcast_to expand_dims flip moveaxis permute_dims ravel reshape "
    "squeeze swapaxes transpose"
).split()
# Memory as it happens to be.
ALLOCATIONS = "empty empty_like".split()
# Options of NumPy's that CuPy's functions and methods lack.
LACKING = {"where", "initial", "subok", "like", "device", "casting", "stable", "correction", "mean"}
LACKING |= {"weights", "sorted", "validate", "descending"}

METHODS = (
    "all any argmax argmin argsort clip copy cumprod cumsum dot fill flatten max mean min prod "
    "repeat round sort std sum take trace var"
).split()
WAITING_METHODS = "nonzero".split()
VIEW_METHODS = "astype ravel reshape squeeze swapaxes transpose".split()
VIEW_PROPERTIES = "T mT".split()
PROPERTIES = "dtype itemsize nbytes ndim shape size strides".split()
# What hands a number, or a text made of numbers, to the host.
CONVERSIONS = "__bool__ __complex__ __float__ __format__ __int__ __repr__ __str__ item tolist"
CONVERSIONS = CONVERSIONS.split()
UNARY = "__abs__ __invert__ __neg__ __pos__".split()
BINARY = [
    f"__{prefix}{name}__"
    for name in "add and floordiv matmul mod mul or pow sub truediv xor".split()
    for prefix in ("", "r", "i")
    if prefix + name != "imatmul"
] + "__eq__ __ge__ __gt__ __le__ __lt__ __ne__".split()

CONSTANTS = (
    "bool_ dtype e finfo float16 float32 float64 iinfo inf int8 int16 int32 int64 nan newaxis pi "
    "uint8 uint32 uint64"
).split()


# --- counting --------------------------------------------------------------------------------


@dataclass
class Counters:
    launches: int = 0
    synchronisations: int = 0
    transfers: int = 0


counters = Counters()


@contextmanager
def counting():
    """Counters of what happens inside, which start at 0 and can be read at any time."""
    global counters
    outside, counters = counters, Counters()
    try:
        yield counters
    finally:
        counters = outside


# --- the array -------------------------------------------------------------------------------


class StrictArray:
    """An array as on a device. Most of its methods are made from the tables, further down."""

    __slots__ = ("_array", "__weakref__")

    __hash__ = None
    __array_ufunc__ = None  # numpy.exp(x) and numpy_array * x: TypeError, raised by NumPy

    def __init__(self, array):
        self._array = numpy.asarray(array)  # a NumPy scalar becomes an array without dimensions

    def __array__(self, *args, **options):
        raise TypeError("a device array is not silently turned into a NumPy array: use to_numpy()")

    def __array_function__(self, function, *rest):
        raise TypeError(f"numpy.{function.__name__} of a device array: use xp.{function.__name__}")

    def __len__(self):
        return len(self._array)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index):
        parts, gathers = _plain_index(index)
        counters.launches += gathers
        return StrictArray(self._array[parts])

    def __setitem__(self, index, value):
        parts, _ = _plain_index(index)
        counters.launches += 1
        self._array[parts] = _plain(value)

    def get(self):
        """A copy in the host's memory."""
        counters.synchronisations += 1
        return self._array.copy()


ndarray = StrictArray


def _plain(value):
    """What NumPy is to compute with: StrictArrays, also in lists, give way to their insides."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, numpy.ndarray):
        raise TypeError(
            f"a NumPy array of shape {value.shape} meets device arrays: xp.asarray() moves it"
        )
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value


def _plain_index(index):
    """(index for NumPy, whether it has arrays, so that a kernel must gather the elements)."""
    parts = index if isinstance(index, tuple) else (index,)
    parts = [asarray(p) if isinstance(p, (list, numpy.ndarray)) else p for p in parts]
    arrays = [p for p in parts if isinstance(p, StrictArray)]
    # A mask: how many elements it picks is known to the device alone.
    counters.synchronisations += any(p.dtype == bool for p in arrays)
    if not any(p is ... for p in parts):
        parts.append(...)  # a single element, too, comes as an array
    return _plain(tuple(parts)), bool(arrays)


def _device(result):
    return tuple(map(_device, result)) if isinstance(result, tuple) else StrictArray(result)


# --- functions and methods, from the tables --------------------------------------------------


def _computing(function, *, only=None, launches=1, synchronisations=0):
    """`function` of NumPy as a function of StrictArrays that counts."""

    def call(*args, **options):
        refused = options.keys() - only if only else options.keys() & LACKING
        if refused:
            raise TypeError(f"CuPy's {function.__name__}() has no option {', '.join(refused)}")
        counters.launches += launches
        counters.synchronisations += synchronisations
        result = function(*map(_plain, args), **{k: _plain(v) for k, v in options.items()})
        out = options.get("out")
        return _device(result) if out is None else out

    return call


def _view(function):
    """The same for a function whose result usually shares the memory of its first argument."""

    def call(array, *args, **options):
        result = function(_plain(array), *args, **options)
        if not numpy.may_share_memory(result, _plain(array)):
            counters.launches += 1
        return StrictArray(result)

    return call


def _conversion(function):
    def call(self, *args):
        counters.synchronisations += 1
        return function(self._array, *args)

    return call


def _operator(name):
    function = getattr(numpy.ndarray, name)
    in_place = name.startswith("__i")

    def call(self, other):
        if not isinstance(other, (StrictArray, int, float, complex, numpy.generic, numpy.ndarray)):
            return NotImplemented
        counters.launches += 1
        result = function(self._array, _plain(other))
        return self if in_place else StrictArray(result)

    return call


for _name in UFUNCS:
    globals()[_name] = _computing(getattr(numpy, _name), only=UFUNC_OPTIONS)
for _name in FUNCTIONS:
    globals()[_name] = _computing(getattr(numpy, _name))
for _name in WAITING_FUNCTIONS:
    globals()[_name] = _computing(getattr(numpy, _name), synchronisations=1)
for _name in ALLOCATIONS:
    globals()[_name] = _computing(getattr(numpy, _name), launches=0)
for _name in VIEWS:
    globals()[_name] = _view(getattr(numpy, _name))
for _name in CONSTANTS:
    globals()[_name] = getattr(numpy, _name)

for _name in METHODS + UNARY:
    setattr(StrictArray, _name, _computing(getattr(numpy.ndarray, _name)))
for _name in WAITING_METHODS:
    setattr(StrictArray, _name, _computing(getattr(numpy.ndarray, _name), synchronisations=1))
for _name in VIEW_METHODS:
    setattr(StrictArray, _name, _view(getattr(numpy.ndarray, _name)))
for _name in VIEW_PROPERTIES:
    setattr(StrictArray, _name, property(_view(getattr(numpy.ndarray, _name).__get__)))
for _name in PROPERTIES:
    setattr(StrictArray, _name, property(lambda x, name=_name: getattr(x._array, name)))
for _name in CONVERSIONS:
    setattr(StrictArray, _name, _conversion(getattr(numpy.ndarray, _name)))
for _name in BINARY:
    setattr(StrictArray, _name, _operator(_name))


def __getattr__(name):
    raise AttributeError(
        f"the stand-in for CuPy has no {name!r}: if CuPy has it, add it to a table in "
        "minigrad/strict.py"
    )


# --- the rest of CuPy that minigrad needs ----------------------------------------------------


def _add_at(target, index, values):
    if target.dtype.kind != "f":  # CuPy knows a few more, but not int64
        raise TypeError(f"scatter-add into {target.dtype}: CuPy's add.at may not support it")
    counters.launches += 1
    numpy.add.at(target._array, _plain_index(index)[0], _plain(values))


add.at = _add_at  # noqa: F821


def asarray(a, dtype=None):
    """A NumPy array, a number or a list moves to the device; a StrictArray is returned as it is."""
    if isinstance(a, StrictArray):
        return a if dtype is None else a.astype(dtype, copy=False)
    counters.transfers += 1
    return StrictArray(numpy.array(a, dtype))


def array(a, dtype=None):
    """The same, but always a copy."""
    return copy(asarray(a, dtype)) if isinstance(a, StrictArray) else asarray(a, dtype)  # noqa: F821


def asnumpy(a):
    """A copy in the host's memory."""
    return a.get() if isinstance(a, StrictArray) else numpy.asarray(a)


class Generator:
    """Random numbers drawn on the device: the numbers of NumPy's generator of that seed."""

    def __init__(self, seed):
        self._rng = numpy.random.default_rng(seed)

    def random(self, size=None, dtype="float64"):
        counters.launches += 1
        return StrictArray(self._rng.random(size, dtype))

    def standard_normal(self, size=None, dtype="float64"):
        counters.launches += 1
        return StrictArray(self._rng.standard_normal(size, dtype))


class Device:
    def synchronize(self):
        counters.synchronisations += 1


random = SimpleNamespace(default_rng=Generator, Generator=Generator)
cuda = SimpleNamespace(Device=Device)
