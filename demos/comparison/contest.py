"""The contest: every architecture trains once, here or in other processes."""

from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, wait
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from architectures import lookup
from demos.comparison import drawn, keeping, resuming
from demos.comparison.board import Board
from demos.comparison.progress import describe, title
from demos.comparison.training import Entry

LOOK = 0.2  # seconds between two looks at the board


def entries(names, protocols, task, recipe, guests=()):
    """One Entry for each architecture and protocol; of two that would train the same, the first."""
    return [
        Entry(name, task, replace(recipe, protocol=protocol), guests)
        for protocol in protocols
        for name in names
        if protocol == protocols[0] or lookup(name).has_own_objective
    ]


def train(entry, on_epoch=None):
    """The Outcome of an Entry, as its task is to be trained."""
    how = drawn if isinstance(entry.task, drawn.DrawnTask) else resuming
    try:
        return how.train(entry, on_epoch)
    except SystemExit as error:  # a guest's: the others go on
        raise RuntimeError(f"it wanted to end the program: exit({error.code!r})") from None


def compete(entries, place, progress=None, folder=None):
    """([(Entry, Outcome)] as they finish, {name: what went wrong}, what ended it early or None).

    Args:
        place: a context manager that gives an executor, or None for this process.
        progress: a Progress.
        folder: where to keep the networks, each as soon as it is trained.
    """
    finished, failed = [], {}
    try:
        with place as executor:
            for entry, result in contest(entries, executor, progress and progress.epoch):
                if isinstance(result, Exception):
                    failed[title(entry)] = describe(result)
                else:
                    finished.append((entry, result))
                    if folder is not None:
                        keep(folder, entry, result, failed)
                if progress:
                    progress.finished(entry, result)
    except (KeyboardInterrupt, OSError) as error:  # Ctrl-C, or nobody reads what is printed
        return finished, failed, error
    return finished, failed, None


def keep(folder, entry, outcome, failed):
    """Keep a network; one that cannot be kept is a failure, but the contest goes on."""
    try:
        keeping.keep(folder, entry, outcome)
    except (OSError, TypeError) as error:
        failed[f"keeping {title(entry)}"] = describe(error)


def contest(entries, executor: Executor | None = None, on_epoch=None):
    """Yield (entry, Outcome), or (entry, the Exception that it failed with), as they finish.

    Args:
        executor: where to train: a ProcessPoolExecutor, Dask's ``client.get_executor()``, mpi4py's
            MPIPoolExecutor, ...; None: in this process, one after the other.
        on_epoch: called as on_epoch(entry, epoch, mean loss, mean accuracy), here. Of another
            process only the last epoch is seen, every `LOOK` seconds; of another machine none.
    """
    if executor is None:
        for entry in entries:
            try:
                yield entry, train(entry, on_epoch)
            except Exception as error:
                yield entry, error
        return
    with TemporaryDirectory() as folder:
        board = Board(Path(folder, "epochs"), len(entries))
        futures = {
            executor.submit(train, entry, board.line(k)): entry for k, entry in enumerate(entries)
        }
        while futures:
            done, _ = wait(futures, timeout=LOOK, return_when=FIRST_COMPLETED)
            if on_epoch is not None:
                for k, *report in board.news():
                    on_epoch(entries[k], *report)
            for future in done:
                yield futures.pop(future), result_of(future)


def result_of(future):
    """What a future holds; an exception is returned, too."""
    try:
        return future.result()
    except CancelledError:
        return RuntimeError("cancelled: whoever was to train it has left")
    except Exception as error:
        return error
