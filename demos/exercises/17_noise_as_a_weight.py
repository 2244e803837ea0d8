"""Exercise 17. A weight that is drawn, and can be learned (lesson 14).

Where it is used: architectures/probabilistic/bayesian.py.
"""

import math

from minigrad import functional
from minigrad.ops import log


def draw(mu, rho, eps):
    """A draw from N(mu, sigma^2) with sigma = softplus(rho), made of standard normal noise eps."""
    return ____


def divergence(mu, rho, s=1.0):
    """KL(N(mu, sigma^2) || N(0, s^2)) in nats, number by number.

    It is the mean, over draws w, of log q(w) - log p(w). Of (w - mu)^2 the mean is sigma^2.
    """
    sigma = functional.softplus(rho)
    return ____
