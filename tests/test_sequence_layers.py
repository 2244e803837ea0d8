"""Layers and scans for sequences and images: replicas, the stand-in for a GPU, compiled steps, and
what is known in closed form. (The gradient and the value of each op: see test_ops.)"""

import numpy as np
import pytest
from test_strict import guard, on_both

import minigrad
from minigrad import Tensor, backend, functional, images, nn, optim, strict
from minigrad.backend import xp
from minigrad.gradcheck import gradcheck
from minigrad.recurrent import causal_convolution, gru, gru_trace, selective_scan

RNG = np.random.default_rng(0)
IDS = RNG.integers(5, size=(2, 6))
ROWS = RNG.standard_normal((2, 12, 8))  # 4 timesteps of 3 sequences
PICTURES = RNG.standard_normal((2, 3, 6, 4, 2))

STEPS = 4


class Scan(nn.Module):
    """The ops that run through time, with parameters of their own. (..., T B, 8) -> the same."""

    def __init__(self, rng=None):
        self.into = nn.Linear(8, 24, rng=rng)
        rng = np.random.default_rng(rng)
        self.weight = Tensor(rng.standard_normal((8, 24)).astype("float32") / 3, True)
        self.taps = Tensor(rng.standard_normal((3, 8)).astype("float32"), True)
        self.rates = Tensor(-rng.uniform(0.5, 2, (2, 8)).astype("float32"), True)

    def forward(self, x):
        x = self.into(x)
        *lead, rows, _ = x.shape
        h = gru(x.reshape(*lead, STEPS, rows // STEPS, 24), self.weight)
        h = causal_convolution(h, self.taps)
        h = selective_scan(h, functional.softplus(h), self.rates, h[..., :2], h[..., 2:4])
        return h.reshape(*lead, rows, 8)


class Timesteps(nn.Module):
    """A layer that is told how many timesteps its rows are."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return self.layer(x, STEPS)


def attention(rng, **options):
    return Timesteps(nn.MultiHeadAttention(8, 2, rng=rng, **options))


# name: (the layer, drawn from a seed; what goes in, for two replicas)
LAYERS = {
    "embedding": (lambda rng: nn.Embedding(5, 3, rng=rng), IDS),
    "rms norm": (lambda rng: nn.RMSNorm(8), ROWS),
    "attention": (lambda rng: attention(rng), ROWS),
    "causal attention": (lambda rng: attention(rng, causal=True, rotary=True), ROWS),
    "convolution": (lambda rng: nn.Conv2d(2, 3, 3, padding=1, rng=rng), PICTURES),
    "convolution in strides": (lambda rng: nn.Conv2d(2, 3, 2, stride=2, rng=rng), PICTURES),
    "pooling": (
        lambda rng: nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, rng=rng), nn.MaxPool2d(2)),
        PICTURES,
    ),
    "averages": (
        lambda rng: nn.Sequential(nn.Conv2d(2, 3, 1, rng=rng), nn.AveragePool2d(2)),
        PICTURES,
    ),
    "scans": (lambda rng: Scan(rng), ROWS),
}
every_layer = pytest.mark.parametrize("make, x", LAYERS.values(), ids=LAYERS)


def as_input(x, dtype="float32"):
    return x if x.dtype.kind == "i" else x.astype(dtype)


@every_layer
def test_replicas_are_single_layers(make, x):
    x = as_input(x)
    together, singles = nn.stack(map(make, range(2))), list(map(make, range(2)))
    own = together(Tensor(x))
    shared = together(Tensor(x[0]))
    (own * own).sum().backward()
    for k, single in enumerate(singles):
        y = single(Tensor(x[k]))
        (y * y).sum().backward()
        np.testing.assert_allclose(own.data[k], y.data, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(shared.data[k], single(Tensor(x[0])).data, rtol=1e-5, atol=1e-6)
        for p, q in zip(together.parameters(), single.parameters()):
            np.testing.assert_allclose(p.grad[k], q.grad, rtol=1e-4, atol=1e-4)


@every_layer
def test_every_derivative(make, x):
    """By central differences, for each single parameter."""
    layer = make(0)
    for p in layer.parameters():
        p.data = p.data.astype("float64")
    x = Tensor(as_input(x[0], "float64"), requires_grad=x.dtype.kind == "f")
    g = np.random.default_rng(0).standard_normal(layer(x).shape)
    layer(x).backward(g)
    for leaf in layer.parameters() + [x] * x.requires_grad:
        change = np.zeros(leaf.shape)
        for place in np.ndindex(leaf.shape):
            was, values = leaf.data[place], []
            for step in (1e-6, -1e-6):
                leaf.data[place] = was + step
                values.append((g * layer(x).data).sum())
            leaf.data[place] = was
            change[place] = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose(leaf.grad, change, rtol=1e-6, atol=1e-7 * abs(change).max())


@every_layer
def test_the_stand_in_for_a_gpu(make, x):
    def run():
        layer = make(0)
        data = Tensor(backend.asarray(as_input(x[0])))
        with guard():
            y = layer(data)
            (y * y).sum().backward()
        return [y.data, *(p.grad for p in layer.parameters())]

    on_both(run)


@every_layer
@pytest.mark.parametrize("replicas", [False, True])
def test_a_compiled_step_is_the_eager_one(make, x, replicas):
    x = as_input(x if replicas else x[0])
    states = []
    for compiled in (False, True):
        layer = nn.stack(map(make, range(2))) if replicas else make(0)
        sgd = optim.SGD(layer.parameters(), lr=1e-3, momentum=0.9)

        def step(x, layer=layer, sgd=sgd):
            sgd.zero_grad()
            y = layer(Tensor(x))
            (y * y).sum().backward()
            sgd.step()
            return y.data

        step = minigrad.compile(step) if compiled else step
        outputs = [step(x).tobytes() for _ in range(4)]
        states.append(outputs + [p.data.tobytes() for p in layer.parameters()])
    assert states[0] == states[1]


# --- embedding -------------------------------------------------------------------------------


def test_a_row_looked_up_twice_gets_both_gradients():
    layer = nn.Embedding(4, 2, rng=0)
    layer(Tensor(np.array([1, 3, 1]))).backward(np.array([[1, 2], [3, 4], [5, 6]], "float32"))
    assert layer.weight.grad.tolist() == [[0, 0], [6, 8], [0, 0], [3, 4]]


@pytest.mark.parametrize("ids", [[0, 4], [-1, 2]])
def test_ids_outside_the_table_are_refused(ids):
    with pytest.raises(IndexError, match=rf"ids from {min(ids)} to {max(ids)} for a table of 4"):
        nn.Embedding(4, 2, rng=0)(Tensor(np.array(ids)))


def test_ids_are_integers():
    with pytest.raises(TypeError, match=r"x.astype\('int64'\)"):
        nn.Embedding(4, 2, rng=0)(Tensor([1.0]))


# --- attention -------------------------------------------------------------------------------


def test_heads_are_attention_side_by_side():
    """Against the formula, one head and one sequence at a time."""
    layer = nn.MultiHeadAttention(8, 2, causal=True, rng=0)
    x = as_input(ROWS[0])
    expected = np.zeros((4, 3, 8), "float32")
    for b, head in np.ndindex(3, 2):
        q, k, v = (
            (x @ part.weight.data).reshape(4, 3, 8)[:, b, 4 * head : 4 * head + 4]
            for part in (layer.query, layer.key, layer.value)
        )
        e = np.exp(q @ k.T / 2) * np.tri(4)
        expected[:, b, 4 * head : 4 * head + 4] = e / e.sum(axis=1, keepdims=True) @ v
    expected = expected.reshape(12, 8) @ layer.out.weight.data
    np.testing.assert_allclose(layer(Tensor(x), 4).data, expected, rtol=1e-4, atol=1e-6)


def test_causal_attention_does_not_see_what_comes_later():
    layer = nn.MultiHeadAttention(8, 2, causal=True, rotary=True, rng=0)
    x = as_input(ROWS[0])
    changed = x.copy()
    changed[9:] += 1  # the last timestep of all three sequences
    before, after = layer(Tensor(x), 4).data, layer(Tensor(changed), 4).data
    assert np.array_equal(before[:9], after[:9]) and not np.array_equal(before[9:], after[9:])
    weights = layer.weights(Tensor(x), 4)
    assert weights.shape == (3, 2, 4, 4) and not np.triu(weights, 1).any()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)


def test_turned_queries_and_keys_know_how_far_apart_they_are():
    """The product of two turned rows that were alike depends on the difference of their times."""
    q, k = (Tensor(np.tile(row, (9, 1))) for row in RNG.standard_normal((2, 6)))
    products = (functional.rotary(q) @ functional.rotary(k).mT).data
    for distance in range(-8, 9):
        np.testing.assert_allclose(np.ptp(np.diagonal(products, distance)), 0, atol=1e-12)
    assert np.ptp(products[0]) > 0.1


def test_what_cannot_be_attended_to_is_refused():
    x = Tensor(np.ones((3, 4)))
    with pytest.raises(ValueError, match="3 queries and 2 keys"):
        functional.attention(x, x[:2], x[:2], 1.0, causal=True)
    with pytest.raises(ValueError, match="num_heads=3 does not divide width=8"):
        nn.MultiHeadAttention(8, 3)
    with pytest.raises(ValueError, match="5 is odd"):
        functional.rotary(Tensor(np.ones((3, 5))))


# --- images ----------------------------------------------------------------------------------


def test_a_convolution_is_the_sum_over_a_window():
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1, rng=0)
    x = as_input(PICTURES[0])
    kernel = layer.linear.weight.data.reshape(3, 3, 2, 3)
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    expected = np.zeros((3, 3, 2, 3))
    for b, i, j, k in np.ndindex(expected.shape):
        window = padded[b, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        expected[b, i, j, k] = (window * kernel[..., k]).sum()
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-4, atol=1e-6)


def test_pooling_takes_each_tile_by_itself():
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    assert images.max_pool(Tensor(x), 2).data.ravel().tolist() == [5, 7, 13, 15]
    assert images.average_pool(Tensor(x), 2).data.ravel().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_what_does_not_fit_an_image_is_refused():
    x = Tensor(np.ones((2, 4, 6, 1)))
    with pytest.raises(ValueError, match=r"5 or more"):
        images.patches(x, 5)
    with pytest.raises(ValueError, match="3 x 3 do not fill an image of 4 x 6"):
        images.max_pool(x, 3)


# --- scans -----------------------------------------------------------------------------------


def test_a_held_input_is_followed_exactly():
    """dh/dt = A h + B x has a solution in closed form, h = (exp(A t) - 1) B x / A; how often the
    clock ticks on the way makes no difference."""
    A, B, x, time = (
        -RNG.uniform(0.1, 3, (4, 5)),
        RNG.standard_normal(4),
        RNG.standard_normal(5),
        2.0,
    )
    expected = (np.exp(A * time) - 1) / A * np.outer(B, x)  # (N, E)
    for steps in (1, 2, 50):
        drive, tick = np.tile(x, (steps, 1, 1)), np.full((steps, 1, 5), time / steps)
        for n in range(4):
            y = selective_scan(
                *map(Tensor, (drive, tick, A, np.tile(B, (steps, 1, 1)))),
                np.tile(np.eye(4)[n], (steps, 1, 1)),
            )
            np.testing.assert_allclose(y.data[-1, 0], expected[n], rtol=1e-12)


def test_a_short_step_loses_no_digits():
    """exp(step A) - 1, computed as it stands, would keep one digit of seven here."""
    one = np.ones((1, 1, 1), "float32")
    y = selective_scan(*map(Tensor, (one, 1e-6 * one, -one[0], one, one)))
    np.testing.assert_allclose(y.data, 1e-6, rtol=2e-6)


def test_the_recurrence_is_a_h_plus_b():
    """h[t] = a[t] h[t-1] + b[t], with a = exp(step A): the adjoint is the same scan backward."""
    T, E = 6, 3
    step, x = RNG.uniform(0.1, 1, (T, 1, E)), RNG.standard_normal((T, 1, E))
    one = Tensor(np.ones((T, 1, 1)))
    drive = Tensor(x, requires_grad=True)
    h = selective_scan(drive, Tensor(step), Tensor(-np.ones((1, E))), one, one)
    g = RNG.standard_normal(h.shape)
    h.backward(g)
    a = np.exp(-step)
    state, d = 0, np.zeros_like(g)
    for t in range(T):
        state = a[t] * state + (1 - a[t]) * x[t]
        np.testing.assert_allclose(h.data[t], state)
    for t in reversed(range(T)):
        d[t] = g[t] + (a[t + 1] * d[t + 1] if t + 1 < T else 0)
    np.testing.assert_allclose(drive.grad, d * (1 - a))


def test_a_selective_scan_is_one_launch_each_way():
    backend.activate(strict, "strict")
    launches = []
    for steps in (3, 30):
        x = Tensor(xp.ones((steps, 2, 3)), requires_grad=True)
        with strict.counting() as counters:
            y = selective_scan(
                x, x, -xp.ones((2, 3)), xp.ones((steps, 2, 2)), xp.ones((steps, 2, 2))
            )
            y.backward(xp.ones((steps, 2, 3)))
        launches.append(counters.launches)
    assert launches[0] == launches[1] < 30


def test_gates_that_are_open_or_shut():
    """z = 1 keeps the state, z = 0 replaces it; r = 0 hides it from the candidate."""
    big = 50.0
    x = np.zeros((3, 1, 3, 2))  # t, batch, [z, r, c], H
    x[:, 0, 0] = [[-big, -big], [big, -big], [big, -big]]
    x[:, 0, 1] = -big
    x[:, 0, 2] = [[1, 2], [3, 4], [5, 6]]
    weight = RNG.standard_normal((2, 6)) / 100
    h = gru(Tensor(x.reshape(3, 1, 6)), Tensor(weight)).data[:, 0]
    np.testing.assert_allclose(h, np.tanh([[1, 2], [1, 4], [1, 6]]), atol=1e-12)


def test_a_gru_shows_its_gates():
    x, weight = RNG.standard_normal((5, 2, 9)), RNG.standard_normal((3, 9))
    z, r, c, h = gru_trace(x, weight)
    assert z.shape == r.shape == c.shape == (5, 2, 3) and h.shape == (6, 2, 3)
    assert not h[0].any()
    np.testing.assert_allclose(h[1:], z * h[:-1] + (1 - z) * c)
    np.testing.assert_array_equal(gru(Tensor(x), Tensor(weight)).data, h[1:])


def test_a_gru_of_other_widths_is_refused():
    with pytest.raises(ValueError, match=r"\(\.\.\., H, 3H\), not \(5, 2, 9\) and \(3, 6\)"):
        gru(Tensor(np.ones((5, 2, 9))), Tensor(np.ones((3, 6))))


def test_weights_of_one_replica_serve_several_and_not_the_other_way_round():
    x, weight = RNG.standard_normal((3, 4, 2, 6)), RNG.standard_normal((1, 2, 6))
    several = gru(Tensor(x), Tensor(weight)).data
    for one, own in zip(several, x):
        np.testing.assert_allclose(one, gru(Tensor(own), Tensor(weight[0])).data)
    with pytest.raises(ValueError, match=r"the leading axes \(3,\) needs an x that has them"):
        gru(Tensor(x[:1]), Tensor(weight.repeat(3, axis=0)))


def test_scans_of_other_widths_are_refused():
    x, A, B = np.ones((5, 2, 3)), -np.ones((4, 3)), np.ones((5, 2, 4))
    with pytest.raises(ValueError, match="4 states of each of 3 channels"):
        selective_scan(*map(Tensor, (x, x, A, B, x)))
    with pytest.raises(ValueError, match=r"needs a weight \(..., K, 3\) with K > 0, not \(4, 1\)"):
        causal_convolution(Tensor(x), Tensor(np.ones((4, 1))))


def test_a_causal_convolution_looks_back():
    x = np.zeros((5, 1, 1))
    x[1] = 1
    y = causal_convolution(Tensor(x), Tensor(np.array([[1.0], [2.0], [3.0]])))
    assert y.data.ravel().tolist() == [0, 3, 2, 1, 0]


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_convolution_longer_than_the_sequence(steps):
    gradcheck(causal_convolution, (steps, 2, 3), (4, 3))
