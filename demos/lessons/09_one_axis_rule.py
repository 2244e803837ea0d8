"""Lesson 9. A batch, a replica, a sample, a timestep: one rule for all axes."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor, nn
from minigrad import functional as F

# Twenty networks of the same shape, from twenty seeds, to see how much of a result is luck. Call
# them replicas. The usual way is a loop. Every small array operation is then done twenty times, and
# Python's own time is spent twenty times. An array operation has room for more: features are the
# last axis, the batch the one before. Put the replicas in front of both, and @ multiplies matrix by
# matrix:

rng = np.random.default_rng(0)
x = rng.normal(size=(20, 8, 3))  # (R, B, D)
w = rng.normal(size=(20, 3, 2))  # (R, D, H)
print((x @ w).shape, np.allclose((x @ w)[7], x[7] @ w[7]))
# > (20, 8, 2) True

# Where it fails is in code that counts axes from the front. This loss was written for one network:


def first_axis_loss(output):
    return (output * output).mean(axis=0).sum(axis=0)  # over the batch, then the features


print(first_axis_loss(x[7] @ w[7]).shape, first_axis_loss(x @ w).shape)
# > () (2,)

# One number for one network. But for twenty, two numbers, which are no network's loss: it has
# averaged over the replicas and added up the batch. Count from the END and nothing needs to know
# what leads, or how much of it:


def loss(output):
    return (output * output).mean(axis=-2).sum(axis=-1)  # (..., B, H) -> (...)


print(loss(x @ w).shape, np.allclose(loss(x @ w)[7], loss(x[7] @ w[7])))
# > (20,) True

# That is the rule: (..., B, D), and whatever leads is independent. Gradients follow it as well. No
# replica's loss depends on another's weights, so the gradient of the sum of the losses holds, for
# each replica, what it would have had alone:

together = Tensor(w, requires_grad=True)
loss(Tensor(x) @ together).sum().backward()
alone = Tensor(w[7], requires_grad=True)
loss(Tensor(x[7]) @ alone).backward()
print(np.allclose(together.grad[7], alone.grad))
# > True

# `nn.stack` does it to a whole network: each parameter gets the replicas as its first axis.


def network(seed):
    rng = np.random.default_rng(seed)
    return nn.Sequential(nn.Linear(3, 4, rng=rng), F.tanh, nn.Linear(4, 2, rng=rng))


nets = [network(seed) for seed in range(20)]
stacked = nn.stack(nets)
for name, parameter in stacked.named_parameters():
    print(name, parameter.shape)
# > layers.0.weight (20, 3, 4)
# > layers.0.bias (20, 1, 4)
# > layers.2.weight (20, 4, 2)
# > layers.2.bias (20, 1, 2)

# (A bias is (1, H) and not (H,): its 1 stands where the batch is, so that the axis in front of it
# is that of the replicas, as it is in x.)

x = x.astype(np.float32)  # as the weights are
print(np.allclose(stacked(Tensor(x)).data[7], nets[7](Tensor(x[7])).data, atol=1e-6))
# > True

# What leads may be anything: samples of noisy weights and timesteps of spikes are such axes under
# other names. If the weights lead and the data do not, the data are shared, by broadcasting: twenty
# opinions on one batch.

print(stacked(Tensor(x[0])).shape)
# > (20, 8, 2)

# Now you can read `stack` in minigrad/nn/replicas.py, and any forward, as in
# architectures/feedforward/mlp.py.
# Now you can solve exercises 15 and 16 in demos/exercises.
