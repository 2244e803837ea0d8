"""What the networks by hand share: flat parameters, Adam, batch norm and the cross-entropy."""

import numpy as np


class Network:
    """Parameters and gradients as views of two flat arrays, and Adam (Kingma & Ba 2015) on them.

    `weights` are the initial parameters, copied, in the order in which subclasses unpack them.
    """

    def __init__(self, weights, lr=1e-2):
        self.flat = np.concatenate([w.ravel() for w in weights])
        self.flat_grad = np.zeros_like(self.flat)
        self.weights, self.grads = [], []
        end = 0
        for w in weights:
            begin, end = end, end + w.size
            self.weights.append(self.flat[begin:end].reshape(w.shape))
            self.grads.append(self.flat_grad[begin:end].reshape(w.shape))
        self.lr = lr
        self.steps = 0
        self.mean = np.zeros_like(self.flat)
        self.square = np.zeros_like(self.flat)
        self.work = np.empty_like(self.flat)

    def step(self, x, y):
        """One training step on a minibatch, (B, D) and (B,); returns the loss before it."""
        loss = self.backpropagate(x, y)
        self.adam()
        return loss

    def backpropagate(self, x, y):
        """Return the loss and leave its gradients in `self.grads`."""
        raise NotImplementedError

    def adam(self, beta1=0.9, beta2=0.999, eps=1e-8):
        self.steps += 1
        m, v, work = self.mean, self.square, self.work
        m *= beta1
        np.multiply(self.flat_grad, 1 - beta1, out=work)
        m += work
        v *= beta2
        np.multiply(self.flat_grad, self.flat_grad, out=work)
        work *= 1 - beta2
        v += work
        # p -= lr (m / c1) / (sqrt(v / c2) + eps), with both square roots' c2 taken out.
        c1, c2 = 1 - beta1**self.steps, 1 - beta2**self.steps
        np.sqrt(v, out=work)
        work += eps * c2**0.5
        np.divide(m, work, out=work)
        work *= self.lr * c2**0.5 / c1
        self.flat -= work


class BatchNorm:
    """Ioffe & Szegedy 2015, with running statistics for evaluation."""

    def __init__(self, take, momentum=0.1, eps=1e-5):
        (self.gain, self.dgain), (self.bias, self.dbias) = next(take), next(take)
        self.running_mean = np.zeros_like(self.gain)
        self.running_var = np.ones_like(self.gain)
        self.momentum, self.eps = momentum, eps

    def forward(self, x):
        mean = x.sum(axis=0, keepdims=True)
        mean /= len(x)
        self.normal = x - mean
        variance = (self.normal * self.normal).sum(axis=0, keepdims=True)
        variance /= len(x)
        self.scale = 1 / np.sqrt(variance + self.eps)
        self.normal *= self.scale
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (variance - self.running_var)
        y = self.normal * self.gain
        y += self.bias
        return y

    def backward(self, dy):
        dy.sum(axis=0, keepdims=True, out=self.dbias)
        (dy * self.normal).sum(axis=0, keepdims=True, out=self.dgain)
        dx = self.normal * (self.dgain / -len(dy))
        dx += dy
        dx -= self.dbias / len(dy)
        dx *= self.gain * self.scale
        return dx


def softmax(z):
    """Row by row, in place of z."""
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=-1, keepdims=True)
    return z


def cross_entropy(z, y):
    """(loss, d loss / d z) for logits (B, C) and labels (B,); z is overwritten."""
    rows = np.arange(len(y))
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - z[rows, y]).sum() / len(y)
    p /= total
    p[rows, y] -= 1
    p /= len(y)
    return loss, p
