"""The table of the ranking, and the table of the two protocols."""

from statistics import fmean

from demos.comparison.ranking import difference, estimate
from demos.shell.terminal import bold, dim, green, wrapped


def table(standings, task):
    """The ranking, best first, under the ceiling where it is known, above the baselines else."""
    known = task.bayes_accuracy is not None
    head = ["Rank", "Architecture", "Family", "Accuracy", "Time", "Parameters"]
    rows = [
        [
            f"#{one.place}" + " =" * one.tied,
            one.outcome.label,
            one.outcome.family,
            f"{one.accuracy} %",
            seconds(one.outcome.train_seconds),
            f"{one.outcome.parameters:,}",
        ]
        for one in standings
    ]
    if known:
        head.insert(4, "To ceiling")
        for row, one in zip(rows, standings):
            row.insert(4, f"{one.to_ceiling:.1f}")
        ceiling = f"{100 * task.bayes_accuracy:.1f} %"
        rows.insert(0, ["", "Bayes", "the ceiling", ceiling, "", "", ""])
    for name, accuracy in sorted(task.baselines.items(), key=lambda item: -fmean(item[1])):
        found = f"{estimate(accuracy, task.overlap)} %"
        rows.append(["", name, "baseline", found, *[""] * (len(head) - 4)])
    lines = laid_out(head, rows, left=4)
    first = 3 + known
    for k in (*range(3, first), *range(first + len(standings), len(lines) - 1)):
        lines[k] = dim(lines[k])
    lines[first] = green(lines[first])
    notes = [dim(wrapped(note, then="   ")) for note in footnotes(standings, task)]
    return "\n".join([*lines, *notes])


def protocol_table(shared, native, overlap=0.0):
    """Each architecture under both protocols, largest gain first; both are Standings.

    overlap: that of the Task.
    """
    own = {one.outcome.name: one for one in native}
    pairs = [(one, own[one.outcome.name]) for one in shared if one.outcome.name in own]
    gains = [difference(b.outcome.accuracy, a.outcome.accuracy, overlap) for a, b in pairs]
    rows = []
    for (a, b), gain in sorted(zip(pairs, gains), key=lambda item: -item[1].mean):
        says = f"{gain:+}" + " =" * gain.has_zero()
        if not a.outcome.has_own_objective:
            says = "same objective"
        rows.append([a.outcome.label, f"{a.accuracy} %", f"{b.accuracy} %", says])
    several = len(shared[0].outcome.accuracy) > 1
    paired = ", paired over replicas; = means: may be 0" * several
    note = wrapped(f"Difference: native - shared, in points{paired}", then="   ")
    lines = laid_out(["Architecture", "Shared", "Native", "Difference"], rows, left=4)
    return "\n".join([*lines, dim(note)])


def laid_out(head, rows, *, left):
    """Lines of text between rules: as wide as the cells need, the first `left` columns to the left.

    The comparison's own table fits into 80 characters.
    """
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    lines = []
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    across = sum(widths) + 2 * (len(widths) - 1)
    double, single = dim("=" * across), dim("-" * across)
    return [double, bold(lines[0]), single, *lines[1:], double]


def seconds(t):
    """ "0.06 s", "23.8 s", "1234 s": never wider than it needs to be."""
    return f"{t:.{2 if t < 9.995 else 1 if t < 99.95 else 0}f} s"


def footnotes(standings, task):
    """What the signs in the table mean, and what it does not show."""
    replicas, rows = task.y_test.shape
    if replicas > 1:
        splits = "splits of the same rows (corrected by Nadeau & Bengio 2003)"
        over = splits if task.resampled else "replicas"
        yield f"±  95 % confidence interval of the mean over {replicas} {over}"
        if len(standings) > 1:
            yield "=  cannot be told from the line above (paired over replicas, 95 %)"
        yield f"Time is for training all {replicas} replicas at once."
    elif any(one.tied for one in standings):
        yield f"=  equal to the line above on these {rows} points"
    yield from task.notes
    if task.posterior is not None:
        found = (task.posterior(task.x_test).argmax(-1) == task.y_test).mean()
        yield (
            f"The ceiling is an expectation: of these {replicas * rows:,} test points Bayes' "
            f"classifier gets {100 * found:.1f} %."
        )
    for outcome in (one.outcome for one in standings):
        if "accuracy_before_conversion" in outcome.extra:
            before = estimate(outcome.extra["accuracy_before_conversion"], task.overlap)
            yield f"{outcome.label}: {before} % before its conversion."
        if outcome.diverged:
            yield (
                f"{outcome.label}: the loss of {len(outcome.diverged)} of {replicas} replicas "
                "diverged: try a smaller --lr."
            )
