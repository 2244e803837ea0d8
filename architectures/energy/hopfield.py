"""Modern Hopfield network: an associative memory that is also an attention layer.

A memory of patterns should answer to a part of its content, or to a noisy copy, instead of to an
address; classic Hopfield networks hold few patterns and fall into mixtures of them. It shows where
the answer to a query is like several stored patterns at once and like none of them.

The modern network retrieves one of exponentially many patterns, usually in a single step.

Ramsauer et al., "Hopfield Networks is All You Need", ICLR 2021; equations by its numbers.

    symbol    name                               shape               unit
    xi        state (query) patterns             (..., B, d)
    X, or K   stored patterns                    (..., K, d)
    V         what is read out for each pattern  (..., K, d)
    beta      inverse temperature                scalar              1 / |pattern|^2
    M         largest norm of a stored pattern   (...,)
    E         energy                             (..., B)            |pattern|^2
    W_q, b_q  query projection                   (..., D, d), (..., 1, d)

    lse(beta, z) = 1/beta log sum_i exp(beta z_i)                                       Eq. 1
    E(xi)   = -lse(beta, X xi) + |xi|^2/2 + log(K)/beta + M^2/2                         Eq. 2
    xi_new  = softmax(beta xi X^T) X                                                    Eq. 3

dE/dxi = xi - xi_new, so Eq. 3 is a gradient step of length one; it never raises E (Theorem 1). With
well separated patterns one step retrieves with an error exponentially small in the separation
(Theorem 5). As a layer, Hopfield learns the stored patterns and reads out softmax(beta xi K^T) V.

Deviations: the authors' layer normalises states, stored patterns and what is read out by default,
ours on request (`layer_norm`): of two raw features a layer norm leaves a single bit, which of them
is larger. Theirs normalises stored patterns before it projects them; here the projections are what
is learned, and normalised. A learned beta adds nothing without update steps, since W_q can grow.
With `num_heads` > 1 each head has patterns of its own, of width d / num_heads, and the heads are
concatenated without a further projection, which the head of a Classifier can take over.
"""

import math

from minigrad import functional, init, nn
from minigrad.backend import host_rng, xp
from minigrad.checks import check_counts, check_positive, check_sizes
from minigrad.engine import Tensor
from minigrad.ops import exp


def update(xi, patterns, beta):
    """Eq. 3, one step of retrieval: (..., B, d), (..., K, d) -> (..., B, d)."""
    return functional.attention(xi, patterns, patterns, beta)


def energy(xi, patterns, beta):
    """Eq. 2, of each state: (..., B, d), (..., K, d) -> (..., B). Never negative."""
    check_positive(beta=beta)
    lse = functional.logsumexp(beta * (xi @ patterns.mT)) / beta
    squares = (patterns * patterns).sum(axis=-1)
    constant = math.log(patterns.shape[-2]) / beta + squares.max(axis=-1, keepdims=True) / 2
    return (xi * xi).sum(axis=-1) / 2 - lse + constant


class Hopfield(nn.Module):
    """A Hopfield layer with learned patterns; the features are what the queries read out.

    Args:
        input_size: D.
        num_patterns: K.
        hidden_size: d, the width of patterns and features.
        beta: inverse temperature; by default 1 / sqrt(width of a head), as in attention.
        update_steps: how often Eq. 3 is applied to the query before the read-out.
        tied: read out the stored patterns themselves (V = K): half the parameters.
        num_heads: associative memories side by side; must divide hidden_size.
        layer_norm: normalise x, the stored patterns and what is read out for them.
        learn_beta: learn an inverse temperature for each head, from `beta` on.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        num_patterns=64,
        hidden_size=64,
        beta=None,
        update_steps=0,
        tied=False,
        num_heads=1,
        layer_norm=False,
        learn_beta=False,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, num_patterns=num_patterns, hidden_size=hidden_size)
        check_sizes(num_heads=num_heads)
        check_counts(update_steps=update_steps)
        if beta is not None:
            check_positive(beta=beta)
        if hidden_size % num_heads:
            raise ValueError(f"num_heads={num_heads} does not divide hidden_size={hidden_size}")
        rng = host_rng(rng)
        width = hidden_size // num_heads
        heads = () if num_heads == 1 else (num_heads,)

        def patterns():
            shape = (*heads, num_patterns, width)
            return Tensor(init.glorot_uniform(shape, rng), requires_grad=True)

        self.query = nn.Linear(input_size, hidden_size, rng=rng)
        self.keys = patterns()
        self.values = None if tied else patterns()
        self.beta = 1 / math.sqrt(width) if beta is None else beta
        self.log_beta = None
        if learn_beta:  # as its logarithm, so that beta stays above 0
            self.log_beta = Tensor(
                xp.full((*heads, 1, 1), math.log(self.beta), "float32"), requires_grad=True
            )
        self.norms = {}
        if layer_norm:
            self.norms["x"] = nn.LayerNorm(input_size)
            for what in ("keys",) if tied else ("keys", "values"):
                self.norms[what] = norm = nn.LayerNorm(width)
                # Gains and biases of its own for each head.
                norm.gain = Tensor(xp.ones((*heads, 1, width), "float32"), requires_grad=True)
                norm.bias = Tensor(xp.zeros((*heads, 1, width), "float32"), requires_grad=True)
        self.update_steps = update_steps
        self.num_heads = num_heads
        self.output_size = hidden_size

    def forward(self, x):
        xi = self._split_heads(self.query(self._normal("x", x)))
        keys = values = self._normal("keys", self.keys)
        if self.values is not None:
            values = self._normal("values", self.values)
        for _ in range(self.update_steps):
            xi = self._look_up(xi, keys, keys)
        return self._merge_heads(self._look_up(xi, keys, values))

    def _normal(self, what, x):
        return self.norms[what](x) if self.norms else x

    def _look_up(self, xi, keys, values):
        """softmax(beta xi K^T) V."""
        if self.log_beta is None:
            return functional.attention(xi, keys, values, self.beta)
        return functional.attention(exp(self.log_beta) * xi, keys, values, 1.0)

    def _split_heads(self, x):
        """(..., B, d) -> (..., heads, B, d / heads): a head is one more leading axis."""
        if self.num_heads == 1:
            return x
        *lead, batch, width = x.shape
        parts = x.reshape(*lead, batch, self.num_heads, width // self.num_heads)
        return _swap(parts)

    def _merge_heads(self, x):
        """(..., heads, B, d / heads) -> (..., B, d)."""
        if self.num_heads == 1:
            return x
        *lead, heads, batch, width = x.shape
        return _swap(x).reshape(*lead, batch, heads * width)


def _swap(x):
    """Exchange the second and third last axes."""
    last = x.ndim - 1
    return x.transpose(*range(last - 2), last - 1, last - 2, last)


class AssociativeMemory(nn.Module):
    """Multi-head Hopfield layers in a stack: h <- norm(h + dropout(hopfield(h))).

    For data that one memory cannot sort: each layer's answer is the query of the next. On the plane
    it has nothing to add, so that the comparison leaves it out unless it is asked for by name.

    The input is projected to the hidden width first: a layer norm of two raw inputs would leave a
    single bit of them.

    Args:
        input_size: D.
        num_layers: Hopfield layers.
        num_patterns, hidden_size, beta, num_heads: as for Hopfield.
        dropout: on each layer's read-out, while training.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        num_layers=2,
        num_patterns=64,
        hidden_size=64,
        beta=None,
        num_heads=4,
        dropout=0.1,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, num_layers=num_layers, hidden_size=hidden_size)
        rng = host_rng(rng)
        self.projection = nn.Linear(input_size, hidden_size, rng=rng)
        self.memories = [
            Hopfield(hidden_size, num_patterns, hidden_size, beta, num_heads=num_heads, rng=rng)
            for _ in range(num_layers)
        ]
        self.norms = [nn.LayerNorm(hidden_size) for _ in range(num_layers)]
        self.dropout = nn.Dropout(dropout, rng=rng)
        self.output_size = hidden_size

    def forward(self, x):
        h = self.projection(x)
        for memory, norm in zip(self.memories, self.norms):
            h = norm(h + self.dropout(memory(h)))
        return h
