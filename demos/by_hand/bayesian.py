"""Bayes by Backprop by hand: an MLP whose weights are drawn anew in each step, and a head like it.

    w = mu + sigma eps,  sigma = log(1 + e^rho),  eps ~ N(0, 1)
    loss = cross-entropy + KL / N,  KL = sum log(s / sigma) + (sigma^2 + mu^2) / (2 s^2) - 1/2

The draw is a constant like any other: backward goes through w to mu and rho, and never asks where
eps came from.
"""

import numpy as np

from .common import Network, cross_entropy


class Bayesian(Network):
    """`rngs` draws the noise of each layer; `train_rows` is N."""

    def __init__(self, weights, rngs, train_rows, lr=1e-2):
        super().__init__(weights, lr)
        take = zip(self.weights, self.grads)
        self.layers = [Layer(take, rng) for rng in rngs]
        self.train_rows = train_rows

    def backpropagate(self, x, y):
        *hidden, last, head = self.layers
        h = x  # (B, D)
        for layer in hidden:
            h = np.maximum(layer.forward(h), 0)  # (B, H)
        z = head.forward(last.forward(h))  # (B, C)
        loss, dz = cross_entropy(z, y)
        kl = sum(posterior.kl() for layer in self.layers for posterior in (layer.W, layer.b))

        share = 1 / self.train_rows  # of the KL, which counts once for all N points
        dh = last.backward(head.backward(dz, share), share)
        for layer, above in zip(hidden[::-1], self.layers[-2:0:-1]):
            dh *= above.h > 0  # the ReLU: what the layer above was given
            dh = layer.backward(dh, share)
        return loss + share * kl


class Layer:
    """h W + b, both drawn."""

    def __init__(self, take, rng):
        self.rng = rng
        self.W, self.b = Posterior(take), Posterior(take)

    def forward(self, h):
        self.h = h
        self.drawn = self.W.draw(self.rng)
        return h @ self.drawn + self.b.draw(self.rng)

    def backward(self, dz, share):
        self.W.backward(self.h.T @ dz, share)
        self.b.backward(dz.sum(axis=0, keepdims=True), share)
        return dz @ self.drawn.T


class Posterior:
    """N(mu, sigma^2) of each number of a weight or bias, against the prior N(0, s^2)."""

    s = 1.0

    def __init__(self, take):
        (self.mu, self.dmu), (self.rho, self.drho) = next(take), next(take)

    def draw(self, rng):
        self.eps = rng.standard_normal(self.mu.shape, dtype=self.mu.dtype)
        self.sigma = np.logaddexp(self.rho, 0)  # log(1 + e^rho)
        return self.mu + self.sigma * self.eps

    def kl(self):
        terms = np.log(self.s / self.sigma) - 0.5
        terms += (self.sigma * self.sigma + self.mu * self.mu) / (2 * self.s * self.s)
        return terms.sum()

    def backward(self, dw, share):
        """From dL/dw and the KL's share: dL/dmu and dL/drho."""
        np.multiply(self.mu, share / self.s**2, out=self.dmu)
        self.dmu += dw  # w rises as mu does
        dsigma = dw * self.eps
        dsigma += share * (self.sigma / self.s**2 - 1 / self.sigma)
        # d sigma / d rho = e^rho / (1 + e^rho), which is 1 - e^-sigma.
        np.multiply(dsigma, -np.expm1(-self.sigma), out=self.drho)
