"""Every op: its gradient by central differences, its value against plain NumPy, its manners.

One table, CASES, holds the gradient cases of every op; `test_every_op_has_a_case` fails for an op
that is not in it.
"""

import functools
import importlib
import pkgutil

import numpy as np
import pytest

import architectures
import minigrad
from architectures.feedforward.tabnet import gated_residual
from architectures.probabilistic.bayesian import gaussian_kl, gaussian_sample
from minigrad import Tensor, backend, functional, images, ops
from minigrad.engine import OPS
from minigrad.gradcheck import gradcheck
from minigrad.recurrent import causal_convolution, gru, selective_scan
from minigrad.spiking import NOT_A_TRUE_GRADIENT, SURROGATES, lif, spike

for package in (minigrad, architectures):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def distinct(*shape):
    """Shuffled numbers in (-2, 2), at least 0.01 away from each other and from 0 and +-1."""
    n = int(np.prod(shape))
    values = np.linspace(-2, 2, 4 * n + 5)[2:-2:4][:n] + 0.013
    return np.random.default_rng(n).permutation(values).reshape(shape)


def positive(*shape):
    return np.random.default_rng(0).uniform(0.5, 2.0, shape)


def noise(x):
    """An array, always the same, of the shape and dtype of x."""
    return backend.asarray(np.sin(np.arange(x.size)).reshape(x.shape).astype(str(x.dtype)))


def integers(high, *shape):
    return Tensor(np.random.default_rng(0).integers(high, size=shape))


def probabilities(*shape):
    p = positive(*shape).astype("float32")
    return Tensor(p / p.sum(axis=-1, keepdims=True))


MASK = np.array([[True, False, True, True], [False, False, True, False], [True] * 4])
ROWS, COLUMNS = np.array([2, 0, 2, 2]), np.array([3, 1, 3, 0])  # with a repeat


# Each case: a function of Tensors and its inputs, arrays or shapes to be filled at random. What it
# returns is the op's own result. (), (0, 3), (5,), (3, 1), (2, 3, 4): zero-dimensional, empty,
# odd, broadcast and led by further axes.
BINARY = [
    [(3, 4), (3, 4)],
    [(3, 4), ()],
    [(1, 4), (3, 1)],
    [(2, 3, 4), (1, 4)],
    [(2, 1, 4), (5, 1)],
    [(), ()],
    [(0, 4), (1, 4)],
]
UNARY = [(3, 4), (), (5,), (0, 3), (2, 3, 4)]
ROWWISE = [(3, 4), (5,), (2, 3, 4), (0, 3), (3, 1)]


def binary(function):
    return [(function, *shapes) for shapes in BINARY]


def unary(function, make=lambda *shape: shape):
    return [(function, make(*shape)) for shape in UNARY]


def rowwise(function, make=lambda *shape: shape):
    return [(function, make(*shape)) for shape in ROWWISE]


def reduction(function, make=lambda *shape: shape):
    return [
        (function, make(3, 4)),
        (function, make()),
        (lambda x: function(x, axis=0), make(3, 4)),
        (lambda x: function(x, axis=-1, keepdims=True), make(2, 3, 4)),
        (lambda x: function(x, axis=(0, -1)), make(2, 3, 4)),
        (lambda x: function(x, axis=(2, 1), keepdims=True), make(2, 3, 4)),
        (lambda x: function(x, axis=-1), make(0, 3)),
        (lambda x: function(x, axis=1), make(5, 1)),
    ]


def selective_scan_case(lead, lead_of_A, steps=4, batch=2, channels=3, states=2):
    x = (*lead, steps, batch, channels)
    A, B = (*lead_of_A, states, channels), (*lead, steps, batch, states)
    return selective_scan, x, positive(*x), -positive(*A), B, B


CASES = {
    # arithmetic
    "add": binary(ops.add),
    "subtract": binary(ops.subtract),
    "multiply": binary(ops.multiply),
    "divide": [
        (ops.divide, (3, 4), positive(3, 4)),
        (ops.divide, (3, 1), positive(1, 4)),
        (ops.divide, (), positive()),
        (ops.divide, (0, 4), positive(4)),
        (lambda y: 2 / y, positive(2, 3, 4)),
    ],
    "negative": unary(ops.negative),
    "power": [
        (ops.power, positive(3, 4), (3, 4)),
        (ops.power, positive(3, 1), (1, 4)),
        (ops.power, positive(), ()),
        (lambda x: x**3, (2, 3, 4)),
        (lambda x: x**0, (3, 4)),
        (lambda x: x**-1.5, positive(5)),
        (lambda x: x ** Tensor([0, 1, 2]), (4, 3)),
        (lambda y: 3**y, (3, 4)),
        (lambda y: 3**y, np.zeros((1, 2))),
    ],
    "matmul": [
        (ops.matmul, (3, 4), (4, 2)),
        (ops.matmul, (4,), (4,)),
        (ops.matmul, (4,), (4, 2)),
        (ops.matmul, (3, 4), (4,)),
        (ops.matmul, (2, 3, 4), (4, 5)),
        (ops.matmul, (3, 4), (2, 4, 5)),
        (ops.matmul, (2, 1, 3, 4), (5, 4, 2)),
        (ops.matmul, (2, 3, 4), (4,)),
        (ops.matmul, (4,), (2, 4, 3)),
        (ops.matmul, (3, 0), (0, 2)),
        (ops.matmul, (0, 4), (4, 2)),
    ],
    # elementwise functions
    "exp": unary(ops.exp),
    "log": unary(ops.log, positive),
    "log1p": unary(ops.log1p, positive),
    "expm1": unary(ops.expm1),
    "sqrt": unary(ops.sqrt, positive),
    "abs": unary(ops.abs, distinct),
    "sin": unary(ops.sin),
    "cos": unary(ops.cos),
    "tanh": unary(ops.tanh),
    "maximum": [
        *binary(ops.maximum),
        (lambda x: ops.maximum(x, 0.0), distinct(3, 4)),
        (lambda y: ops.maximum(0.0, y), distinct(3, 4)),
    ],
    "minimum": [
        *binary(ops.minimum),
        (lambda x: ops.minimum(x, 0.0), distinct(3, 4)),
        (lambda y: ops.minimum(0.0, y), distinct(3, 4)),
    ],
    "clip": unary(lambda x: ops.clip(x, -1, 1), distinct),
    "where": [
        (lambda x, y: ops.where(Tensor(MASK), x, y), (3, 4), (3, 4)),
        (lambda x, y: ops.where(Tensor(MASK), x, y), (1, 4), ()),
        (lambda x, y: ops.where(Tensor(MASK), x, y), (2, 3, 4), (3, 1)),
        (lambda x: ops.where(Tensor(MASK), x, 0.0), (3, 4)),
    ],
    # reductions
    "sum": reduction(ops.sum),
    "mean": reduction(ops.mean),
    "var": reduction(ops.var),
    "max": reduction(ops.max, distinct),
    "min": reduction(ops.min, distinct),
    "cumsum": [
        (lambda x: ops.cumsum(x, axis=-1), (3, 4)),
        (lambda x: ops.cumsum(x, axis=0), (3, 4)),
        (lambda x: ops.cumsum(x, axis=1), (2, 3, 4)),
        (lambda x: ops.cumsum(x, axis=-1), (2, 0)),
    ],
    "sort": [
        *rowwise(ops.sort, distinct),
        (lambda x: ops.sort(x, axis=0), distinct(3, 4)),
        (lambda x: ops.sort(x, axis=1), distinct(2, 3, 4)),
    ],
    "astype": unary(lambda x: x.astype(x.dtype)),
    # shapes
    "reshape": [
        (lambda x: x.reshape(2, 6), (3, 4)),
        (lambda x: x.reshape((-1,)), (2, 3, 4)),
        (lambda x: x.reshape(1, 1), ()),
        (lambda x: x.reshape(0, 5), (0, 3)),
    ],
    "transpose": [
        (ops.transpose, (3, 4)),
        (ops.transpose, (2, 3, 4)),
        (ops.transpose, ()),
        (lambda x: x.transpose(1, 2, 0), (2, 3, 4)),
        (lambda x: x.transpose(-1, 0, -2), (2, 3, 4)),
    ],
    "swap_last_axes": [(lambda x: x.mT, shape) for shape in [(3, 4), (2, 3, 4), (0, 3)]],
    "expand_dims": [
        (lambda x: ops.expand_dims(x, 0), ()),
        (lambda x: ops.expand_dims(x, -1), (3, 4)),
        (lambda x: ops.expand_dims(x, (0, 2)), (3, 4)),
    ],
    "squeeze": [
        (lambda x: x.squeeze(), (1, 3, 1)),
        (lambda x: x.squeeze(axis=-1), (1, 3, 1)),
        (lambda x: x.squeeze(axis=(0, 2)), (1, 3, 1)),
    ],
    "broadcast_to": [
        (lambda x: ops.broadcast_to(x, (3, 4)), ()),
        (lambda x: ops.broadcast_to(x, (2, 3, 4)), (3, 1)),
        (lambda x: ops.broadcast_to(x, (0, 4)), (1, 4)),
    ],
    "concatenate_all": [
        (lambda x, y: ops.concatenate([x, y]), (3, 4), (2, 4)),
        (lambda x, y, z: ops.concatenate([x, y, z], axis=-1), (2, 3, 1), (2, 3, 4), (2, 3, 0)),
        (lambda x: ops.concatenate([x, x], axis=1), (2, 3, 4)),
    ],
    "stack_all": [
        (lambda x, y: ops.stack([x, y]), (3, 4), (3, 4)),
        (lambda x, y, z: ops.stack([x, y, z], axis=1), (2, 3), (2, 3), (2, 3)),
        (lambda x, y: ops.stack([x, y], axis=-1), (), ()),
    ],
    "pad": [
        (lambda x: ops.pad(x, [(1, 2), (0, 3)]), (3, 4)),
        (lambda x: ops.pad(x, [(2, 0)], value=7), (5,)),
        (lambda x: ops.pad(x, [(1, 1), (0, 0)]), (0, 4)),
    ],
    # picking elements
    "getitem": [
        (lambda x: x[1], (3, 4)),
        (lambda x: x[1, 2], (3, 4)),
        (lambda x: x[..., ::2], (2, 3, 4)),
        (lambda x: x[::-1, None, 1:3], (3, 4)),
        (lambda x: x[5:], (3, 4)),
        (lambda x: x[Tensor(ROWS)], (3, 4)),
        (lambda x: x[Tensor(ROWS), Tensor(COLUMNS)], (3, 4)),
        (lambda x: x[:, Tensor(ROWS)], (2, 3, 4)),
        (lambda x: x[Tensor(MASK)], (3, 4)),
        (lambda x: x[..., 1:, Tensor(ROWS)], (2, 3, 4)),
        (lambda x: ops.split(x, [1, 3], axis=1)[1], (2, 4, 3)),
    ],
    "take_along_axis": [
        (lambda x: ops.take_along_axis(x, integers(4, 3, 6), axis=-1), (3, 4)),
        (lambda x: ops.take_along_axis(x, integers(3, 2, 4), axis=0), (3, 4)),
        (lambda x: ops.take_along_axis(x, integers(3, 2, 1, 4), axis=-2), (2, 3, 4)),
        (lambda x: ops.take_along_axis(x, integers(3, 0), axis=0), (5,)),
    ],
    "set_at": [
        (lambda x, y: ops.set_at(x, (..., slice(1, None)), y), (2, 3), (2, 2)),
        (lambda x, y: ops.set_at(x, 1, y), (3, 4), ()),
        (lambda x: ops.set_at(x, (slice(None), slice(None, None, 2)), 7.0), (3, 4)),
        (lambda x, y: ops.set_at(x, Tensor(ROWS[:2]), y), (3, 4), (1, 4)),
    ],
    "add_at": [
        (lambda x, y: ops.add_at(x, (..., slice(1, None)), y), (2, 3), (2, 2)),
        (lambda x, y: ops.add_at(x, 1, y), (3, 4), ()),
        (lambda x, y: ops.add_at(x, Tensor(ROWS), y), (3, 4), (1, 4)),
        (lambda x, y: ops.add_at(x, Tensor(COLUMNS), y), (5,), (4,)),
    ],
    # activations
    "relu": unary(functional.relu, distinct),
    "sigmoid": unary(functional.sigmoid),
    "silu": unary(functional.silu),
    "gelu": unary(functional.gelu),
    "softplus": unary(functional.softplus),
    "glu": [(functional.glu, shape) for shape in [(3, 4), (6,), (2, 3, 4), (0, 2)]],
    # softmax and its relatives
    "softmax": [
        *rowwise(functional.softmax),
        (lambda x: functional.softmax(x, axis=0), (3, 4)),
        (lambda x: functional.softmax(x, axis=(0, 2)), (2, 3, 4)),
    ],
    "logsumexp": [
        *rowwise(functional.logsumexp),
        (lambda x: functional.logsumexp(x, axis=0, keepdims=True), (3, 4)),
        (lambda x: functional.logsumexp(x, axis=(-1, 0)), (2, 3, 4)),
        (lambda x: functional.logsumexp(x, axis=None), (2, 3, 4)),
    ],
    "log_softmax": [
        *rowwise(functional.log_softmax),
        (lambda x: functional.log_softmax(x, axis=1), (2, 3, 4)),
    ],
    "sparsemax": rowwise(functional.sparsemax, distinct),
    # losses
    "soft_cross_entropy": [
        (lambda z: functional.cross_entropy(z, integers(5, 3)), (3, 5)),
        (lambda z: functional.cross_entropy(z, integers(5, 3)), (2, 3, 5)),
        (lambda z: functional.cross_entropy(z, integers(5, 2, 3)), (2, 3, 5)),
        (lambda z: functional.cross_entropy(z, integers(5, 1)), (1, 5)),
        (lambda z: functional.cross_entropy(z, probabilities(3, 5)), (4, 2, 3, 5)),
        (lambda z: functional.cross_entropy(z, integers(5, 3), smoothing=0.1), (3, 5)),
        (lambda z: functional.cross_entropy(z, probabilities(3, 5), smoothing=0.3), (2, 3, 5)),
    ],
    "gaussian_nll": [
        (functional.gaussian_nll, (3, 2), (3, 2), (3, 2)),
        (functional.gaussian_nll, (4, 3, 2), (4, 3, 2), (3, 2)),
        (functional.gaussian_nll, (3, 1), (1, 1), (2, 3, 1)),
        (functional.gaussian_nll, (2, 3, 2), (), (2, 3, 2)),
    ],
    # layers
    "linear": [
        (functional.linear, (3, 4), (4, 2), (1, 2)),
        (functional.linear, (3, 4), (4, 2)),
        (functional.linear, (2, 3, 4), (4, 5), (1, 5)),
        (functional.linear, (2, 3, 4), (2, 4, 5), (2, 1, 5)),
        (functional.linear, (3, 4), (2, 4, 5), (2, 1, 5)),
        (functional.linear, (6, 2, 3, 4), (2, 4, 5), (2, 1, 5)),
        (functional.linear, (0, 4), (4, 2), (1, 2)),
        *[(functional.linear, (3, 4), (4, 2), bias) for bias in [(2,), (), (1, 1), (3, 2), (3, 1)]],
        (functional.linear, (3, 4), (4, 2), (5, 1, 2)),
        (functional.linear, (1, 3, 4), (4, 2), (5, 1, 2)),
        (functional.linear, (5, 3, 4), (4, 2), (5, 3, 2)),
    ],
    "gaussian_sample": [
        (lambda mu, rho: gaussian_sample(mu, rho, noise(rho)), shape, shape)
        for shape in [(3, 4), (2, 3, 4), (2, 1, 4)]
    ],
    "gaussian_kl": [
        (lambda mu, rho: gaussian_kl(mu, rho, 1.5), shape, shape)
        for shape in [(3, 4), (2, 3, 4), (2, 1, 4), (2, 0, 4)]
    ],
    "gated_residual": [
        (gated_residual, *shapes)
        for shapes in [
            ((3, 2), (3, 4)),
            ((2, 3, 2), (2, 3, 4)),
            ((3, 2), (2, 3, 4)),
            ((2, 3, 2), (3, 4)),
            ((0, 2), (0, 4)),
        ]
    ],
    "attention": [
        (functools.partial(functional.attention, beta=0.7), (3, 4), (5, 4), (5, 2)),
        (functools.partial(functional.attention, beta=0.7), (2, 3, 4), (5, 4), (5, 2)),
        (functools.partial(functional.attention, beta=0.7), (2, 3, 4), (2, 5, 4), (2, 5, 2)),
        (functools.partial(functional.attention, beta=0.7), (3, 4), (2, 5, 4), (2, 5, 2)),
        (functools.partial(functional.attention, beta=0.7), (0, 4), (5, 4), (5, 2)),
        (functools.partial(functional.attention, beta=0.7, causal=True), (5, 4), (5, 4), (5, 2)),
        (functools.partial(functional.attention, beta=0.7, causal=True), *3 * [(2, 3, 5, 4)]),
    ],
    "dropout": unary(lambda x: functional.dropout(x, 0.4, backend.Noise(7))),
    "layer_norm": [
        (functional.layer_norm, (3, 4), (1, 4), (1, 4)),
        (functional.layer_norm, (2, 3, 4), (1, 4), (1, 4)),
        (functional.layer_norm, (2, 3, 4), (2, 1, 4), (2, 1, 4)),
        (functional.layer_norm, (3, 4), (2, 1, 4), (2, 1, 4)),
        (functional.layer_norm, (3, 1), (1, 1), (1, 1)),
        (functional.layer_norm, (0, 4), (1, 4), (1, 4)),
    ],
    "batch_norm": [
        (functional.batch_norm, (5, 4), (1, 4), (1, 4)),
        (functional.batch_norm, (2, 5, 4), (1, 4), (1, 4)),
        (functional.batch_norm, (2, 5, 4), (2, 1, 4), (2, 1, 4)),
        (functional.batch_norm, (5, 4), (2, 1, 4), (2, 1, 4)),
    ],
    "rms_norm": [
        (functional.rms_norm, (3, 4), (1, 4)),
        (functional.rms_norm, (2, 3, 4), (1, 4)),
        (functional.rms_norm, (2, 3, 4), (2, 1, 4)),
        (functional.rms_norm, (3, 4), (2, 1, 4)),
        (functional.rms_norm, (0, 4), (1, 4)),
    ],
    "embedding": [
        (lambda w: functional.embedding(w, integers(5, 7)), (5, 3)),
        (lambda w: functional.embedding(w, integers(5, 2, 7)), (5, 3)),
        (lambda w: functional.embedding(w, integers(5, 2, 7)), (2, 5, 3)),
        (lambda w: functional.embedding(w, integers(5, 7)), (2, 5, 3)),
        (lambda w: functional.embedding(w, integers(5, 4, 2, 7)), (2, 5, 3)),
        (lambda w: functional.embedding(w, integers(5, 0)), (2, 5, 3)),
    ],
    "rotary": [(functional.rotary, shape) for shape in [(5, 4), (2, 3, 5, 6), (1, 2), (0, 4)]],
    # images
    "patches": [
        (lambda x: images.patches(x, 2), (3, 4, 2)),
        (lambda x: images.patches(x, 3, padding=1), (2, 3, 4, 5, 2)),
        (lambda x: images.patches(x, 2, stride=2), (2, 5, 4, 1)),
        (lambda x: images.patches(x, 2, stride=3, padding=2), (2, 3, 4, 2)),
        (lambda x: images.patches(x, 3), (3, 3, 1)),
        (lambda x: images.patches(x, 1), (0, 2, 2, 3)),
    ],
    # through time
    "gru": [
        (gru, (4, 2, 9), (3, 9)),
        (gru, (2, 4, 3, 6), (2, 2, 6)),
        (gru, (5, 2, 4, 1, 6), (2, 2, 6)),
        (gru, (2, 4, 3, 6), (2, 6)),
        (gru, (1, 2, 3), (1, 3)),
        (gru, (3, 0, 6), (2, 6)),
    ],
    "selective_scan": [
        selective_scan_case((), ()),
        selective_scan_case((2,), (2,)),
        selective_scan_case((5, 2), (2,)),
        selective_scan_case((2,), ()),
        selective_scan_case((), (), steps=1),
        selective_scan_case((), (), batch=0),
    ],
    "causal_convolution": [
        (causal_convolution, (5, 2, 3), (4, 3)),
        (causal_convolution, (2, 5, 2, 3), (2, 4, 3)),
        (causal_convolution, (2, 5, 2, 3), (4, 3)),
        (causal_convolution, (2, 1, 3), (3, 3)),
        (causal_convolution, (5, 2, 3), (1, 3)),
    ],
    # spikes, in their soft form; what they do with hard ones is tested further down
    "spike": [
        (lambda u: spike(u, soft=True), distinct(3, 4)),
        (lambda u: spike(u, "arctan", slope=3.0, soft=True), (2, 3, 4)),
        (lambda u: spike(u, soft=True), distinct()),
        (lambda u: spike(u, soft=True), (0, 3)),
    ],
    "lif": [
        (lambda i: lif(i, 6, 0.6, detach_reset=False, soft=True), (6, 2, 3)),
        (lambda i: lif(i, 6, 0.6, detach_reset=False, soft=True), (1, 2, 3)),
        (lambda i: lif(i, 5, 0.9, 0.5, "arctan", detach_reset=False, soft=True), (4, 5, 1, 2)),
        (lambda i: lif(i, 5, 0.9, slope=2.0, detach_reset=False, soft=True), (2, 1, 3, 2)),
        (lambda i: lif(i, 3, 0.9, detach_reset=False, soft=True), (3, 0, 2)),
    ],
}

TABLE = [
    pytest.param(name, function, inputs, id=f"{name}-{number}")
    for name, cases in CASES.items()
    for number, (function, *inputs) in enumerate(cases)
]
every_case = pytest.mark.parametrize("name, function, inputs", TABLE)


def tensors(inputs, dtype):
    """Tensors for the inputs of a case, over arrays that cannot be written to."""
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(x) if isinstance(x, tuple) else x for x in inputs]
    arrays = [np.array(x, dtype) for x in arrays]
    for array in arrays:
        array.flags.writeable = False
    return [Tensor(array, requires_grad=True) for array in arrays]


def test_every_op_has_a_case():
    shipped = {
        name
        for name, function in OPS.items()
        if function.__module__.split(".")[0] in ("minigrad", "architectures")
    }
    assert shipped == set(CASES)


@every_case
def test_gradient(name, function, inputs):
    gradcheck(function, *inputs)


@every_case
def test_gradient_of_the_gradient(name, function, inputs):
    if name in NOT_A_TRUE_GRADIENT:
        with pytest.raises(TypeError, match=f"op {name} has no second derivative"):
            gradcheck(function, *inputs, order=2)
    else:
        gradcheck(function, *inputs, order=2)


@every_case
def test_float32_stays_and_nothing_is_written_to(name, function, inputs):
    xs = tensors(inputs, "float32")
    y = function(*xs)
    assert y.op == name
    assert y.dtype == "float32"
    g = np.ones(y.shape, "float32")
    g.flags.writeable = False
    y.backward(g)
    for x in xs:
        assert (x.grad.shape, x.grad.dtype) == (x.shape, "float32")


PYTHON_NUMBERS = {
    "x + 2": lambda x: x + 2,
    "2.5 + x": lambda x: 2.5 + x,
    "x - 2": lambda x: x - 2,
    "2.5 - x": lambda x: 2.5 - x,
    "x * 3": lambda x: x * 3,
    "2.5 * x": lambda x: 2.5 * x,
    "x / 3": lambda x: x / 3,
    "2.5 / x": lambda x: 2.5 / x,
    "x ** 2": lambda x: x**2,
    "x ** 0.5": lambda x: x**0.5,
    "x ** 0": lambda x: x**0,
    "2 ** x": lambda x: 2**x,
    "2.5 ** x": lambda x: 2.5**x,
    "-x": lambda x: -x,
    "abs(x)": abs,
    "maximum": lambda x: ops.maximum(x, 1),
    "minimum": lambda x: ops.minimum(1.5, x),
    "where": lambda x: ops.where(np.array([True, False, True]), x, 0.5),
    "clip": lambda x: x.clip(1, 1.5),
}


@pytest.mark.parametrize("function", PYTHON_NUMBERS.values(), ids=PYTHON_NUMBERS)
def test_python_numbers_leave_float32_alone(function):
    x = Tensor(np.array([0.7, 1.1, 1.9], "float32"), requires_grad=True)
    y = function(x)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == ("float32", "float32")
    if function is not PYTHON_NUMBERS["where"]:
        gradcheck(function, np.array([0.7, 1.1, 1.9]))


# --- values ----------------------------------------------------------------------------------


def np_softmax(x, axis=-1):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_normal(x, axis):
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + 1e-5)


def np_cross_entropy(logits, labels):
    return -np.log(np_softmax(logits)[np.arange(len(labels)), labels]).mean()


def np_gaussian_kl(mu, sigma, s):
    return np.log(s / sigma) + (sigma**2 + mu**2) / (2 * s**2) - 0.5


def np_getitem(x):
    return x[np.array([2, 0, 2]), 1:]


def np_gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def np_lif(current, steps, beta):
    potential = np.zeros(current.shape[1:])
    spikes = [np.zeros_like(potential)]
    for _ in range(steps):
        potential = beta * potential + current[0] - spikes[-1]
        spikes.append(1.0 * (potential > 1))
    return np.array(spikes[1:])


def np_rotary(x):
    """Complex numbers, turned."""
    half = x.shape[-1] // 2
    speed = 10000.0 ** (-np.arange(half) / half)
    turned = (x[..., :half] + 1j * x[..., half:]) * np.exp(1j * np.outer(np.arange(5), speed))
    return np.concatenate([turned.real, turned.imag], axis=-1)


def np_patches(x):
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    windows = np.moveaxis(windows[:, ::2, ::2], 3, -1)
    return windows.reshape(*windows.shape[:3], -1)


def np_gru(x, weight):
    replicas, steps, batch, width = *x.shape[:-1], x.shape[-1] // 3
    states = np.zeros((replicas, steps, batch, width))
    for k, i in np.ndindex(replicas, batch):
        h = np.zeros(width)
        for t in range(steps):
            (xz, xr, xc), (Uz, Ur, U) = (np.split(a, 3, axis=-1) for a in (x[k, t, i], weight[k]))
            z, r = np_sigmoid(xz + h @ Uz), np_sigmoid(xr + h @ Ur)
            h = z * h + (1 - z) * np.tanh(xc + (r * h) @ U)
            states[k, t, i] = h
    return states


def np_selective_scan(x, step, A, B, C):
    """Each state by itself, by Eqs. 2 and 4."""
    y = np.zeros(x.shape)
    for k, i, e, n in np.ndindex(x.shape[0], x.shape[2], x.shape[3], B.shape[-1]):
        h = 0
        for t in range(x.shape[1]):
            decay = np.exp(step[k, t, i, e] * A[k, n, e])
            h = decay * h + (decay - 1) / A[k, n, e] * B[k, t, i, n] * x[k, t, i, e]
            y[k, t, i, e] += C[k, t, i, n] * h
    return y


def np_causal(x, weight):
    y = np.zeros(x.shape)
    for k, i, e in np.ndindex(x.shape[0], x.shape[2], x.shape[3]):
        y[k, :, i, e] = np.convolve(x[k, :, i, e], weight[k, ::-1, e])[: x.shape[1]]
    return y


# Each op: ours, the same in plain NumPy, the inputs.
VALUES = {
    "add": (ops.add, np.add, (3, 4), (4,)),
    "subtract": (ops.subtract, np.subtract, (3, 4), (4,)),
    "multiply": (ops.multiply, np.multiply, (3, 4), (4,)),
    "divide": (ops.divide, np.divide, (3, 4), positive(4)),
    "negative": (ops.negative, np.negative, (3, 4)),
    "power": (ops.power, np.power, positive(3, 4), (4,)),
    "matmul": (ops.matmul, np.matmul, (2, 3, 4), (4, 5)),
    "exp": (ops.exp, np.exp, (3, 4)),
    "log": (ops.log, np.log, positive(3, 4)),
    "log1p": (ops.log1p, np.log1p, positive(3, 4)),
    "expm1": (ops.expm1, np.expm1, (3, 4)),
    "sqrt": (ops.sqrt, np.sqrt, positive(3, 4)),
    "abs": (ops.abs, np.abs, (3, 4)),
    "sin": (ops.sin, np.sin, (3, 4)),
    "cos": (ops.cos, np.cos, (3, 4)),
    "tanh": (ops.tanh, np.tanh, (3, 4)),
    "maximum": (ops.maximum, np.maximum, (3, 4), (4,)),
    "minimum": (ops.minimum, np.minimum, (3, 4), (4,)),
    "clip": (lambda x: x.clip(-1, 1), lambda x: np.clip(x, -1, 1), (3, 4)),
    "where": (
        lambda x, y: ops.where(Tensor(MASK), x, y),
        lambda x, y: np.where(MASK, x, y),
        (3, 4),
        (4,),
    ),
    "sum": (lambda x: x.sum(axis=(0, 2)), lambda x: np.sum(x, axis=(0, 2)), (2, 3, 4)),
    "mean": (lambda x: x.mean(axis=(0, 2)), lambda x: np.mean(x, axis=(0, 2)), (2, 3, 4)),
    "var": (lambda x: x.var(axis=(0, 2)), lambda x: np.var(x, axis=(0, 2)), (2, 3, 4)),
    "max": (lambda x: x.max(axis=(0, 2)), lambda x: np.max(x, axis=(0, 2)), (2, 3, 4)),
    "min": (lambda x: x.min(axis=(0, 2)), lambda x: np.min(x, axis=(0, 2)), (2, 3, 4)),
    "cumsum": (lambda x: x.cumsum(axis=1), lambda x: np.cumsum(x, axis=1), (2, 3, 4)),
    "sort": (ops.sort, np.sort, (2, 3, 4)),
    "astype": (lambda x: x.astype("float32"), lambda x: x.astype("float32"), (3, 4)),
    "reshape": (lambda x: x.reshape(2, 6), lambda x: x.reshape(2, 6), (3, 4)),
    "transpose": (
        lambda x: x.transpose(2, 0, 1),
        lambda x: np.transpose(x, (2, 0, 1)),
        (2, 3, 4),
    ),
    "swap_last_axes": (lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2), (2, 3, 4)),
    "expand_dims": (
        lambda x: ops.expand_dims(x, (0, 2)),
        lambda x: x[None, :, None],
        (3, 4),
    ),
    "squeeze": (lambda x: x.squeeze(axis=0), lambda x: x[0], (1, 3, 1)),
    "broadcast_to": (
        lambda x: ops.broadcast_to(x, (2, 3, 4)),
        lambda x: np.broadcast_to(x, (2, 3, 4)),
        (3, 1),
    ),
    "concatenate_all": (
        lambda x, y: ops.concatenate([x, y], axis=-1),
        lambda x, y: np.concatenate([x, y], axis=-1),
        (3, 4),
        (3, 2),
    ),
    "stack_all": (
        lambda x, y: ops.stack([x, y], axis=-1),
        lambda x, y: np.stack([x, y], axis=-1),
        (3, 4),
        (3, 4),
    ),
    "pad": (
        lambda x: ops.pad(x, [(1, 2), (0, 3)], value=7),
        lambda x: np.pad(x, [(1, 2), (0, 3)], constant_values=7),
        (3, 4),
    ),
    "getitem": (np_getitem, np_getitem, (3, 4)),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, integers(4, 3, 6), axis=-1),
        lambda x: np.take_along_axis(x, integers(4, 3, 6).data, axis=-1),
        (3, 4),
    ),
    "set_at": (
        lambda x, y: ops.set_at(x, (0, slice(None, None, 2)), y),
        lambda x, y: np.concatenate([np.stack([y[0], x[0, 1], y[1]])[None], x[1:]]),
        *[(2, 3), (2,)],
    ),
    "add_at": (
        lambda x, y: ops.add_at(x, Tensor(ROWS), y),  # 2 0 2 2
        lambda x, y: x + np.stack([y[1], 0 * y[0], y[0] + y[2] + y[3]]),
        *[(3, 2), (4, 2)],
    ),
    "relu": (functional.relu, lambda x: np.maximum(x, 0), (3, 4)),
    "sigmoid": (functional.sigmoid, np_sigmoid, (3, 4)),
    "silu": (functional.silu, lambda x: x * np_sigmoid(x), (3, 4)),
    "gelu": (functional.gelu, np_gelu, (3, 4)),
    "softplus": (functional.softplus, lambda x: np.log1p(np.exp(x)), (3, 4)),
    "glu": (functional.glu, lambda x: x[..., :2] * np_sigmoid(x[..., 2:]), (3, 4)),
    "softmax": (functional.softmax, np_softmax, (2, 3, 4)),
    "logsumexp": (functional.logsumexp, lambda x: np.log(np.exp(x).sum(axis=-1)), (2, 3, 4)),
    "log_softmax": (functional.log_softmax, lambda x: np.log(np_softmax(x)), (2, 3, 4)),
    "sparsemax": (
        functional.sparsemax,  # support {0.9, 0.6}: tau = (0.9 + 0.6 - 1) / 2
        lambda x: np.array([[0.65, 0.35, 0.0], [1.0, 0.0, 0.0]]),
        np.array([[0.9, 0.6, 0.1], [3.0, 1.0, 2.0]]),
    ),
    "soft_cross_entropy": (
        lambda z: functional.cross_entropy(z, integers(4, 3)),
        lambda z: np_cross_entropy(z, integers(4, 3).data),
        (3, 4),
    ),
    "gaussian_nll": (
        functional.gaussian_nll,
        lambda m, s, y: np.mean(((y - m) ** 2 / np.exp(s) + s + np.log(2 * np.pi)) / 2, (-1, -2)),
        *[(2, 3, 4)] * 3,
    ),
    "linear": (functional.linear, lambda x, w, b: x @ w + b, (2, 3, 4), (2, 4, 5), (2, 1, 5)),
    "gaussian_sample": (
        lambda mu, rho: gaussian_sample(mu, rho, noise(rho)),
        lambda mu, rho: mu + np.log1p(np.exp(rho)) * np.sin(np.arange(12).reshape(3, 4)),
        (3, 4),
        (3, 4),
    ),
    "gaussian_kl": (
        lambda mu, rho: gaussian_kl(mu, rho, 1.5),
        lambda mu, rho: np_gaussian_kl(mu, np.log1p(np.exp(rho)), 1.5).sum(axis=(-1, -2)),
        (2, 3, 4),
        (2, 3, 4),
    ),
    "gated_residual": (
        gated_residual,
        lambda h, x: (h + x[..., :2] * np_sigmoid(x[..., 2:])) / np.sqrt(2),
        (3, 2),
        (3, 4),
    ),
    "attention": (
        lambda q, k, v: functional.attention(q, k, v, beta=0.5),
        lambda q, k, v: np_softmax(0.5 * q @ np.swapaxes(k, -1, -2), -1) @ v,
        (2, 3, 4),
        (2, 5, 4),
        (2, 5, 2),
    ),
    "dropout": (lambda x: functional.dropout(x, 0.0, backend.Noise(0)), np.copy, (3, 4)),
    "layer_norm": (
        functional.layer_norm,
        lambda x, gain, bias: np_normal(x, -1) * gain + bias,
        *[(2, 3, 4), (1, 4), (1, 4)],
    ),
    "batch_norm": (
        functional.batch_norm,
        lambda x, gain, bias: np_normal(x, -2) * gain + bias,
        *[(2, 3, 4), (1, 4), (1, 4)],
    ),
    "rms_norm": (
        functional.rms_norm,
        lambda x, gain: x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * gain,
        *[(2, 3, 4), (1, 4)],
    ),
    "embedding": (
        lambda w: functional.embedding(w, integers(5, 2, 7)),
        lambda w: np.stack([w[k][integers(5, 2, 7).data[k]] for k in range(2)]),
        (2, 5, 3),
    ),
    "rotary": (functional.rotary, np_rotary, (2, 5, 6)),
    "patches": (lambda x: images.patches(x, 3, 2, 1), np_patches, (2, 6, 5, 2)),
    "gru": (gru, np_gru, (2, 4, 3, 6), (2, 2, 6)),
    "selective_scan": (selective_scan, np_selective_scan, *selective_scan_case((2,), (2,))[1:]),
    "causal_convolution": (causal_convolution, np_causal, (2, 5, 2, 3), (2, 4, 3)),
    "spike": (spike, lambda u: np.where(u > 0, 1.0, 0.0), (3, 4)),
    "lif": (lambda i: lif(i, 9, 0.8), lambda i: np_lif(i, 9, 0.8), 2 * positive(1, 3, 4)),
}


def test_every_op_has_a_value():
    assert set(VALUES) == set(CASES)


@pytest.mark.parametrize("name", VALUES)
def test_value(name):
    function, reference, *inputs = VALUES[name]
    xs = tensors(inputs, "float64")
    expected = reference(*[x.data for x in xs])
    actual = function(*xs)
    assert actual.op == name
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-12)


def test_mse_is_the_mean_over_batch_and_features():
    x, y = np.arange(24.0).reshape(2, 3, 4), np.ones((3, 4))
    loss = functional.mse(Tensor(x), y)
    np.testing.assert_allclose(loss.numpy(), ((x - y) ** 2).mean(axis=(1, 2)))
    gradcheck(functional.mse, (2, 3, 4), (3, 4))


@pytest.mark.parametrize("sections", [2, [1, 2], []], ids=str)
def test_split_is_the_inverse_of_concatenate(sections):
    x = Tensor(np.arange(24.0).reshape(2, 4, 3))
    parts = ops.split(x, sections, axis=1)
    assert len(parts) == (sections if isinstance(sections, int) else len(sections) + 1)
    np.testing.assert_array_equal(ops.concatenate(parts, axis=1).numpy(), x.numpy())


def test_split_into_unequal_parts_is_an_error():
    with pytest.raises(ValueError, match="length 5 into 2"):
        ops.split(Tensor(np.ones((3, 5))), 2)


# --- where there is no derivative ------------------------------------------------------------


def gradient(function, *inputs):
    xs = [Tensor(np.array(x, "float64"), requires_grad=True) for x in inputs]
    function(*xs).sum().backward()
    return [x.grad.tolist() for x in xs]


@pytest.mark.parametrize("function", [ops.maximum, ops.minimum])
def test_equal_inputs_share_the_gradient(function):
    assert gradient(function, [1.0, 2.0], [1.0, 2.0]) == [[0.5, 0.5], [0.5, 0.5]]


@pytest.mark.parametrize(
    "function, x, expected",
    [
        (ops.max, [1.0, 3.0, 3.0], [0, 0.5, 0.5]),
        (ops.min, [1.0, 1.0, 1.0, 3.0], [1 / 3, 1 / 3, 1 / 3, 0]),
        (ops.abs, [0.0, -1.0], [0, -1]),
        (functional.relu, [0.0, -1.0, 2.0], [0, 0, 1]),
        (lambda x: x.clip(-1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0], [0, 1, 1, 1, 0]),
        (lambda x: x**0, [0.0, 2.0], [0, 0]),
        (lambda x: x**1, [0.0, 2.0], [1, 1]),
        (lambda x: x**2, [0.0, -2.0], [0, -4]),
        (lambda y: 0.0**y, [1.0, 2.0], [0, 0]),
    ],
)
def test_gradient_at_a_kink(function, x, expected):
    assert gradient(function, x) == [pytest.approx(expected)]


def test_extrema_of_rows_share_row_by_row():
    x = [[1.0, 1.0], [2.0, 5.0]]
    assert gradient(lambda x: x.max(axis=-1, keepdims=True), x) == [[[0.5, 0.5], [0, 1]]]
    assert gradient(lambda x: x.max(axis=0), x) == [[[0, 0], [1, 1]]]


def test_repeated_indices_add_up():
    assert gradient(lambda x: x[[0, 0, 2]], [1.0, 2.0, 3.0]) == [[2, 0, 1]]


def test_conversion_gives_the_gradient_back_in_the_dtype_of_the_input():
    x = Tensor(np.ones(3, "float32"), requires_grad=True)
    y = x.astype("float64")
    (y * y).sum().backward()
    assert (y.dtype, x.grad.dtype, x.grad.tolist()) == ("float64", "float32", [2, 2, 2])


# --- spikes: a vjp that is no derivative ------------------------------------------------------


def test_only_spikes_have_no_true_gradient():
    assert set(NOT_A_TRUE_GRADIENT) == {"spike", "lif"}


@pytest.mark.parametrize(
    "surrogate, formula",
    [
        ("fast_sigmoid", lambda u, k: 1 / (1 + k * np.abs(u)) ** 2),
        ("arctan", lambda u, k: 1 / (1 + (k * u) ** 2)),
    ],
)
def test_the_gradient_of_a_spike_is_its_surrogate(surrogate, formula):
    assert surrogate in SURROGATES
    u = Tensor(distinct(3, 4), requires_grad=True)
    g = np.random.default_rng(0).standard_normal((3, 4))
    spike(u, surrogate, slope=4.0).backward(g)
    np.testing.assert_allclose(u.grad, g * formula(u.data, 4.0), rtol=1e-12)


@pytest.mark.parametrize("detach_reset", [True, False])
def test_lif_is_the_scan_written_with_ops(detach_reset):
    """The fused gradient is that of the plain recurrence, recorded step by step."""
    beta, threshold, steps = 0.7, 0.8, 12
    current = np.random.default_rng(0).uniform(0, 1.5, (2, steps, 3, 4))
    g = np.random.default_rng(1).standard_normal(current.shape)

    fused = Tensor(current, requires_grad=True)
    spikes = lif(fused, steps, beta, threshold, detach_reset=detach_reset)
    spikes.backward(g)

    plain = Tensor(current, requires_grad=True)
    u, s, history = 0.0, Tensor(np.zeros((2, 3, 4))), []
    for t in range(steps):
        u = beta * u + plain[:, t] - threshold * (s.detach() if detach_reset else s)
        s = spike(u - threshold)
        history.append(s)
    ops.stack(history, axis=1).backward(g)

    assert 0.1 < spikes.numpy().mean() < 0.9
    np.testing.assert_array_equal(spikes.numpy(), ops.stack(history, axis=1).numpy())
    np.testing.assert_allclose(fused.grad, plain.grad, rtol=1e-9, atol=1e-12)


# --- operators and methods -------------------------------------------------------------------

SAME_ON_ARRAYS = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
    "@": lambda x, y: x @ y.mT,
    "<": lambda x, y: x < y,
    "<=": lambda x, y: x <= y,
    ">": lambda x, y: x > y,
    ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y,
    "!=": lambda x, y: x != y,
}


@pytest.mark.parametrize("function", SAME_ON_ARRAYS.values(), ids=SAME_ON_ARRAYS)
def test_tensors_and_arrays_mix(function):
    x, y = positive(3, 4), positive(3, 4).copy()
    y[0] += 1
    for mixed in (function(Tensor(x), Tensor(y)), function(Tensor(x), y), function(x, Tensor(y))):
        assert isinstance(mixed, Tensor)
        np.testing.assert_array_equal(mixed.numpy(), function(x, y))


METHODS = {
    "exp": lambda x: x.sum() + (abs(x) + 1).mean() * x.var() - x.max() * x.min(),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "reshape": lambda x: x.reshape((4, 3)).reshape(-1),
    "transpose": lambda x: x.transpose(),
    "argmax": lambda x: x.argmax(axis=-1),
    "argmin": lambda x: x.argmin(),
    "clip": lambda x: x.clip(-0.5, 0.5).squeeze().cumsum(axis=0),
    "index": lambda x: x[x > 0],
    "len": lambda x: np.array(len(x)),
}


@pytest.mark.parametrize("function", METHODS.values(), ids=METHODS)
def test_methods_are_those_of_arrays(function):
    x = np.random.default_rng(0).standard_normal((3, 4))
    actual = function(Tensor(x))
    actual = actual.numpy() if isinstance(actual, Tensor) else actual
    np.testing.assert_allclose(actual, function(x), rtol=1e-12)


def test_take_along_axis_repeats_an_axis_of_length_one():
    x = Tensor(np.ones((1, 3), "float32"), requires_grad=True)
    ops.take_along_axis(x, np.zeros((5, 2), int), axis=1).sum().backward()
    assert x.grad.tolist() == [[10, 0, 0]]


def test_zero_to_the_power_of_zero_has_no_slope():
    x, y = (Tensor(np.zeros(1, "float32"), requires_grad=True) for _ in range(2))
    (x**y).sum().backward()
    assert x.grad.tolist() == y.grad.tolist() == [0]


# --- random shapes, with NumPy as the oracle -------------------------------------------------


def random_shape(rng, least=1):
    return tuple(int(n) for n in rng.integers(1, 5, size=rng.integers(least, 5)))


def scatter(positions, g, shape):
    """The sum of g over all places that took the same element of an array of this shape."""
    size = int(np.prod(shape))
    return np.bincount(positions.ravel(), weights=g.ravel(), minlength=size).reshape(shape)


def random_index(rng, shape):
    """An index of NumPy's, of parts of every kind; the arrays among them broadcast together."""
    together = random_shape(rng)[:2]
    parts = []
    for n in shape[: rng.integers(len(shape) + 1)]:
        rows = rng.integers(-n, n, size=together)
        start, stop = sorted(rng.integers(-n, n + 1, size=2).tolist())
        kinds = [
            int(rng.integers(-n, n)),
            np.int64(rng.integers(-n, n)),
            np.array(rng.integers(n)),
            slice(start, stop),
            slice(None, None, -1),
            rows,
            rows.tolist(),
            tuple(rows.tolist()),
            Tensor(rows),
            rng.random(n) < 0.5 if together == (1,) else slice(None, None, 2),
        ]
        parts.append(kinds[rng.integers(len(kinds))])
    if rng.random() < 0.3:
        parts.insert(rng.integers(len(parts) + 1), None)
    if rng.random() < 0.3:
        parts.append(...)
    return tuple(parts) if len(parts) != 1 or rng.random() < 0.5 else parts[0]


def for_numpy(index):
    if isinstance(index, tuple):
        return tuple(map(for_numpy, index))
    return index.numpy() if isinstance(index, Tensor) else index


def check_index(shape, index, rng):
    data = rng.standard_normal(shape)
    x = Tensor(data, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), data[for_numpy(index)])
    g = rng.standard_normal(y.shape)
    y.backward(g)
    positions = np.arange(data.size).reshape(shape)[for_numpy(index)]
    np.testing.assert_allclose(x.grad, scatter(np.asarray(positions), g, shape), atol=1e-12)


@pytest.mark.parametrize("seed", range(200))
def test_random_indices(seed):
    rng = np.random.default_rng(seed)
    shape = random_shape(rng)
    index = random_index(rng, shape)
    try:
        np.empty(shape)[for_numpy(index)]
    except IndexError:  # a mask that does not broadcast against the other arrays
        pytest.skip("no index for NumPy either")
    check_index(shape, index, rng)


INDICES = {
    "tuple in a tuple": ((0, 0),),
    "two tuples": ((0, 0), (1, 1)),
    "tuple and slice": (slice(None), (1, 1, 0)),
    "range": range(2),
    "range twice": (range(2), [0, 0]),
    "nested list": [[0, 0], [1, 0]],
    "list of masks": [True, False, True],
    "mask of rows": np.array([True, False, True]),
    "mask and rows": (np.array([True, False, True]), [1, 1]),
    "True": True,
    "False": False,
    "unsigned": np.array([0, 0], "uint8"),
    "empty": [],
    "nothing": (),
    "number in an array": (np.array(1), np.array(2)),
    "Tensor in a list": ([0, 0], Tensor(np.array([1, 1]))),
    "mask of everything": Tensor(np.arange(12).reshape(3, 4) % 2 == 0),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_every_kind_of_index(index):
    check_index((3, 4), index, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(60))
def test_random_broadcasting(seed):
    rng = np.random.default_rng(seed)
    full = random_shape(rng, least=0)
    arrays, tensors = [], []
    for _ in range(2):
        shape = full[rng.integers(len(full) + 1) :]
        shape = tuple(1 if rng.random() < 0.4 else n for n in shape)
        arrays.append(rng.standard_normal(shape))
        tensors.append(Tensor(arrays[-1], requires_grad=True))
    (a, b), (x, y) = arrays, tensors
    z = x * y + x
    np.testing.assert_array_equal(z.numpy(), a * b + a)
    g = rng.standard_normal(z.shape)
    z.backward(g)
    for array, tensor, slope in ((a, x, b + 1), (b, y, a)):
        positions = np.broadcast_to(np.arange(array.size).reshape(array.shape), z.shape)
        expected = scatter(positions, g * slope, array.shape)
        np.testing.assert_allclose(tensor.grad, expected, atol=1e-12)


# --- options ---------------------------------------------------------------------------------


def test_pad_fills_with_zeros_or_with_a_value():
    x = Tensor([1, 2])
    assert ops.pad(x, [(1, 2)]).numpy().tolist() == [0, 1, 2, 0, 0]
    assert ops.pad(x, [(0, 1)], value=7.5).numpy().tolist() == [1, 2, 7.5]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.cumsum(None),
        lambda x: ops.sort(x, axis=None),
        lambda x: x.clip(low=0.5),
        lambda x: x.clip(high=0.5),
        lambda x: x.clip(None, None),
        lambda x: x.sum(axis=()),
        lambda x: x.var(axis=()) + x,
        lambda x: x.max(axis=()),
        lambda x: x.transpose(None),
        lambda x: x.transpose([1, 0]),
        lambda x: x.transpose(np.array([1, 0])),
        lambda x: x.reshape([4, 3]),
        lambda x: x.reshape(np.array([4, 3])),
        lambda x: x.mean(axis=np.int64(1)),
        lambda x: ops.concatenate(ops.split(x, np.int64(2))),
        lambda x: ops.concatenate(ops.split(x, [1, -1], axis=-2), axis=-2),
        lambda x: ops.concatenate(x),
    ],
)
def test_options_that_numpy_takes(function):
    gradcheck(function, distinct(3, 4))


def test_all_that_a_user_calls_has_a_docstring():
    named = [f"op {name}" for name, function in OPS.items() if not function.__doc__]
    for name in dir(Tensor):
        member = getattr(Tensor, name)
        if not name.startswith("_") and (callable(member) or isinstance(member, property)):
            named += [] if member.__doc__ else [f"Tensor.{name}"]
    assert named == []


def test_no_rows_have_a_gradient_of_zeros():
    x, w = Tensor(np.ones((3, 2, 0)), requires_grad=True), Tensor(np.ones((0, 4)), True)
    (x @ w).sum().backward()
    assert x.grad.shape == (3, 2, 0) and w.grad.shape == (0, 4)
    x, w = Tensor(np.ones((3, 0, 2)), requires_grad=True), Tensor(np.ones((2, 4)), True)
    (x @ w).sum().backward()
    assert w.grad.tolist() == np.zeros((2, 4)).tolist()
