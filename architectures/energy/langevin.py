"""Sampling from an energy: p(x) proportional to exp(-E(x)), by Langevin dynamics.

    x <- x - (step / 2) dE/dx + sqrt(step) n,   n ~ N(0, 1)

For small steps the chain's distribution converges to p (Welling & Teh 2011, without the minibatch).
Energies map points (..., B, D) to (..., B); every point is a chain of its own.
"""

import math

import numpy

from minigrad import nn
from minigrad.backend import Noise, asarray, host_rng, xp
from minigrad.checks import (
    check_counts,
    check_numbers,
    check_pairs,
    check_positive,
    check_shares,
    check_sizes,
)
from minigrad.engine import Tensor


def langevin(energy, x, steps, step_size, noise, box=None):
    """Run one chain from each point of the array x (..., B, D); returns an array like it.

    Args:
        energy: of Tensors, differentiable. Freeze its parameters (`nn.frozen`): then only dE/dx is
            computed, and no gradient is left on them.
        steps, step_size: how many, and their size.
        noise: a `backend.Noise`.
        box: (low, high), to which every coordinate is clipped.

    Raises:
        RuntimeError: under no_grad(), where there is no gradient to follow.
        ValueError: steps or a step size that make no sense, or not one energy for each point.
    """
    check_counts(steps=steps)
    check_positive(step_size=step_size)
    for _ in range(steps):
        point = Tensor(x, requires_grad=True)
        energies = energy(point)
        # A chain's energy depends on its own point only: the gradient of the sum holds all of them.
        energies.backward(xp.ones(x.shape[:-1], x.dtype))
        n = noise.standard_normal(x.shape, dtype=x.dtype)
        x = x - (step_size / 2) * point.grad + math.sqrt(step_size) * n
        if box is not None:
            x = xp.clip(x, *box)
    return x


class PersistentChains(nn.Module):
    """Chains that go on from where the last update of the parameters left them.

    Persistent contrastive divergence (Tieleman 2008), with the replay buffer of Du & Mordatch 2019:
    a few chains restart from uniform noise each time, so that all of the box stays explored. The
    chains are a buffer of this module: in a stack each replica has its own.

    Args:
        features: D.
        count: number of chains; they take turns.
        steps, step_size: of Langevin dynamics, each time.
        box: (low, high) of every coordinate.
        restart: the share of chains that restart.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        features,
        count=2000,
        steps=30,
        step_size=0.02,
        box=(-6.0, 6.0),
        restart=0.05,
        *,
        rng=None,
    ):
        check_sizes(features=features, count=count)
        check_counts(steps=steps)
        check_pairs(box=box)
        check_numbers(low=box[0], high=box[1])
        check_positive(step_size=step_size, width_of_box=box[1] - box[0])
        check_shares(restart=restart)
        rng = host_rng(rng)
        self.chains = asarray(rng.uniform(*box, (count, features)).astype("float32"))
        self.steps, self.step_size = steps, step_size
        self.box, self.restart = box, restart
        self.noise = Noise(rng)
        # An array, as all that changes from step to step is: so a compiled step can move it.
        self.turn = asarray(numpy.zeros(1, "int64"))

    def advance(self, energy, count):
        """Move the next `count` chains (all, if there are fewer); their new points, an array."""
        total = self.chains.shape[-2]
        count = min(count, total)
        # The last chains take their turn together with some before them, which then move twice.
        first = xp.minimum(
            self.turn.reshape(-1)[:1], total - count
        )  # all replicas take turns alike
        rows = first + xp.arange(count)
        chains = self.chains[..., rows, :]
        after = first + count
        self.turn[...] = xp.where(after < total, after, 0)

        low, high = self.box
        fresh = low + (high - low) * self.noise.random(chains.shape, dtype=chains.dtype)
        restarting = self.noise.random((*chains.shape[:-1], 1), dtype=chains.dtype) < self.restart
        start = xp.where(restarting, fresh, chains)
        moved = langevin(energy, start, self.steps, self.step_size, self.noise, self.box)
        self.chains[..., rows, :] = moved
        return moved
