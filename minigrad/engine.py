"""Reverse-mode automatic differentiation: Tensor, `op` and `backward`. No particular op is in here.

An op is one function of raw arrays. It returns its value and, for each input, the vector-Jacobian
product (vjp) that turns the gradient of the loss with respect to the value, ``g``, into the
gradient with respect to that input::

    @op
    def tanh(x):
        y = xp.tanh(x)
        return y, lambda g: g * (1 - y * y)

``op`` makes of it a function of Tensors. While it computes forward, the result remembers its edges:
pairs (input, vjp), kept only for inputs that need a gradient. ``backward`` walks the edges from the
loss to the leaves and applies the chain rule, one vjp per edge.

Two decisions make the rest short:

* A vjp closes over arrays, never over Tensors. So no reference cycle can form, and a graph is
  freed by reference count the moment backward has used it. The price: a gradient is an array with
  no graph of its own. higher.py gets second derivatives all the same, from the same rules.
* Inputs exist before outputs. So the order of creation is a topological order of the graph: of the
  results whose gradient has begun to arrive, the newest has received all of it, since whatever
  used it is newer still. A heap that hands out the newest is the whole traversal: no recursion,
  however deep the graph, and each edge is walked once, however often paths cross. A leaf
  that is newer than what was computed from it has been changed since: that is an error.
"""

import functools
import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ParamSpec

from . import backend
from .backend import xp
from .contract import describe, most_outputs, refuse_outputs, refuse_sequences
from .modes import is_recording, who_watches

# Tensor's operators and methods are made of ops, which are made of what is in here: so methods.py
# attaches them when it is imported. A type checker, which runs nothing, takes them as inherited.
if TYPE_CHECKING:
    from .methods import Methods
else:
    Methods = object

# The serial numbers of Tensors: a higher one is newer.
next_order = itertools.count().__next__

# How often a Tensor, module or optimizer was given another array, mode or attribute. So a compiled
# step looks at one number to know that nothing was exchanged since the last one.
exchanges = [0]

# Every op by name; the tests check that each has a gradient case.
OPS: dict[str, Callable[..., "Tensor"]] = {}

# While higher.py takes a gradient of a gradient: its function, through which an op's inputs pass.
lift: Any = None

# What takes the place of a Tensor's edges once backward has used them.
FREED: Any = ("freed",)


class Tensor(Methods):
    """An array that remembers how it was computed.

    A leaf is a Tensor that you make; a result is one that an op makes. Only leaves keep their
    gradient, a plain array, in ``.grad``. An op makes a new Tensor, it never writes into ``.data``.
    To change a leaf write ``w.data -= lr * w.grad``: backward through what was computed from it
    before is then an error. (Only ``w.data[...] = values`` goes unnoticed.)

    Args:
        data: an array of the current backend, a NumPy array (moved to the device), a number or a
            (nested) list of numbers. Numbers and lists become float32; arrays keep their dtype and
            are not copied: an array and the Tensor made of it share their memory.
        requires_grad: whether `backward` should leave the gradient in ``.grad``.

    Raises:
        TypeError: data that are no real numbers, `requires_grad` for integers or booleans (which
            have no derivative), or a Tensor that requires a gradient (use it or its `detach`).
    """

    grad: Any  # of a leaf: its gradient; of a result: what has arrived of it during backward
    grad_home: Any  # the array that an optimizer wants a leaf's gradient written to, or None
    op: str | None  # the name of the op that made it; None for a leaf
    edges: Any  # (input, vjp) for each input that needs a gradient
    order: int  # its serial number; a leaf gets a new one whenever its data change

    # `data` and `requires_grad` are properties, which check what is assigned (methods.py).
    __slots__ = (
        *("_data", "_requires_grad", "grad", "grad_home", "op", "edges", "order"),
        "__weakref__",
    )

    # Tells NumPy and CuPy to leave ``array * tensor`` to Tensor.__rmul__.
    __array_ufunc__ = None

    def __init__(self, data, requires_grad=False):
        if isinstance(data, Tensor):
            if data.requires_grad and is_recording():
                raise TypeError("Tensor(t) would cut t off from its graph: use t, or t.detach()")
            data = data.data
        self._data = backend.asarray(data)
        self.grad = None
        self.grad_home = None
        self.op = None
        self.edges = ()
        self.order = next_order()
        self._requires_grad = False
        if requires_grad is not False:
            self.requires_grad = requires_grad

    def backward(self, grad=None):
        """Add d(self)/d(leaf) to ``leaf.grad`` for every leaf that requires a gradient.

        The graph is freed on the way. `grad` is the gradient to start from, of the shape of this
        Tensor; a Tensor with one element starts from 1.

        Raises:
            RuntimeError: nothing to differentiate, no single number to start from, a graph that an
                earlier call has freed, or a leaf that was changed since it was used.
            ValueError: a `grad` of another shape.
        """
        backward(self, grad)


def touch(leaves):
    """Say that the data of leaves were changed in place: graphs that used them are out of date."""
    now = next_order()
    for leaf in leaves:
        leaf.order = now


class Exchangeable:
    """An object whose attributes are part of a step: that they are exchanged is counted.

    changing: the names of those that may be others at every step, numbers.
    """

    changing: tuple[str, ...] = ()

    def __setattr__(self, name, value):
        if name not in self.changing:
            exchanges[0] += 1
        object.__setattr__(self, name, value)


P = ParamSpec("P")


def op(rule: Callable[P, tuple]) -> Callable[P, Tensor]:
    """Make ``rule(*arrays, **options) -> value, vjp_0, vjp_1, ...`` a function of Tensors.

    The vjps belong to the positional arguments in order; Tensors are given by position. ``None``
    says that there is no derivative, by design (a condition); a Tensor that requires a gradient
    where no vjp is left is an error. A vjp may return its gradient with the axes that broadcasting
    added; the engine sums them away. It must not write into ``g``, which others may share.

    Arrays of several dtypes meet as in NumPy (float32 and float64 give float64), but a number,
    NumPy's scalars too, never changes the dtype of the arrays that it meets.
    """
    name = getattr(rule, "__name__", repr(rule))
    most = most_outputs(rule)
    new = object.__new__

    @functools.wraps(rule)
    def apply(*inputs, **options):
        if lift is not None:
            inputs, options = lift(name, inputs, options)
        arrays, sequences, foreign = [], False, False
        for x in inputs:
            if isinstance(x, Tensor):
                x = x._data
            elif type(x) is not float and type(x) is not int:
                foreign = True
                if isinstance(x, backend.NUMPY_SCALARS):
                    x = x.item()
                elif isinstance(x, (list, tuple)):  # a shape, an index: nothing to differentiate
                    sequences = True
            arrays.append(x)
        if options:
            for key, value in options.items():
                if isinstance(value, Tensor):
                    raise TypeError(f"op {name} takes the Tensor {key!r} by position, not by name")
        try:
            outputs = rule(*arrays, **options)  # type: ignore[call-arg]
            if type(outputs) is not tuple or len(outputs) > most:
                refuse_outputs(outputs, most)
            if sequences:
                refuse_sequences(inputs, outputs)
            value = outputs[0]
            if type(value) is not xp.ndarray:
                value = backend.asarray(value)
            elif foreign and value.dtype.kind not in "biuf":
                raise TypeError(f"an array holds real numbers, not {value.dtype}")
        except Exception as error:
            error.add_note(f"in op {name}({describe(arrays)})")
            raise
        if watch := who_watches():
            watch(value, "op", name, arrays)
        result = new(Tensor)  # without Tensor.__init__: what it checks is known here
        result._data = value
        result.grad = None
        result.op = name
        result.order = next_order()
        result.edges = edges = []
        if is_recording():
            for i, x in enumerate(inputs, 1):
                if isinstance(x, Tensor) and x._requires_grad:
                    if i >= len(outputs):
                        raise TypeError(f"op {name} has no gradient for argument {i}: detach() it")
                    if outputs[i] is not None:
                        edges.append((x, outputs[i]))
        result._requires_grad = bool(edges)
        return result

    OPS[name] = apply
    return apply


def backward(root, grad=None):
    """See `Tensor.backward`."""
    if not root.requires_grad:
        raise RuntimeError(
            "nothing to differentiate: this Tensor does not depend on any that requires a gradient"
            " (or was computed under no_grad())"
        )
    if grad is None:
        if root.size != 1:
            raise RuntimeError(
                f"backward() of a Tensor of shape {root.shape} needs to know where to start: "
                "call .sum().backward() or .backward(grad=...)"
            )
        grad = xp.ones(root.shape, root.dtype)
    else:
        grad = grad.data if isinstance(grad, Tensor) else backend.asarray(grad)
    if grad.shape != root.shape:
        raise ValueError(f"grad has shape {grad.shape}, but the Tensor has shape {root.shape}")
    if grad.dtype != root.dtype:
        grad = grad.astype(root.dtype)

    if root.op is None:
        _accumulate(root, grad)
        return
    root.grad = grad  # the .grad of a result: what has arrived there, until its turn comes
    waiting = [(-root.order, root)]  # a heap: its first entry is the newest
    try:
        while waiting:
            _pass_on(waiting)
    finally:
        for _, tensor in waiting:  # empty, unless a vjp failed
            tensor.grad = None


def _pass_on(waiting):
    """Take the newest result off the heap and pass its gradient on to its inputs."""
    tensor = heappop(waiting)[1]
    g, tensor.grad = tensor.grad, None
    edges, tensor.edges = tensor.edges, FREED
    if edges is FREED:
        raise RuntimeError(
            f"the graph behind op {tensor.op} was freed by an earlier backward(): compute the "
            "loss again, or add the losses up and call backward() once"
        )
    watch = who_watches()
    for parent, vjp in edges:
        array = parent._data
        try:
            contribution = vjp(g)
            # "is": equal dtypes are nearly always the same object, and _fit takes care of the rest.
            if contribution.shape != array.shape or contribution.dtype is not array.dtype:
                contribution = _fit(contribution, array)
        except Exception as error:
            error.add_note(f"in the vjp of op {tensor.op}, whose input has shape {array.shape}")
            raise
        if parent.op is None:
            if parent.order > tensor.order:
                raise RuntimeError(
                    f"a leaf of shape {parent.shape} was changed (by an optimizer's step, "
                    "load_state_dict() or an assignment to its data) after "
                    f"op {tensor.op} had used it: compute the loss again"
                )
            _accumulate(parent, contribution)
        elif parent.grad is None:
            parent.grad = contribution
            heappush(waiting, (-parent.order, parent))
        else:
            parent.grad = parent.grad + contribution
        if watch:
            watch(contribution, "vjp", tensor.op, parent)


def _accumulate(leaf, g):
    """Add to the leaf's own gradient array: g may be a view, or another Tensor's gradient too.

    With an optimizer that array is the same in every step: copy it to keep it.
    """
    if leaf.grad is not None:
        leaf.grad += g
    elif leaf.grad_home is not None:
        leaf.grad_home[...] = g
        leaf.grad = leaf.grad_home
    else:
        leaf.grad = xp.array(g)


def _fit(g, array):
    """Give a gradient the shape and dtype of the array that it belongs to.

    Broadcasting copies an element along an axis; the derivative of copying is summing.
    """
    added = g.ndim - array.ndim
    if added < 0 or any(n not in (1, m) for n, m in zip(array.shape, g.shape[added:])):
        raise ValueError(f"a gradient of shape {g.shape} for an input of shape {array.shape}")
    stretched = [i for i, n in enumerate(array.shape, added) if n == 1 and g.shape[i] != 1]
    if added or stretched:
        g = g.sum(axis=(*range(added), *stretched), keepdims=True)
    return g.reshape(array.shape).astype(array.dtype, copy=False)
