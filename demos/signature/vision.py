"""ConvNet and ViT: what a filter looks for, and where a patch looks."""

import numpy as np

from demos.comparison.drawn import predict
from demos.comparison.prediction import share_right
from minigrad import Tensor, no_grad
from minigrad.backend import to_numpy

from .common import entitled
from .drawn import trained_on

SHOWN = 6  # digits


def convnet(epochs=10):
    """The filters of the first convolution, and what they find in some digits."""
    model, task = trained_on("convnet", "digits", epochs=epochs)
    net, x = model.backbone, task.x_test[0]
    filters = to_numpy(net.filters())[..., 0]  # (C_out, k, k)
    with no_grad():
        maps = net.feature_maps(Tensor(x[:SHOWN]))[0].numpy()  # (B, H', W', C_out)
    figure = entitled("ConvNet: the same small filters everywhere", (14, 8))
    above, below = figure.subplots(2, 1, height_ratios=(1, 3))
    limit = abs(filters).max()
    above.imshow(sheet(filters[None]), cmap="RdBu", vmin=-limit, vmax=limit)
    above.set_title("the filters of the first convolution")
    side = net.shape[0]
    digits = np.kron(x[:SHOWN].reshape(SHOWN, 1, side, side), np.ones((2, 2)))  # two dots a pixel
    found = np.kron((maps / maps.max()).transpose(0, 3, 1, 2), np.ones((4, 4)))
    below.imshow(sheet(np.concatenate([digits, found], axis=1)), cmap="Greys", vmin=0, vmax=1)
    below.set_title("digits, and where each filter finds what it looks for")
    for axes in (above, below):
        axes.axis("off")
    right = accuracy(model, task)
    # An edge has light on one side and dark on the other: its weights sum to little.
    balance = abs(filters.sum(axis=(1, 2))) / abs(filters).sum(axis=(1, 2))
    edges = np.mean(balance < 0.25)
    return figure, (
        f"{100 * right:.1f} % of the digits right; of the filters {100 * edges:.0f} % are edges "
        "(their sum is below a quarter of their absolute sum)"
    )


def vit(epochs=10):
    """Where the class token looks, over the patches of some digits, and how far patches look."""
    model, task = trained_on("vit", "digits", epochs=epochs)
    net, x = model.backbone, task.x_test[0]
    maps = net.attention_maps(x)  # layers of (B, heads, N + 1, N + 1)
    side = int((maps[0].shape[-1] - 1) ** 0.5)
    figure = entitled("ViT: the class token looks where the ink is", (12, 7))
    axes = figure.subplots()
    images = x[:SHOWN].reshape(SHOWN, 1, *net.entrance.shape[:2])
    looks = maps[-1][:SHOWN, :, 0, 1:].reshape(SHOWN, -1, side, side)
    looks = np.kron(looks / looks.max(), np.ones((net.entrance.size, net.entrance.size)))
    axes.imshow(sheet(np.concatenate([images, looks], axis=1).swapaxes(0, 1)), cmap="Greys")
    axes.set_title("digits, and how much each head of the last layer looks at their patches")
    axes.axis("off")
    patch = net.entrance.size
    ink = x.reshape(len(x), side, patch, side, patch).mean(axis=(2, 4)).reshape(len(x), -1)
    look = maps[-1][:, :, 0, 1:].mean(axis=1)
    together = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ink, look)])
    return figure, (
        f"{100 * accuracy(model, task):.1f} % of the digits right; correlation of attention and "
        f"ink {together:.2f}"
    )


def sheet(images):
    """(rows, columns, n, n) side by side, with a gap between them."""
    rows, columns, n, _ = images.shape
    gap = max(n // 8, 1)
    found = np.full((rows, n + gap, columns, n + gap), np.nan)
    found[:, :n, :, :n] = images.swapaxes(1, 2)
    return found.reshape(rows * (n + gap), -1)


def accuracy(model, task):
    return float(share_right(predict(model, task), task.y_test)[0])
