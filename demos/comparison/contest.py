"""The contest: every architecture trains once, here or in other processes."""

from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, wait
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from architectures import lookup
from demos.comparison import drawn, keeping, resuming, training
from demos.comparison.board import Board
from demos.comparison.progress import describe, title
from demos.comparison.training import Entry
from demos.shell.ending import Refusal
from demos.shell.memory import require_room
from minigrad import backend, nn

LOOK = 0.2  # seconds between two looks at the board


def entries(names, protocols, task, recipe, guests=()):
    """One Entry for each architecture and protocol; of two that would train the same, the first."""
    return [
        Entry(name, task, replace(recipe, protocol=protocol), guests)
        for protocol in protocols
        for name in names
        if protocol == protocols[0] or lookup(name).has_own_objective
    ]


def require_fit(entries):
    """Raise a Refusal if an Entry could not train: its options, rows or size tell one replica.

    The tasks may hold the rows of the first replica alone.
    """
    for entry in entries:
        task, recipe, known = entry.task, entry.recipe, lookup(entry.name)
        is_drawn = isinstance(task, drawn.DrawnTask)
        try:
            one = replace(entry, recipe=replace(recipe, seeds=recipe.seeds[:1]))
            model = nn.unstack((drawn if is_drawn else training).replicas(one), 0)
            shape = model.predict_proba(backend.asarray(task.x_test[0, :2])).shape
            if not is_drawn and shape != (2, len(task.class_names)):
                raise ValueError(f"of 2 rows it predicts probabilities of shape {shape}")
        except (ValueError, TypeError, IndexError, MemoryError) as error:
            if known.compared or not known.tasks:
                raise Refusal(f"{entry.name}: {error}") from None
            raise Refusal(
                f"{entry.name} is for tasks such as {known.tasks[0]} (compare.py --task "
                f"{known.tasks[0]}), and cannot learn {task.name}: {error}"
            ) from None
        if recipe.device == "cpu":
            lower, rows = training.what_to_lower(entry), bytes_of_rows(task, recipe)
            require_room(entry.name, len(recipe.seeds), model, lower=lower, rows=rows)


def bytes_of_rows(task, recipe):
    """Of one replica, less what stays in a table that all share."""
    train, test = (
        sum(getattr(array, "nbytes", 0) for array in arrays) // len(task.y_test)
        for arrays in ((task.x_train, task.y_train), (task.x_test, task.y_test))
    )
    if isinstance(task, drawn.DrawnTask):  # the minibatches of an epoch are drawn together
        rows = drawn.steps_of(task, recipe) // recipe.epochs * recipe.batch_size
        train = train * rows // task.x_train.shape[1]
    return train + test


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
