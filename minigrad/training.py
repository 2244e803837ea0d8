"""fit(): the loop that every demo shares."""

import time
from dataclasses import dataclass, field

from . import backend
from .backend import xp
from .data import minibatches


@dataclass
class History:
    """What happened, epoch by epoch.

    losses: the mean training loss of each epoch, a NumPy array of shape (...): one per replica.
    seconds: the time of each epoch, without the callback's.
    """

    losses: list = field(default_factory=list)
    seconds: list = field(default_factory=list)


def training_step(model, loss, optimizer):
    """step(x, y): one minibatch forward, backward and the optimizer; the losses (...), an array.

    The sum of the losses is what is differentiated, so each replica's gradient is what it would be
    alone. ``compile(training_step(...))`` makes a program of it.
    """

    def step(x, y):
        optimizer.zero_grad()
        value = loss(model, x, y)
        value.backward(xp.ones(value.shape, value.dtype))
        optimizer.step()
        return value.data

    return step


def fit(
    model,
    x,
    y,
    loss,
    optimizer,
    *,
    epochs,
    batch_size=32,
    shuffle=None,
    on_epoch=None,
    compiled=False,
):
    """Train `model`; return the History.

    Args:
        model: a Module; it is in training mode during the epochs and in evaluation mode after.
        x, y: (..., N, D) and (..., N), NumPy arrays or arrays of the backend; moved once, and x
            converted to the parameters' dtype.
        loss: loss(model, x, y) of a minibatch, a Tensor with one value for each of what leads.
        optimizer: an Optimizer of the model's parameters.
        shuffle: a seed or Generator, from which each epoch draws a new order of the rows; without
            it the batches are cut once and stay.
        on_epoch: called as on_epoch(number of epochs done, history) after each, in evaluation mode.
        compiled: whether to record the training step and replay it (see program): the same bits in
            less time, if there are some dozens of steps.

    Nothing waits for the device before the epoch ends.
    """
    x, y = backend.asarray(x), backend.asarray(y)
    x = x.astype(optimizer.values.dtype, copy=False)
    rows = x.shape[-2]
    if not 0 < rows == y.shape[-1]:
        raise ValueError(f"x has {rows} rows and y {y.shape[-1]}: they must be equally many, not 0")
    rng = None if shuffle is None else backend.host_rng(shuffle)
    batches = minibatches(x, y, batch_size)
    history = History()
    step = training_step(model, loss, optimizer)
    if compiled:
        from .program import compile  # here, since not everybody needs it

        step = compile(step)
    model.train()
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        if rng is not None:
            batches = minibatches(x, y, batch_size, order=xp.asarray(rng.permutation(rows)))
        total = 0.0
        for x_batch, y_batch in batches:
            total = total + step(x_batch, y_batch) * (x_batch.shape[-2] / rows)
        history.losses.append(backend.to_numpy(total))
        history.seconds.append(time.perf_counter() - start)
        if on_epoch is not None:
            model.eval()
            on_epoch(epoch, history)
            model.train()
    model.eval()
    return history
