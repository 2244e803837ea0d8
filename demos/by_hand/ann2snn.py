"""ANN-to-SNN conversion by hand: a network of ReLUs is trained, and then its neurons spike.

A layer is relu(BN(h W + b)). For the spiking network the batch norm is folded into W and b, and
each layer is scaled so that nearly all of its activations lie below 1, the highest rate there is.
"""

import numpy as np

from .common import BatchNorm, Network, cross_entropy


class ANN2SNN(Network):
    timesteps = 64  # T
    percentile = 99.9
    hidden_layers = 2

    def __init__(self, weights, lr=1e-2):
        super().__init__(weights, lr)
        take = zip(self.weights, self.grads)
        self.layers = [Layer(take) for _ in range(self.hidden_layers)]
        (self.W, self.dW), (self.b, self.db) = next(take), next(take)  # a linear layer
        (self.V, self.dV), (self.c, self.dc) = next(take), next(take)  # the head

    def backpropagate(self, x, y):
        h = x
        for layer in self.layers:
            h = layer.forward(h)  # (B, H)
        features = h @ self.W  # (B, F)
        features += self.b
        z = features @ self.V  # (B, C)
        z += self.c
        loss, dz = cross_entropy(z, y)

        np.matmul(features.T, dz, out=self.dV)
        dz.sum(axis=0, keepdims=True, out=self.dc)
        dfeatures = dz @ self.V.T
        np.matmul(h.T, dfeatures, out=self.dW)
        dfeatures.sum(axis=0, keepdims=True, out=self.db)
        dh = dfeatures @ self.W.T
        for layer in reversed(self.layers):
            dh = layer.backward(dh)
        return loss

    def convert(self, x_train):
        """[(W~, b~)] of the spiking layers, and lambda: what a rate of 1 means in the last one."""
        h, scale, spiking = x_train, 1.0, []
        for layer in self.layers:
            W, b = layer.folded()
            h = np.maximum(h @ W + b, 0)
            before, scale = scale, np.percentile(h, self.percentile)
            spiking.append((W * (before / scale), b / scale))
        return spiking, scale

    def spiking_logits(self, x, spiking, scale):
        """What the spiking network answers: (B, D) -> (B, C)."""
        spikes = [x] * self.timesteps  # not yet spikes: a current, the same at all times
        for W, b in spiking:
            potential, fired, after = 0.5, 0.0, []  # half a threshold: rates round to the nearest
            for s in spikes:
                potential = potential + (s @ W + b) - fired  # a spike takes the threshold, 1, away
                fired = (potential > 1).astype(x.dtype)
                after.append(fired)
            spikes = after
        rate = sum(spikes) / self.timesteps
        return (rate * scale @ self.W + self.b) @ self.V + self.c


class Layer:
    """relu(BN(h W + b))."""

    def __init__(self, take):
        (self.W, self.dW), (self.b, self.db) = next(take), next(take)
        self.norm = BatchNorm(take)

    def forward(self, h):
        self.h = h
        u = h @ self.W
        u += self.b
        self.y = np.maximum(self.norm.forward(u), 0)
        return self.y

    def backward(self, dy):
        du = self.norm.backward(dy * (self.y > 0))
        np.matmul(self.h.T, du, out=self.dW)
        du.sum(axis=0, keepdims=True, out=self.db)  # 0, but for rounding: the norm takes b away
        return du @ self.W.T

    def folded(self):
        """W' and b', which do the norm's work, by running statistics, as well."""
        norm = self.norm
        factor = norm.gain / np.sqrt(norm.running_var + norm.eps)
        return self.W * factor, (self.b - norm.running_mean) * factor + norm.bias
