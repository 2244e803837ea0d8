"""What the image models share: a point of D numbers is an image of H x W x C."""

import math

from minigrad.checks import check_sizes


def image_shape(input_size, shape=None):
    """(H, W, C): `shape`, or that of a square grey image of `input_size` pixels.

    Raises:
        ValueError: a shape of another size, or no shape and no square.
    """
    check_sizes(input_size=input_size)
    if shape is None:
        side = math.isqrt(input_size)
        shape = (side, side, 1)
    if not isinstance(shape, (tuple, list)) or len(shape) != 3:
        raise ValueError(f"shape must be (height, width, channels), not {shape!r}")
    height, width, channels = shape
    check_sizes(height=height, width=width, channels=channels)
    if height * width * channels != input_size:
        raise ValueError(f"{input_size} numbers are no image of {height} x {width} x {channels}")
    return tuple(shape)


def as_images(x, shape):
    """(..., B, D) -> (..., B, H, W, C)."""
    if x.ndim < 2 or x.shape[-1] != math.prod(shape):
        raise ValueError(
            f"images of {' x '.join(map(str, shape))} are rows (..., B, {math.prod(shape)}), not "
            f"{x.shape}: x.reshape(len(x), -1)"
        )
    *lead, batch, _ = x.shape
    return x.reshape(*lead, batch, *shape)
