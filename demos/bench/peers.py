"""The MLP's training step in other frameworks, as their users write it. Each needs to be installed.

All start from the same weights, see the same minibatches, use Adam and one thread. A peer is a
function of the initial weights: it returns its training step, and what makes its own kind of array
of a NumPy array, which is done once, before the clock starts.
"""

import os
from importlib.util import find_spec
from statistics import median

import numpy as np

from demos.by_hand import MLP

from .clock import race
from .duel import LEARNING_RATE, NETWORKS, opponents, require_agreement


def pytorch(weights):
    import torch
    from torch.nn.functional import cross_entropy, linear, relu

    torch.set_num_threads(1)
    # nn.Linear keeps its matrix transposed.
    parameters = [torch.tensor(w.T if len(w) > 1 else w[0]) for w in weights]
    for p in parameters:
        p.requires_grad_()
    W1, b1, W2, b2, W3, b3 = parameters
    optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE)

    def step(x, y):
        optimizer.zero_grad()
        h = relu(linear(x, W1, b1))
        h = relu(linear(h, W2, b2))
        loss = cross_entropy(linear(h, W3, b3), y)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step, torch.from_numpy


def jax_jit(weights):
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    from jax import numpy as jnp

    def loss_of(parameters, x, y):
        W1, b1, W2, b2, W3, b3 = parameters
        h = jnp.maximum(x @ W1 + b1, 0)
        h = jnp.maximum(h @ W2 + b2, 0)
        logits = jax.nn.log_softmax(h @ W3 + b3)
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    @jax.jit
    def update(parameters, mean, square, steps, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        new = [adam(*a, steps) for a in zip(parameters, gradients, mean, square)]
        return loss, *map(list, zip(*new))

    def adam(p, g, m, v, steps, beta1=0.9, beta2=0.999, eps=1e-8):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        r = jnp.sqrt(v / (1 - beta2**steps))
        return p - LEARNING_RATE * m / (1 - beta1**steps) / (r + eps), m, v

    zeros = [jnp.zeros_like(w) for w in weights]
    state = [[jnp.array(w) for w in weights], zeros, zeros]
    steps = 0

    def step(x, y):
        nonlocal steps
        steps += 1
        loss, *state[:] = update(*state, float(steps), x, y)
        return loss.block_until_ready()

    return step, jnp.asarray


def mygrad(weights):
    import mygrad as mg
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy

    optimizer = MLP(weights, lr=LEARNING_RATE)  # for its Adam, MyGrad having none
    parameters = [mg.tensor(view, copy=False) for view in optimizer.weights]

    def step(x, y):
        W1, b1, W2, b2, W3, b3 = parameters
        h = relu(x @ W1 + b1)
        h = relu(h @ W2 + b2)
        loss = softmax_crossentropy(h @ W3 + b3, y)
        loss.backward()
        update(optimizer, [p.grad for p in parameters])
        return loss.item()

    return step, np.asarray


def autograd(weights):
    from autograd import numpy as anp
    from autograd import value_and_grad

    optimizer = MLP(weights, lr=LEARNING_RATE)  # for its Adam; autograd's is not in place

    def loss_of(parameters, x, y):
        W1, b1, W2, b2, W3, b3 = parameters
        h = anp.maximum(x @ W1 + b1, 0)
        h = anp.maximum(h @ W2 + b2, 0)
        z = h @ W3 + b3
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[np.arange(len(y)), y])

    def step(x, y):
        loss, gradients = value_and_grad(loss_of)(optimizer.weights, x, y)
        update(optimizer, gradients)
        return loss

    return step, np.asarray


def update(optimizer, gradients):
    for view, gradient in zip(optimizer.grads, gradients):
        view[...] = gradient
    optimizer.adam()


PEERS = {
    "torch": ("PyTorch (eager)", pytorch),
    "jax": ("JAX (jit)", jax_jit),
    "mygrad": ("MyGrad", mygrad),
    "autograd": ("autograd", autograd),
}


def missing():
    """The frameworks that are not installed."""
    return [label for module, (label, _) in PEERS.items() if find_spec(module) is None]


def peers(rounds, seconds):
    """{framework: its time and its ratio to the hand-written step}, of those that are installed."""
    makers = {label: make for module, (label, make) in PEERS.items() if find_spec(module)}
    labels = ["by hand", "minigrad", "minigrad compiled", *makers]

    def start():
        sides = opponents(NETWORKS["mlp"])
        hand, batches = sides[0]
        weights = [w.copy() for w in hand.__self__.weights]
        for make in makers.values():
            step, own = make(weights)
            sides.append((step, [(own(x), own(y)) for x, y in batches]))
        return sides

    require_agreement("MLP", labels, start())
    times = race(start, rounds, seconds)
    return {
        label: {
            "seconds": median(row[side] for row in times),
            "ratio": median(row[side] / row[0] for row in times),
        }
        for side, label in enumerate(labels)
    }
