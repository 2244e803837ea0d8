"""Lesson 6. From numbers to arrays: what a vjp is, and why no Jacobian is ever built."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor, op
from minigrad.backend import xp

# A number made of a number has one factor. An array of 3 made of an array of 3 has 9: how much
# does each output move when each input is nudged? They form a matrix, the Jacobian.

x = np.array([0.0, 0.5, -1.0])


def jacobian(function, x, nudge=1e-6):
    columns = [(function(x + nudge * e) - function(x - nudge * e)) / (2 * nudge) for e in np.eye(3)]
    return np.stack(columns, axis=1)  # row: output, column: input


J = jacobian(np.tanh, x)
print(J.round(3))
# > [[1.    0.    0.   ]
# >  [0.    0.786 0.   ]
# >  [0.    0.    0.42 ]]

# The chain rule for arrays multiplies such matrices. For a layer of 256 units and a batch of 64,
# tanh makes 16,384 numbers of 16,384 numbers. Its Jacobian in float32 would take

print(f"{(64 * 256) ** 2 * 4 / 2**30:.0f} GiB")
# > 1 GiB

# for one layer, nearly all of it zeros. But nobody asked for J. The loss is ONE number, and what
# arrives from it is one row g: how much the loss moves for each output. What must be passed on is
# how much the loss moves for each input: the row g times J. A vector-Jacobian product, a vjp.

g = np.array([1.0, 10.0, 100.0])
print((g @ J).round(4))
# > [ 1.      7.8645 41.9974]

# And that product has a short form. For tanh, J has 1 - y^2 on its diagonal, so it is g (1 - y^2):

y = np.tanh(x)
print((g * (1 - y * y)).round(4))
# > [ 1.      7.8645 41.9974]

# The same numbers, two multiplications for each of them, and no matrix. An op in minigrad is that
# and nothing more: the value, then one vjp for each input. (xp is NumPy, or CuPy where there is a
# GPU.)


@op
def my_tanh(x):
    y = xp.tanh(x)
    return y, lambda g: g * (1 - y * y)


leaf = Tensor(x, requires_grad=True)
my_tanh(leaf).backward(g)  # not one number, so backward has to be told where to start: at g
print(leaf.grad.round(4))
# > [ 1.      7.8645 41.9974]

# A Jacobian need not be diagonal for that. The sum of three numbers has J = (1 1 1), a single row;
# g is one number, and g times J repeats it. The running sum has a triangle of ones, and g times
# a triangle is a running sum from the other end:

J = jacobian(np.cumsum, x)
print((g @ J).round(4), g[::-1].cumsum()[::-1])
# > [111. 110. 100.] [111. 110. 100.]

# A matrix product has the largest Jacobian and the neatest vjp. For z = x @ w, with the gradient g
# of z: that of w is x^T @ g and that of x is g @ w^T, each as cheap as the product itself.

rng = np.random.default_rng(0)
rows, w = rng.normal(size=(4, 3)), Tensor(rng.normal(size=(3, 2)), requires_grad=True)
g = rng.normal(size=(4, 2))
(Tensor(rows) @ w).backward(g)
print(np.allclose(w.grad, rows.T @ g))
# > True

# Now you can read minigrad/ops.py: about forty ops, each a value and its vjps. After it, how all of
# them are checked: minigrad/gradcheck.py.
# Now you can solve exercises 4, 5 and 8 in demos/exercises.
