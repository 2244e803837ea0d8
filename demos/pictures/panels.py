"""What pictures are put together from: functions that draw into one axes."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from demos.comparison.contest import grid_points
from demos.comparison.words import confusion
from demos.pictures.palette import CEILING, FAMILIES, INK, class_colours, marker

MOST_NAMES = 20  # with more classes, pictures leave out their names


def scatter(axes, x, y, n_classes, *, size, alpha=1.0, edge="none"):
    """Points (N, 2), each class in its colour and with its marker."""
    for c, colour in enumerate(class_colours(n_classes)):
        points = x[y == c]
        axes.scatter(
            *points.T, s=size, color=colour, marker=marker(c), alpha=alpha, lw=0.6, edgecolors=edge
        )


def shades(probabilities):
    """Class probabilities (..., C) as a mixture of the classes' colours, made paler: (..., 3)."""
    colours = np.array(class_colours(probabilities.shape[-1]))
    return np.clip(probabilities @ (1 - 0.45 * (1 - colours)), 0, 1)


def regions(axes, probabilities, extent, *, lines=True):
    """Class probabilities (n, n, C) as a wash of colours; lines where the winner changes."""
    axes.imshow(
        shades(probabilities),
        extent=extent,
        origin="lower",
        interpolation="bilinear",
        aspect="auto",
    )
    if not lines:
        return
    left, right, bottom, top = extent
    n = len(probabilities)
    x, y = np.linspace(left, right, n), np.linspace(bottom, top, n)
    first, second = np.sort(probabilities, axis=-1)[..., [-1, -2]].transpose(2, 0, 1)
    winner = probabilities.argmax(axis=-1)
    for c in np.unique(winner):
        # How far class c is ahead of the best of the others: 0 on its boundary.
        lead = probabilities[..., c] - np.where(winner == c, second, first)
        if lead.min() < 0:
            axes.contour(x, y, lead, levels=[0], colors=INK, linewidths=0.8)


def boundary(axes, probabilities, task):
    """The regions of a classifier, the test points of the first replica on top."""
    regions(axes, probabilities, task.extent)
    scatter(axes, task.x_test[0], task.y_test[0], len(task.class_names), size=16, edge=INK)
    axes.set_xlim(task.extent[:2])
    axes.set_ylim(task.extent[2:])


def bayes_probabilities(task, n):
    """The true class probabilities on the grid, (n, n, C)."""
    return task.posterior(grid_points(task.extent, n)).reshape(n, n, -1)


def name_axes(axes, task):
    axes.set_xlabel(task.feature_names[0])
    axes.set_ylabel(task.feature_names[1])


def projection(task):
    """(points of the first replica in the plane, their labels, axis names).

    More than two features are projected onto the first two principal components of the training
    rows.
    """
    x = np.concatenate([task.x_train[0], task.x_test[0]])
    y = np.concatenate([task.y_train[0], task.y_test[0]])
    if x.shape[1] == 1:
        return np.stack([x[:, 0], y], axis=-1), y, (task.feature_names[0], "class")
    if x.shape[1] == 2:
        return x, y, task.feature_names
    mean = task.x_train[0].mean(axis=0)
    _, _, directions = np.linalg.svd(task.x_train[0] - mean, full_matrices=False)
    return (x - mean) @ directions[:2].T, y, ("principal component 1", "principal component 2")


def cloud(axes, task):
    """All points of the first replica, but for a few that lie far from all others."""
    points, y, names = projection(task)
    scatter(axes, points, y, len(task.class_names), size=22, alpha=0.65)
    axes.set(xlabel=names[0], ylabel=names[1])
    if task.posterior is not None:
        axes.set(xlim=task.extent[:2], ylim=task.extent[2:])
    else:
        low, high = np.percentile(points, [0.5, 99.5], axis=0)
        margin = np.maximum(0.2 * (high - low), 0.1)
        (left, bottom), (right, top) = low - margin, high + margin
        axes.set(xlim=(left, right), ylim=(bottom, top))


def confusion_matrix(axes, outcome, task, *, down, across):
    """Counts of the first replica; the shade is the share of the true class.

    down, across: whether to write the names of the classes on that side.
    """
    counts = confusion(outcome.predictions, task, replicas=[0])
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Greys", vmin=0, vmax=1.4)
    axes.set_xticks([])
    axes.set_yticks([])
    n = len(counts)
    if n > MOST_NAMES:
        return
    names = short_names(task)
    if across:
        tilt = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if is_long(names) else {}
        axes.set_xticks(range(n), names, **tilt)
    if down:
        axes.set_yticks(range(n), names)
    axes.tick_params(length=0)
    for (i, j), count in np.ndenumerate(counts):
        if count:
            colour = "white" if share[i, j] > 0.75 else INK
            axes.text(j, i, count, ha="center", va="center", color=colour, fontsize=11)


def short_names(task):
    return [shorten(name.removeprefix("class "), 10) for name in task.class_names]


def shorten(name, length):
    return name if len(name) <= length else name[: length - 1] + "…"


def is_long(names):
    return max(map(len, names)) > 2


def class_legend(figure, task, **place):
    n = len(task.class_names)
    if n > MOST_NAMES:
        return
    handles = [
        Line2D([], [], color=colour, marker=marker(c), ls="", label=shorten(name, 20))
        for c, (name, colour) in enumerate(zip(task.class_names, class_colours(n)))
    ]
    figure.legend(handles=handles, handletextpad=0.2, columnspacing=1.2, **place)


def family_handles(ranked):
    families = [family for family in FAMILIES if any(one.family == family for one in ranked)]
    return [Patch(color=FAMILIES[family], label=family) for family in families]


def ceiling(axes, task, line):
    """The Bayes-optimal accuracy, in percent, as a line: `line` is axes.axhline or axes.axvline."""
    if task.bayes_accuracy is None:
        return []
    value = 100 * task.bayes_accuracy
    line(value, color=CEILING, ls="--", lw=1.5, zorder=3)
    return [Line2D([], [], color=CEILING, ls="--", lw=1.5, label=f"Bayes-optimal, {value:.1f} %")]
