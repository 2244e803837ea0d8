"""Three ways to a density: the true one, chains that sample, and scores that need no chains."""

import numpy as np

from architectures import build
from architectures.energy.score import sliced_score_matching
from demos.comparison.prediction import grid_points
from demos.comparison.rings_and_clusters import densities
from demos.pictures.palette import CLASSES, FAMILIES
from demos.signature.common import INK, SEED, entitled, plane, rings_and_clusters
from demos.signature.ebm import GRID, REACH, energies, log_partition
from minigrad import fit, optim
from minigrad.backend import Noise

EPOCHS = 60
COLOURS = {"contrastive divergence": FAMILIES["energy"], "score matching": CLASSES[0]}


def picture(epochs=EPOCHS):
    """The densities, and the likelihood of test data while they are learnt."""
    x, _, x_test, _ = rings_and_clusters()
    truth = -np.log(densities(x_test.astype(np.float64)).mean(axis=-1)).mean()
    directions = Noise(SEED)
    objectives = {
        "contrastive divergence": lambda model, x, _: model.contrastive_divergence(x),
        "score matching": lambda model, x, _: sliced_score_matching(model.energy, x, directions),
    }
    figure = entitled("One energy, learnt with chains and without", (19, 5))
    panels = figure.subplots(1, 4)
    points = grid_points((-REACH, REACH, -REACH, REACH), GRID).astype(np.float64)
    chart(panels[0], -np.log(densities(points).mean(axis=-1)), f"True density: {truth:.2f}")
    numbers = []
    for axes, (name, objective) in zip(panels[1:], objectives.items()):
        model, seconds, nll = trained(x, x_test, objective, epochs)
        image = chart(
            axes,
            energies(model, points.astype(np.float32)) + log_partition(model),
            f"{name.capitalize()}: {nll[-1]:.2f}",
        )
        panels[3].plot(seconds, nll, color=COLOURS[name], label=name)
        numbers.append(f"{name} {nll[-1]:.2f} nats after {seconds[-1]:.1f} s")
    figure.colorbar(image, ax=panels[:3], label="-log p(x), nats", shrink=0.8, extend="max")
    panels[3].axhline(truth, color=INK, linestyle="--", label="true density")
    panels[3].set(title="-log p of test data, nats", xlabel="seconds of training")
    panels[3].set(ylim=(truth - 0.1, truth + 1.4), box_aspect=1)
    panels[3].legend()
    return figure, f"test data: {'; '.join(numbers)}; true density {truth:.2f}"


def trained(x, x_test, objective, epochs):
    """A density model of x, the seconds after each epoch, and its -log p of test data there.

    The last quarter of the epochs is trained at a tenth of the rate.
    """
    model = build("ebm", x.shape[-1], hidden_sizes=(64, 64, 64), rng=SEED)
    adam = optim.Adam(model.parameters(), lr=1e-2)
    seconds, nll = [], []

    def watch(epoch, history):
        nll.append(energies(model, x_test).mean() + log_partition(model))
        seconds.append(sum(history.seconds))

    last = epochs // 4
    labels = np.zeros(len(x), int)
    fit(model, x, labels, objective, adam, epochs=epochs - last, batch_size=100, on_epoch=watch)
    adam.lr, before = adam.lr / 10, seconds[-1]
    fit(model, x, labels, objective, adam, epochs=last, batch_size=100, on_epoch=watch)
    seconds[epochs - last :] = [before + s for s in seconds[epochs - last :]]
    return model, seconds, nll


def chart(axes, energy, title):
    """-log p as a map; what is less plausible than 9 nats is a plateau."""
    plane(axes, REACH, title)
    return axes.imshow(
        energy.reshape(GRID, GRID),
        extent=(-REACH, REACH, -REACH, REACH),
        origin="lower",
        vmin=2,
        vmax=9,
    )
