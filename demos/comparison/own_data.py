"""Your own data: a Task from a CSV file, or from an .npz file with arrays x and y.

A number takes eight bytes, however many replicas there are: 200 MB of text about half a gigabyte
while it is read.
"""

import contextlib
import math
from pathlib import Path

import numpy as np

from demos.comparison import seeds as streams
from demos.comparison.data_files import (
    MOST_CLASSES,
    DataError,
    read_csv,
    read_npz,
    require_different,
    require_regular,
    shown,
    too_many_classes,
)
from demos.comparison.task import TRAIN_SHARE, Task
from demos.shell.ending import printable
from minigrad.data import LazyRows, even_parts, train_test_split

FILLS_IT = "--impute mean or --impute median would fill it"
SMALLEST = np.finfo(np.float64).smallest_subnormal
FAR = 1e6  # deviations from the mean, beyond which float32 might overflow in a network
LITTLE = 1 << 27  # bytes: data of all replicas that take no more are held as they are used
COLUMNS = 16  # so many are looked at together: a copy of all would take as much as the table


def task_from_file(path, target, seeds, impute=None):
    """The Task of a file: replica k is the split that ``seeds[k]`` draws.

    80 % of each class are for training. Features are standardised with the mean and the standard
    deviation of the training rows; a feature that is constant there becomes 0.

    impute: "mean" or "median": what of the training rows replaces a missing value of their column,
        before that; None: a missing value is an error.
    """
    path = Path(path)
    require_regular(path)
    if path.suffix.lower() == ".npz":
        if target is not None:
            raise DataError(f"{path}: --target is for CSV files; an .npz file has the labels in y")
        x, labels, codes, names = read_npz(path, None if impute else FILLS_IT)
    else:
        x, labels, codes, names = read_csv(path, target, None if impute else FILLS_IT)
    class_names, y = number(labels, codes, path)
    class_names = [shown(name) for name in class_names]
    require_different(class_names, "classes", path)
    notes = []
    if missing := np.isnan(x).sum():
        notes.append(
            f"{missing:,} of {x.size:,} values are missing: the {impute} of their column's "
            "training rows stands for them."
        )
    if numbers_the_rows(names[0], x[:, 0]):
        notes.append(
            f"The column {names[0]!r} only numbers the rows, as pandas does, and may give away "
            "their classes: leave it out (DataFrame.to_csv has index=False)."
        )
    return Task(
        name=printable(path.name),
        class_names=tuple(class_names),
        feature_names=tuple(map(shown, names)),
        resampled=True,
        imputed=impute,
        notes=tuple(notes),
        **split_and_standardised(x, y, seeds, impute, names, path),
    )


def numbers_the_rows(name, column):
    """Whether the first column is what pandas calls the index, counted from 0 or from 1."""
    first = column.min()
    counted = first in (0, 1) and np.array_equal(np.sort(column), first + np.arange(len(column)))
    return name in ("", "Unnamed: 0") and counted


def split_and_standardised(x, y, seeds, impute, names, path):
    """The arrays of a Task from all rows x (N, D), which are overwritten, and y (N,)."""
    # In units of a power of two near its largest value a column neither overflows nor underflows
    # when it is squared, and no digit of any result changes. (fmax passes over NaN.)
    exponent = np.frexp(np.fmax(np.fmax.reduce(x), -np.fmin.reduce(x)))[1].clip(-1000)
    np.ldexp(x, -exponent, out=x)
    one = np.ldexp(1.0, -exponent)
    splits, scales = [], []
    for seed in seeds:
        train, y_train, test, y_test = train_test_split(
            np.arange(len(y)), y, 1 - TRAIN_SHARE, rng=streams.data(seed)
        )
        fill, mean, deviation = scale = np.empty((3, x.shape[1]))
        for some in even_parts(len(fill), math.ceil(len(fill) / COLUMNS)):
            known = x[train, some]
            fill[some] = fill_of(known, impute, names[some], f"{path}, split of seed {seed}")
            mean[some], deviation[some] = mean_and_deviation(filled(known, fill[some]))
        # Rounding leaves a constant column a deviation that is tiny, but not 0.
        constant = deviation <= 1e-12 * np.abs(mean)
        deviation[constant] = one[constant]
        splits.append((train, y_train.astype(np.int32), test, y_test.astype(np.int32)))
        scales.append(scale)
    train, y_train, test, y_test = map(np.stack, zip(*splits))
    fill, mean, deviation = scale = np.stack(scales, axis=1)  # (3, R, D)
    x_train, x_test = SplitRows(x, train, scale), SplitRows(x, test, scale)
    if len(seeds) * x.size * SplitRows.dtype.itemsize <= LITTLE:  # an array is faster
        x_train, x_test = np.asarray(x_train), np.asarray(x_test)
    plane = SplitRows(x[:, :2], np.arange(len(y)), scale[:, 0, :2])
    return {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
        "fill": np.ldexp(fill, exponent) if impute else None,
        "mean": np.ldexp(mean, exponent),
        "deviation": np.maximum(np.ldexp(deviation, exponent), SMALLEST),
        "extent": extent(plane.standardised()),
    }


class SplitRows(LazyRows):
    """x (R, N, D), float32, of replicas that take the same table of rows each in its own order.

    Ten replicas are the table and ten orders of it, where copies would be ten tables.

    Args:
        table: all rows (M, D), float64.
        order: (R, N), which of them a replica has.
        scale: (3, R, D), what stands for missing values, the mean and the deviation.

    Without the axis R, `order` (N,) and `scale` (3, D), it is one replica.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, table, order, scale):
        self.table, self.order, self.scale = table, order, scale
        self.shape = (*order.shape, table.shape[1])
        self.ndim = len(self.shape)

    def __len__(self):
        return len(self.order)

    def __getitem__(self, index):
        """Those of some replicas, or of some of their rows: other SplitRows of the same table."""
        index = index if isinstance(index, tuple) else (index,)
        replicas = index[: self.order.ndim - 1]
        return SplitRows(self.table, self.order[index], self.scale[:, *replicas])

    def __array__(self, dtype=None, copy=None):
        return self.standardised().astype(dtype or self.dtype)

    def standardised(self):
        """The numbers, float64."""
        fill, mean, deviation = self.scale[..., None, :]
        return standardised(filled(self.table[self.order], fill), mean, deviation)


def fill_of(x, impute, names, where):
    """What stands for a missing value in each column (D,), by the training rows x (N, D)."""
    if impute is None:  # then nothing is missing
        return np.zeros(x.shape[1])
    empty = np.isnan(x).all(axis=0)
    if empty.any():
        name = shown(names[empty.argmax()])
        raise DataError(f"{where}: no training row has a value in column {name!r}: leave it out")
    return np.nanmean(x, axis=0) if impute == "mean" else np.nanmedian(x, axis=0)


def filled(x, fill):
    """x (N, D) with `fill` (D,) where it is NaN, in place."""
    np.copyto(x, fill, where=np.isnan(x))
    return x


def standardised_as(x, mean, deviation):
    """New rows x (N, D) as the training rows of this mean and deviation were; float32."""
    exponent = -np.frexp(np.maximum(np.abs(mean), deviation))[1].clip(-1000)
    with np.errstate(over="ignore"):  # what becomes infinite is clipped
        x, mean, deviation = (np.ldexp(values, exponent) for values in (x, mean, deviation))
        return standardised(x, mean, deviation).astype(np.float32)


def mean_and_deviation(x):
    """As x.mean(axis=0) and x.std(axis=0), bit by bit, but x is the working memory."""
    mean = x.mean(axis=0)
    x -= mean
    x *= x
    return mean, np.sqrt(x.mean(axis=0))


def standardised(x, mean, deviation):
    x -= mean
    with np.errstate(over="ignore"):  # clipped at once
        x /= deviation
    return np.clip(x, -FAR, FAR, out=x)


def extent(points):
    """(left, right, bottom, top) around points in the plane, with a margin of a tenth."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.maximum(0.1 * (high - low), 0.1)
    return tuple(float(v) for v in np.stack([low - margin, high + margin], axis=-1).ravel())


def number(labels, codes, path):
    """(class names, indices into them) of labels[codes]; in numerical order if all are numbers."""
    counts = np.bincount(codes)
    if len(labels) < 2:
        raise DataError(f"{path}: every row is of class {labels[0]}; two classes are the least")
    if len(labels) > MOST_CLASSES:
        raise too_many_classes(path)
    if counts.min() < 2:
        raise DataError(
            f"{path}: class {labels[counts.argmin()]} has a single row ({len(labels)} classes, "
            f"{len(codes)} rows): each class needs two, one to train on and one to test on"
        )
    order = sorted(range(len(labels)), key=lambda i: labels[i])
    with contextlib.suppress(ValueError):
        order.sort(key=lambda i: float(labels[i]))
    rank = np.empty(len(labels), int)
    rank[order] = np.arange(len(labels))
    return tuple(labels[i] for i in order), rank[codes]
