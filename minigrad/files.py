"""Files of arrays: .npz, read with suspicion, and written at once or not at all.

An .npz file is a zip archive with a .npy file for each array: a header, then the numbers. Nothing
in it is executed (no pickle), its names are keys and never paths, and what it claims to hold is
believed only as far as its own size makes it credible.
"""

import errno
import math
import os
import re
import stat
import time
import zipfile
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy
from numpy.lib import format as npy

try:
    import fcntl
except ImportError:  # Windows, where what a killed process has left stays
    fcntl = None  # type: ignore[assignment]

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
PLAIN = "biufcSU"  # numbers and text


def read_npz(path, names, *, whole=False):
    """{name: NumPy array} of the arrays `names`; they are read-only.

    whole: read all others, too, of a file that `write_npz` has written. There nothing is
        compressed, so it takes no more memory than room on the disk.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no .npz file, broken, hostile, or lacks one of the names; in one line.
        MemoryError: its arrays are larger than the memory.
    """
    require_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            held = members(path, archive)
            missing = [name for name in names if name not in held]
            if missing:
                raise ValueError(
                    f"{path} lacks {' and '.join(missing)}; its arrays: {listing(list(held))}"
                )
            chosen = {name: held[name] for name in (held if whole else names)}
            require_credible(path, chosen, 1 if whole else 100, 0 if whole else 100_000_000)
            return {name: read_array(path, archive, name, i) for name, i in chosen.items()}
    except (OSError, ValueError, MemoryError):
        raise
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no .npz file, or a broken one: {error}") from None
    except Exception as error:  # whatever the unpacking of a broken file runs into
        raise ValueError(f"{path} is broken: {error}") from None


def require_regular(path):
    """A pipe or a device might be read for ever."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "it is a folder, a pipe or a device, not a file", str(path))


def members(path, archive):
    """{name: ZipInfo} of the arrays in it."""
    infos = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    held = {info.filename.removesuffix(".npy"): info for info in infos}
    if len(held) < len(infos):
        raise ValueError(f"{path} is broken: two of its arrays have the same name")
    return held


def require_credible(path, chosen, growth, free):
    """That nothing is encrypted, and unpacks to at most `growth` times its size, or `free` bytes;
    and that no two members are the same bytes of the file."""
    for name, info in chosen.items():
        if info.flag_bits & 1:
            raise ValueError(f"{path}: {listing([name])} is encrypted")
        if info.file_size > max(growth * info.compress_size, free):
            raise ValueError(
                f"{path}: {listing([name])} unpacks to {info.file_size:,} bytes, from "
                f"{info.compress_size:,}: more than is credible"
            )
    size = os.path.getsize(path)
    packed = sum(info.compress_size for info in chosen.values())
    if packed > size:
        raise ValueError(f"{path} is broken: {packed:,} bytes in a file of {size:,}")


def read_array(path, archive, name, info):
    """One array; memory for it is taken only when its header and its size agree."""
    with archive.open(info) as file:
        try:
            shape, fortran, dtype = HEADERS[npy.read_magic(file)](file)
        except Exception as error:  # it is a Python literal, and may be one of a thousand brackets
            what = " ".join(f"{error}".split())[:100]
            raise ValueError(f"{path} holds no plain arrays: {listing([name])}: {what}") from None
        claimed, there = math.prod(shape) * dtype.itemsize, info.file_size - file.tell()
        if dtype.kind not in PLAIN or min(shape, default=0) < 0 or claimed != there:
            raise ValueError(
                f"{path} holds no plain arrays: {listing([name])} is to be {dtype} of shape "
                f"{shape}, in {there:,} bytes"
            )
        return numpy.ndarray(shape, dtype, file.read(), order="F" if fortran else "C")


def listing(names, most=12):
    """The names in one line: printable, not too long, not too many."""
    short = [name if len(name) <= 60 else f"{name[:59]}…" for name in names[:most]]
    shown = ", ".join("".join(c if c.isprintable() else "?" for c in name) for name in short)
    return shown + f", ... ({len(names):,} in all)" * (len(names) > most)


def write_npz(path, arrays):
    """Write {name: NumPy array}: whoever reads the file finds the old one or the new one.

    Raises:
        OSError: it cannot be written.
        ValueError: an array of objects.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # of no date: equal arrays are equal files
            with archive.open(info, "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


@contextmanager
def replacing(path):
    """A file to write in, which takes the place of `path` once it is complete and on the disk.

    A link stays one: what it leads to is replaced.
    """
    with part_of(path) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        os.replace(file.name, os.path.realpath(path))


@contextmanager
def part_of(path):
    """A new file beside `path`, or where that leads to; deleted afterwards if it is still there.

    A process that is killed leaves it behind, and its lock ends: who writes `path` next deletes it.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    delete_left_parts(path)
    with open(part, "xb") as file:  # "x": never through somebody's link
        try:
            if fcntl is not None:
                with suppress(OSError):  # where nothing can be locked, nothing is deleted either
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file
        finally:
            file.close()
            part.unlink(missing_ok=True)


def delete_left_parts(path):
    """Delete the parts of `path` that nobody has locked, and that are too old to be just begun."""
    if fcntl is None:
        return
    named = re.compile(rf"\.{re.escape(path.name)}\.\d+\.part")
    with suppress(OSError):
        for part in [part for part in path.parent.iterdir() if named.fullmatch(part.name)]:
            with suppress(OSError):
                found = part.lstat()
                if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > 60:
                    with open(part, "r+b") as file:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        part.unlink()
