"""Multilayer perceptron.

A linear classifier can only cut space along straight lines, so it never gets a ring apart from what
is inside it. It shows where the training loss stops falling although the classes do not overlap.

Hidden layers bend the boundary.

Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors", Nature 1986.
Residual connections after He et al. 2016, layer normalisation after Ba et al. 2016.

    symbol    name                   shape              unit
    h_0 = x   input                  (..., B, D)
    W_l, b_l  weights, biases        (..., H_{l-1}, H_l), (..., 1, H_l)
    h_l       hidden activations     (..., B, H_l)

    h_l = dropout(f(norm(h_{l-1} W_l + b_l)))                      plain
    h_l = dropout(f(norm(h_{l-1} W_l + b_l))) + h_{l-1} P_l        residual

P_l is the identity where the widths agree and a learned projection without bias where they do not.

Deviation: He et al. go around two layers and apply the last activation after the sum; here each
layer has a way around it, and the sum is not activated, so that the identity stays one.
"""

from itertools import pairwise

from minigrad import functional, nn
from minigrad.backend import host_rng
from minigrad.checks import check_sizes, check_widths


class Residual(nn.Module):
    """layers(x) + x P; P is None for the identity, or a Linear."""

    def __init__(self, layers, projection):
        self.layers, self.projection = layers, projection

    def forward(self, x):
        return self.layers(x) + (self.projection(x) if self.projection else x)


class MLP(nn.Module):
    """Fully connected layers; the features are the last hidden activations.

    Args:
        input_size: D.
        hidden_sizes: the width of each hidden layer.
        activation: a name in `functional.ACTIVATIONS`, or a function of a Tensor.
        dropout: the share of hidden activations dropped while training, in [0, 1).
        layer_norm: normalise before each activation.
        residual: add each layer's input to its output.
        rng: a seed or Generator for the initial weights and the dropout masks.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(512, 512),
        activation="relu",
        dropout=0.1,
        layer_norm=False,
        residual=False,
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size)
        check_widths(hidden_sizes)
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes]
        self.activation = functional.activation(activation)
        self.layers = []
        for inputs, outputs in pairwise(sizes):
            layer = [nn.Linear(inputs, outputs, rng=rng)]
            if layer_norm:
                layer.append(nn.LayerNorm(outputs))
            layer.append(self.activation)
            if dropout:
                layer.append(nn.Dropout(dropout, rng=rng))
            if residual:
                same = inputs == outputs
                projection = None if same else nn.Linear(inputs, outputs, bias=False, rng=rng)
                layer = [Residual(nn.Sequential(*layer), projection)]
            self.layers += layer
        self.output_size = sizes[-1]

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def describe(self):
        return f"activation {nn.name_of(self.activation)}"
