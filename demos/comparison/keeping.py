"""Trained networks in files: what compare.py --save writes, and who reads it again.

Each is a file of `minigrad.save`, models/NAME.npz: all replicas of one architecture as they
predict, on their leading axis, and beside their numbers what made them, in which units their data
were, and the Outcome. It holds no code: the registry builds a network (that of a guest needs its
file, --with), the file fills it.
"""

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import quote

import numpy as np

import minigrad
from architectures import ARCHITECTURES, lookup
from demos.comparison.training import Outcome, fresh
from demos.shell.ending import Refusal

FOLDER = "models"
PLANES = ("maps", "doubts")  # of an Outcome: {(replica, epoch): array}


def path_of(folder, name, protocol):
    """models/mlp.npz; of the native protocol models/mlp.native.npz."""
    native = ".native" * (protocol == "native")
    return Path(folder, FOLDER, f"{quote(name, safe='')}{native}.npz")


def keep(folder, entry, outcome):
    """Write what has come of an Entry into the folder of its run.

    Raises:
        OSError: it cannot be written.
    """
    task, replicas = entry.task, range(len(outcome.accuracy))
    mean, deviation = (np.stack(parts) for parts in zip(*map(task.scale, replicas)))
    path = path_of(folder, entry.name, entry.recipe.protocol)
    path.parent.mkdir(exist_ok=True)
    minigrad.save(
        path,
        outcome.state,
        made_by=identity(entry),
        seeds=list(entry.recipe.seeds),
        rows=[fingerprint_of_rows(task, k) for k in replicas],
        train_rows=task.x_train.shape[1],
        mean=mean,
        deviation=deviation,
        fill=task.fill,
        **dict(named_parts(outcome)),
    )


def identity(entry):
    """All that decides what an Entry's replicas become, but for their seeds and rows; as JSON."""
    task, recipe = entry.task, entry.recipe
    return {
        "architecture": entry.name,
        "protocol": recipe.protocol,
        "options": options_of(entry.name, entry.options),
        "code": fingerprint_of_code(entry),
        "classes": list(task.class_names),
        "features": list(task.feature_names),
        "imputed": task.imputed,
        "epochs": recipe.epochs,
        "learning rate": recipe.learning_rate,
        "weight decay": recipe.weight_decay,
        "batch size": recipe.batch_size,
        "reshuffled": recipe.reshuffle,
        "device": recipe.device,
        "minigrad": minigrad.__version__,
        "NumPy": np.__version__,
    }


def options_of(name, own=None):
    """The options of the registry, and an Entry's `own`, as JSON gives them back; of a function its
    name."""

    def name_of(value):
        return getattr(value, "__qualname__", type(value).__qualname__)

    return json.loads(json.dumps({**lookup(name).options, **(own or {})}, default=name_of))


def fingerprint_of_code(entry):
    """Of the files of guests that the architecture's classes come from; None for our own."""
    known = lookup(entry.name)
    homes = {kind.__module__ for kind in (known.backbone, known.shared, known.native)}
    texts = [guest.text for guest in entry.guests if guest.path in homes]
    return hashlib.sha256("".join(texts).encode()).hexdigest()[:16] if texts else None


def fingerprint_of_rows(task, replica):
    digest = hashlib.sha256()
    for array in (task.x_train, task.y_train, task.x_test, task.y_test):
        digest.update(np.ascontiguousarray(array[replica]))
    return digest.hexdigest()[:16]


def named_parts(outcome):
    """(name, value) of all of an Outcome but its state, for `minigrad.save`."""
    for part in fields(outcome):
        if part.name not in ("state", *PLANES):
            yield f"outcome.{part.name}", getattr(outcome, part.name)
    for name in PLANES:
        for (replica, epoch), plane in getattr(outcome, name).items():
            yield f"{name}.{replica}.{epoch}", plane


# --- reading ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """What such a file holds: see `keep`."""

    path: Path
    state: dict
    extras: dict
    made_by: dict
    seeds: list
    mean: np.ndarray  # (R, D)
    deviation: np.ndarray  # (R, D)
    fill: np.ndarray | None  # (R, D), for missing values
    shown: int  # the median replica

    @property
    def classes(self):
        return self.made_by["classes"]

    @property
    def features(self):
        return self.made_by["features"]

    def network(self, replica):
        """The Classifier that predicts, one replica.

        Raises:
            Refusal: its architecture is not registered, or otherwise than it was, or the numbers do
                not fit it.
        """
        name = self.made_by["architecture"]
        if name not in ARCHITECTURES:
            raise Refusal(f"{self.path}: nobody has registered {name!r}: --with its file, perhaps?")
        registered, ours = self.made_by["options"], options_of(name)
        if registered != ours:
            raise Refusal(f"{self.path}: {name} had the options {registered}, and has {ours} now")
        # Small before it is large: the numbers of one replica, whatever the file says of others.
        state = {name: array[replica] for name, array in self.state.items()}
        try:
            network = fresh(
                name,
                self.made_by["protocol"],
                len(self.classes),
                len(self.features),
                self.extras["train_rows"],
                rng=0,
            )
            # A conversion takes its form from any rows, and its numbers from the file.
            rows = np.random.default_rng(0).standard_normal((32, len(self.features)), "float32")
            network = network.finish(rows)
            network.load_state_dict(state)
        except (ValueError, TypeError) as error:
            raise Refusal(f"{self.path}: {error}") from None
        return network.eval()

    def outcome(self):
        """The Outcome of all replicas.

        Raises:
            Refusal: it has not the parts that an Outcome has here.
        """
        parts = {name: {} for name in PLANES}
        try:
            for name, value in self.extras.items():
                kind, *rest = name.split(".")
                if kind == "outcome":
                    parts[rest[0]] = value
                elif kind in PLANES:
                    parts[kind][tuple(map(int, rest))] = value
            return Outcome(**parts, state=self.state)
        except (TypeError, ValueError, IndexError) as error:
            raise Refusal(f"{self.path} is of another version: {error}") from None


def read(path):
    """The Kept of a file.

    Raises:
        Refusal: it cannot be read, or is none of ours.
    """
    try:
        file = minigrad.load(path)
    except OSError as error:
        raise Refusal(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise Refusal(error) from None
    try:
        extras, made_by = file.extras, file.extras["made_by"]
        kept = Kept(
            Path(path),
            file.state,
            extras,
            made_by,
            extras["seeds"],
            extras["mean"],
            extras["deviation"],
            extras["fill"],
            extras["outcome.shown"],
        )
        sound = is_sound(kept)
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise Refusal(f"{path} holds no network of compare.py --save")
    return kept


def is_sound(kept):
    """Whether the parts of a file are what they ought to be, and fit each other."""
    replicas, shape = len(kept.seeds), (len(kept.seeds), len(kept.features))
    scales = [kept.mean, kept.deviation, *([] if kept.fill is None else [kept.fill])]
    return (
        all(type(name) is str for name in (kept.made_by["architecture"], *names(kept)))
        and all(name.isprintable() for name in names(kept))
        and kept.made_by["protocol"] in ("shared", "native")
        and len(set(kept.features)) == len(kept.features)
        and all(type(seed) is int and seed >= 0 for seed in kept.seeds)
        and type(kept.shown) is int
        and 0 <= kept.shown < replicas
        and all(array.shape[:1] == (replicas,) for array in kept.state.values())
        and all((array.shape, array.dtype) == (shape, np.float64) for array in scales)
        and all(bool(np.isfinite(array).all()) for array in scales)
        and bool((kept.deviation > 0).all())
    )


def names(kept):
    if not (type(kept.classes) is type(kept.features) is list):
        raise TypeError
    return kept.classes + kept.features
