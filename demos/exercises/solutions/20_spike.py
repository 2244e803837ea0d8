"""Exercise 20. A spike, its surrogate, and a neuron that leaks (lesson 16, minigrad/spiking.py)."""

from minigrad import op
from minigrad.backend import xp


@op
def my_spike(u, slope=10.0):
    """1 where u > 0, else 0. Its vjp is g times 1 / (1 + slope |u|)^2 instead of g times 0."""
    return (u > 0).astype(u.dtype), lambda g: g / (1 + slope * xp.abs(u)) ** 2


def neuron(currents, beta, threshold=1.0):
    """The spikes of a leaky integrate-and-fire neuron, a list like that of its currents.

    U[t] = beta U[t-1] + I[t] - threshold S[t-1]. What the reset subtracts counts as a constant:
    `detach` gives the same numbers, cut off from the graph.
    """
    potential, spike, spikes = 0.0, None, []
    for current in currents:
        reset = threshold * spike.detach() if spike is not None else 0.0
        potential = beta * potential + current - reset
        spike = my_spike(potential - threshold)
        spikes.append(spike)
    return spikes
