"""What the sequence models share: an entrance, a stack of residual branches, a classifier.

A sequence is T tokens, numbers 0 ... V-1, or T rows of D features. In data time stands behind the
batch, (..., B, T) or (..., B, T, D): a row is a sequence. Inside of a model it stands before it: to
a layer all timesteps of all sequences are rows (..., T B, H), those of the first timestep first,
and to a scan the same memory is (..., T, B, H).
"""

import numpy

from minigrad import Tensor, functional, nn
from minigrad.backend import xp
from minigrad.checks import check_counts, check_sizes
from minigrad.recurrent import as_rows

from ..base import Classifier, points, predicting


class Entrance(nn.Module):
    """What a sequence becomes to a model: rows (..., T B, H), and T.

    Args:
        input_size: V, the number of different tokens, or D with ``tokens=False``.
        width: H.
        tokens: whether sequences are tokens (..., B, T), each of which has a row of its own; else
            they are features (..., B, T, D), each row times a matrix.
        rng: a seed or Generator.
    """

    def __init__(self, input_size, width, tokens=True, *, rng=None):
        check_sizes(input_size=input_size, width=width)
        kind = nn.Embedding if tokens else nn.Linear
        self.layer = kind(input_size, width, rng=rng)
        self.tokens = tokens

    def forward(self, x):
        axes, what = (1, "tokens (..., B, T)") if self.tokens else (2, "features (..., B, T, D)")
        if x.ndim <= axes or not x.shape[-axes]:
            raise ValueError(f"expected {what}, T > 0, not an array of shape {x.shape}")
        if self.tokens:
            require_whole(x.data if isinstance(x, Tensor) else x)
            return self.layer(time_first(x.astype("int64"))), x.shape[-1]
        return self.layer(as_rows(swap(x))), x.shape[-2]


def require_whole(tokens):
    """Raise a ValueError for fractions on the CPU: cut off, they would be other tokens."""
    is_float = isinstance(tokens, numpy.ndarray) and tokens.dtype.kind == "f"
    if is_float and (tokens != numpy.trunc(tokens)).any():
        raise ValueError("tokens are whole numbers; for features there is tokens=False")


def swap(x):
    """(..., B, T, D) -> (..., T, B, D), or back."""
    before, (b, t, d) = range(x.ndim - 3), range(x.ndim - 3, x.ndim)
    return x.transpose(*before, t, b, d)


def time_first(x):
    """(..., B, T) -> (..., T B)."""
    *lead, batch, steps = x.shape
    return x.mT.reshape(*lead, steps * batch)


def by_timestep(x, steps):
    """(..., T B, H) -> (..., T, B, H)."""
    *lead, rows, width = x.shape
    return x.reshape(*lead, steps, rows // steps, width)


class ResidualStack(nn.Module):
    """h <- h + branch(norm(h)), branch after branch, and a last norm ("pre-norm").

    Args:
        entrance: an Entrance.
        branches: modules called as ``branch(h, steps)``, (..., T B, H) -> (..., T B, H).
        width: H.
        norm: the class of the norms, one for each branch and one for the end.
    """

    def __init__(self, entrance, branches, width, norm=nn.LayerNorm):
        self.entrance, self.branches = entrance, branches
        self.norms = [norm(width) for _ in range(len(branches) + 1)]
        self.output_size = width

    def forward(self, x):
        h, steps = self.entrance(x)
        for norm, branch in zip(self.norms, self.branches):
            h = h + branch(norm(h), steps)
        return self.norms[-1](h)

    def inputs_of_branches(self, x):
        """To look inside: what each branch is given, Tensors (..., T B, H), and T."""
        with predicting(self):
            h, steps = self.entrance(points(self, x))
            given = []
            for norm, branch in zip(self.norms, self.branches):
                given.append(norm(h))
                h = h + branch(given[-1], steps)
        return given, steps


class FeedForward(nn.Module):
    """gelu(h W_1 + b_1) W_2 + b_2, to each timestep by itself."""

    def __init__(self, width, hidden, *, rng=None):
        self.into, self.out = nn.Linear(width, hidden, rng=rng), nn.Linear(hidden, width, rng=rng)

    def forward(self, h, steps=None):
        return self.out(functional.gelu(self.into(h)))


class SequenceClassifier(Classifier):
    """A class at every timestep: sequences to logits (..., B, T, C).

    Labels (..., B, L) are those of the last L timesteps; what a model says before is not asked for.
    """

    def forward(self, x):
        logits = self.head(self.backbone(x))  # (..., T B, C)
        steps = x.shape[-1 if self.backbone.entrance.tokens else -2]
        return swap(by_timestep(logits, steps))

    def loss(self, x, y):
        """The mean cross-entropy of all labels, (...,): one number for each replica."""
        if y.ndim < 2:
            raise ValueError(f"labels are (..., B, L), of the last L timesteps, not {y.shape}")
        asked = y.shape[-1] * y.shape[-2]
        logits = self.head(self.backbone(x)[..., -asked:, :])
        return functional.cross_entropy(logits, time_first(y))


class WindowClassifier(Classifier):
    """A network of points as a sequence model: what a sequence holds, side by side, is one point.

    It answers a fixed number of questions about sequences of a fixed length: logits (..., B, L, C).
    The backbone takes T V numbers, tokens as 0 and 1 ("one-hot"), or T D.

    Args:
        answers: L.
        symbols: V; 0 for sequences of numbers (..., B, T, D).
    """

    def __init__(self, backbone, num_classes, *, answers, symbols, train_rows, rng=None):
        check_sizes(answers=answers)
        check_counts(symbols=symbols)
        head = nn.Linear(backbone.output_size, answers * num_classes, rng=rng)
        super().__init__(backbone, num_classes, train_rows=train_rows, head=head)
        self.answers, self.symbols = answers, symbols

    def forward(self, x):
        if self.symbols:
            dtype = self.head.weight.dtype
            x = Tensor((x.data[..., None] == xp.arange(self.symbols)).astype(dtype))
        *lead, batch, steps, width = x.shape
        logits = super().forward(x.reshape(*lead, batch, steps * width))
        return logits.reshape(*logits.shape[:-1], self.answers, self.num_classes)

    def loss(self, x, y):
        """The mean cross-entropy of all labels (..., B, L), (...,): one number for each replica."""
        logits = as_rows(self(x))
        return functional.cross_entropy(logits, y.reshape(*y.shape[:-2], logits.shape[-2]))
