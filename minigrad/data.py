"""Splitting data and cutting it into minibatches."""

import itertools
import math
from typing import Any

import numpy

from . import backend
from .checks import check_arrays, check_counts, check_positive, check_rates, check_sizes
from .contract import explained


@explained
def train_test_split(x, y, test_share=0.2, *, rng=None):
    """Shuffle the rows of x (N, D), y (N,) and cut: (x_train, y_train, x_test, y_test), in NumPy.

    Stratified: each class gives the same share of its rows to the test set, rounded, and keeps at
    least one row on each side.

    Raises:
        ValueError: a class with a single row, which cannot be on both sides; x and y of different
            lengths; labels that are NaN; a share that is not between 0 and 1.
    """
    backend.refuse_masked(x)
    backend.refuse_masked(y)
    x, y = numpy.asarray(x), numpy.asarray(y)
    if y.ndim != 1 or x.shape[:1] != y.shape or not y.size:
        raise ValueError(f"expected x (N, ...) and labels y (N,), not {x.shape} and {y.shape}")
    if (y != y).any():
        raise ValueError("labels must not be NaN")
    check_positive(test_share=test_share)
    check_rates(test_share=test_share)
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


class LazyRows:
    """Stands for an array x (..., N, D) that would take too much memory: `fit` takes it as x, and
    asks for the numbers of a minibatch when it is their turn.

    A subclass has these attributes, gives other LazyRows when it is indexed along its leading axes,
    as an array would be, and the array when NumPy asks for it (``__array__``). Whether its numbers
    are finite is not checked.
    """

    shape: tuple
    ndim: int
    dtype: Any


def even_parts(rows, count):
    """Slices that cut `rows` rows into `count` parts, of lengths that differ by one at most.

    So 33 rows in batches of at most 32 are 17 and 16, not 32 and 1: a single row has no variance,
    and its gradient is mostly noise.
    """
    length, longer = divmod(rows, count)  # the first `longer` parts have one row more
    borders = [k * length + min(k, longer) for k in range(count + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(borders)]


@explained
def minibatches(x, y, batch_size, *, axis=0, order=None):
    """[(x, y)] of at most `batch_size` rows each, as even as they can be, in the given order.

    `axis` is that of the rows in both: 0, or the number of axes that stand for replicas.

    Raises:
        ValueError: arrays that do not have the same rows (and replicas), or a batch size below 1.
        TypeError: no arrays.
    """
    check_sizes(batch_size=batch_size)
    check_counts(axis=axis)
    check_arrays(x=x, y=y)
    if x.ndim <= axis or x.shape[: axis + 1] != y.shape[: axis + 1]:
        raise ValueError(
            f"x {x.shape} and y {y.shape} do not have the same rows, along axis {axis}"
        )
    before = (slice(None),) * axis
    if order is not None:
        x, y = x[*before, order], y[*before, order]
    rows = x.shape[axis]
    parts = even_parts(rows, math.ceil(rows / batch_size)) if rows else []
    return [(x[*before, part], y[*before, part]) for part in parts]
