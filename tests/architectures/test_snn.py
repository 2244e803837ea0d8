"""Spiking networks: spikes, membranes, surrogates and backward through time."""

import math

import numpy as np
import pytest
from small_models import normals, to_float64

from architectures import build, classifier
from demos.comparison import rings_and_clusters
from minigrad import Tensor, fit, optim
from minigrad.gradcheck import gradcheck
from minigrad.ops import stack
from minigrad.spiking import leaky, lif, lif_by_steps, lif_trace, spike

STEPS, BETA, THRESHOLD = 12, 0.8, 0.7


# --- the spike -------------------------------------------------------------------------------

SURROGATES = {
    "fast_sigmoid": lambda u, slope: (1 + slope * np.abs(u)) ** -2.0,
    "arctan": lambda u, slope: 1 / (1 + (slope * u) ** 2),
}


@pytest.mark.parametrize("name", SURROGATES)
@pytest.mark.parametrize("slope", [1.0, 10.0])
def test_a_spike_is_0_or_1_and_its_vjp_the_surrogate(name, slope):
    u = Tensor([-2, -0.1, -0.0, 0, 1e-3, 0.5, 30], requires_grad=True)
    s = spike(u, surrogate=name, slope=slope)
    assert s.numpy().tolist() == [0, 0, 0, 0, 1, 1, 1] and s.dtype == "float32"
    g = np.arange(1, 8, dtype="float32")
    s.backward(g)
    np.testing.assert_allclose(u.grad, g * SURROGATES[name](u.data, slope), rtol=1e-6)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_soft_spike_is_an_antiderivative_of_the_surrogate_one_half_at_the_threshold(name):
    u = np.linspace(-2, 2, 9)
    ahead, behind = (
        spike(Tensor(u + h), surrogate=name, slope=3.0, soft=True).numpy() for h in (1e-6, -1e-6)
    )
    np.testing.assert_allclose((ahead - behind) / 2e-6, SURROGATES[name](u, 3.0), rtol=1e-5)
    assert spike(Tensor([0]), surrogate=name, soft=True).item() == 0.5


# --- the neuron ------------------------------------------------------------------------------


def test_a_neuron_by_hand():
    # beta 1/2, current 3/4: U = 0.75, 1.125 (fires), 0.3125, 0.90625, 1.203125 (fires), ...
    membrane, spikes = lif_trace(np.full((1, 1, 1), 0.75), 6, 0.5)
    expected = [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625]
    assert membrane[:, 0, 0].tolist() == expected
    assert spikes[:, 0, 0].tolist() == [0, 1, 0, 0, 1, 0]


def test_at_the_threshold_it_does_not_fire():
    _, spikes = lif_trace(np.full((1, 1, 1), 1.0), 2, 0.0)
    assert not spikes.any()


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("constant", [False, True])
def test_the_membrane_follows_its_recursion(lead, constant):
    current = normals(*lead, 1 if constant else STEPS, 4, 5) + 0.3
    membrane, spikes = lif_trace(current, STEPS, BETA, THRESHOLD, initial=0.2)
    assert membrane.shape == spikes.shape == (*lead, STEPS, 4, 5)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    u, s = 0.2, 0.0
    for t in range(STEPS):
        u = BETA * u + current[..., 0 if constant else t, :, :] - THRESHOLD * s
        np.testing.assert_allclose(membrane[..., t, :, :], u, atol=1e-12)
        s = (u > THRESHOLD).astype(float)
        np.testing.assert_array_equal(spikes[..., t, :, :], s)


def step_by_step(current, *, detach_reset, surrogate, slope, soft):
    """The LIF neuron as a graph of simple ops, T times over; current[t] for each step."""
    u, s, spikes = 0.0, 0.0, []
    for i in current:
        reset = s.detach() if detach_reset and spikes else s
        u = BETA * u + i - THRESHOLD * reset
        s = spike(u - THRESHOLD, surrogate=surrogate, slope=slope, soft=soft)
        spikes.append(s)
    return stack(spikes, axis=-3)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("constant", [False, True])
def test_backward_through_time_equals_that_of_simple_ops(constant, detach_reset, surrogate, soft):
    options = {"detach_reset": detach_reset, "surrogate": surrogate, "slope": 5.0, "soft": soft}
    data = normals(2, 1 if constant else STEPS, 4, 3) + 0.3
    g = normals(2, STEPS, 4, 3, seed=1)

    fused = Tensor(data, requires_grad=True)
    spikes = lif(fused, STEPS, BETA, THRESHOLD, **options)
    spikes.backward(g)
    simple = Tensor(data, requires_grad=True)
    current = [simple[:, 0 if constant else t] for t in range(STEPS)]
    expected = step_by_step(current, **options)
    expected.backward(g)

    np.testing.assert_allclose(spikes.numpy(), expected.numpy(), atol=1e-12)
    assert np.abs(simple.grad).max() > 0.1
    np.testing.assert_allclose(fused.grad, simple.grad, atol=1e-12)


def test_detaching_the_reset_makes_a_difference():
    gradients = []
    for detach_reset in (True, False):
        current = Tensor(normals(STEPS, 4, 3) + 0.3, requires_grad=True)
        lif(current, STEPS, BETA, THRESHOLD, detach_reset=detach_reset).sum().backward()
        gradients.append(current.grad)
    assert np.abs(gradients[0] - gradients[1]).max() > 0.1


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("detach_reset", [True, False])
@pytest.mark.parametrize("constant", [False, True])
def test_the_membrane_is_a_result_too_and_so_is_its_gradient(constant, detach_reset, soft):
    options = {"detach_reset": detach_reset, "soft": soft, "slope": 5.0}
    data, g = normals(2, 1 if constant else STEPS, 4, 3) + 0.3, normals(2, STEPS, 4, 3, seed=1)
    fused, simple = (Tensor(data, requires_grad=True) for _ in range(2))
    membrane = lif(fused, STEPS, BETA, THRESHOLD, membrane=True, **options)
    expected, spikes = lif_by_steps(simple, STEPS, BETA, THRESHOLD, **options)
    np.testing.assert_allclose(membrane.numpy(), expected.numpy(), atol=1e-12)
    before = membrane.numpy().copy()
    membrane.backward(g)
    expected.backward(g)
    np.testing.assert_allclose(fused.grad, simple.grad, atol=1e-12)
    np.testing.assert_array_equal(membrane.numpy(), before)  # backward leaves the result alone
    if not soft:
        np.testing.assert_array_equal(spikes.numpy(), spike(membrane - THRESHOLD).numpy())


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("constant", [False, True])
def test_a_scan_in_parts_is_the_scan_in_one(lead, constant):
    """Bit for bit: the state of a neuron is its potential."""
    current = (normals(*lead, 1 if constant else STEPS, 4, 5) + 0.5).astype("float32")
    whole = lif(Tensor(current), STEPS, BETA, THRESHOLD, membrane=True).numpy()
    parts, state = [], 0.0
    for begin, end in ((0, 5), (5, 6), (6, STEPS)):
        part = current if constant else current[..., begin:end, :, :]
        options = {"initial": state, "membrane": True}
        parts.append(lif(Tensor(part), end - begin, BETA, THRESHOLD, **options).numpy())
        state = parts[-1][..., -1, :, :]
    assert (whole > THRESHOLD)[..., 4, :, :].any() and (whole > THRESHOLD)[..., 5, :, :].any()
    np.testing.assert_array_equal(np.concatenate(parts, axis=-3), whole)
    composed, _ = lif_by_steps(Tensor(current), STEPS, BETA, THRESHOLD)
    np.testing.assert_array_equal(composed.numpy(), whole)


def test_a_state_above_the_threshold_has_fired_a_number_is_at_rest():
    current = np.full((1, 1, 1), 0.5)
    for initial, expected in ((1.5, 1.25), (np.full((1, 1), 1.5), 0.25)):
        membrane, _ = lif_trace(current, 1, 0.5, 1.0, initial)
        assert membrane.item() == expected
        composed, _ = lif_by_steps(Tensor(current), 1, 0.5, 1.0, initial=initial)
        assert composed.item() == expected


# beta 1/2, current 3/4, as above: U at the six timesteps.
RESETS = {
    ("subtract", True): [0.75, 1.125, 0.3125, 0.90625, 1.203125, 0.3515625],
    ("subtract", False): [0.75, 1.125, 0.8125, 1.15625, 0.828125, 1.1640625],
    ("zero", True): [0.75, 1.125, 0.0, 0.75, 1.125, 0.0],
    ("zero", False): [0.75, 1.125, 0.75, 1.125, 0.75, 1.125],
}


@pytest.mark.parametrize("reset, delayed", RESETS)
def test_resets_by_hand(reset, delayed):
    current = Tensor(np.full((1, 1, 1), 0.75))
    membrane, spikes = lif_by_steps(current, 6, 0.5, reset=reset, delayed=delayed)
    expected = RESETS[reset, delayed]
    assert membrane.numpy()[:, 0, 0].tolist() == expected
    assert spikes.numpy()[:, 0, 0].tolist() == [float(u > 1) for u in expected]


@pytest.mark.parametrize("reset, delayed", RESETS)
def test_gradients_of_resets(reset, delayed):
    options = {"reset": reset, "delayed": delayed, "soft": True, "detach_reset": False}

    def both(current, initial):
        return stack(lif_by_steps(current, 4, BETA, THRESHOLD, initial=initial, **options))

    gradcheck(both, (2, 4, 3, 2), (3, 2))
    gradcheck(both, (1, 3, 2), (3, 2))
    detached = lif_by_steps(
        Tensor(normals(4, 3, 2), requires_grad=True), 4, BETA, reset=reset, delayed=delayed
    )
    assert all(part.requires_grad for part in detached)


def test_a_reset_that_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="unknown reset 'none': choose one of subtract, zero"):
        lif_by_steps(Tensor(np.zeros((1, 1, 1))), 2, BETA, reset="none")
    with pytest.raises(ValueError, match="7 timesteps does not fit steps=2"):
        lif_by_steps(Tensor(np.zeros((7, 1, 1))), 2, BETA)


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_a_leaky_neuron_that_does_not_fire(lead):
    current, u = normals(*lead, STEPS, 4, 5), 0.0
    found = leaky(Tensor(current), BETA)
    for t in range(STEPS):
        u = BETA * u + current[..., t, :, :]
        np.testing.assert_allclose(found.numpy()[..., t, :, :], u, atol=1e-12)
    gradcheck(leaky, (*lead, 5, 2, 3), beta=BETA)
    long = leaky(Tensor(np.ones((1200, 1, 1), "float32")), 0.5)  # no power overflows
    assert long.dtype == "float32" and long.numpy()[-1].item() == pytest.approx(2)


# --- the network -----------------------------------------------------------------------------


def network(**options):
    options = {"hidden_sizes": (8, 6), "output_size": 4, "num_timesteps": STEPS} | options
    net = to_float64(build("snn", 3, rng=0, **options))
    for linear in net.layers:
        linear.weight.data *= 2
        linear.bias.data += 0.2
    return net


def timestep_by_timestep(net, x, beta, threshold=1.0):
    """All layers at t = 1, then all at t = 2, ...: each layer's spikes, and features."""
    u, s = [0.0] * len(net.layers), [0.0] * len(net.layers)
    trains = [[] for _ in net.layers]
    for _ in range(net.num_timesteps):
        signal = x
        for i, linear in enumerate(net.layers):
            current = signal @ linear.weight.data + linear.bias.data
            u[i] = beta * u[i] + current - threshold * s[i]
            signal = s[i] = (u[i] > threshold).astype(float)
            trains[i].append(signal)
    rate = np.mean(trains[-1], axis=0)
    return trains, rate @ net.readout.weight.data + net.readout.bias.data


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("tau, threshold", [(2.0, 1.0), (5.0, 0.6)])
def test_layer_by_layer_equals_timestep_by_timestep(lead, tau, threshold):
    net, x = network(tau=tau, threshold=threshold), 1.5 * normals(*lead, 5, 3)
    trains, features = timestep_by_timestep(net, x, math.exp(-1 / tau), threshold)
    np.testing.assert_allclose(net(Tensor(x)).numpy(), features, atol=1e-12)
    for (_, spikes), train in zip(net.record(x), trains):
        np.testing.assert_array_equal(np.moveaxis(spikes.numpy(), -3, 0), train)
        assert 0.02 < spikes.numpy().mean() < 0.9


def test_record_shows_the_membranes_behind_the_spikes():
    net, x = network(), 1.5 * normals(5, 3)
    for membrane, spikes in net.record(x):
        assert membrane.shape == spikes.shape and spikes.shape[:2] == (STEPS, 5)
        np.testing.assert_array_equal(spikes.numpy(), membrane.numpy() > 1)
        assert not spikes.requires_grad
    (u, s), beta = (t.numpy() for t in net.record(x)[0]), math.exp(-1 / 2)
    current = x @ net.layers[0].weight.data + net.layers[0].bias.data
    np.testing.assert_allclose(u[1:], beta * u[:-1] + current - s[:-1], atol=1e-12)


@pytest.mark.parametrize("surrogate", [{}, {"slope": 3.0}, {"surrogate": "arctan"}], ids=str)
@pytest.mark.parametrize("detach_reset", [True, False])
def test_the_gradient_of_the_network_equals_that_of_a_step_by_step_graph(detach_reset, surrogate):
    net, x = network(detach_reset=detach_reset, **surrogate), Tensor(1.5 * normals(5, 3))
    net(x).sum().backward()
    fused = [p.grad for p in net.parameters()]
    for p in net.parameters():
        p.grad = None

    first, second = net.layers
    u1 = u2 = s1 = s2 = total = 0.0
    for t in range(STEPS):
        r1, r2 = (s.detach() if detach_reset and t else s for s in (s1, s2))
        u1 = net.beta * u1 + first(x) - r1
        s1 = spike(u1 - 1.0, **surrogate)
        u2 = net.beta * u2 + second(s1) - r2
        s2 = spike(u2 - 1.0, **surrogate)
        total = total + s2
    net.readout(total / STEPS).sum().backward()
    for p, gradient in zip(net.parameters(), fused):
        np.testing.assert_allclose(gradient, p.grad, atol=1e-12)
    assert np.abs(first.weight.grad).max() > 1e-3


@pytest.mark.parametrize("lead", [(), (2,)])
def test_an_input_that_changes_in_time(lead):
    options = {"detach_reset": False, "soft": True}
    constant, changing = network(**options), network(constant_input=False, **options)
    x = 1.5 * normals(*lead, 5, 3)
    held = np.repeat(x[..., None, :, :], STEPS, axis=-3)
    np.testing.assert_allclose(changing(Tensor(held)).data, constant(Tensor(x)).data, atol=1e-12)

    train = normals(*lead, STEPS, 5, 3, seed=2)
    current = train @ changing.layers[0].weight.data + changing.layers[0].bias.data
    expected, _ = lif_trace(current, STEPS, changing.beta)
    (membrane, _), *_ = changing.record(train)
    np.testing.assert_allclose(membrane.numpy(), expected, atol=1e-12)
    later = train.copy()
    later[..., -1, :, :] += 10  # what comes last changes nothing before
    (after, _), *_ = changing.record(later)
    np.testing.assert_array_equal(after.numpy()[..., :-1, :, :], expected[..., :-1, :, :])


def test_an_input_of_another_length_is_refused_and_the_kind_of_input_is_shown():
    changing = network(constant_input=False)
    with pytest.raises(ValueError, match=f"7 timesteps does not fit steps={STEPS}"):
        changing(Tensor(normals(7, 5, 3)))
    assert repr(changing).startswith(f"SNN({STEPS} timesteps of its input)")
    assert repr(network()).startswith(f"SNN({STEPS} timesteps of one input)")


@pytest.mark.parametrize("readout", ["mean", "max"])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_a_readout_of_leaky_neurons(lead, readout):
    net, x = network(readout=readout), 1.5 * normals(*lead, 5, 3)
    _, spikes = net.record(x)[-1]
    v, potentials = 0.0, []
    for t in range(STEPS):
        current = spikes.numpy()[..., t, :, :] @ net.readout.weight.data + net.readout.bias.data
        v = net.beta * v + current
        potentials.append(v)
    np.testing.assert_allclose(
        net(Tensor(x)).numpy(), getattr(np, readout)(potentials, axis=0), atol=1e-12
    )
    net(Tensor(x)).sum().backward()
    assert all(np.abs(p.grad).max() > 1e-3 for p in net.parameters())


@pytest.mark.parametrize("reset, delayed", RESETS)
def test_a_network_with_other_resets(reset, delayed):
    net, x = network(reset=reset, delayed_reset=delayed), 1.5 * normals(5, 3)
    current = x @ net.layers[0].weight.data + net.layers[0].bias.data
    for linear, (membrane, spikes) in zip(net.layers, net.record(x)):
        expected, fired = lif_by_steps(
            Tensor(np.broadcast_to(current, (STEPS, *current.shape[-2:]))),
            STEPS,
            net.beta,
            reset=reset,
            delayed=delayed,
        )
        np.testing.assert_allclose(membrane.numpy(), expected.numpy(), atol=1e-12)
        np.testing.assert_array_equal(spikes.numpy(), fired.numpy())
        if linear is net.layers[0]:
            current = fired.numpy() @ net.layers[1].weight.data + net.layers[1].bias.data
    rates = spikes.numpy().mean(axis=-3)
    expected = rates @ net.readout.weight.data + net.readout.bias.data
    np.testing.assert_allclose(net(Tensor(x)).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"reset": "zero"},
        {"reset": "zero", "delayed_reset": False, "readout": "max"},
        {"delayed_reset": False, "readout": "mean"},
    ],
    ids=str,
)
def test_other_resets_and_readouts_learn(options):
    x, y = rings_and_clusters.draw(0)
    x, y = x[:400], y[:400]
    model = classifier("snn", 5, 2, (24,), 8, 10, train_rows=400, rng=0, **options)
    adam = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x, y, type(model).loss, adam, epochs=6, compiled=True)
    assert (model.predict_proba(x).numpy().argmax(axis=-1) == y).mean() > 0.75


def test_unknown_resets_and_readouts_are_refused():
    with pytest.raises(ValueError, match="unknown reset 'half': choose one of subtract, zero"):
        network(reset="half")
    with pytest.raises(ValueError, match="unknown readout 'sum': choose one of rates, mean, max"):
        network(readout="sum")


def test_a_silent_network_still_has_a_gradient():
    net = network()
    for linear in net.layers:
        linear.bias.data[...] = -0.5
    x = Tensor(0.1 * normals(5, 3))
    assert not any(spikes.numpy().any() for _, spikes in net.record(x))
    np.testing.assert_array_equal(net(x).numpy(), net.readout.bias.numpy().repeat(5, axis=0))
    net(x).sum().backward()
    assert np.abs(net.layers[0].weight.grad).max() > 0


def test_the_defaults_and_the_number_of_parameters_of_the_comparison():
    net = build("snn", 2, (64, 32), 16, rng=0)
    assert sum(p.size for p in net.parameters()) + 16 * 5 + 5 == 2885
    assert (net.num_timesteps, net.threshold, net.surrogate, net.slope) == (
        25,
        1.0,
        "fast_sigmoid",
        10.0,
    )
    assert net.beta == math.exp(-0.5) and net.detach_reset and not net.soft
