"""The GRU by hand: tokens, two layers of gated recurrent units (Cho et al. 2014), a head.

Rows are timesteps of sequences, those of the first timestep first: one product for all of them,
wherever no timestep has to wait for another.
"""

import numpy as np

from .common import Network, cross_entropy


class GRU(Network):
    num_layers = 2

    def __init__(self, weights, lr=1e-2):
        super().__init__(weights, lr)
        take = zip(self.weights, self.grads)
        self.embedding = Embedding(take)
        self.layers = [Layer(take) for _ in range(self.num_layers)]
        (self.W, self.dW), (self.b, self.db) = take

    def backpropagate(self, x, y):
        """Sequences (B, T) of tokens; the classes (B, L) are asked for in the last L timesteps."""
        steps, asked = x.shape[1], y.size
        h = self.embedding.forward(x)  # (T B, E)
        for layer in self.layers:
            h = layer.forward(h, steps)  # (T B, H)
        z = h[-asked:] @ self.W  # (L B, C)
        z += self.b
        loss, dz = cross_entropy(z, y.T.ravel())

        np.matmul(h[-asked:].T, dz, out=self.dW)
        dz.sum(axis=0, keepdims=True, out=self.db)
        dh = np.zeros_like(h)
        np.matmul(dz, self.W.T, out=dh[-asked:])
        for layer in reversed(self.layers):
            dh = layer.backward(dh)
        self.embedding.backward(dh)
        return loss


class Embedding:
    """A row for each token."""

    def __init__(self, take):
        self.W, self.dW = next(take)

    def forward(self, x):
        self.tokens = x.T.astype(int).ravel()
        return self.W[self.tokens]

    def backward(self, dh):
        places = self.tokens[:, None] * dh.shape[1] + np.arange(dh.shape[1])
        self.dW.fill(0)
        np.add.at(self.dW.reshape(-1), places.ravel(), dh.ravel())


class Layer:
    """z, r = sigmoid(x W + b + h U), c = tanh(x W + b + (r h) U), h <- z h + (1 - z) c; each with
    its third of W, b and U."""

    def __init__(self, take):
        (self.W, self.dW), (self.b, self.db), (self.U, self.dU) = next(take), next(take), next(take)

    def forward(self, x, steps):
        """(T B, D) -> (T B, H)."""
        width, batch = len(self.U), len(x) // steps
        Ug, Uc = self.U[:, : 2 * width], self.U[:, 2 * width :]
        a = x @ self.W  # (T B, 3H)
        a += self.b
        a = a.reshape(steps, batch, -1)
        gates = np.empty((steps, batch, 2 * width), x.dtype)  # z and r
        seen = np.empty((steps, batch, width), x.dtype)  # r h
        c = np.empty_like(seen)
        h = np.zeros((steps + 1, batch, width), x.dtype)
        for t in range(steps):
            g, s, new, before, after = gates[t], seen[t], c[t], h[t], h[t + 1]
            np.matmul(before, Ug, out=g)
            g += a[t, :, : 2 * width]
            np.negative(g, out=g)
            np.exp(g, out=g)
            g += 1
            np.reciprocal(g, out=g)
            np.multiply(g[:, width:], before, out=s)
            np.matmul(s, Uc, out=new)
            new += a[t, :, 2 * width :]
            np.tanh(new, out=new)
            np.subtract(before, new, out=after)
            after *= g[:, :width]
            after += new
        self.x, self.gates, self.seen, self.c, self.h = x, gates, seen, c, h
        return h[1:].reshape(len(x), width)

    def backward(self, dh):
        """dL/dh of every timestep's own output, (T B, H), to dL/dx."""
        steps, batch, width = self.c.shape
        Ug, Uc = self.U[:, : 2 * width], self.U[:, 2 * width :]
        z, r = self.gates[..., :width], self.gates[..., width:]
        before = self.h[:-1]
        keep = 1 - z
        to_c = self.c * self.c
        np.subtract(1, to_c, out=to_c)  # the derivative of tanh
        to_c *= keep
        to_z = before - self.c
        to_z *= z
        to_z *= keep
        to_r = self.seen - self.seen * r  # h r (1 - r)
        da = np.empty((steps, batch, 3 * width), dh.dtype)
        dh = dh.reshape(steps, batch, width)
        d = np.zeros((batch, width), dh.dtype)
        for t in reversed(range(steps)):
            d += dh[t]
            dc = da[t, :, 2 * width :]
            np.multiply(d, to_c[t], out=dc)
            ds = dc @ Uc.T
            np.multiply(d, to_z[t], out=da[t, :, :width])
            np.multiply(ds, to_r[t], out=da[t, :, width : 2 * width])
            d *= z[t]
            ds *= r[t]
            d += ds
            d += da[t, :, : 2 * width] @ Ug.T
        da = da.reshape(steps * batch, 3 * width)
        before, seen = (part.reshape(steps * batch, width) for part in (before, self.seen))
        self.dU[:, : 2 * width] = before.T @ da[:, : 2 * width]
        self.dU[:, 2 * width :] = seen.T @ da[:, 2 * width :]
        np.matmul(self.x.T, da, out=self.dW)
        da.sum(axis=0, keepdims=True, out=self.db)
        return da @ self.W.T
