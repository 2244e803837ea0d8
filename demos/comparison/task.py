"""The task of the comparison: rings and clusters in the plane, and the best that anyone can do.

Five classes, 200 points each. Classes 0 and 1 are rings around the origin, classes 2 to 4 round
clusters, one of which touches the outer ring. No straight line separates a ring from what it
encloses: whoever is good here has learnt curved boundaries.

The densities are known, hence so is the classifier that errs least, the one of Bayes: it names the
class of the highest density. Its accuracy is the ceiling for every other.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

POINTS_PER_CLASS = 200
TRAIN_SHARE = 0.8
RINGS = ((1.0, 0.20), (2.5, 0.25))  # radius: mean, standard deviation
CENTRES = ((-3.0, 2.5), (3.0, 2.5), (0.0, -3.5))
CLUSTER_SIGMA = 0.5


@dataclass(frozen=True)
class Task:
    """What the architectures learn: R data sets, one for each replica.

    x_train, x_test: (R, N, D), float32.
    y_train, y_test: (R, N), integers that index `class_names`.
    extent: (left, right, bottom, top) of the pictures, where D = 2.
    posterior: maps points (..., 2) to the true class probabilities (..., C), where they are known.
    bayes_accuracy: the expected accuracy of the classifier that follows `posterior`.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple
    feature_names: tuple
    extent: tuple
    posterior: Callable | None = None
    bayes_accuracy: float | None = None


def rings_and_clusters(seeds):
    """The Task whose replica k is the data set that ``seeds[k]`` names."""
    x, y = (np.stack(arrays) for arrays in zip(*(draw(seed) for seed in seeds)))
    n = round(TRAIN_SHARE * y.shape[-1])
    classes = len(RINGS) + len(CENTRES)
    return Task(
        name="rings and clusters",
        x_train=x[:, :n],
        y_train=y[:, :n],
        x_test=x[:, n:],
        y_test=y[:, n:],
        class_names=tuple(f"class {c}" for c in range(classes)),
        feature_names=("x1", "x2"),
        extent=(-5.0, 5.0, -5.0, 5.0),
        posterior=posterior,
        bayes_accuracy=bayes_accuracy(),
    )


def draw(seed):
    """One data set: x (1000, 2) float32 and y (1000,), in random order."""
    rng = np.random.default_rng(seed)
    points = []
    for c in range(len(RINGS) + len(CENTRES)):
        noise = rng.standard_normal((POINTS_PER_CLASS, 2))
        angle = 2 * np.pi * rng.random(POINTS_PER_CLASS)  # drawn for clusters too, for no use
        if c < len(RINGS):
            radius, sigma = RINGS[c]
            direction = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
            points.append((radius + sigma * noise[:, :1]) * direction)
        else:
            points.append(CENTRES[c - len(RINGS)] + CLUSTER_SIGMA * noise)
    x = np.concatenate(points).astype(np.float32)
    y = np.repeat(np.arange(len(points)), POINTS_PER_CLASS)
    order = rng.permutation(len(y))
    return x[order], y[order]


# --- the ceiling -----------------------------------------------------------------------------


def densities(x):
    """p(x | class) for points (..., 2), for all classes: (..., C).

    A ring's radius r is normal. At a distance d from the origin lie the points with r = d and, at
    the opposite angle, those with r = -d; they share a circle of circumference 2 pi d.
    """
    distance = np.maximum(np.sqrt((x * x).sum(axis=-1)), 1e-9)  # at 0 the density is infinite
    result = [
        (normal(distance, *ring) + normal(-distance, *ring)) / (2 * np.pi * distance)
        for ring in RINGS
    ]
    for centre in CENTRES:
        result.append(normal(x, np.array(centre), CLUSTER_SIGMA).prod(axis=-1))
    return np.stack(result, axis=-1)


def normal(x, mean, sigma):
    """The density of the normal distribution."""
    return np.exp(-0.5 * ((x - mean) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))


def posterior(x):
    """The class probabilities p(class | x), all classes being equally frequent: (..., C)."""
    p = densities(np.asarray(x, dtype=np.float64)) + np.finfo(np.float64).tiny
    return p / p.sum(axis=-1, keepdims=True)


def bayes_accuracy(step=0.02, reach=7.0):
    """The share of points that Bayes' classifier gets right: the integral of max_c p(x | c) / C.

    Midpoint rule on a square grid: halving `step` or extending `reach` changes the result by less
    than 1e-6.
    """
    line = np.arange(-reach + step / 2, reach, step)
    best = 0.0
    for y in line:  # row by row: a few kilobytes instead of 100 megabytes
        p = densities(np.stack([line, np.full_like(line, y)], axis=-1))
        best += p.max(axis=-1).sum()
    return best * step**2 / p.shape[-1]
