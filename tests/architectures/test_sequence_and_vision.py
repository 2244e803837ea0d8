"""Sequence and image models: what all of them have in common, and what is known of each."""

import sys

import numpy as np
import pytest
from small_models import to_float64
from test_strict import guard, on_both

import minigrad
from architectures import build, classifier, list_architectures, lookup
from architectures.sequence.base import by_timestep
from architectures.sequence.mamba import MambaBlock
from architectures.sequence.retnet import Retention, decay_masks, parallel, recurrent
from minigrad import Tensor, backend, nn, no_grad, optim
from minigrad.recurrent import selective_scan
from minigrad.training import training_step

TOKENS, CLASSES, STEPS, ANSWERS, ROWS = 7, 4, 9, 2, 3

OPTIONS = {
    "gru": {"hidden_size": 5, "width": 4},
    "transformer": {"width": 8, "num_heads": 2, "num_layers": 1},
    "retnet": {"width": 8, "num_heads": 2, "num_layers": 1},
    "mamba": {"width": 4, "num_states": 3},
    "mamba_lti": {"width": 4, "num_states": 3},
    "convnet": {"channels": (2, 3), "output_size": 5},
    "vit": {"width": 8, "num_heads": 2, "num_layers": 1},
}
SEQUENCES = [name for name in OPTIONS if lookup(name).family == "sequence"]
every = pytest.mark.parametrize("name", OPTIONS)
every_sequence = pytest.mark.parametrize("name", SEQUENCES)


def small(name, rng=0, **options):
    size = TOKENS if name in SEQUENCES else 16
    options = OPTIONS[name] | options
    return classifier(name, CLASSES, size, train_rows=50, rng=rng, **options)


def data(name, *lead, rows=ROWS, seed=0):
    """Sequences of tokens and the classes at their last timesteps, or images and classes."""
    rng = np.random.default_rng(seed)
    if name not in SEQUENCES:
        return rng.random((*lead, rows, 16), "float32"), rng.integers(CLASSES, size=(*lead, rows))
    x = rng.integers(TOKENS, size=(*lead, rows, STEPS)).astype("float32")
    return x, rng.integers(CLASSES, size=(*lead, rows, ANSWERS))


# --- all of them -----------------------------------------------------------------------------


@every
def test_they_are_registered_and_stay_out_of_the_comparison_of_the_eight(name):
    entry = lookup(name)
    assert name not in list_architectures() and entry.label and not entry.has_own_objective
    text = sys.modules[entry.backbone.__module__].__doc__
    assert "symbol" in text and "Deviation" in text


@every
def test_shapes(name):
    model = small(name)
    for lead in ((), (2,), (2, 3)):
        x, y = data(name, *lead)
        assert model.loss(Tensor(x), Tensor(y)).shape == lead
        proba = model.predict_proba(x)
        assert proba.shape == (*lead, ROWS, *([STEPS] if name in SEQUENCES else []), CLASSES)
        assert proba.dtype == "float32" and model.training
        np.testing.assert_allclose(proba.numpy().sum(axis=-1), 1, rtol=1e-5)


@every
def test_every_derivative(name):
    """By central differences, for each single parameter: a replica for each nudge."""
    model = to_float64(small(name))
    x, y = data(name, rows=2)
    x, y = Tensor(x.astype("float64")), Tensor(y)
    model.loss(x, y).backward()
    many = nn.stack(2 * max(leaf.size for leaf in model.parameters()) * [model])
    for label, leaf in model.named_parameters():
        nudged = nn.unstack(many, slice(2 * leaf.size))
        data_of_all = dict(nudged.named_parameters())[label].data.reshape(leaf.size, 2, leaf.size)
        for k in range(leaf.size):
            data_of_all[k, :, k] += 1e-6, -1e-6
        with no_grad():
            ahead, behind = nudged.loss(x, y).data.reshape(leaf.size, 2).T
        change = ((ahead - behind) / 2e-6).reshape(leaf.shape)
        np.testing.assert_allclose(leaf.grad, change, rtol=1e-5, atol=1e-8, err_msg=label)


def train(model, x, y, steps=4, compiled=False):
    """Some training steps; the losses."""
    adam = optim.Adam(model.parameters(), lr=1e-2)
    step = training_step(model, type(model).loss, adam, clip_norm=1.0)
    step = minigrad.compile(step) if compiled else step
    return [step(Tensor(x), Tensor(y)) for _ in range(steps)]


@every
def test_replicas_train_and_predict_as_they_would_alone(name):
    x, y = data(name, 2)
    together = nn.stack([to_float64(small(name, seed)) for seed in range(2)])
    losses = np.array(train(together, x.astype("float64"), y))
    for k in range(2):
        single = to_float64(small(name, k))
        np.testing.assert_allclose(losses[:, k], train(single, x[k].astype("float64"), y[k]))
        expected = single.predict_proba(x[k]).numpy()
        np.testing.assert_allclose(together.predict_proba(x).numpy()[k], expected, atol=1e-9)
    shared = together.predict_proba(x[0]).numpy()
    np.testing.assert_allclose(shared[0], together.predict_proba(x).numpy()[0], atol=1e-12)


@every
@pytest.mark.parametrize("replicas", [False, True])
def test_compiled_steps_are_the_eager_ones(name, replicas):
    found = []
    x, y = data(name, 2) if replicas else data(name)
    for compiled in (False, True):
        model = nn.stack(small(name, seed) for seed in range(2)) if replicas else small(name)
        losses = train(model, x, y, steps=6, compiled=compiled)
        found.append([loss.tobytes() for loss in losses])
        found[-1] += [array.tobytes() for array in model.state_dict().values()]
    assert found[0] == found[1]


@every
def test_a_training_step_stays_on_the_device(name):
    def run():
        model = small(name)
        adam = optim.Adam(model.parameters(), lr=1e-2)
        step = training_step(model, type(model).loss, adam)
        x, y = (Tensor(backend.asarray(array)) for array in data(name))
        with guard():
            losses = [step(x, y) for _ in range(2)]
        proba = model.predict_proba(x).data
        return [*losses, adam.gradients, proba]

    on_both(run)


@every
def test_a_seed_names_a_model(name):
    once, again, other = (small(name, seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(once[key], again[key]) for key in once)
    assert any(not np.array_equal(once[key], other[key]) for key in once)


# --- sequences -------------------------------------------------------------------------------


# What a head, layers of norms and branches have, counted by hand from the layers. Of width 8, with
# 7 tokens and 4 classes: a token has no bias, nor has what attends, retains or scans.
HEAD, NORMS = 8 * 4 + 4, 3 * (8 + 8)
SCAN = 4 * 16 + 4 * 8 + 8 + 3 * 8 + 8 + 8 + 8 * 4  # in, taps, rates, steps, skip, out; without B, C
COUNTS = {
    "gru": 7 * 4 + (4 * 15 + 15 + 5 * 15) + (5 * 15 + 15 + 5 * 15) + (5 * 4 + 4),
    "transformer": 7 * 8 + 4 * 8 * 8 + (8 * 32 + 32 + 32 * 8 + 8) + NORMS + HEAD,
    "retnet": 7 * 8 + 8 * (8 + 8 + 16 + 16 + 16) + (8 * 16 + 16 + 16 * 8 + 8) + NORMS + HEAD,
    "mamba": 7 * 4 + 2 * (SCAN + (8 + 8) + 2 * 8 * 3) + 3 * 4 + (4 * 4 + 4),
    "mamba_lti": 7 * 4 + 2 * (SCAN + 2 * 3) + 3 * 4 + (4 * 4 + 4),
    "convnet": (9 * 2 + 2) + (9 * 2 * 3 + 3) + (3 * 5 + 5) + (5 * 4 + 4),
    "vit": (4 * 8 + 8 + 8 + 5 * 8) + 4 * 8 * 8 + (8 * 32 + 32 + 32 * 8 + 8) + NORMS + HEAD,
}


@every
def test_the_number_of_parameters(name):
    assert sum(p.size for p in small(name).parameters()) == COUNTS[name]


@every_sequence
def test_no_answer_depends_on_what_comes_later(name):
    model, (x, _) = small(name), data(name)
    changed = x.copy()
    changed[:, 5] = (x[:, 5] + 1) % TOKENS
    with no_grad():
        before, after = model(Tensor(x)).data, model(Tensor(changed)).data
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5] != after[:, 5]).any(axis=-1).all()
    assert (before[:, 6:] != after[:, 6:]).any()


@every_sequence
def test_sequences_of_features(name):
    """What enters is a row of numbers times a matrix; one-hot rows are tokens."""
    tokens, features = build(name, TOKENS, rng=0), build(name, TOKENS, tokens=False, rng=0)
    x, _ = data(name)
    features.load_state_dict(
        {
            **features.state_dict(),
            **{key: array for key, array in tokens.state_dict().items() if "entrance" not in key},
            "entrance.layer.weight": tokens.entrance.layer.weight.numpy(),
        }
    )
    one_hot = np.eye(TOKENS, dtype="float32")[x.astype(int)]
    expected = tokens(Tensor(x)).data
    np.testing.assert_allclose(features(Tensor(one_hot)).data, expected, rtol=1e-4, atol=1e-5)


def test_the_labels_are_those_of_the_last_timesteps():
    model = small("gru")
    x, y = data("gru")
    log_proba = np.log(model.predict_proba(x).numpy())[:, -ANSWERS:]
    expected = -np.take_along_axis(log_proba, y[..., None], axis=-1).mean()
    np.testing.assert_allclose(model.loss(Tensor(x), Tensor(y)).item(), expected, rtol=1e-5)


@pytest.mark.parametrize("replicas", [False, True])
def test_retention_is_the_same_in_parallel_and_step_by_step(replicas):
    """Outputs and gradients, to 1e-10."""
    layers = [to_float64(Retention(8, 4, 100.0, rng=seed)) for seed in range(2)]
    layer = nn.stack(layers) if replicas else layers[0]
    h = np.random.default_rng(0).standard_normal((*layer.replicas, 12 * 3, 8))
    g = np.random.default_rng(1).standard_normal(h.shape)
    found = []
    for mode in (True, False):
        x = Tensor(h, requires_grad=True)
        for p in layer.parameters():
            p.grad = None
        y = layer.train(mode)(x, 12)
        y.backward(g)
        found.append([y.data, x.grad, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_retention_forgets_by_its_decay():
    """With q = k = v = 1 the sum over the past is a geometric series."""
    masks = decay_masks(3, 6)
    gamma = 1 - 2.0 ** -np.arange(5, 8)
    expected = (1 - gamma[:, None] ** np.arange(1, 7)) / (1 - gamma[:, None])
    one = Tensor(np.ones((1, 3, 6, 1)))
    for form in (parallel, recurrent):
        np.testing.assert_allclose(form(one, one, one, masks).data[0, ..., 0], expected)
    assert recurrent(*3 * [one[..., :1, :]], decay_masks(3, 1)).data.tolist() == [[[[1]]] * 3]


def test_without_selection_a_block_is_a_convolution():
    """K[t] = sum_n C_n exp(step A t) (exp(step A) - 1) / A B_n, for each channel."""
    block = to_float64(MambaBlock(2, 3, 4, selective=False, rng=0))
    x = np.random.default_rng(0).standard_normal((10, 4))  # one sequence of 10 timesteps
    step, B, C = (part.data for part in block.system(Tensor(x)))
    A = -np.exp(block.log_rates.data)  # (N, E)
    response = np.exp(A * step[0])
    kernel = [
        (C[0][:, None] * response**t * (response - 1) / A * B[0][:, None]).sum(axis=0)
        for t in range(10)
    ]
    y = np.array([sum(kernel[t - s] * x[s] for s in range(t + 1)) for t in range(10)])
    h = np.random.default_rng(1).standard_normal((10, 2))
    block.channels = lambda h, steps: Tensor(x)
    gate = block.gate(Tensor(h)).data
    expected = (y + block.skip.data * x) * gate / (1 + np.exp(-gate)) @ block.out.weight.data
    np.testing.assert_allclose(block(Tensor(h), 10).data, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["mamba", "mamba_lti"])
def test_only_the_selection_looks_at_the_input(name):
    model = small(name).backbone
    x, _ = data(name)
    sizes = model.step_sizes(x)
    assert [size.shape for size in sizes] == 2 * [(STEPS, ROWS, 8)] and min(map(np.min, sizes)) > 0
    varies = np.ptp(sizes[0], axis=(0, 1)) > 0
    assert varies.all() if name == "mamba" else not varies.any()
    assert ("selective" in repr(model)) == (name == "mamba")


@pytest.mark.parametrize("name", ["mamba", "mamba_lti"])
def test_what_a_scan_gives_is_the_sum_of_what_is_left_of_each_timestep(name):
    model = to_float64(small(name)).backbone
    x = data(name)[0].astype("float64")
    parts = model.contributions(x)[0]
    assert parts.shape == (STEPS, STEPS, ROWS, 8)
    (h, *_), steps = model.inputs_of_branches(x)
    block = model.branches[0]
    channels = block.channels(h, steps)
    step, B, C = (by_timestep(part, steps) for part in block.system(channels))
    y = selective_scan(by_timestep(channels, steps), step, -np.exp(block.log_rates.data), B, C)
    np.testing.assert_allclose(parts.sum(axis=0), y.data, rtol=1e-9, atol=1e-12)
    assert not np.tril(parts[..., 0, 0], -1).any()  # nothing is left of what comes later
    left = parts[2, 2:, 0, 0]
    same = np.allclose(left[:-1], parts[3, 3:, 0, 0] * left[0] / parts[3, 3, 0, 0])
    assert same == (name == "mamba_lti")  # without the selection it depends on the distance alone


def test_steps_and_rates_start_where_they_should():
    block = MambaBlock(32, 16, 4, selective=False, rng=0)
    steps = block.step(None).data
    assert 1e-2 <= steps.min() < 2e-2 and 0.5 < steps.max() <= 1 + 1e-6
    np.testing.assert_allclose(np.exp(block.log_rates.data)[:, 0], np.arange(1, 17), rtol=1e-6)


def test_a_look_inside():
    x, _ = data("gru")
    z, r = small("gru").backbone.gates(x)[1]
    assert z.shape == r.shape == (STEPS, ROWS, 5) and 0 < z.min() < z.max() < 1
    maps = small("transformer").backbone.attention_maps(x)
    assert [m.shape for m in maps] == [(ROWS, 2, STEPS, STEPS)]
    np.testing.assert_allclose(maps[0].sum(axis=-1), 1, rtol=1e-5)
    assert not np.triu(maps[0], 1).any()


# --- images ----------------------------------------------------------------------------------


def test_a_convolution_moves_with_the_image():
    """Two pixels to the right are one place to the right after pooling, away from the border."""
    net = build("convnet", 100, channels=(3,), shape=(10, 10, 1), rng=0)
    image = np.zeros((1, 10, 10), "float32")
    image[0, 4:7, 2:5] = np.random.default_rng(0).random((3, 3))
    moved = np.roll(image, 2, axis=-1)
    before, after = (net.feature_maps(Tensor(x.reshape(1, 100)))[0].data for x in (image, moved))
    assert before.shape == (1, 5, 5, 3) and np.ptp(before) > 0
    np.testing.assert_allclose(before[:, :, :-1], after[:, :, 1:], atol=1e-6)
    assert net.filters().shape == (3, 3, 3, 1)


def test_without_positions_patches_are_a_set():
    """Eq. 1 without E_pos: in whatever order the patches stand, the class token sees the same."""
    net = build("vit", 16, width=8, num_heads=2, rng=0)
    x = np.random.default_rng(0).random((2, 2, 2, 2, 2), "float32")  # (B, rows, 2, columns, 2)
    x, swapped = x.reshape(2, 16), x[:, ::-1, :, ::-1].reshape(2, 16)
    assert abs(net(Tensor(x)).data - net(Tensor(swapped)).data).max() > 1e-5
    net.entrance.positions.data[...] = 0
    np.testing.assert_allclose(net(Tensor(x)).data, net(Tensor(swapped)).data, atol=1e-5)
    assert [m.shape for m in net.attention_maps(x)] == 2 * [(2, 2, 5, 5)]


@pytest.mark.parametrize(
    "name, size, options, message",
    [
        ("convnet", 15, {}, "15 numbers are no image of 3 x 3 x 1"),
        ("vit", 16, {"shape": (4, 3, 1)}, "16 numbers are no image of 4 x 3 x 1"),
        ("convnet", 36, {}, "2 convolutions halve an image of 6 x 6"),
        ("convnet", 16, {"kernel_size": 2}, "kernel_size of 2 must be odd"),
        ("vit", 36, {"patch_size": 4}, "patch_size=4 does not divide an image of 6 x 6"),
        ("retnet", 5, {"width": 6, "num_heads": 4}, "num_heads=4 does not divide width=6"),
    ],
)
def test_what_does_not_fit_is_refused(name, size, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, size, **options)
