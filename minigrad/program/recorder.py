"""A recorder behind `xp`: arrays that compute as ever, and write down every call made on them.

Every array call of a step goes through one door: the functions of `xp`, and the methods and
operators of arrays. So it is enough to stand in that door. While a step is recorded, each array
that it can reach (inputs, parameters, buffers, an optimizer's state) is wrapped in an
`Array`, which computes with what is inside and notes what it did::

    h = x @ w       ->   Call("operator", "matmul", (x, w), {}, result=h)

What comes out is the step as a list of Calls on Values: no Tensors, no ops, no Python. Numbers that
an optimizer calls `changing` (the learning rate, the count of steps) are wrapped too, and their
arithmetic is noted among the calls; every other number is a constant.

What a list of calls cannot express is refused by a `CannotRecord` that says what and where: a value
that leaves its array (``if loss < 1``, ``float(loss)``), an array whose shape depends on values, an
array that appears from nowhere, an attribute that the step gives a new value.
"""

import operator
import sys
from contextlib import contextmanager
from functools import cache
from threading import get_ident

from .. import backend, strict
from ..backend import xp
from ..engine import Tensor
from . import array as arrays
from .array import (
    Array,
    CannotRecord,
    noted,
    noted_kernel,
    variable,
    where,
)
from .calls import Call, Value

# Functions whose result may be a view of their first argument; every slice and transpose is one.
MAY_VIEW = {"broadcast_to", "expand_dims", "flip", "moveaxis", "permute_dims", "ravel", "reshape"}
MAY_VIEW |= {"squeeze", "swapaxes", "transpose", "T", "mT", "", "astype", "asarray", "view"}
# Functions of an array's shape alone: what is noted is the function of the shape.
OF_SHAPE = {"empty_like": "empty", "zeros_like": "zeros", "ones_like": "ones", "full_like": "full"}


class Recorder:
    """What stands behind `xp` during a recording, and the list that grows meanwhile.

    library: the array library that computes, NumPy say.
    calls: where they are written down.
    keep: a list that gets a copy of each call's result, to look for a fault; or None.
    known: {id of a real array: its Array}, of all that were there before.
    grads_used: {leaf: None} of those whose gradient was looked at before the step gave them one:
        what there was before the step makes a difference.
    grads_given: {leaf: None} of those that were given a gradient, or None.
    """

    def __init__(self, library, calls, keep=None):
        self.library, self.raw, self.calls, self.keep = library, library.ndarray, calls, keep
        self.known, self.marked, self.ops, self.named = {}, 0, 0, set()
        self.grads_used, self.grads_given = {}, {}
        self.thread = get_ident()

    @contextmanager
    def behind_xp(self):
        """Stand there. Another thread that computes meanwhile gets an error: all share one `xp`."""
        arrays.recorder, slot = self, Tensor.grad
        xp.switch_to(door(self.library))
        Tensor.grad = self._watched(slot)
        try:
            yield
        finally:
            Tensor.grad = slot
            xp.switch_to(self.library)
            arrays.recorder = None

    def _watched(self, slot):
        """A slot of Tensor's, seen when it is looked at and when it is filled."""

        def look(tensor):
            if tensor.op is None and tensor not in self.grads_given:
                self.grads_used[tensor] = None
            return slot.__get__(tensor)

        def fill(tensor, grad):
            if tensor.op is None:
                self.grads_given[tensor] = None
            slot.__set__(tensor, grad)

        return property(look, fill)

    def call(self, form, name, function, args, options, out=None):
        """Carry the call out, note it, wrap its result."""
        if get_ident() != self.thread:
            raise RuntimeError(
                "a step is being recorded in another thread: wait until that is done"
            )
        real, noted = [], []
        for a in args:
            inner, value = (a.real, a.value) if type(a) is Array else self.split(a)
            real.append(inner)
            noted.append(value)
        if options:
            parts = {key: self.split(a) for key, a in options.items()}
            content = function(*real, **{key: a for key, (a, _) in parts.items()})
            options = {key: value for key, (_, value) in parts.items() if key != "out"}
        else:
            content = function(*real)
        if type(out) is tuple:  # of a kernel that writes into several arrays
            options["out"] = tuple([a.value for a in out])
            result, value = out[0], out[0].value
        elif out is not None:
            result, value = out, out.value
        elif content is real[0]:
            return args[0]  # x.astype(its own dtype, copy=False)
        elif type(content) is tuple:
            return self.several(form, name, noted, options, content)
        else:
            root = None
            if name in MAY_VIEW and self.library.may_share_memory(content, real[0]):
                root = args[0].value.root
            value = Value(content, "made", variable(sys._getframe(2)), root)
            result = Array(content, value)
            if name in OF_SHAPE and value.is_in_order:
                name, noted[0] = OF_SHAPE[name], value.shape
                options = {"dtype": value.dtype, **options}
        if self.keep is not None:
            self.keep.append(result.real.copy() if hasattr(result.real, "copy") else result.real)
        calls = self.calls
        calls.append(Call(form, name, tuple(noted), options, value, out is not None, len(calls)))
        return result

    def several(self, form, name, args, options, content):
        """Note a call that gives several arrays at once: a tuple, and views of what is in it."""
        if name not in backend.KERNELS:
            raise CannotRecord(f"{where()}: {name} gives several arrays at once")
        whole, calls, parts = Value(content, "made"), self.calls, []
        calls.append(Call(form, name, tuple(args), options, whole))
        for i, array in enumerate(content):
            part = Value(array, "made", root=whole)
            calls.append(Call("getitem", "", (whole, i), {}, part))
            parts.append(Array(array, part))
        if self.keep is not None:
            self.keep += [None] * (1 + len(parts))
        return tuple(parts)

    def split(self, a):
        """(what the library is to compute with, the same for the list of calls): the array that is
        inside of an Array, and its Value."""
        kind = type(a)
        if kind is Array:
            return a.real, a.value
        if kind is tuple or kind is list:
            parts = [self.split(b) for b in a]
            return kind([real for real, _ in parts]), tuple([noted for _, noted in parts])
        if kind is self.raw:
            if id(a) not in self.known:
                raise CannotRecord(
                    f"{where()}: an array of shape {a.shape} that was neither made by xp in this "
                    "step nor is an input of it, in a module or a variable that the step uses"
                )
            return a, self.known[id(a)].value
        return a, a

    def watch(self, value, kind, name, about):
        """Called by the engine after each op and vjp: the end of a section, a name for a value."""
        if type(value) is not Array:
            raise CannotRecord(f"{where()}: a gradient of a gradient (minigrad.higher) in the step")
        self.mark(name if kind == "op" else f"vjp of {name}")
        value = value.value
        if value.kind != "made" or value in self.named:
            return
        if kind == "op":
            self.ops += 1
            value.name = f"h{self.ops}"
        else:
            value.name = f"d_{about.data.value.name}"
        self.named.add(value)

    def mark(self, section):
        """Give the calls since the last mark to a section."""
        for call in self.calls[self.marked :]:
            call.section = section
        self.marked = len(self.calls)


@cache
def door(library):
    return Door(library)


class Door:
    """What `xp` forwards to during a recording: the library's names, each noting its calls."""

    ndarray = Array

    def __init__(self, library):
        for name in [*strict.FUNCTIONS.split(), "array", "asarray"]:
            if name not in strict.SHAPED_BY_VALUES:
                setattr(self, name, noted("function", name, getattr(library, name)))
        for name in strict.CONSTANTS.split():
            setattr(self, name, getattr(library, name))
        self.add.at = self._add_at

    def _add_at(self, target, index, values):
        function = operator.attrgetter("add.at")(arrays.recorder.library)
        arrays.recorder.call("function", "add.at", function, (target, index, values), {}, target)

    def __getattr__(self, name):
        if name in backend.KERNELS:
            return noted_kernel(name, backend.KERNELS[name])
        raise CannotRecord(
            f"{where()}: xp.{name} cannot be recorded: the shape of its result depends on values, "
            "or it is no function of arrays that the recorder knows"
        )
