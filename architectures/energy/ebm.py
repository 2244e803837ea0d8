"""Energy-based model: low energy where the data is.

A classifier divides all of space among its classes and never asks whether a point is like anything
that it was trained on. It shows where noise, or a picture of something else entirely, gets a
confident label; and a classifier cannot be asked for an example of a class.

An energy says how plausible a point is, and can be sampled.

LeCun et al., "A Tutorial on Energy-Based Learning", 2006; Du & Mordatch, "Implicit Generation and
Modeling with Energy-Based Models", NeurIPS 2019; Grathwohl et al., "Your Classifier is Secretly an
Energy-Based Model and You Should Treat it Like One" (JEM), ICLR 2020.

    symbol     name                                     shape          unit
    E(x)       energy, p(x) = exp(-E(x)) / Z            (..., B)       nats
    f(x)       logits of a classifier                   (..., B, C)    nats
    E(x, y)    joint energy, -f(x)[y]                   (..., B, C)    nats
    x+, x-     data; negatives, sampled from the model  (..., B, D)

    d/dtheta (-log p(x+)) = dE(x+)/dtheta - E_{x- ~ p}[dE(x-)/dtheta]     (Du & Mordatch, Eq. 2)
    E(x) = -log sum_y exp f(x)[y],   p(y | x) = softmax(f(x))            (JEM, Eqs. 4 to 7)

So the contrast E(x+) - E(x-) has the gradient of the negative log-likelihood, if the negatives come
from the model: they are persistent Langevin chains (langevin.py). A small penalty on the squared
energies fixes the constant that Z leaves free and keeps the energies from running away.

Shared protocol: the scalar energy E(x) is the one feature that the head sees: all classes must be
cut out of one number. Native objective (JEM):

    cross-entropy(f(x), y) + weight * (mean E(x+) - mean E(x-) + penalty * mean(E(x+)^2 + E(x-)^2))

What the generative term buys is not accuracy but a density: chains end where data are, and E(x) is
higher elsewhere. (On rings and clusters the cross-entropy alone is as accurate, or more so.)

Deviations: JEM weighs its generative term by 1 (its Eq. 8), here the default is 0.1; the squared
penalty is Du & Mordatch's and not JEM's. Both papers choose step and noise independently, large
steps with little noise; here their ratio is that of Langevin dynamics, so that the chains sample
exp(-E) and nothing sharper. JEM's small noise on the data is left out. The chains are clipped to a
box: at its border, and only there, the samples are not those of the density.
"""

from numbers import Integral

from minigrad import functional, nn
from minigrad.backend import Noise, host_rng
from minigrad.checks import check_not_negative, check_sizes
from minigrad.engine import Tensor

from ..base import Classifier, points
from ..feedforward.mlp import MLP
from .langevin import PersistentChains, langevin


class EnergyModel(nn.Module):
    """What has an energy and chains can be trained by contrast, and sampled."""

    chains: PersistentChains
    penalty: float

    def energy(self, x):
        """E(x): (..., B, D) -> (..., B)."""
        raise NotImplementedError(f"{type(self).__name__} defines no energy(x)")

    def contrastive_divergence(self, x, negatives=None):
        """The objective of a density model, (...,) from data (..., B, D).

        `negatives` are points (..., B', D) of one's own; without them, those of the chains, moved.
        For `fit`: ``loss=lambda model, x, y: model.contrastive_divergence(x)``.
        """
        negatives = None if negatives is None else points(self, negatives)
        return self._contrast(self.energy(points(self, x)), negatives)

    def _contrast(self, positive, negatives=None):
        """mean E(x+) - mean E(x-), and the penalty; `positive` is E(x+), (..., B)."""
        if negatives is None:
            # Chains follow dE/dx. Each of their steps is a backward, which would add dE/dtheta to
            # the parameters' gradients, too, where only that of the loss belongs: so freeze them.
            with nn.frozen(self):
                negatives = Tensor(self.chains.advance(self.energy, positive.shape[-1]))
        negative = self.energy(negatives)
        squares = (positive * positive).mean(axis=-1) + (negative * negative).mean(axis=-1)
        return positive.mean(axis=-1) - negative.mean(axis=-1) + self.penalty * squares

    def sample(self, count, *, energy=None, steps=1000, step_size=0.02, rng=None):
        """Points of the model: chains from uniform noise in the box, (..., count, D).

        Leaves no gradient on the parameters. `energy` is by default the model's own.
        """
        check_sizes(count=count)
        energy = energy or self.energy
        *lead, _, features = self.chains.chains.shape
        (low, high), dtype = self.chains.box, self.chains.chains.dtype
        noise = Noise(rng)
        start = low + (high - low) * noise.random((*lead, count, features), dtype=dtype)
        with nn.frozen(self), nn.evaluating(self):
            return Tensor(langevin(energy, start, steps, step_size, noise, self.chains.box))


class EBM(EnergyModel):
    """A scalar energy, read out from an MLP; the one feature is E(x).

    Args:
        input_size: D.
        hidden_sizes, activation, dropout: of the MLP. A smooth activation gives Langevin dynamics a
            smooth force.
        weight: of the generative term in the objective of the joint model.
        penalty: of squared energies.
        rng: a seed or Generator for weights and chains.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(256, 128),
        activation="silu",
        dropout=0.0,
        weight=0.1,
        penalty=0.01,
        *,
        rng=None,
    ):
        check_not_negative(weight=weight, penalty=penalty)
        rng = host_rng(rng)
        self.body = MLP(input_size, hidden_sizes, activation, dropout, rng=rng)
        self.readout = nn.Linear(self.body.output_size, 1, rng=rng)
        self.chains = PersistentChains(input_size, rng=rng)
        self.weight, self.penalty = weight, penalty
        self.output_size = 1

    def forward(self, x):
        return self.readout(self.body(x))

    def energy(self, x):
        return self(x)[..., 0]


class JEM(EnergyModel, Classifier):
    """The joint energy model: a classifier whose logits are energies.

    It takes body and chains of an EBM; one energy for each class is in the place of the scalar.
    """

    def __init__(self, ebm, num_classes, *, train_rows, rng=None):
        Classifier.__init__(self, ebm.body, num_classes, train_rows=train_rows, rng=rng)
        self.chains = ebm.chains
        self.weight, self.penalty = ebm.weight, ebm.penalty

    def energy(self, x):
        return -functional.logsumexp(self(x))

    def loss(self, x, y):
        logits = self(x)
        contrast = self._contrast(-functional.logsumexp(logits))
        return functional.cross_entropy(logits, y) + self.weight * contrast

    def sample(self, count, *, label=None, **options):
        """Points of all classes, by E(x), or of the class with that number, by E(x, label)."""
        if label is None:
            return super().sample(count, **options)
        is_number = isinstance(label, Integral) and not isinstance(label, bool)
        if not is_number or label not in range(self.num_classes):
            raise ValueError(f"label must be in 0 ... {self.num_classes - 1}, not {label!r}")
        return super().sample(count, energy=lambda x: -self(x)[..., label], **options)
