"""Gradients of gradients, though no vjp has a gradient: Tensors stand behind ``xp``.

The problem: a vjp closes over arrays and returns an array. What backward leaves in ``x.grad`` has
forgotten how it was computed, and cannot be differentiated::

    x = Tensor(2.0, requires_grad=True)
    (x**3).backward()
    x.grad                                   # 12, but not: 3 x^2

The trick: the same rules, given arrays that are Tensors inside (boxes.py). So no rule is written
twice, and a gradient is a result like any other::

    grad(lambda x: x**3)(2.0)                # 12, a Tensor that knows it is 3 x^2
    grad(grad(lambda x: x**3))(2.0)          # 12 = 6 x

Not for spikes, whose first derivative is already a convention. Running statistics that a function
moves on its way are not moved by `grad`.
"""

import functools
from typing import Any

from .. import nn, ops
from ..backend import xp
from ..checks import check_functions
from ..methods import Tensor
from ..modes import is_recording
from .boxes import Box, at, level, oldest, upstairs

# An argument to be differentiated with respect to is a Tensor (or what becomes one), a list or
# tuple of Tensors, or a module, whose parameters are meant. Gradients come in the same form, those
# of a module as a list in the order of module.parameters().


def grad(f, argument: int | tuple[int, ...] = 0):
    """The function that returns the gradient of f, as Tensors with a graph.

    So ``grad(grad(f))`` works, and a loss made of gradients has a `backward`, which reaches the
    Tensors that f uses without being given them, too.

    Args:
        f: returns a Tensor: a number, or one for each of what leads. Then it is the gradient of
            their sum, in which each replica finds its own.
        argument: the position of the argument to differentiate for, or a tuple of positions, which
            gives a tuple of gradients.

    What f does not depend on has the gradient 0. f is called with Tensors of its own: what it
    computes is of use outside only if it is what it returns.

    Raises:
        TypeError: f returns something else, or uses an op without a second derivative (spikes).
        RuntimeError: no_grad(), or a rule whose in-place work a Box cannot follow (see
            boxes.py).
    """

    check_functions(f=f)

    def gradient(*args, **options):
        return _gradient(functools.partial(f, **options), args, argument)

    return gradient


def hvp(f, x, v):
    """The Hessian of f at x, times v: the gradient of <grad f(x), v>, in the form of x.

    For the time of three to four gradients, where arithmetic dominates. `v` has the form and shapes
    of x (a list, if x is a module). The result is a constant, except inside another `grad`.
    """
    v = list(v) if isinstance(x, nn.Module) or _several(x) else [v]
    v = [w if hasattr(w, "shape") else Tensor(w) for w in v]

    def slope(x):
        gradients = grad(f)(x)
        gradients = gradients if isinstance(gradients, (list, tuple)) else [gradients]
        for g, w in zip(gradients, v, strict=True):
            if g.shape != w.shape:
                raise ValueError(f"a direction of shape {w.shape} for an argument of {g.shape}")
        return functools.reduce(ops.add, [(g * w).sum() for g, w in zip(gradients, v)])

    return _gradient(slope, (x,), last=True)


def jacobian(f, x):
    """All derivatives of f(x) for the Tensor x, of shape (*f(x).shape, *x.shape).

    For small ones: one gradient for each number that f returns.

    Raises:
        TypeError: a module or a list as x, or an f that does not return a Tensor of floats.
    """
    if isinstance(x, (nn.Module, list, tuple)):
        raise TypeError(f"a jacobian is for one Tensor, not for a {type(x).__name__}: use grad")
    x = x if isinstance(x, Tensor) else Tensor(x)
    y = differentiable(f(x))
    rows: list[Any] = [
        _gradient(lambda x, i=i: f(x).reshape(-1)[i], (x,), last=True) for i in range(y.size)
    ]
    return ops.stack(rows).reshape(*y.shape, *rows[0].shape)


def hessian(f, x):
    """The matrix of second derivatives of f, with one row and one column for each number in x.

    For small ones: one `hvp` for each number.
    """
    shapes = [(t.shape, t.size, t.dtype) for t in _tensors(x)]
    rows = []
    for n, (_, size, _) in enumerate(shapes):
        for i in range(size):
            v = [
                (xp.arange(count) == (i if n == m else -1)).reshape(shape).astype(dtype)
                for m, (shape, count, dtype) in enumerate(shapes)
            ]
            row = hvp(f, x, v if isinstance(x, nn.Module) or _several(x) else v[0])
            rows.append(ops.concatenate([g.reshape(-1) for g in _tensors(row)]))
    return ops.stack(rows)


# --- how --------------------------------------------------------------------------------------


def _gradient(f, args, argument: int | tuple[int, ...] = 0, last=False):
    """`last`: nobody differentiates further, so that on the ground no floor has to be built. There
    all that is older than the leaves made here is constant, and no other Tensor's .grad is touched.
    """
    if not is_recording():
        raise RuntimeError("a gradient under no_grad(): nothing of the function would be recorded")
    named = argument if isinstance(argument, tuple) else (argument,)
    places = tuple(i % len(args) for i in named if i in range(-len(args), len(args)))
    if not len(named) == len(places) == len(set(places)) > 0:
        raise ValueError(
            f"argument {argument!r} of {len(args)} arguments: give the position of one, or a tuple "
            "of different positions"
        )
    outside = [_tensors(args[i]) for i in places]
    here = level.get()
    last = last and not here and not oldest.get()
    with upstairs(), at(level, here if last else here + 1):
        leaves = [
            [Tensor(t.data if last else Box(t), requires_grad=True) for t in tensors]
            for tensors in outside
        ]
        for i, tensors in zip(places, leaves):
            args = (*args[:i], _like(args[i], tensors), *args[i + 1 :])
        limit = leaves[0][0].order
        with at(oldest, limit if last else oldest.get()):
            y = differentiable(f(*args))
            # A Tensor from outside, returned as it came, does not depend on the argument.
            if y.requires_grad and y.order >= limit:
                y.backward(xp.ones(y.shape, y.dtype))
    gradients = []
    for i, tensors in zip(places, leaves):
        values = [_outside(leaf, last) for leaf in tensors]
        gradients.append(values if isinstance(args[i], nn.Module) else _like(args[i], values))
    return tuple(gradients) if isinstance(argument, tuple) else gradients[0]


def _several(argument):
    return isinstance(argument, (list, tuple)) and all(isinstance(t, Tensor) for t in argument)


def _tensors(argument):
    tensors = None
    if isinstance(argument, nn.Module):
        tensors = [p for p in argument.parameters() if p.requires_grad]
    elif _several(argument):
        tensors = list(argument)
    if tensors == []:
        raise ValueError(
            "nothing to differentiate for: an empty list, or a module without parameters that "
            "require a gradient (is it frozen?)"
        )
    if tensors is not None:
        return tensors
    return [argument if isinstance(argument, Tensor) else Tensor(argument)]


def _like(argument, tensors):
    """The argument with other Tensors in it."""
    if isinstance(argument, nn.Module):
        return nn.with_parameters(argument, _tensors(argument), tensors)
    return type(argument)(tensors) if _several(argument) else tensors[0]


def differentiable(y):
    """y, if a derivative of it can be asked for; TypeError otherwise."""
    if not isinstance(y, Tensor) or y.dtype.kind != "f":
        what = f"a Tensor of {y.dtype}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
        raise TypeError(f"f must return a Tensor of floating-point numbers, but returned {what}")
    return y


def _outside(leaf, last):
    """The leaf's gradient as a Tensor of the floor below it."""
    if leaf.grad is None:
        return Tensor(xp.zeros(leaf.shape, leaf.dtype))
    return Tensor(leaf.grad) if last else leaf.grad.tensor
