"""RetNet: a memory that fades, at a speed of its own in each head, in two forms."""

import time

import numpy as np

from architectures import build
from architectures.sequence.retnet import decay_masks
from demos.pictures.palette import FAMILIES
from minigrad import Tensor, no_grad
from minigrad.backend import to_numpy

from .common import INK, SEED, entitled
from .drawn import against_length, trained_on

STEPS = (32, 64, 128, 256, 512)
HEADS = 4


def picture(epochs=10):
    """Decay masks; parallel and recurrent form, their difference and their time; length."""
    model, task = trained_on("retnet", "copy", epochs=epochs)
    figure = entitled("RetNet: attention that is a recurrence, too", (14, 8))
    above, below = figure.subfigures(2, 1)
    masks = to_numpy(decay_masks(HEADS, 64))
    for head, (axes, mask) in enumerate(zip(above.subplots(1, HEADS), masks)):
        axes.imshow(mask, vmin=0, vmax=1)
        axes.set_title(f"head {head + 1}: {1 - 2.0 ** (-5 - head):.4f} per timestep")
        axes.set(xticks=[0, 63], yticks=[0, 63])
    above.supxlabel("decay masks: how much of a timestep is left at a later one")
    left, middle, right = below.subplots(1, 3)
    difference = forms(left, middle)
    shares = against_length(right, model, task)
    return figure, (
        f"the two forms differ by {difference:.1g} (float64); right {100 * shares[1]:.1f} % at "
        f"length 24, {100 * shares[-1]:.1f} % at 96"
    )


def forms(left, middle):
    """Draw the difference of both forms, and the time of a timestep in each; return the largest
    difference."""
    net = build("retnet", 8, num_layers=1, tokens=False, rng=SEED)
    for parameter in net.parameters():
        parameter.data = parameter.data.astype("float64")
    differences, seconds = [], {True: [], False: []}
    for steps in STEPS:
        x = Tensor(np.random.default_rng(SEED).standard_normal((1, steps, 8)))
        found = []
        for mode in (True, False):
            net.train(mode)
            found.append(net(x).numpy())
            seconds[mode].append(min(seconds_of(net, x) for _ in range(3)) / steps)
        differences.append(abs(found[0] - found[1]).max())
    left.plot(STEPS, differences, "o-", color=INK)
    left.set(title="Parallel - recurrent, largest", xlabel="timesteps", xscale="log")
    left.set(ylim=(0, None))
    for mode, name, colour in ((True, "parallel", INK), (False, "recurrent", FAMILIES["sequence"])):
        middle.plot(STEPS, [1e6 * t for t in seconds[mode]], "o-", color=colour, label=name)
    middle.set(title="Time of a timestep (us)", xlabel="timesteps", xscale="log", yscale="log")
    middle.legend()
    for axes in (left, middle):
        axes.set_xticks(STEPS, STEPS)
        axes.set_xticks([], minor=True)
    return max(differences)


def seconds_of(net, x):
    start = time.perf_counter()
    with no_grad():
        net(x)
    return time.perf_counter() - start
