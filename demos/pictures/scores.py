"""How well everybody does: accuracies after training, loss and accuracy on the way."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, SymmetricalLogLocator

from demos.comparison.ranking import difference
from demos.pictures.layout import shorten
from demos.pictures.palette import CEILING, INK, colour, family_handles, member


def accuracies(ranked, task):
    """accuracy.png: the ranking, and every replica in it."""
    height = 1.75 + 0.5 * len(ranked)
    figure = Figure(figsize=(9, height))
    axes = figure.add_axes((0.15, 1.2 / height, 0.62, 1 - 1.65 / height))
    handles = family_handles(ranked) + standings(axes, ranked, task)
    figure.legend(handles=handles, loc="lower center", ncols=5, fontsize=10.5, columnspacing=1.2)
    return figure


def curves(ranked, task):
    """curves.png: loss and accuracy by epoch.

    A family is a colour, its members differ by line and marker.
    """
    figure = Figure(figsize=(13, 4.8))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(0.06, 0.13, 0.79, 0.91, wspace=0.2)
    handles = []
    outcomes = [one.outcome for one in ranked]
    for outcome in outcomes:
        k = member(outcome)
        look = {
            "color": colour(outcome),
            "ls": ("-", "--", ":", "-.", (0, (6, 1)))[k % 5],
            "marker": "os^Dv"[k % 5],
            "ms": 4,
        }
        epochs = range(1, outcome.loss_history.shape[-1] + 1)
        look["markevery"] = -(-len(epochs) // 20)
        left.plot(epochs, outcome.loss_history.mean(axis=0), **look)
        right.plot(epochs, 100 * outcome.accuracy_history.mean(axis=0), **look)
        handles.append(Line2D([], [], label=outcome.label, **look))
    if any((outcome.loss_history.mean(axis=0) <= 0).any() for outcome in outcomes):
        left.set_yscale("symlog", linthresh=0.1)  # through 0, where some objectives end
        left.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=0.1, subs=(1, 2, 5)))
    else:
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("")
    differ = " (objectives differ)" if outcomes[0].protocol == "native" else ""
    left.set_title(f"Training loss{differ}")
    watched = len(outcomes[0].accuracy_history)
    few = f", first {watched} replicas" if watched < len(task.y_test) else ""
    right.set_title(f"Test accuracy (%){few}")
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    handles += ceiling(right, task, right.axhline)
    figure.legend(handles=handles, loc="center right", fontsize=10.5)
    return figure


def protocols(shared, native, overlap):
    """protocols.png: what each architecture gains or loses by the objective of its own paper.

    Each architecture once, the largest gain first; those without such an objective last.
    overlap: that of the Task.
    """
    own = {one.outcome.name: one for one in native}
    pairs = [(one, own[one.outcome.name]) for one in shared if one.outcome.name in own]
    gains = {
        a.outcome.name: difference(b.outcome.accuracy, a.outcome.accuracy, overlap)
        for a, b in pairs
    }
    pairs.sort(
        key=lambda pair: (not pair[0].outcome.has_own_objective, -gains[pair[0].outcome.name].mean)
    )
    height = 1.9 + 0.5 * len(pairs)
    figure = Figure(figsize=(11, height))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    figure.subplots_adjust(0.13, 1.25 / height, 0.98, 1 - 0.6 / height, wspace=0.08)
    for row, (a, b) in enumerate(pairs):
        shade, before, after = colour(a.outcome), 100 * a.accuracy.mean, 100 * b.accuracy.mean
        left.plot([before, after], [row, row], color=shade, alpha=0.5)
        left.plot(before, row, "o", mec=shade, mfc="white", mew=2, ms=10)
        left.plot(after, row, "o", color=shade, ms=10)
        if a.outcome.has_own_objective:
            gain = gains[a.outcome.name]
            middle, width = 100 * gain.mean, 100 * (gain.half_width or 0)
            bar = {"color": shade, "lw": 5, "alpha": 0.4, "solid_capstyle": "butt"}
            right.plot([middle - width, middle + width], [row, row], **bar)
            right.plot(middle, row, "o", color=shade, ms=10)
            says = f"{gain:+}" + " =" * gain.has_zero()
            right.annotate(
                says, (middle, row), (0, 9), textcoords="offset points", ha="center", fontsize=10
            )
        else:
            right.text(0, row, "  has no other objective", va="center", fontsize=10, color=CEILING)
    right.axvline(0, color=CEILING)
    left.set_ylim(len(pairs) - 0.5, -0.7)
    left.set_yticks(range(len(pairs)), [shorten(a.outcome.label, 12) for a, _ in pairs])
    for axes in (left, right):
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.25)
    left.set_title("Test accuracy (%), mean of the replicas", loc="left")
    several = len(shared[0].outcome.accuracy) > 1
    right.set_title("Native - shared, points" + ", 95 % interval" * several, loc="left")
    if any(gain.has_zero() for gain in gains.values()) and several:
        right.set_xlabel("paired over replicas;   = may be 0")
    how = {"color": INK, "ls": "", "marker": "o", "ms": 10}
    handles = [
        Line2D([], [], label="shared: cross-entropy for all", mfc="white", mew=2, **how),
        Line2D([], [], label="native: the objective of its own paper", **how),
    ]
    figure.legend(handles=handles, loc="lower left", ncols=2, fontsize=10.5)
    return figure


def standings(axes, ranked, task, size=12):
    """For each architecture a small dot for every replica, a large one for their mean, and a bar
    for its interval, around the interesting end; returns the legend's handles. size: of the text.
    """
    for row, one in enumerate(ranked):
        shade, mean = colour(one.outcome), 100 * one.accuracy.mean
        width = 100 * (one.accuracy.half_width or 0)
        # "butt": rounded or projecting ends would make the interval look longer than it is.
        bar = {"color": shade, "lw": 5, "alpha": 0.4, "solid_capstyle": "butt"}
        axes.plot([mean - width, mean + width], [row, row], **bar)
        if len(one.outcome.accuracy) > 1:
            replicas = 100 * np.array(one.outcome.accuracy)
            below = np.full(len(replicas), row + 0.25)
            axes.plot(replicas, below, "o", color=shade, ms=3, alpha=0.6)
        axes.plot(mean, row, "o", color=shade, ms=size - 1)
        beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": size}
        axes.text(1.04, row, f"{one.accuracy} %", **beside)
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    labels = ["= " * one.tied + shorten(one.outcome.label, 12) for one in ranked]
    axes.set_yticks(range(len(ranked)), labels, fontsize=size)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    ties = ";   = cannot be told from the one above" * any(one.tied for one in ranked)
    axes.set_xlabel(f"test accuracy (%){ties}")
    axes.set_title(f"Test accuracy{interval(task)}", loc="left")
    handles = ceiling(axes, task, axes.axvline)
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, 0), min(right, 100.5))  # an interval may reach beyond 100 %
    return handles


def interval(task):
    replicas = len(task.y_test)
    return f", mean and 95 % interval of {replicas} replicas" if replicas > 1 else ""


def ceiling(axes, task, line):
    """The Bayes-optimal accuracy, in percent, as a line: `line` is axes.axhline or axes.axvline."""
    if task.bayes_accuracy is None:
        return []
    value = 100 * task.bayes_accuracy
    line(value, color=CEILING, ls="--", zorder=3)
    return [Line2D([], [], color=CEILING, ls="--", label=f"Bayes-optimal, {value:.1f} %")]
