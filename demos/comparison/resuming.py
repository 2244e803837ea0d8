"""--resume: a comparison goes on with what an earlier one in the same folder has kept.

An architecture that has trained by the same recipe on the same data is not trained again; if there
are more replicas now, those train that are new. The results are those of a run in one go, bit by
bit: where replicas share what is drawn while training (noise, or with --reshuffle the order of the
rows), or where a GPU multiplies larger stacks otherwise, all replicas train anew.
"""

import shutil
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from demos.comparison import keeping, training
from demos.comparison.progress import title
from demos.comparison.training import WATCHED, fresh, median
from demos.shell.ending import Refusal, printable
from demos.shell.output import RUNS
from minigrad.data import LazyRows


@dataclass
class Start:
    """Where a run begins.

    left: the Entries that train.
    done: the Outcomes that are there already.
    folder: where the networks of the earlier run are; None: there is none.
    """

    left: list
    done: list = field(default_factory=list)
    folder: Path | None = None

    def carry(self, folder):
        """Copy the networks of the earlier run into the folder of this one: all, or none."""
        if self.folder is not None:
            parts = shutil.ignore_patterns("*.part")  # of files that were being written
            shutil.copytree(self.folder, folder / "copied", ignore=parts)
            (folder / "copied").rename(folder / keeping.FOLDER)

    def __str__(self):
        """What is there, and what is left, in words."""
        if self.folder is None:
            return "Nothing is there to go on with: all architectures train."
        there = [outcome.label for outcome in self.done]
        growing = [title(entry) for entry in self.left if entry.earlier]
        says = [f"trained already: {', '.join(there)}"] * bool(there)
        says += [f"only new replicas train of: {', '.join(growing)}"] * bool(growing)
        return f"Going on from {printable(str(self.folder))}: {'; '.join(says) or 'all train anew'}"


def start(contenders, out):
    """The Start of a run that goes on from the newest one in the folder `out` that has kept
    networks, whether it came to its end or not.

    Raises:
        Refusal: it trained by another recipe or on other data, or holds what this run has not.
    """
    runs = [*out.glob(f"{RUNS}/[0-9]*"), *out.glob("run-*")]  # those where there are no links
    runs = [run for run in runs if (run / keeping.FOLDER).is_dir()]
    if not runs:
        return Start(contenders)
    folder = max(runs, key=lambda run: run.stat().st_mtime_ns) / keeping.FOLDER
    paths = {
        keeping.path_of(folder.parent, entry.name, entry.recipe.protocol): entry
        for entry in contenders
    }
    others = [path.name for path in sorted(folder.glob("*.npz")) if path not in paths]
    if others:
        raise Refusal(
            f"--resume: {folder} also holds {', '.join(others)}, which this run would leave out: "
            "let it compete, too, or choose another --out"
        )
    begun = Start([], folder=folder)
    for path, entry in paths.items():
        kept = keeping.read(path) if path.exists() else None
        if kept is None:
            begun.left.append(entry)
            continue
        require_same(kept, entry)
        outcome = kept.outcome()
        if is_whole(outcome, entry):
            begun.done.append(outcome)
        else:
            begun.left.append(replace(entry, earlier=outcome) if can_grow(entry) else entry)
    return begun


def require_same(kept, entry):
    """Raise Refusal if what was trained is no part of what is to be trained."""
    now, seeds = keeping.identity(entry), list(entry.recipe.seeds)
    n = len(kept.seeds)
    differences = [
        f"{what} {kept.made_by.get(what)}, now {value}"
        for what, value in now.items()
        if kept.made_by.get(what) != value
    ]
    if seeds[:n] != kept.seeds:
        then, here = (f"{some[0]} to {some[-1]}" for some in (kept.seeds, seeds))
        differences.append(f"seeds {then}, now {here}")
    elif [keeping.fingerprint_of_rows(entry.task, k) for k in range(n)] != kept.extras.get("rows"):
        differences.append("other data")
    if differences:
        raise Refusal(
            f"--resume: {kept.path} was trained otherwise: {'; '.join(differences)}: leave out "
            "--resume, or choose another --out"
        )


def is_whole(outcome, entry):
    """Whether nothing is missing: neither replicas nor what the pictures need."""
    filmed = bool(outcome.maps) or not entry.recipe.boundaries
    return filmed and len(outcome.accuracy) == len(entry.recipe.seeds)


def can_grow(entry):
    """Whether a replica is the same, to the bit, whoever trains beside it."""
    task, recipe = entry.task, entry.recipe
    classes, (rows, features) = len(task.class_names), task.x_train.shape[1:]
    model = fresh(
        entry.name, recipe.protocol, classes, features, rows, rng=0, options=entry.options
    )
    return recipe.device == "cpu" and not recipe.reshuffle and not list(model.named_noise())


# --- growing ---------------------------------------------------------------------------------


def train(entry, on_epoch=None):
    """`training.train`, for the replicas that have not been trained earlier."""
    if entry.earlier is None:
        return training.train(entry, on_epoch)
    outcome = entry.earlier
    if len(outcome.accuracy) < len(entry.recipe.seeds):
        new = slice(len(outcome.accuracy), None)
        outcome = joined(outcome, training.train(some(entry, new), on_epoch))
    if entry.recipe.boundaries and not outcome.maps:
        # Those that are looked at are other replicas now: they train again, to be filmed.
        few = sorted({outcome.shown, *outcome.extremes})
        again = training.train(some(entry, few))
        outcome.maps = {(few[k], epoch): map for (k, epoch), map in again.maps.items()}
    return outcome


def some(entry, replicas):
    """The Entry of some replicas alone: a slice of them, or their numbers. All arrays of a Task
    begin with the replicas' axis."""
    arrays = {part.name: getattr(entry.task, part.name) for part in fields(entry.task)}
    task = {
        name: array[replicas]
        for name, array in arrays.items()
        if isinstance(array, (np.ndarray, LazyRows))
    }
    return replace(
        entry,
        task=replace(entry.task, **task),
        recipe=replace(entry.recipe, seeds=tuple(np.array(entry.recipe.seeds)[replicas].tolist())),
        earlier=None,
    )


def joined(first, second):
    """The Outcome of the replicas of both."""

    def both(name):
        return np.concatenate([getattr(first, name), getattr(second, name)])

    accuracy = first.accuracy + second.accuracy
    states = {name: (array, second.state[name]) for name, array in first.state.items()}
    both_of_them = replace(
        first,
        loss_history=both("loss_history"),
        accuracy_history=both("accuracy_history")[:WATCHED],
        accuracy=accuracy,
        predictions=both("predictions"),
        confusion=first.confusion + second.confusion,
        train_seconds=first.train_seconds + second.train_seconds,
        shown=median(np.array(accuracy)),
        masks=None if first.masks is None else both("masks"),
        extra={name: first.extra[name] + second.extra[name] for name in first.extra},
        state={name: np.concatenate(pair) for name, pair in states.items()},
    )
    if (both_of_them.shown, both_of_them.extremes) != (first.shown, first.extremes):
        both_of_them.maps = {}
    return both_of_them
