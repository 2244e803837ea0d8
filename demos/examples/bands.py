"""A curve with bands: ten networks that predict a mean and a variance each.

What they all call noise is scatter of the data; what they disagree about is what nobody has
measured. bands.png shows both.
"""

import numpy as np
from matplotlib.figure import Figure

from architectures import regressor
from architectures.regression import decompose
from minigrad import fit, nn, no_grad, optim
from minigrad.schedules import cosine

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -1, (100, 1)), rng.uniform(1, 3, (100, 1))]).astype("float32")
y = (np.sin(x) + 0.1 * rng.standard_normal(x.shape)).astype("float32")

options = {"hidden_sizes": (32, 32), "activation": "tanh", "dropout": 0.0}
nets = nn.stack(regressor("mlp", 1, 1, train_rows=200, rng=k, **options) for k in range(10))
adam = optim.Adam(nets.parameters())
steps = {"epochs": 800, "batch_size": 50, "schedule": lambda step: 0.01 * cosine(step, 3200)}
fit(nets, x, y, type(nets).loss, adam, **steps, compiled=True)

grid = np.linspace(-3, 3, 121, dtype="float32")[:, None]
with no_grad():
    found = decompose(*nets(grid))  # the axis of the ten is that of the samples
mean, scatter, doubt = (found[k].numpy()[:, 0] for k in ("mean", "aleatoric", "epistemic"))

axes = (figure := Figure()).subplots()
for part, colour in ((scatter + doubt, "0.85"), (scatter, "0.7")):
    axes.fill_between(grid[:, 0], mean - 2 * part**0.5, mean + 2 * part**0.5, color=colour)
axes.plot(grid[:, 0], mean)
axes.plot(x[:, 0], y[:, 0], ".")
figure.savefig("bands.png")
for k in (20, 60, 100):
    print(f"x = {grid[k, 0]:2.0f}: scatter {scatter[k] ** 0.5:.1f}, doubt {doubt[k] ** 0.5:.1f}")
# > x = -2: scatter 0.1, doubt 0.0
# > x =  0: scatter 0.1, doubt 0.2
# > x =  2: scatter 0.1, doubt 0.0
