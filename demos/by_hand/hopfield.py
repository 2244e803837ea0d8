"""The Hopfield layer by hand: softmax(beta q K^T) V with learned patterns K and V, and a head."""

import numpy as np

from .common import Network, cross_entropy, softmax


class Hopfield(Network):
    def backpropagate(self, x, y):
        Wq, bq, K, V, W, b = self.weights
        dWq, dbq, dK, dV, dW, db = self.grads
        beta = K.shape[1] ** -0.5

        q = x @ Wq  # (B, d)
        q += bq
        p = q @ K.T  # (B, K)
        p *= beta
        p = softmax(p)
        m = p @ V  # (B, d): what the memory recalls
        z = m @ W  # (B, C)
        z += b
        loss, dz = cross_entropy(z, y)

        np.matmul(m.T, dz, out=dW)
        dz.sum(axis=0, keepdims=True, out=db)
        dm = dz @ W.T
        np.matmul(p.T, dm, out=dV)
        ds = dm @ V.T  # so far dp; the softmax turns it into p * (dp - <dp, p>)
        ds -= (ds * p).sum(axis=1, keepdims=True)
        ds *= p
        ds *= beta
        np.matmul(ds.T, q, out=dK)
        dq = ds @ K
        np.matmul(x.T, dq, out=dWq)
        dq.sum(axis=0, keepdims=True, out=dbq)
        return loss
