"""The files of a run, which appear all at once or not at all.

    with Output(Path("out"), names) as output:
        ...                                     # write into output.folder
        shown = output.publish()

A run is written into a new hidden folder, ``out/.runs/3``. What people see in ``out`` are links
that lead through one other, ``results.json -> .runs/latest/results.json`` and ``latest -> 3``: to
replace that one link, which a file system does at once or not at all, is to replace the run.
What a run that was killed has left stays until the next one ends, which may go on with it.
Whatever in ``out`` is no link into ``.runs`` belongs to somebody else and is never touched.
"""

import contextlib
import os
import shutil
from itertools import count

from demos.shell.ending import Refusal
from minigrad.files import part_of, replacing

try:
    import fcntl
except ImportError:  # Windows, where two runs at once are not noticed
    fcntl = None

ROOM = 1 << 20  # bytes: about as much as the pictures and numbers of a run take
RUNS = ".runs"
UNFINISHED = ".incomplete"  # ends the name of a run's folder as long as it is so


class Output:
    """Where a run writes. Entering finds out whether it can; leaving forgets what is unpublished.

    Raises:
        Refusal: the folder takes no files, is in use by another run, or holds a file by one of the
            `names` that the run may write, and no earlier run has written that.
    """

    def __init__(self, out, names, *, keep_others=False):
        """keep_others: whether files of the earlier run that this one does not write stay."""
        self.out, self.names, self.keep_others = out, (*names, "incomplete"), keep_others
        self.runs, self.latest = out / RUNS, out / RUNS / "latest"
        self.lock = None

    def __enter__(self):
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self.refuse_strangers()
            self.runs.mkdir(exist_ok=True)
            self.lock = locked(self.runs / "lock")
            number = 1 + max((int(path.stem) for path in self.numbered()), default=0)
            self.folder = self.runs / f"{number}{UNFINISHED}"
            self.folder.mkdir()
            room = self.folder / "room"
            room.write_bytes(bytes(ROOM))
            sync(room)
            room.unlink()
        except BlockingIOError:
            raise Refusal(f"another run is writing to {self.out}: choose another --out") from None
        except OSError as error:
            self.__exit__()
            why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
            raise Refusal(f"cannot write to {self.out}: {why}") from None
        except KeyboardInterrupt:
            self.__exit__()
            raise
        return self

    def refuse_strangers(self):
        strangers = [path for name in self.names if stranger(path := self.out / name)]
        lock = self.runs / "lock"
        if self.runs.is_symlink() or self.runs.is_file():
            strangers.append(self.runs)
        elif self.runs.exists() and any(self.runs.iterdir()) and not os.path.lexists(lock):
            strangers.append(self.runs)  # no run has been in it
        # A pipe would be waited for, a link would lead elsewhere.
        if os.path.lexists(lock) and (lock.is_symlink() or not lock.is_file()):
            strangers.append(lock)
        if strangers:
            raise Refusal(
                f"{strangers[0]} is not from an earlier run: move it away, or choose another --out"
            )

    def clear(self, *but):
        """Begin the folder anew, `but` for what stands by these names."""
        for path in self.folder.iterdir():
            if path.name not in but:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def publish(self, *, complete=True):
        """Let what is in `folder` be the run that people see; return the folder where they see it.

        Usually that is `out`. What is incomplete does not replace what is complete: it is then seen
        in out/incomplete. Where the file system knows no links (or somebody has taken a name in the
        meantime) it is a new folder, out/run-1 ..., and nothing is replaced.
        """
        if self.keep_others and self.latest.exists():
            for path in self.latest.iterdir():
                if not (self.folder / path.name).exists():
                    shutil.copy2(path, self.folder)
        for path in (*self.folder.rglob("*"), self.folder):
            sync(path)
        try:
            if not complete and self.latest.exists() and not unfinished(self.latest):
                self.point(self.out / "incomplete", f"{RUNS}/{self.folder.name}")
                return self.out / "incomplete"
            if complete:
                self.folder = self.folder.rename(self.runs / self.folder.stem)
            for path in self.folder.iterdir():
                if not ours(self.out / path.name):
                    (self.out / path.name).symlink_to(f"{RUNS}/latest/{path.name}")
            self.point(self.latest, self.folder.name)
            return self.out
        except OSError:
            shown = (self.out / f"run-{k}" for k in count(1))
            return self.folder.rename(next(path for path in shown if not os.path.lexists(path)))

    def point(self, link, target):
        """Let `link` lead to `target`: in one step, also if it led elsewhere before."""
        new = self.runs / "next"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        os.replace(new, link)

    def __exit__(self, *_):
        if self.lock is None:
            return
        with contextlib.suppress(OSError):  # what remains now, the next run tidies up
            self.tidy()
            if not any(self.numbered()):
                for name in ("next", "latest", "lock"):  # the lock last: it says whose folder it is
                    (self.runs / name).unlink(missing_ok=True)
                self.runs.rmdir()
        self.lock.close()

    def tidy(self):
        """Delete the runs, and the links to files of runs, that are not to be seen any more."""
        seen = {os.path.realpath(link) for link in (self.latest, self.out / "incomplete")}
        for folder in self.numbered():
            if os.path.realpath(folder) not in seen:
                shutil.rmtree(folder)
        for path in self.out.iterdir():
            if ours(path) and not path.exists():
                path.unlink()

    def numbered(self):
        return [path for path in self.runs.iterdir() if path.stem.isdecimal()]


def ours(path):
    """Whether a run has put it there: a link into the folder of the runs."""
    return path.is_symlink() and os.readlink(path).startswith(RUNS)


def stranger(path):
    return os.path.lexists(path) and not ours(path)


def unfinished(link):
    return os.readlink(link).endswith(UNFINISHED)


def locked(path):
    """The file, open, and in no other process: the system lets go of it when the process ends.

    Raises:
        BlockingIOError: another process has it.
    """
    file = open(path, "a")  # noqa: SIM115
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                raise BlockingIOError  # its owner was just deleting it
        except BaseException:
            file.close()
            raise
    return file


def sync(path):
    """Wait until a file, or a folder's list of files, is on the disk (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- a single file ---------------------------------------------------------------------------


def require_replaceable(path):
    """Raise Refusal if `replace_file` could not write `path`."""
    if os.path.islink(path) and not os.path.exists(path):
        raise Refusal(f"cannot write to {path}: it is a link that leads to nothing")
    if os.path.exists(path) and not os.path.isfile(path):
        raise Refusal(f"cannot write to {path}: it is a folder, a pipe or a device, not a file")
    if os.path.lexists(path.parent) and not path.parent.is_dir():
        raise Refusal(f"cannot write to {path}: {path.parent} is no folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part_of(path) as file:
            file.write(bytes(ROOM))
    except OSError as error:
        raise Refusal(f"cannot write to {path}: {error.strerror}") from None


def replace_file(path, text):
    """Write a single file: whoever reads it finds the old one or the new one, never a part."""
    with replacing(path) as file:
        file.write(text.encode())
