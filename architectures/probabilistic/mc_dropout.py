"""MC Dropout: a network that keeps dropping units when it predicts.

Gal & Ghahramani, "Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep
Learning", ICML 2016.

    symbol   name                                   shape / value
    p        dropout rate                           scalar
    z        masks, 0 or 1 / (1 - p)                (S, ..., B, H)
    l        prior length scale                     0.1
    N        training points                        scalar
    W, b     weights and biases                     (..., D, H), (..., 1, H)

    h_l = z_l * f(h_{l-1} W_l + b_l)
    p(y | x) = 1/S sum_s softmax(logits with masks z_s)                                Eq. 6
    native objective = cross-entropy + l^2 (1 - p) / (2 N) * sum (W^2 + b^2)     from Eq. 7

Dropout is a variational posterior over the weights: a mask on a layer's inputs switches rows of the
next weight matrix off. The decay is the KL of that posterior against a Gaussian prior, per point.
So the masks stay on at prediction, and the spread of the sampled predictions is the model's
uncertainty. All S masks are drawn in one pass over x with a leading axis of length S.

Deviations: nothing is dropped from the input, where half of two features would be gone too often;
the decay, Eq. 7 solved for it with the model precision 1, counts weights and biases alike; its
factor 1 - p is that of masks of 0 and 1, while the masks here are inverted.
"""

from itertools import pairwise

from minigrad import functional, nn
from minigrad.backend import host_rng

from ..checks import check_sizes, check_widths
from ..uncertainty import SamplingClassifier

LENGTH_SCALE = 0.1


class MonteCarloDropout(nn.Dropout):
    """Inverted dropout that stays on in evaluation mode."""

    def forward(self, x):
        return functional.dropout(x, self.rate, self.noise) if self.rate else x


class MCDropout(nn.Module):
    """An MLP with dropout after every hidden activation, linear at the end.

    Args:
        input_size: D.
        hidden_sizes: width of each hidden layer.
        output_size: features.
        dropout: p, in [0, 1).
        activation: a name in `functional.ACTIVATIONS`.
        samples: masks that a prediction averages.
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
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, output_size=output_size, samples=samples)
        check_widths(hidden_sizes)
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes]
        self.hidden = [nn.Linear(n, m, rng=rng) for n, m in pairwise(sizes)]
        self.last = nn.Linear(sizes[-1], output_size, rng=rng)
        self.activation = functional.activation(activation)
        self.dropout = MonteCarloDropout(dropout, rng=rng)
        self.samples = samples
        self.output_size = output_size

    def forward(self, x):
        for linear in self.hidden:
            x = self.dropout(self.activation(linear(x)))
        return self.last(x)


class DropoutClassifier(SamplingClassifier):
    """With a mask before the head, too, and the weight decay that the prior asks for."""

    def __init__(self, backbone, num_classes, *, train_rows, rng=None):
        linear = nn.Linear(backbone.output_size, num_classes, rng=rng)
        head = nn.Sequential(backbone.dropout, linear)
        super().__init__(backbone, num_classes, train_rows=train_rows, head=head)

    def loss(self, x, y):
        keep = 1 - self.backbone.dropout.rate
        decay = LENGTH_SCALE**2 * keep / (2 * self.train_rows)
        squares = 0.0
        for parameter in self.parameters():
            squares = squares + (parameter * parameter).sum(axis=(-1, -2))
        return super().loss(x, y) + decay * squares
