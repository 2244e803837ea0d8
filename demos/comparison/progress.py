"""What the contest says while it runs."""

import shutil
import time
import traceback
from statistics import fmean

from architectures import lookup
from demos.comparison.ranking import half_width


class Progress:
    """On a terminal one line that updates, and a line for each architecture as it finishes.

    Where the output is no terminal, only the lines that stay. Called by `contest`.
    """

    def __init__(self, total, stream, processes=1):
        self.total, self.stream, self.processes = total, stream, processes
        self.done = 0
        self.start = time.perf_counter()  # of the architecture that is training
        self.wait()

    def epoch(self, entry, epoch, loss, accuracy):
        """Rewrite the line."""
        epochs = entry.recipe.epochs
        left = (time.perf_counter() - self.start) / epoch * (epochs - epoch)
        self.rewrite(
            f"[{self.done + 1}/{self.total}] {title(entry)}: epoch {epoch}/{epochs}, "
            f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, {left:.0f} s left"
        )

    def finished(self, entry, result):
        """Say how an architecture did: `result` is its Outcome, or the Exception that ended it."""
        self.done += 1
        self.start = time.perf_counter()
        self.rewrite("")
        if isinstance(result, Exception):
            says = f"failed: {describe(result)}"
        else:
            says = f"{percent(result.accuracy)} accuracy in {result.train_seconds:.2f} s"
        print(f"[{self.done}/{self.total}] {title(entry)}: {says}", file=self.stream, flush=True)
        self.wait()

    def wait(self):
        """The epochs of other processes are not seen from here: say at least that they run."""
        if self.processes > 1 and self.done < self.total:
            self.rewrite(f"[{self.done}/{self.total}] training in {self.processes} processes ...")

    def rewrite(self, line):
        if self.stream.isatty():
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{line[:width]:{width}}\r", end="", file=self.stream, flush=True)


def title(entry):
    """The name of an entry as people read it."""
    label = lookup(entry.name).label
    return label if entry.recipe.protocol == "shared" else f"{label} ({entry.recipe.protocol})"


def percent(accuracy):
    """ "96.7 ± 0.7 %": the mean and its confidence interval; without it for a single replica."""
    width = half_width(accuracy)
    mean = f"{100 * fmean(accuracy):.1f}"
    return f"{mean} %" if width is None else f"{mean} ± {100 * width:.1f} %"


def describe(error):
    """An exception in one line, with the notes that were added on its way."""
    return "; ".join("".join(traceback.format_exception_only(error)).splitlines())
