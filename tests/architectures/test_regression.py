"""Regression: the law of total variance, objectives in nats, seeds and replicas."""

import math

import numpy as np
import pytest
from small_models import FEATURES, OPTIONS, reseed, small_data, to_float64

from architectures import build, list_architectures, regressor
from architectures.probabilistic.bayesian import kl
from architectures.regression import Regressor, decompose
from minigrad import Tensor, backend, fit, nn, optim, strict
from minigrad.gradcheck import gradcheck
from minigrad.training import training_step

N = 50
SAMPLING = ("bayesian", "mc_dropout")


def small_regressor(name, targets=2, rng=0, **options):
    options = OPTIONS[name] | options
    return regressor(name, targets, FEATURES, train_rows=N, rng=rng, **options)


def small_targets(*lead, targets=2):
    x, _ = small_data(*lead)
    return x, np.stack([np.sin(x.sum(axis=-1) + k) for k in range(targets)], axis=-1)


def test_variance_of_a_mixture_by_hand():
    """N(0, 1) and N(4, 9) in equal shares: mean 2, variance (1 + 9) / 2 + 4."""
    parts = decompose(np.array([[[0.0]], [[4.0]]]), np.log(np.array([[[1.0]], [[9.0]]])))
    found = {name: part.item() for name, part in parts.items()}
    assert found == pytest.approx({"mean": 2, "total": 9, "aleatoric": 5, "epistemic": 4})


def test_variance_of_a_mixture_by_drawing_from_it():
    rng = np.random.default_rng(0)
    mean, log_variance = rng.standard_normal((2, 5, 3, 1))
    parts = decompose(mean, log_variance)
    draws = mean + np.exp(log_variance / 2) * rng.standard_normal((40_000, 5, 3, 1))
    draws = draws.reshape(-1, 3, 1)
    np.testing.assert_allclose(parts["mean"].numpy(), draws.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(parts["total"].numpy(), draws.var(axis=0), rtol=0.02)


def test_a_variance_out_of_range_is_large_not_infinite():
    parts = decompose(np.zeros((2, 1, 1), "float32"), np.full((2, 1, 1), 1e4, "float32"))
    assert all(np.isfinite(part.item()) and part.dtype == "float32" for part in parts.values())


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_predicts_numbers(name):
    model, (x, y) = small_regressor(name), small_targets(4)
    parts = model.uncertainty(x, samples=3, rng=0)
    assert {part.shape for part in parts.values()} == {y.shape}
    np.testing.assert_array_equal(model.predict(x, samples=3, rng=0).numpy(), parts["mean"].numpy())
    if name not in SAMPLING:
        passes = []
        model.head.forward = lambda h: passes.append(h.shape) or nn.Linear.forward(model.head, h)
        model.uncertainty(x)
        assert passes[0][0] == 1
        del model.head.forward
        np.testing.assert_allclose(parts["epistemic"].numpy(), 0, atol=1e-12)
        assert model.uncertainty(x)["mean"].numpy() == pytest.approx(parts["mean"].numpy())
    assert model.loss(Tensor(x.astype("f")), y.astype("f")).shape == (4,)


@pytest.mark.parametrize("name", SAMPLING)
def test_the_samples_are_passes_of_the_network(name):
    model, (x, _) = small_regressor(name), small_targets()
    parts = model.uncertainty(x, samples=7, rng=[3, 1])
    with nn.noise_from(model, [3, 1]):
        mean, log_variance = model.eval()(Tensor(np.broadcast_to(x.astype("f"), (7, *x.shape))))
    mean, log_variance = mean.numpy(), log_variance.numpy()
    assert (mean.std(axis=0) > 0).all()
    np.testing.assert_array_equal(parts["mean"].numpy(), mean.mean(axis=0))
    np.testing.assert_allclose(parts["epistemic"].numpy(), mean.var(axis=0), rtol=1e-5)
    np.testing.assert_allclose(parts["aleatoric"].numpy(), np.exp(log_variance).mean(0), rtol=1e-5)
    again = model.uncertainty(x, samples=7, rng=[3, 1])
    assert all((again[k].numpy() == parts[k].numpy()).all() for k in parts)
    assert (model.uncertainty(x, samples=7)["mean"].numpy() != parts["mean"].numpy()).any()


@pytest.mark.parametrize("name", list_architectures())
def test_a_seed_names_all_that_is_drawn(name):
    a, b, c = (small_regressor(name, rng=seed).state_dict() for seed in (1, 1, 2))
    assert all((a[part] == b[part]).all() for part in a)
    drawn = [part for part in a if "weight" in part and "rho" not in part]
    assert drawn and all((a[part] != c[part]).any() for part in drawn)


def test_objectives_are_the_negative_log_likelihood_of_a_row_and_a_share_of_the_prior():
    x, y = small_targets()
    for name in ("mlp", *SAMPLING):
        model = to_float64(small_regressor(name))
        mean, log_variance = (out.numpy() for out in reseed(model)(Tensor(x)))
        density = np.exp(-((y - mean) ** 2) / (2 * np.exp(log_variance)))
        density /= np.sqrt(2 * math.pi * np.exp(log_variance))
        cost = -np.log(density.prod(axis=-1)).mean()
        if name == "bayesian":
            cost += kl(model).item() / N
        elif name == "mc_dropout":
            cost += model.decay().item() / N
        assert reseed(model).loss(Tensor(x), y).item() == pytest.approx(cost, rel=1e-9)


@pytest.mark.parametrize("name", ["mlp", *SAMPLING])
def test_gradients(name):
    x, y = small_targets()
    model = to_float64(small_regressor(name, activation="tanh"))
    parameters = model.parameters()

    def loss(*values):
        return reseed(nn.with_parameters(model, parameters, values)).loss(Tensor(x), y)

    gradcheck(loss, *(p.data for p in parameters))


def test_the_variance_has_a_floor_and_grows_no_faster_than_what_the_head_gives():
    model = small_regressor("mlp", targets=1, dropout=0.0)
    model.head.weight.data[...] = 0
    for s, variance in ((-1e4, 1e-6), (-20.0, 1e-6), (0.0, np.log(2)), (1e4, 1e4)):
        model.head.bias.data[...] = 0.5, s
        parts = model.uncertainty(np.zeros((1, FEATURES)))
        assert parts["mean"].item() == 0.5
        assert parts["aleatoric"].item() == pytest.approx(variance, rel=3e-3)


def test_replicas_are_single_regressors():
    x, y = small_targets(2)
    models = [small_regressor("mlp", rng=k, dropout=0.0) for k in range(2)]
    stack = nn.stack(models)
    for k, model in enumerate(models):
        for part, whole in zip(model.uncertainty(x[k]).values(), stack.uncertainty(x).values()):
            np.testing.assert_allclose(part.numpy(), whole.numpy()[k], rtol=1e-5)
    x, y = x.astype("f"), y.astype("f")
    fit(stack, x, y, type(stack).loss, optim.Adam(stack.parameters()), epochs=2, compiled=True)
    for k, model in enumerate(models):
        fit(model, x[k], y[k], type(model).loss, optim.Adam(model.parameters()), epochs=2)
        np.testing.assert_allclose(
            model.predict(x[k]).numpy(), stack.predict(x).numpy()[k], rtol=1e-4, atol=1e-5
        )


def test_it_learns_where_data_scatter():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 1)).astype("float32")
    sigma = np.where(x > 0, 0.4, 0.1)
    y = (x + sigma * rng.standard_normal(x.shape)).astype("float32")
    model = regressor("mlp", 1, 1, train_rows=400, hidden_sizes=(16,), dropout=0.0, rng=0)
    adam = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x, y, type(model).loss, adam, epochs=60, compiled=True)
    learnt = np.sqrt(model.uncertainty(np.array([[-0.6], [0.6]]))["aleatoric"].numpy())[:, 0]
    np.testing.assert_allclose(learnt, [0.1, 0.4], rtol=0.25)


def test_a_head_of_ones_own_is_taken():
    head = nn.Linear(8, 2, rng=0)
    own = Regressor(build("mlp", 3, hidden_sizes=(8,), rng=0), train_rows=5, head=head)
    assert own.head is head


def test_what_makes_no_sense_is_refused():
    model = small_regressor("mlp")
    with pytest.raises(ValueError, match="targets must be a whole number and must be above 0"):
        Regressor(model.backbone, 0, train_rows=N)
    with pytest.raises(ValueError, match=r"give y\[..., None\]"):
        model.loss(Tensor(np.zeros((5, FEATURES), "f")), np.zeros(5, "f"))
    with pytest.raises(ValueError, match="samples must be"):
        model.uncertainty(np.zeros((5, FEATURES)), samples=0)


@pytest.mark.parametrize("name", ["mlp", *SAMPLING])
def test_on_the_stand_in_for_a_gpu_a_step_gives_the_same_and_waits_for_nothing(name):
    x, y = (array.astype("f") for array in small_targets(2))

    def losses():
        stack = nn.stack(small_regressor(name, rng=k) for k in range(2))
        rates = {"lr": [1e-2, 1e-3], "weight_decay": [0.0, 0.1]}
        step = training_step(stack, type(stack).loss, optim.AdamW(stack.parameters(), **rates))
        batch = Tensor(x), Tensor(y)
        step(*batch)
        with strict.counting() as counters:
            last = step(*batch)
        return backend.to_numpy(last), counters

    expected, _ = losses()
    backend.activate(strict, "strict")
    found, counters = losses()
    np.testing.assert_array_equal(found, expected)
    assert counters.synchronisations == 0 < counters.launches < 200
