"""The loss of an MLP around its minimum, in the plane of the two sharpest directions."""

import numpy as np

from architectures import classifier, lookup
from demos.curved.lanczos import hessian_eigenvalues, split
from demos.pictures.palette import CLASSES
from demos.signature.common import INK, NUM_CLASSES, SEED, entitled, rings_and_clusters
from minigrad import Tensor, fit, functional, nn, no_grad, optim

EPOCHS, LOOKS = 100, (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 55, 75, 100)  # at the eigenvalues
STEPS, SHOWN = 30, 5  # of Lanczos' method; eigenvalues in the picture
GRID = 61
HIGH = 1.0  # nats by which the parabola rises to the border of the map


def picture(epochs=EPOCHS):
    """The map with the Hessian's ellipses, three cuts, and the eigenvalues along training."""
    x, y, _, _ = rings_and_clusters()
    model, looks = trained(x, y, epochs)
    bottom = loss(model, x, y).item()
    values, vectors = hessian_eigenvalues(model, lambda m: loss(m, x, y), STEPS, SEED)
    sharp, directions = values[0, :2], vectors[0, :2]
    width = np.sqrt(2 * HIGH / sharp)
    figure = entitled("Around the minimum: where the Hessian is right, and how far", (19, 5.6))
    chart, cuts, training = figure.subplots(1, 3)

    t = np.linspace(-1, 1, GRID)
    across, up = np.meshgrid(t * width[0], t * width[1])
    rise = heights(model, x, y, directions, across, up) - bottom
    levels = [0.01, 0.03, 0.1, 0.3, 1, 3]
    chart.contourf(across, up, np.log10(np.maximum(rise, 1e-4)), 30)
    drawn = chart.contour(across, up, rise, levels, colors="white", linewidths=1.2)
    chart.clabel(drawn, fontsize=9, fmt="%g")
    parabola = (sharp[0] * across**2 + sharp[1] * up**2) / 2
    chart.contour(across, up, parabola, levels, colors=INK, linestyles="dashed", linewidths=1)
    chart.set(title="Rise of the loss (white), by the Hessian (dashed)")
    chart.set(xlabel="sharpest direction", ylabel="second sharpest", box_aspect=1)

    rng = np.random.default_rng(SEED)
    anywhere = rng.standard_normal(directions.shape[-1])
    anywhere /= np.linalg.norm(anywhere)
    t = np.linspace(-1.5, 1.5, GRID) * width[0]
    named = {"sharpest": directions[0], "second sharpest": directions[1], "random": anywhere}
    for colour, (name, direction) in zip(CLASSES, named.items()):
        way = heights(model, x, y, np.stack([direction, direction]), t, 0 * t) - bottom
        cuts.plot(t, way, color=colour, label=name)
    for value in sharp:
        cuts.plot(t, value * t**2 / 2, color=INK, linestyle="--", linewidth=1)
    cuts.set(title="Cuts through it, with the Hessian's parabolas", box_aspect=1)
    cuts.set(xlabel="distance from the minimum", ylabel="rise of the loss, nats")
    cuts.set(ylim=(-0.1, 2 * HIGH))
    cuts.legend()

    for k, colour in zip(range(SHOWN), CLASSES):
        curve = [values[0, k] for values in looks.values()]
        training.plot(list(looks), curve, "o-", color=colour, label=f"λ{k + 1}")
    training.set(title="The largest eigenvalues along training", xlabel="epochs")
    training.set(yscale="log", xscale="symlog", box_aspect=1, ylabel="curvature, nats")
    training.set(xlim=(-0.2, 1.2 * epochs))
    training.legend(ncols=2)
    first, last = next(iter(looks.values()))[0, 0], values[0, 0]
    return figure, (
        f"loss {bottom:.3f} nats; largest eigenvalues {first:.1f} at first, at the end "
        f"{last:.0f}, {sharp[1]:.0f}, {values[0, 2]:.0f}; in a random direction "
        f"{curvature(model, x, y, anywhere):.2f}"
    )


def trained(x, y, epochs):
    """A stack of one MLP, and {epoch: eigenvalues}; the second half in steps that are surer."""
    mlp = classifier(
        "mlp", NUM_CLASSES, x.shape[-1], train_rows=len(x), rng=SEED, **lookup("mlp").options
    )
    model = nn.stack([mlp])
    looks = {}

    def look(epoch):
        if epoch in LOOKS or epoch == epochs:
            looks[epoch] = hessian_eigenvalues(model, lambda m: loss(m, x, y), 15, SEED)[0]

    model.eval()
    look(0)
    adam = optim.Adam(model.parameters(), lr=1e-2)
    for rate, first, last, rows in ((1e-2, 0, epochs // 2, 32), (2e-3, epochs // 2, epochs, 200)):
        adam.lr = rate
        fit(
            model,
            x[None],
            y[None],
            type(mlp).loss,
            adam,
            epochs=last - first,
            batch_size=rows,
            on_epoch=lambda epoch, history, first=first: look(first + epoch),
        )
    return model, looks


def loss(model, x, y):
    """Of all rows: one number for each replica."""
    return functional.cross_entropy(model(Tensor(x)), y)


def heights(model, x, y, directions, across, up):
    """The loss at minimum + across * directions[0] + up * directions[1], for arrays of both.

    The points of a row are replicas of the model: one pass of the network for all of them.
    """
    parameters = model.parameters()
    shapes = [p.shape for p in parameters]
    rows = []
    with no_grad():
        for a, b in zip(np.atleast_2d(across), np.atleast_2d(up)):
            moves = a[:, None] * directions[0] + b[:, None] * directions[1]  # (points, n)
            moved = split(moves, [(len(a), *shape[1:]) for shape in shapes])
            moved = [Tensor(p.data + move) for p, move in zip(parameters, moved)]
            rows.append(loss(nn.with_parameters(model, parameters, moved), x, y).numpy())
    return np.stack(rows).reshape(across.shape)


def curvature(model, x, y, direction, step=0.05):
    """Along one direction, by differences."""
    t = np.array([-step, 0, step])
    low, middle, high = heights(model, x, y, np.stack([direction, direction]), t, 0 * t)
    return (low - 2 * middle + high) / step**2
