"""Training steps written by hand in NumPy: what minigrad's one line, ``loss.backward()``, replaces.

Each file holds one network: the forward pass, every gradient worked out on paper and typed in, and
nothing of minigrad. Read one beside the architecture of the same name. Written plainly and for
speed, in place where that is natural: it is the measure of minigrad's speed in benchmark.py.
"""

from .hopfield import Hopfield
from .mlp import MLP
from .snn import SNN
from .tabnet import TabNet

__all__ = ["MLP", "SNN", "Hopfield", "TabNet"]
