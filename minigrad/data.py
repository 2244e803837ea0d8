"""Splitting data and cutting it into minibatches."""

import numpy

from . import backend


def train_test_split(x, y, test_share=0.2, *, rng=None):
    """Shuffle the rows of x (N, D), y (N,) and cut: (x_train, y_train, x_test, y_test), in NumPy.

    Stratified: each class gives the same share of its rows to the test set, rounded, and keeps at
    least one row on each side.

    Raises:
        ValueError: a class with a single row, which cannot be on both sides.
    """
    rng = backend.host_rng(rng)
    train, test = [], []
    for label in numpy.unique(y):
        rows = rng.permutation(numpy.flatnonzero(y == label))
        if len(rows) < 2:
            raise ValueError(f"class {label} has a single row: it cannot be split")
        n = min(max(round(test_share * len(rows)), 1), len(rows) - 1)
        test.append(rows[:n])
        train.append(rows[n:])
    train, test = (rng.permutation(numpy.concatenate(rows)) for rows in (train, test))
    return x[train], y[train], x[test], y[test]


def minibatches(x, y, batch_size, *, order=None):
    """[(x, y)] of at most `batch_size` rows each: x (..., N, D), y (..., N), in the given order."""
    if batch_size < 1:
        raise ValueError(f"a batch has at least one row, not {batch_size}")
    if order is not None:
        x, y = x[..., order, :], y[..., order]
    starts = range(0, x.shape[-2], batch_size)
    return [(x[..., i : i + batch_size, :], y[..., i : i + batch_size]) for i in starts]
