"""All combinations of some values, and the turns in which they are trained.

Settings that differ only in numbers of the optimizer are replicas of one stack: each has its own
learning rate and weight decay, and trains as it would alone. Whatever else differs (widths, batch
size, ...) makes another stack, and those are the entries of a contest.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from demos.comparison.training import Entry

# What each replica may have its own of: {its name here: its name in a Recipe}.
OWN = {"lr": "learning_rate", "weight_decay": "weight_decay"}
RECIPE = ("epochs", "batch_size")  # of a Recipe, one for a stack; the rest are options
# Runs in a stack: more are no faster on a CPU, and take memory.
MOST_AT_ONCE = {"cpu": 100, "gpu": 4000}


@dataclass(frozen=True)
class Turn:
    """Settings that train together: the Entry's replicas are those of the first, then the next."""

    entry: Entry
    settings: tuple  # of {name: value}


def combinations(axes):
    """[{name: value}] of {name: values}: the last name's value changes fastest."""
    return [dict(zip(axes, values)) for values in product(*axes.values())]


def turns(name, axes, task, recipe, guests=()):
    """The Turns of all combinations of `axes`, {name: values}; `task` and `recipe` are those of
    one setting."""
    own = combinations({axis: values for axis, values in axes.items() if axis in OWN})
    shared = combinations({axis: values for axis, values in axes.items() if axis not in OWN})
    at_once = max(1, MOST_AT_ONCE[recipe.device] // len(recipe.seeds))
    return [
        turn(name, fixed, own[start : start + at_once], task, recipe, guests)
        for fixed in shared
        for start in range(0, len(own), at_once)
    ]


def turn(name, fixed, own, task, recipe, guests):
    """One stack: what all its replicas share, and what each of its settings has of its own."""
    numbers = {
        OWN[axis]: tuple(numbers[axis] for numbers in own for _ in recipe.seeds) for axis in own[0]
    }
    numbers |= {key: fixed[key] for key in RECIPE if key in fixed}
    entry = Entry(
        name,
        repeated(task, len(own)),
        replace(recipe, seeds=recipe.seeds * len(own), **numbers),
        guests,
        options={key: value for key, value in fixed.items() if key not in RECIPE},
    )
    return Turn(entry, tuple(fixed | numbers for numbers in own))


def repeated(task, times):
    """The same data sets once more for each setting."""
    replicas = np.tile(np.arange(len(task.y_train)), times)
    names = ("x_train", "y_train", "x_test", "y_test")
    return replace(task, **{name: getattr(task, name)[replicas] for name in names})
