"""A curve, measured on both sides of a gap: the scatter grows from left to right."""

import numpy as np

REACH, GAP = 3.0, 1.2  # measured where GAP < |x| < REACH
POINTS = 400


def truth(x):
    return np.sin(1.6 * x) + x / 4


def scatter(x):
    """The standard deviation of a measurement at x."""
    return 0.05 + 0.2 / (1 + np.exp(-2 * x))


def measure(x, rng):
    """One measurement at each x."""
    return truth(x) + scatter(x) * rng.standard_normal(x.shape)


def training_data(seed):
    """x and y, (POINTS, 1) float32 each, outside of the gap."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(GAP, REACH, (POINTS, 1)) * rng.choice([-1, 1], (POINTS, 1))
    return x.astype("float32"), measure(x, rng).astype("float32")


def test_data(seed, count=500):
    """The same everywhere, in the gap, too."""
    rng = np.random.default_rng([seed, 1])
    x = rng.uniform(-REACH, REACH, (count, 1))
    return x.astype("float32"), measure(x, rng).astype("float32")


def in_gap(x):
    return np.abs(x) < GAP
