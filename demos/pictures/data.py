"""The data: the points of the first replica, each class in its colour and with its marker."""

import numpy as np

from demos.comparison.drawn import DrawnTask
from demos.pictures import drawn
from demos.pictures.layout import shorten, square
from demos.pictures.palette import class_colours, class_legend, marker

MOST_ROWS = 10_000  # of those to train on, and of those to test on: they are in random order


def picture(task):
    """data.png."""
    figure, axes = square()
    cloud(axes, task)
    axes.set_title(f"{len(task.class_names)} classes: {shorten(task.name, 40)}")
    if not isinstance(task, DrawnTask):
        class_legend(figure, task)
    return figure


def cloud(axes, task):
    """The points of the first replica, but for a few that lie far from all others; of a task that
    is drawn, some rows."""
    if isinstance(task, DrawnTask):
        drawn.rows(axes, task)
        return
    points, y, names = projection(task)
    features = len(task.feature_names)
    if features <= 2:
        points = points.astype(np.float64)
        points[:, :features] = in_own_units(points[:, :features], task, 0)
    scatter(axes, points, y, len(task.class_names), size=22, alpha=0.65)
    axes.set(xlabel=shorten(names[0], 40), ylabel=shorten(names[1], 40))
    if task.posterior is not None:
        axes.set(xlim=task.extent[:2], ylim=task.extent[2:])
    else:
        low, high = np.percentile(points, [0.5, 99.5], axis=0)
        margin = 0.2 * (high - low)
        margin[margin == 0] = 0.1
        (left, bottom), (right, top) = low - margin, high + margin
        axes.set(xlim=(left, right), ylim=(bottom, top))


def reach(task, replica):
    """(left, right, bottom, top) of the plane, in the units of the replica's data."""
    own = in_own_units(np.array(task.extent).reshape(2, 2).T, task, replica)
    return tuple(float(value) for value in own.T.ravel())


def in_own_units(points, task, replica):
    """Standardised points (..., D) as they were before; float64.

    Where an axis of such numbers could not be drawn, since they overflow, or differ in too few of
    their digits, they stay as they are.
    """
    mean, deviation = task.scale(replica)
    drawable = (deviation > 1e-9 * np.abs(mean)) & (deviation < 1e100) & (deviation > 1e-100)
    if not drawable.all() or (np.abs(mean) > 1e100).any():
        return points.astype(np.float64)
    return points * deviation + mean


def projection(task, replica=0):
    """(points of a replica in the plane, their labels, axis names): train, then test rows, at most
    `MOST_ROWS` of each.

    More than two features are projected onto the first two principal components of the training
    rows, the directions in which these are spread out most.
    """
    some = slice(MOST_ROWS)
    x_train = np.asarray(task.x_train[replica, some])
    x = np.concatenate([x_train, task.x_test[replica, some]])
    y = np.concatenate([task.y_train[replica, some], task.y_test[replica, some]])
    if x.shape[1] == 1:
        return np.stack([x[:, 0], y], axis=-1), y, (task.feature_names[0], "class")
    if x.shape[1] == 2:
        return x, y, task.feature_names
    centred = x - x_train.mean(axis=0)
    # The rows of `directions` are the principal components: the eigenvectors of the covariance. Its
    # eigenvalues, the variances along them, are in proportion to the squares of `sizes`.
    _, sizes, directions = np.linalg.svd(centred[: len(x_train)], full_matrices=False)
    shares = 100 * sizes**2 / max((sizes**2).sum(), np.finfo(sizes.dtype).tiny)
    names = (f"component {k + 1}: {shares[k]:.0f} % of the variance" for k in range(2))
    return centred @ directions[:2].T, y, tuple(names)


def scatter(axes, x, y, n_classes, *, size, alpha=1.0, edge="none"):
    """Points (N, 2), each class in its colour and with its marker."""
    for c, colour in enumerate(class_colours(n_classes)):
        points = x[y == c]
        axes.scatter(
            *points.T, s=size, color=colour, marker=marker(c), alpha=alpha, lw=0.6, edgecolors=edge
        )
