"""Four ways to a band around a prediction: one network, several, many weights, many masks.

All predict a mean and a variance, by the normal likelihood. Their band is 1.96 standard deviations
to both sides of the mean: of a normal distribution, 95 % are inside.
"""

from dataclasses import dataclass, field

import numpy as np

from architectures import regressor
from architectures.regression import decompose
from demos.gap.curve import POINTS, in_gap, test_data, training_data
from minigrad import Tensor, fit, nn, no_grad, optim
from minigrad.schedules import cosine

MEMBERS = 5  # of an ensemble
SAMPLES = 100  # of a prediction: enough for smooth bands
AT_ONCE = 64  # replicas of a prediction: all samples of all would take much memory
LEARNING_RATE = 1e-2
BATCH_SIZE = 100


@dataclass(frozen=True)
class Way:
    """An architecture, with the options that it is trained with here; and how many of it."""

    label: str
    name: str
    options: dict = field(default_factory=dict)
    members: int = 1

    def networks(self, seed):
        """One replica's Regressors, untrained."""
        return [
            regressor(self.name, 1, 1, train_rows=POINTS, rng=[seed, 2, member], **self.options)
            for member in range(self.members)
        ]


# What happens in a gap is decided by the family of functions, too: with tanh in place of relu, MC
# Dropout's masks agree there as well as among data, and so do the weights of a Bayesian network of
# this size with relu in place of tanh. (Foong et al., "On the expressiveness of approximate
# inference in Bayesian neural networks", 2020, prove it for one hidden layer of relu.)
MLP = {"hidden_sizes": (32, 32), "activation": "tanh", "dropout": 0.0}
WAYS = (
    Way("MLP", "mlp", MLP),
    Way(f"{MEMBERS} MLPs", "mlp", MLP, MEMBERS),
    Way(
        "Bayesian",
        "bayesian",
        {
            "hidden_sizes": (16, 16),
            "output_size": 8,
            "activation": "tanh",
            "posterior_rho": -5.0,
            "samples": SAMPLES,
        },
    ),
    Way(
        "MC Dropout", "mc_dropout", {"hidden_sizes": (64, 64), "dropout": 0.05, "samples": SAMPLES}
    ),
)


class Band:
    """What R replicas of a Way have learnt, each from its own data; trained all at once."""

    def __init__(self, way, seeds, epochs):
        self.way, self.seeds = way, seeds
        x, y = (np.stack(arrays) for arrays in zip(*map(training_data, seeds)))
        # Members of an ensemble differ by their initial weights alone.
        x, y = (np.repeat(array, way.members, axis=0) for array in (x, y))
        self.model = nn.stack(network for seed in seeds for network in way.networks(seed))
        steps = epochs * -(-POINTS // BATCH_SIZE)
        history = fit(
            self.model,
            x,
            y,
            type(self.model).loss,
            optim.Adam(self.model.parameters(), lr=LEARNING_RATE),
            epochs=epochs,
            batch_size=BATCH_SIZE,
            shuffle=seeds[0],
            schedule=lambda step: LEARNING_RATE * cosine(step, steps, 0.01),
            compiled=True,
        )
        self.seconds = sum(history.seconds)

    def at(self, x):
        """{"mean", "total", "aleatoric", "epistemic"} at points (R, B, 1): NumPy arrays like x."""
        found = [self.of_some(k, x[k : k + AT_ONCE]) for k in range(0, len(x), AT_ONCE)]
        return {name: np.concatenate([parts[name] for parts in found]) for name in found[0]}

    def of_some(self, first, x):
        """The same of the replicas from `first` on, as many as x (r, B, 1) has."""
        members = self.way.members
        model = nn.unstack(self.model, slice(first * members, (first + len(x)) * members))
        if members == 1:
            parts = model.uncertainty(x, rng=self.seeds[first])
        else:
            with no_grad():
                outputs = model(Tensor(np.repeat(x, members, axis=0)))
            # (R M, B, 1) -> (M, R, B, 1): the members are the samples.
            parts = decompose(
                *(out.numpy().reshape(-1, members, *x.shape[1:]).swapaxes(0, 1) for out in outputs)
            )
        return {name: part.numpy() for name, part in parts.items()}

    def evaluate(self):
        """What came of it, replica by replica: {(what, where): R numbers}.

        "coverage" is the share of new measurements in the band, "epistemic" the mean epistemic
        standard deviation; where is "data" or "gap".
        """
        x, y = (np.stack(arrays) for arrays in zip(*map(test_data, self.seeds)))
        parts = self.at(x)
        inside = np.abs(y - parts["mean"]) <= 1.96 * np.sqrt(parts["total"])
        found = {"coverage": inside, "epistemic": np.sqrt(parts["epistemic"])}
        places = {"data": ~in_gap(x), "gap": in_gap(x)}
        return {
            (what, where): [value[k][there[k]].mean() for k in range(len(x))]
            for what, value in found.items()
            for where, there in places.items()
        }
