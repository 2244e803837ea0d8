"""The task of the comparison: rings and clusters in the plane.

Five classes, 200 points each. Classes 0 and 1 are rings around the origin, classes 2 to 4 round
clusters, one of which touches the outer ring. No straight line separates a ring from what it
encloses: whoever is good here has learnt curved boundaries.
"""

from functools import partial

import numpy as np

from demos.comparison import seeds as streams
from demos.comparison.ceiling import bayes_accuracy, posterior
from demos.comparison.task import TRAIN_SHARE, Task

POINTS_PER_CLASS = 200
RINGS = ((1.0, 0.20), (2.5, 0.25))  # radius: mean, standard deviation
CENTRES = ((-3.0, 2.5), (3.0, 2.5), (0.0, -3.5))
CLUSTER_SIGMA = 0.5


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
        posterior=partial(posterior, densities),
        bayes_accuracy=bayes_accuracy(densities),
    )


def draw(seed):
    """One data set: x (1000, 2) float32 and y (1000,), in random order."""
    rng = streams.data(seed)
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


def densities(x):
    """p(x | class) of what `draw` draws, for points (..., 2) and all classes: (..., C).

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
