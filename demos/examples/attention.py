"""An attention network of your own: the class that stands beside the largest key, wherever it is.

The steps of a sequence are the rows of a matrix, and (B, T, D) is a batch of B of them: layers do
the same for each. What comes out is (B, C), as ever.
"""

import numpy as np

from minigrad import Tensor, fit, init, nn, no_grad, optim
from minigrad import functional as F


class Reader(nn.Module):
    """One learnt query asks all steps; the softmax over their answers says whose values it gets."""

    def __init__(self, inputs, width, outputs, *, rng):
        rng = np.random.default_rng(rng)
        self.query = Tensor(init.glorot_uniform((width, 1), rng), requires_grad=True)
        self.keys = nn.Linear(inputs, width, rng=rng)
        self.values = nn.Linear(inputs, width, rng=rng)
        self.head = nn.Linear(width, outputs, rng=rng)

    def forward(self, x):  # (B, T, D) -> (B, C)
        weights = F.softmax(self.keys(x) @ self.query, axis=-2)  # (B, T, 1)
        return self.head((weights * self.values(x)).sum(axis=-2))


rng = np.random.default_rng(0)
keys, classes = 3 * rng.standard_normal((800, 10)), rng.integers(3, size=(800, 10))
x = np.concatenate([keys[..., None], np.eye(3)[classes]], axis=-1).astype("float32")
y = classes[np.arange(800), keys.argmax(axis=-1)]

net = Reader(inputs=4, width=16, outputs=3, rng=0)
adam = optim.Adam(net.parameters(), lr=1e-2)
fit(net, x[:600], y[:600], lambda m, x, y: F.cross_entropy(m(x), y), adam, epochs=30)
with no_grad():
    right = net(x[600:]).argmax(axis=-1).numpy() == y[600:]
print(f"{100 * right.mean():.0f} % right; chance: 33 %")
# > 100 % right; chance: 33 %
