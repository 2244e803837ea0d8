"""The pictures of the comparison, one function for each. `draw_all` writes them all.

Data, boundaries and confusions are those of the first replica; accuracies and curves of all.
"""

import warnings
from functools import partial
from statistics import fmean

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, SymmetricalLogLocator

from demos.comparison.contest import GRID
from demos.comparison.progress import percent
from demos.comparison.ranking import half_width, rank
from demos.pictures.animation import write_gif
from demos.pictures.palette import FAMILIES, INK, STYLE
from demos.pictures.panels import (
    bayes_probabilities,
    boundary,
    ceiling,
    class_legend,
    cloud,
    confusion_matrix,
    family_handles,
    is_long,
    name_axes,
    short_names,
)


def draw_all(outcomes, task, folder, *, boundaries, animate):
    """Write every picture that the task allows into `folder`."""
    ranked = [outcome for _, _, outcome in rank(outcomes)]
    # Names from data are shown as they are: "$" is a dollar, a sign that the font lacks is a box.
    with rc_context(STYLE | {"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        data(task).savefig(folder / "data.png")
        accuracies(ranked, task).savefig(folder / "accuracy.png")
        curves(ranked, task).savefig(folder / "curves.png")
        confusions(ranked, task).savefig(folder / "confusion.png")
        summary(ranked, task).savefig(folder / "summary.png")
        if ranked[0].grid is not None and boundaries:
            decision_boundaries(ranked[:boundaries], task).savefig(folder / "boundaries.png")
        if task.posterior is not None:
            bayes(task).savefig(folder / "bayes.png")
        if animate:
            write_gif(ranked, task, folder / "training.gif")


def square():
    """A Figure with square axes, and room for a legend below."""
    figure = Figure(figsize=(6.6, 7.2))
    return figure, figure.add_axes((0.13, 0.17, 5.6 / 6.6, 5.6 / 7.2))


def data(task):
    figure, axes = square()
    cloud(axes, task)
    axes.set_title(f"{len(task.class_names)} classes: {task.name}")
    class_legend(figure, task, loc="lower center", ncols=5)
    return figure


def accuracies(ranked, task):
    height = 1.6 + 0.5 * len(ranked)
    figure = Figure(figsize=(9, height))
    axes = figure.add_axes((0.15, 1.05 / height, 0.67, 1 - 1.5 / height))
    for row, outcome in enumerate(ranked):
        width = half_width(outcome.accuracy)
        axes.barh(
            row,
            100 * fmean(outcome.accuracy),
            xerr=None if width is None else 100 * width,
            color=FAMILIES[outcome.family],
            error_kw={"ecolor": INK, "capsize": 4, "lw": 1.5, "zorder": 4},
        )
        axes.text(101.5, row, percent(outcome.accuracy), va="center")
    axes.set_xlim(0, 100)
    axes.set_ylim(len(ranked) - 0.4, -0.6)
    axes.set_yticks(range(len(ranked)), [outcome.label for outcome in ranked])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("test accuracy (%)")
    axes.set_title(f"Test accuracy by architecture{interval(task)}", loc="left")
    handles = family_handles(ranked) + ceiling(axes, task, axes.axvline)
    figure.legend(handles=handles, loc="lower center", ncols=5, fontsize=10.5, columnspacing=1.2)
    return figure


def interval(task):
    replicas = len(task.y_test)
    return f", mean and 95 % interval of {replicas} replicas" if replicas > 1 else ""


def curves(ranked, task):
    """Loss and accuracy by epoch: a family is a colour, its members differ by line and marker."""
    figure = Figure(figsize=(13, 4.8))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(0.06, 0.13, 0.79, 0.91, wspace=0.2)
    handles, seen = [], {}
    for outcome in ranked:
        member = seen[outcome.family] = seen.get(outcome.family, -1) + 1
        look = {
            "color": FAMILIES[outcome.family],
            "ls": ("-", "--", ":")[member % 3],
            "marker": "os^"[member % 3],
            "ms": 4,
        }
        epochs = range(1, outcome.loss_history.shape[-1] + 1)
        look["markevery"] = -(-len(epochs) // 20)
        left.plot(epochs, outcome.loss_history.mean(axis=0), **look)
        right.plot(epochs, 100 * outcome.accuracy_history.mean(axis=0), **look)
        handles.append(Line2D([], [], label=outcome.label, **look))
    if any((outcome.loss_history.mean(axis=0) <= 0).any() for outcome in ranked):
        left.set_yscale("symlog", linthresh=0.1)  # through 0, where some objectives end
        left.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=0.1, subs=(1, 2, 5)))
    else:
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    differ = " (objectives differ)" if ranked[0].protocol == "native" else ""
    left.set_title(f"Training loss{differ}")
    watched = len(ranked[0].accuracy_history)
    few = f", first {watched} replicas" if watched < len(task.y_test) else ""
    right.set_title(f"Test accuracy (%){few}")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    handles += ceiling(right, task, right.axhline)
    figure.legend(handles=handles, loc="center right", fontsize=10.5)
    return figure


def panels(n, *, side, columns=4, left=0.0, bottom=0.0):
    """A Figure with n square axes, `side` inches wide (more if there are only few), and the axes.

    `left` and `bottom` inches beyond the usual stay free beside and below them.
    """
    columns = min(n, columns)
    rows = -(-n // columns)
    side = max(side, 6.5 / columns)  # so that the title has room
    width, height = columns * side + 0.5 + left, rows * (side + 0.15) + 0.8 + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=(0.75 + left) / width,
        right=1 - 0.15 / width,
        top=1 - 0.75 / height,
        bottom=(0.65 + bottom) / height,
        wspace=0.28,
        hspace=0.32,
    )
    for axes in grid[n:]:
        axes.remove()
    return figure, grid[:n]


def confusions(ranked, task):
    room = 0.5 * is_long(short_names(task))
    figure, grid = panels(len(ranked), side=2.9, left=room, bottom=room)
    columns = min(len(ranked), 4)
    for k, (axes, outcome) in enumerate(zip(grid, ranked)):
        last = k + columns >= len(ranked)
        confusion_matrix(axes, outcome, task, down=k % columns == 0, across=last)
        axes.set_title(f"{outcome.label}: {100 * outcome.accuracy[0]:.1f} %")
    figure.suptitle("Confusion, first replica: true class down, predicted class across")
    return figure


def decision_boundaries(ranked, task):
    figure, grid = panels(len(ranked), side=3.6, columns=2 if len(ranked) <= 4 else 4, bottom=0.4)
    for axes, outcome in zip(grid, ranked):
        boundary(axes, outcome.grid, task)
        axes.set_title(f"{outcome.label}: {100 * outcome.accuracy[0]:.1f} %")
    figure.suptitle("Decision boundaries of the first replica, with its test points")
    class_legend(figure, task, loc="lower center", ncols=5)
    return figure


def bayes(task):
    figure, axes = square()
    boundary(axes, bayes_probabilities(task, 200), task)
    name_axes(axes, task)
    axes.set_title(f"The best possible boundaries (Bayes): {100 * task.bayes_accuracy:.1f} %")
    class_legend(figure, task, loc="lower center", ncols=5)
    return figure


def summary(ranked, task):
    """One slide: the task, what came of it, and the ranking around the interesting end."""
    figure = Figure(figsize=(16, 9))
    left = figure.add_gridspec(2, 2, left=0.04, right=0.44, bottom=0.08, top=0.87, hspace=0.26)
    if ranked[0].grid is None and is_long(short_names(task)):
        left.update(left=0.08, wspace=0.4)  # room for the names beside the confusions
    for (title, draw), place in zip(highlights(ranked, task), left):
        axes = figure.add_subplot(place)
        draw(axes)
        axes.set(title=title, xlabel="", ylabel="")
    main = figure.add_axes((0.56, 0.15, 0.32, 0.72))
    handles = family_handles(ranked) + standings(main, ranked, task)
    figure.legend(handles=handles, loc="lower right", ncols=5, fontsize=11, columnspacing=1.2)
    plural = "s" * (len(ranked) > 1)
    how = "each by its own objective" if ranked[0].protocol == "native" else "one recipe"
    figure.suptitle(
        f"{len(ranked)} architecture{plural}, one task, {how}",
        x=0.04,
        y=0.97,
        ha="left",
        fontsize=22,
    )
    return figure


def highlights(ranked, task):
    """Up to four small pictures for the summary: (title, function that draws into axes)."""
    yield f"The task: {task.name}", partial(cloud, task=task)
    if task.posterior is not None:
        best = bayes_probabilities(task, GRID)
        title = f"The best possible: {100 * task.bayes_accuracy:.1f} %"
        yield title, partial(boundary, probabilities=best, task=task)
    room = 3 if task.posterior is None else 2
    places = list(enumerate(ranked, start=1))
    for place, outcome in places if len(places) <= room else [*places[: room - 1], places[-1]]:
        which = "first replica: " if len(outcome.accuracy) > 1 else ""
        accuracy = f"({which}{100 * outcome.accuracy[0]:.1f} %)"
        if outcome.grid is not None:
            draw = partial(boundary, probabilities=outcome.grid, task=task)
            yield f"#{place}: {outcome.label}\n{accuracy}", draw
        else:
            across = not is_long(short_names(task))  # long names would reach into what is below
            draw = partial(confusion_matrix, outcome=outcome, task=task, down=True, across=across)
            yield f"#{place}: {outcome.label}, confusion\n{accuracy}", draw


def standings(axes, ranked, task):
    """A dot and its interval for each architecture; returns the legend's handles."""
    for row, outcome in enumerate(ranked):
        colour, mean = FAMILIES[outcome.family], 100 * fmean(outcome.accuracy)
        width = 100 * (half_width(outcome.accuracy) or 0)
        axes.plot([mean - width, mean + width], [row, row], color=colour, lw=5, alpha=0.4)
        axes.plot(mean, row, "o", color=colour, ms=13)
        beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 14}
        axes.text(1.04, row, percent(outcome.accuracy), **beside)
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_yticks(range(len(ranked)), [outcome.label for outcome in ranked], fontsize=15)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel("test accuracy (%)")
    axes.set_title(f"Test accuracy{interval(task)}", loc="left", fontsize=15)
    handles = ceiling(axes, task, axes.axvline)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, 0), min(right, 100.5))  # an interval may reach beyond 100 %
    return handles
