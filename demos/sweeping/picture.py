"""sweep.png: mean accuracies as a map."""

import numpy as np
from matplotlib.figure import Figure

from demos.comparison.progress import spelt
from demos.pictures.palette import INK
from demos.sweeping.grid import combinations
from demos.sweeping.report import best_first, cannot_be_told_apart


def picture(lines, task, axes, title):
    """Across: the first of the axes that have several values; down: all combinations of the others.

    axes: {name: values}.
    """
    across, *others = [name for name, values in axes.items() if len(values) > 1] or [*axes][:1]
    rows = combinations({name: axes[name] for name in others})
    columns = axes[across]
    best = best_first(lines)[0]
    means = np.full((len(rows), len(columns)), np.nan)
    figure = Figure(figsize=(3.2 + 1.4 * len(columns), 2.0 + 0.7 * len(rows)), layout="compressed")
    chart = figure.subplots()
    places = {}
    for line in lines:
        i = rows.index({name: line.setting[name] for name in others})
        places[i, columns.index(line.setting[across])] = line
    for place, line in places.items():
        means[place] = 100 * line.estimate.mean
    image = chart.imshow(means, cmap="cividis", aspect="auto")
    middle = (np.nanmin(means) + np.nanmax(means)) / 2
    for (i, j), line in places.items():
        equal = line is best or cannot_be_told_apart(line, best, task)
        chart.text(
            j,
            i,
            f"{line.estimate}" + "\ndiverged" * bool(line.diverged),
            ha="center",
            va="center",
            fontsize=11,
            weight="bold" if equal else "normal",
            color=INK if means[i, j] > middle else "white",
        )
    chart.set_xticks(range(len(columns)), [spelt(value) for value in columns])
    chart.set_yticks(range(len(rows)), [", ".join(map(spelt, row.values())) for row in rows])
    chart.set(
        xlabel=across,
        ylabel=", ".join(others),
        title=f"{title}\nbold: the best, and what cannot be told from it",
    )
    chart.spines[:].set_visible(False)
    chart.tick_params(length=0)
    figure.colorbar(image, label="accuracy, %")
    return figure
