"""SNN: spikes, the membranes that fire them, and what they say about the class."""

import numpy as np

from demos.pictures.palette import FAMILIES, class_colours

from .common import INK, NUM_CLASSES, accuracy, entitled, rings_and_clusters, trained

LAYERS = (INK, FAMILIES["neuromorphic"])  # their colours
SHOWN_CLASS = 1  # a ring: neurons with all kinds of rates
TRACES = (0.7, 0.4, 0.1)  # firing rates, per timestep, of the neurons whose membranes are shown


def picture(epochs=10):
    """One input seen by electrodes, and the firing rates over all test points."""
    x, y, x_test, y_test = rings_and_clusters()
    model = trained("snn", x, y, epochs=epochs)
    snn = model.backbone
    found = accuracy(model.predict_proba(x_test), y_test)
    membranes, spikes = zip(*[(u.numpy(), s.numpy()) for u, s in snn.record(x_test)])
    rates = [s.mean(axis=(0, 1)) for s in spikes]
    dead = [(rate == 0).mean() for rate in rates]
    one = np.flatnonzero(y_test == SHOWN_CLASS)[0]

    figure = entitled("Spiking network: 0 or 1 at every timestep, and most are 0", (14, 9))
    (left, right), (below, beside) = figure.subplots(2, 2)
    raster(left, [s[:, one] for s in spikes])
    left.set_title(f"Every spike, for one point of class {SHOWN_CLASS}")
    traces(right, membranes[-1][:, one], spikes[-1][:, one], snn.threshold)
    by_class(figure, below, spikes[-1], y_test)
    histogram(beside, rates, dead)
    return figure, (
        f"accuracy {100 * found:.1f} %; firing rates "
        f"{', '.join(f'{rate.mean():.2f}' for rate in rates)} per timestep; dead neurons "
        f"{', '.join(f'{(r == 0).sum()} of {r.size}' for r in rates)}; "
        f"{sum(s.sum(axis=(0, 2)).mean() for s in spikes):.0f} spikes per point"
    )


def raster(axes, layers):
    """A dot for every spike (T, H): time to the right, neurons upwards."""
    base, middles = 0, []
    for spikes, colour in zip(layers, LAYERS):
        time, neuron = np.nonzero(spikes)
        axes.plot(time + 1, base + neuron, ".", color=colour, markersize=5)
        middles.append(base + spikes.shape[-1] / 2)
        base += spikes.shape[-1]
        axes.axhline(base - 0.5, color="#cccccc", linewidth=0.8)
    axes.set(xlabel="timestep", yticks=middles, ylim=(-1, base), xlim=(0, len(layers[0]) + 1))
    names = [f"layer {k}\n({s.shape[-1]} neurons)" for k, s in enumerate(layers, start=1)]
    axes.set_yticklabels(names)
    for label, colour in zip(axes.get_yticklabels(), LAYERS):
        label.set_color(colour)


def traces(axes, membrane, spikes, threshold):
    """Potentials (T, H) of three neurons: a busy one, one between, a rare one."""
    rates = spikes.mean(axis=0)
    chosen = [np.abs(rates - rate).argmin() for rate in TRACES]
    time = np.arange(1, len(membrane) + 1)
    height = np.ptp(membrane[:, chosen]) + 0.5
    places = []
    for k, neuron in enumerate(chosen):
        place = threshold - k * height
        u, fires = membrane[:, neuron] - k * height, spikes[:, neuron] > 0
        axes.axhline(place, color="#999999", linestyle="--")
        axes.plot(time, u, color=LAYERS[1])
        axes.plot(time[fires], u[fires], "o", color=INK, markersize=5)
        places.append(place)
    axes.set_yticks(places, [f"neuron {neuron}" for neuron in chosen])
    axes.set(xlabel="timestep", xlim=(0, len(membrane) + 1))
    axes.set_title("Layer 2 membranes: above - - they fire ● and reset")


def by_class(figure, axes, spikes, y):
    """Mean rate of each neuron of the last layer for each class: (C, H)."""
    table = np.stack([spikes[:, y == c].mean(axis=(0, 1)) for c in range(NUM_CLASSES)])
    order = np.lexsort([-table.max(axis=0), table.argmax(axis=0)])
    image = axes.imshow(table[:, order], aspect="auto", vmin=0)
    axes.set(title="Layer 2: which neuron fires for which class", xlabel="neurons, sorted")
    axes.set_yticks(range(NUM_CLASSES), [f"class {c}" for c in range(NUM_CLASSES)])
    for label, colour in zip(axes.get_yticklabels(), class_colours(NUM_CLASSES)):
        label.set_color(colour)
    figure.colorbar(image, ax=axes, label="spikes per timestep")


def histogram(axes, rates, dead):
    """How often neurons fire, over all test points."""
    bins = np.linspace(0, max(rate.max() for rate in rates) + 1e-6, 16)
    names = [
        f"layer {k}: mean {rate.mean():.2f}, {100 * share:.0f} % dead"
        for k, (rate, share) in enumerate(zip(rates, dead), start=1)
    ]
    axes.hist(rates, bins=bins, color=LAYERS, label=names)
    axes.set(title="Firing rates over all test points", ylabel="neurons")
    axes.set_xlabel("spikes per timestep")
    axes.legend()
