"""What the pictures share: the task, a trained network, a figure with a message above it."""

import numpy as np
from matplotlib.figure import Figure

from architectures import classifier, lookup
from demos.comparison.rings_and_clusters import draw
from demos.pictures.data import scatter
from demos.pictures.palette import INK, class_colours
from minigrad import fit, optim

SEED = 42
NUM_CLASSES = 5
TRAIN_ROWS = 800


def rings_and_clusters():
    """(x_train, y_train, x_test, y_test) of the comparison's first replica."""
    x, y = draw(SEED)
    return x[:TRAIN_ROWS], y[:TRAIN_ROWS], x[TRAIN_ROWS:], y[TRAIN_ROWS:]


def trained(name, x, y, *, epochs, **options):
    """A Classifier as in the comparison, by the objective of its own paper; `options` differ."""
    model = classifier(
        name,
        NUM_CLASSES,
        x.shape[-1],
        train_rows=len(x),
        native=True,
        rng=SEED,
        **(lookup(name).options | options),
    )
    adam = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x, y, type(model).loss, adam, epochs=epochs)
    return model


def accuracy(proba, y):
    return (proba.numpy().argmax(axis=-1) == y).mean()


def entitled(title, size):
    """An empty figure of that size, in inches, under its message."""
    figure = Figure(figsize=size, layout="compressed")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    figure.suptitle(title, fontsize=16)
    return figure


def plane(axes, reach, title):
    """Make `axes` a square window on the plane, [-reach, reach] in both directions."""
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", title=title)
    axes.set(xticks=[-reach, 0, reach], yticks=[-reach, 0, reach])


def points(axes, x, y, *, size=14, edge="white", **style):
    """The data, each class in its colour and with its marker."""
    scatter(axes, x, y, NUM_CLASSES, size=size, edge=edge, **style)


def tint(classes, share=0.35):
    """Pictures of class numbers (...): (..., 3), their colours mixed with white."""
    colours = np.array(class_colours(NUM_CLASSES))
    return 1 - share * (1 - colours[classes])


__all__ = [
    "INK",
    "NUM_CLASSES",
    "SEED",
    "accuracy",
    "entitled",
    "plane",
    "points",
    "rings_and_clusters",
    "tint",
    "trained",
]
