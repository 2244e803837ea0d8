"""What came of a sweep: each setting's accuracy, as a table and as sweep.json."""

import math
from dataclasses import dataclass

import minigrad
from demos.comparison.progress import spelt
from demos.comparison.ranking import Estimate, difference, estimate
from demos.comparison.results import finite
from demos.comparison.table import laid_out
from demos.shell.terminal import dim, green, wrapped
from minigrad import backend

SCHEMA = 1


@dataclass(frozen=True)
class Line:
    """A setting, and what its replicas have reached."""

    setting: dict
    accuracy: list  # one for each replica
    losses: list  # after the last epoch, likewise
    parameters: int
    estimate: Estimate

    @property
    def diverged(self):
        return sum(not math.isfinite(loss) for loss in self.losses)


def lines(pairs, task, replicas):
    """The Lines of (Turn, Outcome) pairs, in the order of the settings."""
    found = []
    for turn, outcome in pairs:
        for k, setting in enumerate(turn.settings):
            mine = slice(k * replicas, (k + 1) * replicas)
            found.append(
                Line(
                    setting,
                    outcome.accuracy[mine],
                    outcome.loss_history[mine, -1].tolist(),
                    outcome.parameters,
                    estimate(outcome.accuracy[mine], task.overlap),
                )
            )
    return found


def best_first(lines):
    return sorted(lines, key=lambda line: -line.estimate.mean)


def cannot_be_told_apart(line, best, task):
    """Whether two settings may be as good, by their differences replica by replica."""
    return difference(best.accuracy, line.accuracy, task.overlap).has_zero()


def table(lines, task, varying):
    """The settings, best first; `varying`: the names of what differs."""
    best, *_ = ranked = best_first(lines)
    rows = [
        [
            *(spelt(line.setting[name]) for name in varying),
            f"{line.estimate} %",
            "=" * (line is not best and cannot_be_told_apart(line, best, task)),
            f"{line.parameters:,}",
            f"{line.diverged} diverged" * bool(line.diverged),
        ]
        for line in ranked
    ]
    head = [*varying, "accuracy", "", "parameters", ""]
    text = laid_out(head, rows, left=0)
    text[3] = green(text[3])
    return "\n".join([*text, *(dim(wrapped(note, then="   ")) for note in notes(ranked, task))])


def notes(ranked, task):
    """What the signs in the table mean, and what it does not show."""
    replicas = len(ranked[0].accuracy)
    if replicas > 1:
        how = ", corrected for splits of the same rows (Nadeau & Bengio 2003)" * task.resampled
        yield f"±  95 % confidence interval of the mean over {replicas} replicas{how}"
        if len(ranked) > 1:
            yield "=  cannot be told from the best (paired over replicas, 95 %)"
    yield from task.notes
    if len(ranked) > 1:
        yield (
            f"The best of {len(ranked)} is chosen by these test rows, so its accuracy flatters: "
            "see what it reaches with another --seed."
        )


def as_dict(lines, task, recipe, name, axes, *, failed, interrupted):
    """The sweep as numbers, lists and dicts."""
    return {
        "schema": SCHEMA,
        "minigrad": minigrad.__version__,
        "device": backend.device(),
        "architecture": name,
        "protocol": recipe.protocol,
        "data": task.name,
        "notes": list(task.notes),
        "seeds": list(recipe.seeds),
        "axes": {key: list(values) for key, values in axes.items()},
        "interrupted": interrupted,
        "failed": failed,
        "results": [
            {
                "setting": line.setting,
                "accuracy": line.accuracy,
                "accuracy_mean": line.estimate.mean,
                "accuracy_ci95": line.estimate.half_width,
                "final_loss": finite(line.losses),
                "parameters": line.parameters,
            }
            for line in best_first(lines)
        ],
    }
