"""Lesson 10. What backward really does: a step written out as a program."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

import minigrad
from minigrad import Tensor, optim

# A step of training says how the loss is made. What loss.backward() does is not written anywhere:

rng = np.random.default_rng(0)
x, y = rng.normal(size=(5, 2)), rng.normal(size=(5, 1))
w = Tensor(np.zeros((2, 1)), requires_grad=True)
sgd = optim.SGD([w], lr=0.1)


def step(x, y):
    sgd.zero_grad()
    difference = Tensor(x) @ w - y
    loss = (difference * difference).mean()
    loss.backward()
    sgd.step()
    return loss


# But a step makes the same array calls every time. `compile` records them at its first call. What
# comes out is a program without Tensors, edges or vjps, and it can be read:

compiled = minigrad.compile(step)
compiled(x, y)
print(compiled.source, end="")
# > import numpy as np
# >
# >
# > def step(x, y, *, sgd_lr, sgd_values, sgd_gradients):
# >     sgd_parameters_0 = sgd_values[0:2].reshape(2, 1)
# >     d_sgd_parameters_0 = sgd_gradients[0:2].reshape(2, 1)
# >
# >     # matmul
# >     h1 = x @ sgd_parameters_0                                 # 5, 1
# >
# >     # subtract
# >     h2 = h1 - y                                               # 5, 1
# >
# >     # multiply
# >     h3 = h2 * h2                                              # 5, 1
# >
# >     # mean
# >     y_1 = h3.sum(axis=None, keepdims=True) / 5.0              # 1, 1
# >     loss = y_1.squeeze(None)                                  # one number
# >
# >     # vjp of mean
# >     grad = np.ones((), "float64")                             # one number
# >     d_h3 = np.broadcast_to(grad.reshape((1, 1)) / 5.0, (5, 1))  # 5, 1
# >
# >     # vjp of multiply
# >     d_h2 = d_h3 * h2                                          # 5, 1
# >     d_h2_1 = d_h3 * h2                                        # 5, 1
# >     d_h1 = d_h2 + d_h2_1                                      # 5, 1
# >
# >     # vjp of matmul
# >     np.matmul(x.mT, d_h1, out=d_sgd_parameters_0)
# >
# >     # SGD
# >     sgd_values -= sgd_lr * sgd_gradients
# >
# >     return loss

# sgd_values and sgd_gradients are where an optimizer keeps all parameters and all gradients, end to
# end; w is a piece of the first, in its own shape. d_h2 is the gradient of h2; .mT transposes.
# Read it from the bottom up, and find the lessons again. np.matmul(x.mT, ...) is the vjp of a
# product (6). d_h2 + d_h2_1 adds up two paths, since `difference` was used twice (3). broadcast_to
# is the gradient of a mean: a copy (7). For x and y there is nothing: they ask for no gradient.
# The gradient of w is written where the optimizer wants it, and its step is one line.

# The first call recorded. The second does the step both ways and compares. From the third on
# nothing but these lines is carried out: Python no longer looks for the next op and its edges, and
# the numbers are the same to the last bit:

for _ in range(20):
    compiled(x, y)
after_compiled = w.numpy().copy()

w.data[...] = 0
for _ in range(21):
    step(x, y)
print(np.array_equal(after_compiled, w.numpy()))
# > True

# A decision on a value, "if loss > 1", would be taken once, at the recording, and never again. So
# `compile` refuses it, and says in which line it stands.

# Now you can read minigrad/program/__init__.py, and the files that it names in their order.
# Now you can solve exercise 13 in demos/exercises.
