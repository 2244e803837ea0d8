"""MC Dropout: a network that keeps dropping units when it predicts.

An ordinary network gives one answer and is as sure of it far from its data as among them; training
many networks to see whether they agree is dear. It shows where a confident prediction for a point
like no other in the training set turns out wrong.

One network trained with dropout is many: each random mask is another, and where they disagree, the
answer is a guess.

Gal & Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep
Learning", ICML 2016.

    symbol     name                                    shape                     unit
    q          keep probability, 1 - dropout rate      scalar
    z_l        masks, 0 or 1 / q                       (S, ..., B, H); (S, ..., 1, H) at prediction
    l          prior length scale                      scalar                   1 / weight
    N          training points                        scalar
    W_l, b_l   weights and biases of layer l           (..., D, H), (..., 1, H)

    h_l = z_l * f(h_{l-1} W_l + b_l)
    p(y | x) = 1/S sum_s softmax(logits with masks z_s)                               Eq. 6
    native objective = cross-entropy
                     + l^2 / (2 N) sum_l (|W_l|^2 / q_l + |b_l|^2)              from Eq. 7

Dropout is a variational posterior over the weights: a mask on a layer's inputs switches rows of the
next weight matrix off. The decay is the KL of that posterior against a Gaussian prior, per point.
So the masks stay on at prediction, and the spread of the sampled predictions is the model's
uncertainty. All S masks are drawn in one pass over x with a leading axis of length S; each is one
network, the same for all points of the pass.

In Eq. 7, whose p is the probability to keep, the decay of M_l is q l^2 / (2 N) for masks of 0 and
1, with the model precision 1 of a classifier. The masks here are inverted: the matrix that acts is
W_l / q, which takes the place of M_l, and q / q^2 = 1 / q. Where no mask stands before a layer, as
before the first, q_l is 1.

Deviation: nothing is dropped from the input by default: of two features both would be gone often.
"""

from itertools import pairwise

from minigrad import Tensor, functional, nn
from minigrad.backend import host_rng, xp
from minigrad.checks import check_not_negative, check_sizes, check_widths

from ..regression import Regressor
from ..uncertainty import SamplingClassifier


class MonteCarloDropout(nn.Dropout):
    """Inverted dropout that stays on in evaluation mode.

    While training every row has a mask of its own. At prediction all rows of a pass share one: each
    sample is then one thinned network, and what it says of a point depends on no other point.
    """

    def forward(self, x):
        if self.training or not self.rate:
            return super().forward(x)
        ones = xp.ones((*x.shape[:-2], 1, x.shape[-1]), x.dtype)
        return x * functional.dropout(Tensor(ones), self.rate, self.noise)


class MCDropout(nn.Module):
    """An MLP with dropout after every hidden activation, linear at the end.

    Args:
        input_size: D.
        hidden_sizes: width of each hidden layer.
        output_size: features.
        dropout: p, in [0, 1).
        activation: a name in `functional.ACTIVATIONS`, or a function of a Tensor.
        samples: masks that a prediction averages.
        length_scale: l of the prior; the authors' experiments use 1e-2.
        input_dropout: the same as `dropout`, for the inputs.
        rng: a seed or Generator for the initial weights and for the masks.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(256, 128),
        output_size=64,
        dropout=0.2,
        activation="relu",
        samples=50,
        length_scale=0.1,
        input_dropout=0.0,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, output_size=output_size, samples=samples)
        check_widths(hidden_sizes)
        check_not_negative(length_scale=length_scale)
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes]
        self.hidden = [nn.Linear(n, m, rng=rng) for n, m in pairwise(sizes)]
        self.last = nn.Linear(sizes[-1], output_size, rng=rng)
        self.activation = functional.activation(activation)
        self.dropout = MonteCarloDropout(dropout, rng=rng)
        self.input_dropout = MonteCarloDropout(input_dropout, rng=rng) if input_dropout else None
        self.length_scale = length_scale
        self.samples = samples
        self.output_size = output_size

    def forward(self, x):
        if self.input_dropout:
            x = self.input_dropout(x)
        for linear in self.hidden:
            x = self.dropout(self.activation(linear(x)))
        return self.last(x)


class Decay:
    """For a Predictor: a mask before the head, too, and the weight decay of the prior."""

    def new_head(self, outputs, rng):
        linear = nn.Linear(self.backbone.output_size, outputs, rng=rng)
        return nn.Sequential(self.backbone.dropout, linear)

    def loss(self, x, y):
        return super().loss(x, y) + self.decay() * (1 / self.train_rows)

    def decay(self):
        """l^2 / 2 sum_l (|W_l|^2 / q_l + |b_l|^2): (...,) in nats."""
        net = self.backbone
        masks = [net.input_dropout, *[net.dropout] * (len(net.hidden) + 1)]
        total = 0.0
        for linear, mask in zip([*net.hidden, net.last, self.head.layers[-1]], masks):
            keep = 1 - mask.rate if mask else 1
            weights = (linear.weight * linear.weight).sum(axis=(-1, -2)) / keep
            total = total + weights + (linear.bias * linear.bias).sum(axis=(-1, -2))
        return total * (net.length_scale**2 / 2)


class DropoutClassifier(Decay, SamplingClassifier):
    """Beside the cross-entropy."""


class DropoutRegressor(Decay, Regressor):
    """Beside the normal likelihood, whose precision is learnt."""
