"""What the contest says before it runs, and while."""

import shutil
import time
import traceback

from architectures import lookup
from demos.comparison.ranking import estimate

FEW_ROWS = 20  # below, the accuracies are hardly worth comparing


def opening(task, recipe, names):
    """The first lines: what is learnt, from how much, by whom."""
    train, test = task.y_train.shape[-1], task.y_test.shape[-1]
    batches = -(-train // recipe.batch_size)
    lines = [f"{train} train / {test} test, {len(task.class_names)} classes, {batches} batches"]
    if len(recipe.seeds) > 1:
        own = "data" if task.posterior is not None else "split"
        lines.append(
            f"{len(recipe.seeds)} replicas at once, each with its own {own} and initial weights: "
            f"seeds {recipe.seeds[0]} to {recipe.seeds[-1]}"
        )
    if test < FEW_ROWS:
        lines.append(f"Only {test} test rows: one row more right is {100 / test:.0f} points.")
    families = {lookup(name).family for name in names}
    lines.append(
        f"{len(names)} architecture{'s' * (len(names) > 1)} from "
        f"{len(families)} famil{'ies' if len(families) > 1 else 'y'}\n"
    )
    return "\n".join(lines)


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
            says = f"{estimate(result.accuracy)} % accuracy in {result.train_seconds:.2f} s"
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


def describe(error):
    """An exception in one line, with the notes that were added on its way."""
    return "; ".join("".join(traceback.format_exception_only(error)).splitlines())
