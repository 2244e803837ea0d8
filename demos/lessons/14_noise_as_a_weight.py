"""Lesson 14. Noise as a weight: how to differentiate through a draw."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor
from minigrad import functional as F

# A weight that does not know its value: it is drawn from a bell curve of mean mu and width sigma.
# Both are to be learned. What is their gradient? Say the loss is w^2. Then the mean loss is
# mu^2 + sigma^2, so with mu = 1 and sigma = 0.5 the derivatives must be 2 mu = 2 and 2 sigma = 1.

# Draw w and use it. The draw is no op: whoever asks it where w came from gets no answer.

rng = np.random.default_rng(0)
mu, sigma = Tensor(1.0, requires_grad=True), Tensor(0.5, requires_grad=True)
w = Tensor(rng.normal(float(mu), float(sigma)))
try:
    (w * w).backward()
except RuntimeError as error:
    print(str(error).partition(":")[0])
# > nothing to differentiate

# Nudging is no help either. Two draws differ by far more than a nudge makes them differ:

nudge = 1e-3
losses = [np.mean(rng.normal(m, 0.5, size=100) ** 2) for m in (1 + nudge, 1 - nudge)]
print(abs((losses[0] - losses[1]) / (2 * nudge) - 2) > 5)
# > True

# What if both draws had the same luck? A bell curve of mean mu and width sigma is a standard one,
# stretched and shifted. So draw the luck first, where nothing is learned, and let w be computed
# from it:   w = mu + sigma * luck.   Now dw/dmu = 1 and dw/dsigma = luck, for this draw.

luck = rng.normal(size=100_000)
w = mu + sigma * Tensor(luck)
(w * w).mean().backward()
print(f"{mu.grad:.2f} {sigma.grad:.2f}")
# > 2.00 1.00

# The gradients that the mathematics promised. That is the reparametrisation trick: noise becomes an
# input, and the rest is a graph like any other.
# A width must stay positive, and a step can take it below 0. So learn rho, any number, and
# let sigma = softplus(rho) = log(1 + exp(rho)).

# Let it learn: fit w x to y = 2 x + noise, from 20 points, and ask to be no surer than the data
# allow. Constants aside, the surprise (lesson 11) at one y, if it is drawn from a bell curve of
# width 1 around w x, is (w x - y)^2 / 2. The loss is the sum of that over the points, its mean over
# draws of w, less log(sigma), the entropy of w: so a narrow w has to be paid for.

x = rng.normal(size=20)
y = 2 * x + rng.normal(size=20)
mu, rho = Tensor(0.0, requires_grad=True), Tensor(0.0, requires_grad=True)
for _ in range(1000):
    mu.grad = rho.grad = None
    sigma = F.softplus(rho)
    w = mu + sigma * Tensor(rng.normal(size=(100, 1)))  # (S, 1): a hundred samples at once
    surprise = ((w * x - y) ** 2).sum(axis=-1).mean() / 2
    (surprise - sigma.log()).backward()
    mu.data -= 0.01 * mu.grad
    rho.data -= 0.01 * rho.grad

# If beforehand one w is as likely as another, Bayes' rule can be solved here: the mean is
# sum(x y) / sum(x^2), the width 1 / sqrt(sum(x^2)).

print(f"learned {mu:.2f} and {sigma:.2f}")
# > learned 2.21 and 0.28
print(f"by Bayes {(x * y).sum() / (x * x).sum():.2f} and {1 / np.sqrt((x * x).sum()):.2f}")
# > by Bayes 2.21 and 0.28

# Now you can read architectures/probabilistic/bayesian.py.
# Now you can solve exercise 17 in demos/exercises.
