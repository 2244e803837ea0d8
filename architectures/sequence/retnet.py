"""RetNet: attention without a softmax, which is a recurrence, too.

Attention keeps all keys and values, and compares each new timestep with all of them: its work and
its memory grow with the length. It shows where a sequence is long and its next symbol is wanted.

Without the softmax the sum over the past can be carried along as one matrix: a network that trains
in parallel and predicts step by step, in constant time and memory.

Sun et al., "Retentive network: a successor to Transformer for large language models", 2023;
equations by its numbers.

    symbol        name                                  shape                         unit
    h             what stands for a timestep            (..., T B, E)
    Q, K          queries, keys of a head, turned       (..., B, heads, T, d)         d = E / heads
    V             values                                (..., B, heads, T, 2d)
    gamma         decay, one for each head              (heads, 1, 1)                 per timestep
    D             gamma^(n - m), 0 for m > n            (heads, T, T)
    S[n]          state                                 (..., B, heads, d, 2d)
    W_G, W_O      weights of the gate and the output    (..., E, 2E), (..., 2E, E)

    Retention = (Q K^T * D) V                                   parallel                Eq. 5
    S[n] = gamma S[n-1] + K[n]^T V[n],  Retention = Q[n] S[n]   recurrent               Eq. 6
    gamma = 1 - 2^(-5 - head)                                                           Eq. 8
    MSR(h) = (silu(h W_G) * norm(Concat(heads))) W_O            each head normalised    Eq. 8
    h <- h + MSR(norm(h)),    h <- h + FFN(norm(h))                                     Eq. 9

Both forms are the same sum: training takes the parallel one, prediction the recurrent one. Queries
and keys are turned by their positions, the e^(i n theta) of Eq. 5 (see `functional.rotary`); keys
are divided by sqrt(d).

Deviations: a head is divided by its root mean square, as in the authors' later code, not
standardised; the scores are not divided by their sums (their Section 2.4), which that norm undoes.
"""

import math

from minigrad import functional, nn, ops
from minigrad.backend import host_rng, xp
from minigrad.checks import check_positive, check_sizes
from minigrad.nn import heads_apart, heads_together

from .base import Entrance, FeedForward, ResidualStack


def decay_masks(num_heads, steps):
    """D of Eq. 5 for all heads, (heads, T, T), float64."""
    gamma = 1 - 2.0 ** (-5 - xp.arange(num_heads))
    time = xp.arange(steps)
    distance = time[:, None] - time  # n - m
    return xp.where(distance >= 0, gamma[:, None, None] ** xp.maximum(distance, 0), 0.0)


def parallel(q, k, v, decay):
    """Eq. 5, all timesteps at once; `decay` is D."""
    return (q @ k.mT * decay) @ v


def recurrent(q, k, v, decay):
    """Eq. 6, one timestep after the other; gamma is what one step takes away."""
    *_, steps, _ = q.shape
    gamma = decay[:, 1:2, :1] if steps > 1 else 0.0  # (heads, 1, 1)
    state, outputs = 0.0, []
    for n in range(steps):
        now = (..., slice(n, n + 1), slice(None))
        state = gamma * state + k[now].mT @ v[now]  # (..., B, heads, d, 2d)
        outputs.append(q[now] @ state)
    return ops.concatenate(outputs, axis=-2)


class Retention(nn.Module):
    """Multi-scale retention, Eq. 8; training takes the parallel form, evaluation the recurrent."""

    def __init__(self, width, num_heads, base, *, rng=None):
        check_sizes(width=width, num_heads=num_heads)
        check_positive(base=base)
        if width % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide width={width}")
        rng = host_rng(rng)
        self.query, self.key = (nn.Linear(width, width, bias=False, rng=rng) for _ in range(2))
        self.value, self.gate = (nn.Linear(width, 2 * width, bias=False, rng=rng) for _ in range(2))
        self.out = nn.Linear(2 * width, width, bias=False, rng=rng)
        self.num_heads, self.base = num_heads, base

    def forward(self, h, steps):
        retain = parallel if self.training else recurrent
        q, k, v = (
            heads_apart(part(h), steps, self.num_heads)
            for part in (self.query, self.key, self.value)
        )
        q, k = functional.rotary(q, self.base), functional.rotary(k, self.base)
        k = k / math.sqrt(k.shape[-1])
        heads = retain(q, k, v, decay_masks(self.num_heads, steps).astype(h.dtype))
        heads = functional.rms_norm(heads, xp.ones((1, heads.shape[-1]), h.dtype))
        return self.out(functional.silu(self.gate(h)) * heads_together(heads))

    def describe(self):
        return f"{self.num_heads} heads"


class RetNet(ResidualStack):
    """Retention and a feed-forward network in turns; the features are what the last norm gives.

    Args:
        input_size: V different tokens, or D features with ``tokens=False``.
        width: E.
        num_layers: pairs of branches.
        num_heads: must divide `width`, with an even quotient.
        base: of the rotation's angles (see `functional.rotary`): what is longer ago than some
            `base` timesteps cannot be told apart.
        tokens: see `Entrance`.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        width=32,
        num_layers=2,
        num_heads=4,
        base=10000.0,
        tokens=True,
        *,
        rng=None,
    ):
        check_sizes(num_layers=num_layers)
        rng = host_rng(rng)
        entrance = Entrance(input_size, width, tokens, rng=rng)
        branches = []
        for _ in range(num_layers):
            branches += [
                Retention(width, num_heads, base, rng=rng),
                FeedForward(width, 2 * width, rng=rng),
            ]
        super().__init__(entrance, branches, width)
