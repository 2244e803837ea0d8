"""Layers with parameters, and what puts them one after the other."""

import math

from .. import backend, elsewhere, functional, images, init
from ..backend import xp
from ..checks import (
    check_counts,
    check_flags,
    check_functions,
    check_positive,
    check_rates,
    check_shares,
    check_sizes,
)
from ..engine import Tensor
from ..functional.layers import attention_weights
from ..functional.normalisation import require_one_for_each_feature
from .module import Module


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
    check_sizes(steps=steps)
    if x.ndim < 2 or x.shape[-2] % steps:
        raise ValueError(f"x of shape {x.shape}: its rows are no {steps} timesteps of as many each")
    *lead, rows, width = x.shape
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
        if x.ndim < 4:
            raise ValueError(f"images are (..., B, H, W, C), not {x.shape}: x[None] for one")
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

    def __getitem__(self, place):
        """A layer by its number; for a slice a Sequential, which shares these layers."""
        part = self.layers[place]
        return Sequential(*part) if isinstance(place, slice) else part

    def describe(self):
        return ", ".join(map(name_of, self.layers))


elsewhere.tell(Sequential, elsewhere.SEQUENTIAL)
