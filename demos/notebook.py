"""The comparison in a notebook.

    from demos.notebook import compare
    rankings = compare("--only mlp,snn --epochs 20")

The options are those of compare.py; instead of files, everything appears below the cell.
"""

import io
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from demos.compare import announce, draw
from demos.comparison.baselines import with_baselines
from demos.comparison.contest import compete, entries
from demos.comparison.options import parse, place, recipe_of, task_of
from demos.comparison.progress import Progress, opening
from demos.comparison.ranking import rank_all
from demos.shell.ending import farewell
from minigrad import backend

SHOWN = ("summary.png", "curves.png", "boundaries.png", "confusion.png", "training.gif")


def compare(options=""):
    """Run the comparison; return {protocol: [Standing]}, best first.

    Progress is a line that updates, the tables are printed, the pictures shown. Outside a notebook
    there is nothing to show them in, and only the text is left.

    Args:
        options: those of compare.py, as on the command line; --out is of no use here.
    """
    options = parse(shlex.split(options))
    if options.save:
        raise ValueError("here nothing is written: networks are kept by compare.py --save")
    display = notebook_display()
    backend.use(options.device)
    task = with_baselines(task_of(options))
    recipe = recipe_of(options, task)
    contenders = entries(options.only, options.protocols, task, recipe, options.guests)
    progress = None
    if not options.quiet:
        print(opening(task, recipe, options.only), end="\n\n")
        total = len(contenders)
        progress = CellProgress(total, display) if display else Progress(total, sys.stdout)
    trained, failed, stopped = compete(contenders, place(options, len(contenders)), progress)
    outcomes = [outcome for _, outcome in trained]
    rankings = rank_all(outcomes, options.protocols, task.bayes_accuracy, task.overlap)
    announce(rankings, task, options.quiet)
    for name, problem in failed.items():
        print(f"{name} failed: {problem}", file=sys.stderr)
    if stopped:
        farewell(stopped, "this is what had finished")
    if display and rankings and not options.no_plots:
        with TemporaryDirectory() as folder:
            draw(rankings, task, options, Path(folder), progress)
            show(Path(folder), display)
    return rankings


class CellProgress(Progress):
    """Its line is an output of the cell that is replaced."""

    def __init__(self, total, display):
        self.line = display({"text/plain": ""}, raw=True, display_id=True)
        super().__init__(total, sys.stdout, live=True)

    def rewrite(self, line):
        self.line.update({"text/plain": line or ""}, raw=True)


class Picture:
    """A Matplotlib figure as the last line of a cell, which shows it; without pyplot."""

    def __init__(self, figure):
        self.figure = figure

    def _repr_png_(self):
        data = io.BytesIO()
        self.figure.savefig(data, format="png")
        return data.getvalue()


def notebook_display():
    """IPython's `display` in a notebook's kernel; None elsewhere."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    return ipython.display.display if hasattr(shell, "kernel") else None


def show(folder, display):
    """The most telling of the pictures in `folder`, and in its folders."""
    from IPython.display import Image

    for part in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        for path in (part / name for name in SHOWN):
            if path.exists():
                display(Image(data=path.read_bytes()))
