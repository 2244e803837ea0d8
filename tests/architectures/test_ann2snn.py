"""Conversion: folding, scaling, and rates that approach the activations."""

from itertools import pairwise

import numpy as np
import pytest
from small_models import normals, to_float64

from architectures import build, classifier
from minigrad import Tensor, fit, optim
from minigrad.spiking import lif_trace

X = normals(300, 3)


def network(hidden_sizes=(8, 6), output_size=None, seed=0, **options):
    """In evaluation mode, in float64, its batch norms far from those of the start."""
    net = to_float64(build("ann2snn", 3, hidden_sizes, output_size, rng=seed, **options))
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        layer.norm.running_mean += 0.3 * rng.standard_normal(layer.norm.running_mean.shape)
        layer.norm.running_var *= rng.uniform(0.3, 2, layer.norm.running_var.shape)
        for p in layer.parameters():
            p.data = p.data + 0.3 * rng.standard_normal(p.shape)
    return net.eval()


def activations(net, x):
    """Of every layer of the ANN, by hand."""
    layers = []
    for layer in net.layers:
        norm = layer.norm
        z = x @ layer.linear.weight.data + layer.linear.bias.data
        z = (z - norm.running_mean) / np.sqrt(norm.running_var + 1e-5)
        x = np.maximum(z * norm.gain.data + norm.bias.data, 0)
        layers.append(x)
    return layers


# --- the ANN ---------------------------------------------------------------------------------


def test_the_ann_by_hand():
    net = network(output_size=4)
    expected = activations(net, X)[-1] @ net.tail.weight.data + net.tail.bias.data
    np.testing.assert_allclose(net(Tensor(X)).numpy(), expected, atol=1e-12)
    assert net.output_size == 4 and network().output_size == 6 and network().tail is None


def test_while_training_it_uses_the_statistics_of_the_batch():
    net = network(hidden_sizes=(8,)).train()
    layer = net.layers[0]
    z = X @ layer.linear.weight.data + layer.linear.bias.data
    z = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
    expected = np.maximum(z * layer.norm.gain.data + layer.norm.bias.data, 0)
    np.testing.assert_allclose(net(Tensor(X)).numpy(), expected, atol=1e-12)


def test_the_number_of_parameters_of_the_comparison():
    model = classifier(
        "ann2snn", 5, 2, train_rows=800, hidden_sizes=(64, 32), output_size=16, rng=0
    )
    assert sum(p.size for p in model.parameters()) == 3077


# --- conversion ------------------------------------------------------------------------------


def test_the_folded_batch_norm_reproduces_the_ann():
    net, x = network(), X
    for layer, expected in zip(net.layers, activations(net, X)):
        weight, bias = (p.numpy() for p in layer.folded())
        x = np.maximum(x @ weight + bias, 0)
        np.testing.assert_allclose(x, expected, atol=1e-12)


@pytest.mark.parametrize("percentile", [100, 90])
def test_weights_are_scaled_by_percentiles_of_the_activations(percentile):
    net = network(percentile=percentile)
    spiking, before = net.convert(X), 1.0
    for layer, converted, h in zip(net.layers, spiking.layers, activations(net, X)):
        scale = np.percentile(h, percentile)
        gain = layer.norm.gain.data / np.sqrt(layer.norm.running_var + 1e-5)
        weight = layer.linear.weight.data * gain * before / scale
        bias = (layer.linear.bias.data - layer.norm.running_mean) * gain + layer.norm.bias.data
        np.testing.assert_allclose(converted.weight.numpy(), weight, atol=1e-12)
        np.testing.assert_allclose(converted.bias.numpy(), bias / scale, atol=1e-12)
        before = scale
    np.testing.assert_allclose(spiking.scale, [[scale]])


def test_nothing_of_the_ann_is_changed():
    model = classifier("ann2snn", 3, 3, train_rows=300, hidden_sizes=(8, 6), output_size=5, rng=0)
    x, y = X.astype("float32"), np.arange(300) % 3
    fit(model, x, y, type(model).loss, optim.Adam(model.parameters()), epochs=1)
    ann, before, features = model.backbone, model.state_dict(), model(Tensor(x)).numpy()
    finished = model.finish(x)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert model.backbone is ann and finished.backbone is not ann
    np.testing.assert_array_equal(model(Tensor(x)).numpy(), features)

    # Nor does it work the other way round: training goes on without the spiking network.
    spiking = finished.backbone(Tensor(x)).numpy()
    for p in ann.parameters():
        p.data += 1
    np.testing.assert_array_equal(finished.backbone(Tensor(x)).numpy(), spiking)


def test_what_predicts_is_the_spiking_network():
    model = classifier("ann2snn", 3, 3, train_rows=300, num_timesteps=3, rng=0).eval()
    x = X.astype("float32")
    finished = model.finish(x)
    logits = finished.head(finished.backbone(Tensor(x))).numpy()
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(finished.predict_proba(x).numpy(), p, atol=1e-6)
    assert np.abs(p - model.predict_proba(x).numpy()).max() > 0.01
    assert set(np.unique(finished.backbone.spikes(x)[0].numpy())) == {0.0, 1.0}


def test_points_are_taken_in_the_dtype_of_the_weights():
    spiking = build("ann2snn", 3, (4,), num_timesteps=5, rng=0).convert(X)
    assert spiking.features_over_time(X).dtype == spiking.spikes(X)[0].dtype == "float32"
    with pytest.raises(ValueError, match=r"expected numbers of shape \(..., B, D\)"):
        spiking.spikes(X[0])


def test_a_layer_that_never_fires_does_no_harm():
    net = network()
    net.layers[0].norm.bias.data -= 100
    spiking = net.convert(X)
    np.testing.assert_allclose(spiking(Tensor(X)).numpy(), net(Tensor(X)).numpy(), atol=0.05)


# --- rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 5, 16, 100])
@pytest.mark.parametrize("initial, bound", [(0.0, 1.0), (0.5, 0.5)])
def test_a_neuron_fires_at_the_rate_of_its_current_within_one_spike(steps, initial, bound):
    current = np.linspace(0, 1, 1001)[:, None]
    _, spikes = lif_trace(current[None], steps, 1.0, 1.0, initial)
    error = np.abs(spikes.mean(axis=0) - current)
    assert error.max() <= bound / steps + 1e-9


@pytest.mark.parametrize("initial, bound", [(0.0, 1.0), (0.5, 0.5)])
def test_the_rates_of_one_layer_are_its_activations_within_one_spike(initial, bound):
    net = network(hidden_sizes=(8,), percentile=100, initial_potential=initial, num_timesteps=20)
    spiking = net.convert(X)
    rates = spiking.spikes(X)[0].numpy().mean(axis=0)
    error = np.abs(rates - activations(net, X)[0] / spiking.scale)
    assert 0.9 * bound / 20 < error.max() <= bound / 20 + 1e-9


def test_activations_above_the_percentile_saturate():
    net = network(hidden_sizes=(8,), percentile=80, num_timesteps=50)
    spiking = net.convert(X)
    h = activations(net, X)[0]
    rates = spiking.spikes(X)[0].numpy().mean(axis=0)
    assert (rates[h >= spiking.scale] == 1).all() and (h > spiking.scale).mean() > 0.1
    below = h <= spiking.scale
    assert np.abs(rates - h / spiking.scale)[below].max() <= 0.5 / 50 + 1e-9


def test_the_network_by_hand():
    net = network(output_size=4, num_timesteps=13, threshold=0.5, initial_potential=0.3)
    spiking = net.convert(X)
    v = [0.3 * 0.5] * 2
    s, total = [0.0] * 2, 0
    for _ in range(13):
        signal = X
        for i, linear in enumerate(spiking.layers):
            v[i] = v[i] + signal @ linear.weight.data + linear.bias.data - 0.5 * s[i]
            signal = s[i] = (v[i] > 0.5).astype(float)
        total = total + signal
    expected = total / 13 * spiking.scale @ net.tail.weight.data + net.tail.bias.data
    np.testing.assert_allclose(spiking(Tensor(X)).numpy(), expected, atol=1e-9)


@pytest.mark.parametrize("output_size", [None, 4])
def test_more_timesteps_bring_it_closer_to_its_ann(output_size):
    net = network(output_size=output_size, percentile=100)
    ann = net(Tensor(X)).numpy()
    errors = []
    for steps in (4, 16, 64, 256):
        net.num_timesteps = steps
        errors.append(np.abs(net.convert(X)(Tensor(X)).numpy() - ann).mean())
    assert all(later < 0.5 * earlier for earlier, later in pairwise(errors))
    assert errors[-1] < 0.02 * np.abs(ann).mean()


def test_features_over_time_are_those_of_shorter_simulations():
    net = network(output_size=4, num_timesteps=9)
    over_time = net.convert(X).features_over_time(X).numpy()
    assert over_time.shape == (9, 300, 4)
    for steps in (1, 4, 9):
        net.num_timesteps = steps
        shorter = net.convert(X)(Tensor(X)).numpy()
        np.testing.assert_allclose(over_time[steps - 1], shorter, atol=1e-12)


def test_the_threshold_is_only_a_unit():
    spikes = []
    for threshold in (0.25, 1.0, 4.0):  # powers of two: then not even rounding differs
        spiking = network(threshold=threshold, num_timesteps=30).convert(X)
        spikes.append([s.numpy() for s in spiking.spikes(X)])
        assert all(0.05 < s.mean() < 0.95 for s in spikes[-1])
    for other in spikes[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(spikes[0], other))
