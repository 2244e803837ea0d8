"""Your own data: a Task from a CSV file, or from an .npz file with arrays x and y.

Every complaint is a DataError that says what is wrong, and where, in one line.
"""

import csv
import io
import math
import zipfile
from pathlib import Path

import numpy as np

from demos.comparison import seeds as streams
from demos.comparison.task import TRAIN_SHARE, Task
from minigrad.data import train_test_split

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}


class DataError(ValueError):
    """A file that cannot be learnt from."""


def task_from_file(path, target, seeds):
    """The Task of a file: replica k is the split that ``seeds[k]`` draws.

    80 % of each class are for training. Features are standardised with the mean and the standard
    deviation of the training rows; a feature that is constant there becomes 0.
    """
    if Path(path).suffix == ".npz":
        if target is not None:
            raise DataError(f"{path}: --target is for CSV files; an .npz file has the labels in y")
        x, labels, names = read_npz(path)
    else:
        x, labels, names = read_csv(path, target)
    class_names, y = number(labels, path)
    splits = [train_test_split(x, y, 1 - TRAIN_SHARE, rng=streams.data(seed)) for seed in seeds]
    x_train, y_train, x_test, y_test = (np.stack(arrays) for arrays in zip(*splits))
    mean = x_train.mean(axis=-2, keepdims=True)
    deviation = x_train.std(axis=-2, keepdims=True)
    # Rounding leaves a constant column a deviation that is tiny, but not 0.
    deviation[deviation <= 1e-12 * np.abs(mean)] = 1
    x_train, x_test = ((part - mean) / deviation for part in (x_train, x_test))
    return Task(
        name=Path(path).name,
        x_train=x_train.astype(np.float32),
        y_train=y_train,
        x_test=x_test.astype(np.float32),
        y_test=y_test,
        class_names=class_names,
        feature_names=names,
        extent=extent(np.concatenate([x_train[0], x_test[0]])),
    )


def extent(points):
    """(left, right, bottom, top) around the first two columns, with a margin of a tenth."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    margin = np.maximum(0.1 * (high - low), 0.1)
    return tuple(float(v) for v in np.stack([low - margin, high + margin], axis=-1).ravel())


def number(labels, path):
    """(class names, indices into them); names in numerical order if all are numbers."""
    names, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise DataError(f"{path}: every row is of class {names[0]!s}; two classes are the least")
    if counts.min() < 2:
        alone = names[counts.argmin()]
        raise DataError(
            f"{path}: class {alone!s} has a single row ({len(names)} classes, {len(labels)} rows): "
            "each class needs two, one to train on and one to test on"
        )
    names = names.tolist()
    try:
        order = sorted(range(len(names)), key=lambda i: float(names[i]))
    except ValueError:
        order = range(len(names))
    rank = np.empty(len(names), int)
    rank[list(order)] = np.arange(len(names))
    return tuple(str(names[i]) for i in order), rank[y]


# --- CSV -------------------------------------------------------------------------------------


def read_csv(path, target):
    """(x, labels, feature names): a header line, then one row a line; the target may be text."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text (byte {error.start})") from None
    if not text.strip():
        raise DataError(f"{path} is empty")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    target_column = find_target(path, header, target)
    features = [i for i in range(len(header)) if i != target_column]
    x, labels = [], []
    for row in reader:
        if not row:
            continue
        where = f"{path}, line {reader.line_num}"
        if len(row) != len(header):
            raise DataError(f"{where}: {len(row)} cells, but the header has {len(header)}")
        label = row[target_column].strip()
        if label.lower() in MISSING:
            raise DataError(f"{where}: the target {target!r} is missing")
        labels.append(label)
        x.append([to_float(row[i], f"{where}, column {header[i]!r}") for i in features])
    if not x:
        raise DataError(f"{path} has a header, but no rows")
    return np.array(x), np.array(labels), tuple(header[i] for i in features)


def find_target(path, header, target):
    """The index of the target column, if the header is in order."""
    columns = f"its columns are {', '.join(header)}"
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path}: two columns are called {twice!r}; {columns}")
    if target is None:
        raise DataError(f"{path}: say with --target which column holds the classes; {columns}")
    if target not in header:
        raise DataError(f"{path} has no column {target!r}; {columns}")
    if len(header) == 1:
        raise DataError(f"{path} has no other column than the target {target!r} to learn from")
    return header.index(target)


def to_float(cell, where):
    if cell.strip().lower() in MISSING:
        raise DataError(f"{where}: the value is missing")
    try:
        value = float(cell)
    except ValueError:
        raise DataError(f"{where}: {cell!r} is not a number") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: {cell!r} is not a finite number")
    return value


# --- NPZ -------------------------------------------------------------------------------------


def read_npz(path):
    """(x, labels, feature names) of arrays x (N, D) and y (N,)."""
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = {"x", "y"} - set(held)
            if missing:
                raise DataError(
                    f"{path} lacks {' and '.join(sorted(missing))}; its arrays: {', '.join(held)}"
                )
            file.seek(0)
            arrays = np.load(file, allow_pickle=False)
            x, y = arrays["x"], arrays["y"]
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except zipfile.BadZipFile:
        raise DataError(f"{path} is no .npz file") from None
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"{path} holds no plain arrays: {error}") from None
    if x.dtype.kind not in "fiub" or y.dtype.kind not in "iubUS":
        raise DataError(
            f"{path}: x must hold numbers and y integers or text, not {x.dtype} and {y.dtype}"
        )
    if x.ndim != 2 or y.shape != x.shape[:1] or 0 in x.shape:
        raise DataError(f"{path}: x must be (N, D) and y (N,), not {x.shape} and {y.shape}")
    bad = np.argwhere(~np.isfinite(x))
    if len(bad):
        row, column = bad[0]
        raise DataError(f"{path}: x[{row}, {column}] is {x[row, column]}")
    return x.astype(np.float64), y, tuple(f"x{i + 1}" for i in range(x.shape[1]))
