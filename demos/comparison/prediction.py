"""What trained replicas predict, of rows, and of a grid for the pictures; what they looked at."""

import math

import numpy as np

from architectures.uncertainty import SamplingClassifier, decompose
from demos.comparison import seeds
from minigrad import backend, nn
from minigrad.backend import xp

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


def predict_with_parts(network, x, seed):
    """(class probabilities (N, C), {part: uncertainty (N,) in nats}) of rows x (N, D).

    The parts are those of a network that samples (see architectures/uncertainty.py), and none of
    another.
    """
    if not isinstance(network, SamplingClassifier):
        return predict_rows(network, x, seed), {}
    noise, names = seeds.prediction(seed, 0), ("total", "aleatoric", "epistemic")

    def mean_and_parts(rows):
        p = network.sample_proba(rows, rng=noise).data  # (S, B, C)
        lost = ~xp.isfinite(p).all(axis=(0, -1))  # where a network that has diverged says nothing
        found = decompose(xp.where(lost[:, None], 1 / p.shape[-1], p))
        parts = [found["mean"].numpy(), *(found[name].numpy()[:, None] for name in names)]
        return np.where(backend.to_numpy(lost)[:, None], np.nan, np.concatenate(parts, axis=-1))

    found = in_passes(mean_and_parts, x)
    return found[:, : -len(names)], dict(zip(names, found[:, -len(names) :].T))


def in_passes(function, x):
    """function(rows), for some rows of x (..., N, D) after the other; the results in one array."""
    *before, n, _ = x.shape
    rows = max(ROWS_PER_PASS // math.prod(before), 32)
    all_of_them = (slice(None),) * len(before)
    parts = [function(x[*all_of_them, k : k + rows]) for k in range(0, n, rows)]
    return np.concatenate(parts, axis=-2)


def predict_grid(model, replica, extent, n, seed):
    """(class probabilities (n, n, C) of one replica, its epistemic uncertainty (n, n) in nats).

    From the bottom left upwards; None in place of the uncertainty if it does not sample.
    """
    points = backend.asarray(grid_points(extent, n))
    probabilities, parts = predict_with_parts(nn.unstack(model, replica), points, seed)
    doubt = parts["epistemic"].reshape(n, n) if parts else None
    return probabilities.reshape(n, n, -1), doubt


def grid_points(extent, n):
    """(n * n, 2), row by row from the bottom left."""
    left, right, bottom, top = extent
    x, y = np.meshgrid(np.linspace(left, right, n), np.linspace(bottom, top, n))
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float32)


def mean_masks(model, x):
    """On which features networks that choose them look, over all rows of x (R, N, D) on average.

    (R, steps + 1, D): the mask of each step, and the importance in all; None if they do not choose.
    """
    if not hasattr(model.backbone, "feature_masks"):
        return None
    parts = []
    for start in range(0, len(x), REPLICAS_PER_PASS):
        some = slice(start, start + REPLICAS_PER_PASS)
        network = nn.unstack(model, some).backbone

        def all_masks(rows, network=network):
            masks, importance = network.feature_masks(rows)
            return np.concatenate([masks.numpy(), importance.numpy()[None]])  # (steps + 1, r, B, D)

        parts.append(in_passes(all_masks, x[some]).mean(axis=-2).swapaxes(0, 1))
    return np.concatenate(parts)


def share_right(probabilities, y):
    """(R,): the share of rows whose most probable class is the true one."""
    return (probabilities.argmax(axis=-1) == y).mean(axis=-1)


def confusion(probabilities, y):
    """(C, C) counts over all rows: row = true class, column = most probable class."""
    classes = probabilities.shape[-1]
    pairs = classes * y + probabilities.argmax(axis=-1)
    return np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
