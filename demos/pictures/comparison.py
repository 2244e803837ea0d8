"""The pictures of the comparison: all that the task allows, one file each."""

import warnings

from matplotlib import rc_context

from demos.pictures import boundaries, confusion, data, scores, summary
from demos.pictures.animation import write_gif
from demos.pictures.palette import STYLE


def draw_all(ranked, task, folder, *, best, animate):
    """Write the pictures into `folder`; the decision boundaries of the `best` first architectures.

    ranked: Standings, best first. Data, boundaries and confusions are those of the first replica;
    accuracies and curves of all.
    """
    # Names from data are shown as they are: "$" is a dollar, a sign that the font lacks is a box.
    with rc_context(STYLE | {"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        for name, figure in figures(ranked, task, best):
            figure.savefig(folder / name)
        if animate:
            write_gif(ranked, task, folder / "training.gif")


def figures(ranked, task, best):
    """(file name, Figure), one after the other."""
    yield "data.png", data.picture(task)
    yield "accuracy.png", scores.accuracies(ranked, task)
    yield "curves.png", scores.curves(ranked, task)
    yield "confusion.png", confusion.picture(ranked, task)
    yield "summary.png", summary.picture(ranked, task)
    if ranked[0].outcome.grid is not None and best:
        yield "boundaries.png", boundaries.picture(ranked[:best], task)
    if task.posterior is not None:
        yield "bayes.png", boundaries.bayes(task)
