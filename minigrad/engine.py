"""Reverse-mode automatic differentiation: Tensor, `op` and `backward`. No particular op is in here.

An op is one function of raw arrays (``xp`` is NumPy, or CuPy). It returns its value and, for each
input, a function that carries gradients back to it, its vector-Jacobian product or vjp::

    @op
    def tanh(x):
        y = xp.tanh(x)
        return y, lambda g: g * (1 - y * y)

In numbers: let x = [0, 1], so y = [0, 0.76], and let g = [3, 10], the gradient of the loss with
respect to y: the loss rises 3 times as fast as y[0] does, 10 times as fast as y[1]. If x[1] rises,
y[1] rises 1 - 0.76^2 = 0.42 times as much, and the loss 4.2 times. So the vjp gives [3, 4.2]: g as
a row, times the Jacobian, the matrix of d y[i] / d x[j]. Nobody builds that matrix.

``op`` makes of it a function of Tensors. A leaf is a Tensor that you make, a result one that an op
makes. A result remembers its edges: pairs (input, vjp), kept only for inputs that need a gradient.
``backward`` walks them from the loss to the leaves. For ``loss = a * b + a``::

    p = a * b      edges (a, g -> g b) and (b, g -> g a)
    loss = p + a   edges (p, g -> g) and (a, g -> g)
    backward       loss starts with 1 and passes 1 to p and 1 to a; p passes b to a and a to b

What comes to ``a`` adds up, to b + 1: a nudge of ``a`` takes both paths, and moves the loss as much
as both together. A gradient is the sum over all paths to the loss; along a path slopes multiply.

Two decisions make the rest short:

* A vjp closes over arrays, never over Tensors. If it held the result that it belongs to, the result
  would hold its edges, an edge the vjp, and the vjp the result: a cycle, which no counting of
  references frees. As it is, arrows lead from results to inputs only, and a graph is freed the
  moment backward has used it. The price: a gradient has no graph of its own (but see `higher`).
* Inputs exist before outputs, so the order of creation is a topological order: of the results whose
  gradient has begun to arrive, the newest has received all of it, since whatever used it is newer
  still. A heap that hands out the newest is the whole traversal: no recursion, however deep the
  graph, and each edge is walked once, however often paths cross.
"""

import functools
import itertools
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, ParamSpec

from . import backend, contract
from .backend import xp
from .modes import is_recording, who_watches  # is a graph wanted? who is told of each op, if any?

# Tensor's operators and methods are made of ops, which are made of what is in here: so methods.py
# attaches them when it is imported. A type checker, which runs nothing, takes them as inherited.
if TYPE_CHECKING:
    from .methods import Methods
else:
    Methods = object

next_order = itertools.count().__next__  # the serial number of a new Tensor: higher is newer
OPS: dict[str, Callable[..., "Tensor"]] = {}  # by name; a test asks of each for a gradient case
FREED: Any = ("freed",)  # takes the place of a Tensor's edges once backward has used them
lift: Any = None  # while `higher` differentiates a gradient: what an op's inputs pass through
P = ParamSpec("P")  # for type checkers: an op takes what its rule takes


class Tensor(Methods):
    """An array that remembers how it was computed.

    Only leaves keep their gradient, a plain array, in ``.grad``. An op makes a new Tensor, it never
    writes into ``.data``: vjps may still need what is there. Change a leaf by ``w.data -= step``,
    once backward has freed the graph: backward through a graph that used the old data is an error.
    (Only ``w.data[...] = values`` goes unnoticed, and gives a wrong gradient: see `detect_writes`.)

    Args:
        data: a number or (nested) list of numbers, which become float32; or an array, which keeps
            its dtype and, unless it must move to the device, shares its memory with the Tensor.
        requires_grad: whether `backward` should leave the gradient in ``.grad``.

    Raises:
        TypeError: no real numbers; `requires_grad` for integers or booleans; or a Tensor that
            requires a gradient (use it, or its `detach`).
    """

    op: str | None  # the name of the op that made it; None for a leaf
    edges: Any  # (input, vjp) for each input that needs a gradient
    order: int  # its serial number; a leaf gets a new one whenever its data change
    grad: Any  # of a leaf: its gradient; of a result: what has arrived of it during backward
    grad_home: Any  # None, or the array where an optimizer wants a leaf's gradient to be

    # `data` and `requires_grad` are properties, which check what is assigned (methods.py).
    __slots__ = (
        *("_data", "_requires_grad", "op", "edges", "order", "grad", "grad_home"),
        "__weakref__",
    )
    __array_ufunc__ = None  # tells NumPy and CuPy to leave ``array * tensor`` to Tensor.__rmul__

    def __init__(self, data, requires_grad=False):
        if isinstance(data, Tensor):
            if data.requires_grad and is_recording():
                raise TypeError("Tensor(t) would cut t off from its graph: use t, or t.detach()")
            data = data.data
        self._data = backend.asarray(data)
        self.op, self.edges, self.order = None, (), next_order()
        self.grad = self.grad_home = None
        self._requires_grad = False
        if requires_grad is not False:
            self.requires_grad = requires_grad

    def backward(self, grad=None):
        """Add d(self)/d(leaf) to each leaf's ``.grad``, if it requires one, and free the graph.

        `grad` is the gradient to start from, of this Tensor's shape; a single number starts from 1.

        Raises:
            RuntimeError: nothing to differentiate, no single number to start from, a graph that an
                earlier call has freed, or a leaf that was changed since it was used.
            ValueError: a `grad` of another shape.
        """
        backward(self, grad)


def op(rule: Callable[P, tuple]) -> Callable[P, Tensor]:
    """Make ``rule(*arrays, **options) -> value, vjp_0, vjp_1, ...`` a function of Tensors.

    The vjps belong to the positional arguments in order. ``None`` says that there is no derivative;
    a Tensor that requires a gradient where no vjp is left is an error. A vjp may return its
    gradient with the axes that broadcasting added: they are summed away. It must not write into
    ``g``, which others may share. A number never changes the dtype of the arrays that it meets.
    """
    name = getattr(rule, "__name__", repr(rule))
    most = contract.most_outputs(rule)
    new = object.__new__

    @functools.wraps(rule)
    def apply(*inputs, **options):
        if lift is not None:
            inputs, options = lift(name, inputs, options)
        arrays, foreign = [], False
        for x in inputs:
            if isinstance(x, Tensor):
                x = x._data
            elif type(x) is not float and type(x) is not int:  # an array, a shape, an index, ...
                foreign |= type(x) is not xp.ndarray or x.dtype.kind not in "biuf"
                if isinstance(x, backend.NUMPY_SCALARS):
                    x = x.item()
            arrays.append(x)
        if options:
            contract.check_options(name, options)
        try:
            outputs = rule(*arrays, **options)  # type: ignore[call-arg]
            if type(outputs) is not tuple or len(outputs) > most:
                contract.refuse_outputs(outputs, most)
            if foreign:
                contract.check_foreign(inputs, outputs)
            value = outputs[0]
            if type(value) is not xp.ndarray:
                value = backend.asarray(value)
        except Exception as error:
            contract.explain(error, name, rule, arrays, options)
            raise
        if watch := who_watches():
            watch(value, "op", name, arrays)
        result = new(Tensor)  # without Tensor.__init__: what it checks is known here
        result._data, result.op, result.order = value, name, next_order()
        result.grad = None
        result.edges = edges = []
        if is_recording():
            i = 0
            for x in inputs:
                i += 1  # noqa: SIM113 (`enumerate` takes as long as making the Tensor)
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
    grad = contract.start_of(root, grad)
    if root.op is None:
        return _accumulate(root, grad)
    root.grad = grad  # the .grad of a result: what has arrived there, until its turn comes
    waiting = [(-root.order, root)]  # a heap: its first entry is the newest
    try:
        while waiting:
            _pass_on(waiting)
    finally:
        for _, tensor in waiting:  # empty, unless a vjp failed
            tensor.grad = None


def _pass_on(waiting):
    """Take the newest result off the heap and pass its gradient on: to leaves, and to the heap."""
    tensor = heappop(waiting)[1]
    g, tensor.grad = tensor.grad, None
    edges, tensor.edges = tensor.edges, FREED
    if edges is FREED:
        contract.refuse_freed(tensor.op)
    watch = who_watches()
    for parent, vjp in edges:
        array = parent._data
        try:
            contribution = vjp(g)
            # "is": equal dtypes are nearly always the same object, and _fit takes care of the rest.
            if contribution.shape != array.shape or contribution.dtype is not array.dtype:
                contribution = _fit(contribution, array)
        except Exception as error:
            contract.explain_vjp(error, tensor.op, array)
            raise
        if parent.op is None:
            if parent.order > tensor.order:  # newer than what used it: changed since
                contract.refuse_changed(parent, tensor.op)
            _accumulate(parent, contribution)
        elif parent.grad is None:
            parent.grad = contribution
            heappush(waiting, (-parent.order, parent))
        else:  # another path has been here before: the sum over paths
            parent.grad = parent.grad + contribution
        if watch:
            watch(contribution, "vjp", tensor.op, parent)


def _accumulate(leaf, g):
    """Add g, which others may share, to the leaf's own array: paths add up here, too, and calls.

    Where an optimizer gave it a home, that is the same array in every step: copy it to keep it.
    """
    if leaf.grad is not None:
        leaf.grad += g if leaf.grad is leaf.grad_home else contract.addend(g, leaf)
    elif leaf.grad_home is not None:
        leaf.grad_home[...] = g
        leaf.grad = leaf.grad_home
    else:
        leaf.grad = xp.array(g)


def _fit(g, array):
    """Give a gradient the shape and dtype of the array that it belongs to.

    Broadcasting copies an element along an axis; each copy is a path, and over paths one sums.
    """
    contract.check_broadcast(g, array)
    added = g.ndim - array.ndim
    stretched = [i for i, n in enumerate(array.shape, added) if n == 1 and g.shape[i] != 1]
    if added or stretched:
        g = g.sum(axis=(*range(added), *stretched), keepdims=True)
    return g.reshape(array.shape).astype(array.dtype, copy=False)
