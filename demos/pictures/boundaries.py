"""Decision boundaries: the plane in the colours of the classes that a classifier gives it to."""

import numpy as np

from demos.comparison.prediction import grid_points
from demos.pictures.data import in_own_units, reach, scatter
from demos.pictures.layout import panels, shorten, square
from demos.pictures.palette import HATCHING, INK, class_colours, class_legend, hatch


def picture(ranked, task):
    """boundaries.png: the median replica of each."""
    columns = 2 if len(ranked) <= 4 else 4
    figure, grid = panels(len(ranked), side=3.0, columns=columns, bottom=0.65, gap=1.0)
    for k, (axes, one) in enumerate(zip(grid, ranked)):
        outcome = one.outcome
        boundary(axes, outcome.grid, task, outcome.shown)
        axes.set_title(f"{outcome.label}\n{here_and_all(one)}", fontsize=11.5)
        if k % columns == 0:
            axes.set_ylabel(shorten(task.feature_names[1], 30))
        if k + columns >= len(ranked):
            axes.set_xlabel(shorten(task.feature_names[0], 30))
    which = "" if len(task.y_test) == 1 else " of the median replica"
    figure.suptitle(f"Decision boundaries{which}, with its test points")
    class_legend(figure, task, hatched=True)
    return figure


def bayes(task):
    """bayes.png: what no classifier can better."""
    figure, axes = square()
    boundary(axes, bayes_probabilities(task, 200), task)
    axes.set(xlabel=task.feature_names[0], ylabel=task.feature_names[1])
    axes.set_title(f"The best possible boundaries (Bayes): {100 * task.bayes_accuracy:.1f} %")
    class_legend(figure, task, hatched=True)
    return figure


def here_and_all(one):
    """ "here 96.5 %, all 96.9 ± 1.1": the replica shown, and the mean of all."""
    here = f"{100 * one.outcome.accuracy[one.outcome.shown]:.1f} %"
    return here if len(one.outcome.accuracy) == 1 else f"here {here}, all {one.accuracy}"


def boundary(axes, probabilities, task, replica=0):
    """The regions of a classifier, the test points of a replica on top, in its data's own units."""
    extent = reach(task, replica)
    regions(axes, probabilities, extent)
    points = in_own_units(np.asarray(task.x_test[replica]), task, replica)
    scatter(axes, points, task.y_test[replica], len(task.class_names), size=16, edge=INK)
    axes.set_xlim(extent[:2])
    axes.set_ylim(extent[2:])


def regions(axes, probabilities, extent, *, lines=True):
    """Class probabilities (n, n, C) as a wash of colours.

    lines: also a line where the winner changes, and in each region the hatching of its class: so
    that it is known without its colour.
    """
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
        if hatch(c) and lead.max() > 0:
            region = axes.contourf(x, y, lead, levels=[0, 2], colors="none", hatches=[hatch(c)])
            region.set(edgecolor=HATCHING, linewidth=0)


def shades(probabilities):
    """Class probabilities (..., C) as a mixture of the classes' colours, made paler: (..., 3)."""
    colours = np.array(class_colours(probabilities.shape[-1]))
    return np.clip(probabilities @ (1 - 0.45 * (1 - colours)), 0, 1)


def bayes_probabilities(task, n):
    """The true class probabilities on the grid, (n, n, C)."""
    return task.posterior(grid_points(task.extent, n)).reshape(n, n, -1)
