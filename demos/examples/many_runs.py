"""150 runs at once: which learning rate, for three widths, ten seeds each?

Runs that differ in numbers alone are replicas of one stack, each with a learning rate of its own.
(`python demos/sweep.py` does this for the architectures of the comparison.)
"""

import numpy as np

from minigrad import fit, nn, no_grad, optim
from minigrad import functional as F

RATES, SEEDS = (1e-4, 1e-3, 1e-2, 1e-1, 1e0), range(10)
rng = np.random.default_rng(0)
x = rng.standard_normal((400, 2)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype(int)


def network(width, seed):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(2, width, rng=rng), F.relu, nn.Linear(width, 2, rng=rng))


def loss(model, x, y):
    return F.cross_entropy(model(x), y)


print("width" + "".join(f"{rate:8g}" for rate in RATES))
for width in (4, 16, 64):
    nets = nn.stack(network(width, seed) for _ in RATES for seed in SEEDS)  # 50 of them
    adam = optim.Adam(nets.parameters(), lr=np.repeat(RATES, len(SEEDS)))
    fit(nets, x[:200], y[:200], loss, adam, epochs=20, compiled=True)
    with no_grad():
        right = nets(x[200:]).argmax(axis=-1).numpy() == y[200:]  # (50, 200)
    means = 100 * right.reshape(len(RATES), -1).mean(axis=-1)
    print(f"{width:5}" + "".join(f"{mean:6.0f} %" for mean in means))
# > width  0.0001   0.001    0.01     0.1       1
# >     4    46 %    54 %    82 %    83 %    63 %
# >    16    55 %    83 %    99 %    96 %    80 %
# >    64    64 %    97 %    99 %    95 %    87 %
