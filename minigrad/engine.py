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
  freed by reference count the moment backward has used it.
* Inputs exist before outputs. So the order of creation is a topological order of the graph: of the
  results whose gradient has begun to arrive, the newest has received all of it, since whatever
  used it is newer still. A heap that hands out the newest is the whole traversal: no recursion,
  however deep the graph, and each edge is walked once, however often paths cross.
"""

import functools
import itertools
import threading
from contextlib import contextmanager
from heapq import heappop, heappush

from . import backend
from .backend import xp


class Tensor:
    """An array that remembers how it was computed.

    A leaf is a Tensor that you make; a result is one that an op makes. Only leaves keep their
    gradient, a plain array, in ``.grad``. Operators make new Tensors, never write into ``.data``:
    to change a leaf write ``w.data -= lr * w.grad``, once no graph that holds it is needed.

    Args:
        data: an array of the current backend, a NumPy array (moved to the device), a number or a
            (nested) list of numbers. Numbers and lists become float32; arrays keep their dtype and
            are not copied.
        requires_grad: whether `backward` should leave the gradient in ``.grad``.

    Raises:
        TypeError: `requires_grad` for integers or booleans, which have no derivative.
    """

    __slots__ = (
        "data",
        "grad",
        "grad_home",
        "requires_grad",
        "op",
        "edges",
        "order",
        "__weakref__",
    )

    # Tells NumPy and CuPy to leave ``array * tensor`` to Tensor.__rmul__.
    __array_ufunc__ = None

    def __init__(self, data, requires_grad=False):
        self.data = data.data if isinstance(data, Tensor) else backend.asarray(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(
                f"only floating-point data can require a gradient, not {self.data.dtype}: "
                "convert it first, for example with .astype('float32')"
            )
        self.grad = None
        self.grad_home = None  # where an optimizer wants the gradient to be written, if one does
        self.requires_grad = requires_grad
        self.op = None
        self.edges = ()
        self.order = next(_serial)

    @property
    def shape(self):
        return self.data.shape

    @property
    def ndim(self):
        return self.data.ndim

    @property
    def size(self):
        return self.data.size

    @property
    def dtype(self):
        return self.data.dtype

    def item(self):
        """The only element, as a Python number."""
        return self.data.item()

    def numpy(self):
        """The data as a NumPy array (on the CPU the same memory, not a copy)."""
        return backend.to_numpy(self.data)

    def detach(self):
        """The same data, cut off from the graph."""
        return Tensor(self.data)

    def backward(self, grad=None):
        """Add d(self)/d(leaf) to ``leaf.grad`` for every leaf that requires a gradient.

        The graph is freed on the way. `grad` is the gradient to start from, of the shape of this
        Tensor; a Tensor with one element starts from 1.

        Raises:
            RuntimeError: nothing to differentiate, no single number to start from, or a graph that
                an earlier call has freed.
            ValueError: a `grad` of another shape.
        """
        backward(self, grad)

    def __len__(self):
        return len(self.data)

    def __bool__(self):
        return bool(self.data)

    def __float__(self):
        return float(self.item())

    def __format__(self, spec):
        return format(self.item(), spec) if spec else repr(self)

    def __array__(self, *args, **kwargs):
        raise TypeError("a Tensor is not silently turned into a NumPy array: call .numpy()")

    def __repr__(self):
        origin = f", op={self.op}" if self.op else ""
        flag = ", requires_grad=True" if self.requires_grad and not self.op else ""
        return f"Tensor({backend.to_numpy(self.data)}, dtype={self.dtype}{origin}{flag})"


# Serial numbers for Tensors: creation order is topological order.
_serial = itertools.count()

# Every op by name; the tests check that each has a gradient case.
OPS = {}

# What takes the place of a Tensor's edges once backward has used them.
FREED = ("freed",)


class _State(threading.local):
    """One for each thread, so that one thread's no_grad() does not stop another's recording."""

    recording = True


_state = _State()
_detecting_nan = False


@contextmanager
def no_grad():
    """Record nothing inside: no graph, no memory for it. Nests; works as a decorator too."""
    before, _state.recording = _state.recording, False
    try:
        yield
    finally:
        _state.recording = before


@contextmanager
def detect_nan():
    """Raise FloatingPointError at the op whose value or gradient is the first to hold NaN or inf.

    Every array is checked, and on a GPU waited for: a tool for finding a fault, not for training.
    """
    global _detecting_nan
    before, _detecting_nan = _detecting_nan, True
    try:
        yield
    finally:
        _detecting_nan = before


def op(rule):
    """Make ``rule(*arrays, **options) -> value, vjp_0, vjp_1, ...`` a function of Tensors.

    The vjps belong to the positional arguments in order; Tensors are given by position. ``None``
    says that there is no derivative, by design (a condition); a Tensor that requires a gradient
    where no vjp is left is an error. A vjp may return its gradient with the axes that broadcasting
    added; the engine sums them away.
    """
    name = rule.__name__
    new = object.__new__

    @functools.wraps(rule)
    def apply(*inputs, **options):
        arrays = []
        for x in inputs:
            if isinstance(x, Tensor):
                x = x.data
            elif isinstance(x, float):
                x = float(x)  # a numpy.float64, which is a float too, would make all of it float64
            arrays.append(x)
        if options:
            _refuse_tensors(name, options)
        try:
            outputs = rule(*arrays, **options)  # (value, vjp of the first input, ...)
        except Exception as error:
            error.add_note(f"in op {name}({_describe(arrays)})")
            raise
        value = outputs[0]
        if _detecting_nan:
            _require_finite(value, f"op {name}({_describe(arrays)})")
        # Tensor.__init__ would check what is known here, at 0.3 us a time.
        result = new(Tensor)
        result.data = value if type(value) is xp.ndarray else xp.asarray(value)
        result.grad = None
        result.op = name
        result.order = next(_serial)
        result.edges = edges = []
        if _state.recording:
            for i, x in enumerate(inputs, 1):
                if isinstance(x, Tensor) and x.requires_grad:
                    if i == len(outputs):
                        raise TypeError(f"op {name} has no gradient for argument {i}: detach() it")
                    if outputs[i] is not None:
                        edges.append((x, outputs[i]))
        result.requires_grad = bool(edges)
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
    elif type(grad) is not xp.ndarray:
        grad = Tensor(grad).data
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
    for parent, vjp in edges:
        array = parent.data
        try:
            contribution = vjp(g)
            # "is": equal dtypes are nearly always the same object, and _fit takes care of the rest.
            if contribution.shape != array.shape or contribution.dtype is not array.dtype:
                contribution = _fit(contribution, array)
        except Exception as error:
            error.add_note(f"in the vjp of op {tensor.op}, whose input has shape {array.shape}")
            raise
        if _detecting_nan:
            _require_finite(contribution, f"the vjp of op {tensor.op}")
        if parent.op is None:
            _accumulate(parent, contribution)
        elif parent.grad is None:
            parent.grad = contribution
            heappush(waiting, (-parent.order, parent))
        else:
            parent.grad = parent.grad + contribution


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


def _refuse_tensors(name, options):
    for key, value in options.items():
        if isinstance(value, Tensor):
            raise TypeError(f"op {name} takes the Tensor {key!r} by position, not by name")


def _require_finite(array, source):
    if not xp.isfinite(array).all():
        raise FloatingPointError(f"NaN or infinity in the result of {source}")


def _describe(inputs):
    """Shapes and dtypes of arrays, other values as they are: for error messages."""
    return ", ".join(
        f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else repr(x) for x in inputs
    )
