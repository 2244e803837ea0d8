"""ANN-to-SNN conversion: train an ordinary network, then let it spike.

A spiking network is harder to train than an ordinary one, and a trained ordinary network is often
there already. It shows where surrogate gradients give a few points less accuracy, or take many
times as long, as the same layers with ReLUs.

Converted, each neuron fires at the rate of the activation that it replaces.

Diehl et al., "Fast-Classifying, High-Accuracy Spiking Deep Networks Through Weight and Threshold
Balancing", IJCNN 2015; Rueckauer et al., "Conversion of Continuous-Valued Deep Networks to
Efficient Event-Driven Networks for Image Classification", Frontiers in Neuroscience 2017.

    symbol      name                                       shape                  unit
    W, b        weights of a trained layer                 (..., D, H), (..., 1, H)
    m, v        running mean and variance of batch norm    (..., 1, H)
    gamma, c    gain and bias of batch norm                (..., 1, H)
    lambda_l    activation scale of layer l                (..., 1, 1)            activation
    V[t]        membrane potential                         (..., T, B, H)         threshold
    S[t]        spikes, 0 or 1                             (..., T, B, H)

Train h_l = relu(BN(h_{l-1} W_l + b_l)). Then, layer by layer:

    fold     W' = W gamma / sqrt(v + eps),  b' = (b - m) gamma / sqrt(v + eps) + c
    scale    lambda_l = a high percentile of h_l on the training data      (Rueckauer et al.)
             W~ = W' lambda_{l-1} / lambda_l,  b~ = b' / lambda_l,  lambda_0 = 1
    spike    V[t] = V[t-1] + S_{l-1}[t] W~ + b~ - S[t-1],  S[t] = 1 where V[t] > 1

An integrate-and-fire neuron with reset by subtraction fires at the rate of its mean input: under a
constant current, as in the first layer, the rate is the activation h_l / lambda_l, where that is
below 1, with an error below 1/T. Starting from half a threshold turns rounding down into rounding
to the nearest, which halves the error (Bu et al., "Optimized Potential Initialization for
Low-latency Spiking Neural Networks", AAAI 2022). Later layers see spikes that arrive unevenly,
at a few times that error, which still falls as 1/T. The last, linear layer does not spike: it
averages over time.

Deviations: lambda is the percentile of all activations, zeros included; Rueckauer et al. leave
zeros out, and Diehl et al. take the larger of the maximal activation and the maximal weight.
"""

import copy
from itertools import pairwise

from minigrad import functional, nn
from minigrad.backend import host_rng, xp
from minigrad.checks import check_not_negative, check_positive, check_sizes, check_widths
from minigrad.engine import Tensor
from minigrad.spiking import lif_trace

from ..base import Classifier, points, predicting
from .snn import synaptic_current


class ReLULayer(nn.Module):
    """relu(BN(x W + b)): (..., B, D) -> (..., B, H)."""

    def __init__(self, inputs, outputs, *, rng):
        self.linear = nn.Linear(inputs, outputs, rng=rng)
        self.norm = nn.BatchNorm(outputs)

    def forward(self, x):
        return functional.relu(self.norm(self.linear(x)))

    def folded(self):
        """W' and b', which do in one step what linear layer and (evaluating) batch norm do."""
        scale, shift = self.norm.folded()
        return self.linear.weight * scale, self.linear.bias * scale + shift


class ANN2SNN(nn.Module):
    """The network that is trained; `convert` makes the spiking one, which is what predicts.

    Args:
        input_size: D.
        hidden_sizes: widths of the layers that will spike.
        output_size: features, from a last linear layer; None for the last hidden activations.
        num_timesteps: T of the spiking network.
        threshold: where its neurons fire: only the unit in which potentials are measured.
        percentile: lambda_l is this percentile of the activations, in (1, 100].
        initial_potential: V before the first step, in thresholds.
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(256, 128),
        output_size=None,
        num_timesteps=64,
        threshold=1.0,
        percentile=99.9,
        initial_potential=0.5,
        *,
        rng=None,
    ):
        check_positive(percentile=percentile)
        if not 1 < percentile <= 100:
            raise ValueError(f"percentile, in percent, lies in (1, 100], not {percentile}")
        check_sizes(input_size=input_size, num_timesteps=num_timesteps)
        check_widths(hidden_sizes)
        check_positive(spiking_layers=len(hidden_sizes), threshold=threshold)
        check_not_negative(initial_potential=initial_potential)
        if output_size is not None:
            check_sizes(output_size=output_size)
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes]
        self.layers = [ReLULayer(n, m, rng=rng) for n, m in pairwise(sizes)]
        self.tail = nn.Linear(sizes[-1], output_size, rng=rng) if output_size else None
        self.output_size = output_size or sizes[-1]
        self.num_timesteps = num_timesteps
        self.threshold = threshold
        self.percentile = percentile
        self.initial_potential = initial_potential

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.tail(x) if self.tail else x

    def convert(self, x_train):
        """The SpikingNetwork with this network's weights, scaled by its activations on x_train
        (..., N, D). This network is not changed."""
        h, scale = points(self, x_train), 1.0
        if not h.size:
            raise ValueError(f"x_train {h.shape} has no rows to measure activations on")
        layers = []
        with predicting(self):
            for layer in self.layers:
                h = layer(h)
                before, scale = scale, self._activation_scale(h.data)
                weight, bias = layer.folded()
                spiking = copy.copy(layer.linear)
                spiking.weight = (weight * (before * self.threshold / scale)).detach()
                spiking.bias = (bias * (self.threshold / scale)).detach()
                layers.append(spiking)
        return SpikingNetwork(
            layers,
            scale,
            copy.deepcopy(self.tail),
            num_timesteps=self.num_timesteps,
            threshold=self.threshold,
            initial_potential=self.initial_potential * self.threshold,
            output_size=self.output_size,
        )

    def _activation_scale(self, h):
        """lambda: (..., N, H) -> (..., 1, 1); 1 where the percentile is 0."""
        scale = xp.percentile(h, self.percentile, axis=(-1, -2), keepdims=True).astype(h.dtype)
        return xp.where(scale > 0, scale, 1)


class ConvertingClassifier(Classifier):
    """Trained as an ordinary network; `finish` makes the spiking one, which is what predicts."""

    def finish(self, x_train):
        """A Classifier with the spiking network as its backbone, and a copy of the head."""
        return Classifier(
            self.backbone.convert(x_train),
            self.num_classes,
            train_rows=self.train_rows,
            head=copy.deepcopy(self.head),
        )


class SpikingNetwork(nn.Module):
    """Integrate-and-fire layers without leak: the rates stand for the activations of an ANN."""

    def __init__(
        self, layers, scale, tail, *, num_timesteps, threshold, initial_potential, output_size
    ):
        self.layers = layers  # Linear, with W~ and b~
        self.scale = scale  # lambda of the last layer, (..., 1, 1)
        self.tail = tail
        self.num_timesteps = num_timesteps
        self.threshold = threshold
        self.initial_potential = initial_potential
        self.output_size = output_size

    def forward(self, x):
        return self._read_out(self.spikes(x)[-1].mean(axis=-3))

    def spikes(self, x):
        """S of every layer: Tensors (..., T, B, H)."""
        x = points(self, x)
        layers, spikes = [], None
        for linear in self.layers:
            current = synaptic_current(linear, x, spikes).data
            _, fired = lif_trace(
                current, self.num_timesteps, 1.0, self.threshold, self.initial_potential
            )
            spikes = Tensor(fired)
            layers.append(spikes)
        return layers

    def features_over_time(self, x):
        """The features after 1, 2, ..., T timesteps: (T, ..., B, output_size)."""
        spikes = self.spikes(x)[-1].data
        steps = xp.arange(1, self.num_timesteps + 1, dtype=spikes.dtype).reshape(-1, 1, 1)
        rates = xp.moveaxis(xp.cumsum(spikes, axis=-3) / steps, -3, 0)
        return self._read_out(Tensor(rates))

    def _read_out(self, rates):
        activations = rates * self.scale
        return self.tail(activations) if self.tail else activations
