"""Training steps written by hand in NumPy: what minigrad's one line, ``loss.backward()``, replaces.

Each file holds one network: the forward pass, every gradient worked out on paper and typed in, and
nothing of minigrad. Read one beside the architecture of the same name; each computes the same to
twelve digits. Written plainly, and six of them (MLP, SNN, Hopfield, TabNet, GRU, Mamba) for speed
as well, in place where that is natural: they are the measure of minigrad's speed in benchmark.py.
"""

from .ann2snn import ANN2SNN
from .bayesian import Bayesian
from .ebm import EBM
from .gru import GRU
from .hopfield import Hopfield
from .mamba import Mamba
from .mc_dropout import MCDropout
from .mlp import MLP
from .snn import SNN
from .tabnet import TabNet

# fmt: off
__all__ = [
    "ANN2SNN", "Bayesian", "EBM", "GRU", "Hopfield", "MCDropout", "MLP", "Mamba", "SNN", "TabNet",
]
# fmt: on
