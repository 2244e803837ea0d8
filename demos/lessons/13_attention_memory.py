"""Lesson 13. Attention is a memory that is asked by content."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor
from minigrad import functional as F

# Store five patterns of 64 signs each. Then damage one of them, and ask for it.

rng = np.random.default_rng(0)
patterns = rng.choice([-1.0, 1.0], size=(5, 64))  # (K, d)
query = patterns[2].copy()
query[:16] *= -1  # a quarter of its signs are wrong

# How like the query is each pattern? A scalar product counts agreements less disagreements:

print(patterns @ query)
# > [ -2. -12.  32.   8.   4.]

# Taking the best one is a decision, and a decision has no derivative: nudge the query, and nothing
# changes; nudge it more, and everything does. It cannot be learned through. The mean of all,
# weighted by likeness, can be, but it is a mush. Its numbers, which should be 1 or -1, are off by

likeness = patterns @ query
mush = likeness / np.abs(likeness).sum() @ patterns
print(f"up to {np.abs(mush - patterns[2]).max():.2f}")
# > up to 0.90

# Softmax lies between. It gives weights that sum to 1, smoothly, and the larger beta is, the more
# the best takes all:

for beta in (0.01, 0.1, 1.0):
    weights = F.softmax(Tensor(beta * likeness)).numpy()
    print(beta, weights.round(3), f"{np.abs(weights @ patterns - patterns[2]).max():.3f}")
# > 0.01 [0.183 0.165 0.257 0.202 0.194] 1.487
# > 0.1 [0.028 0.01  0.835 0.076 0.051] 0.329
# > 1.0 [0. 0. 1. 0. 0.] 0.000

# With beta = 1 the damaged pattern comes back whole, in one step. That line, softmax of scalar
# products times what is stored, is attention. Queries ask, keys are compared, values are returned:

recalled = F.attention(Tensor(query[None, :]), patterns, patterns, 1.0)
print(np.abs(recalled.numpy() - patterns[2]).max() < 0.001)
# > True

# And it can be learned through: a gradient reaches what is stored. Here a pattern of zeros is asked
# for by one query, and told what it should have answered (F.mse is the mean squared error):

keys = np.eye(3) * 5
values = Tensor(np.zeros((3, 2)), requires_grad=True)
for _ in range(60):
    values.grad = None
    answer = F.attention(Tensor(keys[1:2]), keys, values, 1.0)
    F.mse(answer, Tensor(np.array([[3.0, -1.0]]))).backward()
    values.data -= 0.2 * values.grad
print(values.numpy().round(2) + 0.0)  # + 0.0 makes 0 of -0
# > [[ 0.  0.]
# >  [ 3. -1.]
# >  [ 0.  0.]]

# Only the slot that was asked has learned; where the weight was 0, the gradient was 0 too.

# Now you can read `attention` in minigrad/functional/layers.py, and then
# architectures/energy/hopfield.py.
