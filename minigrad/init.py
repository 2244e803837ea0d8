"""Initial weights: host arrays (float32), drawn on the host so that a seed means the same anywhere.

Each takes the shape (..., fan_in, fan_out) of the weight in x @ weight and a seed or Generator; a
shape with fewer axes, or a length of 0, is a ValueError.
"""

import math

from . import backend
from .checks import check_sizes


def fans(shape):
    """(fan_in, fan_out): how many numbers come into a unit, and how many units one goes to."""
    if not isinstance(shape, (tuple, list)) or len(shape) < 2:
        raise ValueError(f"a weight has the shape (..., fan_in, fan_out), not {shape}")
    fan_in, fan_out = shape[-2:]
    check_sizes(fan_in=fan_in, fan_out=fan_out)
    return fan_in, fan_out


def glorot_uniform(shape, rng):
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)): keeps the variance of activations and gradients
    alike where the activation is near linear (Glorot & Bengio 2010, Eq. 16)."""
    limit = math.sqrt(6 / sum(fans(shape)))
    return backend.host_rng(rng).uniform(-limit, limit, shape).astype("float32")


def he_normal(shape, rng):
    """N(0, 2 / fan_in): keeps the variance behind a ReLU, which halves it (He et al. 2015)."""
    scale = math.sqrt(2 / fans(shape)[0])
    return scale * backend.host_rng(rng).standard_normal(shape, dtype="float32")
