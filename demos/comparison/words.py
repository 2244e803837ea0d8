"""The contest in words: the ranked table, the table of the two protocols, the key takeaways."""

from statistics import fmean

import numpy as np

from demos.comparison.contest import has_own_objective
from demos.comparison.progress import percent
from demos.comparison.ranking import half_width, rank, tied

FEW_ROWS = 20  # below, the accuracies are hardly worth comparing


def data_summary(task, recipe):
    """The first lines: what is learnt, from how much."""
    train, test = task.y_train.shape[-1], task.y_test.shape[-1]
    batches = -(-train // recipe.batch_size)
    lines = [f"{train} train / {test} test, {len(task.class_names)} classes, {batches} batches"]
    if len(recipe.seeds) > 1:
        own = "data" if task.posterior is not None else "split"
        lines.append(
            f"{len(recipe.seeds)} replicas at once, each with its own {own} and initial weights: "
            f"seeds {recipe.seeds[0]} to {recipe.seeds[-1]}"
        )
    if test < FEW_ROWS:
        lines.append(f"Only {test} test rows: one row more right is {100 / test:.0f} points.")
    return "\n".join(lines)


# --- tables ----------------------------------------------------------------------------------

COLUMNS = "  {:<6}{:<15}{:<16}{:<15}{:>10}{:>9}{:>13}"


def table(outcomes, task):
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
    for place, tie, outcome in rank(outcomes):
        lines.append(
            COLUMNS.format(
                f"#{place} =" if tie else f"#{place}",
                outcome.label,
                outcome.family,
                percent(outcome.accuracy),
                f"{to_ceiling(outcome, task):.1f}" if known else "",
                f"{outcome.train_seconds:.2f} s",
                f"{outcome.parameters:,}",
            )
        )
    return "\n".join([*lines, "=" * 88, *footnotes(outcomes, task)])


def to_ceiling(outcome, task):
    """In points, of the numbers as they are printed: so that a reader's subtraction agrees."""
    return round(100 * task.bayes_accuracy, 1) - round(100 * fmean(outcome.accuracy), 1)


def footnotes(outcomes, task):
    """What the signs in the table mean, and what it does not show."""
    replicas, rows = task.y_test.shape
    if replicas > 1:
        yield f"  ±  95 % confidence interval of the mean over {replicas} replicas"
        if len(outcomes) > 1:
            yield "  =  cannot be told from the line above (paired over replicas, 95 %)"
        yield f"  Time is for training all {replicas} replicas at once."
    elif any(tie for _, tie, _ in rank(outcomes)):
        yield f"  =  equal to the line above on these {rows} points"
    if task.posterior is not None:
        found = (task.posterior(task.x_test).argmax(-1) == task.y_test).mean()
        yield (
            f"  The ceiling is an expectation: of these {replicas * rows:,} test points Bayes' "
            f"classifier gets {100 * found:.1f} %."
        )
    for outcome in outcomes:
        if "accuracy_before_conversion" in outcome.extra:
            before = percent(outcome.extra["accuracy_before_conversion"])
            yield f"  {outcome.label}: {before} before its conversion."
        lost = diverged(outcome)
        if lost:
            yield (
                f"  {outcome.label}: the loss of {len(lost)} of {replicas} replicas diverged: "
                "try a smaller --lr."
            )


def diverged(outcome):
    """The replicas whose loss ended as no finite number."""
    return np.flatnonzero(~np.isfinite(outcome.loss_history[:, -1])).tolist()


def protocol_table(shared, native):
    """Each architecture under both protocols, largest gain first."""
    own = {outcome.name: outcome.accuracy for outcome in native}
    gains = {
        one.label: (one.accuracy, own[one.name], np.subtract(own[one.name], one.accuracy).tolist())
        for one in shared
        if one.name in own
    }
    same = {one.label for one in shared if not has_own_objective(one.name)}
    row = "  {:<15}{:<17}{:<17}{:<17}"
    lines = ["=" * 66]
    lines.append(row.format("Architecture", "Shared", "Native", "Difference"))
    lines.append("  " + "-" * 62)
    for label, (before, after, gain) in sorted(gains.items(), key=lambda item: -fmean(item[1][2])):
        width = half_width(gain)
        difference = f"{100 * fmean(gain):+.1f}" + (f" ± {100 * width:.1f}" if width else "")
        difference += " =" if tied(after, before) else ""
        if label in same:
            difference = "same objective"
        lines.append(row.format(label, percent(before), percent(after), difference))
    lines.append("=" * 66)
    paired = ", paired over replicas; = means: may be 0" if len(shared[0].accuracy) > 1 else ""
    lines.append(f"  Difference: native - shared, in points{paired}")
    return "\n".join(line.rstrip() for line in lines)


# --- takeaways -------------------------------------------------------------------------------


def takeaways(outcomes, task):
    """What this run shows, sentence by sentence, from its own numbers."""
    places = {outcome.name: place for place, _, outcome in rank(outcomes)}
    ranked = [outcome for _, _, outcome in rank(outcomes) if not diverged(outcome)]
    if not ranked:
        return ["Every loss diverged: this run shows nothing else."]
    says = [winner(ranked, task)]
    if len(ranked) > 1:
        says += [luck(ranked, task), families(ranked), cost(ranked, places)]
    says += [hardest_pair(ranked, task), still_learning(ranked)]
    return [sentence for sentence in says if sentence]


def winner(ranked, task):
    first, *others = ranked
    says = f"{first.label} reaches {percent(first.accuracy)}"
    if task.bayes_accuracy is not None:
        gap = to_ceiling(first, task)
        ceiling = f"the {100 * task.bayes_accuracy:.1f} % that are possible"
        says += f", {gap:.1f} points below {ceiling}" if gap > 0 else f", at the level of {ceiling}"
    if not others:
        return says + "."
    single = len(first.accuracy) == 1
    equals = [other.label for other in others if tied(first.accuracy, other.accuracy)]
    if equals and single:
        rows, s = task.y_test.shape[-1], "s" * (len(equals) == 1)
        return f"{says}; {listed(equals)} equal{s} it on these {rows} points."
    if equals:
        return f"{says}; {listed(equals)} cannot be told from it."
    if single:  # whether that is luck, the next sentence says
        return says + "."
    return f"{says}, and no other comes close enough to be confused with it."


def luck(ranked, task):
    """How much a ranking from a single run would be worth."""
    replicas, rows = task.y_test.shape
    first = ranked[0]
    if replicas == 1:
        p = fmean(first.accuracy)
        error = 100 * (p * (1 - p) / rows) ** 0.5
        near = sum(100 * (p - fmean(other.accuracy)) <= 2 * error for other in ranked[1:])
        return (
            f"On {rows} test points one standard error is {error:.1f} points: {near} of the other "
            f"{len(ranked) - 1} lie within two of {first.label}. Replicas would tell (--replicas)."
        )
    best = np.max([outcome.accuracy for outcome in ranked], axis=0)
    wins = int((np.array(first.accuracy) == best).sum())
    if wins == replicas:
        return (
            f"All {replicas} single runs would have put {first.label} first (alone or with others)."
        )
    return (
        f"Of {replicas} single runs, {wins} would have put {first.label} first (alone or with "
        f"others), {replicas - wins} would not: a ranking from one run is partly luck."
    )


def families(ranked):
    """Whether the family or the architecture in it makes the difference."""
    members = {}
    for outcome in ranked:
        members.setdefault(outcome.family, []).append(100 * fmean(outcome.accuracy))
    spreads = {family: max(values) - min(values) for family, values in members.items()}
    widest = max(spreads, key=spreads.get)
    means = [fmean(values) for values in members.values()]
    within, between = spreads[widest], max(means) - min(means)
    if len(means) == 1 or within == 0:
        return ""
    says = (
        f"inside the {widest} family accuracies differ by {within:.1f} points, between the means "
        f"of the families by {between:.1f}."
    )
    if within >= 2 * between:
        return f"Architecture matters more than family: {says}"
    if between >= 2 * within:
        return f"Family matters more than architecture: {says}"
    return says.capitalize()


def cost(ranked, place):
    """Whether size or time buys accuracy; place: {name: rank}."""
    fast = min(ranked, key=lambda outcome: outcome.train_seconds)
    slow = max(ranked, key=lambda outcome: outcome.train_seconds)
    large = max(ranked, key=lambda outcome: outcome.parameters)
    small = min(ranked, key=lambda outcome: outcome.parameters)
    return (
        f"{slow.label} trains {slow.train_seconds / fast.train_seconds:.1f} times as long as "
        f"{fast.label} and ranks #{place[slow.name]} against #{place[fast.name]}; the largest, "
        f"{large.label} ({large.parameters:,} parameters), ranks #{place[large.name]}, the "
        f"smallest, {small.label} ({small.parameters:,}), #{place[small.name]}."
    )


def hardest_pair(ranked, task):
    """The two classes that are taken for each other most often, over all replicas."""
    errors = sum(confusion(outcome.predictions, task) for outcome in ranked)
    np.fill_diagonal(errors, 0)
    if not errors.sum():
        return "Nobody makes a mistake."
    if len(errors) == 2:
        return ""
    pairs = np.triu(errors + errors.T)
    a, b = np.unravel_index(pairs.argmax(), pairs.shape)
    a, b = (f"class {task.class_names[c].removeprefix('class ')}" for c in (a, b))
    share = 100 * pairs.max() / errors.sum()
    return f"{share:.0f} % of all mistakes take {a} and {b} for each other."


def still_learning(ranked):
    """Who would gain from more epochs."""
    epochs = ranked[0].loss_history.shape[-1]
    if epochs < 3:
        return ""
    gains = {}
    for outcome in ranked:
        accuracy = 100 * outcome.accuracy_history.mean(axis=0)
        gains[outcome.label] = accuracy[-1] - accuracy[-3]
    rising = [f"{label} (+{gain:.1f})" for label, gain in gains.items() if gain >= 0.5]
    if rising:
        return f"Gained over the last two epochs, in points: {listed(rising)}. Try more --epochs."
    return "Nobody gained half a point over the last two epochs."


def confusion(predictions, task, replicas=slice(None)):
    """(C, C) counts: row = true class, column = predicted class."""
    n = len(task.class_names)
    pairs = n * task.y_test[replicas] + predictions[replicas]
    return np.bincount(pairs.ravel(), minlength=n * n).reshape(n, n)


def listed(words):
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
