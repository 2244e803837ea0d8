"""Digits of 8 x 8 pixels from an .npz file: x (N, 64) and y (N,).

`python demos/compare.py --data digits.npz` reads the same file. Yours may come from elsewhere; here
it is drawn: digits of 3 x 5 pixels, near the middle, under noise.
"""

import numpy as np

from minigrad import fit, nn, no_grad, optim
from minigrad import functional as F
from minigrad.data import train_test_split

# The rows of each digit as bits: 7 is ###, 5 is #.#, 4 is #.. and so on.
SHAPES = "75557 26227 71747 71717 55711 74717 74757 71111 75757 75717"


def draw(digit, rng):
    image = 0.2 * rng.standard_normal((8, 8))
    top, left = 1 + rng.integers(2), 2 + rng.integers(2)
    bits = [[int(row) >> 2 - k & 1 for k in range(3)] for row in SHAPES[6 * digit :][:5]]
    image[top : top + 5, left : left + 3] += bits
    return image.reshape(64)


rng = np.random.default_rng(0)
y = np.arange(2000) % 10
np.savez("digits.npz", x=[draw(digit, rng) for digit in y], y=y)

with np.load("digits.npz") as file:
    x_train, y_train, x_test, y_test = train_test_split(file["x"], file["y"], 0.25, rng=0)
net = nn.Sequential(nn.Linear(64, 128, rng=0), F.relu, nn.Linear(128, 10, rng=1))
adam = optim.AdamW(net.parameters(), lr=3e-3)
fit(net, x_train, y_train, lambda m, x, y: F.cross_entropy(m(x), y), adam, epochs=20)
with no_grad():
    guesses = net(x_test.astype("float32")).argmax(axis=-1).numpy()
print(f"{100 * (guesses == y_test).mean():.0f} % right")
# > 93 % right
