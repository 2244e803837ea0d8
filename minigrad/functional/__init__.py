"""What networks are written in: activations, losses, normalisation and the fused layers.

Arrays end in (..., B, D): batch and features. Whatever leads is independent: replicas, samples,
timesteps. A fused op is here for one of three reasons, and says which: it is more stable than its
parts, much faster, or its true derivative is of no use. Its gradient is derived above its vjp.

NumPy has no ``xp.relu_gradient``: a function under ``@Kernel`` is called as ``xp.`` and its name.
On a CPU that is the function that stands there; on a GPU it is the text above it, CUDA, which says
the same and may be passed over (see Kernel in backend.py).

Reading order: activations, probabilities, losses, layers, normalisation.
"""

from typing import TYPE_CHECKING

from .. import elsewhere
from ..ops import tanh
from .activations import (
    ACTIVATIONS,
    activation,
    gelu,
    glu,
    relu,
    sigmoid,
    silu,
    softplus,
)
from .layers import attention, dropout, embedding, linear, rotary
from .losses import cross_entropy, gaussian_nll, mse, soft_cross_entropy
from .normalisation import batch_norm, layer_norm, rms_norm
from .probabilities import log_softmax, logsumexp, softmax, sparsemax

if not TYPE_CHECKING:
    __getattr__ = elsewhere.telling(__name__, elsewhere.FUNCTIONAL)

__all__ = [
    "ACTIVATIONS",
    "activation",
    "attention",
    "batch_norm",
    "cross_entropy",
    "dropout",
    "embedding",
    "gaussian_nll",
    "gelu",
    "glu",
    "layer_norm",
    "linear",
    "log_softmax",
    "logsumexp",
    "mse",
    "relu",
    "rms_norm",
    "rotary",
    "sigmoid",
    "silu",
    "soft_cross_entropy",
    "softmax",
    "softplus",
    "sparsemax",
    "tanh",
]
