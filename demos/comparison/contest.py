"""The contest: every architecture trains once, here or in other processes."""

from concurrent.futures import Executor, as_completed
from dataclasses import replace

from architectures import lookup
from demos.comparison.training import Entry, train


def entries(names, protocols, task, recipe):
    """One Entry for each architecture and protocol; of two that would train the same, the first."""
    return [
        Entry(name, task, replace(recipe, protocol=protocol))
        for protocol in protocols
        for name in names
        if protocol == protocols[0] or has_own_objective(name)
    ]


def contest(entries, executor: Executor | None = None, on_epoch=None):
    """Yield (entry, Outcome), or (entry, the Exception that it failed with), as they finish.

    With an executor, `on_epoch` is not called: the epochs pass in another process. The executor may
    be a ProcessPoolExecutor, Dask's ``client.get_executor()`` or mpi4py's MPIPoolExecutor.
    """
    if executor is None:
        for entry in entries:
            try:
                yield entry, train(entry, on_epoch)
            except Exception as error:
                yield entry, error
    else:
        futures = {executor.submit(train, entry): entry for entry in entries}
        for future in as_completed(futures):
            yield futures[future], future.exception() or future.result()


def by_protocol(outcomes, protocols):
    """{protocol: its outcomes}; those that are the same under both protocols are under both."""
    found = {
        protocol: [one for one in outcomes if one.protocol == protocol] for protocol in protocols
    }
    if len(protocols) > 1:
        shared, native = protocols
        found[native] += [
            replace(one, protocol=native)
            for one in found[shared]
            if not has_own_objective(one.name)
        ]
    return {protocol: finished for protocol, finished in found.items() if finished}


def has_own_objective(name):
    """Whether an architecture trains differently under the native protocol."""
    return lookup(name).native is not lookup(name).shared
