"""TabNet: sequential attention over features.

In a table of many columns, a few matter for one row and others for the next, and a network that
mixes all columns cannot say which ones it used. It shows where columns of pure noise change a
prediction, or where somebody asks why a row was refused.

TabNet chooses, row by row and step by step, which columns it looks at.

Arik & Pfister, "TabNet: Attentive Interpretable Tabular Learning", AAAI 2021: the encoder of
Fig. 4.

    symbol          name                            shape               unit
    f               normalised features             (..., B, D)
    M_i             mask of step i, rows sum to 1   (..., B, D)
    P_i             prior: what may still be used   (..., B, D)
    d_i             decision features, n_d          (..., B, n_d)
    a_i             attention features, n_a         (..., B, n_a)
    A_i             attentive transformer           (..., n_a, D)
    gamma           relaxation factor               scalar
    w = n_d + n_a   width of feature transformers

    f       = BN(x)
    a_0     = the a-half of transformer_0(f),  P_0 = 1
    M_i     = sparsemax(P_{i-1} * BN(a_{i-1} A_i))                  Eq. 1
    P_i     = P_{i-1} * (gamma - M_i)
    [d_i, a_i] = transformer_i(M_i * f)
    output  = sum_i relu(d_i)

A feature transformer is num_shared + num_independent layers GLU(BN(h W)), W: (w, 2w). The first has
no residual connection, the later ones give (h + layer(h)) sqrt(1/2), which keeps the variance. The
matrices of the shared layers are the same in all transformers; the batch norms never are, because
each sees the statistics of its own step.

Native objective: cross-entropy + sparsity * mean_i mean_b sum_j -M_i[b,j] log(M_i[b,j] + 1e-15),
the entropy of the masks (the paper's L_sparse).

The input is normalised by plain batch norm, everything else by ghost batch norm over virtual
batches (Hoffer et al. 2017), as in the paper. Its momentum, 0.1, is the weight of the newest batch.
The authors count the weight of the old average: they search 0.6 to 0.98, which is 0.4 to 0.02 here,
and their own code runs with 0.7. With 0.02 the running statistics lag behind in a short training.

Deviation: virtual batches are evened out, 17 rows at 16 become 9 and 8, since a last one of a
single row would have no variance.
"""

import math

from minigrad import functional, nn, op
from minigrad.backend import Kernel, host_rng, xp
from minigrad.checks import (
    check_counts,
    check_not_negative,
    check_positive,
    check_shares,
    check_sizes,
)
from minigrad.data import even_parts
from minigrad.functional.activations import logistic_in_cuda
from minigrad.functional.shared import once
from minigrad.ops import concatenate, log, split, stack

from ..base import Classifier, points, predicting


class GhostBatchNorm(nn.BatchNorm):
    """Batch norm within virtual batches of about `rows` rows each, none of them a single row."""

    def __init__(self, features, rows, *, momentum):
        super().__init__(features, momentum=momentum)
        self.rows = rows

    def forward(self, x):
        batch = x.shape[-2]
        if not self.training or batch <= self.rows:
            return super().forward(x)
        count = min(math.ceil(batch / self.rows), batch // 2)
        if batch % count == 0:
            return self.at_once(x, count)
        borders = [part.start for part in even_parts(batch, count)[1:]]
        ghosts = split(x, borders, axis=-2)
        return concatenate([super(GhostBatchNorm, self).forward(g) for g in ghosts], axis=-2)

    def at_once(self, x, count):
        """The same for virtual batches of one length: they are a leading axis."""
        *lead, batch, features = x.shape
        ghosts = x.reshape(*lead, count, batch // count, features)
        gain, bias = (p.reshape(*p.shape[:-2], 1, 1, features) for p in (self.gain, self.bias))
        running = (self.running_mean, self.running_var)
        options = {"running": running, "momentum": self.momentum, "eps": self.eps, "in_turn": True}
        y = functional.batch_norm(ghosts, gain, bias, **options)
        return y.reshape(*y.shape[:-3], batch, features)


class GLULayer(nn.Module):
    """GLU(BN(h W)): (..., B, inputs) -> (..., B, w). No bias: batch norm would remove it."""

    def __init__(self, linear, norm):
        self.linear, self.norm = linear, norm

    def forward(self, h):
        return functional.glu(self.norm(self.linear(h)))

    def around(self, h):
        """The same with a residual connection."""
        return gated_residual(h, self.norm(self.linear(h)))


@op
def gated_residual(h, x):
    """(h + glu(x)) sqrt(1/2): the variance stays what it is, however many layers add to h.

    For of h and glu(x), independent and with variance 1, the sum has variance 2; a factor enters
    the variance squared, and 2 * 1/2 = 1. Unscaled, it would double with every layer.

    (..., B, H), (..., B, 2H) -> (..., B, H). Fused for speed, as TabNet has a dozen of them: one
    node and one array instead of three each.
    """
    half, factor = x.shape[-1] // 2, math.sqrt(0.5)
    gate, y, z = xp.gated_sum(h, x[..., :half], x[..., half:], factor)

    @once
    def before(g):
        return g * factor

    return z, before, lambda g: xp.glu_gradient(before(g), gate, y, half)


@Kernel(
    "T h, T a, T b, T factor",
    "T gate, T y, T z",
    f"""
    gate = {logistic_in_cuda("b")};
    y = a * gate;
    z = (h + y) * factor;
    """,
)
def gated_sum(h, a, b, factor):
    """The gate sigmoid(b), what it lets through of a, and the scaled sum of that and h."""
    gate, y = xp.gated(a, b)
    z = h + y
    z *= factor
    return gate, y, z


class FeatureTransformer(nn.Module):
    """Shared, then independent GLU layers: (..., B, D) -> (..., B, w)."""

    def __init__(self, linears, norms):
        self.layers = [GLULayer(linear, norm) for linear, norm in zip(linears, norms)]

    def forward(self, x):
        first, *later = self.layers
        h = first(x)
        for layer in later:
            h = layer.around(h)
        return h


class AttentiveTransformer(nn.Module):
    """sparsemax(prior * BN(a A)): (..., B, n_a) -> the mask (..., B, D)."""

    def __init__(self, linear, norm):
        self.linear, self.norm = linear, norm

    def forward(self, a, prior):
        return functional.sparsemax(prior * self.norm(self.linear(a)))


class TabNet(nn.Module):
    """The TabNet encoder; the features are the summed decisions of its steps.

    Args:
        input_size: D.
        hidden_size: n_d, the width of decisions and features.
        num_steps: decision steps.
        relaxation_factor: gamma; with 1 a feature that was used up has the logit 0 from then on.
        num_shared, num_independent: layers of each feature transformer; at least one in all.
        virtual_batch_size: rows of a virtual batch.
        momentum: of the running statistics, the weight of the newest batch.
        sparsity: weight of the masks' entropy in the native objective.
        num_classes: adds a linear layer to that many outputs (the paper's W_final); not for
            `classifier`, which has a head of its own.
        dropout: on the output, while training.
        attention_size: n_a, the width of the features that make the next mask; default hidden_size.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        hidden_size=64,
        num_steps=3,
        relaxation_factor=1.5,
        num_shared=2,
        num_independent=2,
        virtual_batch_size=128,
        momentum=0.1,
        sparsity=1e-3,
        num_classes=None,
        dropout=0.0,
        attention_size=None,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_steps=num_steps)
        attention_size = hidden_size if attention_size is None else attention_size
        check_sizes(attention_size=attention_size, virtual_batch_size=virtual_batch_size)
        check_counts(num_shared=num_shared, num_independent=num_independent)
        check_sizes(transformer_layers=num_shared + num_independent)
        check_positive(momentum=momentum, relaxation_factor=relaxation_factor)
        check_shares(momentum=momentum)
        if relaxation_factor < 1:
            raise ValueError(f"relaxation_factor must be 1 or above, not {relaxation_factor!r}")
        check_not_negative(sparsity=sparsity)
        if num_classes is not None:
            check_sizes(num_classes=num_classes)
        rng = host_rng(rng)
        width = hidden_size + attention_size

        def linears(count, inputs):
            sizes = [inputs] + [width] * (count - 1) if count else []
            return [nn.Linear(size, 2 * width, bias=False, rng=rng) for size in sizes]

        def norm(features):
            return GhostBatchNorm(features, virtual_batch_size, momentum=momentum)

        shared = linears(num_shared, input_size)

        def transformer():
            layers = shared + linears(num_independent, width if shared else input_size)
            return FeatureTransformer(layers, [norm(2 * width) for _ in layers])

        def attention():
            linear = nn.Linear(attention_size, input_size, bias=False, rng=rng)
            return AttentiveTransformer(linear, norm(input_size))

        self.input_norm = nn.BatchNorm(input_size, momentum=momentum)
        self.initial = transformer()
        self.attentions = [attention() for _ in range(num_steps)]
        self.transformers = [transformer() for _ in range(num_steps)]
        self.dropout = nn.Dropout(dropout, rng=rng) if dropout else None
        self.final = nn.Linear(hidden_size, num_classes, rng=rng) if num_classes else None
        self.hidden_size = hidden_size
        self.relaxation_factor = relaxation_factor
        self.sparsity = sparsity
        self.output_size = num_classes or hidden_size

    def steps(self, x):
        """Masks M_i (..., B, D), decisions relu(d_i) (..., B, n_d): two lists, one entry a step."""
        f = self.input_norm(x)
        h = self.initial(f)
        prior = 1.0
        masks, decisions = [], []
        for attention, transformer in zip(self.attentions, self.transformers):
            mask = attention(h[..., self.hidden_size :], prior)
            prior = prior * (self.relaxation_factor - mask)
            h = transformer(mask * f)
            masks.append(mask)
            decisions.append(functional.relu(h[..., : self.hidden_size]))
        return masks, decisions

    def output(self, decisions):
        """What the decisions add up to: (..., B, output_size)."""
        total = decisions[0]
        for decision in decisions[1:]:
            total = total + decision
        if self.dropout:
            total = self.dropout(total)
        return self.final(total) if self.final else total

    def forward(self, x):
        _, decisions = self.steps(x)
        return self.output(decisions)

    def feature_masks(self, x):
        """What the network looked at: in evaluation mode, which it leaves as it found it.

        Returns:
            masks (steps, ..., B, D), rows summing to 1, and the aggregate importance (..., B, D):
            the masks, each weighted by what its step contributed, eta_i = sum_c relu(d_i)_c, and
            normalised to sum to 1 ("Interpretability" in section 3 of the paper).
        """
        with predicting(self):
            masks, decisions = self.steps(points(self, x))
            masks, decisions = stack(masks), stack(decisions)
            eta = decisions.sum(axis=-1, keepdims=True)
            importance = (eta * masks).sum(axis=0)
            return masks, importance / (importance.sum(axis=-1, keepdims=True) + 1e-15)


class TabNetClassifier(Classifier):
    """TabNet with the objective of its paper: it pays for masks that spread over many features."""

    def loss(self, x, y):
        masks, decisions = self.backbone.steps(x)
        loss = functional.cross_entropy(self.head(self.backbone.output(decisions)), y)
        entropy = 0.0
        for mask in masks:
            entropy = entropy - (mask * log(mask + 1e-15)).sum(axis=-1).mean(axis=-1)
        return loss + self.backbone.sparsity / len(masks) * entropy
