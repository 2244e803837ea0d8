"""The board on which training processes write their last epoch, so that the first one sees it.

It is a file with a line of three numbers for each architecture: no process waits for another, and
of one on another machine, which cannot reach the file, nothing is seen.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

LINE = struct.Struct("=Qdd")  # epoch, loss, accuracy


@dataclass(frozen=True)
class Line:
    """One architecture's line: called after each epoch, in whichever process it trains."""

    path: Path
    number: int

    def __call__(self, entry, epoch, loss, accuracy):
        try:
            with open(self.path, "r+b", buffering=0) as file:
                file.seek(self.number * LINE.size)
                file.write(LINE.pack(epoch, loss, accuracy))
        except OSError:
            pass  # what is not seen is not missing: the training goes on


class Board:
    """A board with n lines in the file `path`, as the process sees it that made it."""

    def __init__(self, path, n):
        self.path = path
        self.seen = [(0, 0.0, 0.0)] * n
        path.write_bytes(bytes(n * LINE.size))

    def line(self, number):
        return Line(self.path, number)

    def news(self):
        """(number, epoch, loss, accuracy) of each line that has changed since the last call."""
        now = list(LINE.iter_unpack(self.path.read_bytes()))
        news = [(k, *line) for k, line in enumerate(now) if line != self.seen[k]]
        self.seen = now
        return news
