"""The pictures of the comparison: all that the task allows, one file each."""

import warnings
from contextlib import contextmanager
from functools import partial

from matplotlib import rc_context

from demos.pictures import boundaries, confusion, data, scores, summary
from demos.pictures.animation import write_gif
from demos.pictures.palette import STYLE


def draw_all(ranked, task, folder, *, best, animate, kind="png", tell=lambda name: None):
    """Write the pictures into `folder`.

    Data are those of the first replica, boundaries of the median one, all else of all.

    Args:
        ranked: Standings, best first.
        best: of how many of them to draw the decision boundaries; None: of all.
        animate: whether to write the animation, too.
        kind: of the pictures' files, "png" or "svg".
        tell: called with the name of each file before it is drawn.
    """
    with names_as_they_are():
        for name, draw in pictures(ranked, task, best):
            save(draw, folder, name, kind, tell)
        if animate:
            tell("training.gif")
            write_gif(ranked, task, folder / "training.gif")


def draw_protocols(shared, native, task, folder, *, kind="png", tell=lambda name: None):
    """Write protocols.png, what the native protocol changes, into `folder`."""
    with names_as_they_are():
        draw = partial(scores.protocols, shared, native, task.overlap)
        save(draw, folder, "protocols", kind, tell)


@contextmanager
def names_as_they_are():
    """Inside, names from data are drawn as they are: "$" is a dollar, what the font lacks a box."""
    with rc_context(STYLE | {"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def save(draw, folder, name, kind, tell):
    file = f"{name}.{kind}"
    tell(file)
    undated = {"metadata": {"Date": None}} if kind == "svg" else {}
    draw().savefig(folder / file, **undated)


def pictures(ranked, task, best):
    """(file name without its ending, function that returns the Figure)."""
    yield "data", partial(data.picture, task)
    yield "accuracy", partial(scores.accuracies, ranked, task)
    yield "curves", partial(scores.curves, ranked, task)
    yield "confusion", partial(confusion.picture, ranked, task)
    yield "summary", partial(summary.picture, ranked, task)
    if ranked[0].outcome.grid is not None and best != 0:
        yield "boundaries", partial(boundaries.picture, ranked[:best], task)
    if task.posterior is not None:
        yield "bayes", partial(boundaries.bayes, task)
