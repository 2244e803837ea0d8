"""Modern Hopfield networks: energy, retrieval, attention and heads."""

import numpy as np
import pytest
from small_models import normals, to_float64

from architectures import build
from architectures.energy.hopfield import AssociativeMemory, energy, update
from minigrad import Tensor, functional, nn


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def numpy_energy(xi, patterns, beta):
    """Eq. 2, term by term."""
    scores = np.exp(beta * xi @ patterns.T).sum(axis=-1)
    largest = np.linalg.norm(patterns, axis=-1).max()
    return (
        -np.log(scores) / beta
        + (xi**2).sum(axis=-1) / 2
        + np.log(len(patterns)) / beta
        + largest**2 / 2
    )


# --- retrieval without training ---------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_energy_and_update_by_hand(beta):
    patterns, xi = normals(7, 5), normals(6, 5, seed=1)
    np.testing.assert_allclose(
        energy(Tensor(xi), Tensor(patterns), beta).numpy(), numpy_energy(xi, patterns, beta)
    )
    np.testing.assert_allclose(
        update(Tensor(xi), Tensor(patterns), beta).numpy(),
        softmax(beta * xi @ patterns.T) @ patterns,
    )


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("norm", [0.2, 3.0])
def test_the_energy_never_rises_and_lies_between_0_and_2_m_squared(beta, norm):
    patterns = Tensor(norm * normals(3, 20, 6))
    xi = Tensor(norm * normals(3, 50, 6, seed=1))
    largest = np.linalg.norm(patterns.data, axis=-1).max(axis=-1, keepdims=True)
    before = energy(xi, patterns, beta).numpy()
    assert before.shape == (3, 50) and (before >= 0).all()
    for _ in range(30):
        xi = update(xi, patterns, beta)
        after = energy(xi, patterns, beta).numpy()
        assert (after <= before + 1e-12 * largest**2).all() and (after <= 2 * largest**2).all()
        before = after
    assert (after >= -1e-12).all()


def test_the_gradient_of_the_energy_is_the_way_back_to_the_state():
    patterns, xi = Tensor(normals(2, 7, 5)), Tensor(normals(2, 6, 5, seed=1), requires_grad=True)
    energy(xi, patterns, 2.0).sum().backward()
    np.testing.assert_allclose(xi.grad, (xi - update(xi, patterns, 2.0)).data, atol=1e-12)


def test_well_separated_patterns_are_retrieved_in_one_step():
    patterns = normals(50, 64)
    patterns *= 8 / np.linalg.norm(patterns, axis=-1, keepdims=True)
    noisy = patterns + 0.5 * normals(50, 64, seed=1)
    error = np.linalg.norm(noisy - patterns, axis=-1)
    assert 3.5 < error.mean() < 4.3
    retrieved = update(Tensor(noisy), Tensor(patterns), 1.0).numpy()
    assert np.linalg.norm(retrieved - patterns, axis=-1).max() < 1e-6
    assert np.median(np.linalg.norm(retrieved - patterns, axis=-1)) < 1e-12


def test_patterns_too_close_for_their_temperature_merge():
    patterns = normals(50, 64)
    patterns /= np.linalg.norm(patterns, axis=-1, keepdims=True)
    xi = Tensor(patterns + 0.5 / 8 * normals(50, 64, seed=1))
    for _ in range(50):
        xi = update(xi, Tensor(patterns), 1.0)
    assert np.linalg.norm(xi.numpy() - patterns, axis=-1).min() > 0.5
    np.testing.assert_allclose(xi.numpy(), xi.numpy()[:1].repeat(50, axis=0), atol=1e-6)
    # A lower temperature separates them again.
    cold = update(Tensor(patterns), Tensor(patterns), 64.0).numpy()
    assert np.linalg.norm(cold - patterns, axis=-1).max() < 1e-6


# --- the layer -------------------------------------------------------------------------------


def layer(**options):
    net = to_float64(build("hopfield", 3, num_patterns=7, hidden_size=6, rng=0, **options))
    net.query.bias.data += 0.3
    return net


def attention(net, x, beta, steps, keys, values):
    xi = x @ net.query.weight.data + 0.3
    for _ in range(steps):
        xi = softmax(beta * xi @ keys.T) @ keys
    return softmax(beta * xi @ keys.T) @ values


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("beta", [None, 2.0])
def test_the_layer_by_hand(beta, steps, tied):
    net = layer(beta=beta, update_steps=steps, tied=tied)
    keys = net.keys.data
    values = keys if tied else net.values.data
    x = normals(5, 3)
    expected = attention(net, x, beta or 6**-0.5, steps, keys, values)
    np.testing.assert_allclose(net(Tensor(x)).numpy(), expected, atol=1e-12)


def normal(x):
    x = x - x.mean(axis=-1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_layer_norms_and_a_learned_beta_by_hand(heads, tied):
    options = {"num_heads": heads, "tied": tied, "update_steps": 2, "beta": 3.0}
    net = to_float64(build("hopfield", 4, 5, 6, layer_norm=True, learn_beta=True, rng=0, **options))
    betas = np.array([2.0, 0.5])[:heads]
    net.log_beta.data = np.log(betas).reshape(net.log_beta.shape)
    x = normals(7, 4)
    xi = normal(x) @ net.query.weight.data + net.query.bias.data
    parts = []
    for k in range(heads):
        keys = normal(net.keys.data.reshape(heads, 5, -1)[k])
        values = keys if tied else normal(net.values.data.reshape(heads, 5, -1)[k])
        state = np.split(xi, heads, axis=-1)[k]
        for _ in range(2):
            state = softmax(betas[k] * state @ keys.T) @ keys
        parts.append(softmax(betas[k] * state @ keys.T) @ values)
    np.testing.assert_allclose(net(Tensor(x)).numpy(), np.concatenate(parts, -1), atol=1e-12)
    (net(Tensor(x)) ** 2).sum().backward()
    assert np.abs(net.log_beta.grad).min() > 1e-6
    stack = nn.stack([net, net, net])
    np.testing.assert_allclose(stack(Tensor(x)).numpy()[2], net(Tensor(x)).numpy(), atol=1e-12)


def test_a_learned_beta_begins_as_the_fixed_one():
    x = normals(7, 3).astype("float32")
    for options in ({}, {"beta": 0.3, "num_heads": 2}):
        fixed = build("hopfield", 3, 5, 6, rng=0, **options)
        learned = build("hopfield", 3, 5, 6, rng=0, learn_beta=True, **options)
        np.testing.assert_allclose(learned(Tensor(x)).data, fixed(Tensor(x)).data, rtol=1e-5)
        assert learned.log_beta.size == options.get("num_heads", 1)


def test_tied_has_no_values_of_its_own():
    def count(**options):
        return sum(p.size for p in layer(**options).parameters())

    assert count() - count(tied=True) == 7 * 6
    net = build("hopfield", 2, rng=0)
    assert sum(p.size for p in net.parameters()) + 64 * 5 + 5 == 8709
    assert net.beta == 1 / 8 and net.output_size == 64


@pytest.mark.parametrize("steps", [0, 2])
def test_heads_are_separate_memories_side_by_side(steps):
    net = layer(num_heads=3, update_steps=steps)
    x = normals(4, 5, 3)
    together = net(Tensor(x)).numpy()
    assert net.keys.shape == (3, 7, 2) and together.shape == (4, 5, 6)
    for head in range(3):
        columns = slice(2 * head, 2 * head + 2)
        single = to_float64(build("hopfield", 3, 7, 2, update_steps=steps, rng=1))
        single.query.weight.data = net.query.weight.data[:, columns]
        single.query.bias.data = net.query.bias.data[:, columns]
        single.keys.data, single.values.data = net.keys.data[head], net.values.data[head]
        np.testing.assert_allclose(single(Tensor(x)).numpy(), together[..., columns], atol=1e-12)


@pytest.mark.parametrize("heads", [1, 2])
def test_gradient_flows_through_the_attention_to_the_keys_and_the_query(heads):
    net = layer(num_heads=heads)
    net(Tensor(normals(5, 3))).sum().backward()
    for parameter in (net.query.weight, net.query.bias, net.keys, net.values):
        assert np.abs(parameter.grad).min() > 0


def test_the_gradient_of_the_keys_by_hand():
    # y = p v, p = softmax(beta k xi): dy/dk_i = beta p_i (v_i - y) xi, for one query, one output.
    net = layer(beta=2.0)
    net.values.data = net.values.data[:, :1]
    x = normals(1, 3)
    xi = (x @ net.query.weight.data + 0.3)[0]
    p, v = softmax(2.0 * net.keys.data @ xi), net.values.data[:, 0]
    net(Tensor(x)).sum().backward()
    np.testing.assert_allclose(net.keys.grad, np.outer(2 * p * (v - p @ v), xi), atol=1e-12)
    np.testing.assert_allclose(net.values.grad[:, 0], p, atol=1e-12)


# --- the stack -------------------------------------------------------------------------------


def test_associative_memory_by_hand():
    net = to_float64(AssociativeMemory(3, num_layers=2, hidden_size=6, num_heads=2, rng=0)).eval()
    for norm in net.norms:
        norm.gain.data += 0.5
        norm.bias.data += 0.1
    x = normals(5, 3)
    h = x @ net.projection.weight.data + net.projection.bias.data
    for memory in net.memories:
        h = h + memory(Tensor(h)).numpy()
        centred = h - h.mean(axis=-1, keepdims=True)
        h = 1.5 * centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) + 0.1
    np.testing.assert_allclose(net(Tensor(x)).numpy(), h, atol=1e-12)
    assert net.output_size == 6


def test_associative_memory_drops_only_while_training_and_only_what_was_read_out():
    net = AssociativeMemory(3, num_layers=1, hidden_size=6, num_heads=2, dropout=0.999, rng=0)
    x = Tensor(normals(5, 3).astype("float32"))
    everything_dropped = net.norms[0](net.projection(x)).numpy()
    np.testing.assert_allclose(net(x).numpy(), everything_dropped, atol=1e-6)
    assert np.abs(net.eval()(x).numpy() - everything_dropped).max() > 1e-2


def test_a_hopfield_layer_is_attention_with_learned_keys_and_values():
    net = layer()
    q = net.query(Tensor(normals(5, 3)))
    scores = functional.softmax(q @ net.keys.mT / np.sqrt(6))
    expected = scores @ net.values
    np.testing.assert_allclose(net(Tensor(normals(5, 3))).numpy(), expected.numpy(), atol=1e-12)
