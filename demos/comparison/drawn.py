"""Tasks without a data set: every minibatch is drawn fresh, from the replica's seed.

No row is ever seen twice, so that there is nothing to learn by heart, and the loss of a minibatch
is the loss on rows that are new. What is ranked is the accuracy on rows that nobody trains on.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from architectures import build, classifier, lookup
from architectures.sequence.base import WindowClassifier
from demos.comparison import seeds
from demos.comparison.prediction import confusion, share_right
from demos.comparison.task import Task
from demos.comparison.training import WATCHED, Outcome, arrive, median
from minigrad import Tensor, backend, compile, nn, optim, schedules
from minigrad.training import training_step

TEST_ROWS = 500
CLIP_NORM = 1.0
WARM_UP = 50  # steps
EPOCHS = 10  # in which the steps of a task are cut, to look at the accuracy between them
ROWS_PER_PASS = 512


@dataclass(frozen=True)
class DrawnTask(Task):
    """A Task of which the test rows are there, and a first minibatch to look at.

    draw: draw(rng, rows) -> x and y: sequences (rows, T) or (rows, T, D) and L answers to each,
        (rows, L); or points (rows, D) and their classes (rows,).
    steps: how many minibatches are drawn in ten epochs.
    symbols: V, if what is shown are tokens 0 ... V-1; 0 if it is numbers.
    """

    draw: Callable = None  # type: ignore[assignment]
    steps: int = 1000
    symbols: int = 0

    @property
    def answers(self):
        """L, to each row."""
        return self.y_test.shape[-1] // self.x_test.shape[1]

    def in_words(self, recipe):
        steps = steps_of(self, recipe)
        return (
            f"{steps} minibatches of {recipe.batch_size} drawn fresh / {self.y_test.shape[-1]} "
            f"test answers, {len(self.class_names)} classes"
        )


def drawn_task(name, draw, seeds_of_replicas, *, chance, **details):
    """The DrawnTask of these replicas: each has its own test rows, and trains on its own.

    chance: the accuracy of the best guess without a look.
    """
    first = [draw(seeds.drawn(seed), 32) for seed in seeds_of_replicas]
    test = [draw(seeds.data(seed), TEST_ROWS) for seed in seeds_of_replicas]
    (x_train, y_train), (x_test, y_test) = (map(np.stack, zip(*rows)) for rows in (first, test))
    replicas = len(seeds_of_replicas)
    return DrawnTask(
        name=name,
        x_train=x_train.astype(np.float32),
        y_train=y_train.reshape(replicas, -1),
        x_test=x_test.astype(np.float32),
        y_test=y_test.reshape(replicas, -1),
        draw=draw,
        baselines={"guessing": [chance] * replicas},
        **details,
    )


def train(entry, on_epoch=None):
    """As `training.train`: the replicas of one architecture at once; return the Outcome."""
    arrive(entry)
    task, recipe, known = entry.task, entry.recipe, lookup(entry.name)
    model = replicas(entry)
    accuracies = []

    def look(epoch, loss):
        accuracies.append(share_right(predict(model, task), task.y_test))
        if on_epoch is not None:
            on_epoch(entry, epoch, loss.mean(), accuracies[-1].mean())

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # see training.py
        losses, seconds = learn(model, task, recipe, look)
        guesses = predict(model, task)
    return Outcome(
        name=entry.name,
        label=known.label,
        family=known.family,
        colour=known.colour,
        protocol=recipe.protocol,
        parameters=sum(p.size for p in model.parameters()) // len(recipe.seeds),
        loss_history=losses,
        accuracy_history=np.stack(accuracies, axis=-1)[:WATCHED],
        accuracy=accuracies[-1].tolist(),
        predictions=guesses.argmax(axis=-1),
        confusion=confusion(guesses, task.y_test),
        train_seconds=seconds,
        shown=median(accuracies[-1][:WATCHED]),
    )


def replicas(entry):
    """The Classifiers of all seeds, stacked into one."""
    task, recipe = entry.task, entry.recipe
    options = {**lookup(entry.name).options, **entry.options}
    rows = steps_of(task, recipe) * recipe.batch_size
    return nn.stack(
        untrained(entry.name, task, rows, seeds.training(seed), options) for seed in recipe.seeds
    )


def untrained(name, task, train_rows, rng, options):
    """The Classifier of that name for a DrawnTask."""
    classes, shape = len(task.class_names), task.x_test.shape[2:]
    if lookup(name).family == "sequence":
        size, tokens = task.symbols or shape[-1], bool(task.symbols)
        return classifier(
            name, classes, size, train_rows=train_rows, rng=rng, tokens=tokens, **options
        )
    if not task.symbols and len(shape) == 1:
        return classifier(name, classes, *shape, train_rows=train_rows, rng=rng, **options)
    window = build(name, math.prod(shape) * (task.symbols or 1), rng=rng, **options)
    details = {"answers": task.answers, "symbols": task.symbols}
    return WindowClassifier(window, classes, train_rows=train_rows, rng=rng, **details)


def steps_of(task, recipe):
    return max(task.steps * recipe.epochs // EPOCHS, recipe.epochs)


def learn(model, task, recipe, on_epoch=lambda epoch, loss: None):
    """Train a stack of replicas; return (the mean losses of each epoch (R, E), the seconds).

    on_epoch: called as on_epoch(epoch, its losses (R,)) after each, in evaluation mode.
    """
    adam = optim.Adam(model.parameters(), lr=recipe.learning_rate)
    step = training_step(model, type(model).loss, adam, clip_norm=CLIP_NORM)
    step = compile(step) if recipe.compiled else step
    streams = [seeds.drawn(seed) for seed in recipe.seeds]
    steps, done, seconds, losses = steps_of(task, recipe), 0, 0.0, []
    for epoch in range(1, recipe.epochs + 1):
        count = steps * epoch // recipe.epochs - done
        batches = [minibatch(task, streams, recipe.batch_size) for _ in range(count)]
        model.train()
        start, total = time.perf_counter(), 0.0
        for x, y in batches:
            factor = schedules.warm_up(done, WARM_UP) * schedules.cosine(done, steps)
            adam.lr = recipe.learning_rate * factor
            total = total + step(Tensor(x), Tensor(y))
            done += 1
        losses.append(backend.to_numpy(total) / count)
        seconds += time.perf_counter() - start
        model.eval()
        on_epoch(epoch, losses[-1])
    return np.stack(losses, axis=-1), seconds


def minibatch(task, streams, rows):
    """x (R, rows, ...) and y, as arrays of the backend: the next ones of every replica."""
    x, y = (np.stack(arrays) for arrays in zip(*(task.draw(rng, rows) for rng in streams)))
    return backend.asarray(x.astype(np.float32)), backend.asarray(y)


def predict(model, task, x=None):
    """Class probabilities (R, N L, C) of the answers to the test rows, or to x: a NumPy array."""
    x = task.x_test if x is None else x
    parts = []
    for k in range(0, x.shape[1], ROWS_PER_PASS):
        given = backend.asarray(x[:, k : k + ROWS_PER_PASS])
        proba = model.predict_proba(given).numpy()
        if proba.ndim == 4:  # at every timestep
            proba = proba[:, :, -task.answers :]
            proba = proba.reshape(len(proba), -1, proba.shape[-1])
        parts.append(proba)
    return np.concatenate(parts, axis=1)
