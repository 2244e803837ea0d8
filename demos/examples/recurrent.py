"""A recurrent network of your own: which of two pulses came first, however long ago?

A sequence is a row; `forward` takes its steps one after the other. Three networks train at once.
"""

import numpy as np

from minigrad import fit, nn, no_grad, optim
from minigrad import functional as F
from minigrad.ops import tanh


class Elman(nn.Module):
    """h[t] = tanh(x[t] W + h[t-1] U + b): Elman 1990."""

    def __init__(self, width, *, rng):
        rng = np.random.default_rng(rng)
        self.enter = nn.Linear(1, width, rng=rng)
        self.again = nn.Linear(width, width, bias=False, rng=rng)
        self.head = nn.Linear(width, 2, rng=rng)

    def forward(self, x):  # (..., B, T) -> (..., B, 2)
        h = tanh(self.enter(x[..., :1]))
        for t in range(1, x.shape[-1]):
            h = tanh(self.enter(x[..., t : t + 1]) + self.again(h))
        return self.head(h)


rng = np.random.default_rng(0)
x, y = np.zeros((600, 12), "float32"), rng.integers(2, size=600)
places = np.sort(rng.permuted(np.tile(np.arange(12), (600, 1)), axis=-1)[:, :2])
np.put_along_axis(x, places, np.stack([1 - 2 * y, 2 * y - 1], axis=-1), axis=-1)

nets = nn.stack(Elman(16, rng=seed) for seed in range(3))
adam = optim.Adam(nets.parameters(), lr=1e-2)
fit(nets, x[:400], y[:400], lambda m, x, y: F.cross_entropy(m(x), y), adam, epochs=30, clip_norm=1)
with no_grad():
    right = nets(x[400:]).argmax(axis=-1).numpy() == y[400:]
print(f"{100 * right.mean(axis=-1)} % right")
# > [100. 100. 100.] % right
