"""Regression with uncertainty: a network that predicts a normal distribution.

One number for each point says nothing of how far off it may be. Two reasons have to be told apart:
the measurements scatter, and no amount of data will change that; or nobody has measured near there.

    symbol            name                                             shape           unit
    y                 targets                                          (..., B, E)
    mu, s             outputs of a network with weights w              (..., B, E)     y, y^2
    N                 training points                                  scalar

    p(y | x, w) = N(y; mu(x, w), sigma(x, w)^2),  sigma^2 = softplus(s) + 1e-6
    objective   = -log p(y | x, w), its mean over the points, + what the weights cost / N   in nats

A network with random weights or masks gives S of these distributions, and the variance of their
mixture has two parts (law of total variance; Kendall & Gal 2017, Eq. 9):

    total       aleatoric + epistemic        the variance of the prediction
    aleatoric   mean_s sigma_s^2             the scatter of the data, as the network has learnt it
    epistemic   variance_s mu_s              what the samples disagree about

An exponential in place of the softplus would do, too, but for networks that sample: where one of
many s is large it would rule the mean of the variances, where it is small the gradients explode.

Nix & Weigend, "Estimating the mean and variance of the target probability distribution", 1994;
Kendall & Gal, "What uncertainties do we need in Bayesian deep learning for computer vision?", 2017.
The softplus and its floor are those of Lakshminarayanan et al., "Simple and scalable predictive
uncertainty estimation using deep ensembles", 2017. The members of an ensemble are samples, too: for
a stack of R replicas that saw the same data, ``decompose(*model(x))`` takes its axis for theirs.
"""

from minigrad import Tensor, functional
from minigrad.backend import xp
from minigrad.checks import check_sizes
from minigrad.ops import log, split

from .base import Predictor, predicting
from .uncertainty import repeated

LEAST_VARIANCE = 1e-6  # of targets at a scale of about 1


class Regressor(Predictor):
    """A backbone and a head: points (..., B, D) to mean and log variance, each (..., B, E).

    targets: E, the numbers to predict for each point; bring them to a scale of about 1. The other
    arguments are those of Predictor.
    """

    def __init__(self, backbone, targets=1, *, train_rows, head=None, rng=None):
        check_sizes(targets=targets)
        super().__init__(backbone, 2 * targets, train_rows=train_rows, head=head, rng=rng)
        self.targets = targets

    def forward(self, x):
        mean, spread = split(super().forward(x), 2)
        return mean, log(functional.softplus(spread) + LEAST_VARIANCE)

    def loss(self, x, y):
        """-log p(y | x) in nats, the mean over a minibatch: (...,), one number for each replica."""
        return functional.gaussian_nll(*self(x), y) * self.targets

    def predict(self, x, *, samples=None, rng=None):
        """The mean (..., B, E) of the prediction; the arguments are those of `uncertainty`."""
        return self.uncertainty(x, samples=samples, rng=rng)["mean"]

    def uncertainty(self, x, *, samples=None, rng=None):
        """{"mean", "total", "aleatoric", "epistemic"}: mean and variances, (..., B, E) each.

        Args:
            x: points (..., B, D).
            samples: S; by default as many as the backbone says. A backbone without noise knows one:
                its epistemic variance is 0.
            rng: a seed (a number, or a sequence of them), by which a network that predicts by
                sampling gives the same numbers anywhere; without it, its own noise goes on.
        """
        samples = getattr(self.backbone, "samples", 1) if samples is None else samples
        check_sizes(samples=samples)
        with predicting(self, rng):
            return decompose(*self(repeated(self, x, samples)))


def decompose(mean, log_variance):
    """Sampled means and log variances (S, ..., B, E) -> {"mean", "total", "aleatoric",
    "epistemic"}, mean and variances (..., B, E), as Tensors.

    Raises:
        ValueError: no samples, or shapes that differ.
    """
    mean, log_variance = Tensor(mean).data, Tensor(log_variance).data
    if mean.shape != log_variance.shape or mean.ndim < 3 or not len(mean):
        raise ValueError(
            "expected sampled means and log variances (S, ..., B, E), S > 0, not "
            f"{mean.shape} and {log_variance.shape}"
        )
    aleatoric = xp.exp(xp.minimum(log_variance, 85)).mean(axis=0)  # e^85 is a float32
    epistemic = mean.var(axis=0)
    parts = {
        "mean": mean.mean(axis=0),
        "total": aleatoric + epistemic,
        "aleatoric": aleatoric,
        "epistemic": epistemic,
    }
    return {name: Tensor(part) for name, part in parts.items()}
