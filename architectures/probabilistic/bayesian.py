"""Bayes by Backprop: a network with a distribution over its weights.

Many weights explain the same data, and training picks one set of them as if it were the truth. It
shows where a network trained again, from another seed, says something else about the same point,
and as surely.

Keeping a distribution over the weights makes that doubt a number.

Blundell et al., "Weight Uncertainty in Neural Networks", ICML 2015.

    symbol    name                                    shape
    mu, rho   mean and scale parameter of q           as the weight w: (..., D, H), (..., 1, H)
    sigma     standard deviation, softplus(rho)       as w
    eps       standard normal noise                   as w, with an axis in front per sample
    p(w)      prior N(0, prior_sigma^2)
    q(w)      variational posterior N(mu, sigma^2)
    N         training points                         scalar

    w = mu + softplus(rho) eps                                                       section 3.2
    KL(q || p) = sum_w log(s / sigma) + (sigma^2 + mu^2) / (2 s^2) - 1/2,  s = prior_sigma
    F = KL(q || p) - E_q[log p(D | w)]                                               Eq. 1
    p(w) = pi N(w; 0, sigma_1^2) + (1 - pi) N(w; 0, sigma_2^2)     `scale_mixture`   Eq. 7
    share of the KL in minibatch i of M: 2^(M - i) / (2^M - 1)  `minibatch_shares`   Eq. 9

F, the negative evidence lower bound, is a sum over N points; a mean cross-entropy is 1/N of its
second term, so that the native objective is cross-entropy + KL / N. Prediction averages the softmax
over weight samples. One eps is drawn for each forward pass, and for each leading index of the
input: so replicas never share noise, and S samples are one pass over x with a leading axis S.

Deviations: by default a Gaussian prior with its KL in closed form, and the same share of it in each
minibatch; a prior such as the paper's, that has no closed form, is sampled with a draw of its own,
while E_q[log q] stays exact; an optional temperature on the KL (1, the honest bound, by default).
"""

import math
from contextlib import contextmanager
from itertools import pairwise

from minigrad import functional, init, nn, op
from minigrad.backend import Kernel, Noise, Sum, host_rng, xp
from minigrad.checks import (
    check_not_negative,
    check_numbers,
    check_positive,
    check_sizes,
    check_widths,
)
from minigrad.engine import Tensor
from minigrad.functional.activations import logistic_in_cuda
from minigrad.ops import log

from ..regression import Regressor
from ..uncertainty import SamplingClassifier

LOG_ROOT = math.log(2 * math.pi) / 2  # -log N(0; 0, 1)


class BayesianLinear(nn.Module):
    """x @ w + b with w and b drawn from their posterior: (..., B, D) -> (..., B, H)."""

    def __init__(self, inputs, outputs, *, prior_sigma, posterior_rho, log_prior=None, rng):
        self.weight_mu = Tensor(init.glorot_uniform((inputs, outputs), rng), requires_grad=True)
        self.weight_rho = _constant((inputs, outputs), posterior_rho)
        self.bias_mu = _constant((1, outputs), 0.0)
        self.bias_rho = _constant((1, outputs), posterior_rho)
        self.prior_sigma, self.log_prior = prior_sigma, log_prior
        self.noise = Noise(rng)

    def forward(self, x):
        return functional.linear(
            x,
            self._draw(self.weight_mu, self.weight_rho, x),
            self._draw(self.bias_mu, self.bias_rho, x),
        )

    def _draw(self, mu, rho, x):
        """One sample of a weight for each leading index of x (and of mu, in a stack)."""
        if self.noise is None:
            return mu
        extra = x.shape[: max(x.ndim - mu.ndim, 0)]
        eps = self.noise.standard_normal((*extra, *mu.shape), dtype=mu.dtype)
        return gaussian_sample(mu, rho, eps)

    def kl(self):
        """KL(q || p) of weights and biases, in nats: (...,)."""
        total = 0.0
        for mu, rho in ((self.weight_mu, self.weight_rho), (self.bias_mu, self.bias_rho)):
            if self.log_prior is None:
                total = total + gaussian_kl(mu, rho, self.prior_sigma)
            else:  # E_q[log q] - log p(w) of one w from q: right on average
                sigma, w = functional.softplus(rho), self._draw(mu, rho, mu)
                terms = -log(sigma) - (0.5 + LOG_ROOT) - self.log_prior(w)
                total = total + terms.sum(axis=(-1, -2))
        return total


@op
def gaussian_sample(mu, rho, eps):
    """mu + softplus(rho) eps (section 3.2). Fused for speed: a network makes two in each layer."""
    w = xp.sampled(mu, rho, eps)
    return w, lambda g: g, lambda g: xp.sampled_gradient(g, rho, eps), None


@Kernel(
    "T mu, T rho, T eps",
    "T w",
    "w = mu + (rho > 0 ? rho + log1p(exp(-rho)) : log1p(exp(rho))) * eps",
)
def sampled(mu, rho, eps):
    """mu + softplus(rho) eps."""
    return mu + xp.logaddexp(rho, 0) * eps


@Kernel("T g, T rho, T eps", "T gx", f"gx = g * eps * {logistic_in_cuda('rho')}")
def sampled_gradient(g, rho, eps):
    """g eps dsoftplus(rho)/drho, where softplus' derivative is the logistic function."""
    gx = g * eps
    return gx * xp.logistic(rho)


@op
def gaussian_kl(mu, rho, prior_sigma):
    """KL(N(mu, softplus(rho)^2) || N(0, prior_sigma^2)), summed: twice (..., D, H) -> (...).

    Fused for speed: one node instead of ten.
    """
    double, sigma = 2 * prior_sigma * prior_sigma, xp.logaddexp(rho, 0)
    constant = math.log(prior_sigma) - 0.5
    value = xp.summed_kl(mu, sigma, double, constant, axis=(-1, -2))
    return (
        value,
        lambda g: xp.kl_gradient_mu(g[..., None, None], mu, double),
        lambda g: xp.kl_gradient_rho(g[..., None, None], rho, sigma, double),
    )


@Sum(
    "T mu, T sigma, T two_variances, T constant",
    "T kl",
    "(sigma * sigma + mu * mu) / two_variances - log(sigma) + constant",
    "kl = a",
)
def summed_kl(mu, sigma, two_variances, constant, axis):
    """The sum of (sigma^2 + mu^2) / (2 s^2) - log(sigma / s) - 1/2."""
    terms = sigma * sigma + mu * mu
    terms /= two_variances
    terms -= xp.log(sigma)
    terms += constant
    return terms.sum(axis=axis)


@Kernel("T g, T mu, T two_variances", "T gx", "gx = g / two_variances * mu * 2")
def kl_gradient_mu(g, mu, two_variances):
    """mu / s^2."""
    return g / two_variances * mu * 2


@Kernel(
    "T g, T rho, T sigma, T two_variances",
    "T gx",
    f"""
    const T half = g / two_variances * sigma;
    gx = (half - g / sigma + half) * {logistic_in_cuda("rho")};
    """,
)
def kl_gradient_rho(g, rho, sigma, two_variances):
    """sigma / s^2 - 1 / sigma, times dsigma/drho, the logistic function."""
    half = g / two_variances * sigma
    gx = half - g / sigma
    gx += half
    gx *= xp.logistic(rho)
    return gx


def _constant(shape, value):
    return Tensor(xp.full(shape, value, "float32"), requires_grad=True)


class Bayesian(nn.Module):
    """An MLP of BayesianLinear layers, linear at the end.

    Args:
        input_size: D.
        hidden_sizes: width of each hidden layer.
        output_size: features.
        activation: a name in `functional.ACTIVATIONS`, or a function of a Tensor.
        prior_sigma: standard deviation of the prior.
        posterior_rho: rho at the start; sigma = softplus(rho), 0.049 for -3.
        samples: weight draws that a prediction averages.
        temperature: weight of the KL in the native objective; below 1 a "cold posterior".
        log_prior: log p(w) of each weight, a function of Tensors, in place of the normal prior:
            `scale_mixture()` is the paper's.
        rng: a seed or Generator for the initial means and for the noise.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(256, 128),
        output_size=64,
        activation="relu",
        prior_sigma=1.0,
        posterior_rho=-3.0,
        samples=32,
        temperature=1.0,
        log_prior=None,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, output_size=output_size, samples=samples)
        check_widths(hidden_sizes)
        check_positive(prior_sigma=prior_sigma)
        check_numbers(posterior_rho=posterior_rho)
        check_not_negative(temperature=temperature)
        if log_prior is not None and not callable(log_prior):
            raise ValueError(f"log_prior is a function of the weights, not {log_prior!r}")
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes, output_size]
        self.prior_sigma, self.posterior_rho = prior_sigma, posterior_rho
        self.log_prior = log_prior
        self.layers = [self.linear(n, m, rng) for n, m in pairwise(sizes)]
        self.activation = functional.activation(activation)
        self.samples = samples
        self.temperature = temperature
        self.output_size = output_size

    def linear(self, inputs, outputs, rng):
        """A layer with this network's prior."""
        return BayesianLinear(
            inputs,
            outputs,
            prior_sigma=self.prior_sigma,
            posterior_rho=self.posterior_rho,
            log_prior=self.log_prior,
            rng=rng,
        )

    def forward(self, x):
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


class EvidenceBound:
    """For a Predictor: a Bayesian head, and the evidence lower bound as the objective."""

    def new_head(self, outputs, rng):
        return self.backbone.linear(self.backbone.output_size, outputs, rng)

    def loss(self, x, y):
        return super().loss(x, y) + kl(self) * (self.backbone.temperature / self.train_rows)


class BayesianClassifier(EvidenceBound, SamplingClassifier):
    """With the cross-entropy in the bound."""


class BayesianRegressor(EvidenceBound, Regressor):
    """With the normal likelihood in the bound."""


@contextmanager
def mean_weights(model):
    """Inside, all Bayesian layers of a module use the means of their weights instead of a sample:
    one ordinary network, that of the most probable weights."""
    layers = [part for part in model.modules() if isinstance(part, BayesianLinear)]
    noise = [layer.noise for layer in layers]
    for layer in layers:
        layer.noise = None
    try:
        yield model
    finally:
        for layer, source in zip(layers, noise):
            layer.noise = source


def kl(model):
    """KL(q || p) summed over all Bayesian layers of a module: (...,) in nats."""
    total = 0.0
    for layer in model.modules():
        if isinstance(layer, BayesianLinear):
            total = total + layer.kl()
    if isinstance(total, float):
        raise ValueError(f"this {type(model).__name__} has no Bayesian layer, whose KL it would be")
    return total


def scale_mixture(pi=0.5, sigma_1=1.0, sigma_2=0.0025):
    """log p(w) of Eq. 7: most weights next to 0, some far from it (the paper tries pi of 1/4 to
    3/4, -log sigma_1 of 0 to 2 and -log sigma_2 of 6 to 8; 0.0025 is e^-6)."""
    check_positive(pi=pi, rest_of_pi=1 - pi, sigma_1=sigma_1, sigma_2=sigma_2)

    def log_prior(w):
        wide, narrow = (
            math.log(share / sigma) - LOG_ROOT - (w * w) * (0.5 / sigma**2)
            for share, sigma in ((pi, sigma_1), (1 - pi, sigma_2))
        )
        return wide + functional.softplus(narrow - wide)  # log(e^wide + e^narrow)

    return log_prior


def minibatch_shares(count):
    """Eq. 9, as factors of KL / N in the objectives of `count` minibatches: their mean is 1.

        for share, (x, y) in zip(minibatch_shares(len(batches)), batches):
            loss = functional.cross_entropy(model(x), y) + kl(model) * (share / N)

    The first minibatches are ruled by the prior, the later ones by the data.
    """
    check_sizes(count=count)
    # 2^(M - i) / (2^M - 1) = 2^-i / (1 - 2^-M), whose powers do not overflow.
    return [count * 0.5**i / (1 - 0.5**count) for i in range(1, count + 1)]
