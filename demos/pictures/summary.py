"""The summary: one slide that shows the task, what came of it, and the ranking."""

from functools import partial

from matplotlib.figure import Figure

from demos.comparison.training import GRID
from demos.pictures.boundaries import bayes_probabilities, boundary, here_and_all
from demos.pictures.confusion import has_long_names, matrix
from demos.pictures.data import cloud
from demos.pictures.layout import shorten
from demos.pictures.palette import family_handles
from demos.pictures.scores import standings


def picture(ranked, task):
    """summary.png: the ranking is shown around its interesting end, not from 0."""
    figure = Figure(figsize=(16, 9))
    left = figure.add_gridspec(2, 2, left=0.04, right=0.44, bottom=0.08, top=0.87, hspace=0.26)
    if ranked[0].outcome.grid is None and has_long_names(task):
        left.update(left=0.08, wspace=0.4)  # room for the names beside the confusions
    for (title, draw), place in zip(highlights(ranked, task), left):
        axes = figure.add_subplot(place)
        draw(axes)
        axes.set(title=title, xlabel="", ylabel="")
    main = figure.add_axes((0.56, 0.15, 0.32, 0.72))
    handles = family_handles(ranked) + standings(main, ranked, task, size=15)
    figure.legend(handles=handles, loc="lower right", ncols=5, fontsize=11, columnspacing=1.2)
    plural = "s" * (len(ranked) > 1)
    how = "each by its own objective" if ranked[0].outcome.protocol == "native" else "one recipe"
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
    yield f"The task: {shorten(task.name, 20)}", partial(cloud, task=task)
    if task.posterior is not None:
        best = bayes_probabilities(task, GRID)
        title = f"The best possible: {100 * task.bayes_accuracy:.1f} %"
        yield title, partial(boundary, probabilities=best, task=task)
    room = 3 if task.posterior is None else 2
    for one in ranked if len(ranked) <= room else [*ranked[: room - 1], ranked[-1]]:
        outcome = one.outcome
        if outcome.grid is not None:
            draw = partial(boundary, probabilities=outcome.grid, task=task, replica=outcome.shown)
            yield f"#{one.place}: {outcome.label}\n({here_and_all(one)})", draw
        else:
            across = not has_long_names(task)  # long names would reach into what is below
            draw = partial(matrix, one=one, task=task, down=True, across=across)
            yield f"#{one.place}: {outcome.label}\n(confusion, in %)", draw
