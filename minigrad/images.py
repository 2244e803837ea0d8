"""Images, (..., height, width, channels), cut into patches: convolution and pooling are made of it.

A convolution is a linear layer on every patch of an image: `patches` lays them out as rows, one
product does the rest ("im2col": Chellapilla et al. 2006). Channels are the last axis, as features
always are.
"""

from .backend import xp
from .checks import check_counts, check_sizes
from .engine import op


@op
def patches(x, size, stride=1, padding=0):
    """All size x size patches: (..., H, W, C) -> (..., H', W', size size C), row by row.

    `stride` is how far apart they are, `padding` how many zeros stand around the image;
    H' = (H + 2 padding - size) // stride + 1.
    """
    check_sizes(size=size, stride=stride)
    check_counts(padding=padding)
    if x.ndim < 3 or min(x.shape[-3:-1]) + 2 * padding < size:
        raise ValueError(
            f"x of shape {x.shape}: expected (..., H, W, C) with H and W of {size} or more"
        )
    inside = (..., *2 * (slice(padding, -padding or None),), slice(None))
    padded = xp.pad(x, [(0, 0)] * (x.ndim - 3) + [(padding, padding)] * 2 + [(0, 0)])
    shape, channels = padded.shape, x.shape[-1]
    # What stands at the same place in all patches is a view of the image: a slice with steps.
    down, across = ([n - size + 1 + i for i in range(size)] for n in shape[-3:-1])
    views = [
        (..., slice(i, down[i], stride), slice(j, across[j], stride), slice(None))
        for i in range(size)
        for j in range(size)
    ]

    def vjp(g):
        # Every place gets back what all the patches that show it send.
        gx = xp.zeros(shape, g.dtype)
        for k, view in enumerate(views):
            gx[view] = gx[view] + g[..., k * channels : (k + 1) * channels]
        return gx[inside]

    return xp.concatenate([padded[view] for view in views], axis=-1), vjp


def tiles(x, size):
    """Patches that do not overlap: (..., H, W, C) -> (..., H/size, W/size, size size, C).

    Raises:
        ValueError: a size that does not divide height and width.
    """
    check_sizes(size=size)
    if x.ndim < 3:
        raise ValueError(f"x of shape {x.shape}: expected (..., H, W, C)")
    *lead, height, width, channels = x.shape
    if height % size or width % size:
        raise ValueError(f"tiles of {size} x {size} do not fill an image of {height} x {width}")
    rows, columns = height // size, width // size
    cut = x.reshape(*lead, rows, size, columns, size, channels)
    last = cut.ndim
    order = (*range(last - 4), last - 3, last - 4, last - 2, last - 1)
    return cut.transpose(*order).reshape(*lead, rows, columns, size * size, channels)


def max_pool(x, size):
    """The largest element of each tile: (..., H, W, C) -> (..., H/size, W/size, C)."""
    return tiles(x, size).max(axis=-2)


def average_pool(x, size):
    """The mean of each tile: (..., H, W, C) -> (..., H/size, W/size, C)."""
    return tiles(x, size).mean(axis=-2)
