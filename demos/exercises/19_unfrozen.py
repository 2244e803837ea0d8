"""Exercise 19. Unfreeze the energy's parameters: what goes wrong? (architectures/energy/ebm.py)

The energy of a point is w |x|^2 / 2. Training lowers it at the data and raises it where chains end.
"""

from contextlib import nullcontext

from architectures.energy.langevin import langevin
from minigrad import Tensor, nn


class Energy(nn.Module):
    def __init__(self, w):
        self.w = Tensor(w, requires_grad=True)

    def forward(self, x):
        return self.w * (x * x).sum(axis=-1) / 2


class Still:
    """Noise that is none, so that numbers can be compared."""

    def standard_normal(self, shape, dtype):
        return 0.0


def gradient(model, data, start, guard):
    """What is in w.grad after the backward of a training step with ten steps of the chains."""
    with guard(model):
        ends = langevin(model, start, steps=10, step_size=0.02, noise=Still())
    contrast = model(Tensor(data)).mean() - model(Tensor(ends)).mean()
    contrast.backward()
    return model.w.grad


guard = ____  # what belongs in its place: something that is called with the model
nothing = nullcontext  # and this is how it is without

# Without it, how many backwards have added to w.grad, that of the contrast included?
backwards = ____
# Each of the others adds the sum of |x|^2 / 2. So w, which steps against w.grad, ends up too ...
ends_up = ____  # "low" or "high"
