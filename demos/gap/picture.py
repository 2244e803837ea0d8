"""The picture: the data, and each way's band around its prediction."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from demos.gap.curve import GAP, REACH, training_data, truth
from demos.pictures.palette import CLASSES, INK
from demos.signature.common import entitled

BEYOND = 4.0  # the picture shows a little of what lies outside, too
TOTAL, EPISTEMIC = "#cfd8dc", CLASSES[5]


def picture(bands, results):
    """One panel for each Band, of its first replica; `results` is what `Band.evaluate` found."""
    title = (
        "Far from data, one network is as sure as among them; many that agree with the data are not"
    )
    figure = entitled(title, (17, 5.6))
    panels = figure.subplots(1, len(bands), sharey=True)
    grid = np.linspace(-BEYOND, BEYOND, 301, dtype="float32")
    for axes, band, found in zip(panels, bands, results):
        x, y = training_data(band.seeds[0])
        parts = band.at(np.broadcast_to(grid[:, None], (len(band.seeds), len(grid), 1)))
        first = {name: part[0, :, 0] for name, part in parts.items()}
        for kind, colour in (("total", TOTAL), ("epistemic", EPISTEMIC)):
            reach = 1.96 * np.sqrt(first[kind])
            mean = first["mean"]
            axes.fill_between(grid, mean - reach, mean + reach, color=colour, linewidth=0)
        axes.plot(x[:, 0], y[:, 0], ".", color=INK, markersize=3, alpha=0.4)
        axes.plot(grid, truth(grid), "--", color=INK, linewidth=1.2)
        axes.plot(grid, first["mean"], color=CLASSES[0], linewidth=2)
        for edge in (-GAP, GAP):
            axes.axvline(edge, color=INK, linewidth=0.6, linestyle=":")
        inside = {where: 100 * np.mean(found["coverage", where]) for where in ("data", "gap")}
        says = f"inside: {inside['data']:.0f} % near data, {inside['gap']:.0f} % in the gap"
        axes.set_title(f"{band.way.label}\n{says}")
        axes.set(
            xlim=(-BEYOND, BEYOND), ylim=(-3, 3), xlabel="x", xticks=[-REACH, -GAP, GAP, REACH]
        )
    panels[0].set(ylabel="y", yticks=[-2, 0, 2])
    handles = [
        Line2D([], [], color=INK, marker=".", linestyle="", label="measured"),
        Line2D([], [], color=INK, linestyle="--", label="true curve"),
        Line2D([], [], color=CLASSES[0], linewidth=2, label="mean"),
        Patch(color=TOTAL, label="95 %: scatter and doubt"),
        Patch(color=EPISTEMIC, label="95 %: doubt alone (epistemic)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure
