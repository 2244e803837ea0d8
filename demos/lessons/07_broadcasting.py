"""Lesson 7. Broadcasting is copying, so its gradient is a sum."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor

# A batch of 4 rows, and a bias of 3 numbers that is added to each of them:

x = np.arange(12.0).reshape(4, 3)
bias = np.zeros(3)
y = x + bias
print(y.shape)
# > (4, 3)

# The loss is the sum of squares, so g = 2 y arrives at y. The vjp of + passes g on as it is.
# Take that for the gradient of the bias, and step:

g = 2 * y
wrong = bias - 0.1 * g
print(wrong.shape)
# > (4, 3)

# No error, and the bias has become four biases, one for each row. (Nothing will complain until a
# batch of another size comes.) What did nudging say? One number of the bias moves all four rows:

for i in range(3):
    up, down = [((x + bias + s * (np.arange(3) == i)) ** 2).sum() for s in (1e-4, -1e-4)]
    print(round((up - down) / 2e-4, 4))
# > 36.0
# > 44.0
# > 52.0

# Each of the three numbers was copied into four rows. From each copy a path leads to the loss, and
# over paths contributions add (lesson 3). So the gradient of a copy is the sum over the copies:

print(g.sum(axis=0))
# > [36. 44. 52.]

# The rule has two halves. An axis that broadcasting put in front is summed away; an axis of
# length 1 that it stretched is summed and stays, with length 1.


def fit(g, shape):
    added = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(added)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=stretched, keepdims=True)


print(fit(np.ones((5, 4, 3)), (3,)), fit(np.ones((4, 3)), (4, 1)).ravel())
# > [20. 20. 20.] [3. 3. 3. 3.]

# It says nothing about +, *, or any other op: so in minigrad the engine does it, once, for all ops,
# when a contribution has another shape than the input that it is for.

column, row = Tensor(np.ones((4, 1)), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
(column * row).sum().backward()
print(column.grad.shape, row.grad.shape)
# > (4, 1) (3,)
print(column.grad.ravel(), row.grad)
# > [3. 3. 3. 3.] [4. 4. 4.]

# And the other way round: the derivative of a sum copies. `sum` sends the one number that arrives
# to all that were summed. The two are each other's mirror, and much of ops.py comes in such pairs.

table = Tensor(x, requires_grad=True)
table.sum(axis=0).backward(np.array([1.0, 2.0, 3.0]))
print(table.grad[0], table.grad[3])
# > [1. 2. 3.] [1. 2. 3.]

# Now you can read `_fit` in minigrad/engine.py, and the reductions in minigrad/ops.py.
# Now you can solve exercises 6 and 7 in demos/exercises.
