"""Modules: layers with parameters, and `stack`, which trains many of them at once.

A module is an ordinary class. Every leaf Tensor that it holds is a parameter, every array a buffer
(running statistics), every module (also in lists, tuples and dicts) a child: nothing is registered,
attributes are walked in the order of their definition.
"""

import copy
from contextlib import contextmanager
from typing import Any

from . import backend, functional, init
from .backend import xp
from .engine import Exchangeable, Tensor, touch


class Module(Exchangeable):
    """Base class of all layers and networks; the vocabulary is PyTorch's."""

    training = True

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    __call__ = forward

    def __init_subclass__(cls):
        """To call a module is to call its own forward, without a detour: 0.1 us a layer."""
        if "forward" in vars(cls):
            cls.__call__ = cls.forward  # type: ignore

    def children(self):
        """(name, module) of the modules that this one holds itself."""
        for name, value in _entries(self):
            if isinstance(value, Module):
                yield name, value

    def modules(self):
        """This module and all below it, each once."""
        found: dict[int, Module] = {}
        waiting: list[Module] = [self]
        while waiting:
            module = waiting.pop()
            if id(module) not in found:
                found[id(module)] = module
                waiting.extend(child for _, child in module.children())
        return list(found.values())

    def named_parameters(self):
        """(name, Tensor), each Tensor once, also where several modules share it."""
        return _named(self, Tensor)

    def named_buffers(self):
        """(name, array), each array once."""
        return _named(self, xp.ndarray)

    def named_noise(self):
        """(name, `backend.Noise`), each source once: all that this module draws from in a step."""
        return _named(self, backend.Noise)

    def parameters(self):
        return [parameter for _, parameter in self.named_parameters()]

    def train(self, mode=True):
        """Switch to training behaviour (dropout, batch statistics); returns the module."""
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self):
        """Switch to evaluation behaviour; returns the module."""
        return self.train(False)

    def state_dict(self):
        """{name: NumPy array}: copies of all parameters and buffers."""
        arrays = {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())
        return {name: backend.to_numpy(array).copy() for name, array in arrays.items()}

    def load_state_dict(self, state):
        """Write `state` into parameters and buffers, in place. All or nothing is written.

        Raises:
            ValueError: names or shapes that differ from those of this module.
        """
        arrays = {name: p.data for name, p in self.named_parameters()} | dict(self.named_buffers())
        missing, unknown = arrays.keys() - state.keys(), state.keys() - arrays.keys()
        if missing or unknown:
            raise ValueError(
                f"missing: {sorted(missing) or 'none'}; unknown: {sorted(unknown) or 'none'}"
            )
        for name, array in arrays.items():
            if array.shape != state[name].shape:
                raise ValueError(f"{name} has shape {array.shape}, the state {state[name].shape}")
        for name, array in arrays.items():
            array[...] = xp.asarray(state[name])
        touch(self.parameters())

    def describe(self):
        """What stands in the parentheses of the module's line in `repr`."""
        return ", ".join(
            f"{name} {list(value.shape)}"
            for name, value in _entries(self)
            if isinstance(value, Tensor)
        )

    def __repr__(self):
        count = sum(parameter.size for parameter in self.parameters())
        lines = [f"{type(self).__name__}({self.describe()})  {count:,} parameters"]
        for name, child in self.children():
            lines += [f"  {line}" for line in f"{name}: {child!r}".splitlines()]
        return "\n".join(lines)


def _entries(module):
    """(name, value) of a module's attributes; lists, tuples and dicts are opened: "layers.0"."""
    waiting = list(vars(module).items())[::-1]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, (list, tuple)):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            waiting += [(f"{name}.{key}", v) for key, v in value.items()][::-1]
        else:
            yield name, value


def _named(module, kind, prefix="", seen=None):
    seen = set() if seen is None else seen
    for name, value in _entries(module):
        if isinstance(value, Tensor) and value.op is not None:
            continue  # a result that somebody kept
        if isinstance(value, kind) and id(value) not in seen:
            seen.add(id(value))
            yield prefix + name, value
        elif isinstance(value, Module):
            yield from _named(value, kind, f"{prefix}{name}.", seen)


@contextmanager
def evaluating(module):
    """Inside, the module is in evaluation mode; afterwards each part of it is in its own again."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def noise_from(module, rng):
    """Inside, what the module draws (masks, weight noise) comes from `rng`; afterwards from where
    it came before. So looking at a module does not change what it will draw next.

    rng: a seed (a number, or a sequence of them) or a Generator; with None nothing changes.
    """
    if rng is None:
        yield module
        return
    seed = backend.seed_numbers(rng)
    sources = [noise for _, noise in module.named_noise()][::-1]  # the head's is number 0
    others = [backend.Noise([*seed, k]) for k in range(len(sources))]
    for noise, other in zip(sources, others):
        noise.exchange(other)
    try:
        yield module
    finally:
        for noise, other in zip(sources, others):
            noise.exchange(other)


@contextmanager
def frozen(module):
    """Inside, the parameters are constants: no vjp of theirs is recorded, no gradient computed."""
    thawed = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in thawed:
        parameter.requires_grad = False
    try:
        yield module
    finally:
        for parameter in thawed:
            parameter.requires_grad = True


# --- many modules at once --------------------------------------------------------------------


def stack(modules):
    """One module that computes what all of these compute: replica k is ``modules[k]``.

    Every parameter and buffer gets a new leading axis R. Data of shape (R, B, D) then gives each
    replica its own batch, and (B, D) the same batch to all. Whatever is no array (options, noise
    generators) is taken from the first module.

    Raises:
        ValueError: no modules, or modules that differ in parameters, options or functions.
    """
    modules = list(modules)
    if not modules:
        raise ValueError("there is no module to stack")
    shapes = [
        {n: a.shape for named in (m.named_parameters(), m.named_buffers()) for n, a in named}
        for m in modules
    ]
    for k, other in enumerate(shapes):
        if other != shapes[0] or type(modules[k]) is not type(modules[0]):
            raise ValueError(f"module {k} differs from module 0: {other} against {shapes[0]}")
    return _combine(xp.stack, modules, {})


def unstack(module, replica):
    """One module out of a stack (or several, for a slice), with parameters of its own."""
    return _combine(lambda arrays: arrays[0][replica].copy(), [module], {})


def with_parameters(module, old, new):
    """The same module with the Tensors `new` in place of the parameters `old`; it shares the rest.

    The modules inside are copies: `module` itself is not changed.
    """
    done = {id(p): p for p in module.parameters()} | {id(p): q for p, q in zip(old, new)}
    return _combine(lambda arrays: arrays[0], [module], done)


def _combine(function, parts, done):
    """Rebuild parts[0], each of its arrays replaced by function(that array of all parts).

    `done` remembers what was rebuilt, so that what modules share stays shared.
    """
    first = parts[0]
    if id(first) in done:
        return done[id(first)]
    if isinstance(first, Tensor):
        new: Any = Tensor(function([part.data for part in parts]), first.requires_grad)
    elif isinstance(first, xp.ndarray):
        new = function(parts)
    elif isinstance(first, (list, tuple)):
        if any(len(part) != len(first) for part in parts):
            raise ValueError(f"modules with lists of {[len(part) for part in parts]} entries")
        return type(first)(_combine(function, list(column), done) for column in zip(*parts))
    elif isinstance(first, dict):
        return {key: _combine(function, [part[key] for part in parts], done) for key in first}
    elif isinstance(first, Module):
        new = copy.copy(first)
        for name in vars(first):
            setattr(new, name, _combine(function, [getattr(p, name) for p in parts], done))
    else:
        if isinstance(first, (int, float, str)) and any(part != first for part in parts):
            raise ValueError(f"modules with different options: {parts}")
        if any(_name(part) != _name(first) for part in parts):
            raise ValueError(f"modules with different functions: {[_name(p) for p in parts]}")
        return first
    done[id(first)] = new
    return new


def _name(value):
    return getattr(value, "__qualname__", None)


# --- layers ----------------------------------------------------------------------------------


class Linear(Module):
    """x @ weight + bias: (..., B, D) -> (..., B, H). `draw`, from init.py, makes the weights."""

    def __init__(self, inputs, outputs, *, bias=True, draw=init.glorot_uniform, rng=None):
        self.weight = Tensor(draw((inputs, outputs), rng), requires_grad=True)
        self.bias = Tensor(xp.zeros((1, outputs), "float32"), requires_grad=True) if bias else None

    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)


class LayerNorm(Module):
    """Normalises each row over its features; see `functional.layer_norm`."""

    def __init__(self, features, *, eps=1e-5):
        self.gain = Tensor(xp.ones((1, features), "float32"), requires_grad=True)
        self.bias = Tensor(xp.zeros((1, features), "float32"), requires_grad=True)
        self.eps = eps

    def forward(self, x):
        return functional.layer_norm(x, self.gain, self.bias, eps=self.eps)


class BatchNorm(Module):
    """Normalises each feature over the batch; in evaluation by running statistics.

    `momentum` is the weight of the newest batch, as in PyTorch. The running variance is the biased
    one (see `functional.batch_norm`).
    """

    def __init__(self, features, *, momentum=0.1, eps=1e-5):
        self.gain = Tensor(xp.ones((1, features), "float32"), requires_grad=True)
        self.bias = Tensor(xp.zeros((1, features), "float32"), requires_grad=True)
        self.running_mean = xp.zeros((1, features), "float32")
        self.running_var = xp.ones((1, features), "float32")
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        if self.training:
            running = (self.running_mean, self.running_var)
            return functional.batch_norm(
                x, self.gain, self.bias, running=running, momentum=self.momentum, eps=self.eps
            )
        # Not x * scale + shift: where the mean is large, that would cancel its leading digits.
        scale, _ = self.folded()
        return (x - self.running_mean) * scale + self.bias

    def folded(self):
        """(scale, shift), each (..., 1, D): in exact numbers evaluation is x * scale + shift."""
        scale = self.gain / xp.sqrt(self.running_var + self.eps)
        return scale, self.bias - scale * self.running_mean


class Dropout(Module):
    """Drops features at random while training; nothing in evaluation."""

    def __init__(self, rate, *, rng=None):
        self.rate = functional.check_dropout_rate(rate)
        self.noise = backend.Noise(rng)

    def forward(self, x):
        return functional.dropout(x, self.rate, self.noise) if self.training and self.rate else x

    def describe(self):
        return f"rate {self.rate}"


class Sequential(Module):
    """One after the other; a layer is a module or any function of a Tensor."""

    def __init__(self, *layers):
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def describe(self):
        return ", ".join(getattr(layer, "__name__", type(layer).__name__) for layer in self.layers)
