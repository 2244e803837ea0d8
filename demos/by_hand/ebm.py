"""The energy-based model by hand: a classifier whose logits are energies (JEM), and its chains.

    E(x) = -log sum_c exp z_c
    loss = cross-entropy + weight (mean E(x+) - mean E(x-) + penalty mean(E(x+)^2 + E(x-)^2))

The data are x+. The x- come from Langevin chains, which go downhill on E and are shaken:

    x <- x - step / 2 dE/dx + sqrt(step) noise

There are two walks back through the same network: to the weights, for the loss, and to the points,
for a chain. A walk to the points leaves the gradients of the weights alone.
"""

import numpy as np

from .common import Network, cross_entropy


class EBM(Network):
    """`chains` (K, D) are copied; `rng` draws what shakes and restarts them."""

    weight, penalty = 0.1, 0.01
    chain_steps, step_size = 30, 0.02
    box = -6.0, 6.0
    restart = 0.05

    def __init__(self, weights, chains, rng, lr=1e-2):
        super().__init__(weights, lr)
        self.chains, self.rng, self.turn = chains.copy(), rng, 0

    def backpropagate(self, x, y):
        z, kept = self.forward(x)
        negatives, kept_negative = self.forward(self.advance(len(x)))
        energy, p = energies(z)
        energy_negative, p_negative = energies(negatives)
        contrast = energy.mean() - energy_negative.mean()
        contrast += self.penalty * ((energy**2).mean() + (energy_negative**2).mean())
        loss, dz = cross_entropy(z, y)
        loss += self.weight * contrast

        scale = self.weight / len(x)
        denergy = scale * (1 + 2 * self.penalty * energy)
        denergy_negative = scale * (-1 + 2 * self.penalty * energy_negative)
        dz -= denergy[:, None] * p  # dE/dz = -softmax(z)
        dz_negative = -denergy_negative[:, None] * p_negative
        self.flat_grad.fill(0)
        self.backward_to_weights(dz, kept)
        self.backward_to_weights(dz_negative, kept_negative)
        return loss

    def forward(self, x):
        """Logits (B, C), and what backward will need."""
        W1, b1, W2, b2, W3, b3 = self.weights
        h1, slope1 = silu(x @ W1 + b1)
        h2, slope2 = silu(h1 @ W2 + b2)
        return h2 @ W3 + b3, (x, h1, slope1, h2, slope2)

    def backward_to_weights(self, dz, kept):
        """Add to the gradients."""
        _, _, W2, _, W3, _ = self.weights
        dW1, db1, dW2, db2, dW3, db3 = self.grads
        x, h1, slope1, h2, slope2 = kept
        dW3 += h2.T @ dz
        db3 += dz.sum(axis=0, keepdims=True)
        du2 = (dz @ W3.T) * slope2
        dW2 += h1.T @ du2
        db2 += du2.sum(axis=0, keepdims=True)
        du1 = (du2 @ W2.T) * slope1
        dW1 += x.T @ du1
        db1 += du1.sum(axis=0, keepdims=True)

    def slope(self, x):
        """dE/dx of each point, (B, D)."""
        W1, _, W2, _, W3, _ = self.weights
        z, (_, _, slope1, _, slope2) = self.forward(x)
        _, p = energies(z)
        return -((((p @ W3.T) * slope2) @ W2.T) * slope1) @ W1.T

    def advance(self, count):
        """Move the chains whose turn it is, `count` of them; their new points."""
        total, (low, high) = len(self.chains), self.box
        count = min(count, total)
        first = min(self.turn, total - count)
        self.turn = first + count if first + count < total else 0
        x = self.chains[first : first + count]
        fresh = low + (high - low) * self.rng.random(x.shape, dtype=x.dtype)
        x = np.where(self.rng.random((count, 1), dtype=x.dtype) < self.restart, fresh, x)
        for _ in range(self.chain_steps):
            downhill = -self.step_size / 2 * self.slope(x)
            shaken = self.step_size**0.5 * self.rng.standard_normal(x.shape, dtype=x.dtype)
            x = np.clip(x + downhill + shaken, low, high)
        self.chains[first : first + count] = x
        return x


def energies(z):
    """E = -log sum_c exp z_c, (B,), and softmax(z), which is -dE/dz."""
    largest = z.max(axis=1, keepdims=True)
    p = np.exp(z - largest)
    total = p.sum(axis=1, keepdims=True)
    p /= total
    return -(np.log(total) + largest)[:, 0], p


def silu(u):
    """u sigmoid(u), and its derivative s (1 + u (1 - s))."""
    s = 1 / (1 + np.exp(-u))
    return u * s, s * (1 + u * (1 - s))
