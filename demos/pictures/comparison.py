"""The pictures of the comparison: all that the task allows, one file each."""

import warnings
from functools import partial

from matplotlib import rc_context

from demos.pictures import boundaries, confusion, data, scores, summary
from demos.pictures.animation import write_gif
from demos.pictures.palette import STYLE


def draw_all(ranked, task, folder, *, best, animate, tell=lambda name: None):
    """Write the pictures into `folder`.

    Data are those of the first replica, boundaries of the median one, all else of all.

    Args:
        ranked: Standings, best first.
        best: of how many of them to draw the decision boundaries.
        animate: whether to write the animation, too.
        tell: called with the name of each file before it is drawn.
    """
    # Names from data are shown as they are: "$" is a dollar, a sign that the font lacks is a box.
    with rc_context(STYLE | {"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        for name, draw in pictures(ranked, task, best):
            tell(name)
            draw().savefig(folder / name)
        if animate:
            tell("training.gif")
            write_gif(ranked, task, folder / "training.gif")


def pictures(ranked, task, best):
    """(file name, function that returns the Figure)."""
    yield "data.png", partial(data.picture, task)
    yield "accuracy.png", partial(scores.accuracies, ranked, task)
    yield "curves.png", partial(scores.curves, ranked, task)
    yield "confusion.png", partial(confusion.picture, ranked, task)
    yield "summary.png", partial(summary.picture, ranked, task)
    if ranked[0].outcome.grid is not None and best:
        yield "boundaries.png", partial(boundaries.picture, ranked[:best], task)
    if task.posterior is not None:
        yield "bayes.png", partial(boundaries.bayes, task)
