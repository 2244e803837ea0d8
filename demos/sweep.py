"""All combinations of some learning rates, widths, ...: which setting is best?

    python demos/sweep.py mlp --lr 1e-3,1e-2,1e-1 --hidden-sizes 16,64x32
    python demos/sweep.py snn --tau 1,2,4 --jobs 2

Each setting is trained with the same ten data sets and initial weights, like the comparison's. What
differs only in numbers of the optimizer trains at once, on the axis of the replicas. What is behind
it: sweeping/ (its __init__ gives the reading order).
"""

import os
import sys
from pathlib import Path

# Before NumPy is imported: see compare.py.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import begin, command, farewell, printable, say

if __name__ == "__main__":
    begin("sweep.py")  # now, since the imports below take their time

import json
from functools import partial

from demos.comparison.contest import compete
from demos.comparison.options import fitting_task
from demos.comparison.progress import Progress, describe
from demos.shell.arguments import use_device
from demos.shell.output import Output
from demos.shell.workers import workers
from demos.sweeping import report
from demos.sweeping.grid import turns
from demos.sweeping.options import contenders, parse, recipe_of
from minigrad import backend

PICTURE, NUMBERS = "sweep.png", "sweep.json"


@command("sweep.py")
def main(arguments=None):
    """Run the sweep; return the exit status."""
    options = parse(arguments)
    use_device(options.device)
    task = fitting_task(options, partial(contenders, options))
    recipe = recipe_of(options)
    with Output(options.out, (PICTURE, NUMBERS)) as output:
        return run(options, task, recipe, output)


def run(options, task, recipe, output):
    """Train, print, draw, write; return the exit status."""
    todo = turns(options.name, options.axes, task, recipe, options.guests)
    settings = sum(len(turn.settings) for turn in todo)
    if not options.quiet:
        if options.device != "cpu":
            print(backend.why_this_device())
        replicas = len(recipe.seeds)
        runs = f"{counted(settings * replicas, 'run')}, in {counted(len(todo), 'stack')}"
        each = f"{counted(settings, 'setting')}, {counted(replicas, 'replica')} each"
        print(f"{each}: {runs}\n", flush=True)
    place = workers(min(options.jobs, len(todo)))
    progress = None if options.quiet else Stacks(len(todo), sys.stdout)
    trained, failed, stopped = compete([turn.entry for turn in todo], place, progress)
    found = {id(entry): outcome for entry, outcome in trained}
    pairs = [(turn, found[id(turn.entry)]) for turn in todo if id(turn.entry) in found]
    lines = report.lines(pairs, task, len(recipe.seeds))
    if stopped and not lines:
        return farewell(stopped, "nothing had finished, nothing is written")
    try:
        if lines:
            varying = [name for name, values in options.axes.items() if len(values) > 1]
            print(f"\n{report.table(lines, task, varying)}")
        if lines and not options.no_plots and not stopped:
            draw(output.folder / PICTURE, lines, task, options)
    except (KeyboardInterrupt, BrokenPipeError) as error:
        stopped = error
        output.clear()
    except Exception as error:  # the disk is full, for example: what was trained is not lost by it
        failed["picture"] = describe(error)
        output.clear()
    numbers = report.as_dict(
        lines,
        task,
        recipe,
        options.name,
        options.axes,
        failed=failed,
        interrupted=stopped is not None,
    )
    text = json.dumps(numbers, indent=1, allow_nan=False) + "\n"
    (output.folder / NUMBERS).write_text(text, encoding="utf-8")
    shown = output.publish(complete=not stopped and not failed)
    if not options.quiet and not stopped:
        print(f"\nEverything is in {printable(str(shown))}{os.sep}")
    for name, problem in failed.items():
        say(f"{name} failed: {problem}")
    if stopped:
        return farewell(stopped, f"what had finished is kept in {shown}{os.sep}")
    return 1 if failed else 0


class Stacks(Progress):
    """Says how long each stack took: a mean over its settings would say nothing."""

    def worth(self, entry, outcome):
        how = f"{counted(entry.recipe.epochs, 'epoch')}, batches of {entry.recipe.batch_size}"
        runs = counted(len(outcome.accuracy), "run")
        return f"{runs} ({how}) in {outcome.train_seconds:.2f} s"


def counted(n, what):
    return f"{n} {what}{'s' * (n > 1)}"


def draw(path, lines, task, options):
    # Here, since Matplotlib takes its time to import.
    from architectures import lookup
    from demos.pictures.comparison import names_as_they_are
    from demos.pictures.layout import shorten
    from demos.sweeping.picture import picture

    with names_as_they_are():
        title = f"{lookup(options.name).label}: {shorten(task.name, 30)}"
        picture(lines, task, options.axes, title).savefig(path)


if __name__ == "__main__":
    sys.exit(main())
