"""The head-to-head comparison: every architecture, one task, one recipe, one ranking.

    python demos/compare.py                              # all architectures, ten replicas
    python demos/compare.py --only mlp,snn --epochs 50
    python demos/compare.py --data iris.csv --target species

What is behind it: comparison/ (its __init__ gives the reading order), pictures/ and page/.
"""

import os
import shlex
import sys
import webbrowser
from pathlib import Path

# Before NumPy is imported: one BLAS thread. The matrices are too small to be worth sharing (two
# threads gain nothing), several --jobs would fight for the cores, and how a sum is split among
# threads decides how it is rounded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import begin, command, farewell, printable, say

if __name__ == "__main__":
    begin("compare.py")  # now, since the imports below take their time

from demos.comparison import keeping, results
from demos.comparison.baselines import with_baselines
from demos.comparison.contest import compete, entries
from demos.comparison.options import parse, place, recipe_of, task_of
from demos.comparison.progress import Progress, describe, opening
from demos.comparison.ranking import rank_all
from demos.comparison.resuming import Start, start
from demos.comparison.table import protocol_table, table
from demos.comparison.takeaways import takeaways
from demos.shell.arguments import use_device
from demos.shell.output import Output
from demos.shell.terminal import bold, wrapped
from minigrad import backend


@command("compare.py")
def main(arguments=None):
    """Run the comparison; return the exit status."""
    options = parse(arguments)
    use_device(options.device)
    task = with_baselines(task_of(options))
    recipe = recipe_of(options, task)
    begin_with = Start(entries(options.only, options.protocols, task, recipe, options.guests))
    if options.resume:
        begin_with = start(begin_with.left, options.out)
    with Output(options.out, results.file_names(options)) as output:
        return run(options, task, recipe, begin_with, output)


def run(options, task, recipe, begin_with, output):
    """Train, print, draw, write; return the exit status."""
    if not options.quiet:
        if options.device != "cpu":
            print(backend.why_this_device())
        print(opening(task, recipe, options.only), end="\n\n", flush=True)
        if options.resume:
            print(wrapped(str(begin_with)), end="\n\n")

    begin_with.carry(output.folder)
    progress = None if options.quiet else Progress(len(begin_with.left), sys.stdout)
    trained, failed, stopped = compete(
        begin_with.left,
        place(options, len(begin_with.left)),
        progress,
        output.folder if options.save else None,
    )
    outcomes = [*begin_with.done, *(outcome for _, outcome in trained)]
    if stopped and not outcomes and not begin_with.folder:
        return farewell(stopped, "nothing had finished, nothing is written")
    rankings = rank_all(outcomes, options.protocols, task.bayes_accuracy, task.overlap)
    try:
        announce(rankings, task, options.quiet)
        if rankings and not options.no_plots and not stopped:
            draw(rankings, task, options, output.folder, progress)
            write_page(output.folder / results.PAGE, rankings, task, recipe, options)
    except (KeyboardInterrupt, BrokenPipeError) as error:
        stopped = error
        output.clear(keeping.FOLDER)
    except Exception as error:  # the disk is full, for example: what was trained is not lost by it
        failed["pictures"] = describe(error)
        output.clear(keeping.FOLDER)

    summary = results.collect(
        rankings, task, recipe, options.protocol, failed=failed, interrupted=stopped is not None
    )
    shown = results.publish(summary, output)
    if not options.quiet and not stopped:
        print(f"\nEverything is in {printable(str(shown))}{os.sep}")
        if options.save and rankings:
            [best, *_] = next(iter(rankings.values()))
            print(next_step(shown, best.outcome, options.guests))
    if options.open and (shown / results.PAGE).exists():
        webbrowser.open((shown / results.PAGE).absolute().as_uri())
    for name, problem in failed.items():
        say(f"{name} failed: {problem}")
    kept = "what had finished is kept"
    if shown != options.out:
        kept += f" in {shown}{os.sep}"
    if stopped:
        return farewell(stopped, kept)
    if failed and shown != options.out:
        say(kept)
    return 1 if failed else 0


def next_step(shown, best, guests):
    """How the best of the networks that are kept predicts."""
    words = ["python", "demos/predict.py", keeping.path_of(shown, best.name, best.protocol)]
    words += ["ROWS.csv", *(word for guest in guests for word in ("--with", guest.path))]
    return f"For new rows: {printable(shlex.join(map(str, words)))}"


def announce(rankings, task, quiet):
    """Print the tables, and what they say."""
    for protocol, standings in rankings.items():
        print(f"\n{bold(f'{protocol} protocol')}" if len(rankings) > 1 else "")
        print(table(standings, task))
        if not quiet:
            print(f"\n{bold('Key takeaways')}")
            for sentence in takeaways(standings, task):
                print(wrapped(sentence, "- ", "  "))
    if len(rankings) > 1:
        print(f"\n{protocol_table(*rankings.values(), task.overlap)}")


def draw(rankings, task, options, out, progress):
    """All pictures; a folder for each protocol if there are several."""
    # Here, since Matplotlib takes its time to import.
    from demos.pictures.comparison import draw_all, draw_protocols

    how = {
        "kind": options.format,
        "tell": progress.drawing if progress else lambda name: None,
    }
    for protocol, standings in rankings.items():
        folder = out / protocol if len(rankings) > 1 else out
        folder.mkdir(exist_ok=True)
        draw_all(
            standings,
            task,
            folder,
            best=options.boundaries,
            animate=options.animate,
            **how,
        )
    if len(rankings) > 1:
        draw_protocols(*rankings.values(), task, out, **how)
    if progress:
        progress.drawing(None)


def write_page(path, rankings, task, recipe, options):
    """The comparison as a page to look into, with the signature pictures that are in the folder."""
    from demos.page.build import page  # here, since its palette needs Matplotlib, too

    text = page(rankings, task, recipe, options.command, options.out / "signatures")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
