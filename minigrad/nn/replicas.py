"""`stack`: many modules of one kind become one, which trains them all at once; and back."""

import copy
import functools
from collections.abc import Iterable
from numbers import Number
from typing import Any

import numpy

from ..backend import xp
from ..checks import check_kind
from ..engine import Tensor
from .module import Module


def stack(modules: Iterable[Module]) -> Any:
    """One module that computes what all of these compute: replica k is ``modules[k]``.

    Every parameter and buffer gets a new leading axis R. Axes meet as in NumPy, from the right: the
    one in front of (B, D) is that of the replicas. So data of shape (R, B, D) gives each replica
    its own batch, and (B, D) the same batch to all. Further axes stand in front of R, as samples
    do, (S, R, B, D), or become rows, as the timesteps (R, T, B, D) of spikes do, (R, T B, D). The
    sequences of (R, B, T, D) are made rows, too, or taken step by step, ``x[..., t, :]``.

    Options and functions must be equal; noise and other objects are those of the first module. The
    stack remembers its axis, ``stack.replicas == (R,)``.

    Raises:
        ValueError: no modules, or modules that differ in parameters, options, modes or functions.
    """
    if isinstance(modules, Module):
        raise TypeError(f"stack takes a list of modules, not one {type(modules).__name__}")
    modules = list(modules)
    if not modules:
        raise ValueError("there is no module to stack")
    for k, module in enumerate(modules):
        check_kind(Module, **{f"modules[{k}]": module})
    arrays = [{n: (a.shape, str(a.dtype)) for n, a in m.arrays().items()} for m in modules]
    for k, other in enumerate(arrays):
        if other != arrays[0] or type(modules[k]) is not type(modules[0]):
            kinds = type(modules[k]).__name__, type(modules[0]).__name__
            names = [n for n in arrays[0] | other if arrays[0].get(n) != other.get(n)]
            parts = [f"{n}, {other.get(n)} against {arrays[0].get(n)}" for n in names[:2]]
            why = "; ".join([f"{kinds[0]} against {kinds[1]}", *parts])
            raise ValueError(f"module {k} differs from module 0: {why}")
    return _mark(_combine(xp.stack, modules, {}), (len(modules), *modules[0].replicas))


def unstack(module: Module, replica) -> Any:
    """One module out of a stack (or several, for a slice), with parameters of its own.

    Raises:
        ValueError: a module that `stack` did not make.
        IndexError: there is no such replica.
    """
    if not module.replicas:
        raise ValueError(f"this {type(module).__name__} is no stack: there is no replica to take")
    left = numpy.empty(module.replicas, bool)[replica].shape
    return _mark(_combine(lambda arrays: arrays[0][replica].copy(), [module], {}), left)


def _mark(module, replicas):
    for part in module.modules():
        part.stacked = replicas
    return module


def with_parameters(module, old, new):
    """The same module with the Tensors `new` in place of the parameters `old`; it shares the rest.

    The modules inside are copies: `module` itself is not changed.
    """
    done = {id(p): p for p in module.parameters()} | {id(p): q for p, q in zip(old, new)}
    return _combine(lambda arrays: arrays[0], [module], done)


def _combine(function, parts, done):
    """Rebuild parts[0], each of its arrays replaced by function(that array of all parts).

    It walks through all parts at once. `parts` are first the R modules that `stack` was given; for
    each attribute, entry or key of theirs it calls itself with the R things that they hold there.
    So it gets from R networks to their R lists of layers, to R layers, to R weights (D, H): out of
    those `function` makes one array (R, D, H), and on the way back that one is put where they were,
    into a copy of the layer, that into a new list, that into a copy of the network.

    `done` remembers what was rebuilt, so that what modules share stays shared.
    """
    first = parts[0]
    new: Any
    if id(first) in done:
        return done[id(first)]
    _require_equal("classes", parts, lambda part: type(part))
    if isinstance(first, Tensor):
        _require_equal("frozen parameters", parts, lambda part: part.requires_grad)
        new = Tensor(function([part.data for part in parts]), first.requires_grad)
    elif isinstance(first, xp.ndarray):
        new = function(parts)
    elif isinstance(first, (list, tuple)):
        _require_equal("lists: lengths of", parts, len)
        return type(first)(_combine(function, list(column), done) for column in zip(*parts))
    elif isinstance(first, dict):
        _require_equal("keys", parts, list)
        return {key: _combine(function, [part[key] for part in parts], done) for key in first}
    elif isinstance(first, Module):
        _require_equal("attributes", parts, lambda part: sorted(vars(part).keys() - {"training"}))
        _require_equal("modes, training or not", parts, lambda part: part.training)
        new = done[id(first)] = copy.copy(first)  # before its parts, which may hold it
        for name in vars(first):
            setattr(new, name, _combine(function, [getattr(p, name) for p in parts], done))
    else:
        if isinstance(first, (Number, str)):
            _require_equal("options", parts, lambda part: part)
        if callable(first):
            _require_equal("functions", parts, _identity)
        return first
    done[id(first)] = new
    return new


def _require_equal(what, parts, key):
    values = [key(part) for part in parts]
    if any(value != values[0] for value in values):
        shown = parts if key is _identity else values
        names = [str(getattr(value, "__name__", value)) for value in shown]
        raise ValueError(f"modules with different {what}: {', '.join(names)}")


def _identity(function):
    """What makes two functions one: the same object, or the same code with the same surroundings.

    Functions made by calling one definition repeatedly are equal if what they closed over is.
    """
    if isinstance(function, functools.partial):
        return _identity(function.func), function.args, function.keywords
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    cells = getattr(function, "__closure__", None) or ()
    return code, [cell.cell_contents for cell in cells], function.__defaults__
