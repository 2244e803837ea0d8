"""Exercise 14. Add an optimizer: RMSProp (Tieleman & Hinton 2012; minigrad/optim.py).

It divides each gradient by the root of a running mean of its square: so all numbers move alike,
however large their gradients are.
"""

from minigrad.backend import xp
from minigrad.optim import Optimizer


class RMSProp(Optimizer):
    options = ("lr", "decay", "eps")
    state = ("square",)  # what it remembers, and what is saved

    def __init__(self, parameters, lr=1e-2, decay=0.9, eps=1e-8):
        super().__init__(parameters, lr)
        self.decay, self.eps = decay, eps
        self.square = xp.zeros_like(self.values)

    def update(self, p, g):
        """Change p, all parameters in one flat array, in place; g holds their gradients."""
        self.square *= self.decay
        self.square += (1 - self.decay) * g * g
        p -= self.lr * g / (xp.sqrt(self.square) + self.eps)
