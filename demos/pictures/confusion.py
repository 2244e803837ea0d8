"""Confusion: which class is taken for which, over all replicas."""

import numpy as np

from demos.pictures.layout import panels, shorten
from demos.pictures.palette import INK, MOST_NAMES


def picture(ranked, task):
    """confusion.png."""
    room = 0.6 * has_long_names(task)
    figure, grid = panels(len(ranked), side=2.4, left=room, bottom=room)
    columns = min(len(ranked), 4)
    for k, (axes, one) in enumerate(zip(grid, ranked)):
        matrix(axes, one, task, down=k % columns == 0, across=k + columns >= len(ranked))
        axes.set_title(f"{one.outcome.label}: {one.accuracy} %")
    figure.suptitle("Confusion, in % of the true class (down); across: the predicted class")
    return figure


def matrix(axes, one, task, *, down, across):
    """The shares, in percent of the true class, over all replicas of a Standing.

    down, across: whether to write the names of the classes on that side.
    """
    counts = one.outcome.confusion
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1.4)
    axes.set_xticks([])
    axes.set_yticks([])
    n = len(counts)
    if n > MOST_NAMES:
        return
    names = short_names(task)
    if across:
        tilt = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(range(n), names, **(tilt if has_long_names(task) else {}))
    if down:
        axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    for i, j in np.argwhere(counts):
        colour = "white" if share[i, j] > 0.75 else INK
        says = f"{100 * share[i, j]:.0f}" if share[i, j] >= 0.005 else "<1"
        axes.text(j, i, says, ha="center", va="center", color=colour, fontsize=11)


def short_names(task):
    return [shorten(name.removeprefix("class "), 10) for name in task.class_names]


def has_long_names(task):
    """Whether the names of the classes need room beside the matrix, and a tilt below it."""
    return max(map(len, short_names(task))) > 2
