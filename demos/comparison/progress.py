"""What the contest says before it runs, and while."""

import os
import time
import traceback

from architectures import lookup
from demos.comparison.ranking import estimate
from demos.shell.terminal import red, width, wrapped

FEW_ROWS = 20  # below, the accuracies are hardly worth comparing


def opening(task, recipe, names):
    """The first lines: what is learnt, from how much, by whom."""
    lines, test = [task.in_words(recipe)], task.y_test.shape[-1]
    if len(recipe.seeds) > 1:
        own = "split" if task.resampled else "data"
        lines.append(
            f"{len(recipe.seeds)} replicas at once, each with its own {own} and initial weights: "
            f"seeds {recipe.seeds[0]} to {recipe.seeds[-1]}"
        )
    if test < FEW_ROWS:
        lines.append(f"Only {test} test rows: one row more right is {100 / test:.0f} points.")
    lines += task.notes
    families = {lookup(name).family for name in names}
    lines.append(
        f"{len(names)} architecture{'s' * (len(names) > 1)} from "
        f"{len(families)} famil{'ies' if len(families) > 1 else 'y'}"
    )
    return "\n".join(map(wrapped, lines))


class Progress:
    """On a terminal one line that updates, and a line for each architecture as it finishes.

    Where the output is no terminal, only the lines that stay.
    """

    def __init__(self, total, stream, *, live=None):
        """live: whether there is a line that updates; None: if `stream` is a terminal."""
        self.total, self.stream = total, stream
        self.live = stream.isatty() and os.environ.get("TERM") != "dumb" if live is None else live
        self.done = 0
        self.running = {}  # {title of an entry: its last epoch}
        self.start = time.perf_counter()
        self.rewrite(f"[0/{total}] starting ...")

    def epoch(self, entry, epoch, loss, accuracy):
        """Rewrite the line."""
        epochs = entry.recipe.epochs
        self.running[title(entry)] = epoch
        if len(self.running) == 1:
            says = f"epoch {epoch}/{epochs}, loss {loss:.3f}, accuracy {100 * accuracy:.1f} %"
            says = f"{title(entry)}: {says}"
        else:
            says = ", ".join(f"{name} {last}/{epochs}" for name, last in self.running.items())
        left = self.seconds_left(sum(self.running.values()) / epochs)
        self.rewrite(f"[{self.done}/{self.total}] {says}; about {duration(left)} left")

    def seconds_left(self, running):
        """Of the whole run, if what comes takes as long as what has been.

        running: how many of the architectures that train now are done, counted in parts.
        """
        done = self.done + running
        return (time.perf_counter() - self.start) * (self.total - done) / done

    def finished(self, entry, result):
        """Say how an architecture did: `result` is its Outcome, or the Exception that ended it."""
        self.done += 1
        self.running.pop(title(entry), None)
        failed = isinstance(result, Exception)
        says = red(f"failed: {describe(result)}") if failed else self.worth(entry, result)
        self.rewrite("")
        print(f"[{self.done}/{self.total}] {title(entry)}: {says}", file=self.stream, flush=True)

    def worth(self, entry, outcome):
        accuracy = estimate(outcome.accuracy, entry.task.overlap)
        return f"{accuracy} % accuracy in {outcome.train_seconds:.2f} s"

    def drawing(self, name):
        """Say which picture is being drawn; None: no more."""
        self.rewrite(name and f"drawing {name} ...")

    def rewrite(self, line):
        if self.live:
            room = width() - 1
            print(f"\r{(line or '')[:room]:{room}}\r", end="", file=self.stream, flush=True)


def duration(seconds):
    """ "40 s", "3 min", "2 h 5 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def title(entry):
    """The name of an entry as people read it."""
    says = [entry.recipe.protocol] * (entry.recipe.protocol != "shared")
    says += [f"{name}={spelt(value)}" for name, value in entry.options.items()]
    label = lookup(entry.name).label
    return f"{label} ({', '.join(says)})" if says else label


def spelt(value):
    """The value of an option as it is written on a command line: "64x32", "none"."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return f"{value}".lower() if value in (None, True, False) else f"{value}"


def describe(error):
    """An exception in one line, with the notes that were added on its way."""
    return "; ".join("".join(traceback.format_exception_only(error)).splitlines())
