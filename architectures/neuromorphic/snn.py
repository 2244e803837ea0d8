"""Spiking neural network, trained by surrogate gradients.

Neurons that fire or do not, as in nerves and on neuromorphic chips, have a derivative of zero
almost everywhere, and nothing can be learned from it. It shows where the gradient of every weight
before a spike is 0 and the accuracy stays at chance.

Backward, a smooth surrogate takes the place of the step's derivative; forward, spikes stay 0 or 1.

Neftci, Mostafa & Zenke, "Surrogate Gradient Learning in Spiking Neural Networks", IEEE Signal
Processing Magazine 2019; the surrogate is that of SuperSpike (Zenke & Ganguli 2018).

    symbol     name                          shape               unit
    x          input, a constant current     (..., B, D)         or x[t], (..., T, B, D)
    I[t]       synaptic current              (..., T, B, H)      threshold (per timestep)
    U[t]       membrane potential            (..., T, B, H)      threshold
    S[t]       spikes, exactly 0 or 1        (..., T, B, H)
    tau        membrane time constant        scalar              timesteps
    beta       decay, exp(-1/tau)            scalar

    I_l[t] = S_{l-1}[t] W_l + b_l               (I_1 = x W_1 + b_1 at every t)
    U_l[t] = beta U_l[t-1] + I_l[t] - threshold S_l[t-1]
    S_l[t] = 1 where U_l[t] > threshold
    output = mean_t(S_L[t]) W_out + b_out                                  readout "rates"
    output = mean or max over t of V[t],  V[t] = beta V[t-1] + S_L[t] W_out + b_out    "mean", "max"

Spikes, not rates, travel to the next layer at every timestep. Nothing flows from a later layer back
to an earlier one, so a layer processes all timesteps at once: one matrix product, then one scan.

The reset subtracts the threshold one timestep later and is not differentiated by default: both are
habits of the paper. Deviations: its synapses filter, I[t] = alpha I[t-1] + S[t] W, while here a
spike acts in the timestep in which it arrives, and only then; its tutorial reads out the largest
potential of leaky output neurons that do not spike, while here, by default, the features are mean
spikes, that is rates, times W_out.
"""

import math
from itertools import pairwise

from minigrad import nn
from minigrad.backend import host_rng
from minigrad.checks import check_positive, check_sizes, check_widths
from minigrad.spiking import RESETS, check_surrogate, leaky, lif, lif_by_steps

from ..base import points, predicting


class SNN(nn.Module):
    """Layers of leaky integrate-and-fire neurons; the features are a readout of mean spike counts.

    Args:
        input_size: D.
        hidden_sizes: neurons of each spiking layer.
        output_size: features.
        num_timesteps: T.
        tau: membrane time constant, in timesteps.
        threshold: the potential at which a neuron fires.
        surrogate: "fast_sigmoid", 1 / (1 + slope |u|)^2, or "arctan", 1 / (1 + (slope u)^2).
        slope: of the surrogate, per unit of potential.
        detach_reset: whether backward ignores the way through the reset.
        constant_input: whether x (..., B, D) is the same at every timestep; otherwise the input
            changes in time, x (..., T, B, D).
        reset: what a spike does to the potential: "subtract" the threshold, or back to "zero".
        delayed_reset: whether it does so one timestep later, and not at once. Only the default of
            both, the paper's, is one fused op; the others are composed, which takes longer.
        readout: "rates" of the last layer's spikes, or the "mean" or "max"imal potential of leaky
            neurons behind it, which do not fire.
        soft: fire the smooth antiderivative of the surrogate instead of 0 or 1: for checking
            gradients, which are true then (with detach_reset=False).
        rng: a seed or Generator.
    """

    def __init__(
        self,
        input_size,
        hidden_sizes=(256, 128),
        output_size=64,
        num_timesteps=25,
        tau=2.0,
        threshold=1.0,
        surrogate="fast_sigmoid",
        slope=10.0,
        detach_reset=True,
        soft=False,
        constant_input=True,
        reset="subtract",
        delayed_reset=True,
        readout="rates",
        *,
        rng=None,
    ):
        check_sizes(input_size=input_size, output_size=output_size, num_timesteps=num_timesteps)
        check_widths(hidden_sizes)
        check_positive(spiking_layers=len(hidden_sizes), tau=tau, threshold=threshold)
        check_surrogate(surrogate, slope)
        if reset not in RESETS:
            raise ValueError(f"unknown reset {reset!r}: choose one of {', '.join(RESETS)}")
        if readout not in ("rates", "mean", "max"):
            raise ValueError(f"unknown readout {readout!r}: choose one of rates, mean, max")
        rng = host_rng(rng)
        sizes = [input_size, *hidden_sizes]
        self.layers = [nn.Linear(n, m, rng=rng) for n, m in pairwise(sizes)]
        self.readout = nn.Linear(sizes[-1], output_size, rng=rng)
        self.output_size = output_size
        self.num_timesteps = num_timesteps
        self.beta = math.exp(-1 / tau)
        self.threshold = threshold
        self.surrogate = surrogate
        self.slope = slope
        self.detach_reset = detach_reset
        self.soft = soft
        self.constant_input = constant_input
        self.reset, self.delayed_reset = reset, delayed_reset
        self.reading = readout

    def forward(self, x):
        spikes = None if self.constant_input else x
        for linear in self.layers:
            spikes = self.fire(synaptic_current(linear, x, spikes))
        if self.reading == "rates":
            return self.readout(spikes.mean(axis=-3))
        potential = leaky(synaptic_current(self.readout, x, spikes), self.beta)
        return potential.mean(axis=-3) if self.reading == "mean" else potential.max(axis=-3)

    def fire(self, current):
        """The spikes of a layer: (..., T, B, H)."""
        neuron = {
            "steps": self.num_timesteps,
            "beta": self.beta,
            "threshold": self.threshold,
            "surrogate": self.surrogate,
            "slope": self.slope,
            "detach_reset": self.detach_reset,
            "soft": self.soft,
        }
        if self.reset == "subtract" and self.delayed_reset:
            return lif(current, **neuron)
        _, spikes = lif_by_steps(current, **neuron, reset=self.reset, delayed=self.delayed_reset)
        return spikes

    def describe(self):
        return f"{self.num_timesteps} timesteps of {'one' if self.constant_input else 'its'} input"

    def record(self, x):
        """What an experimenter's electrodes would see: for each layer (membrane U, spikes S).

        Tensors of shape (..., T, B, H). The mean of S over T and B is a neuron's firing rate (per
        timestep); a neuron with rate 0 on all data is dead.
        """
        x = points(self, x)
        traces, spikes = [], None if self.constant_input else x
        with predicting(self):
            for linear in self.layers:
                membrane, spikes = lif_by_steps(
                    synaptic_current(linear, x, spikes),
                    self.num_timesteps,
                    self.beta,
                    self.threshold,
                    reset=self.reset,
                    delayed=self.delayed_reset,
                )
                traces.append((membrane, spikes))
        return traces


def synaptic_current(linear, x, spikes):
    """I[t] of a layer, from what changes in time, (..., T, B, D): spikes, as a rule.

    Without that, in the first layer, it is (..., 1, B, H) from the constant input x. To a linear
    layer timesteps are more rows: one product of (..., T B, D) with the weights.
    """
    if spikes is None:
        current = linear(x)
        *lead, batch, width = current.shape
        return current.reshape(*lead, 1, batch, width)
    if spikes.ndim < 3:
        raise ValueError(f"what changes in time is spikes (..., T, B, D), not {spikes.shape}")
    *lead, steps, batch, width = spikes.shape
    current = linear(spikes.reshape(*lead, steps * batch, width))
    return current.reshape(*lead, steps, batch, current.shape[-1])
