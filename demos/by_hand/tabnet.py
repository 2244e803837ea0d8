"""TabNet by hand: the encoder of Arik & Pfister 2021, and a head.

A layer is GLU(BN(h W)), a transformer is four of them, and the first two layers' W are shared by
all transformers. The batch norms see the whole batch, and keep running statistics for later.
"""

import math

import numpy as np

from .common import BatchNorm, Network, cross_entropy


class TabNet(Network):
    hidden = 32  # H: of the decision features, and of the attention features
    num_steps = 3
    gamma = 1.5

    def __init__(self, weights, lr=1e-2):
        super().__init__(weights, lr)
        take = zip(self.weights, self.grads)
        self.input_norm = BatchNorm(take)
        self.initial = Transformer(take, shared=[])
        shared = [layer.matrix for layer in self.initial.layers[:2]]
        self.attentions = [Attention(take) for _ in range(self.num_steps)]
        self.transformers = [Transformer(take, shared) for _ in range(self.num_steps)]
        (self.W, self.dW), (self.b, self.db) = take

    def backpropagate(self, x, y):
        H = self.hidden
        self.flat_grad.fill(0)  # what the transformers share, they add to

        f = self.input_norm.forward(x)  # (B, D)
        h = self.initial.forward(f)  # (B, 2H): decision and attention features
        priors, masks, decisions = [np.ones_like(f)], [], []
        total = np.zeros((len(x), H), x.dtype)
        for attention, transformer in zip(self.attentions, self.transformers):
            mask = attention.forward(h[:, H:], priors[-1])  # (B, D)
            priors.append(priors[-1] * (self.gamma - mask))
            h = transformer.forward(mask * f)
            d = np.maximum(h[:, :H], 0)
            total += d
            masks.append(mask)
            decisions.append(d)
        z = total @ self.W  # (B, C)
        z += self.b
        loss, dz = cross_entropy(z, y)

        np.matmul(total.T, dz, out=self.dW)
        dz.sum(axis=0, keepdims=True, out=self.db)
        dtotal = dz @ self.W.T
        dh = np.zeros((len(x), 2 * H), x.dtype)
        dprior = np.zeros_like(f)
        df = np.zeros_like(f)
        for i in reversed(range(self.num_steps)):
            np.multiply(dtotal, decisions[i] > 0, out=dh[:, :H])
            dmasked = self.transformers[i].backward(dh)
            df += dmasked * masks[i]
            dmask = dmasked * f
            dmask -= dprior * priors[i]  # P_i+1 = P_i (gamma - M_i)
            dprior *= self.gamma - masks[i]
            da, through_mask = self.attentions[i].backward(dmask)
            dprior += through_mask
            dh[:, H:] = da
        dh[:, :H] = 0
        df += self.initial.backward(dh)
        self.input_norm.backward(df)
        return loss


class Transformer:
    """h <- (h + layer(h)) sqrt(1/2) for all layers but the first, which has no residual."""

    def __init__(self, take, shared):
        self.layers = [Layer(shared[i] if i < len(shared) else next(take), take) for i in range(4)]

    def forward(self, x):
        h = self.layers[0].forward(x)
        for layer in self.layers[1:]:
            h = h + layer.forward(h)
            h *= math.sqrt(0.5)
        return h

    def backward(self, dh):
        for layer in self.layers[:0:-1]:
            dh = dh * math.sqrt(0.5)
            dh += layer.backward(dh)
        return self.layers[0].backward(dh)


class Layer:
    """GLU(BN(h W)): [u, v] = BN(h W); u * sigmoid(v)."""

    def __init__(self, matrix, take):
        self.matrix = matrix
        self.W, self.dW = matrix
        self.norm = BatchNorm(take)

    def forward(self, h):
        self.h = h
        uv = self.norm.forward(h @ self.W)
        half = uv.shape[1] // 2
        self.gate = np.exp(-uv[:, half:])
        self.gate += 1
        np.divide(1, self.gate, out=self.gate)
        self.y = uv[:, :half] * self.gate
        return self.y

    def backward(self, dy):
        half = dy.shape[1]
        duv = np.empty((len(dy), 2 * half), dy.dtype)
        np.multiply(dy, self.gate, out=duv[:, :half])
        dv = duv[:, half:]
        np.subtract(1, self.gate, out=dv)
        dv *= self.y
        dv *= dy
        dhW = self.norm.backward(duv)
        self.dW += self.h.T @ dhW
        return dhW @ self.W.T


class Attention:
    """The mask: sparsemax(prior * BN(a A)) (Martins & Astudillo 2016)."""

    def __init__(self, take):
        self.A, self.dA = next(take)
        self.norm = BatchNorm(take)

    def forward(self, a, prior):
        self.a, self.prior = a, prior
        self.s = self.norm.forward(a @ self.A)
        z = prior * self.s
        z -= z.max(axis=1, keepdims=True)
        descending = -np.sort(-z, axis=1)
        excess = descending.cumsum(axis=1)
        excess -= 1
        excess /= np.arange(1, z.shape[1] + 1, dtype=z.dtype)
        z -= excess.max(axis=1, keepdims=True)
        self.mask = np.maximum(z, 0, out=z)
        return self.mask

    def backward(self, dmask):
        """(d loss / d a, d loss / d prior)."""
        support = (self.mask > 0).astype(dmask.dtype)
        dz = dmask * support
        dz -= dz.sum(axis=1, keepdims=True) / support.sum(axis=1, keepdims=True)
        dz *= support
        daA = self.norm.backward(dz * self.prior)
        self.dA += self.a.T @ daA
        return daA @ self.A.T, dz * self.s
