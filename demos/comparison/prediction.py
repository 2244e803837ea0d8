"""What trained replicas predict: class probabilities of rows, and of a grid for the pictures."""

import math

import numpy as np

from demos.comparison import seeds
from minigrad import backend, nn

# So much is predicted in one pass, which bounds the memory: replicas, and rows over all of them.
REPLICAS_PER_PASS = 64
ROWS_PER_PASS = 4096


def predict(model, x, seed):
    """Class probabilities (R, N, C) of rows (R, N, D), by a stack of R replicas: a NumPy array."""
    parts = []
    for start in range(0, len(x), REPLICAS_PER_PASS):
        some = slice(start, start + REPLICAS_PER_PASS)
        parts.append(predict_rows(nn.unstack(model, some), x[some], seed, start))
    return np.concatenate(parts)


def predict_rows(model, x, seed, first=0):
    """The same in passes of a bounded number of rows, and for a single model, too.

    Each pass draws the same noise: so a Bayesian network is the same sample of networks for all
    rows, and the pictures have no seams.
    """
    noise = seeds.prediction(seed, first)
    return in_passes(lambda part: model.predict_proba(part, rng=noise).numpy(), x)


def in_passes(function, x):
    """function(rows), for some rows of x (..., N, D) after the other; the results in one array."""
    rows = max(ROWS_PER_PASS // math.prod(x.shape[:-2]), 32)
    parts = [function(x[..., k : k + rows, :]) for k in range(0, x.shape[-2], rows)]
    return np.concatenate(parts, axis=-2)


def predict_grid(model, replica, extent, n, seed):
    """Class probabilities (n, n, C) of one replica, from the bottom left upwards."""
    points = backend.asarray(grid_points(extent, n))
    return predict_rows(nn.unstack(model, replica), points, seed).reshape(n, n, -1)


def grid_points(extent, n):
    """(n * n, 2), row by row from the bottom left."""
    left, right, bottom, top = extent
    x, y = np.meshgrid(np.linspace(left, right, n), np.linspace(bottom, top, n))
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float32)


def share_right(probabilities, y):
    """(R,): the share of rows whose most probable class is the true one."""
    return (probabilities.argmax(axis=-1) == y).mean(axis=-1)


def confusion(probabilities, y):
    """(C, C) counts over all rows: row = true class, column = most probable class."""
    classes = probabilities.shape[-1]
    pairs = classes * y + probabilities.argmax(axis=-1)
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
