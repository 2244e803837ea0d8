"""The registry: every architecture by name.

build("mlp", input_size=2, hidden_sizes=(64, 32))       a backbone
classifier("mlp", 5, train_rows=800, input_size=2)      a backbone with a head for 5 classes
"""

import inspect

from minigrad.backend import host_rng

from .base import Architecture, Classifier
from .energy.ebm import EBM
from .energy.hopfield import Hopfield
from .feedforward.mlp import MLP
from .feedforward.tabnet import TabNet
from .neuromorphic.ann2snn import ANN2SNN
from .neuromorphic.snn import SNN
from .probabilistic.bayesian import Bayesian
from .probabilistic.mc_dropout import MCDropout

ARCHITECTURES = {
    "mlp": MLP,
    "tabnet": TabNet,
    "bayesian": Bayesian,
    "mc_dropout": MCDropout,
    "ebm": EBM,
    "hopfield": Hopfield,
    "snn": SNN,
    "ann2snn": ANN2SNN,
}


def list_architectures():
    """The names, family by family."""
    return list(ARCHITECTURES)


def list_families():
    """{family: names of its architectures}."""
    families = {}
    for name, architecture in ARCHITECTURES.items():
        families.setdefault(architecture.family, []).append(name)
    return families


def lookup(name):
    """The class of that name."""
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name, *args, **options):
    """A backbone: ``build("mlp", input_size=2)``; `options` are those of the class.

    Raises:
        ValueError: an unknown name.
        TypeError: an unknown or missing option; the message lists those that exist.
    """
    architecture = lookup(name)
    signature = inspect.signature(architecture)
    try:
        signature.bind(*args, **options)
    except TypeError as error:
        raise TypeError(
            f"{name}: {error}; its options are {', '.join(signature.parameters)}"
        ) from None
    return architecture(*args, **options)


def classifier(name, num_classes, *args, train_rows, native=False, rng=None, **options):
    """A Classifier (see base.py) around ``build(name, *args, **options)``, all drawn from `rng`."""
    rng = host_rng(rng)
    backbone = build(name, *args, rng=rng, **options)
    return Classifier(backbone, num_classes, train_rows=train_rows, native=native, rng=rng)


__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Classifier",
    "build",
    "classifier",
    "list_architectures",
    "list_families",
    "lookup",
]
