"""Energies: Langevin dynamics against its exact distribution, contrastive divergence, JEM."""

import math

import numpy as np
import pytest
from small_models import reseed

from architectures import build, classifier
from architectures.energy.langevin import PersistentChains, langevin
from minigrad import Tensor, fit, functional, nn, optim
from minigrad.backend import Noise

CENTRE = np.array([1.0, -2.0])
PRECISION = np.array([[2.0, 0.8], [0.8, 1.0]])


def quadratic(x):
    """The energy of a normal distribution with mean CENTRE and covariance PRECISION^-1."""
    d = x - CENTRE
    return ((d @ PRECISION) * d).sum(axis=-1) / 2


class Silence:
    """A generator without noise."""

    def standard_normal(self, shape, dtype):
        return np.zeros(shape, dtype)

    random = standard_normal


def points(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


# --- Langevin dynamics ------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.05, 0.4])
def test_a_quadratic_energy_gives_its_normal_distribution(step):
    chains = 10_000
    x = np.full((chains, 2), 4.0)
    x = langevin(quadratic, x, round(30 / step), step, Noise(0))
    # Finite steps widen the distribution: C = M C M + step, where M = 1 - step/2 PRECISION, has the
    # solution C = (PRECISION (1 - step/4 PRECISION))^-1.
    covariance = np.linalg.inv(PRECISION @ (np.eye(2) - step / 4 * PRECISION))
    std = np.sqrt(np.diag(covariance))
    assert (np.abs(x.mean(axis=0) - CENTRE) < 4.5 * std / math.sqrt(chains)).all()
    error = np.outer(std, std) * math.sqrt(2 / chains)
    assert (np.abs(np.cov(x.T) - covariance) < 4.5 * error).all()


def test_for_small_steps_that_is_the_distribution_of_the_energy():
    # From 10,000 points of the distribution itself, drawn by another way: they stay there.
    rng = np.random.default_rng(1)
    exact = np.linalg.inv(PRECISION)
    start = rng.multivariate_normal(CENTRE, exact, 10_000)
    x = langevin(quadratic, start, 200, 0.02, Noise(0))
    error = np.sqrt(np.outer(np.diag(exact), np.diag(exact)) * 2 / len(x))
    assert (np.abs(np.cov(x.T) - exact) < 4.5 * error).all()
    assert np.abs(np.cov(x.T, start.T)[:2, 2:]).max() < 0.5 * exact.max()  # and have moved
    assert np.abs(x - start).max() > 1


def test_a_step_is_exactly_half_a_gradient_and_the_noise_that_was_drawn():
    x, steps = points(3, 5, 2).astype("float64"), 4
    noise, expected = Noise(7), x
    for _ in range(steps):
        n = noise.standard_normal(x.shape, dtype=x.dtype)
        expected = expected - 0.3 / 2 * (expected - CENTRE) @ PRECISION + math.sqrt(0.3) * n
    np.testing.assert_allclose(langevin(quadratic, x, steps, 0.3, Noise(7)), expected, atol=1e-12)


def test_without_noise_a_step_is_half_a_gradient_step():
    x = points(3, 5, 2).astype("float64")
    expected = x - 0.3 / 2 * (x - CENTRE) @ PRECISION
    np.testing.assert_allclose(langevin(quadratic, x, 1, 0.3, Silence()), expected, atol=1e-12)


def test_the_noise_has_the_variance_of_the_step():
    x = langevin(lambda x: (0 * x).sum(axis=-1), np.zeros((20_000, 2)), 3, 0.3, Noise(0))
    assert x.var() == pytest.approx(3 * 0.3, rel=0.03)


def test_the_box_keeps_every_coordinate():
    far = 10 * points(50, 2)
    x = langevin(lambda x: -(x * x).sum(axis=-1), far, 5, 0.1, Noise(0), box=(-2, 3))
    assert x.min() == -2 and x.max() == 3
    assert np.abs(far).max() > 10  # the starting points are not written to


# --- persistent chains ------------------------------------------------------------------------


def flat(x):
    return (0 * x).sum(axis=-1)


def test_chains_take_turns_and_go_on_where_they_were_left():
    chains = PersistentChains(2, count=6, steps=1, step_size=1.0, restart=0.0, rng=0)
    chains.noise = Silence()

    def drift(x):  # each visit moves a chain to the left by 1/2
        return x.sum(axis=-1)

    chains.chains[...] = np.arange(6.0)[:, None]
    first, second = chains.advance(drift, 3), chains.advance(drift, 3)
    np.testing.assert_allclose(first[:, 0], [-0.5, 0.5, 1.5])
    np.testing.assert_allclose(second[:, 0], [2.5, 3.5, 4.5])
    again = chains.advance(drift, 3)
    np.testing.assert_allclose(again[:, 0], [-1, 0, 1])
    np.testing.assert_allclose(chains.chains[:, 0], [-1, 0, 1, 2.5, 3.5, 4.5])


def test_what_is_handed_out_is_not_the_chains_themselves():
    chains = PersistentChains(2, count=6, steps=1, rng=0)
    out = chains.advance(flat, 6)
    out[...] = 99
    assert np.abs(chains.chains).max() <= 6


def test_all_chains_move_where_there_are_fewer_than_asked_for():
    chains = PersistentChains(2, count=6, steps=1, rng=0)
    assert chains.advance(flat, 10).shape == (6, 2)
    chains.advance(flat, 3)  # and in the middle of their turns
    assert chains.advance(flat, 10).shape == (6, 2)


@pytest.mark.parametrize(
    "options",
    [{"count": 0}, {"steps": -1}, {"step_size": 0.0}, {"restart": 1.5}, {"box": (1.0, 1.0)}],
)
def test_chains_that_cannot_be_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PersistentChains(2, **options)


@pytest.mark.parametrize("restart", [0.0, 0.05, 1.0])
def test_a_share_of_the_chains_restarts_anywhere_in_the_box(restart):
    box = (-1.0, 3.0)
    chains = PersistentChains(2, count=4000, steps=0, box=box, restart=restart, rng=0)
    before = chains.chains.copy()
    after = chains.advance(flat, 4000)
    restarted = (after != before).any(axis=-1)
    assert (after != before)[restarted].all()
    assert abs(restarted.mean() - restart) <= 4.5 * math.sqrt(restart * (1 - restart) / 4000)
    if restart:
        fresh = after[restarted]
        assert fresh.min() < -0.9 and fresh.max() > 2.9 and abs(fresh.mean() - 1) < 0.25
    for x in (before, after):
        assert x.min() >= -1 and x.max() <= 3 and x.dtype == "float32"


def test_in_a_stack_each_replica_has_chains_of_its_own():
    stacked = nn.stack([PersistentChains(2, count=6, steps=1, rng=k) for k in range(3)])
    moved = stacked.advance(flat, 4)
    assert moved.shape == (3, 4, 2) and stacked.chains.shape == (3, 6, 2)
    assert len(np.unique(moved)) == moved.size


# --- the density model ------------------------------------------------------------------------


def test_the_feature_is_the_scalar_energy():
    model = build("ebm", 2, (5,), rng=0)
    x = Tensor(points(4, 2))
    assert model.output_size == 1 and model(x).shape == (4, 1)
    w, b, v, c = (p.data for p in model.parameters())
    z = x.data @ w + b
    np.testing.assert_allclose(
        model.energy(x).numpy(), (z / (1 + np.exp(-z)) @ v + c)[:, 0], atol=1e-6
    )


@pytest.mark.parametrize("frozen_before", [False, True])
def test_sampling_leaves_no_gradient_on_the_parameters(frozen_before):
    model = build("ebm", 2, (5,), rng=0)
    model.parameters()[0].requires_grad = not frozen_before
    before = model.state_dict()
    samples = model.sample(7, steps=4, rng=0)
    assert samples.shape == (7, 2) and not samples.requires_grad
    assert all(p.grad is None for p in model.parameters())
    assert model.parameters()[0].requires_grad is not frozen_before
    assert all(p.requires_grad for p in model.parameters()[1:])
    assert all(np.array_equal(before[name], a) for name, a in model.state_dict().items())


def test_samples_stay_in_the_box_and_follow_their_seed():
    stacked = nn.stack([build("ebm", 2, (5,), rng=k) for k in range(2)])
    a, b, c = (stacked.sample(50, steps=5, rng=seed).numpy() for seed in (0, 0, 1))
    assert a.shape == (2, 50, 2) and np.abs(a).max() <= 6
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("native", [False, True])
def test_drawing_negatives_leaves_no_gradient_on_the_parameters(native):
    model = classifier("ebm", 3, 2, train_rows=9, native=native, hidden_sizes=(5,), rng=0)
    x, y = points(9, 2), np.arange(9) % 3
    if native:
        loss = model.loss(Tensor(x), y)
        assert model.sample(4, steps=2, rng=0).shape == (4, 2)
    else:
        loss = model.backbone.contrastive_divergence(x)
    assert all(p.grad is None for p in model.parameters())
    assert all(p.requires_grad for p in model.parameters())
    loss.backward()
    assert model.parameters()[0].grad is not None


def known_negatives(model, z):
    model.chains.advance = lambda energy, count: z
    return model


def test_contrastive_divergence_by_hand():
    z = points(8, 2)[::-1] + 1
    model = known_negatives(build("ebm", 2, (5,), penalty=0.3, rng=0), z)
    x = points(8, 2)
    up, down = model.energy(Tensor(x)).numpy(), model.energy(Tensor(z)).numpy()
    expected = up.mean() - down.mean() + 0.3 * ((up**2).mean() + (down**2).mean())
    assert model.contrastive_divergence(x).item() == pytest.approx(expected, abs=1e-6)


def test_the_negatives_are_as_many_as_the_data_and_move_under_the_energy():
    model = build("ebm", 2, (5,), rng=0)
    asked = []

    def advance(energy, count):
        x = points(count, 2)
        asked.append((count, np.array_equal(energy(Tensor(x)).data, model.energy(Tensor(x)).data)))
        return x

    model.chains.advance = advance
    model.contrastive_divergence(points(8, 2))
    assert asked == [(8, True)]


def test_negatives_of_ones_own_leave_the_chains_alone():
    model, x, z = build("ebm", 2, (5,), rng=0), points(8, 2), points(3, 2) + 1
    chains = model.chains.chains.copy()
    loss = model.contrastive_divergence(x, negatives=z).item()
    assert np.array_equal(model.chains.chains, chains)
    up, down = model.energy(Tensor(x)).numpy(), model.energy(Tensor(z)).numpy()
    expected = up.mean() - down.mean() + 0.01 * ((up**2).mean() + (down**2).mean())
    assert loss == pytest.approx(expected, abs=1e-6)


def test_contrastive_divergence_lowers_the_energy_of_data_below_that_of_noise():
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((256, 2)) * [0.5, 0.3] + [2, -1]).astype("float32")
    model = build("ebm", 2, (32, 32), rng=0)
    noise = Tensor(rng.uniform(-6, 6, (1000, 2)).astype("float32"))

    def gap():
        return model.energy(noise).numpy().mean() - model.energy(Tensor(x)).numpy().mean()

    before = gap()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x, np.zeros(256), lambda m, x, y: m.contrastive_divergence(x), optimizer, epochs=12)
    assert abs(before) < 1 and gap() > 3
    samples = model.sample(300, steps=300, rng=0).numpy()
    np.testing.assert_allclose(np.median(samples, axis=0), [2, -1], atol=0.4)


# --- the joint energy model -------------------------------------------------------------------


def test_native_the_logits_are_energies_of_points_with_labels():
    model = classifier("ebm", 3, 2, train_rows=9, native=True, hidden_sizes=(5,), rng=0)
    names = [name for name, _ in model.named_parameters()]
    assert not any("readout" in name for name in names) and model.head.weight.shape == (5, 3)


@pytest.mark.parametrize("weight, penalty", [(0.1, 0.01), (2.0, 0.5)])
def test_the_native_objective_by_hand(weight, penalty):
    options = {"hidden_sizes": (5,), "weight": weight, "penalty": penalty}
    model = classifier("ebm", 3, 2, train_rows=9, native=True, **options, rng=0)
    x, y, z = points(9, 2), np.arange(9) % 3, points(9, 2)[::-1] + 1
    known_negatives(model, z)
    f, f_z = model(Tensor(x)).numpy(), model(Tensor(z)).numpy()
    up, down = -np.log(np.exp(f).sum(axis=-1)), -np.log(np.exp(f_z).sum(axis=-1))
    cross_entropy = (-f[range(9), y] - up).mean()
    contrast = up.mean() - down.mean() + penalty * ((up**2).mean() + (down**2).mean())
    loss = model.loss(Tensor(x), y).item()
    assert loss == pytest.approx(cross_entropy + weight * contrast, abs=1e-5)


def test_the_energies_of_the_joint_model():
    model = classifier("ebm", 3, 2, train_rows=9, native=True, hidden_sizes=(5,), rng=0)
    x = Tensor(points(9, 2))
    expected = -np.log(np.exp(model(x).numpy()).sum(axis=-1))
    np.testing.assert_allclose(model.energy(x).numpy(), expected, rtol=1e-5)


def test_the_joint_model_samples_all_classes_or_one():
    model = classifier("ebm", 2, 2, train_rows=9, native=True, hidden_sizes=(), rng=0)
    # Without hidden layers the logits are x W + b; class 0 gets x_0 < 0, class 1 x_0 > 0.
    model.head.weight.data[...] = [[-4, 4], [0, 0]]
    options = {"steps": 100, "step_size": 0.1, "rng": 0}
    means = [model.sample(200, label=c, **options).numpy()[:, 0].mean() for c in (0, 1)]
    assert means[0] < -5 and means[1] > 5
    both = model.sample(200, **options).numpy()[:, 0]
    assert (both < -4).sum() > 50 and (both > 4).sum() > 50
    assert all(p.grad is None for p in model.parameters())
    for label in (-1, 2, "a"):
        with pytest.raises(ValueError, match=r"label must be in 0 ... 1"):
            model.sample(5, label=label)


def test_native_negatives_move_under_minus_logsumexp_of_the_logits():
    model = classifier("ebm", 3, 2, train_rows=9, native=True, hidden_sizes=(5,), rng=0)
    chains, x = model.chains, points(9, 2)
    chains.steps, chains.restart = 1, 0.0
    before = chains.chains[:9].copy()
    reseed(model)
    chains.noise = Silence()
    model.loss(Tensor(x), np.arange(9) % 3)
    point = Tensor(before, requires_grad=True)
    functional.logsumexp(model(point)).sum().backward()
    np.testing.assert_allclose(chains.chains[:9], before + 0.01 * point.grad, atol=1e-6)
