"""The contest: every architecture learns the same task by the same recipe, many replicas at once.

`train` is one architecture's turn. `contest` lets all take theirs: one after the other in this
process, or in the processes of any `concurrent.futures.Executor`.
"""

import math
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, field, replace

import numpy as np

from architectures import classifier, lookup
from demos.comparison.task import Task
from minigrad import backend, fit, nn, optim

# So much is predicted in one pass, which bounds the memory: replicas, and rows over all of them.
REPLICAS_PER_PASS = 64
ROWS_PER_PASS = 4096
WATCHED = 16  # at most so many replicas are tested after every epoch, for the curves
GRID = 120  # points along each side of a decision boundary
FRAME = 60  # the same for a frame of the animation


@dataclass(frozen=True)
class Recipe:
    """What all architectures share."""

    seeds: tuple  # one for each replica
    protocol: str = "shared"  # "shared": plain cross-entropy for all; "native": each its own
    epochs: int = 10
    learning_rate: float = 1e-2
    batch_size: int = 32
    reshuffle: bool = False
    device: str = "cpu"
    boundaries: bool = False  # whether to predict a grid for pictures
    animate: bool = False  # the same after every epoch


@dataclass(frozen=True)
class Entry:
    """One architecture's place in the contest: all that `train` needs, and it can be pickled."""

    name: str
    task: Task
    recipe: Recipe


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
    train_seconds: float  # of all replicas together, without prediction
    grid: np.ndarray | None = None  # (GRID, GRID, C): probabilities of the first replica
    frames: list = field(default_factory=list)  # as `grid`, (FRAME, FRAME, C) after each epoch
    extra: dict = field(default_factory=dict)


def contest(entries, executor: Executor | None = None, on_epoch=None):
    """Yield (entry, Outcome), or (entry, the Exception that it failed with), as they finish.

    With an executor, `on_epoch` is not called: the epochs pass in another process. The executor may
    be a ProcessPoolExecutor, Dask's ``client.get_executor()`` or mpi4py's MPIPoolExecutor.
    """
    if executor is None:
        for entry in entries:
            try:
                yield entry, train(entry, on_epoch)
            except Exception as error:
                yield entry, error
    else:
        futures = {executor.submit(train, entry): entry for entry in entries}
        for future in as_completed(futures):
            yield futures[future], future.exception() or future.result()


def train(entry, on_epoch=None):
    """Train the replicas of one architecture at once; return the Outcome.

    Replica k draws its initial weights from ``seeds[k]``, so it starts as it would alone. An
    architecture that also draws noise while training draws it for all replicas from one generator:
    there, replica k equals the single run in distribution only.

    on_epoch: called after each epoch as on_epoch(entry, epoch, mean loss, mean accuracy).
    """
    name, task, recipe = entry.name, entry.task, entry.recipe
    if backend.device() != recipe.device:  # in another process, which started on the CPU
        backend.use(recipe.device)
    features = task.x_train.shape[-1]
    model = nn.stack(
        classifier(
            name,
            len(task.class_names),
            features,
            train_rows=task.x_train.shape[-2],
            native=recipe.protocol == "native",
            rng=np.random.default_rng([seed, 1]),  # another stream than that of the data
            **lookup(name).options,
        )
        for seed in recipe.seeds
    )
    x_train, x_test = backend.asarray(task.x_train), backend.asarray(task.x_test)
    accuracies, frames = [], []

    def look(epoch, history):
        some = slice(WATCHED)
        watched = nn.unstack(model, some).finish(x_train[some])
        guesses = predict(watched, x_test[some], recipe)
        accuracies.append(share_right(guesses, task.y_test[some]))
        if recipe.animate:
            frames.append(predict_grid(watched, task.extent, FRAME, recipe))
        if on_epoch is not None:
            on_epoch(entry, epoch, history.losses[-1].mean(), accuracies[-1].mean())

    # A loss that diverges is a result, and the report says so: no need for NumPy to warn, too.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        history = fit(
            model,
            x_train,
            task.y_train,
            type(model).loss,
            optim.Adam(model.parameters(), lr=recipe.learning_rate),
            epochs=recipe.epochs,
            batch_size=recipe.batch_size,
            shuffle=recipe.seeds[0] if recipe.reshuffle else None,
            on_epoch=look,
        )
        finished = model.finish(x_train)
        guesses = predict(finished, x_test, recipe)
        outcome = Outcome(
            name=name,
            label=lookup(name).label,
            family=lookup(name).family,
            protocol=recipe.protocol,
            parameters=sum(p.size for p in model.parameters()) // len(recipe.seeds),
            loss_history=np.stack(history.losses, axis=-1),
            accuracy_history=np.stack(accuracies, axis=-1),
            accuracy=share_right(guesses, task.y_test).tolist(),
            predictions=guesses.argmax(axis=-1),
            train_seconds=sum(history.seconds),
            frames=frames,
        )
        if recipe.boundaries:
            outcome.grid = predict_grid(finished, task.extent, GRID, recipe)
        if finished is not model:
            before = share_right(predict(model, x_test, recipe), task.y_test)
            outcome.extra["accuracy_before_conversion"] = before.tolist()
    return outcome


# --- prediction ------------------------------------------------------------------------------


def share_right(probabilities, y):
    """(R,): the share of rows whose most probable class is the true one."""
    return (probabilities.argmax(axis=-1) == y).mean(axis=-1)


def predict(model, x, recipe):
    """Class probabilities (R, N, C) of rows (R, N, D), by a stack of R replicas: a NumPy array."""
    parts = []
    for start in range(0, len(x), REPLICAS_PER_PASS):
        some = slice(start, start + REPLICAS_PER_PASS)
        parts.append(predict_rows(nn.unstack(model, some), x[some], (recipe.seeds[0], start)))
    return np.concatenate(parts)


def predict_rows(model, x, seed):
    """The same in passes of a bounded number of rows, and for a single model, too.

    Each pass draws the same noise: so a Bayesian network is the same sample of networks for all
    rows, and the pictures have no seams.
    """
    rows = max(ROWS_PER_PASS // math.prod(x.shape[:-2]), 32)
    parts = []
    for start in range(0, x.shape[-2], rows):
        part = model.predict_proba(x[..., start : start + rows, :], rng=(*seed, 2))
        parts.append(part.numpy())
    return np.concatenate(parts, axis=-2)


def predict_grid(model, extent, n, recipe):
    """Class probabilities (n, n, C) of the first replica, from the bottom left upwards."""
    points = backend.asarray(grid_points(extent, n))
    first = nn.unstack(model, 0)
    return predict_rows(first, points, (recipe.seeds[0], 0)).reshape(n, n, -1)


def grid_points(extent, n):
    """(n * n, 2), row by row from the bottom left."""
    left, right, bottom, top = extent
    x, y = np.meshgrid(np.linspace(left, right, n), np.linspace(bottom, top, n))
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(np.float32)


def entries(names, protocols, task, recipe):
    """One Entry for each architecture and protocol; of two that would train the same, the first."""
    return [
        Entry(name, task, replace(recipe, protocol=protocol))
        for protocol in protocols
        for name in names
        if protocol == protocols[0] or has_own_objective(name)
    ]


def has_own_objective(name):
    """Whether an architecture trains differently under the native protocol."""
    return lookup(name).native is not lookup(name).shared
