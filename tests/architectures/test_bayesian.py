"""Bayes by Backprop: the KL, fresh noise, and averages that converge."""

import math

import numpy as np
import pytest
from small_models import Recorder, reseed, set_generators, to_float64

from architectures import build, classifier
from architectures.probabilistic.bayesian import (
    BayesianLinear,
    kl,
    mean_weights,
    minibatch_shares,
    scale_mixture,
)
from minigrad import Tensor, fit, functional, nn, optim
from minigrad.gradcheck import gradcheck


def layer(inputs=3, outputs=2, *, sigma=1.0, rho=-1.0, seed=0):
    """A layer whose means and scales are all different."""
    result = BayesianLinear(inputs, outputs, prior_sigma=sigma, posterior_rho=rho, rng=seed)
    rng = np.random.default_rng(seed)
    for p in result.parameters():
        p.data = (p.data + 0.3 * rng.standard_normal(p.shape)).astype("float64")
    return result


def posterior(linear):
    """(mu, sigma) of the weights and of the biases."""
    return [
        (mu.data, np.log(1 + np.exp(rho.data)))
        for mu, rho in (
            (linear.weight_mu, linear.weight_rho),
            (linear.bias_mu, linear.bias_rho),
        )
    ]


# --- the KL ----------------------------------------------------------------------------------


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
def test_kl_by_quadrature(s):
    linear = layer(sigma=s)
    expected = 0
    for mus, sigmas in posterior(linear):
        for mu, sigma in zip(mus.ravel(), sigmas.ravel()):
            w, step = np.linspace(mu - 12 * sigma, mu + 12 * sigma, 4001, retstep=True)
            log_q = -((w - mu) ** 2) / (2 * sigma**2) - math.log(sigma)
            log_p = -(w**2) / (2 * s**2) - math.log(s)
            q = np.exp(log_q) / math.sqrt(2 * math.pi)
            expected += (q * (log_q - log_p)).sum() * step
    assert linear.kl().item() == pytest.approx(expected, rel=1e-9)


def test_kl_by_monte_carlo():
    linear, s, draws = layer(sigma=0.8), 0.8, 40_000
    rng = np.random.default_rng(0)
    log_ratio = 0
    for mu, sigma in posterior(linear):
        eps = rng.standard_normal((draws, *mu.shape))
        w = mu + sigma * eps
        terms = -(eps**2) / 2 - np.log(sigma) + w**2 / (2 * s**2) + math.log(s)
        log_ratio = log_ratio + terms.sum(axis=(-1, -2))
    error = log_ratio.std() / math.sqrt(draws)
    assert abs(linear.kl().item() - log_ratio.mean()) < 4 * error < 0.1


def test_kl_of_the_prior_itself_is_0():
    linear = layer(sigma=1.3)
    for mu, rho in ((linear.weight_mu, linear.weight_rho), (linear.bias_mu, linear.bias_rho)):
        mu.data[...] = 0
        rho.data[...] = math.log(math.expm1(1.3))
    assert linear.kl().item() == pytest.approx(0, abs=1e-12)


def test_kl_of_a_network_sums_all_layers_the_native_head_too():
    model = classifier("bayesian", 3, 2, train_rows=10, native=True, hidden_sizes=(4,), rng=0)
    layers = [*model.backbone.layers, model.head]
    assert len(layers) == 3
    assert kl(model).item() == pytest.approx(sum(part.kl().item() for part in layers))
    shared = classifier("bayesian", 3, 2, train_rows=10, hidden_sizes=(4,), rng=0)
    assert isinstance(shared.head, nn.Linear)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_native_objective_is_cross_entropy_plus_kl_per_training_point(temperature):
    model = classifier("bayesian", 3, 2, train_rows=40, native=True, temperature=temperature, rng=0)
    x = Tensor(np.random.default_rng(0).standard_normal((8, 2)).astype("float32"))
    y = np.arange(8) % 3
    cross_entropy = functional.cross_entropy(reseed(model)(x), y).item()
    expected = cross_entropy + temperature * kl(model).item() / 40
    assert reseed(model).loss(x, y).item() == pytest.approx(expected, rel=1e-6)


def test_the_number_of_parameters_of_the_comparison():
    options = {"hidden_sizes": (64, 32), "output_size": 16}
    model = classifier("bayesian", 5, 2, train_rows=800, native=True, **options)
    assert sum(p.size for p in model.parameters()) == 5770


# --- the paper's prior and its minibatches ----------------------------------------------------


def mixture_density(w, pi, first, second):
    def normal(sigma):
        return np.exp(-(w**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))

    return pi * normal(first) + (1 - pi) * normal(second)


def test_the_scale_mixture_is_a_density_by_eq_7():
    w, step = np.linspace(-12, 12, 400_001, retstep=True)
    for options in ((0.25, 1.0, 0.01), (0.75, 1.5, 0.5)):
        log_p = scale_mixture(*options)(Tensor(w)).numpy()
        np.testing.assert_allclose(np.exp(log_p), mixture_density(w, *options), rtol=1e-9)
        assert np.exp(log_p).sum() * step == pytest.approx(1, abs=1e-6)
    far = scale_mixture()(Tensor(np.array([1e4, 0.0], "float32"))).numpy()
    assert np.isfinite(far).all() and far.dtype == "float32"
    with pytest.raises(ValueError, match="rest_of_pi must be above 0"):
        scale_mixture(pi=1.0)
    with pytest.raises(ValueError, match="log_prior is a function of the weights, not 'mixture'"):
        build("bayesian", 2, log_prior="mixture")


def test_kl_against_the_mixture_is_right_on_average():
    options, draws = (0.4, 1.0, 0.1), 4000
    linear = layer()
    expected = 0
    for mus, sigmas in posterior(linear):
        for mu, sigma in zip(mus.ravel(), sigmas.ravel()):
            w, step = np.linspace(mu - 12 * sigma, mu + 12 * sigma, 4001, retstep=True)
            q = np.exp(-((w - mu) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
            p = mixture_density(w, *options)
            expected += (q * (np.log(np.maximum(q, 1e-300)) - np.log(p))).sum() * step
    linear.log_prior = scale_mixture(*options)
    many = nn.stack([linear] * draws)  # each replica draws its own
    found = many.kl().numpy()
    error = found.std() / math.sqrt(draws)
    assert abs(found.mean() - expected) < 4 * error < 0.2


def test_a_normal_log_prior_agrees_with_the_closed_form():
    linear, draws, s = layer(sigma=0.8), 4000, 0.8
    closed = linear.kl().item()
    linear.log_prior = lambda w: -(w * w) / (2 * s * s) - math.log(s * math.sqrt(2 * math.pi))
    found = nn.stack([linear] * draws).kl().numpy()
    assert abs(found.mean() - closed) < 4 * found.std() / math.sqrt(draws) < 0.1


def test_gradients_through_the_mixture():
    model = to_float64(build("bayesian", 2, (3,), output_size=2, log_prior=scale_mixture(), rng=0))
    parameters = model.parameters()

    def cost(*values):
        return kl(reseed(nn.with_parameters(model, parameters, values)))

    gradcheck(cost, *(p.data for p in parameters))


def test_a_network_with_the_papers_prior_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    model = classifier(
        "bayesian", 2, 2, (8,), train_rows=200, native=True, log_prior=scale_mixture(), rng=0
    )
    adam = optim.Adam(model.parameters(), lr=1e-2)
    history = fit(model, x, y, type(model).loss, adam, epochs=30, compiled=True)
    assert history.losses[-1] < history.losses[0]
    assert (model.predict_proba(x, rng=0).numpy().argmax(axis=-1) == y).mean() > 0.9


@pytest.mark.parametrize("count", [1, 2, 5, 5000])
def test_minibatch_shares_are_those_of_eq_9(count):
    shares = minibatch_shares(count)
    assert sum(shares) == pytest.approx(count)
    for i, share in enumerate(shares[:20], start=1):
        assert share / count == pytest.approx(2 ** (count - i) / (2**count - 1))


def test_the_objectives_of_an_epoch_sum_to_the_bound():
    """Whatever the shares: sum_i B F_i = KL + the cross-entropy of all N rows."""
    model = classifier("bayesian", 3, 2, (4,), train_rows=12, native=True, rng=0)
    x = np.random.default_rng(0).standard_normal((12, 2)).astype("float32")
    y = np.arange(12) % 3
    with mean_weights(model):
        parts = [
            4 * (functional.cross_entropy(model(Tensor(x[i : i + 4])), y[i : i + 4]).item())
            + 4 * share / 12 * kl(model).item()
            for share, i in zip(minibatch_shares(3), (0, 4, 8))
        ]
        whole = 12 * functional.cross_entropy(model(Tensor(x)), y).item() + kl(model).item()
    assert sum(parts) == pytest.approx(whole, rel=1e-5)


# --- noise -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_weights_are_mean_plus_sigma_times_noise(lead):
    linear = layer()
    linear.noise = Recorder(0)
    x = np.random.default_rng(1).standard_normal((*lead, 4, 3))
    y = linear(Tensor(x)).numpy()
    (w_mu, w_sigma), (b_mu, b_sigma) = posterior(linear)
    w_eps, b_eps = linear.noise.drawn
    assert w_eps.shape == (*lead, 3, 2) and b_eps.shape == (*lead, 1, 2)
    expected = x @ (w_mu + w_sigma * w_eps) + b_mu + b_sigma * b_eps
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_the_start_is_glorot_means_and_small_noise():
    linear = BayesianLinear(30, 50, prior_sigma=1.0, posterior_rho=-3.0, rng=0)
    assert np.abs(linear.weight_mu.data).max() <= math.sqrt(6 / 80)
    assert not linear.bias_mu.data.any()
    for _, sigma in posterior(linear):
        np.testing.assert_allclose(sigma, 0.04859, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_noise_is_fresh_in_each_pass_for_each_sample_and_replica(training):
    net = build("bayesian", 2, (4,), output_size=3, rng=0).train(training)
    x = np.ones((1, 2), "float32")
    assert not np.array_equal(net(Tensor(x)).numpy(), net(Tensor(x)).numpy())
    samples = net(Tensor(np.broadcast_to(x, (6, 1, 2)))).numpy()
    assert len(np.unique(samples[:, 0, 0])) == 6
    clones = nn.stack([net, net, net])
    assert len(np.unique(clones(Tensor(x)).numpy()[:, 0, 0])) == 3
    both = clones(Tensor(np.broadcast_to(x, (4, 3, 1, 2)))).numpy()
    assert len(np.unique(both[..., 0, 0])) == 12


def test_all_points_of_a_batch_see_the_same_weights():
    net = build("bayesian", 2, (4,), output_size=3, rng=0)
    y = net(Tensor(np.ones((5, 2), "float32"))).numpy()
    np.testing.assert_allclose(y, y[:1].repeat(5, axis=0), atol=1e-6)


def test_many_draws_have_the_mean_weights_output_as_their_mean():
    linear, draws = layer(), 20_000
    x = np.random.default_rng(1).standard_normal((4, 3))
    y = linear(Tensor(np.broadcast_to(x, (draws, 4, 3)))).numpy()
    (w_mu, w_sigma), (b_mu, b_sigma) = posterior(linear)
    std = np.sqrt(x**2 @ w_sigma**2 + b_sigma**2)
    assert (np.abs(y.mean(axis=0) - (x @ w_mu + b_mu)) < 4.5 * std / math.sqrt(draws)).all()
    np.testing.assert_allclose(y.std(axis=0), std, rtol=0.03)


# --- prediction ------------------------------------------------------------------------------


def test_prediction_averages_the_softmax_over_samples():
    model = classifier(
        "bayesian", 3, 2, train_rows=10, native=True, posterior_rho=-1.0, samples=6, rng=0
    )
    x = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    logits = reseed(model)(Tensor(np.broadcast_to(x, (6, 5, 2)))).numpy().astype("float64")
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    proba = reseed(model).predict_proba(x).numpy()
    np.testing.assert_allclose(proba, p.mean(axis=0), atol=1e-6)
    mean = np.exp(logits.mean(axis=0))
    assert np.abs(proba - mean / mean.sum(axis=-1, keepdims=True)).max() > 0.001


def test_as_many_samples_as_asked_for():
    model = classifier("bayesian", 3, 2, train_rows=10, samples=7, rng=0)
    set_generators(model, Recorder)
    model.predict_proba(np.zeros((5, 2), "float32"))
    for linear in model.backbone.layers:
        assert [eps.shape[0] for eps in linear.noise.generator.drawn] == [7, 7]


def test_prediction_from_the_mean_weights():
    model = classifier("bayesian", 3, 2, (4,), train_rows=10, native=True, posterior_rho=0.0, rng=0)
    x = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    mu, head = [p.data for p in model.parameters() if p.shape[0] > 1][::2], model.head
    with mean_weights(model):
        proba = model.predict_proba(x).numpy()
        assert (model.uncertainty(x)["epistemic"].numpy() < 1e-6).all()
    logits = np.maximum(x @ mu[0], 0) @ mu[1] @ head.weight_mu.data  # the biases are 0
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(proba, expected, atol=1e-6)
    assert (model.uncertainty(x)["epistemic"].numpy() > 0.01).all()


def test_uncertainty_is_that_of_the_samples():
    model = classifier("bayesian", 3, 2, train_rows=10, posterior_rho=0.0, rng=0)
    x = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    parts = {k: v.numpy() for k, v in reseed(model).uncertainty(x).items()}
    np.testing.assert_allclose(parts["mean"], reseed(model).predict_proba(x).numpy(), rtol=1e-6)
    entropy = -(parts["mean"] * np.log(parts["mean"])).sum(axis=-1)
    np.testing.assert_allclose(parts["total"], entropy, rtol=1e-5)
    assert (parts["epistemic"] > 0.01).all()
    each = reseed(model).sample_proba(x).numpy()
    expected = -(each * np.log(np.maximum(each, 1e-30))).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(parts["aleatoric"], expected, rtol=1e-5)
    np.testing.assert_allclose(parts["epistemic"], entropy - expected, rtol=1e-4, atol=1e-6)
