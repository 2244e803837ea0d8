"""EBM: a landscape of energy, and chains that fall into its valleys.

How good a density it is, the likelihood of points it has not seen tells: beside that of the true
density, and that of a kernel density estimate.
"""

import numpy as np
from matplotlib.patheffects import withStroke

from architectures import build
from architectures.energy.langevin import langevin
from demos.comparison.prediction import grid_points
from demos.comparison.rings_and_clusters import densities
from demos.pictures.palette import FAMILIES
from minigrad import Tensor, backend, fit, nn, no_grad, optim

from .common import INK, SEED, entitled, plane, rings_and_clusters

REACH, GRID = 6, 181
CHAINS, STEPS, STEP_SIZE = 500, 200, 0.02
FOLLOWED, FOR_STEPS = 16, 60  # chains whose way is drawn, and how much of it
SAMPLE_STEPS = 1000
SHARPNESS, BLUR, RESTART = 4.0, 0.15, 0.02  # see `trained`
MODEL = FAMILIES["energy"]
OUTLINED = [withStroke(linewidth=2.2, foreground=INK)]  # a white line seen on any ground


def picture(epochs=90):
    """The landscape with chains, their energy on the way, and samples beside the data."""
    x, _, x_test, _ = rings_and_clusters()
    model = trained(x, epochs)
    log_z = log_partition(model)
    nll = energies(model, x_test).mean() + log_z
    truth = -np.log(densities(x_test.astype(np.float64)).mean(axis=-1)).mean()
    kernel = kernel_nll(x, x_test)
    ways = fall(model)
    on_the_way = energies(model, ways) + log_z  # (steps + 1, chains)
    samples = model.sample(len(x), steps=SAMPLE_STEPS, rng=SEED).numpy()

    figure = entitled(
        "Energy-based model: low energy means plausible; noise rolls downhill to where data are",
        (18, 5),
    )
    panels = figure.subplots(1, 4)
    valleys(figure, panels[0], model, log_z)
    for way in ways[: FOR_STEPS + 1, :FOLLOWED].swapaxes(0, 1):
        panels[0].plot(*way.T, color="white", linewidth=1, path_effects=OUTLINED)
        panels[0].plot(*way[0], "o", color="white", markeredgecolor=INK, markersize=7)
        panels[0].plot(*way[-1], "o", color=INK, markeredgecolor="white", markersize=7)
    descent(panels[1], on_the_way, nll, kernel)
    plane(panels[2], REACH, f"Data: {len(x)} training points")
    panels[2].scatter(*x.T, s=8, color=INK)
    plane(panels[3], REACH, f"Samples: {len(samples)} chains from noise")
    panels[3].scatter(*samples.T, s=8, color=MODEL)
    median = np.median(on_the_way, axis=1)
    return figure, (
        f"negative log-likelihood of test data {nll:.2f} nats (true density {truth:.2f}, kernel "
        f"estimate {kernel:.2f}, uniform {2 * np.log(2 * REACH):.2f}); chains' median energy "
        f"{median[0]:.2f} -> {median[-1]:.2f}"
    )


def trained(x, epochs):
    """A density model of x, by contrastive divergence; the last quarter at a tenth of the rate.

    Three things let it see rings a fifth of a unit thin, and the hole in their middle. Its first
    layer starts SHARPNESS times steeper: a network starts smooth, and learns first what is smooth
    (Rahaman et al. 2019). Few chains restart: one that has not fallen into a valley by the end of
    its turn is no sample of the model, and teaches it that the plateau is too likely. And the data
    are blurred, anew for each batch, as a kernel estimate blurs them: so no single point is worth a
    valley of its own.
    """
    model = build("ebm", x.shape[-1], hidden_sizes=(64, 64, 64), rng=SEED)
    model.body.layers[0].weight.data *= SHARPNESS
    model.chains.restart = RESTART
    adam = optim.Adam(model.parameters(), lr=1e-2)
    noise = backend.Noise(SEED)

    def loss(model, x, _):
        return model.contrastive_divergence(x + BLUR * noise.standard_normal(x.shape, x.dtype))

    last = epochs // 4
    fit(model, x, np.zeros(len(x), int), loss, adam, epochs=epochs - last, batch_size=100)
    adam.lr /= 10
    fit(model, x, np.zeros(len(x), int), loss, adam, epochs=last, batch_size=100)
    return model


def energies(model, x):
    """E of NumPy points (..., 2): (...)."""
    with no_grad():
        return model.energy(Tensor(x)).numpy()


def log_partition(model):
    """log Z, the integral of exp(-E) over the box: so that E + log Z = -log p(x)."""
    e = energies(model, grid_points((-REACH, REACH, -REACH, REACH), GRID)).astype(np.float64)
    area = (2 * REACH / (GRID - 1)) ** 2
    return np.log(np.exp(e.min() - e).sum() * area) - e.min()


def kernel_nll(x, x_test, widths=(0.1, 0.15, 0.2, 0.25, 0.3, 0.4)):
    """The mean -log p(x_test) of a kernel density estimate from x: a mean of Gaussians around it.

    Their width is the one by which each point of x is most likely, given the others.
    """

    def nll(points, width, skip):
        kernels = -((points[:, None].astype(np.float64) - x) ** 2).sum(axis=-1) / (2 * width**2)
        if skip:
            np.fill_diagonal(kernels, -np.inf)
        sums = np.logaddexp.reduce(kernels, axis=1)
        return np.log(2 * np.pi * width**2 * (len(x) - skip)) - sums.mean()

    return nll(x_test, min(widths, key=lambda width: nll(x, width, skip=True)), skip=False)


def fall(model):
    """The chains' points from uniform noise on, step by step: (STEPS + 1, CHAINS, 2)."""
    rng = backend.host_rng(SEED)
    start = rng.uniform(-REACH, REACH, (CHAINS, 2)).astype(np.float32)
    noise = backend.Noise(rng)
    ways = [backend.asarray(start)]
    with nn.frozen(model):
        for _ in range(STEPS):
            ways.append(langevin(model.energy, ways[-1], 1, STEP_SIZE, noise, (-REACH, REACH)))
    return np.stack([backend.to_numpy(way) for way in ways])


def valleys(figure, axes, model, log_z):
    """-log p as a map; what is less plausible than 9 nats is a plateau."""
    plane(axes, REACH, f"{FOLLOWED} chains, {FOR_STEPS} steps: from ○ to ●")
    e = energies(model, grid_points((-REACH, REACH, -REACH, REACH), GRID)) + log_z
    image = axes.imshow(
        e.reshape(GRID, GRID),
        extent=(-REACH, REACH, -REACH, REACH),
        origin="lower",
        vmax=9,
    )
    figure.colorbar(image, ax=axes, label="-log p(x), nats", shrink=0.8, extend="max")


def descent(axes, energy, nll, kernel):
    """The energy (steps + 1, chains) of the chains on their way."""
    low, median, high = np.quantile(energy, (0.1, 0.5, 0.9), axis=1)
    steps = np.arange(len(energy))
    axes.fill_between(steps, low, high, color="#dddddd", label=f"80 % of {CHAINS} chains")
    axes.plot(steps, median, color=MODEL, label="median chain")
    axes.axhline(nll, color=INK, linestyle="--", label=f"test data, mean: {nll:.2f}")
    axes.plot([], [], " ", label=f"(kernel density estimate: {kernel:.2f})")
    axes.set(title="Chains reach the energy of data", xlabel="Langevin steps", xlim=(0, STEPS))
    axes.set(ylabel="-log p(x), nats", ylim=(0, 25), box_aspect=1)
    axes.legend()
