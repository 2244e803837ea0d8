"""What a Tensor can do: Python's operators, and methods named as those of NumPy's arrays.

They are ops in another spelling, ``x.sum()`` for ``ops.sum(x)``, attached to Tensor at the end of
this file (why not by inheritance: see engine.py). What is no op is computed on arrays, outside the
graph: comparisons, what joins them, `argmax`, conversions to numbers, text and NumPy.
"""

from typing import TYPE_CHECKING, Any

import numpy

from . import backend, elsewhere, ops
from .contract import explained
from .engine import OPS, Tensor
from .exchanges import exchanges, touch


def _array(x):
    """The array of a Tensor, anything else as it is."""
    return x.data if isinstance(x, Tensor) else x


def _spread(values):
    """Let a method take axes as f(1, 2) or as f((1, 2))."""
    return values[0] if len(values) == 1 and not isinstance(values[0], int) else values


def _index(index):
    """An index with the arrays of the Tensors in it."""
    if isinstance(index, (tuple, list)):
        return (tuple if isinstance(index, tuple) else list)(map(_index, index))
    if isinstance(index, Tensor) and index.dtype.kind == "f":
        raise IndexError(
            f"a Tensor of {index.dtype} is no index (numbers and lists become float32): index by a "
            "list of integers, or by a Tensor of an integer array"
        )
    return _array(index)


def require_floats(array):
    """Raise TypeError for what has no derivative."""
    if array.dtype.kind != "f":
        raise TypeError(
            f"only floating-point data can require a gradient, not {array.dtype}: "
            "convert it first, for example with .astype('float32')"
        )


def _in_place(operator):
    """``total += x`` makes a new Tensor; a parameter would silently be left as it was."""

    def augmented(self, other) -> Tensor:
        if self.op is None and self.requires_grad:
            raise TypeError(
                "a leaf that requires a gradient is not changed by +=, -=, *= or /=: "
                "write w.data -= step, or w = w - step for a new Tensor"
            )
        return operator(self, other)

    return augmented


class Methods:
    """The operators and methods of a Tensor.

    Arrays that meet get a dtype as in NumPy: float32 with float64, or with integers, is float64.
    """

    if TYPE_CHECKING:  # what Tensor itself has
        _data: Any
        _requires_grad: bool
        grad: Any
        op: str | None
        edges: Any

    # --- what a leaf lets be assigned ------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The array. To assign to it (``w.data -= step`` does) makes a leaf newer: see `touch`."""
        return self._data

    @data.setter
    def data(self, array):
        if self.edges:
            raise RuntimeError(
                f"the data of a result of op {self.op} are part of a graph: copy them"
            )
        array = backend.asarray(_array(array))
        if self._requires_grad:
            require_floats(array)
        self._data = array
        exchanges[0] += 1
        touch([self])

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows here: chosen for a leaf, a consequence for a result."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted):
        if self.op is not None:
            raise TypeError(f"requires_grad is for leaves, not for a result of op {self.op}")
        if not isinstance(wanted, (bool, numpy.bool_)):
            raise TypeError(f"requires_grad is True or False, not {wanted!r}")
        if wanted:
            require_floats(self._data)
        self._requires_grad = bool(wanted)
        exchanges[0] += 1

    # --- an array's properties -------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of elements; ``x.shape[0]`` is the length of an axis."""
        return self._data.size

    @property
    def dtype(self) -> numpy.dtype:
        """The type of the elements."""
        return self._data.dtype

    @property
    def T(self) -> Tensor:
        """All axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The matrices in the last two axes, transposed."""
        return ops.swap_last_axes(self)

    # --- operators -------------------------------------------------------------------------------

    __add__ = __radd__ = ops.add
    __sub__ = ops.subtract
    __mul__ = __rmul__ = ops.multiply
    __truediv__ = ops.divide
    __pow__ = ops.power
    __matmul__ = ops.matmul
    __neg__ = ops.negative
    __abs__ = ops.abs

    def __rsub__(self, other) -> Tensor:
        return ops.subtract(other, self)

    def __rtruediv__(self, other) -> Tensor:
        return ops.divide(other, self)

    def __rpow__(self, other) -> Tensor:
        return ops.power(other, self)

    def __rmatmul__(self, other) -> Tensor:
        return ops.matmul(other, self)

    __iadd__, __isub__ = _in_place(ops.add), _in_place(ops.subtract)
    __imul__, __itruediv__ = _in_place(ops.multiply), _in_place(ops.divide)

    def __lt__(self, other) -> Tensor:
        return Tensor(self.data < _array(other))

    def __le__(self, other) -> Tensor:
        return Tensor(self.data <= _array(other))

    def __gt__(self, other) -> Tensor:
        return Tensor(self.data > _array(other))

    def __ge__(self, other) -> Tensor:
        return Tensor(self.data >= _array(other))

    def __eq__(self, other) -> Tensor:  # type: ignore[override]
        return Tensor(self.data == _array(other))

    def __ne__(self, other) -> Tensor:  # type: ignore[override]
        return Tensor(self.data != _array(other))

    def __and__(self, other) -> Tensor:
        return Tensor(self.data & _array(other))

    def __or__(self, other) -> Tensor:
        return Tensor(self.data | _array(other))

    def __invert__(self) -> Tensor:
        return Tensor(~self.data)

    __hash__ = object.__hash__  # as a key, a Tensor is equal to itself only

    # --- elements --------------------------------------------------------------------------------

    def __getitem__(self, index) -> Tensor:
        """The elements that an index of NumPy's kind names; Tensors of integers or booleans too."""
        return ops.getitem(self, _index(index))

    def __setitem__(self, index, value):
        raise TypeError(
            "the elements of a Tensor are not assigned to: make a new one with ops.where(), or "
            "write into its array, x.data[...] = values"
        )

    def __len__(self):
        return len(self.data)

    def __iter__(self):
        if not self.ndim:
            raise TypeError(
                "a Tensor without axes has nothing to iterate over: .item() is its number"
            )
        return (self[i] for i in range(len(self)))

    def __contains__(self, value):
        return bool((self.data == _array(value)).any())

    @explained
    def argmax(self, axis=None) -> Tensor:
        """The index of the largest element along an axis, or in the flat array."""
        return Tensor(self.data.argmax(axis=axis))

    @explained
    def argmin(self, axis=None) -> Tensor:
        """The index of the smallest element along an axis, or in the flat array."""
        return Tensor(self.data.argmin(axis=axis))

    # --- functions -------------------------------------------------------------------------------

    exp, log, sqrt, tanh, clip = ops.exp, ops.log, ops.sqrt, ops.tanh, ops.clip
    sum, mean, var, max, min = ops.sum, ops.mean, ops.var, ops.max, ops.min
    cumsum, squeeze, astype = ops.cumsum, ops.squeeze, ops.astype

    def reshape(self, *shape) -> Tensor:
        """The same elements in another shape, given as numbers or as one tuple; -1 is what fits."""
        return ops.reshape(self, _spread(shape))

    def transpose(self, *axes) -> Tensor:
        """The axes in another order, given as numbers or as one tuple; reversed without any."""
        return ops.transpose(self, _spread(axes) if axes else None)

    # --- conversions and copies ------------------------------------------------------------------

    def detach(self) -> Tensor:
        """The same data, cut off from the graph."""
        return Tensor(self._data)

    def item(self) -> Any:
        """The only element, as a Python number."""
        if self.size != 1:
            raise ValueError(
                f"a Tensor of shape {self.shape} is not one number: x.numpy() has all of them, and "
                "functions of each are in ops and functional"
            )
        return self.data.item()

    def numpy(self) -> numpy.ndarray:
        """The data as a NumPy array (on the CPU the same memory, not a copy)."""
        return backend.to_numpy(self.data)

    def __bool__(self):
        if self.size != 1:
            raise ValueError(
                f"a Tensor of shape {self.shape} is neither true nor false: ask x.data.all() or "
                "x.data.any(); ops.where() chooses element by element"
            )
        return bool(self.data)

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __array__(self, *args, **options):
        raise TypeError(
            "a Tensor is not silently turned into a NumPy array: call .numpy(), or join Tensors "
            "with ops.stack()"
        )

    def __array_function__(self, function, *rest):
        raise TypeError(
            f"numpy.{function.__name__} of a Tensor: use the function of ops or functional, "
            "or .numpy() for what needs no gradient"
        )

    def __reduce__(self):
        """How to copy or pickle it: as a leaf of its own, with its own data and gradient."""
        if self.op is not None:
            raise TypeError(f"only leaves can be copied, not a result of op {self.op}: detach() it")
        gradient = None if self.grad is None else self.grad.copy()
        return Tensor, (self._data.copy(), self._requires_grad), (None, {"grad": gradient})

    def __repr__(self):
        origin = f", op={self.op}" if self.op else ""
        flag = ", requires_grad=True" if self.requires_grad and not self.op else ""
        numbers = numpy.array2string(self.numpy(), prefix="Tensor(")
        return f"Tensor({numbers}, dtype={self.dtype}{origin}{flag})"


for _name, _member in vars(Methods).items():
    if callable(_member) or isinstance(_member, property):
        setattr(Tensor, _name, _member)

elsewhere.tell(Tensor, elsewhere.TENSOR)
for _name in OPS:
    if _name not in vars(Tensor):
        _room = OPS[_name].__module__.removeprefix("minigrad.").partition(".")[0]
        elsewhere.tell(Tensor, {_name: f"{_room}.{_name}(x)"})
