"""The pictures of the benchmark: a bar for each network, a panel for each curve."""

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from architectures import lookup
from demos.bench.duel import NETWORKS
from demos.bench.scaling import CURVES
from demos.bench.tables import time
from demos.pictures.palette import CEILING, FAMILIES, INK, STYLE, family_colour


def draw_all(results, folder):
    """Write the pictures of what was measured; return their paths."""
    paths = []
    with rc_context(STYLE):
        if "duels" in results:
            paths.append(folder / "ratios.png")
            ratios(results["duels"]).savefig(paths[-1])
        if "curves" in results:
            paths.append(folder / "curves.png")
            curves(results["curves"], results.get("memory")).savefig(paths[-1])
    return paths


def ratios(duels):
    """minigrad's time, hand-written NumPy = 1: a bar for the median, a dot for each round."""
    height = 1.5 + 0.55 * len(duels)
    figure = Figure(figsize=(9, height))
    axes = figure.add_axes((0.12, 0.8 / height, 0.63, 1 - 1.25 / height))
    for row, (name, duel) in enumerate(duels.items()):
        family = lookup(NETWORKS[name].architecture).family
        axes.barh(row, duel["ratio"], color=family_colour(family), height=0.7)
        axes.plot(
            duel["ratios"], [row] * len(duel["ratios"]), "o", mfc="white", mec=INK, ms=5, mew=0.8
        )
        label = f"{duel['ratio']:.2f}   ({time(duel['minigrad_seconds'])})"
        axes.text(1.03, row, label, transform=axes.get_yaxis_transform(), va="center")
    axes.axvline(1, color=CEILING, ls="--")
    axes.set_ylim(len(duels) - 0.4, -0.6)
    axes.set_yticks(range(len(duels)), [NETWORKS[name].label for name in duels])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time of a training step, hand-written NumPy = 1  (bar: median, dots: rounds)")
    axes.set_title("minigrad beside hand-written NumPy", loc="left")
    return figure


def curves(results, memory):
    """Points and the straight line through them."""
    panels = []
    for name, result in results.items():
        description = CURVES[name]
        panels.append((description.title, description.size, "ms per step", "seconds", 1e3, result))
    if memory:
        panels.append(("MLP: peak memory", "rows", "KiB", "minigrad_bytes", 1 / 1024, memory))
    figure = Figure(figsize=(12, 7), layout="constrained")
    for axes, (title, size, unit, key, scale, result) in zip(figure.subplots(2, 3).flat, panels):
        ends = np.array([0, result["sizes"][-1]])
        axes.plot(ends, scale * (result["fixed"] + result["each"] * ends), color=CEILING)
        axes.plot(
            result["sizes"],
            scale * np.array(result[key]),
            "o",
            color=FAMILIES["feedforward"],
            ms=7,
            clip_on=False,
        )
        axes.set_xlim(0)
        axes.set_ylim(0)
        axes.set_title(title)
        axes.set_xlabel(size)
        axes.set_ylabel(unit)
    for axes in figure.axes[len(panels) :]:
        axes.remove()
    return figure
