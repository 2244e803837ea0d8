"""Energy-based model: low energy where the data is.

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

Deviations: JEM's small noise on the data is left out; the chains are clipped to a box.
"""

from minigrad import functional, nn
from minigrad.backend import Noise, host_rng
from minigrad.engine import Tensor

from ..base import Architecture
from ..feedforward.mlp import MLP
from .langevin import PersistentChains, langevin


class EBM(Architecture):
    """A scalar energy, read out from an MLP; the one feature is E(x).

    Args:
        input_size: D.
        hidden_sizes, activation, dropout: of the MLP. A smooth activation gives Langevin dynamics a
            smooth force.
        weight: of the generative term in the native objective.
        penalty: of squared energies.
        rng: a seed or Generator for weights and chains.
    """

    label = "EBM"
    family = "energy"

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
        rng = host_rng(rng)
        self.body = MLP(input_size, hidden_sizes, activation, dropout, rng=rng)
        self.readout = nn.Linear(self.body.output_size, 1, rng=rng)
        self.chains = PersistentChains(input_size, rng=rng)
        self.weight, self.penalty = weight, penalty
        self.output_size = 1

    def forward(self, x):
        h = self.body(x)
        return self.readout(h) if self.readout else h

    def energy(self, x):
        """E(x): (..., B, D) -> (..., B)."""
        if self.readout is None:
            raise RuntimeError(
                "this EBM is the body of a joint model: its energy is -logsumexp of the logits"
            )
        return self(x)[..., 0]

    def contrastive_divergence(self, x):
        """The objective of the density model, (...,) from data (..., B, D). It moves the chains.

        For `fit`: ``loss=lambda model, x, y: model.contrastive_divergence(x)``.
        """
        x = Tensor(x)
        return self._contrast(self, self.energy(x), self.energy)

    def sample(self, count, *, steps=1000, step_size=0.02, rng=None):
        """Points of the density model: chains from uniform noise in the box, (..., count, D).

        Leaves no gradient on the parameters.
        """
        *lead, _, features = self.chains.chains.shape
        (low, high), dtype = self.chains.box, self.chains.chains.dtype
        noise = Noise(rng)
        start = low + (high - low) * noise.random((*lead, count, features), dtype=dtype)
        with nn.frozen(self):
            return Tensor(langevin(self.energy, start, steps, step_size, noise, self.chains.box))

    # --- as a classifier -------------------------------------------------------------------------

    def native_head(self, num_classes, rng):
        """f(x): one energy for each class takes the place of the scalar."""
        self.readout = None
        self.output_size = self.body.output_size
        return nn.Linear(self.body.output_size, num_classes, rng=rng)

    def native_loss(self, model, x, y):
        logits = model(x)
        marginal = -functional.logsumexp(logits)
        contrast = self._contrast(model, marginal, lambda z: -functional.logsumexp(model(z)))
        return functional.cross_entropy(logits, y) + self.weight * contrast

    def _contrast(self, model, positive, energy):
        """mean E(x+) - mean E(x-), and the penalty; `positive` is E(x+), (..., B)."""
        with nn.frozen(model):
            negatives = self.chains.advance(energy, positive.shape[-1])
        negative = energy(Tensor(negatives))
        squares = (positive * positive).mean(axis=-1) + (negative * negative).mean(axis=-1)
        return positive.mean(axis=-1) - negative.mean(axis=-1) + self.penalty * squares
