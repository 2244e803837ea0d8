"""minigrad: reverse-mode automatic differentiation on NumPy or CuPy, written to be read.

Reading order: backend, engine (with modes and contract), ops, methods, functional, spiking, init,
nn, optim, data, training, higher, gradcheck; strict is CuPy's stand-in where there is no GPU.
"""

from . import backend, data, functional, init, nn, ops, optim
from .backend import use
from .engine import op
from .methods import Tensor  # complete: with its operators
from .modes import detect_nan, no_grad
from .training import fit

__version__ = "0.2.0.dev0"
__all__ = [
    "Tensor",
    "backend",
    "data",
    "detect_nan",
    "fit",
    "functional",
    "init",
    "nn",
    "no_grad",
    "op",
    "ops",
    "optim",
    "use",
]
