"""Training steps written by hand in NumPy: what minigrad's one line, ``loss.backward()``, replaces.

Each file holds one network: the forward pass, every gradient worked out on paper and typed in, and
nothing of minigrad. Read one beside the architecture of the same name; each computes the same to
twelve digits. Written plainly, and four of them (MLP, SNN, Hopfield, TabNet) for speed as well, in
place where that is natural: they are the measure of minigrad's speed in benchmark.py.
"""

from .ann2snn import ANN2SNN
from .bayesian import Bayesian
from .ebm import EBM
from .hopfield import Hopfield
from .mc_dropout import MCDropout
from .mlp import MLP
from .snn import SNN
from .tabnet import TabNet

__all__ = ["ANN2SNN", "Bayesian", "EBM", "Hopfield", "MCDropout", "MLP", "SNN", "TabNet"]
