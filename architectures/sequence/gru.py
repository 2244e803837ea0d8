"""Gated recurrent unit.

A recurrent network that makes its whole state anew at every step forgets at every step, and the
gradient of what it should have kept fades with the distance. It shows where a symbol counts that
came many steps ago.

Gates decide, feature by feature and from what is there, what of the state is kept.

Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
translation", EMNLP 2014; equations by its numbers.

    symbol       name                                   shape                        unit
    x[t]         input                                  (..., B, D)
    h[t]         state, and output                      (..., B, H)
    r[t]         reset gate: what the candidate sees    (..., B, H)                  share, 0 ... 1
    z[t]         update gate: what is kept              (..., B, H)                  share, 0 ... 1
    c[t]         candidate for the state                (..., B, H)
    W_*, b_*     weights of the input, biases           (..., D, H), (..., 1, H)
    U_*          weights of the state                   (..., H, H)

    r[t] = sigmoid(x[t] W_r + b_r + h[t-1] U_r)                                         Eq. 5
    z[t] = sigmoid(x[t] W_z + b_z + h[t-1] U_z)                                         Eq. 6
    h[t] = z[t] h[t-1] + (1 - z[t]) c[t]                                                Eq. 7
    c[t] = tanh(x[t] W + b + (r[t] h[t-1]) U)                                           Eq. 8

The state has H numbers however long the sequence is: what does not fit is lost. A layer's states
are the next one's inputs.

Deviation: the paper writes no biases.
"""

from itertools import pairwise

from minigrad import Tensor, init, nn
from minigrad.backend import host_rng
from minigrad.checks import check_sizes
from minigrad.recurrent import as_rows, gru, gru_trace

from ..base import points, predicting
from .base import Entrance, by_timestep


class GRULayer(nn.Module):
    """(..., T B, D) -> (..., T B, H): the inputs' share of all timesteps at once, then one scan."""

    def __init__(self, inputs, hidden, *, rng=None):
        rng = host_rng(rng)
        self.into = nn.Linear(inputs, 3 * hidden, rng=rng)
        self.weight = Tensor(init.glorot_uniform((hidden, 3 * hidden), rng), requires_grad=True)

    def sums(self, h, steps):
        """The inputs' share of the three sums, (..., T, B, 3H)."""
        return by_timestep(self.into(h), steps)

    def forward(self, h, steps):
        return as_rows(gru(self.sums(h, steps), self.weight))


class GRU(nn.Module):
    """Layers of gated recurrent units; the features are the states of the last one.

    Args:
        input_size: V different tokens, or D features with ``tokens=False``.
        hidden_size: H, the width of every layer's state.
        width: of what stands for a token.
        num_layers: how many layers.
        tokens: see `Entrance`.
        rng: a seed or Generator.
    """

    def __init__(
        self, input_size, hidden_size=64, width=32, num_layers=2, tokens=True, *, rng=None
    ):
        check_sizes(hidden_size=hidden_size, num_layers=num_layers)
        rng = host_rng(rng)
        self.entrance = Entrance(input_size, width, tokens, rng=rng)
        sizes = [width] + num_layers * [hidden_size]
        self.layers = [GRULayer(n, m, rng=rng) for n, m in pairwise(sizes)]
        self.output_size = hidden_size

    def forward(self, x):
        h, steps = self.entrance(x)
        for layer in self.layers:
            h = layer(h, steps)
        return h

    def gates(self, x):
        """For each layer (z, r), the update and the reset gate at every timestep: arrays
        (..., T, B, H). Where z is near 1 the state is kept as it was."""
        found = []
        with predicting(self):
            h, steps = self.entrance(points(self, x))
            for layer in self.layers:
                z, r, _, _ = gru_trace(layer.sums(h, steps).data, layer.weight.data)
                found.append((z, r))
                h = layer(h, steps)
        return found
