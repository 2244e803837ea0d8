"""TabNet against an independent NumPy forward pass, and what its masks promise."""

import math

import numpy as np
import pytest
from small_models import to_float64

from architectures import Classifier, build
from architectures.feedforward.tabnet import GhostBatchNorm, TabNetClassifier
from minigrad import Tensor, functional, nn
from minigrad.ops import concatenate, split

# --- TabNet once more, in NumPy ---------------------------------------------------------------


def sparsemax(z):
    """The nearest point of the simplex: max(z - tau, 0), with tau by bisection."""
    low, high = z.min(axis=-1, keepdims=True) - 1, z.max(axis=-1, keepdims=True)
    for _ in range(80):
        tau = (low + high) / 2
        too_much = np.maximum(z - tau, 0).sum(axis=-1, keepdims=True) > 1
        low, high = np.where(too_much, tau, low), np.where(too_much, high, tau)
    return np.maximum(z - tau, 0)


def batch_norm(x, norm, training, rows):
    gain, bias = norm.gain.data, norm.bias.data
    if not training:
        return gain * (x - norm.running_mean) / np.sqrt(norm.running_var + 1e-5) + bias
    parts = np.array_split(x, min(math.ceil(len(x) / rows), len(x) // 2))
    normal = [(part - part.mean(axis=0)) / np.sqrt(part.var(axis=0) + 1e-5) for part in parts]
    return gain * np.concatenate(normal) + bias


def tabnet_by_hand(net, x, *, gamma, training, rows):
    """Masks and features; the weights are the net's, the computation is not."""

    def transformer(part, h):
        for i, layer in enumerate(part.layers):
            z = batch_norm(h @ layer.linear.weight.data, layer.norm, training, rows)
            half = z.shape[-1] // 2
            y = z[:, :half] / (1 + np.exp(-z[:, half:]))
            h = y if i == 0 else (h + y) / np.sqrt(2)
        return np.split(h, 2, axis=-1)  # d and a

    f = batch_norm(x, net.input_norm, training, len(x))
    _, a = transformer(net.initial, f)
    prior, masks, output = np.ones_like(x), [], 0
    for attention, part in zip(net.attentions, net.transformers):
        logits = batch_norm(a @ attention.linear.weight.data, attention.norm, training, rows)
        mask = sparsemax(prior * logits)
        prior = prior * (gamma - mask)
        d, a = transformer(part, mask * f)
        masks.append(mask)
        output = output + np.maximum(d, 0)
    return masks, output


def trained_looking(seed=0, features=4, **options):
    """A TabNet in float64 whose gains, biases and running statistics are not those of the start."""
    net = to_float64(build("tabnet", features, rng=seed, **({"hidden_size": 5} | options)))
    rng = np.random.default_rng(seed)
    for name, array in [*net.named_parameters(), *net.named_buffers()]:
        data = array.data if isinstance(array, Tensor) else array
        if "gain" in name or "running_var" in name:
            data[...] = rng.uniform(0.5, 2, data.shape)
        elif "bias" in name or "running_mean" in name:
            data[...] = 0.5 * rng.standard_normal(data.shape)
    return net


X = np.random.default_rng(1).standard_normal((11, 4))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gamma, rows", [(1.5, 128), (1.0, 4), (2.0, 5)])
def test_the_whole_network(training, gamma, rows):
    net = trained_looking(relaxation_factor=gamma, virtual_batch_size=rows).train(training)
    masks, output = tabnet_by_hand(net, X, gamma=gamma, training=training, rows=rows)
    np.testing.assert_allclose(net(Tensor(X)).numpy(), output, atol=1e-10)
    for mask, expected in zip(net.steps(Tensor(X))[0], masks):
        np.testing.assert_allclose(mask.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("shared, own", [(1, 1), (0, 2), (3, 0)])
def test_other_numbers_of_layers(shared, own):
    net = trained_looking(num_shared=shared, num_independent=own, num_steps=2)
    _, output = tabnet_by_hand(net, X, gamma=1.5, training=True, rows=128)
    np.testing.assert_allclose(net(Tensor(X)).numpy(), output, atol=1e-10)


def test_the_shared_matrices_are_shared_and_the_norms_are_not():
    net = build("tabnet", 3, hidden_size=4, num_shared=2, num_independent=1, num_steps=2, rng=0)
    parts = [net.initial, *net.transformers]
    for i in range(2):
        assert len({id(part.layers[i].linear) for part in parts}) == 1
    assert len({id(part.layers[2].linear) for part in parts}) == 3
    assert len({id(layer.norm) for part in parts for layer in part.layers}) == 9


def test_the_number_of_parameters_of_the_comparison():
    net = build("tabnet", 2, hidden_size=32, num_steps=3, rng=0)
    model = Classifier(net, 5, train_rows=800, rng=0)
    assert sum(p.size for p in model.parameters()) == 78_453


# --- masks -----------------------------------------------------------------------------------


def fixed_logits(net, rows):
    """Let step i attend by the logits rows[i], whatever it sees."""
    for attention, row in zip(net.attentions, rows):
        attention.norm.gain.data[...] = 0
        attention.norm.bias.data[...] = row
    return net


@pytest.mark.parametrize(
    "gamma, second",
    [(1.0, [0, 1, 0]), (1.5, [0.25, 0.75, 0]), (2.0, [1, 0, 0])],
)
def test_the_prior_remembers_what_was_used(gamma, second):
    # Step 1 uses feature 0 alone; P_1 = gamma - (1, 0, 0). Step 2 would like it once more:
    # P_1 * (5, 2, 0) is (0, 2, 0), (2.5, 3, 0) or (5, 4, 0).
    net = build("tabnet", 3, hidden_size=4, relaxation_factor=gamma, num_steps=2, rng=0)
    fixed_logits(net, [[5, 0, 0], [5, 2, 0]])
    masks, _ = net.steps(Tensor(np.ones((2, 3), "float32")))
    np.testing.assert_allclose(masks[0].numpy(), [[1, 0, 0]] * 2, atol=1e-6)
    np.testing.assert_allclose(masks[1].numpy(), [second] * 2, atol=1e-6)


def test_the_prior_is_a_product_over_all_earlier_steps():
    # gamma 1: after steps on features 0 and 1, only feature 2 is left.
    net = build("tabnet", 3, hidden_size=4, relaxation_factor=1.0, num_steps=3, rng=0)
    fixed_logits(net, [[9, 8, 7]] * 3)
    masks, _ = net.steps(Tensor(np.ones((2, 3), "float32")))
    for i, mask in enumerate(masks):
        np.testing.assert_allclose(mask.numpy(), [np.eye(3)[i]] * 2, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_masks_lie_on_the_simplex_and_differ_between_points(training):
    net = trained_looking(seed=2).train(training)
    for mask in net.steps(Tensor(X))[0]:
        mask = mask.numpy()
        np.testing.assert_allclose(mask.sum(axis=-1), 1, atol=1e-12)
        assert (mask >= 0).all() and (mask == 0).any() and np.ptp(mask, axis=0).max() > 0.1


def test_gradient_flows_through_the_attention():
    net = trained_looking()
    net(Tensor(X)).sum().backward()
    for attention in net.attentions:
        assert np.abs(attention.linear.weight.grad).max() > 1e-6


def test_a_masked_feature_is_not_seen():
    net = fixed_logits(trained_looking(features=3).eval(), [[9, 0, 0]] * 3)
    x = np.random.default_rng(0).standard_normal((6, 3))
    other = x.copy()
    other[:, 1:] += 1
    np.testing.assert_array_equal(net(Tensor(x)).numpy(), net(Tensor(other)).numpy())


def test_more_than_one_bit_of_two_features_is_seen():
    net = build("tabnet", 2, hidden_size=4, rng=0).eval()
    a, b = net(Tensor(np.array([[2, 1], [0.5, -1]], "float32"))).numpy()  # in both x1 > x2
    assert np.abs(a - b).max() > 1e-3


def test_feature_masks_and_aggregate_importance():
    net = trained_looking()
    net.initial.eval()  # a query leaves every part in its mode
    masks, importance = (t.numpy() for t in net.feature_masks(X))
    expected, _ = tabnet_by_hand(net, X, gamma=1.5, training=False, rows=128)
    np.testing.assert_allclose(masks, expected, atol=1e-10)
    assert net.training and not net.initial.training
    _, decisions = net.eval().steps(Tensor(X))
    weighted = sum(d.numpy().sum(axis=-1, keepdims=True) * m for d, m in zip(decisions, expected))
    weighted /= weighted.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(importance, weighted, atol=1e-10)


def test_native_objective():
    net = trained_looking(sparsity=0.3)
    model = TabNetClassifier(net, 3, train_rows=11, rng=0)
    model.head = to_float64(model.head)
    y = np.arange(11) % 3
    masks, output = tabnet_by_hand(net, X, gamma=1.5, training=True, rows=128)
    entropies = [-(m * np.log(np.where(m > 0, m, 1))).sum(axis=-1).mean() for m in masks]
    logits = model.head(Tensor(output))
    expected = functional.cross_entropy(logits, y).item() + 0.3 * np.mean(entropies)
    assert np.mean(entropies) > 0.1
    assert model.loss(Tensor(X), y).item() == pytest.approx(expected, abs=1e-10)


def test_dropout_and_last_layer():
    net = build("tabnet", 4, hidden_size=5, num_classes=3, dropout=0.5, rng=0)
    x = Tensor(X.astype("float32"))
    assert net.output_size == 3 and net(x).shape == (11, 3)
    assert not np.array_equal(net(x).numpy(), net(x).numpy())
    net.eval()
    _, decisions = net.steps(x)
    total = sum(d.numpy() for d in decisions)
    by_hand = total @ net.final.weight.numpy() + net.final.bias.numpy()
    np.testing.assert_allclose(net(x).numpy(), by_hand, atol=1e-5)


# --- ghost batch norm -------------------------------------------------------------------------


# 11 rows; the ghosts that they are cut into.
def double_norm(rows):
    """A ghost batch norm of 4 features whose parameters are float64, as X is."""
    norm = GhostBatchNorm(4, rows, momentum=0.3)
    for p in norm.parameters():
        p.data = p.data.astype("float64")
    return norm


@pytest.mark.parametrize(
    "rows, sizes",
    [
        (1, [3, 2, 2, 2, 2]),
        (2, [3, 2, 2, 2, 2]),
        (3, [3, 3, 3, 2]),
        (4, [4, 4, 3]),
        (5, [4, 4, 3]),
        (10, [6, 5]),
        (11, [11]),
        (20, [11]),
    ],
)
def test_ghost_batch_norm_is_batch_norm_in_even_parts(rows, sizes):
    norm = double_norm(rows)
    mean, var = np.zeros(4), np.ones(4)
    parts = []
    for part in np.split(X, np.cumsum(sizes)[:-1]):
        parts.append((part - part.mean(axis=0)) / np.sqrt(part.var(axis=0) + 1e-5))
        mean = 0.7 * mean + 0.3 * part.mean(axis=0)
        var = 0.7 * var + 0.3 * part.var(axis=0)
    np.testing.assert_allclose(norm(Tensor(X)).numpy(), np.concatenate(parts), atol=1e-6)
    np.testing.assert_allclose(norm.running_mean[0], mean, atol=1e-6)
    np.testing.assert_allclose(norm.running_var[0], var, atol=1e-6)
    expected = (X - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(norm.eval()(Tensor(X)).numpy(), expected, atol=1e-5)


def test_the_momentum_is_that_of_every_norm():
    net = build("tabnet", 4, momentum=0.3, num_steps=2, rng=0)
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm)]
    assert len(norms) == 1 + 3 * 4 + 2 and {norm.momentum for norm in norms} == {0.3}
    net(Tensor(X.astype("float32")))
    np.testing.assert_allclose(net.input_norm.running_mean[0], 0.3 * X.mean(axis=0), rtol=1e-5)


def test_decisions_and_attention_of_different_widths():
    net = build("tabnet", 4, hidden_size=5, attention_size=3, num_steps=2, rng=0)
    masks, decisions = net.steps(Tensor(X.astype("float32")))
    assert [d.shape for d in decisions] == [(11, 5)] * 2 and net.output_size == 5
    assert net.attentions[0].linear.weight.shape == (3, 4) and masks[0].shape == (11, 4)
    assert net.transformers[0].layers[1].linear.weight.shape == (8, 16)


def test_ghost_batch_norm_with_replicas_in_front():
    x = np.stack([X, 2 * X[::-1]])
    norm = double_norm(4)
    norm.running_mean, norm.running_var = np.zeros((2, 1, 4)), np.ones((2, 1, 4))
    both = norm(Tensor(x)).numpy()
    for k in range(2):
        single = double_norm(4)
        np.testing.assert_allclose(both[k], single(Tensor(x[k])).numpy(), atol=1e-12)
        np.testing.assert_allclose(norm.running_var[k], single.running_var, atol=1e-6)


@pytest.mark.parametrize("replicas, shape", [((), (12, 3)), ((2,), (2, 12, 3)), ((2,), (12, 3))])
def test_ghosts_of_one_length_are_an_axis(monkeypatch, replicas, shape):
    """12 rows at 5 are three ghosts of 4: as one after the other, gradients and statistics too."""
    rng = np.random.default_rng(0)
    gain, x = rng.standard_normal((*replicas, 1, 3)), rng.standard_normal(shape)
    grad = rng.standard_normal((*replicas, 12, 3))

    def run():
        norm = GhostBatchNorm(3, 5, momentum=0.3)
        norm.gain, norm.bias = (Tensor(a, requires_grad=True) for a in (gain, gain + 1))
        norm.running_mean, norm.running_var = np.zeros_like(gain), np.ones_like(gain)
        leaf = Tensor(x, requires_grad=True)
        y = norm(leaf)
        y.backward(grad)
        gradients = leaf.grad, norm.gain.grad, norm.bias.grad
        return [y.data, *gradients, norm.running_mean, norm.running_var]

    at_once = run()
    monkeypatch.setattr(GhostBatchNorm, "at_once", one_after_the_other)
    for a, b in zip(at_once, run(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def one_after_the_other(norm, x, count):
    ghosts = split(x, count, axis=-2)
    return concatenate([nn.BatchNorm.forward(norm, ghost) for ghost in ghosts], axis=-2)


def test_the_input_is_normalised_over_the_whole_batch():
    net = build("tabnet", 4, virtual_batch_size=3, rng=0)
    assert type(net.input_norm) is not GhostBatchNorm
    norms = [part for part in net.modules() if isinstance(part, GhostBatchNorm)]
    assert len(norms) == 4 * 4 + 3 and {norm.rows for norm in norms} == {3}
