"""GRU: what the gates do at a token."""

import numpy as np

from demos.pictures.palette import FAMILIES

from .common import INK, entitled
from .drawn import LENGTH, against_length, in_letters, trained_on

COLOURS = {"symbols": FAMILIES["sequence"], "noise": INK}


def picture(epochs=10):
    """Selective copying: the update gate at each timestep, and how long a memory it makes."""
    model, task = trained_on("gru", "copy", epochs=epochs)
    x = task.x_test[0]
    z, r = model.backbone.gates(x)[0]  # the first layer's, (T, B, H): what it sees is the token
    told = x.astype(int).T >= 2  # (T, B)
    among = np.zeros_like(told)
    among[:LENGTH] = True  # later the network answers
    opens = {
        "symbols": float((1 - z)[told].mean()),
        "noise": float((1 - z)[among & ~told].mean()),
    }
    figure = entitled("GRU: the gates take symbols in and keep the state through noise", (14, 8))
    above, below = figure.subfigures(2, 1)
    left, right = above.subplots(1, 2)
    sheet(left, 1 - z[:, 0].T, x[0], task, "1 - z: how much of a unit's state is new")
    sheet(right, r[:, 0].T, x[0], task, "r: how much of the state the candidate sees")
    left, right = below.subplots(1, 2)
    for name, part in (("symbols", (1 - z)[told]), ("noise", (1 - z)[among & ~told])):
        look = {"color": COLOURS[name], "label": name, "alpha": 0.6}
        left.hist(part.ravel(), bins=40, range=(0, 1), density=True, **look)
    left.set(title="How far the update gate opens", xlabel="1 - z", yticks=[])
    left.legend()
    shares = against_length(right, model, task)
    return figure, (
        f"1 - z is {opens['symbols']:.2f} at symbols, {opens['noise']:.2f} at noise; right "
        f"{100 * shares[1]:.1f} % at length 24, {100 * shares[-1]:.1f} % at 96"
    )


def sheet(axes, values, tokens, task, title):
    """(H, T) as an image, the units in the order in which they are most active."""
    order = np.argsort(values.argmax(axis=-1))
    axes.imshow(values[order], cmap="Greys", vmin=0, vmax=1, aspect="auto")
    in_letters(axes, tokens.astype(int), task.class_names, 2)
    axes.set(title=title, ylabel="unit", yticks=[])
