"""The spiking network by hand: two layers of leaky integrate-and-fire neurons, a readout, a head.

    U[t] = decay U[t-1] + I[t] - S[t-1]        S[t] = 1 where U[t] > 1, the threshold

Backward, the surrogate 1 / (1 + slope |U - 1|)^2 stands in for the derivative of S with respect to
U, and the reset - S[t-1] counts as a constant.
"""

import math
from itertools import pairwise

import numpy as np

from .common import Network, cross_entropy


class SNN(Network):
    timesteps = 25  # T
    decay = math.exp(-1 / 2)
    slope = 10.0

    def backpropagate(self, x, y):
        W1, b1, W2, b2, W3, b3, W4, b4 = self.weights
        dW1, db1, dW2, db2, dW3, db3, dW4, db4 = self.grads
        T, B = self.timesteps, len(x)

        current = x @ W1  # (B, H1), the same at all times
        current += b1
        U1, S1 = self.fire([current] * T)
        S1 = S1.reshape(T * B, -1)
        current = S1 @ W2  # (T B, H2), all times at once
        current += b2
        U2, S2 = self.fire(current.reshape(T, B, -1))
        rate = S2.sum(axis=0)  # (B, H2)
        rate /= T
        features = rate @ W3  # (B, F)
        features += b3
        z = features @ W4  # (B, C)
        z += b4
        loss, dz = cross_entropy(z, y)

        np.matmul(features.T, dz, out=dW4)
        dz.sum(axis=0, keepdims=True, out=db4)
        dfeatures = dz @ W4.T
        np.matmul(rate.T, dfeatures, out=dW3)
        dfeatures.sum(axis=0, keepdims=True, out=db3)
        drate = dfeatures @ W3.T
        drate /= T
        dI2 = self.fire_backward(drate, U2).reshape(T * B, -1)
        np.matmul(S1.T, dI2, out=dW2)
        dI2.sum(axis=0, keepdims=True, out=db2)
        dS1 = dI2 @ W2.T
        dI1 = self.fire_backward(dS1.reshape(T, B, -1), U1).sum(axis=0)
        np.matmul(x.T, dI1, out=dW1)
        dI1.sum(axis=0, keepdims=True, out=db1)
        return loss

    def fire(self, current):
        """Membrane potentials and spikes, (T, B, H) each, for the input current at each time."""
        U = np.empty((len(current), *current[0].shape), current[0].dtype)
        S = np.empty_like(U)
        u_before = s_before = np.zeros_like(U[0])
        for i, u, s in zip(current, U, S):
            np.multiply(u_before, self.decay, out=u)
            u += i
            u -= s_before
            np.greater(u, 1, out=s)
            u_before, s_before = u, s
        return U, S

    def fire_backward(self, dS, U):
        """d loss / d current (T, B, H), through time; dS is (T, B, H), or (B, H) for all times."""
        dU = U - 1
        np.abs(dU, out=dU)
        dU *= self.slope
        dU += 1
        dU *= dU
        np.divide(dS, dU, out=dU)  # dS * surrogate
        for later, now in pairwise(dU[::-1]):
            now += self.decay * later
        return dU
