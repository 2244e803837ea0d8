"""Modules: layers with parameters, and `stack`, which trains many of them at once.

A module is an ordinary class. Every leaf Tensor that it holds is a parameter, every array a buffer
(running statistics), every module (also in lists, tuples and dicts) a child: nothing is registered,
attributes are walked in the order of their definition.

Reading order: module, layers, replicas.
"""

from typing import TYPE_CHECKING

from .. import elsewhere
from .layers import (
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    MaxPool2d,
    MultiHeadAttention,
    RMSNorm,
    Sequential,
    heads_apart,
    heads_together,
    name_of,
)
from .module import Module, evaluating, frozen, noise_from
from .replicas import stack, unstack, with_parameters

if not TYPE_CHECKING:
    __getattr__ = elsewhere.telling(__name__, elsewhere.NN)

__all__ = [
    "AveragePool2d",
    "BatchNorm",
    "Conv2d",
    "Dropout",
    "Embedding",
    "LayerNorm",
    "Linear",
    "MaxPool2d",
    "Module",
    "MultiHeadAttention",
    "RMSNorm",
    "Sequential",
    "evaluating",
    "frozen",
    "heads_apart",
    "heads_together",
    "name_of",
    "noise_from",
    "stack",
    "unstack",
    "with_parameters",
]
