"""Lesson 12. Normalisation: a signal that survives fifty layers."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor
from minigrad import functional as F

# Send numbers of size 1 through fifty layers of 100 units, whose weights are a little too small or
# a little too large. (Size: the root of the mean square.)


def size(x):
    return np.sqrt((x * x).mean())


def through(layers, scale, between=lambda x: x):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 100))
    for _ in range(layers):
        x = between(x @ (rng.normal(size=(100, 100)) * scale / np.sqrt(100)))
    return x


for scale in (0.8, 1.0, 1.2):
    print(f"weights {scale}: size {size(through(50, scale)):.1e}")
# > weights 0.8: size 1.2e-05
# > weights 1.0: size 8.6e-01
# > weights 1.2: size 7.8e+03

# Each layer multiplies the size by its scale, and 0.8^50 is a hundred-thousandth. Gradients go back
# through the same matrices and shrink or grow alike. No learning rate fits the first and the last
# layer. So bring every row back to mean 0 and variance 1, its normal form, after each layer:


def normalise(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


for scale in (0.8, 1.0, 1.2):
    print(f"weights {scale}: size {size(through(50, scale, normalise)):.3f}")
# > weights 0.8: size 1.000
# > weights 1.0: size 1.000
# > weights 1.2: size 1.000

# There is a well-known shorter way to the variance, E[x^2] - E[x]^2. In float32 it is a trap:


def shorter(x):
    return (x * x).mean() - x.mean() ** 2


x = np.random.default_rng(1).normal(10_000, 1, size=1000).astype(np.float32)
print(f"{((x - x.mean()) ** 2).mean():.2f}, {shorter(x.astype(np.float64)):.2f} in float64")
# > 0.97, 0.97 in float64
print(0.5 < shorter(x) < 1.5)
# > False

# Its two terms are 10^8, where the next float32 is 8 away; a variance of 1 is lost between them.
# First centre, then square.

# What does backward do? A row's normal form does not change if all of the row is shifted, or made
# larger. So a gradient has nothing to say in these two directions: it is cut away there.

row = Tensor(np.array([[1.0, 2.0, 4.0, 9.0]]), requires_grad=True)
one, zero = np.ones((1, 4)), np.zeros((1, 4))  # a gain and a bias that change nothing
F.layer_norm(row, one, zero, eps=0.0).backward(np.array([[1.0, 0.0, 0.0, 0.0]]))
print(row.grad.round(4))
# > [[ 0.1665 -0.1323 -0.0811  0.047 ]]
print(abs(row.grad.sum()) < 1e-12, abs((row.grad * row.data).sum()) < 1e-12)
# > True True

# That is the whole formula of the vjp: g, less its part along (1, 1, 1, 1), less its part along
# the normal form itself, divided by the standard deviation.
# `batch_norm` does the same down the columns: each feature over the batch. So a row's result
# depends on its neighbours. For prediction, where a row may come alone, `nn.BatchNorm` therefore
# keeps running averages of the means and variances that it has seen.

# Now you can read `layer_norm` and `batch_norm` in minigrad/functional/normalisation.py.
# Now you can solve exercise 12 in demos/exercises.
