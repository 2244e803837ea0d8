"""Lesson 8. One step of training, by hand and by backward."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor

# A network with one hidden layer, on six points. D = 2 inputs, H = 4 hidden units, one output.

rng = np.random.default_rng(0)
x = rng.normal(size=(6, 2))  # (B, D)
target = x[:, :1] * x[:, 1:]  # (B, 1): their product, which no straight line can give
w1, w2 = rng.normal(size=(2, 4)), rng.normal(size=(4, 1))


def loss(w1, w2):
    return ((np.tanh(x @ w1) @ w2 - target) ** 2).mean()


def nudged(i, j, nudge=1e-5):
    """The slope of the loss in w1[i, j], by lesson 1: slow, and beyond doubt."""
    e = np.zeros((2, 4))
    e[i, j] = nudge
    return (loss(w1 + e, w2) - loss(w1 - e, w2)) / (2 * nudge)


print(f"loss {loss(w1, w2):.4f}, slope in w1[0, 0] {nudged(0, 0):.6f}")
# > loss 0.3795, slope in w1[0, 0] -0.004028

# By hand: forward, keeping what backward will need; then from the last line to the first.

hidden = np.tanh(x @ w1)  # (B, H)
output = hidden @ w2  # (B, 1)

g_output = 2 * (output - target) / len(x)  # d loss / d output
g_w2 = hidden.T @ g_output  # (H, 1)
g_hidden = g_output @ w2.T  # (B, H)
g_w1 = x.T @ g_hidden  # (D, H)
print(f"{g_w1[0, 0]:.6f}")
# > 0.034140

# Wrong, and with the right shape, so nothing failed. It would even train, badly. The way
# through tanh was forgotten: between `hidden` and `x @ w1` stands its factor 1 - tanh^2.

g_w1 = x.T @ (g_hidden * (1 - hidden**2))
print(f"{g_w1[0, 0]:.6f}")
# > -0.004028

# This is what goes wrong by hand: not the mathematics, the bookkeeping. Every line forward needs a
# line backward, in reverse, and a changed line must be changed twice. An engine writes the second
# half. The forward lines are the same. (A Tensor's array is in `.data`; what backward has left is
# in `.grad`, an array, too.)

v1, v2 = Tensor(w1, requires_grad=True), Tensor(w2, requires_grad=True)
value = (((Tensor(x) @ v1).tanh() @ v2 - target) ** 2).mean()
value.backward()
print(np.abs(v1.grad - g_w1).max() < 1e-15, np.abs(v2.grad - g_w2).max() < 1e-15)
# > True True

# One step against the gradient, and the loss is smaller:

print(f"{loss(w1 - 0.1 * g_w1, w2 - 0.1 * g_w2):.4f}")
# > 0.3677

# Repeat, with gradients that start anew, from nothing, in every step (lesson 3 says why):

for step in range(1, 301):
    v1.grad = v2.grad = None
    value = (((Tensor(x) @ v1).tanh() @ v2 - target) ** 2).mean()
    value.backward()
    v1.data -= 0.1 * v1.grad
    v2.data -= 0.1 * v2.grad
    if step in (1, 10, 100, 300):
        print(f"step {step:3}  loss {value:.4f}")
# > step   1  loss 0.3795
# > step  10  loss 0.3109
# > step 100  loss 0.0505
# > step 300  loss 0.0051

# Now you can read demos/by_hand/mlp.py, a whole training step of an MLP in NumPy, and
# architectures/feedforward/mlp.py, the same network with minigrad. After them: minigrad/optim.py.
# Now you can solve exercise 14 in demos/exercises.
