"""Mamba by hand: tokens, two blocks with a selective scan (Gu & Dao 2023), norms, a head.

Rows are timesteps of sequences, those of the first timestep first. T timesteps, B sequences, D
features, E = 2 D channels with N states each.
"""

import numpy as np

from .common import Network, cross_entropy
from .gru import Embedding


class Mamba(Network):
    num_layers = 2

    def __init__(self, weights, lr=1e-2):
        super().__init__(weights, lr)
        take = zip(self.weights, self.grads)
        self.embedding = Embedding(take)
        self.blocks = [Block(take) for _ in range(self.num_layers)]
        self.norms = [RMSNorm(take) for _ in range(self.num_layers + 1)]
        (self.W, self.dW), (self.b, self.db) = take

    def backpropagate(self, x, y):
        """Sequences (B, T) of tokens; the classes (B, L) are asked for in the last L timesteps."""
        steps, asked = x.shape[1], y.size
        h = self.embedding.forward(x)  # (T B, D)
        for norm, block in zip(self.norms, self.blocks):
            h = h + block.forward(norm.forward(h), steps)
        h = self.norms[-1].forward(h)
        z = h[-asked:] @ self.W  # (L B, C)
        z += self.b
        loss, dz = cross_entropy(z, y.T.ravel())

        np.matmul(h[-asked:].T, dz, out=self.dW)
        dz.sum(axis=0, keepdims=True, out=self.db)
        dh = np.zeros_like(h)
        np.matmul(dz, self.W.T, out=dh[-asked:])
        dh = self.norms[-1].backward(dh)
        for norm, block in zip(self.norms[-2::-1], self.blocks[::-1]):
            dh += norm.backward(block.backward(dh))
        self.embedding.backward(dh)
        return loss


class RMSNorm:
    """Rows divided by the root of their mean square, times a gain."""

    def __init__(self, take):
        self.gain, self.dgain = next(take)

    def forward(self, x):
        square = (x * x).sum(axis=1, keepdims=True)
        square /= x.shape[1]
        square += 1e-5
        self.scale = 1 / np.sqrt(square)
        self.normal = x * self.scale
        return self.normal * self.gain

    def backward(self, dy):
        n = self.normal
        np.sum(dy * n, axis=0, keepdims=True, out=self.dgain)
        dn = dy * self.gain
        along = (dn * n).sum(axis=1, keepdims=True)
        along /= n.shape[1]
        dn -= n * along
        dn *= self.scale
        return dn


def sigmoid(x):
    y = np.negative(x)
    np.exp(y, out=y)
    y += 1
    return np.reciprocal(y, out=y)


class Block:
    """Two branches: channels through a convolution in time and a scan, and a gate for them."""

    def __init__(self, take):
        (self.Wx, self.dWx), (self.Wz, self.dWz) = next(take), next(take)  # (D, E)
        (self.taps, self.dtaps), (self.tap_b, self.dtap_b) = next(take), next(take)  # (K, E)
        (self.log_A, self.dlog_A), (self.step_b, self.dstep_b) = next(take), next(take)  # (N, E)
        (self.W1, self.dW1), (self.W2, self.dW2) = next(take), next(take)  # (E, r), (r, E)
        (self.WB, self.dWB), (self.WC, self.dWC) = next(take), next(take)  # (E, N)
        (self.skip, self.dskip), (self.Wo, self.dWo) = next(take), next(take)  # (1, E), (E, D)

    def forward(self, h, steps):
        """(T B, D) -> (T B, D)."""
        rows = len(h)
        self.h, self.by_time = h, (steps, rows // steps, -1)
        # The convolution: y[t] = sum_k taps[k] x[t - K + 1 + k].
        x = (h @ self.Wx).reshape(self.by_time)  # (T, B, E)
        K = len(self.taps)
        self.past = np.zeros((steps + K - 1, *x.shape[1:]), x.dtype)
        self.past[K - 1 :] = x
        c = self.taps[0] * self.past[:steps]
        for k in range(1, K):
            c += self.taps[k] * self.past[k : k + steps]
        c = c.reshape(rows, -1)
        c += self.tap_b
        self.c, self.sc = c, sigmoid(c)
        self.x = x = c * self.sc  # silu
        # The system.
        self.low = x @ self.W1
        a = self.low @ self.W2  # (T B, E)
        a += self.step_b
        self.ssteps = sigmoid(a)  # the derivative of softplus
        self.steps = np.logaddexp(a, 0)
        self.B, self.C = x @ self.WB, x @ self.WC  # (T B, N)
        y = self.scan()  # (T B, E)
        y += self.skip * x
        # The gate.
        self.z = h @ self.Wz
        self.sz = sigmoid(self.z)
        self.gate = self.z * self.sz
        self.y = y
        self.gated = y * self.gate
        return self.gated @ self.Wo

    def scan(self):
        """s[t] = s[t-1] + e (s[t-1] + B x / A) with e = exp(step A) - 1, and C s: (T B, E)."""
        steps, batch, _ = self.by_time
        states, channels = self.log_A.shape
        shape = (steps, batch, states, channels)
        self.A = A = -np.exp(self.log_A)  # (N, E)
        e = np.multiply(self.steps[:, None], A)  # (T B, N, E)
        self.e = np.expm1(e, out=e).reshape(shape)
        w = np.multiply(self.B[..., None], self.x[:, None])
        w *= 1 / A
        self.w = w.reshape(shape)
        self.s = s = np.zeros((steps + 1, *shape[1:]), e.dtype)
        for t in range(steps):
            np.add(s[t], self.w[t], out=s[t + 1])
            s[t + 1] *= self.e[t]
            s[t + 1] += s[t]
        after = s[1:].reshape(steps * batch, states, channels)
        return np.matmul(self.C[:, None], after)[:, 0]

    def backward(self, dout):
        """dL/d output (T B, D) to dL/dh."""
        np.matmul(self.gated.T, dout, out=self.dWo)
        dgated = dout @ self.Wo.T
        dz = dgated * self.y
        dz *= silu_slope(self.z, self.sz)
        np.matmul(self.h.T, dz, out=self.dWz)
        dy = np.multiply(dgated, self.gate, out=dgated)
        np.sum(dy * self.x, axis=0, keepdims=True, out=self.dskip)
        dx = dy * self.skip
        dsteps, dB, dC = self.scan_backward(dy, dx)

        np.matmul(self.x.T, dB, out=self.dWB)
        np.matmul(self.x.T, dC, out=self.dWC)
        dx += dB @ self.WB.T
        dx += dC @ self.WC.T
        da = np.multiply(dsteps, self.ssteps, out=dsteps)
        da.sum(axis=0, keepdims=True, out=self.dstep_b)
        np.matmul(self.low.T, da, out=self.dW2)
        dlow = da @ self.W2.T
        np.matmul(self.x.T, dlow, out=self.dW1)
        dx += dlow @ self.W1.T

        dx *= silu_slope(self.c, self.sc)
        dx.sum(axis=0, keepdims=True, out=self.dtap_b)
        dc = dx.reshape(self.by_time)
        steps, K = len(dc), len(self.taps)
        later = np.zeros_like(self.past)
        for k in range(K):
            np.sum(dc * self.past[k : k + steps], axis=(0, 1), out=self.dtaps[k])
            later[k : k + steps] += self.taps[k] * dc
        dxs = later[K - 1 :].reshape(len(dx), -1)
        np.matmul(self.h.T, dxs, out=self.dWx)
        dh = dxs @ self.Wx.T
        dh += dz @ self.Wz.T
        return dh

    def scan_backward(self, dy, dx):
        """dL/dy (T B, E) to dL/d step, dL/dB and dL/dC; dL/dx is added to dx.

        d[t] = dL/ds[t] = C dy + (1 + e[t+1]) d[t+1].
        """
        steps, batch, states, channels = self.e.shape
        after = self.s[1:].reshape(steps * batch, states, channels)
        dC = np.matmul(after, dy[..., None])[..., 0]
        d = np.multiply(self.C[..., None], dy[:, None]).reshape(self.e.shape)
        for t in reversed(range(steps - 1)):
            d[t] += d[t + 1]
            d[t] += self.e[t + 1] * d[t + 1]
        q = self.s[:-1] + self.w  # dL/d(step A) = d (1 + e) (s[t-1] + w)
        q *= d
        q += q * self.e
        q = q.reshape(steps * batch, states, channels)
        d *= self.e  # dL/dw, where w = B x / A
        self.w *= d
        dA = np.einsum("rne,re->ne", q, self.steps)
        dA -= self.w.sum(axis=(0, 1)) / self.A
        np.multiply(dA, self.A, out=self.dlog_A)  # A = -exp(log_A)
        q *= self.A
        d = d.reshape(q.shape)
        d *= 1 / self.A
        dx += np.matmul(self.B[:, None], d)[:, 0]
        return q.sum(axis=1), np.matmul(d, self.x[..., None])[..., 0], dC


def silu_slope(x, s):
    """The derivative of x s with s = sigmoid(x): s (1 + x (1 - s))."""
    y = 1 - s
    y *= x
    y += 1
    y *= s
    return y
