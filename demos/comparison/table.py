"""The table of the ranking, and the table of the two protocols."""

from demos.comparison.contest import has_own_objective
from demos.comparison.ranking import difference, estimate

COLUMNS = "  {:<6}{:<15}{:<16}{:<15}{:>10}{:>9}{:>13}"


def table(standings, task):
    """The ranking, best first, under the ceiling where it is known."""
    known = task.bayes_accuracy is not None
    lines = ["=" * 88]
    head = ("Rank", "Architecture", "Family", "Accuracy", "To ceiling" if known else "")
    lines.append(COLUMNS.format(*head, "Time", "Parameters"))
    lines.append("  " + "-" * 84)
    if known:
        ceiling = f"{100 * task.bayes_accuracy:.1f} %"
        cells = ("", "Bayes-optimal", "the ceiling", ceiling, "", "", "")
        lines.append(COLUMNS.format(*cells).rstrip())
    for one in standings:
        lines.append(
            COLUMNS.format(
                f"#{one.place} =" if one.tied else f"#{one.place}",
                one.outcome.label,
                one.outcome.family,
                f"{one.accuracy} %",
                f"{one.to_ceiling:.1f}" if known else "",
                f"{one.outcome.train_seconds:.2f} s",
                f"{one.outcome.parameters:,}",
            )
        )
    return "\n".join([*lines, "=" * 88, *footnotes(standings, task)])


def footnotes(standings, task):
    """What the signs in the table mean, and what it does not show."""
    replicas, rows = task.y_test.shape
    if replicas > 1:
        yield f"  ±  95 % confidence interval of the mean over {replicas} replicas"
        if len(standings) > 1:
            yield "  =  cannot be told from the line above (paired over replicas, 95 %)"
        yield f"  Time is for training all {replicas} replicas at once."
    elif any(one.tied for one in standings):
        yield f"  =  equal to the line above on these {rows} points"
    if task.posterior is not None:
        found = (task.posterior(task.x_test).argmax(-1) == task.y_test).mean()
        yield (
            f"  The ceiling is an expectation: of these {replicas * rows:,} test points Bayes' "
            f"classifier gets {100 * found:.1f} %."
        )
    for outcome in (one.outcome for one in standings):
        if "accuracy_before_conversion" in outcome.extra:
            before = estimate(outcome.extra["accuracy_before_conversion"])
            yield f"  {outcome.label}: {before} % before its conversion."
        if outcome.diverged:
            yield (
                f"  {outcome.label}: the loss of {len(outcome.diverged)} of {replicas} replicas "
                "diverged: try a smaller --lr."
            )


def protocol_table(shared, native):
    """Each architecture under both protocols, largest gain first; both are Standings."""
    own = {one.outcome.name: one for one in native}
    pairs = [(one, own[one.outcome.name]) for one in shared if one.outcome.name in own]
    gains = [difference(b.outcome.accuracy, a.outcome.accuracy) for a, b in pairs]
    row = "  {:<15}{:<17}{:<17}{:<17}"
    lines = ["=" * 66]
    lines.append(row.format("Architecture", "Shared", "Native", "Difference"))
    lines.append("  " + "-" * 62)
    for (a, b), gain in sorted(zip(pairs, gains), key=lambda item: -item[1].mean):
        says = f"{gain:+}" + " =" * gain.has_zero()
        if not has_own_objective(a.outcome.name):
            says = "same objective"
        lines.append(row.format(a.outcome.label, f"{a.accuracy} %", f"{b.accuracy} %", says))
    lines.append("=" * 66)
    several = len(shared[0].outcome.accuracy) > 1
    paired = ", paired over replicas; = means: may be 0" * several
    lines.append(f"  Difference: native - shared, in points{paired}")
    return "\n".join(line.rstrip() for line in lines)
