"""fit(): the loop that every demo shares."""

import reprlib
import time
from dataclasses import dataclass, field
from typing import Any

import numpy

from . import backend
from .backend import xp
from .checks import (
    check_counts,
    check_flags,
    check_functions,
    check_given,
    check_kind,
    check_pairs,
    check_positive,
    check_sizes,
)
from .contract import explained
from .data import LazyRows, minibatches
from .engine import Tensor
from .modes import no_grad
from .nn import Module
from .optim import Optimizer

# So many rows of the validation data are looked at together, which bounds the memory.
VALIDATION_ROWS = 4096


@dataclass
class History:
    """What happened, epoch by epoch.

    losses: the mean training loss of each epoch, a NumPy array of shape (...): one per replica.
    validation: the mean loss on the validation data after each epoch, likewise.
    seconds: the time of each epoch's training, without validation and callback; where the step is
        compiled, its recording is in the first.
    """

    losses: list = field(default_factory=list)
    validation: list = field(default_factory=list)
    seconds: list = field(default_factory=list)

    def __repr__(self):
        says = [f"{len(self.losses)} epoch{'s' * (len(self.losses) != 1)}"]
        for what, losses in (("loss", self.losses), ("validation", self.validation)):
            if losses:
                first, last = numpy.mean(losses[0]), numpy.mean(losses[-1])
                mean = "mean " * bool(numpy.ndim(losses[0]))
                says.append(f"{mean}{what} {first:.3g} to {last:.3g}")
        return f"History({', '.join(says)})"


def training_step(model, loss, optimizer, clip_norm=None, clip_value=None):
    """step(x, y): one minibatch forward, backward and the optimizer; the losses (...), an array.

    The sum of the losses is what is differentiated, so each replica's gradient is what it would be
    alone. ``compile(training_step(...))`` makes a program of it.
    """
    check_kind(Module, model=model)
    check_kind(Optimizer, optimizer=optimizer)
    replicas = model.replicas

    def step(x, y):
        optimizer.zero_grad()
        value = one_for_each_replica(loss, model, x, y, replicas)
        (value.sum() if replicas else value).backward()
        if clip_value is not None:
            optimizer.clip_value(clip_value)
        if clip_norm is not None:
            optimizer.clip_norm(clip_norm, replicas)
        optimizer.step()
        return value.data

    return step


@explained
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
    schedule=None,
    clip_norm=None,
    clip_value=None,
    validation=None,
    keep_best=False,
    on_epoch=None,
    compiled=False,
):
    """Train `model`; return the History.

    Rows and replicas: x is (N, ...) and y (N, ...), N rows of any shape. If the model is a stack,
    all its replicas get these rows; or each gets its own, with the axes ``model.replicas`` in front
    of both, x (R, N, ...) and y (R, N, ...). Data that begin with the replicas' axes are the
    replicas' own.

    Args:
        model: a Module; it is in training mode during the epochs and in evaluation mode after.
        x, y: NumPy arrays, arrays of the backend, Tensors or lists. They are checked, moved, and
            floating-point numbers converted to the parameters' dtype, once. For data that take too
            much memory x may be LazyRows (see data), which are asked for batch by batch. Of a model
            that has `num_classes` integers in y are labels, 0 ... num_classes - 1. (Of another, a
            compiled step takes others without a word: see `functional.cross_entropy`.)
        loss: loss(model, x, y) of the Tensors of a minibatch: a Tensor of shape ``model.replicas``,
            one number for each.
        optimizer: an Optimizer of the model's parameters.
        batch_size: the most rows in a minibatch; they are as even as they can be.
        shuffle: a seed or Generator, from which each epoch draws a new order of the rows; without
            it the batches are cut once and stay.
        schedule: the learning rate as a function of the number of steps done, from 0.
        clip_norm, clip_value: limits of the gradient's length and of its elements (see Optimizer).
        validation: (x, y), whose loss is taken after each epoch, in evaluation mode.
        keep_best: leave the model, in the end, as it was after the epoch with the lowest validation
            loss, each replica after its own.
        on_epoch: called as on_epoch(number of epochs done, history) after each, in evaluation mode;
            training stops when it returns True.
        compiled: whether to record the training step and replay it (see program): the same bits in
            less time, if there are some dozens of steps.

    Nothing waits for the device before the epoch ends.

    Raises:
        ValueError, TypeError: data or options that do not fit, before anything is trained.
    """
    check_kind(Module, model=model)
    check_kind(Optimizer, optimizer=optimizer)
    check_counts(epochs=epochs)
    check_sizes(batch_size=batch_size)
    check_flags(keep_best=keep_best, compiled=compiled)
    check_functions(loss=loss)
    check_given(check_functions, schedule=schedule, on_epoch=on_epoch)
    check_given(check_positive, clip_norm=clip_norm, clip_value=clip_value)
    check_given(check_pairs, validation=validation)
    if keep_best and validation is None:
        raise ValueError("keep_best needs validation=(x, y): the best epoch is chosen by its loss")
    _require_own_parameters(model, optimizer)
    x, y, axis = _prepare(x, y, model, optimizer)
    unseen = None if validation is None else _Validation(model, loss, optimizer, *validation)
    best = _Best(model) if keep_best else None
    if isinstance(shuffle, bool):
        raise ValueError(f"shuffle={shuffle} is no seed: give a number, or None to keep the order")
    rng = None if shuffle is None else backend.host_rng(shuffle)
    batches = _tensors(x, y, batch_size, axis)
    rows = x.shape[axis]
    step: Any = training_step(model, loss, optimizer, clip_norm, clip_value)
    if compiled:
        from .program import compile  # here, since not everybody needs it

        step = compile(step)
    model.train()
    history, steps = History(), 0
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        if rng is not None:
            order = xp.asarray(rng.permutation(rows))
            batches = _tensors(x, y, batch_size, axis, order)
        total = 0.0
        for x_batch, y_batch in batches:
            if schedule is not None:
                optimizer.lr = schedule(steps)
            if isinstance(x_batch, LazyRows):
                x_batch = Tensor(x_batch)
            total = total + step(x_batch, y_batch) * (x_batch.shape[axis] / rows)
            steps += 1
        history.losses.append(backend.to_numpy(total))
        history.seconds.append(time.perf_counter() - start)
        if unseen is not None or on_epoch is not None:
            model.eval()
            if unseen is not None:
                history.validation.append(unseen.losses())
            if best is not None:
                best.compare(history.validation[-1])
            if on_epoch is not None and on_epoch(epoch, history):
                break
            _require_own_parameters(model, optimizer)  # still
            model.train()
    model.eval()
    if best is not None:
        best.restore()
    return history


def one_for_each_replica(loss, model, x, y, replicas):
    """loss(model, x, y), of which a wrong call and a wrong shape are explained."""
    try:
        value = loss(model, x, y)
    except (TypeError, AttributeError) as error:
        error.add_note(
            "fit calls loss(model, x, y): say lambda m, x, y: cross_entropy(m(x), y), or "
            "type(model).loss of a Classifier"
        )
        raise
    shape = getattr(value, "shape", None)
    if not isinstance(value, Tensor) or shape != replicas:
        raise ValueError(
            f"loss(model, x, y) must be a Tensor of shape {replicas}, one number for each replica, "
            f"not {type(value).__name__} of shape {shape}: take the mean over all other axes"
        )
    return value


# --- the data, at the door -------------------------------------------------------------------


def _require_own_parameters(model, optimizer):
    """An optimizer may hold fewer than the model's parameters (the others stay) or more, but not
    others in place of them."""
    ours = {id(p) for p in model.parameters() if p.requires_grad}
    held = {id(p) for p in optimizer.parameters}
    if ours - held and held - ours:
        raise ValueError(
            f"the optimizer holds {len(held - ours)} parameters that the model does not have, and "
            f"lacks {len(ours - held)} of the model's: it is another model's, or parameters were "
            "replaced since it was made"
        )


def _prepare(x, y, model, optimizer):
    """x and y as checked arrays of the backend, and the axis of their rows."""
    dtype, replicas = optimizer.values.dtype, model.replicas
    x = _array("x", x, dtype)
    y = _array("y", y, dtype, classes=getattr(model, "num_classes", None))
    lead = len(replicas)
    # x has at least one axis behind the rows, which y need not have.
    x_leads = x.shape[:lead] == replicas and x.ndim > lead + 1
    y_leads = y.shape[:lead] == replicas and y.ndim > lead and x.ndim > lead + 1
    axis = lead if x_leads and y_leads else 0
    if x_leads != y_leads or x.ndim < axis + 2 or not 0 < x.shape[axis] == y.shape[axis]:
        own = f", or for each replica its own, ({', '.join(map(str, replicas))}, N, ...) both"
        raise ValueError(
            f"x {x.shape} and y {y.shape} do not fit: expected x (N, features ...) and y (N, ...) "
            f"with the same number of rows N > 0{own if lead else ''}"
        )
    return x, y, axis


def _array(name, data: Any, dtype, classes=None) -> Any:
    """Numbers as an array of the backend; floating-point ones, and all of x, in the given dtype.
    LazyRows of that dtype stay what they are.

    What lies on a GPU already is not searched for NaN, nor for labels that are none of `classes`:
    it would have to be waited for.
    """
    if isinstance(data, LazyRows):
        if data.dtype == dtype:
            return data
        data = numpy.asarray(data)
    if isinstance(data, Tensor):
        data = data.data
    backend.refuse_masked(data)
    if not isinstance(data, xp.ndarray):
        try:
            data = numpy.asarray(data)
        except ValueError as error:  # rows of several lengths, or pairs (x, y)
            raise ValueError(f"{name} must be an array, one row for each point: {error}") from None
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers, not {data.dtype}: {reprlib.repr(data)}")
    if name == "x" or data.dtype.kind == "f":
        data = data.astype(dtype, copy=False)
    if isinstance(data, numpy.ndarray) and not numpy.isfinite(data).all():
        raise ValueError(f"{name} holds NaN or infinity, as {dtype}")
    are_labels = isinstance(data, numpy.ndarray) and data.dtype.kind in "iu" and data.size > 0
    if classes and are_labels and not 0 <= data.min() <= data.max() < classes:
        raise ValueError(
            f"labels from {data.min()} to {data.max()} for the model's {classes} classes: they are "
            f"numbered from 0 to {classes - 1}"
        )
    return xp.asarray(data)


def _tensors(x, y, batch_size, axis, order=None):
    batches = minibatches(x, y, batch_size, axis=axis, order=order)
    lazy = isinstance(x, LazyRows)
    return [(x_batch if lazy else Tensor(x_batch), Tensor(y_batch)) for x_batch, y_batch in batches]


# --- validation ------------------------------------------------------------------------------


class _Validation:
    """Data that are not trained on, and their loss."""

    def __init__(self, model, loss, optimizer, x, y):
        self.model, self.loss = model, loss
        x, y, self.axis = _prepare(x, y, model, optimizer)
        self.rows = x.shape[self.axis]
        self.batches = _tensors(x, y, VALIDATION_ROWS, self.axis)

    def losses(self):
        """The mean loss of each replica, a NumPy array of shape (...); in the mode that is on."""
        total = 0.0
        with no_grad():
            for x, y in self.batches:
                x = Tensor(x) if isinstance(x, LazyRows) else x
                value = one_for_each_replica(self.loss, self.model, x, y, self.model.replicas)
                total = total + value.data * (x.shape[self.axis] / self.rows)
        return backend.to_numpy(total)


class _Best:
    """Each replica's parameters and buffers as they were after its best epoch."""

    def __init__(self, model):
        self.model = model
        self.loss = numpy.full(model.replicas, numpy.inf)
        self.state = model.state_dict()

    def compare(self, loss):
        better = loss < self.loss
        self.loss = numpy.where(better, loss, self.loss)
        for name, now in self.model.state_dict().items():
            mask = better.reshape(better.shape + (1,) * (now.ndim - better.ndim))
            self.state[name] = numpy.where(mask, now, self.state[name])

    def restore(self):
        self.model.load_state_dict(self.state)
