"""ANN2SNN: the longer it spikes, the more it is the network that was trained."""

import numpy as np

from architectures import classifier, lookup
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.pictures.palette import CEILING, FAMILIES
from minigrad import Tensor, fit, nn, no_grad, optim

from .common import INK, SEED, entitled

REPLICAS = 5  # one test set of 200 points is too few for differences this small
TIMESTEPS = 128
REPORTED = (1, 2, 4, 8, 16, 32, 64, 128)
SHOWN = (4, 16, 128)
SPIKING = FAMILIES["neuromorphic"]
GREYS = ("#bbbbbb", "#777777")


def picture(epochs=10):
    """Accuracy against timesteps, and rates against the activations that they stand for."""
    task = rings_and_clusters(range(SEED, SEED + REPLICAS))
    model = train(task, epochs)
    ann = accuracy(model.predict_proba(task.x_test).numpy(), task.y_test)
    half = over_time(model, task, start=0.5)
    zero = over_time(model, task, start=0.0)

    figure = entitled(
        "ANN2SNN: the longer it spikes, the more it is the network that was trained",
        (15, 6),
    )
    left, right = figure.subplots(1, 2, width_ratios=(1.1, 1))
    time = np.arange(1, TIMESTEPS + 1)
    left.axhline(100 * ann, color=CEILING, linestyle="--", label=f"the ANN: {100 * ann:.1f} %")
    left.plot(time, 100 * half, color=SPIKING, label="starting half charged")
    left.plot(time, 100 * zero, color=GREYS[1], label="starting empty")
    left.set_xscale("log", base=2)
    left.set_xticks(REPORTED, REPORTED)
    left.set(title=f"Accuracy, mean of {REPLICAS} networks", xlabel="timesteps T", ylim=(0, 100))
    left.set_ylabel("test accuracy, %")
    left.legend(loc="lower right")
    rates(right, model, task)
    at = ", ".join(f"{t}: {100 * half[t - 1]:.1f}" for t in REPORTED)
    return figure, f"accuracy in % at T = {at}; ANN {100 * ann:.1f}"


def train(task, epochs):
    """REPLICAS networks at once."""
    model = nn.stack(
        classifier(
            "ann2snn",
            len(task.class_names),
            task.x_train.shape[-1],
            train_rows=task.x_train.shape[-2],
            rng=SEED + k,
            num_timesteps=TIMESTEPS,
            **lookup("ann2snn").options,
        )
        for k in range(REPLICAS)
    )
    adam = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, task.x_train, task.y_train, type(model).loss, adam, epochs=epochs)
    return model


def accuracy(scores, y):
    """Over replicas and rows: scores (..., R, B, C), y (R, B)."""
    return (scores.argmax(axis=-1) == y).mean(axis=(-1, -2))


def over_time(model, task, start):
    """(T,): the accuracy after each timestep, the potentials starting at `start` thresholds."""
    model.backbone.initial_potential = start
    spiking = model.finish(task.x_train)
    with no_grad():
        logits = spiking.head(spiking.backbone.features_over_time(task.x_test))
    return accuracy(logits.numpy(), task.y_test)


def rates(axes, model, task):
    """Spike rates of the first layer of one network against its activations, for several T."""
    one = nn.unstack(model, 0)
    one.backbone.initial_potential = 0.5
    spiking = one.finish(task.x_train[0]).backbone
    first = spiking.layers[0]
    x = Tensor(task.x_test[0])
    with no_grad():
        wanted = first(x).numpy().ravel()  # weights in thresholds: a rate of 1 is full speed
        spikes = spiking.spikes(x)[0].numpy()
    order = np.argsort(wanted)
    for t, colour in zip(SHOWN, (*GREYS, SPIKING)):
        rate = spikes[:t].mean(axis=0).ravel()
        error = np.abs(rate - wanted.clip(0, 1)).max()
        axes.plot(wanted[order], rate[order], color=colour, label=f"T = {t}: error ≤ {error:.3f}")
    axes.plot([-0.3, 0, 1, 1.1], [0, 0, 1, 1], ":", color=INK, label="clipped ReLU")
    axes.set(xlim=(-0.3, 1.1), xlabel="activation / its scale", ylabel="spikes per timestep")
    axes.set_title("Layer 1: a staircase of T steps becomes the clipped ReLU")
    axes.legend()
