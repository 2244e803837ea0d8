"""Transformer: every timestep looks back at all of them.

A state of fixed size has to decide what to keep before it is asked. It shows where a question comes
late: which of many things is wanted is known only then.

Attention keeps everything, and looks for what fits the question; the price is that the work grows
with the square of the length.

Vaswani et al., "Attention is all you need", NIPS 2017; equations by its numbers. Positions by Su et
al., "RoFormer", 2021.

    symbol         name                                shape                          unit
    h              what stands for a timestep          (..., T B, E)
    Q, K, V        queries, keys, values of a head     (..., B, heads, T, d)          d = E / heads
    W_Q, W_K, ...  weights                             (..., E, E)
    P              attention: where a timestep looks   (..., B, heads, T, T)          share, 0 ... 1

    P V = softmax(Q K^T / sqrt(d)) V        0 for what comes later                      Eq. 1
    MultiHead(h) = Concat(head_1, ..., head_h) W_O                                      3.2.2
    FFN(h) = gelu(h W_1 + b_1) W_2 + b_2                                                Eq. 2
    h <- h + MultiHead(norm(h)),    h <- h + FFN(norm(h))

Deviations: the norm stands before each branch and not after the sum, which trains without a slow
start (Xiong et al. 2020); gelu for relu; queries and keys are turned by their positions (see
`functional.rotary`), where the paper adds sinusoids to the input; no dropout, no second network
that encodes.
"""

from minigrad import nn
from minigrad.backend import host_rng
from minigrad.checks import check_sizes

from .base import Entrance, FeedForward, ResidualStack


class Transformer(ResidualStack):
    """Attention and a feed-forward network in turns; the features are what the last norm gives.

    Args:
        input_size: V different tokens, or D features with ``tokens=False``.
        width: E.
        num_layers: pairs of branches.
        num_heads: must divide `width`.
        tokens: see `Entrance`.
        rng: a seed or Generator.
    """

    def __init__(self, input_size, width=32, num_layers=2, num_heads=4, tokens=True, *, rng=None):
        check_sizes(num_layers=num_layers)
        rng = host_rng(rng)
        entrance = Entrance(input_size, width, tokens, rng=rng)
        branches = []
        for _ in range(num_layers):
            branches += [
                nn.MultiHeadAttention(width, num_heads, causal=True, rotary=True, rng=rng),
                FeedForward(width, 4 * width, rng=rng),
            ]
        super().__init__(entrance, branches, width)

    def attention_maps(self, x):
        """Where each timestep looks, for each layer: arrays (..., B, heads, T, T)."""
        given, steps = self.inputs_of_branches(x)
        return [branch.weights(h, steps) for branch, h in zip(self.branches[::2], given[::2])]
