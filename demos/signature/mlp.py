"""MLP: a boundary made of straight pieces, bent layer by layer."""

import numpy as np

from demos.comparison.prediction import grid_points
from minigrad import Tensor, nn, no_grad

from .common import INK, accuracy, entitled, plane, points, rings_and_clusters, tint, trained

WIDTHS = (14, 10)  # narrower than in the comparison: every unit can be seen
REACH, GRID = 5, 301


def picture(epochs=40):
    """Where the units of each layer switch on, and what becomes of it."""
    x, y, x_test, y_test = rings_and_clusters()
    model = trained("mlp", x, y, epochs=epochs, hidden_sizes=WIDTHS)
    found = accuracy(model.predict_proba(x_test), y_test)
    first, second, logits = layers(model, grid_points((-REACH, REACH, -REACH, REACH), GRID))
    pieces = len(np.unique(np.concatenate([first, second], axis=-1) > 0, axis=0))

    figure = entitled("MLP: every ReLU folds the plane along a line", (15, 5.8))
    left, middle, right = figure.subplots(1, 3)
    plane(left, REACH, f"Layer 1: {WIDTHS[0]} units, straight lines")
    points(left, x, y, alpha=0.5)
    switches(left, first, INK)
    plane(middle, REACH, f"Layer 2: {WIDTHS[1]} units, bent at the lines of layer 1")
    switches(middle, first, "#cccccc")
    switches(middle, second, INK)
    plane(right, REACH, f"Output: {pieces} linear pieces, {100 * found:.1f} % right")
    classes = logits.argmax(axis=-1).reshape(GRID, GRID)
    right.imshow(tint(classes), extent=(-REACH, REACH, -REACH, REACH), origin="lower")
    switches(right, np.concatenate([first, second], axis=-1), "white")
    points(right, x_test, y_test)
    left.set_xlabel("on one side of its line a unit is 0")
    middle.set_xlabel("a line of layer 2 turns where it meets one of layer 1 (grey)")
    right.set_xlabel("within a piece the network is linear")
    return figure, f"accuracy {100 * found:.1f} %, {pieces} linear pieces within reach {REACH}"


def layers(model, x):
    """Pre-activations of both hidden layers, and the logits: NumPy arrays (points, units)."""
    results, h = [], Tensor(x)
    with no_grad():
        for layer in model.backbone.layers:
            h = layer(h)
            if isinstance(layer, nn.Linear):
                results.append(h.numpy())
        return *results, model.head(h).numpy()


def switches(axes, before, colour):
    """The lines where units switch between off and on: where their pre-activation is 0."""
    line = np.linspace(-REACH, REACH, GRID)
    for unit in before.T.reshape(-1, GRID, GRID):
        if unit.min() < 0 < unit.max():
            axes.contour(line, line, unit, [0], colors=[colour], linewidths=0.9)
