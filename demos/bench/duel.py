"""minigrad against the same training step written by hand, on the same start and the same data."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice
from statistics import median

import numpy as np

from architectures import classifier, lookup
from demos import by_hand
from demos.comparison.rings_and_clusters import draw
from demos.comparison.sequences import SYMBOLS, draw_copy
from minigrad import compile, data, optim
from minigrad.training import training_step

from .clock import race

LEARNING_RATE = 1e-2
TRAIN_ROWS = 800
CHECKED_STEPS = 20
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Network:
    """What is trained, twice."""

    label: str
    architecture: str
    options: dict
    by_hand: type
    training_set: Callable  # () -> x (N, D), y (N,)
    batch_size: int = 32
    input_size: int | None = None  # where it is not D


class Disagreement(RuntimeError):
    """The two steps do not compute the same thing: their times must not be compared."""


def small_task():
    """The comparison's: 800 points in the plane, five classes."""
    x, y = draw(seed=0)
    return x[:TRAIN_ROWS], y[:TRAIN_ROWS]


def wide_task(rows=2048, features=256, classes=10):
    """Ten Gaussian clusters that overlap, in many dimensions."""
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=rows)
    centres = 0.1 * rng.standard_normal((classes, features))
    x = (centres[y] + rng.standard_normal((rows, features))).astype(np.float32)
    return x, y


def copying(rows=320):
    """Selective copying: sequences (N, T) of tokens, and what is to be said at their ends."""
    x, y = draw_copy(np.random.default_rng(0), rows)
    return x.astype(np.float32), y


def as_compared(name, hand):
    """The Network with the options of the comparison, on its task."""
    return Network(lookup(name).label, name, lookup(name).options, hand, small_task)


WIDE = {"hidden_sizes": (1024, 1024), "dropout": 0.0}
NETWORKS = {
    "mlp": as_compared("mlp", by_hand.MLP),
    "snn": as_compared("snn", by_hand.SNN),
    "hopfield": as_compared("hopfield", by_hand.Hopfield),
    "tabnet": as_compared("tabnet", by_hand.TabNet),
    "gru": Network("GRU", "gru", {}, by_hand.GRU, copying, input_size=SYMBOLS + 2),
    "mamba": Network(
        "Mamba", "mamba", lookup("mamba").options, by_hand.Mamba, copying, input_size=SYMBOLS + 2
    ),
    "wide": Network("wide MLP", "mlp", WIDE, by_hand.MLP, wide_task, batch_size=512),
}


def minigrad_step(model):
    """step(x, y): one minibatch forward, backward and Adam; returns the loss."""
    optimizer = optim.Adam(model.train().parameters(), lr=LEARNING_RATE)
    return training_step(model, type(model).loss, optimizer)


def opponents(network, dtype=np.float32):
    """[(step, minibatches)]: by hand, minigrad, minigrad compiled. Every call starts anew."""
    x, y = network.training_set()

    def model():
        new = classifier(
            network.architecture,
            y.max() + 1,
            network.input_size or x.shape[-1],
            train_rows=len(y),
            rng=0,
            **network.options,
        )
        for parameter in new.parameters():
            parameter.data = parameter.data.astype(dtype)
        return new

    hand = network.by_hand([p.data for p in model().parameters()], lr=LEARNING_RATE)
    steps = [hand.step, minigrad_step(model()), compile(minigrad_step(model()))]
    batches = data.minibatches(x.astype(dtype), y, network.batch_size)
    return [(step, batches) for step in steps]


def require_agreement(title, names, sides):
    """The largest relative difference between the first side's first losses and the others'.

    Raises:
        Disagreement: a difference above TOLERANCE.
    """
    losses = [
        [float(step(x, y)) for x, y in islice(cycle(batches), CHECKED_STEPS)]
        for step, batches in sides
    ]
    largest = 0.0
    for name, others in zip(names[1:], losses[1:]):
        for i, (expected, loss) in enumerate(zip(losses[0], others), start=1):
            difference = abs(loss - expected) / abs(expected) if expected else abs(loss)
            if not difference <= TOLERANCE:
                raise Disagreement(
                    f"{title}, step {i}: the loss is {expected:.8g} {names[0]} and {loss:.8g} in "
                    f"{name}: they compute different things, so their times are not compared"
                )
            largest = max(largest, difference)
    return largest


def duel(network, rounds, seconds):
    """Times of the three steps, and ratios to the one by hand; medians over the rounds.

    That they agree is checked in float64, which tells a wrong gradient from rounding: Adam's first
    steps are as long as the learning rate however small the gradient. So three of TabNet's 78,453
    parameters, with gradients of 1e-8, make two float32 runs differ by 1e-4 after a single step.
    """
    difference = require_agreement(
        network.label, ("by hand", "minigrad", "compiled"), opponents(network, np.float64)
    )
    times = race(lambda: opponents(network), rounds, seconds, time.thread_time)
    ratios = [eager / hand for hand, eager, _ in times]
    compiled = [replay / hand for hand, _, replay in times]
    return {
        "by_hand_seconds": median(hand for hand, _, _ in times),
        "minigrad_seconds": median(eager for _, eager, _ in times),
        "compiled_seconds": median(replay for _, _, replay in times),
        "ratio": median(ratios),
        "ratios": ratios,
        "compiled_ratio": median(compiled),
        "compiled_ratios": compiled,
        "largest_loss_difference": difference,
    }
