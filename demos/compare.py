"""The head-to-head comparison: every architecture, one task, one recipe, one ranking.

    python demos/compare.py                              # all architectures, ten replicas
    python demos/compare.py --only mlp,snn --epochs 50
    python demos/compare.py --data iris.csv --target species

What is behind it: comparison/ (its __init__ gives the reading order) and pictures/.
"""

import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# Before NumPy is imported: one BLAS thread. The matrices are too small to be worth sharing (two
# threads gain nothing), several --jobs would fight for the cores, and how a sum is split among
# threads decides how it is rounded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.comparison import results
from demos.comparison.contest import by_protocol, contest, entries
from demos.comparison.options import parse
from demos.comparison.own_data import DataError, task_from_file
from demos.comparison.progress import Progress, describe, opening, title
from demos.comparison.ranking import rank
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.table import protocol_table, table
from demos.comparison.takeaways import takeaways
from demos.comparison.terminal import bold, wrapped
from demos.comparison.training import Recipe
from minigrad import backend


def main(arguments=None):
    """Run the comparison; return the exit status."""
    options = parse(arguments)
    seeds = tuple(range(options.seed, options.seed + options.replicas))
    try:
        device = backend.use(options.device)
        task = load(options, seeds)
        options.out.mkdir(parents=True, exist_ok=True)
    except (backend.DeviceError, DataError) as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"cannot write to {options.out}: {error.strerror}")
    recipe = Recipe(
        seeds=seeds,
        epochs=options.epochs,
        learning_rate=options.lr,
        batch_size=options.batch_size,
        reshuffle=options.reshuffle,
        device=device,
        boundaries=not options.no_plots and len(task.feature_names) == 2,
        animate=options.animate,
    )
    protocols = ("shared", "native") if options.protocol == "both" else (options.protocol,)
    if not options.quiet:
        if options.device == "auto" and device == "cpu":
            print(f"{backend.why_no_gpu()}: training on the CPU")
        print(opening(task, recipe, options.only), end="\n\n")

    contenders = entries(options.only, protocols, task, recipe)
    progress = None if options.quiet else Progress(len(contenders), sys.stdout)
    outcomes, failed, interrupted = compete(contenders, options.jobs, progress)
    if interrupted and not outcomes:
        print("interrupted: nothing had finished, nothing is written", file=sys.stderr)
        return 130
    rankings = {
        protocol: rank(finished, task.bayes_accuracy)
        for protocol, finished in by_protocol(outcomes, protocols).items()
    }

    results.clear(options.out)
    summary = results.collect(
        rankings, task, recipe, options.protocol, failed=failed, interrupted=interrupted
    )
    results.write_json(options.out / "results.json", summary)
    results.write_csv(options.out / "results.csv", summary)
    announce(rankings, task, options.quiet)
    try:
        if rankings and not options.no_plots and not interrupted:
            draw(rankings, task, options, progress)
    except KeyboardInterrupt:
        interrupted = True
    if not options.quiet:
        print(f"\nEverything is in {options.out}{os.sep}")
    for name, problem in failed.items():
        print(f"{name} failed: {problem}", file=sys.stderr)
    if interrupted:
        print("interrupted: what had finished is kept", file=sys.stderr)
        return 130
    return 1 if failed else 0


def compete(contenders, jobs, progress):
    """([Outcome], {name: what went wrong}, whether Ctrl-C ended it)."""
    outcomes, failed = [], {}
    try:
        with processes(min(jobs, len(contenders))) as executor:
            for entry, result in contest(contenders, executor, progress and progress.epoch):
                if progress:
                    progress.finished(entry, result)
                if isinstance(result, Exception):
                    failed[title(entry)] = describe(result)
                else:
                    outcomes.append(result)
    except KeyboardInterrupt:
        return outcomes, failed, True
    return outcomes, failed, False


@contextmanager
def processes(n):
    """An executor with n processes; None for n = 1."""
    if n == 1:
        yield None
        return
    # Spawned, not forked: a CUDA context does not survive a fork. Ctrl-C is for this process, which
    # then ends the others.
    pool = ProcessPoolExecutor(
        n,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )
    try:
        yield pool
    except KeyboardInterrupt:
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def load(options, seeds):
    """The Task: rings and clusters, or that of --data."""
    if options.data is None:
        return rings_and_clusters(seeds)
    task = task_from_file(options.data, options.target, seeds)
    if options.animate and len(task.feature_names) != 2:
        raise DataError(
            f"--animate needs two features, {options.data} has {len(task.feature_names)}"
        )
    return task


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
        print(f"\n{protocol_table(*rankings.values())}")


def draw(rankings, task, options, progress):
    """All pictures; a folder for each protocol if there are several."""
    # Here, since Matplotlib takes its time to import.
    from demos.pictures.comparison import draw_all

    for protocol, standings in rankings.items():
        folder = options.out / protocol if len(rankings) > 1 else options.out
        folder.mkdir(exist_ok=True)
        draw_all(
            standings,
            task,
            folder,
            best=options.boundaries,
            animate=options.animate,
            tell=progress.drawing if progress else lambda name: None,
        )
    if progress:
        progress.drawing(None)


def refuse(problem):
    """Say in one line why there is nothing to run; return the exit status."""
    print(f"compare.py: {problem}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal without "±" gets "?"
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the contest or after it
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output has left, as in "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
