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

F, the negative evidence lower bound, is a sum over N points; a mean cross-entropy is 1/N of its
second term, so that the native objective is cross-entropy + KL / N. Prediction averages the softmax
over weight samples. One eps is drawn for each forward pass, and for each leading index of the
input: so replicas never share noise, and S samples are one pass over x with a leading axis S.

Deviations: a Gaussian prior with its KL in closed form instead of the paper's scale mixture with a
sampled KL; every minibatch carries the same share of the KL, not one that falls from the first to
the last (section 3.4); an optional temperature on the KL (1, the honest bound, by default).
"""

import math
from contextlib import contextmanager
from itertools import pairwise

from minigrad import functional, init, nn
from minigrad.backend import Noise, host_rng, xp
from minigrad.checks import (
    check_not_negative,
    check_numbers,
    check_positive,
    check_sizes,
    check_widths,
)
from minigrad.engine import Tensor
from minigrad.ops import log

from ..regression import Regressor
from ..uncertainty import SamplingClassifier


class BayesianLinear(nn.Module):
    """x @ w + b with w and b drawn from their posterior: (..., B, D) -> (..., B, H)."""

    def __init__(self, inputs, outputs, *, prior_sigma, posterior_rho, rng):
        self.weight_mu = Tensor(init.glorot_uniform((inputs, outputs), rng), requires_grad=True)
        self.weight_rho = _constant((inputs, outputs), posterior_rho)
        self.bias_mu = _constant((1, outputs), 0.0)
        self.bias_rho = _constant((1, outputs), posterior_rho)
        self.prior_sigma = prior_sigma
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
        return mu + functional.softplus(rho) * eps

    def kl(self):
        """KL(q || p) of weights and biases, in nats: (...,)."""
        s = self.prior_sigma
        total = 0.0
        for mu, rho in ((self.weight_mu, self.weight_rho), (self.bias_mu, self.bias_rho)):
            sigma = functional.softplus(rho)
            terms = (sigma * sigma + mu * mu) / (2 * s * s) - log(sigma) + (math.log(s) - 0.5)
            total = total + terms.sum(axis=(-1, -2))
        return total


def _constant(shape, value):
    return Tensor(xp.full(shape, value, "float32"), requires_grad=True)


class Bayesian(nn.Module):
    """An MLP of BayesianLinear layers, linear at the end.

    Args:
        input_size: D.
        hidden_sizes: width of each hidden layer.
        output_size: features.
        activation: a name in `functional.ACTIVATIONS`.
        prior_sigma: standard deviation of the prior.
        posterior_rho: rho at the start; sigma = softplus(rho), 0.049 for -3.
        samples: weight draws that a prediction averages.
        temperature: weight of the KL in the native objective; below 1 a "cold posterior".
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
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, output_size=output_size, samples=samples)
        check_widths(hidden_sizes)
        check_positive(prior_sigma=prior_sigma)
        check_numbers(posterior_rho=posterior_rho)
        check_not_negative(temperature=temperature)
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes, output_size]
        self.prior_sigma, self.posterior_rho = prior_sigma, posterior_rho
        self.layers = [self.linear(n, m, rng) for n, m in pairwise(sizes)]
        self.activation = functional.activation(activation)
        self.samples = samples
        self.temperature = temperature
        self.output_size = output_size

    def linear(self, inputs, outputs, rng):
        """A layer with this network's prior."""
        prior = {"prior_sigma": self.prior_sigma, "posterior_rho": self.posterior_rho}
        return BayesianLinear(inputs, outputs, **prior, rng=rng)

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
    return total
