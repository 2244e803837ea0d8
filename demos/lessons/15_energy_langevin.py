"""Lesson 15. Energy and Langevin: walking downhill, and shaking, to draw samples."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor

# An energy gives every point a height: low where points are likely, high where they are not.
# Points are to be found at x with a density proportional to exp(-E(x)). This one has two valleys:


def energy(x):
    return (x * x - 4) ** 2 / 8  # lowest at x = -2 and x = 2, a ridge of height 2 between them


def slope(x):
    """dE/dx at every point: one backward for all, since none depends on another."""
    points = Tensor(x, requires_grad=True)
    energy(points).sum().backward()
    return points.grad


# Why not compute the density? It has to sum to 1 over all of space. On a line one can add it up;
# for pictures of a thousand pixels nobody can. But how the energy slopes is known everywhere, by
# backward. So start 2000 walkers anywhere, and let them go downhill:

rng = np.random.default_rng(0)
start = rng.uniform(-4, 4, size=2000)

x = start
for _ in range(500):
    x = x - 0.05 * slope(x)
print(f"distance to the valleys {np.abs(np.abs(x) - 2).mean():.4f}")
# > distance to the valleys 0.0000

# They all stand in the two lowest points. That is the most likely place, but no sample: the density
# has a width. What keeps the air from lying on the ground is that its molecules are shaken. The
# right amount of shaking for a step downhill of s/2 is noise of variance s (Langevin):


def langevin(x, steps, step_size):
    for _ in range(steps):
        noise = rng.normal(size=x.shape)
        x = x - step_size / 2 * slope(x) + np.sqrt(step_size) * noise
    return x


x = langevin(start, steps=2000, step_size=0.02)

# Compare with the density itself, added up on a grid, since here we can:

grid = np.linspace(-6, 6, 2001)
density = np.exp(-energy(grid))
density /= density.sum()
for low, high in ((-6, -2), (-2, 0), (0, 2), (2, 6)):
    share = ((x >= low) & (x < high)).mean()
    truth = density[(grid >= low) & (grid < high)].sum()
    print(f"{low:2} to {high:2}: walkers {share:.2f}, density {truth:.2f}")
# > -6 to -2: walkers 0.19, density 0.19
# > -2 to  0: walkers 0.32, density 0.31
# >  0 to  2: walkers 0.31, density 0.31
# >  2 to  6: walkers 0.18, density 0.19

# Shaken for too short a time, walkers are still in the valley where they began, whatever the
# density says. All of these begin on the left; half of them should end on the right:

for steps in (20, 200, 2000):
    x = langevin(np.full(2000, -2.0), steps, step_size=0.05)
    print(f"{steps} steps: on the right {(x > 0).mean():.2f}")
# > 20 steps: on the right 0.01
# > 200 steps: on the right 0.21
# > 2000 steps: on the right 0.49

# This is why an energy-based model keeps its walkers (there they are called chains) from one
# training step to the next, and starts a few of them anew each time. Learning itself is a push and
# a pull: lower the energy where the data are, raise it where the walkers are. When both are alike,
# the two cancel.
# An energy that learns has weights, and each step of a walker is a backward through it, which would
# leave gradients on them, too, though only the push and the pull are to move them. So the weights
# are frozen (`nn.frozen`: constants for a while) as long as the walkers walk.

# Now you can read architectures/energy/langevin.py, and architectures/energy/ebm.py.
# Now you can solve exercises 18 and 19 in demos/exercises.
