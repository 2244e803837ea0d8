"""Lesson 11. Softmax and cross-entropy: from scores to a price for being wrong."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor
from minigrad import functional as F

# A network gives each class a score. Scores are any numbers; what is wanted are probabilities. Make
# them positive by exp, and let them sum to 1:


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


print(softmax(np.array([2.0, 1.0, 0.0])).round(3))
# > [0.665 0.245 0.09 ]

# Large scores break it. exp(1000) is more than a float can hold, and infinity over infinity is
# nothing at all:

with np.errstate(over="ignore", invalid="ignore"):
    print(softmax(np.array([1000.0, 999.0, 998.0])))
# > [nan nan nan]

# Adding one number to all scores multiplies all exps by one factor, which the division takes out.
# So subtract the largest score first. The largest exp is then exp(0) = 1:

z = np.array([1000.0, 999.0, 998.0])
print(softmax(z - z.max()).round(3))
# > [0.665 0.245 0.09 ]

# How wrong is it? A loss that counts mistakes has the derivative 0: a small nudge changes no
# decision. Take the surprise instead, -log p of the right class: 0 if it was certain and right, and
# without limit as p goes to 0. But a p that is small enough is rounded to 0, and its log is lost:

with np.errstate(divide="ignore"):
    print(-np.log(softmax(np.array([-800.0, 0.0]))))
# > [inf -0.]

# The true answer for the first is 800. But log(exp(z_i) / sum exp z) = z_i - log(sum exp z), which
# meets no small number. Two steps that are dangerous one after the other are safe as one:


def surprise(z, label):
    return np.log(np.exp(z - z.max()).sum()) + z.max() - z[label]


print(surprise(np.array([-800.0, 0.0]), label=0))
# > 800.0
print(round(surprise(np.array([1000.0, 999.0]), label=0), 3))  # nor any large one
# > 0.313

# Their gradient is simple as well. The log-sum has the softmax as its derivative, and the score of
# the right class, which is subtracted, has 1: what arrives at the scores is p minus the truth (1
# for the right class, 0 for the others). Nothing can be plainer: raise the right score by what is
# missing to 1, and lower each other by what it has too much.

z = Tensor(np.array([[2.0, 1.0, 0.0]]), requires_grad=True)
F.cross_entropy(z, np.array([1])).backward()
print(z.grad.round(3))
# > [[ 0.665 -0.755  0.09 ]]
print((softmax(z.numpy()[0]) - [0, 1, 0]).round(3))
# > [ 0.665 -0.755  0.09 ]

# A squared error on the probabilities has a factor p (1 - p) more, from the softmax. Where the
# network is certain and wrong, that factor is next to 0, and it never learns. Compare the two:

z = Tensor(np.array([[10.0, -10.0]]), requires_grad=True)
((F.softmax(z) - np.array([[0.0, 1.0]])) ** 2).sum().backward()
print(f"squared error {z.grad[0, 1]:.0e}")
# > squared error -8e-09
z.grad = None
F.cross_entropy(z, np.array([1])).backward()
print(f"cross-entropy {z.grad[0, 1]:.4f}")
# > cross-entropy -1.0000

# Now you can read `softmax` in minigrad/functional/probabilities.py, and
# `cross_entropy` in minigrad/functional/losses.py.
# Now you can solve exercises 9, 10 and 11 in demos/exercises.
