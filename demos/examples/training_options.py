"""Warm-up and cosine, clipping, weight decay, early stopping, and the best epoch's parameters."""

import numpy as np

from minigrad import fit, nn, no_grad, optim
from minigrad import functional as F
from minigrad.schedules import cosine, warm_up

rng = np.random.default_rng(0)
x = rng.standard_normal((1400, 8)).astype("float32")
y = (x[:, 0] * x[:, 1] + 0.3 * rng.standard_normal(1400) > 0).astype(int)
train, unseen, test = slice(200), slice(200, 400), slice(400, None)
PATIENCE = 10


def loss(model, x, y):
    return F.cross_entropy(model(x), y)


def out_of_patience(epoch, history):
    """Called after each epoch; training ends when it returns True."""
    return np.argmin(history.validation) < epoch - PATIENCE


net = nn.Sequential(nn.Linear(8, 64, rng=0), F.relu, nn.Linear(64, 2, rng=1))
history = fit(
    *(net, x[train], y[train], loss),
    optim.AdamW(net.parameters(), weight_decay=0.1),
    epochs=300,
    schedule=lambda step: 1e-2 * warm_up(step, 20) * cosine(step, 2100),
    clip_norm=1.0,
    validation=(x[unseen], y[unseen]),
    on_epoch=out_of_patience,
    keep_best=True,
)
with no_grad():
    right = (net(x[test]).argmax(axis=-1).numpy() == y[test]).mean()
print(f"stopped early: {len(history.losses) < 300}; {100 * right:.0f} % right")
# > stopped early: True; 76 % right
