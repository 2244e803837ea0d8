"""Mamba: a state space model that selects what it keeps.

A linear system whose matrices stay the same treats every input alike: it cannot pass over what does
not matter, since it does not look. It shows where a few symbols that count stand at random places
between others.

Let the time step, the input matrix and the output matrix depend on the input: with a step of 0 the
state stays as it is, with a long one it takes the input over.

Gu & Dao, "Mamba: linear-time sequence modeling with selective state spaces", 2023; equations and
algorithms by its numbers.

    symbol     name                                     shape                         unit
    h          what stands for a timestep               (..., T B, D)
    x          channels, E = 2 D                        (..., T, B, E)
    step       Delta, how long an input is held         (..., T, B, E)                time
    A          decay of the N states of a channel       (..., N, E)                   1 / time, < 0
    B, C       input and output of the states           (..., T, B, N)
    s          states                                   (..., T, B, N, E)
    z          gate                                     (..., T B, E)

    ds/dt = A s + B x,   y = C s                                                        Eq. 1
    s[t] = exp(step A) s[t-1] + (exp(step A) - 1) / A B x[t]     zero-order hold        Eqs. 2, 4
    B = x W_B,   C = x W_C,   step = softplus(x W_1 W_2 + b)     selection              Alg. 2
    h <- h + ((y + skip x) * silu(z)) W_out                                             Fig. 3
    x = silu(causal convolution of h W_x),   z = h W_z,   both of norm(h)

Without the selection, B, C and step are parameters, the same at all times (Alg. 1, with a diagonal
real A as in S4D, Gu et al. 2022): a convolution with one filter for each channel.

Deviation: the authors' code takes step B for (exp(step A) - 1) / A B, which is its first term; here
the hold is exact. A starts at -1 ... -N, as theirs, and the steps at 0.01 ... 1, ten times as long,
for sequences of tens of timesteps in place of thousands.
"""

import math

import numpy

from minigrad import Tensor, functional, nn, ops
from minigrad.backend import host_rng, xp
from minigrad.checks import check_sizes
from minigrad.recurrent import as_rows, causal_convolution, selective_scan

from ..base import predicting
from .base import Entrance, ResidualStack, by_timestep

SHORTEST, LONGEST = 1e-2, 1.0  # steps at the beginning


class MambaBlock(nn.Module):
    """What stands between two residual sums in Fig. 3: (..., T B, D) -> (..., T B, D)."""

    def __init__(self, width, num_states, kernel_size, selective, *, rng=None):
        check_sizes(width=width, num_states=num_states, kernel_size=kernel_size)
        rng = host_rng(rng)
        channels = 2 * width
        self.into, self.gate = (nn.Linear(width, channels, bias=False, rng=rng) for _ in range(2))
        limit = 1 / math.sqrt(kernel_size)
        self.taps = parameter(rng.uniform(-limit, limit, (kernel_size, channels)))
        self.taps_bias = parameter(numpy.zeros((1, channels)))
        self.log_rates = parameter(
            numpy.log(numpy.arange(1, num_states + 1))[:, None].repeat(channels, axis=1)
        )
        steps = numpy.exp(rng.uniform(math.log(SHORTEST), math.log(LONGEST), (1, channels)))
        self.step_bias = parameter(numpy.log(numpy.expm1(steps)))  # softplus gives the steps back
        if selective:
            rank = math.ceil(width / 16)
            self.to_step = nn.Sequential(
                nn.Linear(channels, rank, bias=False, rng=rng),
                nn.Linear(rank, channels, bias=False, draw=unit_sum, rng=rng),
            )
            self.to_B, self.to_C = (
                nn.Linear(channels, num_states, bias=False, rng=rng) for _ in range(2)
            )
        else:
            self.B, self.C = (parameter(rng.standard_normal((1, num_states))) for _ in range(2))
        self.skip = parameter(numpy.ones((1, channels)))
        self.out = nn.Linear(channels, width, bias=False, rng=rng)
        self.selective = selective

    def forward(self, h, steps):
        x = self.channels(h, steps)  # (..., T B, E)
        step, B, C = (by_timestep(part, steps) for part in self.system(x))
        A = -ops.exp(self.log_rates)
        y = selective_scan(by_timestep(x, steps), step, A, B, C)
        y = as_rows(y) + self.skip * x
        return self.out(y * functional.silu(self.gate(h)))

    def channels(self, h, steps):
        """What drives the system: (..., T B, E)."""
        x = causal_convolution(by_timestep(self.into(h), steps), self.taps)
        return functional.silu(as_rows(x) + self.taps_bias)

    def system(self, x):
        """The time step (..., T B, E), and B and C (..., T B, N), at each timestep."""
        if self.selective:
            return self.step(x), self.to_B(x), self.to_C(x)
        *rows, _ = x.shape
        B, C = (ops.broadcast_to(part, (*rows, part.shape[-1])) for part in (self.B, self.C))
        return ops.broadcast_to(self.step(x), x.shape), B, C

    def step(self, x):
        """Alg. 2; without the selection the same at all times."""
        return functional.softplus(
            self.to_step(x) + self.step_bias if self.selective else self.step_bias
        )

    def contributions(self, h, steps):
        """What is left of each timestep at later ones: the output y of the scan, linear in x, cut
        into T parts by the timestep that they come from: an array (T, ..., T, B, E), whose sum over
        the first axis is y. (The "hidden attention" of Ali et al. 2024.)"""
        x = self.channels(h, steps)
        step, B, C = (by_timestep(part, steps) for part in self.system(x))
        x = by_timestep(x, steps)
        alone = xp.eye(steps, dtype=x.dtype).reshape(steps, *[1] * (x.ndim - 3), steps, 1, 1)
        parts = alone * x  # (T, ..., T, B, E): the input of one timestep, 0 elsewhere
        A = -ops.exp(self.log_rates)
        return selective_scan(parts, ops.broadcast_to(step, parts.shape), A, B, C).data

    def describe(self):
        return "selective" if self.selective else "time-invariant"


def unit_sum(shape, rng):
    """U(-a, a), a = 1 / sqrt(fan_in), as in the authors' code for the last matrix of the step."""
    limit = 1 / math.sqrt(shape[-2])
    return rng.uniform(-limit, limit, shape).astype("float32")


def parameter(array):
    return Tensor(array.astype("float32"), requires_grad=True)


class Mamba(ResidualStack):
    """Mamba blocks; the features are what the last norm gives.

    Args:
        input_size: V different tokens, or D features with ``tokens=False``.
        width: of what stands for a timestep; half the number of channels.
        num_layers: blocks.
        num_states: N, states of each channel.
        kernel_size: timesteps that the convolution sees.
        selective: whether step, B and C depend on the input; otherwise the system is the same at
            all times.
        tokens: see `Entrance`.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        width=32,
        num_layers=2,
        num_states=16,
        kernel_size=4,
        selective=True,
        tokens=True,
        *,
        rng=None,
    ):
        check_sizes(num_layers=num_layers)
        rng = host_rng(rng)
        entrance = Entrance(input_size, width, tokens, rng=rng)
        blocks = [
            MambaBlock(width, num_states, kernel_size, selective, rng=rng)
            for _ in range(num_layers)
        ]
        super().__init__(entrance, blocks, width, nn.RMSNorm)

    def step_sizes(self, x):
        """How long each channel of each block holds its input: arrays (..., T, B, E). Near 0 the
        states stay as they are, and the input is passed over."""
        given, steps = self.inputs_of_branches(x)
        found = []
        with predicting(self):
            for block, h in zip(self.branches, given):
                step, _, _ = block.system(block.channels(h, steps))
                found.append(by_timestep(step, steps).data)
        return found

    def contributions(self, x):
        """For each block what is left of each timestep at later ones: see `MambaBlock`."""
        given, steps = self.inputs_of_branches(x)
        with predicting(self):
            return [block.contributions(h, steps) for block, h in zip(self.branches, given)]


class TimeInvariantMamba(Mamba):
    """Mamba with the selection switched off: what it is compared with. The options are Mamba's."""

    def __init__(
        self,
        input_size,
        width=32,
        num_layers=2,
        num_states=16,
        kernel_size=4,
        tokens=True,
        *,
        rng=None,
    ):
        options = {"selective": False, "tokens": tokens, "rng": rng}
        super().__init__(input_size, width, num_layers, num_states, kernel_size, **options)
