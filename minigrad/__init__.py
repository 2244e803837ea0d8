"""minigrad: reverse-mode automatic differentiation on NumPy or CuPy, written to be read.

Reading order: backend, engine, modes, contract, ops, methods, exchanges, elsewhere, functional,
spiking, recurrent, images, init, nn, optim, schedules, data, training, program, higher, gradcheck,
graph, strict, checks, files, checkpoint; then base and one of the eight in architectures. README.md
says what is in each.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from . import backend, data, elsewhere, functional, init, nn, ops, optim, schedules
from .backend import use
from .engine import op
from .methods import Tensor  # complete: with its operators
from .modes import detect_nan, detect_writes, no_grad
from .training import fit

if TYPE_CHECKING:
    from .checkpoint import load, save
    from .graph import draw
    from .program import compile

__version__ = "0.2.0.dev0"
__all__ = [
    "Tensor",
    "backend",
    "compile",
    "data",
    "detect_nan",
    "detect_writes",
    "draw",
    "fit",
    "functional",
    "init",
    "load",
    "nn",
    "no_grad",
    "op",
    "ops",
    "optim",
    "save",
    "schedules",
    "use",
]

# {name: its module}
LATER = {"compile": "program", "draw": "graph", "load": "checkpoint", "save": "checkpoint"}


def __getattr__(name):  # reached only by what is not there yet
    if name not in LATER:
        return elsewhere.telling(__name__, elsewhere.MINIGRAD)(name)
    return getattr(import_module(f".{LATER[name]}", __name__), name)
