"""The key takeaways: what a run shows, sentence by sentence, from its own numbers."""

from statistics import fmean

import numpy as np

from demos.comparison.ranking import difference, estimate


def takeaways(standings, task):
    """The sentences; an architecture whose loss diverged is left out of them."""
    ranked = [one for one in standings if not one.outcome.diverged]
    if not ranked:
        return ["Every loss diverged: this run shows nothing else."]
    says = [winner(ranked, task), over_baseline(ranked, task)]
    if len(ranked) > 1:
        says += [luck(ranked, task), families(ranked), cost(ranked)]
    says += [hardest_pair(ranked, task), still_learning(ranked)]
    return [sentence for sentence in says if sentence]


def winner(ranked, task):
    first, *others = ranked
    says = f"{first.outcome.label} reaches {first.accuracy} %"
    if first.to_ceiling is not None:
        gap = first.to_ceiling
        ceiling = f"the {100 * task.bayes_accuracy:.1f} % that are possible"
        says += f", {gap:.1f} points below {ceiling}" if gap > 0 else f", at the level of {ceiling}"
    if not others:
        return says + "."
    single = len(first.outcome.accuracy) == 1
    equals = [other.outcome.label for other in others if other.place in first.ties]
    if equals and single:
        rows, s = task.y_test.shape[-1], "s" * (len(equals) == 1)
        return f"{says}; {listed(equals)} equal{s} it on these {rows} points."
    if equals:
        return f"{says}; {listed(equals)} cannot be told from it."
    if single:  # whether that is luck, the next sentence says
        return says + "."
    return f"{says}, and no other comes close enough to be confused with it."


def over_baseline(ranked, task):
    """Whether the data need a network at all."""
    if not task.baselines:
        return ""
    name, accuracy = max(task.baselines.items(), key=lambda item: fmean(item[1]))
    label = ranked[0].outcome.label
    gain = difference(ranked[0].outcome.accuracy, accuracy, task.overlap)
    says = f"{name} reaches {estimate(accuracy, task.overlap)} %"
    if gain.has_zero():
        return f"{says}: {label} cannot be told from it, and it is simpler."
    return f"{says}: {gain:+} points for {label}."


def luck(ranked, task):
    """How much a ranking from a single run would be worth."""
    replicas, rows = task.y_test.shape
    label = ranked[0].outcome.label
    if replicas == 1:
        p = ranked[0].accuracy.mean
        error = 100 * (p * (1 - p) / rows) ** 0.5
        near = sum(100 * (p - other.accuracy.mean) <= 2 * error for other in ranked[1:])
        return (
            f"On {rows} test points one standard error is {error:.1f} points: {near} of the other "
            f"{len(ranked) - 1} lie within two of {label}. Replicas would tell (--replicas)."
        )
    accuracies = np.array([one.outcome.accuracy for one in ranked])
    wins = int((accuracies[0] == accuracies.max(axis=0)).sum())
    if wins == replicas:
        return f"All {replicas} single runs would have put {label} first (alone or with others)."
    return (
        f"Of {replicas} single runs, {wins} would have put {label} first (alone or with "
        f"others), {replicas - wins} would not: a ranking from one run is partly luck."
    )


def families(ranked):
    """Whether the family or the architecture in it makes the difference."""
    members = {}
    for one in ranked:
        members.setdefault(one.outcome.family, []).append(100 * one.accuracy.mean)
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


def cost(ranked):
    """Whether size or time buys accuracy."""

    def seconds(one):
        return one.outcome.train_seconds

    def parameters(one):
        return one.outcome.parameters

    fast, slow = min(ranked, key=seconds), max(ranked, key=seconds)
    small, large = min(ranked, key=parameters), max(ranked, key=parameters)
    return (
        f"{slow.outcome.label} trains {seconds(slow) / seconds(fast):.1f} times as long as "
        f"{fast.outcome.label} and ranks #{slow.place} against #{fast.place}; the largest, "
        f"{large.outcome.label} ({parameters(large):,} parameters), ranks #{large.place}, the "
        f"smallest, {small.outcome.label} ({parameters(small):,}), #{small.place}."
    )


def hardest_pair(ranked, task):
    """The two classes that are taken for each other most often, over all replicas."""
    errors = sum(one.outcome.confusion for one in ranked)
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
    epochs = ranked[0].outcome.loss_history.shape[-1]
    if epochs < 3:
        return ""
    gains = {}
    for one in ranked:
        accuracy = 100 * one.outcome.accuracy_history.mean(axis=0)
        gains[one.outcome.label] = accuracy[-1] - accuracy[-3]
    rising = [f"{label} (+{gain:.1f})" for label, gain in gains.items() if gain >= 0.5]
    if rising:
        return f"Gained over the last two epochs, in points: {listed(rising)}. Try more --epochs."
    return "Nobody gained half a point over the last two epochs."


def listed(words):
    """ "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
