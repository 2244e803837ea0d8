"""A table of misuse: what is called, and the error that says what to do instead.

Each row is (what it is, a function that misuses something, the error, words of its message). To
extend it, add a row to the list of the room that it belongs to, or a list of your own to ROWS.
"""

import asyncio
import collections
import copy
import math
import pickle
import re
import warnings
from inspect import signature

import numpy as np
import pytest

import minigrad
from architectures import ARCHITECTURES as registry
from architectures import build, classifier, list_architectures, register
from architectures.energy.hopfield import energy
from architectures.energy.langevin import PersistentChains
from architectures.energy.score import sliced_score_matching
from architectures.feedforward.mlp import MLP
from architectures.probabilistic.bayesian import kl
from architectures.regression import decompose as mix
from architectures.uncertainty import decompose, expected_calibration_error
from minigrad import (
    Tensor,
    detect_nan,
    detect_writes,
    elsewhere,
    fit,
    functional,
    nn,
    no_grad,
    op,
    ops,
    optim,
    schedules,
)
from minigrad.backend import Noise, host_rng
from minigrad.data import minibatches, train_test_split
from minigrad.gradcheck import gradcheck
from minigrad.higher import grad, hessian, hvp, jacobian
from minigrad.images import max_pool
from minigrad.init import glorot_uniform, he_normal
from minigrad.recurrent import causal_convolution, gru
from minigrad.spiking import leaky, lif, lif_by_steps, spike
from minigrad.training import training_step


def w(*shape, dtype="float32"):
    """A leaf that requires a gradient, of 1, 2, 3, ..."""
    size = int(np.prod(shape))
    return Tensor(np.arange(1, size + 1, dtype=dtype).reshape(shape), requires_grad=True)


def rule(outputs):
    """An op whose rule returns outputs(x)."""

    @op
    def broken(x, y=None):
        return outputs(x)

    return broken


def result_of_add():
    return w(2) + 1


TENSORS = [
    ("text", lambda: Tensor("1.5"), TypeError, "real numbers, not <U3: '1.5'"),
    ("a list of texts", lambda: Tensor(["a", "b"]), TypeError, "real numbers"),
    ("an array of texts", lambda: Tensor(np.array(["a"])), TypeError, "real numbers"),
    ("None", lambda: Tensor(None), TypeError, "real numbers, not object: None"),
    ("None in a list", lambda: Tensor([1.0, None]), TypeError, "real numbers"),
    ("a dict", lambda: Tensor({"a": 1}), TypeError, "real numbers"),
    ("a generator", lambda: Tensor(i for i in range(3)), TypeError, "real numbers"),
    ("complex data", lambda: Tensor(np.ones(2, complex)), TypeError, "not complex128"),
    ("a complex number", lambda: Tensor(1j), TypeError, "not complex128"),
    ("a date", lambda: Tensor(np.datetime64("2000-01-01")), TypeError, "real numbers"),
    ("rows of two lengths", lambda: Tensor([[1, 2], [3]]), ValueError, "inhomogeneous"),
    ("a masked array", lambda: Tensor(np.ma.array([1.0], mask=[True])), TypeError, "filled"),
    ("bytes", lambda: Tensor(b"12"), TypeError, "real numbers"),
    ("a huge integer", lambda: Tensor(10**400), TypeError, r"object: 1000\d+\.\.\.0000"),
    ("two numbers", lambda: Tensor(1.0, 2.0), TypeError, "True or False, not 2.0"),
    ("a list of Tensors", lambda: Tensor([w(2), w(2)]), TypeError, r"ops\.stack"),
    ("a tracked Tensor", lambda: Tensor(w(2) * 2, True), TypeError, r"t\.detach\(\)"),
    ("integers with gradient", lambda: Tensor(np.ones(2, int), True), TypeError, "not int64"),
    ("complex by astype", lambda: w(2).astype("complex64"), TypeError, "not complex64"),
    ("a wrong name", lambda: w(2).grads, AttributeError, "grads"),
    ("a view", lambda: w(2).view(2, 1), AttributeError, r"no 'view': it is x\.reshape\(shape\)"),
    ("another device", lambda: w(2).to("cuda"), AttributeError, "no 'to': it is backend.use"),
    ("a function", lambda: w(2).relu(), AttributeError, r"it is functional\.relu\(x\)"),
    ("an op", lambda: w(2).maximum(0), AttributeError, r"'maximum': it is ops\.maximum\(x\)"),
    ("a huge number", lambda: Tensor([1e300, 1.0]), ValueError, r"beyond float32: .* float64"),
]


def set_requires_grad(x, value=True):
    x.requires_grad = value


def add_in_place(x):
    x += 1


def assign_element(x):
    x[0] = 1.0


def assign_data(x, data):
    x.data = data


ATTRIBUTES = [
    ("integers", lambda: set_requires_grad(Tensor(np.ones(2, int))), TypeError, "not int64"),
    ("booleans", lambda: set_requires_grad(w(2) > 1), TypeError, "not bool"),
    ("a result", lambda: set_requires_grad(Tensor([1.0]) * 2), TypeError, "result of op multiply"),
    ("a result off", lambda: set_requires_grad(w(2) * 2, False), TypeError, "leaves"),
    ("+= of a leaf", lambda: add_in_place(w(2)), TypeError, r"w\.data -= step"),
    ("an element", lambda: assign_element(w(2)), TypeError, r"ops\.where"),
    ("data of a result", lambda: assign_data(result_of_add(), np.ones(2)), RuntimeError, "op add"),
    ("integers as data", lambda: assign_data(w(2), np.ones(2, int)), TypeError, "not int64"),
    ("text as data", lambda: assign_data(w(2), "text"), TypeError, "real numbers"),
    ("a copied result", lambda: copy.deepcopy(result_of_add()), TypeError, r"op add: detach\(\)"),
]
CONVERSIONS = [
    ("iterate over a number", lambda: list(Tensor(1.0)), TypeError, r"\.item\(\)"),
    ("length of a number", lambda: len(Tensor(1.0)), TypeError, "unsized"),
    ("truth of many", lambda: bool(w(2) > 1), ValueError, r"shape \(2,\)"),
    ("truth of none", lambda: bool(Tensor([])), ValueError, r"shape \(0,\)"),
    ("number of many", lambda: float(w(2)), ValueError, r"shape \(2,\) is not one number"),
    ("many in a text", lambda: f"{w(2):.2f}", ValueError, r"\(2,\) is not one number"),
    ("math.exp", lambda: math.exp(w(2)), ValueError, "functions of each are in ops"),
    ("numpy.sum", lambda: np.sum(w(2)), TypeError, r"numpy\.sum of a Tensor"),
    ("numpy.stack", lambda: np.stack([w(2), w(2)]), TypeError, r"numpy\.stack of a Tensor"),
    ("numpy.where", lambda: np.where(w(2) > 1, w(2), 0), TypeError, r"numpy\.where of a Tensor"),
    ("numpy.exp", lambda: np.exp(w(2)), TypeError, "Tensor"),
    ("numpy.asarray", lambda: np.asarray(w(2)), TypeError, r"\.numpy\(\)"),
]
OPS = [
    ("matmul of a number", lambda: w() @ w(2), ValueError, r"with \*"),
    ("matmul by a number", lambda: w(2, 2) @ 2, ValueError, r"with \*"),
    ("matmul by a list", lambda: w(2, 2) @ [1, 2], ValueError, "Tensor of a list"),
    ("x - a list", lambda: w(2) - [1, 2], TypeError, "a list where an array is expected"),
    ("a tuple * x", lambda: (1, 2) * w(2), TypeError, "a tuple where an array is expected"),
    ("exp of a list", lambda: ops.exp([1, 2]), TypeError, "a list where an array is expected"),
    ("limits exchanged", lambda: w(2).clip(3, 1), ValueError, "from 3 to 1"),
    ("a limit that is NaN", lambda: w(2).clip(np.nan, 1), ValueError, "from nan"),
    ("numbers to join", lambda: ops.concatenate([w(), w()]), ValueError, "zero-dimensional"),
    ("two to join", lambda: ops.concatenate(w(2), w(2)), TypeError, "integer"),
    ("no axis to join", lambda: ops.concatenate([w(2), w(2)], axis=None), TypeError, "integer"),
    ("a float index", lambda: w(3)[Tensor([0, 1])], IndexError, "list of integers"),
    ("an index out of range", lambda: w(3)[3], IndexError, "out of bounds"),
    ("a text as an index", lambda: w(3)["a"], IndexError, "integers"),
    ("an axis that is not", lambda: w(2, 3).sum(axis=2), ValueError, "out of bounds"),
    ("an axis twice", lambda: w(2, 3).mean(axis=(0, 0)), ValueError, "duplicate"),
    ("an axis that is no integer", lambda: w(2, 3).max(axis=0.5), TypeError, "integer"),
    ("cumsum of no axis", lambda: w(2).cumsum(1), ValueError, "out of bounds"),
    ("too few axes", lambda: w(2, 3).transpose(0), ValueError, "axes"),
    ("an axis repeated", lambda: w(2, 3).transpose(0, 0), ValueError, "repeated"),
    ("mT of a vector", lambda: w(3).mT, ValueError, "ndim"),
    ("another size", lambda: w(2, 3).reshape(4), ValueError, "reshape"),
    ("squeeze of two", lambda: w(2, 3).squeeze(0), ValueError, "not equal to one"),
    ("take along no axis", lambda: take(5), ValueError, "out of bounds"),
    ("take along None", lambda: take(None), ValueError, r"reshape\(-1\)"),
    ("one pair for two axes", lambda: ops.pad(w(2, 3), [(1, 1)]), ValueError, "2 pairs"),
    ("one number for pairs", lambda: ops.pad(w(2, 3), 1), ValueError, "2 pairs"),
    ("sizes for places", lambda: ops.split(w(6), (2, 2, 2)), ValueError, "rise from 1 to 5, not"),
    ("places that fall", lambda: ops.split(w(6), [4, 2]), ValueError, r"rise .* not \[4, 2\]"),
    ("a place outside", lambda: ops.split(w(6), [2, 9]), ValueError, "rise from 1 to 5"),
    ("no such axis", lambda: ops.split(w(6), 3, axis=1), ValueError, "no axis 1 to cut"),
    ("tiles of 0", lambda: max_pool(w(4, 4, 1), 0), ValueError, "size must be a whole number"),
    ("tiles below 0", lambda: max_pool(w(4, 4, 1), -2), ValueError, "size must be a whole number"),
    ("unequal parts", lambda: ops.split(w(5), 2), ValueError, "equal parts"),
    ("2.5 parts", lambda: ops.split(w(5), 2.5), TypeError, "integer"),
    ("a turn of base 0", lambda: functional.rotary(w(3, 4), 0.0), ValueError, "base must be"),
    ("a flat image", lambda: nn.MaxPool2d(2)(w(4, 4)), ValueError, r"expected \(..., H, W, C\)"),
    (
        "no noise",
        lambda: functional.dropout(w(2), 0.5, None),
        TypeError,
        "backend.Noise, .* None",
    ),
    ("nothing to join", lambda: ops.concatenate([]), ValueError, "at least one"),
    ("other widths", lambda: ops.concatenate([w(2, 3), w(2, 2)]), ValueError, "must match"),
    ("other shapes", lambda: ops.stack([w(2), w(3)]), ValueError, "same shape"),
    ("a Tensor by name", lambda: ops.sum(x=w(2)), TypeError, "'x' by position"),
    ("times a complex number", lambda: w(2) * 1j, TypeError, "real numbers, not complex64"),
    ("complex arrays", lambda: w(2) + np.ones(2) * 1j, TypeError, "not complex128"),
    ("text where numbers are", lambda: ops.where(w(2) > 1, "a", w(2)), TypeError, "real numbers"),
    ("None where numbers are", lambda: ops.where(w(2) > 1, None, w(2)), TypeError, "not object"),
    ("axes one by one", lambda: w(2, 3).sum(0, 1), TypeError, "positional"),
    ("a limit to learn", lambda: w(2).clip(w(), 3), TypeError, "clip has no gradient for .* 2"),
    ("limit arrays", lambda: w(2).clip(np.ones(2), np.zeros(2)), ValueError, "must not be the lar"),
    ("a text condition", lambda: ops.where("a", w(2), 0), TypeError, "condition is booleans"),
    ("no condition", lambda: ops.where(None, w(2), 0), TypeError, "condition is booleans"),
    ("a float condition", lambda: ops.where(w(2), w(2), 0), TypeError, "x > 0 say, not float32"),
    ("keepdims as text", lambda: w(2, 2).sum(axis=0, keepdims="no"), TypeError, "True or False"),
    ("keepdims of numbers", lambda: w(2, 2).max(axis=0, keepdims=1), TypeError, "not 1"),
    ("an element set twice", lambda: ops.set_at(w(3), [0, 0], w(2)), ValueError, "an element twi"),
    (
        "no axes to fill",
        lambda: ops.broadcast_to(w(2, 3), (3, 3)),
        ValueError,
        "in op broad",
    ),
    ("a shape too short", lambda: ops.broadcast_to(w(2, 3), 6), ValueError, "fewer axes than the"),
    ("two of three axes", lambda: w(2, 3, 4).transpose(1, 2), ValueError, r"named.*\.mT exchanges"),
    ("a border of None", lambda: ops.pad(w(2), [(1, 1)], None), TypeError, "value must be of the"),
    (
        "a fraction into integers",
        lambda: ops.set_at(Tensor(np.arange(3)), 0, 1.5),
        TypeError,
        "into an array of int64",
    ),
    (
        "a Tensor added to integers",
        lambda: ops.add_at(Tensor(np.arange(3)), [0], w(1)),
        TypeError,
        r"x\.astype\('float32'\)",
    ),
    ("two lengths", lambda: w(2, 3) + w(2, 4), ValueError, "axes meet from the right"),
    ("widths", lambda: w(2, 3) @ w(2, 3), ValueError, r"\(2, 3\) and \(2, 3\): the last axis of x"),
    ("the mean of nothing", lambda: w(0).mean(), ValueError, r"mean of nothing: .* \(0,\)"),
    ("means of nothing", lambda: w(0, 3).mean(axis=0), ValueError, "mean of nothing"),
    ("softmax of a number", lambda: functional.softmax(w(), axis=()), ValueError, "needs an axis"),
]


CHECKS = [
    ("no inputs", lambda: gradcheck(lambda: w(2)), ValueError, "inputs"),
    ("order 0", lambda: gradcheck(ops.exp, (2,), order=0), ValueError, "order must be"),
    ("no step", lambda: gradcheck(ops.exp, (2,), step=0), ValueError, "step must be above 0"),
    ("a constant", lambda: gradcheck(lambda x: Tensor([1.0]), (2,)), RuntimeError, "nothing"),
    ("a Tensor", lambda: gradcheck(ops.exp, w(2)), TypeError, r"\.numpy\(\)"),
    ("complex inputs", lambda: gradcheck(ops.exp, np.ones(2) * 1j), ValueError, "input 0 must be"),
    ("NaN", lambda: gradcheck(ops.exp, np.array([np.nan])), ValueError, "input 0 must be finite"),
    ("no function", lambda: gradcheck(None, (2,)), TypeError, "function must be a function"),
    ("an array", lambda: gradcheck(lambda x: x.data, (2,)), TypeError, "returned a ndarray"),
    ("two results", lambda: gradcheck(lambda x: (x, x), (2,)), TypeError, "returned a tuple"),
]


def matrix():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy advises against them, too
        return np.matrix([[1.0, 2.0], [3.0, 4.0]], "float32")


def masked(*shape):
    return np.ma.masked_array(np.ones(shape, "float32"), np.ones(shape))


FOREIGN = [
    ("a matrix, whose * is @", lambda: w(2, 2) * matrix(), TypeError, r"matrix, for which \* is @"),
    ("its left side", lambda: matrix() * w(2, 2), TypeError, r"numpy\.asarray"),
    ("a masked choice", lambda: ops.where(w(2) > 0, masked(2), 0), TypeError, "a masked array"),
    ("a span of time", lambda: w(2) * np.timedelta64(1, "s"), TypeError, "not timedelta64"),
    ("None", lambda: w(2) + None, TypeError, "op add takes .* numbers, not None"),
    ("text", lambda: w(2) * "a", TypeError, "op multiply takes .* not 'a'"),
    ("an array of text", lambda: w(2) * np.array(["a"]), TypeError, "op multiply takes .* not arr"),
    ("None for relu", lambda: functional.relu(None), TypeError, "op relu takes .* not None"),
    ("no rows of gates", lambda: gru(w(2, 6), w(2, 6)), ValueError, "op gru.*: .* too few axes"),
    ("no axis", lambda: functional.sparsemax(w()), ValueError, "op sparsemax.*: .* too few axes"),
    ("nothing", lambda: functional.softmax(w(3, 0)), ValueError, r"\[3, 0\].* of no elements none"),
    ("keys", lambda: attend(w(4, 2), w(4, 2)), ValueError, "do the axes that a matrix product"),
    ("axes in a list", lambda: w(2, 3).sum([0, 1]), TypeError, "several are a tuple"),
    ("an array as beta", lambda: lif(w(3, 2, 2), 3, np.ones(2)), TypeError, "is an option an arr"),
    ("an imaginary vjp", lambda: imaginary(), TypeError, "a gradient is real numbers"),
]


def normed(norm, **options):
    norm(w(3, 2), w(1, 2), w(1, 2), **options)


def linear(*shapes):
    functional.linear(*(w(*shape) for shape in shapes))


def averages(*shape):
    return Tensor(np.zeros(shape, "float32")), Tensor(np.ones(shape, "float32"))


def attend_causally(causal):
    functional.attention(w(2, 3), w(2, 3), w(2, 2), 1.0, causal)


FUNCTIONS = [
    ("a weight of one axis", lambda: linear((3, 2), (2,)), ValueError, r"weight .*, not \(2,\)"),
    ("a bias that widens", lambda: linear((3, 2), (2, 1), (1, 4)), ValueError, "a bias .* not fit"),
    (
        "a bias for more rows",
        lambda: linear((1, 2), (2, 4), (3, 4)),
        ValueError,
        "a bias .* not fit",
    ),
    ("a bias too wide", lambda: linear((3, 2), (2, 4), (5,)), ValueError, r"\(5,\) does not fit"),
    ("other replicas", lambda: linear((5, 3, 2), (4, 2, 1)), ValueError, ": the axes in front do"),
    ("causal as text", lambda: attend_causally("no"), TypeError, "causal must be True or False"),
    (
        "an option of text",
        lambda: functional.layer_norm(w(3, 2), w(1, 2), w(1, 2), eps="a"),
        TypeError,
        r"in op layer_norm\(float32\[3, 2\], float32\[1, 2\], float32\[1, 2\], eps='a'\)",
    ),
    (
        "float64 for a float32 norm",
        lambda: nn.LayerNorm(2)(w(3, 2, dtype="float64")),
        TypeError,
        r"x is float64, the gain float32 .*astype\('float32'\)",
    ),
    (
        "a gain for each row",
        lambda: functional.batch_norm(w(3, 2), w(3, 2), w(1, 2)),
        ValueError,
        r"for each feature, .* not \(3, 2\)",
    ),
    (
        "five times as far",
        lambda: normed(functional.batch_norm, running=averages(1, 2), momentum=5),
        ValueError,
        "momentum must lie",
    ),
    (
        "averages as Tensors",
        lambda: normed(functional.batch_norm, running=averages(1, 2)),
        TypeError,
        "a pair of arrays, .* not of Tensors",
    ),
    (
        "unequal averages",
        lambda: normed(functional.batch_norm, running=(np.zeros((1, 2)), np.ones((4, 1, 2)))),
        ValueError,
        r"of two shapes, \(1, 2\) and \(4, 1, 2\)",
    ),
    (
        "one average",
        lambda: normed(functional.batch_norm, running=np.zeros((1, 2))),
        ValueError,
        "running must be a pair",
    ),
    ("more replicas than x", lambda: gru(w(3, 2, 6), w(5, 2, 6)), ValueError, r"axes \(5,\) needs"),
    (
        "weights of more",
        lambda: causal_convolution(w(3, 2, 4), w(5, 2, 4)),
        ValueError,
        "ops.broadcast_to",
    ),
]


def imaginary():
    rule(lambda x: (x * 1, lambda g: g * 1j))(w(2)).sum().backward()


def attend(keys, values):
    functional.attention(w(2, 3), keys, values, 1.0)


def squares(*xs):
    return sum((x * x).sum() for x in xs)


def step_with(grad):
    x = w(2, 2)
    optimizer = optim.SGD([x], lr=1.0)
    x.grad = grad
    optimizer.step()


def fit_shuffled(shuffle):
    model = nn.Linear(2, 2, rng=0)
    data = np.ones((4, 2), "float32"), np.zeros(4, int)
    optimizer = optim.SGD(model.parameters())
    fit(model, *data, cross_entropy_of, optimizer, epochs=1, shuffle=shuffle)


def cross_entropy_of(model, x, y):
    return functional.cross_entropy(model(x), y)


def calibration(proba, labels):
    return expected_calibration_error(np.array(proba), np.array(labels))


def fit_with(model=None, optimizer=None, loss=cross_entropy_of, **options):
    net = nn.Linear(2, 2, rng=0)
    x, y = np.ones((4, 2), "float32"), np.zeros(4, int)
    optimizer = optimizer or optim.SGD(net.parameters())
    fit(model or net, x, y, loss, optimizer, epochs=1, **options)


def fit_to(x, y):
    net = nn.Linear(2, 2, rng=0)
    fit(net, x, y, cross_entropy_of, optim.SGD(net.parameters()), epochs=1)


def fit_labels(last, compiled):
    """The last batch of five has a label that none of the others has."""
    model = classifier("mlp", 2, 2, train_rows=9, hidden_sizes=(4,), rng=0)
    x, y = np.ones((20, 2)), np.array([*[0, 1] * 9, 0, last])
    adam = optim.Adam(model.parameters())
    fit(model, x, y, type(model).loss, adam, epochs=1, batch_size=4, compiled=compiled)


def fit_exchanging():
    model = nn.Linear(2, 2, rng=0)
    x, y, optimizer = np.ones((4, 2)), np.zeros(4, int), optim.SGD(model.parameters())

    def exchange(*_):
        model.weight = w(2, 2)

    fit(model, x, y, cross_entropy_of, optimizer, epochs=2, on_epoch=exchange)


def cross_entropy(labels, *shape):
    functional.cross_entropy(w(*shape), np.array(labels))


def split_off(share):
    train_test_split(np.ones((4, 1)), np.array([0, 0, 1, 1]), share)


def cut(x, y, batch_size=2, axis=0, **options):
    minibatches(np.zeros(x), np.zeros(y), batch_size, axis=axis, **options)


FITTING = [
    ("a name", lambda: fit_with(optimizer="adam"), TypeError, "class Optimizer, not 'adam'"),
    ("a class", lambda: fit_with(optimizer=optim.SGD), TypeError, "not the class SGD"),
    (
        "a function",
        lambda: fit_with(model=lambda x: x),
        TypeError,
        "model must be of the class Mod",
    ),
    ("a loss by name", lambda: fit_with(loss="mse"), TypeError, "loss must be a function"),
    ("a rate", lambda: fit_with(schedule=0.1), TypeError, "schedule must be a function, not 0.1"),
    ("pairs", lambda: fit_to([(np.ones(2), 0)], [0]), ValueError, "x must be an array, one row fo"),
    ("no labels", lambda: fit_to(np.ones((4, 2)), None), ValueError, r"not object: array\(None"),
    ("a callback", lambda: fit_with(on_epoch="print"), TypeError, "on_epoch must be a function"),
    ("a length below 0", lambda: fit_with(clip_norm=-1), ValueError, "clip_norm must be above 0"),
    ("a limit of 0", lambda: fit_with(clip_value=0), ValueError, "clip_value must be above 0"),
    ("three to validate", lambda: fit_with(validation=(1, 2, 3)), ValueError, r"pair, \(a, b\)"),
    ("x to validate", lambda: fit_with(validation=np.ones((2, 2))), ValueError, "must be a pair"),
    ("compiled", lambda: fit_with(compiled="no"), TypeError, "compiled must be True or False"),
    (
        "another class",
        lambda: fit_labels(2, True),
        ValueError,
        "from 0 to 2 for the model's 2 class",
    ),
    (
        "a class below 0",
        lambda: fit_labels(-1, False),
        ValueError,
        "from -1 to 1 for the model's 2",
    ),
    ("a parameter exchanged", lambda: fit_exchanging(), ValueError, "replaced since it was made"),
    ("masked rows", lambda: fit_to(masked(4, 2), np.zeros(4, int)), TypeError, "a masked array"),
    ("masked labels", lambda: fit_to(np.ones((4, 2)), masked(4)), TypeError, "a masked array"),
    ("keep_best", lambda: fit_with(keep_best="no"), TypeError, "keep_best must be True or False"),
]
CALLS = [
    ("PyTorch's axis", lambda: w(2, 3).sum(dim=0), TypeError, r"^sum takes \(x, axis, \*, keepd"),
    ("its keepdim", lambda: w(2, 3).max(1, keepdim=True), TypeError, r"max takes \(x, axis, \*, k"),
    ("softmax", lambda: functional.softmax(w(2), dim=0), TypeError, r"softmax takes \(x, axis\)"),
    ("to join", lambda: ops.stack([w(2)], dim=0), TypeError, r"^stack takes \(xs, axis\)"),
    ("to cut", lambda: ops.split(w(2), 2, dim=0), TypeError, r"split takes \(x, sections, axis\)"),
    ("the largest", lambda: w(2).argmax(dim=0), TypeError, r"^argmax takes \(axis\)"),
    (
        "widths",
        lambda: nn.Linear(in_features=2),
        TypeError,
        r"^Linear takes \(inputs, outputs",
    ),
    (
        "a bias by place",
        lambda: nn.Linear(2, 3, True),
        TypeError,
        r"\*, bias, draw, rng\)",
    ),
    (
        "a device",
        lambda: nn.LayerNorm(2, device="cuda"),
        TypeError,
        r"^LayerNorm takes \(feat",
    ),
    (
        "no parameters",
        lambda: optim.Adam(lr=0.1),
        TypeError,
        r"^Adam takes \(parameters, lr",
    ),
    (
        "a rate by name",
        lambda: optim.SGD([w(2)], rate=1),
        TypeError,
        r"^SGD takes \(parameters",
    ),
    (
        "a backbone's",
        lambda: MLP(2, widths=(3,)),
        TypeError,
        r"^MLP takes \(input_size, hidd",
    ),
    (
        "a loader",
        lambda: fit(net(), [(1, 2)], None, None),
        TypeError,
        r"^fit takes \(model, x",
    ),
]
SEEDS = [
    ("True", lambda: host_rng(True), TypeError, "a seed is a whole number.*; not True"),
    ("a layer's", lambda: nn.Linear(2, 2, rng=np.True_), TypeError, "not (np.)?True"),
    ("text", lambda: host_rng("a"), TypeError, "not 'a'"),
    ("below 0", lambda: host_rng(-1), ValueError, "not -1"),
    ("a fraction", lambda: host_rng(0.5), TypeError, "not 0.5"),
    ("to predict", lambda: predict(np.ones((2, 2)), rng="a"), TypeError, "not 'a'"),
]
DATA = [
    ("a share of text", lambda: split_off("a"), ValueError, "test_share must be above 0, not 'a'"),
    ("all to test", lambda: split_off(1), ValueError, r"test_share must lie in \[0, 1\), not 1"),
    ("none to test", lambda: split_off(0.0), ValueError, "test_share must be above 0"),
    ("other rows", lambda: cut((4, 2), (3,)), ValueError, r"x \(4, 2\) and y \(3,\)"),
    ("other replicas", lambda: cut((2, 4, 2), (3, 4), axis=1), ValueError, "along axis 1"),
    ("no such axis", lambda: cut((4,), (4,), axis=1), ValueError, "along axis 1"),
    ("no batch, no order", lambda: cut((4, 1), (4,), 0, order=[9]), ValueError, "batch_size must"),
    (
        "an axis from the end",
        lambda: cut((4, 2), (4,), axis=-1),
        ValueError,
        "axis must be a whole",
    ),
    (
        "scikit-learn's",
        lambda: train_test_split([], [], test_size=1),
        TypeError,
        "y, test_share",
    ),
    ("an order", lambda: minibatches([], [], 1, shuffle=True), TypeError, r"\*, axis, order\)"),
    ("lists", lambda: minibatches([[1, 2]], [0], 1), TypeError, "x must be an array, not a list"),
    ("no rows", lambda: train_test_split(np.ones((0, 2)), np.ones(0)), ValueError, r"not \(0, 2\)"),
    ("masked", lambda: train_test_split(masked(4), np.ones(4)), TypeError, "a masked array"),
]
LABELS = [
    ("floats", lambda: cross_entropy([0.0, 1.0], 2, 3), ValueError, r"labels\.astype\(int\)"),
    ("a column", lambda: cross_entropy([[0], [1]], 2, 3), ValueError, r"labels\[\.\.\., 0\]"),
    ("one class", lambda: cross_entropy([0, 0], 2, 1), ValueError, "two classes have two logits"),
    ("softmax twice", lambda: softmax_twice(), ValueError, "takes logits, not their softmax"),
    ("one row", lambda: cross_entropy(1, 3), ValueError, r"x\[None, :\] makes one row"),
    ("other rows", lambda: cross_entropy([0, 1, 1], 2, 3), ValueError, "do not fit logits"),
    ("nothing", lambda: functional.mse(w(0, 3), w(0, 3)), ValueError, "or are empty"),
    ("weights", lambda: smoothed(np.ones(3)), ValueError, r"smoothing must lie in .* not array"),
    ("None", lambda: smoothed(None), ValueError, "smoothing must lie in .* not None"),
    (
        "two variances of one mean",
        lambda: nll((3, 1), (3, 2)),
        ValueError,
        r"\(3, 2\) does not fit",
    ),
    ("variances of other rows", lambda: nll((3, 2), (5, 2)), ValueError, r"\(5, 2\) does not fit"),
    ("text", lambda: functional.mse(w(1, 1), np.array([["a"]])), TypeError, "not <U1"),
    (
        "two of integers",
        lambda: functional.mse(np.ones((2, 1), int), w(2, 1)),
        TypeError,
        "floating-point numbers, not int64",
    ),
]


def softmax_twice():
    functional.cross_entropy(functional.softmax(w(2, 3)), np.array([0, 1]))


def smoothed(smoothing):
    functional.cross_entropy(w(2, 3), np.array([0, 1]), smoothing)


def nll(mean, log_variance):
    functional.gaussian_nll(w(*mean), w(*log_variance), w(*mean))


def net(**options):
    return nn.Linear(2, 2, rng=0, **options)


class Holds(nn.Module):
    def __init__(self, parts):
        self.parts = parts


def assign_weight(value):
    net().weight = value


def with_extra(module):
    module.extra = 2.0
    return module


def stack_of(*functions):
    nn.stack([nn.Sequential(function) for function in functions])


def attended(steps):
    nn.MultiHeadAttention(4, 2, rng=0)(w(6, 4), steps)


def draw_one(shape, rng):
    return np.ones(1, "float32")


def class_of(part):
    type("Shared", (nn.Module,), {"part": part})


MODULES = [
    (
        "a weight of a class",
        lambda: class_of(w(2)),
        TypeError,
        "Shared.part would be one for all",
    ),
    ("a layer of a class", lambda: class_of(net()), TypeError, r"in __init__, self\.part = \.\.\."),
    (
        "other widths to stack",
        lambda: nn.stack([net(), nn.Linear(2, 3)]),
        ValueError,
        r"Linear; weight, \(\(2, 3\), 'float32'\) against \(\(2, 2\), 'float32'\); bias, ",
    ),
    ("a mode", lambda: net().train("no"), TypeError, "mode must be True or False, not 'no'"),
    ("a set", lambda: Holds({net()}).parameters(), TypeError, "parts is a set of modules"),
    ("a deque", lambda: Holds(collections.deque([net()])).eval(), TypeError, "lists, tuples and"),
    ("a generator", lambda: Holds(net() for _ in "ab").parameters(), TypeError, r"list\(\.\.\.\)"),
    ("a zip", lambda: Holds(zip("ab", [1, 2])).parameters(), TypeError, "parts is a zip"),
    ("values", lambda: Holds({1: w(1)}.values()).parameters(), TypeError, "is a dict_values of"),
    ("a causal text", lambda: nn.MultiHeadAttention(4, causal="no"), TypeError, "causal must be"),
    (
        "half a timestep",
        lambda: nn.MultiHeadAttention(4, rng=0)(w(5, 4), 2),
        ValueError,
        "no 2 tim",
    ),
    ("a list of layers", lambda: nn.Sequential([net()]), TypeError, "layer 0 must .* no list"),
    ("a class", lambda: nn.Sequential(net(), nn.LayerNorm), TypeError, "layer 1 must .* no class"),
    ("a method", lambda: nn.Sequential(net().forward), TypeError, "no method"),
    ("a bias of text", lambda: net(bias="no"), TypeError, "bias must be True or False"),
    ("a draw by name", lambda: net(draw="he"), TypeError, "draw must be a function, not 'he'"),
    ("a draw of one", lambda: net(draw=draw_one), ValueError, r"\(1,\), not \(2, 2\)"),
    ("a rate of text", lambda: nn.Dropout("a"), ValueError, "dropout_rate must lie"),
    (
        "a mode of text",
        lambda: setattr(net(), "training", "no"),
        TypeError,
        "training must be True",
    ),
    (
        "no module",
        lambda: nn.frozen(w(2)).__enter__(),
        TypeError,
        "module must be of the class Mod",
    ),
    ("an array for a weight", lambda: assign_weight(np.ones((2, 2))), TypeError, "weight.data\\["),
    ("a number for a weight", lambda: assign_weight(1.0), TypeError, "weight is a Tensor"),
    ("one to stack", lambda: nn.stack(net()), TypeError, "a list of modules, not one Linear"),
    ("another mode", lambda: nn.stack([net(), net().eval()]), ValueError, "True, False"),
    ("one with more", lambda: nn.stack([Holds(1), with_extra(Holds(1))]), ValueError, "attributes"),
    ("other functions", lambda: stack_of(functional.relu, ops.tanh), ValueError, "relu, tanh$"),
    ("no timestep", lambda: attended(0), ValueError, "steps must be a whole number"),
    ("steps below 0", lambda: attended(-3), ValueError, "steps must be a whole number"),
    ("one image", lambda: nn.Conv2d(1, 2, 3, rng=0)(w(5, 5, 1)), ValueError, r"x\[None\] for one"),
    ("numbers to stack", lambda: nn.stack([net(), 1]), TypeError, r"modules\[1\] must be"),
    ("too many features", lambda: net()(w(2, 5)), ValueError, "has 5 features .* layer takes 2"),
    ("a row of features", lambda: net()(w(2)), ValueError, r"x\[None, :\] is one row"),
    ("float64", lambda: net()(w(1, 2, dtype="float64")), ValueError, r"astype\('float32'\)"),
    ("a list", lambda: net()([[1.0, 2.0]]), TypeError, "op linear takes no list.*Tensor of it"),
    ("nothing", lambda: nn.LayerNorm(2)(None), TypeError, "op layer_norm takes no NoneType"),
    ("a vector", lambda: nn.BatchNorm(2)(w(2)), ValueError, r"not x \(2,\)"),
    ("one to predict", lambda: nn.BatchNorm(2).eval()(w(2)), ValueError, r"rows x .* not x \(2,\)"),
    ("a number", lambda: nn.LayerNorm(2)(w()), ValueError, r"not x \(\)"),
    ("a list of names", lambda: functional.activation(["relu"]), ValueError, "unknown activation"),
    ("no fan in", lambda: glorot_uniform((3,), 0), ValueError, r"fan_out\), not \(3,\)"),
    ("a fan in alone", lambda: glorot_uniform(3, 0), ValueError, r"fan_out\), not 3"),
    ("a fan in of 0", lambda: he_normal((0, 2), 0), ValueError, "fan_in must"),
]
SCHEDULES = [
    ("below 0", lambda: schedules.warm_up(3, -1), ValueError, "steps must be above 0, not -1"),
    ("no steps", lambda: schedules.cosine(3, 0), ValueError, "steps must be above 0"),
    ("up again", lambda: schedules.cosine(3, 10, last=5), ValueError, "last must lie in"),
    ("before it began", lambda: schedules.stairs(-1, 10), ValueError, "step must be 0 or above"),
    ("NaN", lambda: schedules.cosine(np.nan, 10), ValueError, "step must be 0 or above, not nan"),
    ("warm_up", lambda: schedules.warm_up(-5, 10), ValueError, "step must be 0 or above"),
    ("no stairs", lambda: schedules.stairs(3, 0), ValueError, "every must be above 0"),
    ("stairs up", lambda: schedules.stairs(3, 1, factor=2), ValueError, "factor must lie in"),
    (
        "all rise",
        lambda: schedules.one_cycle(3, 10, rise=1),
        ValueError,
        r"rise must lie in \[0, 1\)",
    ),
    ("first", lambda: schedules.one_cycle(3, 10, first=-1), ValueError, "first must lie in"),
]
SPIKES = [
    ("a growing membrane", lambda: lif(w(3, 2, 2), 3, 2.0), ValueError, "beta must lie in"),
    ("NaN", lambda: lif(w(3, 2, 2), 3, np.nan), ValueError, "beta must lie in"),
    ("a slope below 0", lambda: lif(w(3, 2, 2), 3, 0.5, slope=-1), ValueError, "slope must be"),
    ("threshold 0", lambda: lif(w(3, 2, 2), 3, 0.5, threshold=0), ValueError, "threshold must be"),
    ("half a step", lambda: lif(w(1, 2, 2), 2.5, 0.5), ValueError, "steps must be a whole number"),
    ("no time", lambda: lif(w(2, 2), 3, 0.5), ValueError, r"\(\.\.\., T, B, H\), not \(2, 2\)"),
    ("integers", lambda: lif(Tensor(np.ones((3, 2, 2), int)), 3, 0.5), TypeError, "floating"),
    ("integer spikes", lambda: spike(Tensor(np.ones(3, int))), TypeError, "floating"),
    ("a flag", lambda: lif(w(3, 2, 2), 3, 0.5, soft="no"), TypeError, "soft must be True or False"),
    ("a reset", lambda: lif(w(3, 2, 2), 3, 0.5, detach_reset=1.5), TypeError, "detach_reset must"),
    ("growth", lambda: leaky(w(3, 2, 2), 1.5), ValueError, "beta must lie in"),
    ("a flat current", lambda: leaky(w(2, 2), 0.5), ValueError, r"\(\.\.\., T, B, H\), not"),
    ("initial", lambda: lif(w(3, 2, 2), 3, 0.5, initial="0"), ValueError, "initial must be a fin"),
    ("by steps", lambda: lif_by_steps(w(3, 2, 2), 3, 0.5, initial="0"), ValueError, "initial must"),
    ("no initial", lambda: lif(w(3, 2, 2), 3, 0.5, initial=None), ValueError, "number, not None"),
    ("no slope", lambda: spike(w(3), slope=0), ValueError, "slope must be above 0"),
]


def adam(**options):
    return optim.Adam(net().parameters(), **options)


def loaded(part, **arrays):
    part.load_state_dict(part.state_dict() | arrays)


def share_memory():
    array = np.ones((2, 2), "float32")
    optim.SGD([Tensor(array, True), Tensor(array[0], True)])


def share(*parts):
    array = np.ones(4, "float32")
    optim.SGD([Tensor(array[part], True) for part in parts])


def stepped(kind):
    x = w(2)
    optimizer = kind([x], lr=1.0)
    x.sum().backward()
    optimizer.step()


def clip(replicas):
    x = w(2, 3)
    optimizer = optim.SGD([x])
    x.sum().backward()
    optimizer.clip_norm(1.0, replicas)


def accumulate(grad):
    x = w(2)
    x.grad = grad
    (x * x).sum().backward()


class Returning(optim.Optimizer):
    def update(self, p, g):
        return p - g


OPTIMIZERS = [
    ("three betas", lambda: adam(betas=(0.9, 0.99, 0.999)), ValueError, "betas must be a pair"),
    ("one beta", lambda: adam(betas=0.9), ValueError, "betas must be a pair, .* not 0.9"),
    ("betas later", lambda: setattr(adam(), "betas", (1.5, 0.9)), ValueError, "beta1 must lie in"),
    ("eps later", lambda: setattr(adam(), "eps", -1), ValueError, "eps must be above 0"),
    ("decay later", lambda: setattr(adam(), "weight_decay", np.nan), ValueError, "weight_decay mu"),
    ("momentum later", lambda: setattr(optim.SGD([w(2)]), "momentum", 1), ValueError, "momentum"),
    ("nesterov", lambda: optim.SGD([w(2)], 0.1, 0.9, "no"), TypeError, "nesterov must be True or"),
    (
        "a name",
        lambda: setattr(adam(), "learning_rate", 1),
        AttributeError,
        "its options are lr, b",
    ),
    ("steps", lambda: loaded(adam(), steps=np.array(-1)), ValueError, "steps is negative"),
    (
        "a state of other shapes",
        lambda: optim.SGD([w(2, 3)]).load_state_dict(optim.SGD([w(3, 2)]).state_dict()),
        ValueError,
        "parameters of other shapes",
    ),
    ("squares", lambda: loaded(adam(), square=-np.ones(6, "float32")), ValueError, "square is neg"),
    (
        "a variance",
        lambda: loaded(nn.BatchNorm(1), running_var=np.full((1, 1), -1, "float32")),
        ValueError,
        "running_var is negative",
    ),
    ("one array", share_memory, ValueError, "share memory"),
    ("overlapping parts", lambda: share(slice(2), slice(1, 3)), ValueError, "share memory"),
    ("a part inside", lambda: share(slice(4), slice(1, 3)), ValueError, "share memory"),
    ("back to front", lambda: share(slice(4), slice(None, None, -1)), ValueError, "share memory"),
    (
        "a function as rate",
        lambda: optim.SGD([w(2)], lambda s: 1),
        ValueError,
        "lr must be 0 or ab",
    ),
    ("a rate each", lambda: setattr(adam(), "lr", {"a": 1}), ValueError, "lr must be 0 or above"),
    ("steps below 0", lambda: setattr(adam(), "steps", -5), ValueError, "steps must be a whole"),
    (
        "one parameter more",
        lambda: optim.SGD([w(2)]).parameters.append(w(2)),
        AttributeError,
        "appe",
    ),
    ("other parameters", lambda: setattr(adam(), "parameters", []), AttributeError, "make another"),
    (
        "other values",
        lambda: setattr(adam(), "values", np.ones(6)),
        AttributeError,
        "the values of",
    ),
    (
        "an update returned",
        lambda: stepped(Returning),
        TypeError,
        "changes p in place, and",
    ),
    ("no update", lambda: stepped(optim.Optimizer), NotImplementedError, "defines no update"),
    ("a number of replicas", lambda: clip(2), ValueError, "replicas=2: it is the tuple of axes"),
    ("rows for replicas", lambda: clip((4,)), ValueError, r"shapes .* begin, as \(2, 3\)"),
    ("masked", lambda: loaded(net(), weight=masked(2, 2)), TypeError, "a masked array"),
    ("a list to add to", lambda: accumulate([1, 2]), ValueError, r"like it, not \[1, 2\]"),
    ("float64 to add to", lambda: accumulate(np.ones(2)), ValueError, r"float32 of shape \(2,\)"),
]


def saved(**extras):
    minigrad.save("x.npz", net(), **extras)


def read_only():
    module = net()
    state = module.state_dict()
    module.bias.data.flags.writeable = False
    try:
        module.load_state_dict({name: array + 1 for name, array in state.items()})
    finally:  # all or nothing
        assert all((module.state_dict()[name] == array).all() for name, array in state.items())


def predict(x, name="snn", **options):
    options = {"rng": 0} | options
    classifier(name, 2, train_rows=9, input_size=2, rng=0).predict_proba(x, **options)


def mixture(mean, log_variance):
    mix(np.zeros(mean), np.zeros(log_variance))


def ebm():
    return classifier("ebm", 2, train_rows=9, native=True, input_size=2, rng=0)


def sample(**options):
    ebm().sample(3, **{"steps": 1, "rng": 0, **options})


def spiking_input(x):
    build("snn", 2, constant_input=False)(x)


def sequence_loss(labels):
    classifier("gru", 5, 4, train_rows=8, rng=0).loss(Tensor(np.array([[1, 2]])), Tensor(labels))


def score(**options):
    sliced_score_matching(lambda x: (x * x).sum(axis=-1), w(3, 2), Noise(0), **options)


def features(x):
    build("gru", 5, tokens=False)(x)


def finish(x_train):
    classifier("ann2snn", 2, train_rows=9, input_size=2, rng=0).finish(x_train)


ARCHITECTURES = [
    ("NaN", lambda: predict(np.full((2, 2), np.nan)), ValueError, "NaN or infinity"),
    ("infinity", lambda: predict(np.full((2, 2), np.inf)), ValueError, "as float32"),
    ("three features", lambda: predict(np.ones((2, 3))), ValueError, "3 features .* takes 2"),
    ("logits", lambda: decompose(np.full((2, 1, 2), 5.0)), ValueError, "must sum to one"),
    ("negative", lambda: decompose(np.array([[[1.5, -0.5]]])), ValueError, "not be negative"),
    ("no samples", lambda: decompose(np.ones((0, 1, 2))), ValueError, "S > 0"),
    ("no batch", lambda: decompose(np.ones((2, 1))), ValueError, r"not \(2, 1\)"),
    ("tasks", lambda: register("x", nn.Linear, tasks="copy"), TypeError, "tasks must be .* tuple"),
    ("a regressor", lambda: register("x", nn.Linear, regressor=5), TypeError, "regressor must be"),
    (
        "a share for percent",
        lambda: build("ann2snn", 2, percentile=0.999),
        ValueError,
        r"in percent, lies in \(1, 100\], not 0.999",
    ),
    (
        "flat labels",
        lambda: sequence_loss(np.array([1])),
        ValueError,
        r"\(\.\.\., B, L\), of",
    ),
    (
        "a width of channels",
        lambda: build("convnet", 16, channels=8),
        ValueError,
        "channels is one",
    ),
    ("no Bayesian layer", lambda: kl(net()), ValueError, "this Linear has no Bayesian layer"),
    ("a blur below 0", lambda: score(blur=-1), ValueError, "blur must be 0 or above, not -1"),
    ("half a token", lambda: build("gru", 5)(Tensor([[1.0, 2.5]])), ValueError, "whole numbers"),
    ("one sequence", lambda: build("gru", 5)(np.array([1, 2])), ValueError, r"tokens .* \(2,\)"),
    ("no timesteps", lambda: build("gru", 5)(np.zeros((2, 0), int)), ValueError, "T > 0"),
    ("rows for sequences", lambda: features(w(3, 5)), ValueError, r"features \(\.\.\., B, T, D\)"),
    ("images as images", lambda: build("vit", 16)(w(2, 4, 4)), ValueError, r"reshape\(len\(x\), -"),
    ("half a shape", lambda: build("vit", 16, shape=(4, 4)), ValueError, "height, width, channels"),
    ("an odd image", lambda: build("convnet", 36), ValueError, "6 x 6 .* multiples of 4"),
    ("an even kernel", lambda: build("convnet", 16, kernel_size=2), ValueError, "must be odd"),
    ("beta below 0", lambda: energy(w(2, 3), w(4, 3), -1.0), ValueError, "beta must be above 0"),
    ("no name", lambda: register("", nn.Linear), ValueError, "needs a name"),
    ("a number", lambda: register(3, nn.Linear), TypeError, "name must be of the class str"),
    ("text", lambda: register("x", "text"), TypeError, "backbone must be of the class type"),
    ("a family", lambda: register("x", nn.Linear, family=3), TypeError, "family must be"),
    ("a class", lambda: build("mlp", input_size=net), ValueError, "input_size must be a whole"),
    ("a list of names", lambda: build(["mlp"], input_size=2), ValueError, "unknown architecture"),
    ("no options", lambda: register("x", nn.Linear, options=["a"]), TypeError, "options must be"),
    ("compared", lambda: register("x", nn.Linear, compared="no"), TypeError, "compared must be T"),
    (
        "native",
        lambda: classifier("mlp", 2, train_rows=9, native="no"),
        TypeError,
        "native must be",
    ),
    ("other variances", lambda: mixture((2, 1, 1), (2, 2, 1)), ValueError, r"not \(2, 1, 1\) and"),
    ("no mixture", lambda: mixture((0, 1, 1), (0, 1, 1)), ValueError, "S > 0"),
    ("steps below 0", lambda: sample(steps=-1), ValueError, "steps must be a whole number"),
    ("a step of NaN", lambda: sample(step_size=np.nan), ValueError, "step_size must be above 0"),
    (
        "an energy each",
        lambda: sample(energy=lambda x: x),
        ValueError,
        r"the Tensor has shape \(3, 2\)",
    ),
    ("widths once", lambda: build("mlp", 2, iter([4])), ValueError, "one width for each layer"),
    ("half a box", lambda: PersistentChains(2, box=(6,)), ValueError, "box must be a pair"),
    (
        "a box of NaN",
        lambda: PersistentChains(2, box=(0, np.nan)),
        ValueError,
        "high must be a fin",
    ),
    ("a truth value", lambda: ebm().sample(1, label=True), ValueError, "label must .* not True"),
    (
        "points for spikes",
        lambda: spiking_input(w(3, 2)),
        ValueError,
        r"spikes \(\.\.\., T, B, D\)",
    ),
    ("half a label", lambda: ebm().sample(1, label=1.0), ValueError, "label must be in 0 ... 1"),
    ("no activations", lambda: finish(np.ones((0, 2))), ValueError, "no rows to measure"),
]
FILES = [
    ("no module", lambda: minigrad.save("x.npz", 3), TypeError, "module must be .* Module, not 3"),
    ("exchanged", lambda: minigrad.save("x.npz", adam(), net()), TypeError, "module must be of"),
    (
        "dates",
        lambda: saved(day=np.datetime64("2000-01-01")),
        TypeError,
        "'day' is neither .* da",
    ),
    ("a masked extra", lambda: saved(a=masked(2)), TypeError, "a masked array"),
    ("None", lambda: minigrad.save("x.npz", {"a": None}), TypeError, "'a' is neither an arr"),
    ("a model", lambda: minigrad.save("x.npz", net(), net()), TypeError, "optimizer must be of"),
]
CALIBRATION = [
    ("1.005", lambda: calibration([[1.005, 0.0]], [0]), ValueError, "softmax"),
    ("logits", lambda: calibration([[5.0, -1.0]], [0]), ValueError, "softmax"),
    ("NaN", lambda: calibration([[np.nan, 1.0]], [0]), ValueError, "lie in"),
    (
        "another class",
        lambda: calibration([[0.5, 0.5]], [2]),
        ValueError,
        "2 classes are .* 0 to 1",
    ),
    (
        "a class below",
        lambda: calibration([[0.5, 0.5]], [-1]),
        ValueError,
        "2 classes are integers",
    ),
    (
        "half a class",
        lambda: calibration([[0.5, 0.5]], [0.5]),
        ValueError,
        "2 classes are integers",
    ),
]
TRAINING = [
    (
        "no model",
        lambda: training_step(5, None, None),
        TypeError,
        "model must be of the class",
    ),
    ("no optimizer", lambda: training_step(net(), 1, None), TypeError, "class Optimizer, not None"),
    (
        "a method as loss",
        lambda: fit_with(loss=classifier("mlp", 3, 2, train_rows=1).loss),
        TypeError,
        r"type\(model\)\.loss",
    ),
    ("no order", lambda: fit_shuffled(False), ValueError, "shuffle=False is no seed"),
    ("no seed", lambda: fit_shuffled(True), ValueError, "shuffle=True is no seed"),
    ("no rows", lambda: functional.cross_entropy(w(0, 3), w(0) > 0), ValueError, "no rows"),
    ("a complex rate", lambda: optim.SGD([w(2)], lr=1j), ValueError, "lr must be"),
    ("a Tensor as rate", lambda: optim.SGD([w(2)], lr=Tensor(0.1)), TypeError, "NumPy array"),
    (
        "another gradient",
        lambda: step_with(np.ones(2)),
        ValueError,
        r"shape \(2, 2\), is None or an array",
    ),
    (
        "other features",
        lambda: nn.BatchNorm(1).eval()(w(2, 3)),
        ValueError,
        r"x \(2, 3\), gain \(1, 1\)",
    ),
    (
        "integers to normalise",
        lambda: nn.BatchNorm(2).eval()(Tensor(np.ones((2, 2), int))),
        TypeError,
        "floating",
    ),
]
HIGHER = [
    ("an argument twice", lambda: grad(squares, (0, -1))(w(2)), ValueError, "different positions"),
    ("no function", lambda: grad(5), TypeError, "f must be a function, not 5"),
    ("no such argument", lambda: grad(squares, 2)(w(2), w(2)), ValueError, "argument 2 of 2"),
    ("none at all", lambda: grad(squares, ())(w(2)), ValueError, "position of one"),
    ("an argument by name", lambda: grad(squares, "x")(w(2)), ValueError, "argument 'x' of 1"),
    ("a list of positions", lambda: grad(squares, [0])(w(2)), ValueError, "a tuple of"),
    ("other directions", lambda: hvp(squares, w(2), [1.0]), ValueError, r"shape \(1,\)"),
    ("a frozen module", lambda: of_frozen(grad(output)), ValueError, "is it frozen"),
    ("its hessian", lambda: of_frozen(lambda m: hessian(output, m)), ValueError, "is it frozen"),
    ("no Tensors", lambda: hessian(lambda xs: w(2).sum(), []), ValueError, "an empty list"),
    (
        "a module's jacobian",
        lambda: jacobian(output, net()),
        TypeError,
        "one Tensor, not .* Linear",
    ),
    ("that of two", lambda: jacobian(squares, [w(2), w(2)]), TypeError, "not for a list: use grad"),
    ("an index", lambda: grad(lambda x: x.argmax(axis=0))(w(2)), TypeError, "a Tensor of int64"),
    ("a comparison", lambda: grad(lambda x: x > 1)(w(2)), TypeError, "a Tensor of bool"),
    ("no Tensor", lambda: jacobian(lambda x: 3.0, w(2)), TypeError, "returned a float"),
]


def output(module):
    return module(w(1, 2)).sum()


def of_frozen(derivative):
    with nn.frozen(net()) as module:
        derivative(module)


def take(axis):
    return ops.take_along_axis(w(2, 3), np.zeros((2, 1), int), axis=axis)


def neg(g):
    return -g


def backward_of(vjp):
    rule(lambda x: (x * 1, vjp))(w(1)).backward()


RULES = [
    (
        "a bare array",
        lambda: rule(lambda x: 2 * x)(w(2)),
        TypeError,
        "each of its 2 arg.* a ndarray",
    ),
    ("a list", lambda: rule(lambda x: [x, lambda g: g])(w(2)), TypeError, "returned a list"),
    ("None", lambda: rule(lambda x: None)(w(2)), TypeError, "returned a NoneType"),
    ("too many vjps", lambda: rule(lambda x: (x, *[None] * 3))(w(2)), TypeError, "a tuple of 4"),
    ("too few vjps", lambda: rule(lambda x: (x,))(w(2)), TypeError, "no gradient for argument 1"),
    ("far too few", lambda: rule(lambda x: (x,))(Tensor([1.0]), w(1)), TypeError, "argument 2"),
    ("no array", lambda: rule(lambda x: (None, None))(w(2)), TypeError, "real numbers"),
    ("a Tensor", lambda: rule(lambda x: (Tensor(x), None))(w(2)), TypeError, "numpy"),
    (
        "no function",
        lambda: backward_of(np.ones(1)),
        TypeError,
        "not callable: a vjp is",
    ),
    ("None from a vjp", lambda: backward_of(lambda g: None), TypeError, "'NoneType' object has no"),
    ("a float from a vjp", lambda: backward_of(lambda g: 1.0), TypeError, "that returns an array"),
    ("x.data in a rule", lambda: rule(lambda x: (x.data * 2,))(w(1)), TypeError, "x, not x.data"),
    ("a vjp of nothing", lambda: backward_of(lambda: 1), TypeError, "0 positional.*function of g"),
]


@no_grad()
def function_without_grad():
    return (w(2) * 2).requires_grad


def generator():
    yield


async def coroutine():
    pass


async def asynchronous_generator():
    yield


MODES = [
    ("a number", lambda: no_grad()(5), TypeError, "a mode decorates a function, not 5"),
    ("a class", lambda: no_grad()(Holds), TypeError, "a mode decorates a function, not <class"),
    ("a generator", lambda: no_grad()(generator), TypeError, "generator is a generator"),
    ("a coroutine", lambda: no_grad()(coroutine), TypeError, "a coroutine"),
    ("both", lambda: detect_nan()(asynchronous_generator), TypeError, "a generator"),
]


def changed_between(change):
    x = w(2)
    optimizer = optim.SGD([x], lr=1.0)
    (x * x).sum().backward()
    loss = (x * x).sum()
    change(x, optimizer)
    loss.backward()


def subtract_in_place(x, _):
    x.data -= 1


def written_between(write):
    x = w(2)
    with detect_writes():
        loss = (x * x).sum()
        write(x)
        loss.backward()


GRAPHS = [
    ("a step in between", lambda: changed_between(lambda x, o: o.step()), RuntimeError, "compute"),
    ("-= in between", lambda: changed_between(subtract_in_place), RuntimeError, "op multiply"),
    ("many numbers", lambda: (w(2) * 2).backward(), RuntimeError, r"\.sum\(\)\.backward\(\)"),
    (
        "elements in between",
        lambda: written_between(lambda x: x.data.__setitem__(..., 10)),
        ValueError,
        "read-only",
    ),
    ("booleans", lambda: rule(lambda x: (x > 1, neg))(w(1)).backward(), TypeError, "bool has no"),
    ("another start", lambda: (w(2) * 2).backward(np.ones(3)), ValueError, r"shape \(3,\)"),
    ("a complex start", lambda: (w(2) * 2).backward(np.ones(2) * 1j), TypeError, "real numbers"),
    ("no graph", lambda: Tensor([1.0]).backward(), RuntimeError, "nothing to differentiate"),
]
ROWS = [
    pytest.param(*row[1:], id=f"{room}: {row[0]}")
    for room, rows in {
        "Tensor": TENSORS,
        "attribute": ATTRIBUTES,
        "conversion": CONVERSIONS,
        "op": OPS,
        "foreign": FOREIGN,
        "function": FUNCTIONS,
        "gradcheck": CHECKS,
        "higher": HIGHER,
        "training": TRAINING,
        "fit": FITTING,
        "call": CALLS,
        "seed": SEEDS,
        "data": DATA,
        "labels": LABELS,
        "module": MODULES,
        "schedule": SCHEDULES,
        "spikes": SPIKES,
        "optimizer": OPTIMIZERS,
        "architecture": ARCHITECTURES,
        "file": [*FILES, ("read-only", read_only, ValueError, "read-only: bias; make")],
        "calibration": CALIBRATION,
        "rule": RULES,
        "mode": MODES,
        "graph": GRAPHS,
    }.items()
    for row in rows
]


@pytest.mark.parametrize("misuse, error, words", ROWS)
def test_misuse_is_an_error_that_says_what_to_do(misuse, error, words):
    with pytest.raises(error) as caught:
        misuse()
    message = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert re.search(words, message, re.M), message


@pytest.mark.parametrize("misuse", [row[1] for row in RULES])
def test_what_a_rule_does_wrong_is_said_of_its_op(misuse):
    with pytest.raises(TypeError) as caught:
        misuse()
    assert "op broken" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


# --- what works, though it may look like misuse ----------------------------------------------

FLOAT32 = {
    "numpy.int64(2) * x": lambda x: np.int64(2) * x,
    "x * numpy.int64(2)": lambda x: x * np.int64(2),
    "numpy.float64(2) / x": lambda x: np.float64(2) / x,
    "x ** numpy.int32(2)": lambda x: x ** np.int32(2),
    "x + True": lambda x: x + True,
    "x + numpy.bool_(True)": lambda x: x + np.bool_(True),
    "maximum(x, numpy.float64(0))": lambda x: ops.maximum(x, np.float64(0)),
    "x.clip(numpy.float64(0))": lambda x: x.clip(np.float64(0)),
    "where(mask, 1.0, 0.0)": lambda x: ops.where(x > 0, 1.0, 0.0),
    "where(mask, 1, 0)": lambda x: ops.where(x > 0, 1, 0),
    "stack([x, list])": lambda x: ops.stack([x, [1, 2]]),
    "concatenate([x, list])": lambda x: ops.concatenate([x, [1.5]]),
    "pad(x, value=1.5)": lambda x: ops.pad(x, [(1, 1)], value=1.5),
    "relu": functional.relu,
}


@pytest.mark.parametrize("function", FLOAT32.values(), ids=FLOAT32)
def test_a_number_never_changes_the_dtype(function):
    assert function(w(2)).dtype == "float32"


def test_a_module_may_hold_sets_of_other_things():
    module = Holds([{"a", "b"}, collections.deque([1, 2]), {"a": 1}.keys(), w(2)])
    assert len(module.parameters()) == 1


@pytest.mark.parametrize("name", list(registry))
def test_a_flag_of_an_architecture_is_no_text(name):
    for option, parameter in signature(registry[name].backbone).parameters.items():
        if isinstance(parameter.default, bool):
            with pytest.raises(TypeError, match=f"{option} must be True or False, not 'no'"):
                build(name, 4, **{option: "no"})


@pytest.mark.parametrize("value", [2.0, np.float32(2), np.array(2.0)])
def test_membership_compares_elements(value):
    assert value in w(3) and value in w(3, 1) and 7 not in w(3)
    assert value not in Tensor(1.0) and 1 in Tensor(1.0)


def test_a_sum_that_starts_as_a_constant_may_grow_in_place():
    total = Tensor(0.0)
    x = w(2)
    total += x.sum()
    total -= 1
    total *= 3
    total.backward()
    assert x.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    "make", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_a_copy_is_a_leaf_of_its_own(make):
    x = w(3)
    (x * 2).sum().backward()
    twin = make(x)
    assert (
        twin.requires_grad and twin.grad.tolist() == [2, 2, 2] and twin.data.tolist() == [1, 2, 3]
    )
    twin.data += 1
    twin.grad += 1
    assert x.data.tolist() == [1, 2, 3] and x.grad.tolist() == [2, 2, 2]
    twin.grad = None
    (twin * twin).sum().backward()  # newer than the copy, whatever serial number x had
    assert twin.grad.tolist() == [4, 6, 8]


def test_a_leaf_from_another_process_is_older_than_its_results():
    blob = pickle.dumps(w(2))
    twin = pickle.loads(blob)
    assert twin.order > pickle.loads(blob).order - 10 and (twin * 2).order > twin.order


def test_other_uses_of_a_changed_leaf_are_no_error():
    x = w(2)
    old, x.data = x * 2, x.data * 10
    (x * x).sum().backward()
    assert x.grad.tolist() == [20, 40]
    with pytest.raises(RuntimeError, match=r"shape \(2,\) was changed"):
        old.sum().backward()


def test_under_no_grad_a_tracked_tensor_may_be_wrapped():
    with no_grad():
        assert not Tensor(w(2)).requires_grad


def test_an_asyncio_task_does_not_switch_off_another():
    seen = []

    async def predict():
        with no_grad():
            await asyncio.sleep(0)
            seen.append(("predict", (w(2) * 2).requires_grad))

    async def train():
        seen.append(("train", (w(2) * 2).requires_grad))

    async def main():
        await asyncio.gather(predict(), train())

    asyncio.run(main())
    assert sorted(seen) == [("predict", False), ("train", True)]


def test_a_decorated_function_may_call_itself():
    @no_grad()
    def depth(n):
        return (depth(n - 1) if n else 0) + int((w(2) * 2).requires_grad)

    assert depth(3) == 0 and (w(2) * 2).requires_grad and not function_without_grad()


def test_an_argument_counted_from_the_end():
    def f(x, y):
        return (x * x * y).sum()

    assert grad(f, -1)(w(2), w(2)).data.tolist() == [1, 4]
    assert [g.data.tolist() for g in grad(f, (-1, 0))(w(2), w(2))] == [[1, 4], [2, 8]]
    assert hvp(lambda x: x**3, 2.0, 1.0).item() == 12


def test_a_named_tuple_is_an_index():
    place = collections.namedtuple("Place", "row column")(0, 1)
    assert w(2, 2)[place].item() == 2


def test_parameters_may_interleave_and_take_any_order_in_memory():
    """They share an array, but no element: each becomes a view of the optimizer's."""
    array = np.ones(6, "float32")
    even, odd = Tensor(array[::2], True), Tensor(array[-1::-2], True)
    (even * 1 + odd * 2).sum().backward()
    optim.SGD([even, odd], lr=1.0).step()
    assert even.data.tolist() == [0, 0, 0] and odd.data.tolist() == [-1, -1, -1]


def test_as_many_rows_as_replicas_are_still_rows():
    model = nn.stack([nn.Linear(2, 1, rng=k) for k in range(3)])
    optimizer = optim.SGD(model.parameters())
    history = fit(
        model, w(3, 2), w(3, 1), lambda m, x, y: functional.mse(m(x), y), optimizer, epochs=1
    )
    assert history.losses[0].shape == (3,)


@pytest.mark.parametrize("shape", [(3, 2), (1, 2), (2,), (3, 1), (), (4, 3, 2)])
def test_a_log_variance_that_is_repeated_counts_as_often(shape):
    mean, log_variance, target = w(3, 2), w(*shape), w(3, 2).data[::-1].astype("float64")
    whole = ops.broadcast_to(log_variance, (*shape[:-2], 3, 2))
    found = functional.gaussian_nll(mean, log_variance, target)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found.data, functional.gaussian_nll(mean, whole, target).data)


def test_the_data_of_a_leaf_may_be_those_of_another():
    x, y = w(2), w(2)
    x.data = y * 2
    assert x.data.tolist() == [2, 4]


def test_what_a_tensor_does_not_have_costs_nothing():
    assert not hasattr(Tensor, "__getattr__")  # with one, Python looks up slots as it does names
    with pytest.raises(AttributeError, match=r"'linear': it is functional\.linear\(x\)"):
        w(2).linear  # noqa: B018


@pytest.mark.parametrize(
    "thing, table",
    [
        (w(2), elsewhere.TENSOR),
        (nn.Sequential(), elsewhere.MODULE | elsewhere.SEQUENTIAL),
        (optim.SGD([w(2)]), elsewhere.OPTIMIZER),
        (minigrad, elsewhere.MINIGRAD),
        (functional, elsewhere.FUNCTIONAL),
        (nn, elsewhere.NN),
        (ops, elsewhere.OPS),
        (optim, elsewhere.OPTIM),
    ],
)
def test_what_is_called_otherwise_is_told(thing, table):
    rooms = {name: getattr(minigrad, name) for name in ("functional", "nn", "ops", "optim")}
    for name, here in elsewhere.each(table).items():
        with pytest.raises(AttributeError, match=f"{name!r}: it is {re.escape(here)}"):
            getattr(thing, name)
        room, _, function = here.partition("(")[0].partition(".")
        if room in rooms and function.isidentifier():
            assert hasattr(rooms[room], function), here
    with pytest.raises(AttributeError, match=r"nonsense'$"):
        thing.nonsense  # noqa: B018


@pytest.mark.parametrize("name", list_architectures())
def test_no_step_of_training_writes_into_what_its_graph_needs(name):
    model = classifier(name, 3, train_rows=8, native=True, input_size=2, rng=0)
    step = training_step(model, type(model).loss, optim.Adam(model.parameters()))
    x, y = np.random.default_rng(0).standard_normal((8, 2), "float32"), np.arange(8) % 3
    with detect_writes():
        assert np.isfinite(step(Tensor(x), Tensor(y)))
        step(Tensor(x), Tensor(y))
    assert all(array.flags.writeable for array in model.arrays().values())


def test_a_module_may_have_a_part_of_a_name_that_is_elsewhere():
    module = net()
    module.buffers = [w(2)]
    assert len(module.parameters()) == 3 and not hasattr(module, "fit")


def test_a_sequential_gives_its_layers():
    first, second = net(), net()
    layers = nn.Sequential(first, functional.relu, second)
    assert layers[0] is first and layers[-1] is second and list(layers) == layers.layers
    assert layers[:2].layers == [first, functional.relu] and isinstance(layers[1:], nn.Sequential)
    with pytest.raises(IndexError):
        layers[3]


def test_masks_are_joined_as_those_of_arrays():
    x = w(4)
    assert ((x > 1) & (x < 4)).data.tolist() == [False, True, True, False]
    assert ((x < 2) | (x.data > 3)).data.tolist() == [True, False, False, True]
    assert (~(x > 2)).data.tolist() == [True, True, False, False]
    slope = grad(lambda x: ops.where((x > 1) & ~(x > 3), x * x, 0).sum())(x)
    assert slope.data.tolist() == [0, 4, 6, 0]


def test_an_error_shows_of_a_long_input_its_ends():
    with pytest.raises(OverflowError) as caught:
        w(2) * 10**400
    assert len(caught.value.__notes__[0]) < 80
