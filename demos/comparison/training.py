"""One architecture's turn: all its replicas train at once, by the recipe that everybody follows."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from architectures import classifier, lookup
from demos.comparison import seeds
from demos.comparison.prediction import (
    confusion,
    mean_masks,
    predict,
    predict_grid,
    share_right,
)
from demos.comparison.task import Task
from minigrad import backend, fit, nn, optim

WATCHED = 16  # at most so many replicas are tested after every epoch, for the curves
GRID = 120  # points along each side of a decision boundary
FRAME = 40  # the same for a frame: a boundary as it was on the way
FRAMES = 20  # at most so many epochs have a frame, beside the untrained network's


@dataclass(frozen=True)
class Recipe:
    """What all architectures share."""

    seeds: tuple  # one for each replica
    protocol: str = "shared"  # "shared": plain cross-entropy for all; "native": each its own
    epochs: int = 10
    learning_rate: float | tuple = 1e-2  # one for all replicas, or one for each
    weight_decay: float | tuple = 0.0  # likewise; with it, Adam becomes AdamW
    batch_size: int = 32
    reshuffle: bool = False
    compiled: bool = True  # whether training steps are recorded and replayed: the same bits
    device: str = "cpu"
    boundaries: bool = False  # whether to predict a grid for pictures, and frames on the way
    keep: bool = False  # whether the Outcome holds the state of the trained replicas


@dataclass(frozen=True)
class Entry:
    """One architecture's place in the contest: all that `train` needs, and it can be pickled."""

    name: str
    task: Task
    recipe: Recipe
    guests: tuple = ()  # Guests to load first, where the registry does not have them yet
    options: Mapping = field(default_factory=dict)  # beside the comparison's own, or instead
    earlier: "Outcome | None" = None  # of the first replicas, which need not train again


@dataclass
class Outcome:
    """What came of an Entry, as NumPy arrays and numbers. R replicas, E epochs, C classes."""

    name: str
    label: str
    family: str
    protocol: str
    parameters: int  # of one replica
    loss_history: np.ndarray  # (R, E)
    accuracy_history: np.ndarray  # (WATCHED, E), to look at: nothing is chosen by it
    accuracy: list  # one for each replica, after the last epoch
    predictions: np.ndarray  # (R, test rows): class indices
    confusion: np.ndarray  # (C, C) counts over all replicas: row = true class, column = predicted
    train_seconds: float  # of all replicas together, with recording, without prediction
    shown: int = 0  # the replica in pictures of single ones: the median of the watched
    maps: dict = field(default_factory=dict)  # {(replica, epoch): (n, n, C)}: see `frames`
    doubts: dict = field(default_factory=dict)  # the same places: (n, n), if the network samples
    masks: np.ndarray | None = None  # (R, steps + 1, D), if the network chooses features
    extra: dict = field(default_factory=dict)
    has_own_objective: bool = False  # whether the other protocol would train it differently
    colour: str | None = None  # in pictures; None: that of its family
    state: dict = field(default_factory=dict)  # of the replicas as they predict, if it is kept

    def __repr__(self):
        accuracy = 100 * np.mean(self.accuracy)
        replicas = f"{len(self.accuracy)} replica{'s' * (len(self.accuracy) > 1)}"
        return f"Outcome({self.label}, {self.protocol}: {accuracy:.1f} %, {replicas})"

    @property
    def frames(self):
        """{epoch: class probabilities in the plane}, of the replica shown; epoch 0: untrained.

        (GRID, GRID, C) after the last epoch, (FRAME, FRAME, C) before. Empty if nobody asked for
        boundaries. `maps` has, beside these, the last epoch of the `extremes`, (FRAME, FRAME, C);
        `doubts` the epistemic uncertainty in nats, wherever there is a map.
        """
        return {epoch: map for (replica, epoch), map in self.maps.items() if replica == self.shown}

    @property
    def grid(self):
        """The last of the frames; None if there is none."""
        return self.frames[max(self.frames)] if self.maps else None

    @property
    def extremes(self):
        """(the worst, the best) of the watched replicas."""
        order = by_accuracy(self.accuracy)
        return order[0], order[-1]

    @property
    def diverged(self):
        """The replicas whose loss ended as no finite number."""
        return np.flatnonzero(~np.isfinite(self.loss_history[:, -1])).tolist()


def train(entry, on_epoch=None):
    """Train the replicas of one architecture at once; return the Outcome.

    Replica k starts as it would alone, with the initial weights of ``seeds[k]``. An architecture
    that also draws noise while training draws it for all replicas from one generator, and with
    --reshuffle one order of the rows is drawn for all: there, replica k equals the single run in
    distribution only.

    on_epoch: called after each epoch as on_epoch(entry, epoch, mean loss, mean accuracy).

    Raises:
        MemoryError: the device has no room for them; the message says what to lower.
    """
    try:
        return _train(entry, on_epoch)
    except MemoryError as error:
        problem = no_room(entry, error)
    finally:  # by now nothing of it is left but the Outcome
        backend.give_back_memory()
    raise MemoryError(problem)  # another one: the first holds on to all arrays on its way


def no_room(entry, error):
    """One line for a MemoryError: whose, and what to lower."""
    count = len(entry.recipe.seeds)
    return (
        f"{backend.device_name()} has no room for {count:,} replica{'s' * (count > 1)} of "
        f"{lookup(entry.name).label} with {entry.recipe.batch_size} rows in a minibatch: lower "
        f"{what_to_lower(entry)} ({error})"
    )


def what_to_lower(entry):
    """The options that decide how much memory an Entry takes, in words."""
    names = ["replicas", *["batch-size"] * (entry.recipe.batch_size > 1)]
    names += [name.replace("_", "-") for name in entry.options]
    return " or ".join(f"--{name}" for name in names)


def arrive(entry):
    """What an Entry needs wherever it comes to train: its guests, and its device."""
    for guest in entry.guests:
        guest.load()
    if backend.device() != entry.recipe.device:  # in another process, which started on the CPU
        backend.use(entry.recipe.device)


def _train(entry, on_epoch):
    arrive(entry)
    task, recipe, known = entry.task, entry.recipe, lookup(entry.name)
    model = replicas(entry)
    x_train, x_test = task.x_train, task.x_test
    if recipe.device != "cpu":  # there all rows are at hand; here they may be LazyRows
        x_train, x_test = backend.asarray(x_train), backend.asarray(x_test)
    watch = Watch(entry, model, x_train, x_test, on_epoch)
    # A loss that diverges is a result, and the report says so: no need for NumPy to warn, too.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        history = fit(
            model,
            x_train,
            task.y_train,
            type(model).loss,
            optimizer(model, recipe),
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            shuffle=seeds.order(recipe.seeds[0]) if recipe.reshuffle else None,
            on_epoch=watch,
            compiled=recipe.compiled,
        )
        return Outcome(
            name=entry.name,
            label=known.label,
            family=known.family,
            colour=known.colour,
            has_own_objective=known.has_own_objective,
            protocol=recipe.protocol,
            parameters=sum(p.size for p in model.parameters()) // len(recipe.seeds),
            loss_history=np.stack(history.losses, axis=-1),
            accuracy_history=np.stack(watch.accuracies, axis=-1),
            train_seconds=sum(history.seconds),
            **examine(entry, model, x_train, x_test, watch.models),
        )


def optimizer(model, recipe):
    if np.any(recipe.weight_decay):
        return optim.AdamW(
            model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
    return optim.Adam(model.parameters(), lr=recipe.learning_rate)


def replicas(entry):
    """The Classifiers of all seeds, stacked into one."""
    task, recipe = entry.task, entry.recipe
    classes, (rows, features) = len(task.class_names), task.x_train.shape[1:]
    return nn.stack(
        fresh(
            entry.name,
            recipe.protocol,
            classes,
            features,
            rows,
            rng=seeds.training(seed),
            options=entry.options,
        )
        for seed in recipe.seeds
    )


def fresh(name, protocol, classes, features, train_rows, *, rng, options=None):
    """One Classifier of the comparison, untrained; see Entry for its `options`."""
    return classifier(
        name,
        classes,
        features,
        train_rows=train_rows,
        native=protocol == "native",
        rng=rng,
        **{**lookup(name).options, **(options or {})},
    )


class Watch:
    """Called after every epoch: tests the first replicas, and keeps what it saw."""

    def __init__(self, entry, model, x_train, x_test, on_epoch):
        self.entry, self.model, self.on_epoch = entry, model, on_epoch
        self.x_train, self.x_test = x_train[:WATCHED], x_test[:WATCHED]
        self.accuracies, self.models = [], {}  # {epoch: a copy of the first replicas}
        self.framed = epochs_with_frames(entry.recipe)
        self.look(0)

    def look(self, epoch):
        """The first replicas as they are now, ready to predict; kept if this epoch has a frame."""
        model = nn.unstack(self.model, slice(WATCHED)).finish(self.x_train)
        if epoch in self.framed:
            self.models[epoch] = model
        return model

    def __call__(self, epoch, history):
        task, seed = self.entry.task, self.entry.recipe.seeds[0]
        model = self.look(epoch)
        guesses = predict(model, self.x_test, seed)
        self.accuracies.append(share_right(guesses, task.y_test[:WATCHED]))
        if self.on_epoch is not None:
            accuracy = self.accuracies[-1].mean()
            self.on_epoch(self.entry, epoch, history.losses[-1].mean(), accuracy)


def epochs_with_frames(recipe):
    """Spread evenly from 0, the untrained network, to the last."""
    if not recipe.boundaries:
        return set()
    return set(np.linspace(0, recipe.epochs, min(recipe.epochs, FRAMES) + 1).round().tolist())


def examine(entry, model, x_train, x_test, on_the_way):
    """What the trained replicas are worth: the parts of an Outcome that prediction gives.

    on_the_way: {epoch: the first replicas}. Which of them is the median one is known only now, so
    only now are the frames predicted.
    """
    task, seed = entry.task, entry.recipe.seeds[0]
    finished = model.finish(x_train)
    guesses = predict(finished, x_test, seed)
    accuracy = share_right(guesses, task.y_test)
    shown = median(accuracy)
    found = {
        "accuracy": accuracy.tolist(),
        "predictions": guesses.argmax(axis=-1),
        "confusion": confusion(guesses, task.y_test),
        "shown": shown,
        "masks": mean_masks(finished, x_test),
        "maps": {},
        "doubts": {},
    }
    order = by_accuracy(accuracy)
    for epoch, then in on_the_way.items():
        last = epoch == entry.recipe.epochs
        for replica in {shown: None, order[0]: None, order[-1]: None} if last else [shown]:
            n = GRID if last and replica == shown else FRAME
            where = (replica, epoch)
            found["maps"][where], doubt = predict_grid(then, replica, task.extent, n, seed)
            if doubt is not None:
                found["doubts"][where] = doubt
    if entry.recipe.keep:
        found["state"] = finished.state_dict()
    if finished is not model:
        before = share_right(predict(model, x_test, seed), task.y_test)
        found["extra"] = {"accuracy_before_conversion": before.tolist()}
    return found


def by_accuracy(accuracy):
    """The watched replicas, the worst first."""
    return np.argsort(accuracy[:WATCHED], kind="stable").tolist()


def median(accuracy):
    """The middle one of the watched replicas; the lower one of two."""
    order = by_accuracy(accuracy)
    return order[(len(order) - 1) // 2]
