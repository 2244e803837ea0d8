"""The MLP by hand: two hidden layers of ReLUs and a linear head."""

import numpy as np

from .common import Network, cross_entropy


class MLP(Network):
    def backpropagate(self, x, y):
        W1, b1, W2, b2, W3, b3 = self.weights
        dW1, db1, dW2, db2, dW3, db3 = self.grads

        h1 = x @ W1  # (B, H1)
        h1 += b1
        np.maximum(h1, 0, out=h1)
        h2 = h1 @ W2  # (B, H2)
        h2 += b2
        np.maximum(h2, 0, out=h2)
        z = h2 @ W3  # (B, C)
        z += b3
        loss, dz = cross_entropy(z, y)

        np.matmul(h2.T, dz, out=dW3)
        dz.sum(axis=0, keepdims=True, out=db3)
        dh2 = dz @ W3.T
        dh2 *= h2 > 0  # the derivative of the ReLU
        np.matmul(h1.T, dh2, out=dW2)
        dh2.sum(axis=0, keepdims=True, out=db2)
        dh1 = dh2 @ W2.T
        dh1 *= h1 > 0
        np.matmul(x.T, dh1, out=dW1)
        dh1.sum(axis=0, keepdims=True, out=db1)
        return loss
