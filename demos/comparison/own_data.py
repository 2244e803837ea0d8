"""Your own data: a Task from a CSV file, or from an .npz file with arrays x and y.

Every complaint is a DataError that says what is wrong, and where, in one line. A number takes eight
bytes while the file is read, and four in each replica: 200 MB of text about half a gigabyte.
"""

import contextlib
import csv
import math
from array import array
from itertools import chain
from pathlib import Path

import numpy as np

from demos.comparison import seeds as streams
from demos.comparison.task import TRAIN_SHARE, Task
from demos.shell.ending import Refusal, printable
from minigrad import files
from minigrad.data import train_test_split

FILLS_IT = "--impute mean or --impute median would fill it"
MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
MOST_CLASSES = 1000
LONGEST_NAME = 60
LONGEST_LINE = 1 << 24  # characters: what is longer is hardly a table
SMALLEST = np.finfo(np.float64).smallest_subnormal
FAR = 1e6  # deviations from the mean, beyond which float32 might overflow in a network


class DataError(Refusal):
    """A file that cannot be learnt from."""


def task_from_file(path, target, seeds, impute=None):
    """The Task of a file: replica k is the split that ``seeds[k]`` draws.

    80 % of each class are for training. Features are standardised with the mean and the standard
    deviation of the training rows; a feature that is constant there becomes 0.

    impute: "mean" or "median": what of the training rows replaces a missing value of their column,
        before that; None: a missing value is an error.
    """
    path = Path(path)
    require_regular(path)
    if path.suffix == ".npz":
        if target is not None:
            raise DataError(f"{path}: --target is for CSV files; an .npz file has the labels in y")
        x, labels, codes, names = read_npz(path, None if impute else FILLS_IT)
    else:
        x, labels, codes, names = read_csv(path, target, None if impute else FILLS_IT)
    class_names, y = number(labels, codes, path)
    missing = np.isnan(x).sum()
    notes = (
        f"{missing:,} of {x.size:,} values are missing: the {impute} of their column's training "
        "rows stands for them.",
    )
    return Task(
        name=printable(path.name),
        class_names=tuple(map(shown, class_names)),
        feature_names=tuple(map(shown, names)),
        resampled=True,
        imputed=impute,
        notes=notes if missing else (),
        **split_and_standardised(x, y, seeds, impute, names, path),
    )


def require_regular(path):
    """A pipe or a device might be read for ever."""
    try:
        files.require_regular(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None


def split_and_standardised(x, y, seeds, impute, names, path):
    """The arrays of a Task from all rows x (N, D), which are overwritten, and y (N,)."""
    # In units of a power of two near its largest value a column neither overflows nor underflows
    # when it is squared, and no digit of any result changes. (fmax passes over NaN.)
    exponent = np.frexp(np.fmax(np.fmax.reduce(x), -np.fmin.reduce(x)))[1].clip(-1000)
    np.ldexp(x, -exponent, out=x)
    one = np.ldexp(1.0, -exponent)
    rows = np.arange(len(y))[:, None]
    for k, seed in enumerate(seeds):
        train, y_train, test, y_test = train_test_split(
            rows, y, 1 - TRAIN_SHARE, rng=streams.data(seed)
        )
        train, test = train[:, 0], test[:, 0]
        if k == 0:  # filled replica by replica: to stack them afterwards would take twice as much
            replicas, features = len(seeds), x.shape[1]
            arrays = {
                "x_train": np.empty((replicas, len(train), features), np.float32),
                "y_train": np.empty((replicas, len(train)), np.int32),
                "x_test": np.empty((replicas, len(test), features), np.float32),
                "y_test": np.empty((replicas, len(test)), np.int32),
                "mean": np.empty((replicas, features)),
                "deviation": np.empty((replicas, features)),
            }
            if impute:
                arrays["fill"] = np.empty((replicas, features))
        fill = fill_of(x[train], impute, names, f"{path}, split of seed {seed}")
        mean, deviation = mean_and_deviation(filled(x[train], fill))
        # Rounding leaves a constant column a deviation that is tiny, but not 0.
        constant = deviation <= 1e-12 * np.abs(mean)
        deviation[constant] = one[constant]
        arrays["x_train"][k] = standardised(filled(x[train], fill), mean, deviation)
        arrays["y_train"][k] = y_train
        arrays["x_test"][k] = standardised(filled(x[test], fill), mean, deviation)
        arrays["y_test"][k] = y_test
        arrays["mean"][k] = np.ldexp(mean, exponent)
        arrays["deviation"][k] = np.maximum(np.ldexp(deviation, exponent), SMALLEST)
        if impute:
            arrays["fill"][k] = np.ldexp(fill, exponent)
        if k == 0:
            plane = filled(x[:, :2].copy(), fill[:2])
            around = extent(standardised(plane, mean[:2], deviation[:2]))
    return {**arrays, "extent": around}


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


def too_many_classes(path):
    return DataError(
        f"{path}: more than {MOST_CLASSES:,} classes: are these numbers to learn, or names of rows?"
    )


def shown(name):
    """A name from a file as it is printed and drawn."""
    name = printable(str(name))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


# --- CSV -------------------------------------------------------------------------------------


def read_csv(path, target, missing):
    """(x, different labels, a code for each row, feature names).

    A header line, then one row a line; the target may be text.

    missing: see `numbers`.
    """
    return read_table(path, lambda reader: read_rows(reader, path, target, missing))


def read_table(path, read):
    """What `read` makes of the rows, lists of text, that a csv.reader gives: the header first."""
    reader = None
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = bounded_lines(file, path)
            first = next((line for line in lines if line.strip()), None)
            if first is None:
                raise DataError(f"{path} is empty")
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
            return read(reader)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        near = reader.line_num + 1 if reader else 1
        raise DataError(f"{path} is no UTF-8 text (near line {near})") from None
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}: is a quotation mark unbalanced?"
        ) from None


def bounded_lines(file, path):
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}: a line of more than {LONGEST_LINE:,} characters is no table")
        yield line


def read_rows(reader, path, target, missing):
    header = [name.strip() for name in next(reader)]
    target_column = find_target(path, header, target)
    features = header[:target_column] + header[target_column + 1 :]
    # Compact: a Python float in a list takes 32 bytes.
    x, codes, labels = array("d"), array("q"), {}
    for where, row in rows_below(header, reader, path):
        label = row.pop(target_column).strip()
        if label.lower() in MISSING:
            raise DataError(f"{where}: the target {target!r} is missing")
        codes.append(labels.setdefault(label, len(labels)))
        if len(labels) > MOST_CLASSES:
            raise too_many_classes(path)
        x.extend(numbers(row, features, where, missing))
    x = np.frombuffer(x).reshape(len(codes), len(features))
    return x, list(labels), np.frombuffer(codes, np.int64), features


def rows_below(header, reader, path):
    """(where it stands, cells) of each row; there is one at least, and each fits the header."""
    line = reader.line_num
    empty = True
    for row in reader:
        line, before = reader.line_num, line
        if not row:
            continue
        if line > before + 1:
            raise DataError(
                f"{path}: a cell goes on from line {before + 1} to {line}: "
                "is a quotation mark unbalanced?"
            )
        where, empty = f"{path}, line {line}", False
        if len(row) != len(header):
            raise DataError(f"{where}: {len(row)} cells, but the header has {len(header)}")
        yield where, row
    if empty:
        raise DataError(f"{path} has a header, but no rows")


def numbers(cells, names, where, missing):
    """The cells of a row as finite numbers.

    missing: what to say of one that is missing, which is an error; with None it is NaN.
    """
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = [math.nan]
    if all(map(math.isfinite, values)) and "_" not in "".join(cells):
        return values
    return [
        number_in(cell, f"{where}, column {name!r}", missing) for name, cell in zip(names, cells)
    ]


def find_target(path, header, target):
    """The index of the target column, if the header is in order."""
    columns = f"its columns are {listing(header)}"
    require_different(header, path)
    if target is None:
        raise DataError(f"{path}: say with --target which column holds the classes; {columns}")
    if target not in header:
        raise DataError(f"{path} has no column {shown(target)!r}; {columns}")
    if len(header) == 1:
        raise DataError(f"{path} has no other column than the target {target!r} to learn from")
    return header.index(target)


def require_different(header, path):
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        columns = f"its columns are {listing(header)}"
        raise DataError(f"{path}: two columns are called {shown(twice)!r}; {columns}")


def listing(names, most=12):
    more = f", ... ({len(names):,} in all)" * (len(names) > most)
    return ", ".join(map(shown, names[:most])) + more


def number_in(cell, where, missing):
    if cell.strip().lower() in MISSING:
        if missing is None:
            return math.nan
        raise DataError(f"{where}: the value is missing: {missing}")
    try:
        value = float(cell.replace("_", "?"))  # Python's float takes 1_0 for 10
    except ValueError:
        raise DataError(f"{where}: {cell!r} is not a number") from None
    if not math.isfinite(value):
        raise DataError(f"{where}: {cell!r} is not a finite number")
    return value


# --- NPZ -------------------------------------------------------------------------------------


def read_npz(path, missing):
    """(x, different labels, a code for each row, feature names) of arrays x (N, D) and y (N,)."""
    arrays = read_arrays(path, ["x", "y"])
    x, y = finite_rows(path, arrays["x"], missing), arrays["y"]
    if y.dtype.kind not in "iubUS":
        raise DataError(f"{path}: y must hold integers or text, not {y.dtype}")
    if y.shape != x.shape[:1]:
        raise DataError(f"{path}: x must be (N, D) and y (N,), not {x.shape} and {y.shape}")
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    labels, codes = np.unique(y, return_inverse=True)
    return x, labels.tolist(), codes, [f"x{i + 1}" for i in range(x.shape[1])]


def read_arrays(path, names):
    try:
        return files.read_npz(path, names)
    except MemoryError as error:
        raise DataError(f"{path}: out of memory: {error}") from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise DataError(error) from None


def finite_rows(path, x, missing):
    """x as float64, if it is (N, D) and nothing but finite numbers; of NaN see `numbers`."""
    if x.dtype.kind not in "fiub":
        raise DataError(f"{path}: x must hold numbers, not {x.dtype}")
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(f"{path}: x must be (N, D), not {x.shape}")
    with np.errstate(over="ignore"):  # of what a long double may hold
        x = x.astype(np.float64)
    bad = np.argwhere(~np.isfinite(x) if missing else np.isinf(x))
    if len(bad):
        row, column = bad[0]
        hint = f": {missing}" if np.isnan(x[row, column]) else ""
        raise DataError(f"{path}: x[{row}, {column}] is {x[row, column]}{hint}")
    return x


# --- new rows, for a network that is trained -------------------------------------------------


def new_rows(path, features, missing):
    """The rows (N, D) of a CSV file with these columns, in any order, or of an .npz with x alone.

    missing: see `numbers`.

    Raises:
        DataError: columns that are missing, or unknown, or what makes a file unreadable.
    """
    require_regular(path)
    if Path(path).suffix != ".npz":
        return read_table(path, lambda reader: read_new_rows(reader, path, features, missing))
    x = finite_rows(path, read_arrays(path, ["x"])["x"], missing)
    if x.shape[1] != len(features):
        raise DataError(
            f"{path}: x has {x.shape[1]:,} columns, the network knows {len(features):,}: "
            f"{listing(features)}"
        )
    return x


def read_new_rows(reader, path, features, missing):
    header = [shown(name.strip()) for name in next(reader)]
    require_different(header, path)
    lacking = [name for name in features if name not in header]
    unknown = [name for name in header if name not in features]
    if lacking or unknown:
        says = [f"lacks {listing(lacking)}"] * bool(lacking)
        says += [f"has columns that the network does not know: {listing(unknown)}"] * bool(unknown)
        raise DataError(f"{path} {', and '.join(says)}")
    order = [header.index(name) for name in features]
    x = array("d")
    for where, row in rows_below(header, reader, path):
        x.extend(numbers([row[k] for k in order], features, where, missing))
    return np.frombuffer(x).reshape(-1, len(features))
