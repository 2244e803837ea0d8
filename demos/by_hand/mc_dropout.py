"""MC Dropout by hand: an MLP with a mask on all that enters a layer but the first, and a head.

    loss = cross-entropy + l^2 / (2 N) sum over layers (|W|^2 / q + |b|^2)

q is the probability to keep what enters the layer; the masks are 0 or 1 / q. That is the training
step. A prediction, `predict_proba`, draws masks as well, many times, and averages.
"""

import numpy as np

from .common import Network, cross_entropy, softmax


class MCDropout(Network):
    """`rng` draws the masks; `train_rows` is N, `length_scale` l."""

    def __init__(self, weights, rng, train_rows, lr=1e-2, rate=0.2, length_scale=0.1):
        super().__init__(weights, lr)
        self.rng, self.rate = rng, rate
        self.decay = length_scale**2 / train_rows

    def backpropagate(self, x, y):
        W1, b1, W2, b2, W3, b3, W4, b4 = self.weights
        dW1, db1, dW2, db2, dW3, db3, dW4, db4 = self.grads

        h1 = x @ W1  # (B, H1)
        h1 += b1
        np.maximum(h1, 0, out=h1)
        h1 *= (m1 := self.mask(h1))
        h2 = h1 @ W2  # (B, H2)
        h2 += b2
        np.maximum(h2, 0, out=h2)
        h2 *= (m2 := self.mask(h2))
        features = h2 @ W3  # (B, F)
        features += b3
        features *= (m3 := self.mask(features))
        z = features @ W4  # (B, C)
        z += b4
        loss, dz = cross_entropy(z, y)

        np.matmul(features.T, dz, out=dW4)
        dz.sum(axis=0, keepdims=True, out=db4)
        dfeatures = dz @ W4.T
        dfeatures *= m3
        np.matmul(h2.T, dfeatures, out=dW3)
        dfeatures.sum(axis=0, keepdims=True, out=db3)
        dh2 = dfeatures @ W3.T
        dh2 *= m2
        dh2 *= h2 > 0  # the ReLU: what it let pass, or the mask has switched off anyway
        np.matmul(h1.T, dh2, out=dW2)
        dh2.sum(axis=0, keepdims=True, out=db2)
        dh1 = dh2 @ W2.T
        dh1 *= m1
        dh1 *= h1 > 0
        np.matmul(x.T, dh1, out=dW1)
        dh1.sum(axis=0, keepdims=True, out=db1)
        return loss + self.add_decay()

    def mask(self, h):
        """0 with probability `rate`, else 1 / (1 - rate): on average 1."""
        keep = self.rng.random(h.shape, dtype=h.dtype) >= self.rate
        return np.multiply(keep, 1 / (1 - self.rate), dtype=h.dtype)

    def add_decay(self):
        """The decay of the weights; its gradients are added to those that are there."""
        total = 0.0
        for i, (w, dw) in enumerate(zip(self.weights, self.grads)):
            is_matrix = i % 2 == 0
            q = 1 - self.rate if is_matrix and i > 0 else 1  # no mask before the first matrix
            dw += self.decay / q * w
            total += self.decay / q / 2 * (w * w).sum()
        return total

    def predict_proba(self, x, samples=50):
        """p(y | x), (B, C): the mean over masks of the softmax; each mask is one for all rows."""
        W1, b1, W2, b2, W3, b3, W4, b4 = self.weights
        x = np.broadcast_to(x, (samples, *x.shape))  # (S, B, D)
        h = np.maximum(x @ W1 + b1, 0)
        h *= self.mask(h[:, :1])
        h = np.maximum(h @ W2 + b2, 0)
        h *= self.mask(h[:, :1])
        h = h @ W3 + b3
        h *= self.mask(h[:, :1])
        return softmax(h @ W4 + b4).mean(axis=0)
