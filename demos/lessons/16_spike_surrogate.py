"""Lesson 16. A spike has no slope: learning with a surrogate."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor
from minigrad.spiking import lif, spike

# A neuron fires or it does not: 1 where its potential is above the threshold, else 0. Let one
# weight learn to make it fire. Nudging says what its gradient is:

w, current, threshold = 0.5, 1.0, 1.0


def fires(w):
    return float(w * current > threshold)


print((fires(w + 1e-3) - fires(w - 1e-3)) / 2e-3)
# > 0.0

# 0: a step is flat, but for one place where it is infinitely steep. The truth is of no use here. A
# gradient of 0 says "nothing that you do matters", and learning stands still.

# So lie a little, and only backward. Forward stays the step. Backward takes the slope of a smooth
# curve that looks like it, 1 at the threshold and less away from it: the surrogate. This one is
# 1 / (1 + slope |u|)^2, where u is how far the potential is above the threshold.

u = Tensor(np.array([-1.0, -0.5, -0.1, 0.1, 0.5]), requires_grad=True)
fired = spike(u, slope=2.0)
fired.sum().backward()
print(fired.numpy())
# > [0. 0. 0. 1. 1.]
print(u.grad.round(3))
# > [0.111 0.25  0.694 0.694 0.25 ]

# Spikes of exactly 0 and 1, and a gradient that says "this one was close". That is enough to learn:

w = Tensor(0.5, requires_grad=True)
for step in range(1, 5):
    w.grad = None
    fired = spike(w * current - threshold, slope=2.0)
    ((fired - 1) ** 2).backward()
    w.data -= 0.5 * w.grad
    print(f"step {step}: fires {fired:.0f}, w becomes {w:.3f}")
# > step 1: fires 0, w becomes 0.750
# > step 2: fires 0, w becomes 1.194
# > step 3: fires 1, w becomes 1.194
# > step 4: fires 1, w becomes 1.194

# A real neuron leaks. Its potential U decays by beta each timestep, the current adds to it, and a
# spike takes the threshold off. So a weak current makes it fire now and then, and a strong one
# often: what it says is in the rate. Such a neuron is called leaky integrate-and-fire, or LIF. Here
# is one for 20 timesteps, under a current that stays the same:

for strength in (0.15, 0.4, 0.8):
    train = lif(Tensor(np.full((1, 1, 1), strength)), steps=20, beta=0.9)  # (20, 1, 1): (T, B, H)
    print(strength, "".join("|" if s else "." for s in train.numpy().ravel()))
# > 0.15 ..........|.........
# > 0.4 ..|..|..|..|..|..|..
# > 0.8 .||.||.||.||.||.||.|

# Over time the chain rule is a walk back through all steps, since U[t] was made of U[t - 1]: a
# current at the start still counts at the end. Let the neuron find the strength for five spikes:

strength = Tensor(np.full((1, 1, 1), 0.15), requires_grad=True)
for _ in range(100):
    strength.grad = None
    count = lif(strength, steps=20, beta=0.9, slope=2.0).sum()
    ((count - 5) ** 2).backward()
    strength.data -= 0.0002 * strength.grad
print(f"{count:.0f} spikes at strength {strength.numpy().item():.2f}")
# > 5 spikes at strength 0.32

# Now you can read minigrad/spiking.py, and architectures/neuromorphic/snn.py.
# Now you can solve exercises 20, and at last 21 in demos/exercises.
