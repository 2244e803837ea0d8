"""Exercise 18. A step of Langevin dynamics (lesson 15, architectures/energy/langevin.py)."""

import math

from minigrad import Tensor


def step(energy, x, size, noise):
    """Move points x (B, D), downhill by size / 2 times the slope, and shake them.

    energy: maps Tensors (B, D) to (B,). noise: standard normal, an array like x. The shaking has
    the variance `size`. Returns an array.
    """
    points = Tensor(x, requires_grad=True)
    ____.backward()
    return x - ____ + ____ * noise
