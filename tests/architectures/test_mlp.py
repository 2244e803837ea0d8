"""The multilayer perceptron against a few lines of NumPy."""

import numpy as np
import pytest

from architectures import build
from minigrad import Tensor, nn


def normalise(h):
    return (h - h.mean(axis=-1, keepdims=True)) / np.sqrt(h.var(axis=-1, keepdims=True) + 1e-5)


def evaluate(model, x):
    return model.eval()(Tensor(x)).numpy()


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((6, 3)).astype("float32")


def arrays(model):
    """The parameters, in the order in which an input meets them."""
    return [p.data for p in model.parameters()]


def test_plain_layers(x):
    model = build("mlp", 3, (5, 4), activation="tanh", rng=0)
    w, b, v, c = arrays(model)
    b[...], c[...] = 0.3, -0.2
    h = np.tanh(np.tanh(x @ w + 0.3) @ v - 0.2)
    np.testing.assert_allclose(evaluate(model, x), h, atol=1e-6)
    assert model.output_size == 4


def test_the_norm_stands_between_the_linear_layer_and_the_activation(x):
    model = build("mlp", 3, (5,), layer_norm=True, rng=0)
    w, _, gain, bias = arrays(model)
    gain[...], bias[...] = 2, 0.1
    h = np.maximum(2 * normalise(x @ w) + 0.1, 0)
    np.testing.assert_allclose(evaluate(model, x), h, atol=1e-5)


def test_residuals_are_projected_only_where_the_widths_differ(x):
    model = build("mlp", 3, (4, 4), residual=True, rng=0)
    w, _, projection, v, _ = arrays(model)
    assert projection.shape == (3, 4)
    h = np.maximum(x @ w, 0) + x @ projection
    h = np.maximum(h @ v, 0) + h
    np.testing.assert_allclose(evaluate(model, x), h, atol=1e-6)


def test_dropout_only_while_training_and_never_on_the_way_around():
    x = np.ones((4000, 3), "float32")
    model = build("mlp", 3, (3,), activation="softplus", dropout=0.25, residual=True, rng=0)
    kept = evaluate(model, x) - x
    trained = model.train()(Tensor(x)).numpy() - x
    assert np.array_equal(evaluate(model, x) - x, kept)
    dropped = np.abs(trained) < 1e-6
    assert abs(dropped.mean() - 0.25) < 0.02
    np.testing.assert_allclose(trained[~dropped], (kept / 0.75)[~dropped], rtol=1e-5)


def test_by_default_it_drops_a_tenth_and_adds_nothing_else():
    model = build("mlp", 2, rng=0)
    assert model.output_size == 512
    assert [part.rate for part in model.modules() if isinstance(part, nn.Dropout)] == [0.1, 0.1]
    assert [a.shape for a in arrays(model)] == [(2, 512), (1, 512), (512, 512), (1, 512)]
