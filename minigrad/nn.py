"""Modules: layers with parameters, and `stack`, which trains many of them at once.

A module is an ordinary class. Every leaf Tensor that it holds is a parameter, every array a buffer
(running statistics), every module (also in lists, tuples and dicts) a child: nothing is registered,
attributes are walked in the order of their definition.
"""

import copy
import functools
import math
import reprlib
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from numbers import Number
from typing import Any

import numpy

from . import backend, functional, images, init
from .backend import xp
from .checks import (
    check_counts,
    check_flags,
    check_functions,
    check_kind,
    check_positive,
    check_rates,
    check_shares,
    check_sizes,
    check_state,
)
from .engine import Tensor
from .exchanges import Exchangeable, touch
from .functional.layers import attention_weights
from .functional.normalisation import require_one_for_each_feature


class Module(Exchangeable):
    """Base class of all layers and networks; the vocabulary is PyTorch's."""

    training = True
    stacked: tuple = ()  # see `replicas`

    def __call__(self, x, *others):
        return self.forward(x, *others) if others else self.forward(x)  # faster than with * alone

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    def walk(self, deep=True) -> Iterator[tuple[str, Any]]:
        """(dotted name, value) of all that this module holds, itself first, in definition order.

        Lists, tuples and dicts are opened, "layers.0.weight"; so are modules, if `deep`. What is
        held in several places comes once, under its first name.

        Raises:
            TypeError: modules or Tensors in a set, deque or generator, which have no order or no
                places to name. (What functions and other objects hold is not found.)
        """
        seen, waiting = set(), [("", self)]
        while waiting:
            name, value = waiting.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Module):
                held = vars(value) if deep or value is self else {}
            elif isinstance(value, (list, tuple)):
                held = dict(enumerate(value))
            else:
                held = value if isinstance(value, dict) else {}
                if isinstance(value, UNNAMED) and _holds_parts(value):
                    raise TypeError(
                        f"{name} is a {type(value).__name__} of modules or Tensors, which are "
                        "found in lists, tuples and dicts only: list(...)"
                    )
            if not isinstance(value, (list, tuple, dict)):
                yield name, value
            prefix = f"{name}." if name else ""
            waiting += [(f"{prefix}{key}", part) for key, part in reversed(held.items())]

    def children(self) -> list[tuple[str, "Module"]]:
        """(name, module) of the modules that this one holds itself, each once."""
        held = list(self.walk(deep=False))[1:]
        return [(name, value) for name, value in held if isinstance(value, Module)]

    def modules(self) -> list["Module"]:
        """This module and all below it, each once: the last one first, the parts before a whole."""
        return [value for _, value in self.walk() if isinstance(value, Module)][::-1]

    @property
    def replicas(self) -> tuple:
        """The shape of the axes that `stack` put in front of every parameter of this module, or of
        its parts; () if there are none."""
        return next((part.stacked for part in self.modules() if part.stacked), ())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(name, Tensor), each leaf once; a result of an op that a module keeps is no parameter."""
        for name, value in self.walk():
            if isinstance(value, Tensor) and value.op is None:
                yield name, value

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """(name, array), each array once."""
        for name, value in self.walk():
            if isinstance(value, xp.ndarray):
                yield name, value

    def named_noise(self) -> Iterator[tuple[str, backend.Noise]]:
        """(name, `backend.Noise`), each source once: all that this module draws from in a step."""
        for name, value in self.walk():
            if isinstance(value, backend.Noise):
                yield name, value

    def parameters(self) -> list[Tensor]:
        return [parameter for _, parameter in self.named_parameters()]

    def train(self, mode=True):
        """Switch to training behaviour (dropout, batch statistics); returns the module."""
        check_flags(mode=mode)
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self):
        """Switch to evaluation behaviour; returns the module."""
        return self.train(False)

    def arrays(self) -> dict[str, Any]:
        """{name: array} of all parameters, then of all buffers: the arrays themselves.

        Raises:
            ValueError: a name that two of them have (an attribute "a.b" beside a list or dict "a").
        """
        named = [(name, parameter.data) for name, parameter in self.named_parameters()]
        named += self.named_buffers()
        arrays = dict(named)
        if len(arrays) < len(named):
            names = [name for name, _ in named]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"several parameters or buffers have the name {', '.join(twice)}")
        return arrays

    def state_dict(self) -> dict[str, numpy.ndarray]:
        """{name: NumPy array}: copies of all parameters and buffers."""
        return {name: backend.to_numpy(array).copy() for name, array in self.arrays().items()}

    def load_state_dict(self, state):
        """Write `state` into parameters and buffers, in place. All or nothing is written.

        Raises:
            ValueError: names, shapes or dtypes that differ from those of this module, or NaN; the
                message lists all of them.
        """
        arrays = self.arrays()
        new = check_state(arrays, state)
        for name, array in arrays.items():
            array[...] = xp.asarray(new[name])
        touch(self.parameters())

    def describe(self) -> str:
        """What stands in the parentheses of the module's line in `repr`."""
        return ", ".join(
            f"{name} {list(value.shape)}"
            for name, value in self.walk(deep=False)
            if isinstance(value, Tensor)
        )

    @reprlib.recursive_repr()
    def __repr__(self):
        count = sum(parameter.size for parameter in self.parameters())
        lines = [f"{type(self).__name__}({self.describe()})  {count:,} parameters"]
        for name, child in self.children():
            lines += [f"  {line}" for line in f"{name}: {child!r}".splitlines()]
        return "\n".join(lines)


UNNAMED = set, frozenset, deque, KeysView, ValuesView, Generator, map, zip


def _holds_parts(container: Any):
    """Whether there are modules or Tensors in it; of what can be read only once, one assumes it."""
    if not isinstance(container, Collection):
        return True
    return any(isinstance(part, (Module, Tensor)) for part in container)


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
        ValueError: no modules, or modules that differ in parameters, options or functions.
    """
    modules = list(modules)
    if not modules:
        raise ValueError("there is no module to stack")
    for k, module in enumerate(modules):
        check_kind(Module, **{f"modules[{k}]": module})
    arrays = [{n: (a.shape, str(a.dtype)) for n, a in m.arrays().items()} for m in modules]
    for k, other in enumerate(arrays):
        if other != arrays[0] or type(modules[k]) is not type(modules[0]):
            raise ValueError(f"module {k} differs from module 0: {other} against {arrays[0]}")
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
        raise ValueError(f"modules with different {what}: {', '.join(map(str, values))}")


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


# --- layers ----------------------------------------------------------------------------------


class Linear(Module):
    """x @ weight + bias: (..., B, D) -> (..., B, H). `draw`, from init.py, makes the weights."""

    def __init__(self, inputs, outputs, *, bias=True, draw=init.glorot_uniform, rng=None):
        check_sizes(inputs=inputs, outputs=outputs)
        check_flags(bias=bias)
        check_functions(draw=draw)
        self.weight = Tensor(draw((inputs, outputs), rng), requires_grad=True)
        if self.weight.shape != (inputs, outputs):
            raise ValueError(f"draw gave a weight {self.weight.shape}, not {(inputs, outputs)}")
        self.bias = Tensor(xp.zeros((1, outputs), "float32"), requires_grad=True) if bias else None

    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)


class Embedding(Module):
    """A row of numbers for each of `count` things: integers (..., N) -> (..., N, E)."""

    def __init__(self, count, width, *, rng=None):
        check_sizes(count=count, width=width)
        table = backend.host_rng(rng).standard_normal((count, width), dtype="float32")
        self.weight = Tensor(table, requires_grad=True)

    def forward(self, ids):
        return functional.embedding(self.weight, ids)


class LayerNorm(Module):
    """Normalises each row over its features; see `functional.layer_norm`."""

    def __init__(self, features, *, eps=1e-5):
        check_sizes(features=features)
        check_positive(eps=eps)
        self.gain = Tensor(xp.ones((1, features), "float32"), requires_grad=True)
        self.bias = Tensor(xp.zeros((1, features), "float32"), requires_grad=True)
        self.eps = eps

    def forward(self, x):
        return functional.layer_norm(x, self.gain, self.bias, eps=self.eps)


class RMSNorm(Module):
    """Divides each row by the root of its mean square; see `functional.rms_norm`."""

    def __init__(self, features, *, eps=1e-5):
        check_sizes(features=features)
        check_positive(eps=eps)
        self.gain = Tensor(xp.ones((1, features), "float32"), requires_grad=True)
        self.eps = eps

    def forward(self, x):
        return functional.rms_norm(x, self.gain, eps=self.eps)


class BatchNorm(Module):
    """Normalises each feature over the batch; in evaluation by running statistics.

    `momentum` is the weight of the newest batch, as in PyTorch. The running variance is the biased
    one (see `functional.batch_norm`). A single row has no variance: in training, too, it is
    normalised by the running statistics, and does not move them.
    """

    def __init__(self, features, *, momentum=0.1, eps=1e-5):
        check_sizes(features=features)
        check_shares(momentum=momentum)
        check_positive(eps=eps)
        self.gain = Tensor(xp.ones((1, features), "float32"), requires_grad=True)
        self.bias = Tensor(xp.zeros((1, features), "float32"), requires_grad=True)
        self.running_mean = xp.zeros((1, features), "float32")
        self.running_var = xp.ones((1, features), "float32")
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        if self.training and x.shape[-2:-1] != (1,):
            running = (self.running_mean, self.running_var)
            return functional.batch_norm(
                x, self.gain, self.bias, running=running, momentum=self.momentum, eps=self.eps
            )
        require_one_for_each_feature(x, self.gain, self.bias)
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
        check_rates(dropout_rate=rate)
        self.rate = rate
        self.noise = backend.Noise(rng)

    def forward(self, x):
        return functional.dropout(x, self.rate, self.noise) if self.training and self.rate else x

    def describe(self):
        return f"rate {self.rate}"


class MultiHeadAttention(Module):
    """Each timestep looks at all of them, `num_heads` times over (Vaswani et al. 2017, 3.2.2).

    softmax(q k^T / sqrt(d)) v in each head, of width d = width / num_heads; the heads side by side
    times a matrix. All four matrices have no bias.

    Args:
        width: E, of what comes in and goes out.
        num_heads: must divide `width`.
        causal: whether no timestep sees a later one.
        rotary: whether queries and keys are turned by their positions (see `functional.rotary`);
            without it, attention does not know of any order.
        rng: a seed or Generator.
    """

    def __init__(self, width, num_heads=4, *, causal=False, rotary=False, rng=None):
        check_sizes(width=width, num_heads=num_heads)
        check_flags(causal=causal, rotary=rotary)
        if width % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide width={width}")
        rng = backend.host_rng(rng)
        self.query, self.key, self.value, self.out = (
            Linear(width, width, bias=False, rng=rng) for _ in range(4)
        )
        self.num_heads, self.causal, self.rotary = num_heads, causal, rotary
        self.beta = 1 / math.sqrt(width // num_heads)

    def forward(self, x, steps):  # type: ignore[override]
        """(..., T B, E) -> (..., T B, E): the rows of the first of `steps` timesteps come first."""
        q, k = self.queries_and_keys(x, steps)
        v = heads_apart(self.value(x), steps, self.num_heads)
        return self.out(heads_together(functional.attention(q, k, v, self.beta, self.causal)))

    def queries_and_keys(self, x, steps):
        """(..., B, heads, T, d) both."""
        both = [heads_apart(part(x), steps, self.num_heads) for part in (self.query, self.key)]
        return [functional.rotary(part) for part in both] if self.rotary else both

    def weights(self, x, steps):
        """How much a timestep looks at each other one, (..., B, heads, T, T): an array."""
        q, k = self.queries_and_keys(x, steps)
        return attention_weights(q.data, k.data, self.beta, self.causal)

    def describe(self):
        seeing = "causal" if self.causal else "all timesteps"
        return f"{self.num_heads} heads, {seeing}{', rotary' * self.rotary}"


def heads_apart(x, steps, heads):
    """(..., T B, E) -> (..., B, heads, T, E / heads): each sequence and each head by itself."""
    *lead, rows, width = x.shape
    if rows % steps:
        raise ValueError(f"x of shape {x.shape}: its rows are no {steps} timesteps of as many each")
    x = x.reshape(*lead, steps, rows // steps, heads, width // heads)
    before, (t, b, h, d) = range(len(lead)), range(len(lead), x.ndim)
    return x.transpose(*before, b, h, t, d)


def heads_together(x):
    """(..., B, heads, T, d) -> (..., T B, heads d): `heads_apart` undone."""
    *lead, batch, heads, steps, width = x.shape
    before, (b, h, t, d) = range(len(lead)), range(len(lead), x.ndim)
    return x.transpose(*before, t, b, h, d).reshape(*lead, steps * batch, heads * width)


class Conv2d(Module):
    """A linear layer on every size x size patch: (..., B, H, W, C) -> (..., B, H', W', outputs).

    H' = (H + 2 padding - size) // stride + 1. Channels are the last axis. The weights of output k,
    ``weight[:, k]``, are a patch, row by row, with its channels inside.
    """

    def __init__(
        self,
        inputs,
        outputs,
        size,
        *,
        stride=1,
        padding=0,
        bias=True,
        draw=init.glorot_uniform,
        rng=None,
    ):
        check_sizes(inputs=inputs, outputs=outputs, size=size, stride=stride)
        check_counts(padding=padding)
        self.linear = Linear(size * size * inputs, outputs, bias=bias, draw=draw, rng=rng)
        self.size, self.stride, self.padding = size, stride, padding

    def forward(self, x):
        x = images.patches(x, self.size, self.stride, self.padding)
        *lead, batch, height, width, features = x.shape
        y = self.linear(x.reshape(*lead, batch * height * width, features))
        return y.reshape(*y.shape[:-2], batch, height, width, y.shape[-1])

    def describe(self):
        return f"{self.size} x {self.size}, stride {self.stride}, padding {self.padding}"


class MaxPool2d(Module):
    """The largest element of each size x size tile: (..., H, W, C) -> (..., H/size, W/size, C)."""

    def __init__(self, size):
        check_sizes(size=size)
        self.size = size

    def forward(self, x):
        return images.max_pool(x, self.size)

    def describe(self):
        return f"{self.size} x {self.size}"


class AveragePool2d(MaxPool2d):
    """The mean of each size x size tile: (..., H, W, C) -> (..., H/size, W/size, C)."""

    def forward(self, x):
        return images.average_pool(x, self.size)


def name_of(function):
    """As `repr` shows it; a `functools.partial`, say, has no name but that of its class."""
    return getattr(function, "__name__", type(function).__name__)


class Sequential(Module):
    """One after the other; a layer is a module or any function of a Tensor.

    The parameters are those of the modules; what a function uses besides is not found.
    """

    def __init__(self, *layers):
        for k, layer in enumerate(layers):
            owner = getattr(layer, "__self__", None)
            if not callable(layer) or isinstance(layer, type) or isinstance(owner, Module):
                raise TypeError(
                    f"layer {k} must be a module or a function of a Tensor, not {layer!r}: no list "
                    "of layers (*layers opens one), no class, no method of a module"
                )
        self.layers = list(layers)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def describe(self):
        return ", ".join(map(name_of, self.layers))
