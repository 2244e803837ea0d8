"""A stand-in for CuPy that needs no GPU: NumPy inside, a GPU's manners outside. For tests.

    backend.activate(strict, "strict")
    with strict.counting() as counters:
        loss.backward()
    print(counters)             # Counters(launches=31, synchronisations=0, transfers=0)

What runs on it runs on CuPy, because it is never more generous: it has only names and options that
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

import operator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy

from .backend import xp

FUNCTIONS = """
    abs add all allclose any arange arctan arctan2 argmax argmin argsort argwhere array_equal
    bincount broadcast_to ceil clip concatenate copy cos cosh cumprod cumsum diff divide dot einsum
    empty empty_like equal exp expand_dims expm1 eye flatnonzero flip floor floor_divide full
    full_like greater greater_equal isfinite isinf isnan less less_equal linspace log log10 log1p
    log2 logaddexp logical_and logical_not logical_or matmul max maximum mean median min minimum
    moveaxis multiply nan_to_num negative nonzero not_equal ones ones_like outer pad percentile
    permute_dims power prod quantile ravel reciprocal remainder reshape rint roll searchsorted sign
    sin sinh sort sqrt square squeeze stack std subtract sum swapaxes take_along_axis tan tanh
    tensordot tile transpose tril triu true_divide unique var where zeros zeros_like
"""
METHODS = """
    all any argmax argmin argsort astype clip copy cumprod cumsum dot fill flatten max mean min
    nonzero prod ravel repeat reshape round sort squeeze std sum swapaxes take trace transpose var
    view __abs__ __invert__ __neg__ __pos__
"""
OPERATORS = """
    __add__ __and__ __floordiv__ __matmul__ __mod__ __mul__ __or__ __pow__ __sub__ __truediv__
    __radd__ __rand__ __rfloordiv__ __rmatmul__ __rmod__ __rmul__ __ror__ __rpow__ __rsub__
    __rtruediv__ __eq__ __ge__ __gt__ __le__ __lt__ __ne__
"""
IN_PLACE = "__iadd__ __iand__ __ifloordiv__ __imul__ __ior__ __ipow__ __isub__ __itruediv__"
# What hands numbers, or a text made of them, to the host.
CONVERSIONS = "__bool__ __complex__ __float__ __format__ __int__ __repr__ __str__ item tolist"
PROPERTIES = "dtype itemsize nbytes ndim shape size strides"
VIEWS = "T mT"
CONSTANTS = "bool_ finfo float16 float32 float64 inf int8 int16 int32 int64 nan newaxis pi uint8"

ALLOCATING = {"empty", "empty_like"}  # no launch
# The shape of their result, or a check of their input, depends on values: the host must see them.
WAITING = {"argwhere", "bincount", "flatnonzero", "nonzero", "percentile", "quantile", "unique"}
NOT_CAPTURED = {"argsort", "concatenate", "dot", "einsum", "matmul", "sort", "stack", "tensordot"}
SHAPED_BY_VALUES = WAITING - {"percentile", "quantile"}
# Keywords that CuPy's functions take wherever NumPy's do; not among them: where, initial, order ...
OPTIONS = {"axis", "axes", "casting", "constant_values", "ddof", "dtype", "fill_value", "keepdims"}
OPTIONS |= {"copy", "endpoint", "k", "mode", "num", "out", "size"}


# --- counting --------------------------------------------------------------------------------


@dataclass
class Counters:
    launches: int = 0
    graphed: int = 0  # kernels that a captured graph has run: of each graph one launch
    synchronisations: int = 0
    transfers: int = 0


counters = Counters()


@contextmanager
def counting():
    """Counters of what happens inside: they start at 0 and can be read at any time."""
    global counters
    outside, counters = counters, Counters()
    try:
        yield counters
    finally:
        counters = outside


# --- kernels ---------------------------------------------------------------------------------

captured: Any = None  # while a graph is being captured: what it is to do


def _run(kernel, *args, **options):
    """Run a kernel that writes into an array, or write it down."""
    if captured is None:
        counters.launches += 1
        kernel(*args, **options)
    else:
        captured.append(partial(kernel, *args, **options))


def _run_again(result, function, *args, **options):
    """A kernel has made this result, and will make it again if it is written down."""

    def kernel():
        again = function(*args, **options)
        if isinstance(result, tuple):
            for place, values in zip(result, again):
                place[...] = values
        else:
            result[...] = again

    if captured is None:
        counters.launches += 1
    else:
        captured.append(kernel)


def _refuse_capture(name):
    """CuPy captures neither cuBLAS, nor what it copies from the host, nor a sort that may wait."""
    if captured is not None and name.strip("_").removeprefix("r") in NOT_CAPTURED:
        raise NotImplementedError(f"{name} during stream capture is unsupported")


def _wait():
    if captured is not None:
        raise RuntimeError("the host cannot wait for a graph that is being captured")
    counters.synchronisations += 1


# --- the array -------------------------------------------------------------------------------


class StrictArray:
    """An array as on a device. Most of its methods are made from the tables, further down."""

    __slots__ = ("_array", "__weakref__")

    if TYPE_CHECKING:  # what is made from the tables

        def __getattr__(self, name) -> Any: ...

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # numpy.exp(x) and numpy_array * x: NumPy raises a TypeError

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
        if gathers and captured is not None:  # the numbers in an index are anything yet
            first = tuple(0 * p if isinstance(p, numpy.ndarray) else p for p in parts)
            result = self._array[first]
        else:
            result = self._array[parts]
        if gathers:
            _run_again(result, operator.getitem, self._array, parts)
        return StrictArray(result)

    def __setitem__(self, index, value):
        _run(operator.setitem, self._array, _plain_index(index)[0], _plain(value))

    @property
    def data(self):
        return SimpleNamespace(ptr=self._array.__array_interface__["data"][0])

    def get(self):
        """A copy in the host's memory."""
        _wait()
        return self._array.copy()


ndarray = StrictArray


def _plain(value):
    """What NumPy is to compute with: StrictArrays, also in lists, give way to their insides."""
    if isinstance(value, StrictArray):
        return value._array
    if isinstance(value, numpy.ndarray):
        raise TypeError(
            f"a NumPy array of shape {value.shape} meets device arrays: move it by xp.asarray()"
        )
    return type(value)(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _plain_index(index):
    """(the index for NumPy, whether it holds arrays: then a kernel gathers the elements)."""
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [asarray(p) if isinstance(p, (list, numpy.ndarray)) else p for p in parts]
    arrays = [p for p in parts if isinstance(p, StrictArray)]
    if [mask for mask in arrays if mask.dtype == bool]:
        _wait()  # the device alone knows how many elements it picks
    if not [p for p in parts if p is ...]:
        parts.append(...)  # so that a single element, too, comes as an array
    return tuple(_plain(parts)), bool(arrays)


# --- functions and methods, from the tables --------------------------------------------------
# The functions called abs, all, any, max, min and sum hide Python's own in this file.


def _counted(function):
    """A function of NumPy's, or a method of its array, as one of StrictArrays that counts."""
    launches, synchronisations = function.__name__ not in ALLOCATING, function.__name__ in WAITING

    def call(*args, **options):
        _refuse_capture(function.__name__)
        if unknown := options.keys() - OPTIONS:
            raise TypeError(f"{function.__name__}() on a GPU: no option {', '.join(unknown)}")
        out = options.get("out")
        if isinstance(function, numpy.ufunc) and len(args) > function.nin:
            out = args[function.nin]
        args, options = _plain(args), {name: _plain(value) for name, value in options.items()}
        if synchronisations:
            _wait()
        if out is not None or function.__name__ == "fill":
            _run(function, *args, **options)
            return out
        result = function(*args, **options)
        result = result if isinstance(result, tuple) else numpy.asarray(result)
        if launches and not _is_view(result, *args[:1]):
            _run_again(result, function, *args, **options)
        return tuple(map(StrictArray, result)) if isinstance(result, tuple) else StrictArray(result)

    return call


def _is_view(result, source=None):
    arrays = isinstance(result, numpy.ndarray) and isinstance(source, numpy.ndarray)
    return arrays and numpy.may_share_memory(result, source)


def _operator(name):
    function, in_place = getattr(numpy.ndarray, name), name in IN_PLACE.split()

    def call(self, other):
        if not isinstance(other, (StrictArray, int, float, complex, numpy.generic, numpy.ndarray)):
            return NotImplemented
        _refuse_capture(name)
        other = _plain(other)
        if in_place:
            _run(function, self._array, other)
            return self
        result = numpy.asarray(function(self._array, other))
        _run_again(result, function, self._array, other)
        return StrictArray(result)

    return call


def _property(name):
    return property(lambda x: getattr(x._array, name))


def _view(name):
    return property(lambda x: StrictArray(getattr(x._array, name)))


def _conversion(name):
    def call(self, *args):
        _wait()
        return getattr(self._array, name)(*args)

    return call


for _name in FUNCTIONS.split():
    globals()[_name] = _counted(getattr(numpy, _name))
for _name in CONSTANTS.split():
    globals()[_name] = getattr(numpy, _name)
for _name in METHODS.split():
    setattr(StrictArray, _name, _counted(getattr(numpy.ndarray, _name)))
for _name in (OPERATORS + IN_PLACE).split():
    setattr(StrictArray, _name, _operator(_name))
for _name in CONVERSIONS.split():
    setattr(StrictArray, _name, _conversion(_name))
for _name in PROPERTIES.split():
    setattr(StrictArray, _name, _property(_name))
for _name in VIEWS.split():
    setattr(StrictArray, _name, _view(_name))


def __getattr__(name):
    raise AttributeError(
        f"the stand-in for CuPy has no {name!r}: if CuPy has it, add it to a table of "
        "minigrad/strict.py"
    )


# --- the rest of CuPy that minigrad needs ----------------------------------------------------


def _add_at(target, index, values):
    if target.dtype.kind != "f":
        raise TypeError(f"CuPy adds at an index to floating-point arrays, not to {target.dtype}")
    _run(numpy.add.at, target._array, _plain_index(index)[0], _plain(values))


globals()["add"].at = _add_at


def one_launch(loop, *inputs, **options):
    """What a `backend.Kernel` does on a GPU: its loop, in NumPy, counted as one launch."""
    inputs, plain = _plain(inputs), {name: _plain(value) for name, value in options.items()}

    def kernel():
        library = xp._library
        xp.switch_to(numpy)
        try:
            return loop(*inputs, **plain)
        finally:
            xp.switch_to(library)

    if "out" in options:
        _run(kernel)
        return options["out"]
    # While a graph is captured the inputs hold anything yet: what comes out is only a place.
    with numpy.errstate(all=None if captured is None else "ignore"):
        result = kernel()
    if isinstance(result, tuple):
        _run_again(result, kernel)
        return tuple(map(StrictArray, result))
    result = numpy.asarray(result)  # a NumPy scalar has no place to be run into again
    _run_again(result, kernel)
    return StrictArray(result)


def may_share_memory(a, b):
    return numpy.may_share_memory(_plain(a), _plain(b))


def shares_memory(a, b):
    return numpy.shares_memory(_plain(a), _plain(b))


def asarray(a, dtype=None):
    """A NumPy array, a number or a list moves to the device; a StrictArray is there already."""
    if isinstance(a, StrictArray):
        return a if dtype is None else a.astype(dtype, copy=False)
    if captured is not None:
        raise RuntimeError("a graph that is being captured cannot copy from the host")
    counters.transfers += 1
    return StrictArray(numpy.array(a, dtype))


def array(a, dtype=None):
    """The same, but never the same memory."""
    return a.astype(dtype or a.dtype) if isinstance(a, StrictArray) else asarray(a, dtype)


def asnumpy(a):
    """A copy in the host's memory."""
    return a.get() if isinstance(a, StrictArray) else numpy.asarray(a)


class Generator:
    """Random numbers, drawn on the device: those of NumPy's generator of the same seed."""

    def __init__(self, seed):
        rng = numpy.random.default_rng(seed)
        self.bit_generator = rng.bit_generator
        self.random, self.standard_normal = _counted(rng.random), _counted(rng.standard_normal)


class Device:
    id = 0
    mem_info = 0, 8 << 30  # bytes: free, in all

    def synchronize(self):
        _wait()


class Stream:
    """A queue of kernels. While it captures, they are not run but written down, for a Graph."""

    def __init__(self, non_blocking=False):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def synchronize(self):
        _wait()

    def begin_capture(self):
        global captured
        captured = []

    def end_capture(self):
        global captured
        work, captured = captured, None
        return Graph(work)


class Graph:
    """What a Stream has captured: all of it is one launch."""

    def __init__(self, work):
        self.work = work

    def launch(self):
        counters.launches += 1
        counters.graphed += len(self.work)
        for kernel in self.work:
            kernel()


class MemoryPool:
    """Counts how often it gave its free blocks back."""

    malloc = None
    given_back = 0

    def free_all_blocks(self):
        self.given_back += 1


pool = MemoryPool()
get_default_memory_pool = get_default_pinned_memory_pool = lambda: pool


random = SimpleNamespace(default_rng=Generator, Generator=Generator)
cuda = SimpleNamespace(
    Device=Device,
    Stream=Stream,
    MemoryPool=MemoryPool,
    get_current_stream=Stream,
    using_allocator=nullcontext,
    runtime=SimpleNamespace(getDeviceProperties=lambda device: {"name": b"stand-in"}),
)
