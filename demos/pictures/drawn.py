"""Rows of a task that is drawn while training: sequences, or images."""

import numpy as np

from demos.pictures.palette import CLASSES, INK

SEQUENCES = 12
ACROSS = 6  # images side by side


def rows(axes, task):
    """Some test rows of the first replica, and what is to be said of them."""
    x, y = task.x_test[0], task.y_test[0]
    axes.set_xticks([])
    axes.set_yticks([])
    if x.ndim == 2 and not task.symbols:
        images(axes, x, [task.class_names[c] for c in y[: len(x)]])
    elif task.symbols:
        tokens(axes, x[:SEQUENCES].astype(int), task, y.reshape(len(x), -1))
    else:
        numbers(axes, x[:SEQUENCES], [task.class_names[c] for c in y[: len(x)]])


def images(axes, x, names):
    """A sheet of ACROSS x ACROSS images, each beside its name."""
    side = int(x.shape[-1] ** 0.5)
    sheet = np.zeros((ACROSS, side + 2, ACROSS, side + 2))
    for k in range(min(ACROSS**2, len(x))):
        sheet[k // ACROSS, 1:-1, k % ACROSS, 1:-1] = x[k].reshape(side, side)
        place = (side + 2) * (k % ACROSS), (side + 2) * (k // ACROSS)
        axes.text(*place, names[k], va="top", fontsize=9, color="#D55E00")
    axes.imshow(sheet.reshape(ACROSS * (side + 2), -1), cmap="Greys", vmin=0, vmax=1.2)


def tokens(axes, x, task, answers):
    """A line for each sequence: tokens as cells, symbols by letter, the answers at its end."""
    asked = task.answers
    letters = len(task.class_names)
    first = task.symbols - letters  # the tokens below stand for other things
    for row, sequence in enumerate(x):
        for t, token in enumerate(sequence):
            if token >= first:
                colour = CLASSES[(token - first) % len(CLASSES)]
                says = task.class_names[token - first]
                axes.text(t, row, says, ha="center", va="center", color=colour, weight="bold")
            else:
                axes.text(t, row, f"{token}", ha="center", va="center", color="#AAAAAA", size=8)
        for k, answer in enumerate(answers[row]):
            place = len(sequence) - asked + k, row + 0.42
            axes.text(*place, task.class_names[answer], ha="center", va="center", size=7, color=INK)
    axes.set(xlim=(-1, x.shape[1]), ylim=(len(x), -1), xlabel="timestep")


def numbers(axes, x, names):
    """A line for each sequence: its numbers as shades, marks around those that are marked."""
    axes.imshow(x[..., 0], cmap="Greys", vmin=0, vmax=1.5, aspect="auto")
    for row, t in np.argwhere(x[..., 1]):
        axes.plot(t, row, "s", mfc="none", mec="#D55E00", ms=11, mew=2)
    for row in range(len(x)):
        axes.text(x.shape[1], row, names[row], va="center", size=9)
    axes.set(xlim=(-0.5, x.shape[1] + 2), xlabel="timestep")
