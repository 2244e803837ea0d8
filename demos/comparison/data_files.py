"""Files of rows, read with suspicion: CSV with a header, or .npz with arrays x and y.

Every complaint is a DataError that says what is wrong, and where, in one line. A number takes eight
bytes.
"""

import csv
import math
import re
from array import array
from itertools import chain

import numpy as np

from demos.shell.ending import Refusal, printable
from minigrad import files

MISSING = {"", "?", "na", "n/a", "nan", "null", "none"}
MOST_CLASSES = 1000
LONGEST_NAME = 60
LONGEST_LINE = 1 << 24  # characters: what is longer is hardly a table


class DataError(Refusal):
    """A file that cannot be learnt from."""


def require_regular(path):
    """A pipe or a device might be read for ever."""
    try:
        files.require_regular(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', error)}") from None


def too_many_classes(path):
    return DataError(
        f"{path}: more than {MOST_CLASSES:,} classes: are these numbers to learn, or names of rows?"
    )


def shown(name):
    """A name from a file as it is printed and drawn: long ones often differ at their end alone."""
    name = printable(str(name))
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 21]}…{name[-20:]}"


# --- CSV -------------------------------------------------------------------------------------


def read_csv(path, target, missing):
    """(x, different labels, a code for each row, feature names).

    A header line, then one row a line; the target may be text.

    missing: see `numbers`.
    """
    return read_table(path, lambda reader: read_rows(reader, path, target, missing))


def read_table(path, read):
    """What `read` makes of the rows, lists of text, that a csv.reader gives: the header first."""
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            lines = readable_lines(file, path)
            blank, first = next(
                ((k, line) for k, line in enumerate(lines) if line.strip()), (0, "")
            )
            if not first:
                raise DataError(f"{path} is empty")
            delimiter = max(",;\t", key=first.count)
            lines = chain(["\n"] * blank, [first], lines)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            for _ in range(blank):  # it counts them
                next(reader)
            return read(reader)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}: is a quotation mark unbalanced?"
        ) from None


def readable_lines(file, path):
    """The lines of a file whose bytes that are no UTF-8 were let through, to be named here."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}: a line of more than {LONGEST_LINE:,} characters is no table")
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError as error:
                byte = ord(line[error.start]) - 0xDC00  # "surrogateescape" has added that
                raise DataError(
                    f"{path} is no UTF-8 text: line {number} has the byte {byte:#x}; save it as "
                    "UTF-8"
                ) from None
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
        if len(row) < 2 and not "".join(row).strip():  # an empty line
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
    require_different([shown(name) for name in header], "columns", path)
    if target is None:
        raise DataError(f"{path}: say with --target which column holds the classes; {columns}")
    if target not in header:
        raise DataError(f"{path} has no column {shown(target)!r}; {columns}")
    if len(header) == 1:
        raise DataError(f"{path} has no other column than the target {target!r} to learn from")
    return header.index(target)


def require_different(names, what, path):
    """Raise a DataError if two of the names, as they are shown, are alike."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path}: two {what} are called {twice!r}; its {what} are {listing(names)}")


def listing(names, most=12):
    more = f", ... ({len(names):,} in all)" * (len(names) > most)
    return ", ".join(shown(name) or "''" for name in names[:most]) + more


def number_in(cell, where, missing):
    if cell.strip().lower() in MISSING:
        if missing is None:
            return math.nan
        raise DataError(f"{where}: the value is missing: {missing}")
    try:
        value = float(cell.replace("_", "?"))  # Python's float takes 1_0 for 10
    except ValueError:
        comma = re.fullmatch(r"[-+]?[\d.]*,\d+", cell.strip())
        hint = ": write a decimal point, not a comma" if comma else ""
        raise DataError(f"{where}: {cell!r} is not a number{hint}") from None
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
    if path.suffix.lower() != ".npz":
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
    require_different(header, "columns", path)
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
