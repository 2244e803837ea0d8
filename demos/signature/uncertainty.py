"""Bayesian and MC Dropout: where a network knows that it does not know."""

import numpy as np
from matplotlib.patches import Patch

from demos.comparison.prediction import grid_points

from .common import INK, entitled, plane, points, rings_and_clusters, trained

REACH, GRID = 8, 65
SAMPLES = 100  # more than a prediction needs: smooth maps
FAR = 8.0  # distance from the origin that no training point comes near
KINDS = {
    "total": "Total: how unsure the prediction is",
    "aleatoric": "Aleatoric: the classes overlap",
    "epistemic": "Epistemic: the samples disagree",
}
COLOURS = {"aleatoric": "#999999", "epistemic": INK}


def bayesian(epochs=20):
    return picture("bayesian", epochs, f"Bayes by Backprop: {SAMPLES} draws of the weights")


def mc_dropout(epochs=10):
    return picture("mc_dropout", epochs, f"MC Dropout: {SAMPLES} masks at prediction")


def picture(name, epochs, message):
    """Maps of the three uncertainties, and their means on right, wrong and far-away points."""
    x, y, x_test, y_test = rings_and_clusters()
    model = trained(name, x, y, epochs=epochs, samples=SAMPLES)

    def uncertainty(z):
        parts = model.uncertainty(z)
        return {kind: part.numpy() for kind, part in parts.items()}

    on_grid = uncertainty(grid_points((-REACH, REACH, -REACH, REACH), GRID))
    on_test, far_away = uncertainty(x_test), uncertainty(circle(FAR))
    right = on_test["mean"].argmax(axis=-1) == y_test
    groups = {
        f"right\n({right.sum()})": {kind: on_test[kind][right].mean() for kind in KINDS},
        f"wrong\n({(~right).sum()})": {kind: on_test[kind][~right].mean() for kind in KINDS},
        f"far:\n|x| = {FAR:.0f}": {kind: far_away[kind].mean() for kind in KINDS},
    }

    figure = entitled(f"{message} disagree far from data, between the class sectors", (17, 5))
    panels = figure.subplots(1, 4, width_ratios=(1, 1, 1, 0.8))
    for axes, (kind, title) in zip(panels, KINDS.items()):
        plane(axes, REACH, title)
        image = axes.imshow(
            on_grid[kind].reshape(GRID, GRID),
            extent=(-REACH, REACH, -REACH, REACH),
            origin="lower",
            vmin=0,
            vmax=np.log(5),
            interpolation="bilinear",
        )
        points(axes, x_test, y_test, size=10)
    figure.colorbar(image, ax=panels[:3], label="nats (log 5 = 1.61: no idea)", shrink=0.8)
    bars(panels[3], groups)

    numbers = "; ".join(
        f"{name} {g['total']:.2f} = {g['aleatoric']:.2f} + {g['epistemic']:.2f}"
        for name, g in zip(("right", "wrong", "far"), groups.values())
    )
    return figure, f"{100 * right.mean():.1f} % right; nats, aleatoric + epistemic: {numbers}"


def circle(radius, count=360):
    """(count, 2)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)).astype(np.float32)


def bars(axes, groups):
    """Aleatoric and epistemic part on top of each other: together the total."""
    base = np.zeros(len(groups))
    for kind, colour in COLOURS.items():
        heights = np.array([group[kind] for group in groups.values()])
        axes.bar(list(groups), heights, bottom=base, color=colour, width=0.6)
        base += heights
    axes.set(title="Mean over points", ylabel="nats", ylim=(0, 1.3 * base.max()))
    handles = [Patch(color=colour, label=kind) for kind, colour in COLOURS.items()]
    axes.legend(handles=handles, loc="upper left")
