"""An array that sees every call made on it: it computes as ever, and the recorder notes it."""

import dis
import operator
import sys
from functools import cache
from itertools import pairwise
from typing import Any

import numpy

from .. import backend, strict
from ..engine import Tensor
from .calls import BINARY, UNARY


class CannotRecord(RuntimeError):
    """The step does what a recorded program could not repeat."""


def where():
    """The line of the step that is being recorded: the innermost outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("minigrad."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"


recorder: Any = None  # the one behind `xp`, if there is one


_COMPARISONS = {"lt", "le", "gt", "ge", "eq", "ne"}


class Array:
    """An array, changing number or generator while it is being recorded. See the tables below."""

    __slots__ = ("real", "value")

    __hash__: Any = None

    def __init__(self, real, value):
        self.real, self.value = real, value

    def __len__(self):
        return len(self.real)

    def __iter__(self):
        return (self[i] for i in range(len(self.real)))

    def __getitem__(self, index):
        if type(index) is Array and index.real.dtype == bool:
            raise CannotRecord(f"{where()}: the shape of x[mask] depends on the mask's values")
        return recorder.call("getitem", "", operator.getitem, (self, index), {})

    def __setitem__(self, index, new):
        parts = index if type(index) is tuple else (index,)
        if index is not ... and not any(type(part) in (Array, list) for part in parts):
            view = self[index]  # written down as view[...] = new
            if view.value.root is self.value.root:
                if type(new) is not Array or not same_place(new.real, view.real):
                    view[...] = new  # otherwise the end of x[index] += 1, which has been done
                return
        recorder.call("setitem", "", operator.setitem, (self, index, new), {}, self)

    def fill(self, number):
        recorder.call("method", "fill", by_name("fill"), (self, number), {}, self)

    def __array__(self, *args, **options):
        raise CannotRecord(f"{where()}: an array leaves the program for NumPy")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        raise CannotRecord(
            f"{where()}: numpy.{ufunc.__name__} meets an array that the recorder sees and one that "
            "it does not see: make arrays by xp, and keep them in modules or variables of the step"
        )


def variable(frame):
    """The name under which a frame is about to keep the result of the call that it is in, or ""."""
    return kept_names(frame.f_code).get(frame.f_lasti, "")


@cache
def kept_names(code):
    """{place of an instruction: the name} where a name is given to what an instruction leaves."""
    names: dict[int, Any] = {}
    for this, following in pairwise(dis.get_instructions(code)):
        if following.opname.startswith(("STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_ATTR")):
            name = following.argval  # of two instructions in one, a pair
            name = name[0] if isinstance(name, tuple) else name
            names |= dict.fromkeys(range(this.offset, following.offset), name)
    return names


def open_(a):
    """What is inside of an Array; anything else as it is."""
    return a.real if type(a) is Array else a


def same_place(a, b):
    return (
        a.shape == b.shape and a.strides == b.strides and backend.address(a) == backend.address(b)
    )


def noted(form, name, function):
    """The same function of Arrays, of which each call is written down: see Call."""

    def call(*args, **options):
        return recorder.call(form, name, function, args, options, options.get("out"))

    return call


def noted_kernel(name, kernel):
    """One call on a GPU, where it is worth a launch; otherwise the calls of its loop."""
    launch = noted("function", name, kernel.launch)

    def call(*inputs, **options):
        if backend.device() == "cpu" or not kernel.is_for([open_(a) for a in inputs]):
            return kernel.loop(*inputs, **options)
        return launch(*inputs, **options)

    return call


def by_name(name):
    """The method of this name, as a function."""
    return lambda a, *args, **options: getattr(a, name)(*args, **options)


def _binary(name, swapped=False):
    function = getattr(operator, f"__{name}__")

    def call(self, other):
        if isinstance(other, Tensor):
            return NotImplemented
        pair = (other, self) if swapped else (self, other)
        return recorder.call("operator", name, function, pair, {})

    return call


def _in_place(name):
    function = getattr(operator, f"__i{name}__")

    def call(self, other):
        if self.value.is_number or isinstance(self.real, numpy.generic):
            return getattr(operator, f"__{name}__")(self, other)
        return recorder.call("operator", name, function, (self, other), {}, self)

    return call


def _refused(name):
    def call(self, *args, **options):
        raise CannotRecord(
            f"{where()}: {name} asks an array for its values, which the next step will have "
            "others of: decide outside of the compiled step, or by xp.where"
        )

    return call


for _name in BINARY:
    setattr(Array, f"__{_name}__", _binary(_name))
    if _name not in _COMPARISONS:
        setattr(Array, f"__r{_name}__", _binary(_name, swapped=True))
        if _name != "matmul":
            setattr(Array, f"__i{_name}__", _in_place(_name))
for _name in UNARY:
    setattr(Array, f"__{_name}__", noted("operator", _name, getattr(operator, f"__{_name}__")))
for _name in strict.METHODS.split():
    if not _name.startswith("__") and _name not in {"fill", "sort", *strict.SHAPED_BY_VALUES}:
        setattr(Array, _name, noted("method", _name, by_name(_name)))
for _name in ("random", "standard_normal"):
    setattr(Array, _name, noted("draw", _name, by_name(_name)))
for _name in [*strict.CONVERSIONS.split(), "__index__"]:
    setattr(Array, _name, _refused(_name))
for _name in strict.PROPERTIES.split():
    setattr(Array, _name, property(operator.attrgetter(f"real.{_name}")))
for _name in strict.VIEWS.split():
    setattr(Array, _name, property(noted("property", _name, operator.attrgetter(_name))))
