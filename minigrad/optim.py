"""Optimizers. All parameters live in one flat array, of which each parameter is a view.

So a step is a handful of array operations however many parameters there are, and as many kernel
launches on a GPU. The gradients are views of a second flat array: backward writes them there.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy

from . import backend, elsewhere
from .backend import Kernel, xp
from .checks import (
    check_counts,
    check_flags,
    check_pairs,
    check_positive,
    check_rates,
    check_state,
)
from .contract import check_gradient
from .engine import Tensor
from .exchanges import Exchangeable, touch

if not TYPE_CHECKING:
    __getattr__ = elsewhere.telling(__name__, elsewhere.OPTIM)


class Optimizer(Exchangeable):
    """Base class: gathers the parameters, checks that they stay gathered.

    Args:
        parameters: Tensors of one dtype, ``model.parameters()``; those that require no gradient are
            left out.
        lr: the learning rate, which may be changed between steps; for a stack of replicas it may
            be an array (R,), one for each, and so may a `weight_decay`. A replica then makes the
            steps that it would make with its number alone, to the last bit.

    A parameter that no loss depends on has the gradient 0: momentum and weight decay still move it.
    The gradients of one step are overwritten by the next: copy what you want to keep. The data of
    all parameters become views of one array: a view that was taken before is one of another array.
    Copies and pickles of an optimizer together with its model train on.

    Raises:
        ValueError: no parameters, one given twice, one that an op made, several dtypes, or an
            option out of its range.
        TypeError: anything but Tensors.
    """

    changing: tuple[str, ...] = ("lr",)  # numbers that may be others at the next step
    options: tuple[str, ...] = ("lr",)  # what `repr` shows
    state: tuple[str, ...] = ()  # what `state_dict` saves
    limits: dict[str, Callable] = {}  # {option: the check of what it is set to, then or later}
    # What it has gathered, once and for all: to exchange one of them would train nothing.
    gathered = "parameters", "values", "gradients", "views"
    # Other attributes are declared in a class, too: so `adam.learning_rate = 1` is an error.
    parameters: Any = ()
    values: Any = None
    gradients: Any = None
    views: Any = ()
    weight_decay: Any = 0.0

    def __init__(self, parameters: Iterable[Tensor], lr):
        self.parameters = tuple(p for p in _tensors(parameters) if p.requires_grad)
        if not self.parameters:
            raise ValueError("no parameter requires a gradient: there is nothing to optimize")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise ValueError("a parameter is given twice")
        arrays = [p.data for p in self.parameters]
        if any(xp.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2)):
            raise ValueError(
                "two parameters share memory, which they will not as views of one flat array: use "
                "one Tensor in both places, or copy the array"
            )
        made = sorted({p.op for p in self.parameters if p.op is not None})
        if made:
            raise ValueError(f"only leaves can be optimized, not results of the ops {made}")
        dtypes = {str(p.dtype) for p in self.parameters}
        if len(dtypes) > 1:
            raise ValueError(f"the parameters must share one dtype, these have {sorted(dtypes)}")
        self._gather()
        self.lr = lr

    def _gather(self):
        """Move all parameters, and what gradients they have, into flat arrays of which they become
        views."""
        self.values = xp.concatenate([p.data.reshape(-1) for p in self.parameters])
        self.gradients = xp.zeros_like(self.values)
        self.views = []
        end = 0
        for p in self.parameters:
            begin, end = end, end + p.size
            p.data = self.values[begin:end].reshape(p.shape)
            p.grad_home = self.gradients[begin:end].reshape(p.shape)
            if p.grad is not None:
                p.grad_home[...] = p.grad
                p.grad = p.grad_home
            self.views.append((p, p.data, p.grad_home))

    def __getstate__(self):
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("values", "gradients", "views")
        }

    def __setstate__(self, state):
        """A copy's parameters come as arrays of their own: they are gathered anew."""
        vars(self).update(state)
        self._gather()

    def __setattr__(self, name, value):
        # A number that is being recorded has a .real, too, and passes.
        if name in ("lr", "weight_decay") and (
            isinstance(value, (Number, numpy.ndarray)) or not hasattr(value, "real")
        ):
            value = self._checked_rate(name, value)
        elif name in self.gathered and name in vars(self):
            raise AttributeError(f"the {name} of an optimizer stay what they are: make another")
        elif name in self.limits:
            self.limits[name](**{name: value})
        elif name not in self.options and name not in self.state and not hasattr(self, name):
            raise AttributeError(
                f"{type(self).__name__} has no {name!r}: its options are {', '.join(self.options)}"
                f" (what else a class of optimizers keeps is declared there, {name} = None)"
            )
        super().__setattr__(name, value)

    def _checked_rate(self, name, value):
        """A number as it is; (R,), one for each replica, as a flat array like `values`, in double
        precision: what is computed from a number alone is, too."""
        if getattr(value, "shape", None) == self.values.shape:
            return value  # it has been through here before
        rates = numpy.asarray(value)
        if rates.dtype.kind not in "iuf" or not ((rates >= 0) & (rates < math.inf)).all():
            raise ValueError(f"{name} must be 0 or above, not {value!r}")
        if rates.ndim == 0:
            return float(value)
        rows = []
        for p in self.parameters:
            if p.shape[: rates.ndim] != rates.shape:
                raise ValueError(
                    f"{name} of shape {rates.shape}: it is a number, or has the shape with which "
                    f"all parameters of a stack begin; one has the shape {p.shape}"
                )
            column = rates.reshape(rates.shape + (1,) * (p.ndim - rates.ndim))
            rows.append(numpy.broadcast_to(column, p.shape).reshape(-1))
        return xp.asarray(numpy.concatenate(rows).astype("float64"))

    def rounded(self, rate):
        """What a step multiplies by: a number as it is, an array in the parameters' dtype."""
        return rate.astype(self.values.dtype) if hasattr(rate, "dtype") else rate

    def decayed(self, p, g):
        """The gradient, with weight_decay * p added to it (L2)."""
        if isinstance(self.weight_decay, float) and not self.weight_decay:
            return g
        return g + self.rounded(self.weight_decay) * p

    def zero_grad(self):
        """Forget all gradients: before each backward, which adds to those that are there."""
        for p in self.parameters:
            p.grad = None

    def step(self):
        """Move the parameters by the gradients that backward has left.

        They change in place: backward through a graph recorded before a step is then an error.

        Raises:
            RuntimeError: a parameter that was given another array, frozen or replaced in its module
                since the optimizer was made, or no gradient at all.
        """
        self._complete_gradients()
        if self.update(self.values, self.gradients) is not None:
            raise TypeError(f"{type(self).__name__}.update changes p in place, and returns nothing")
        touch(self.parameters)

    def _complete_gradients(self):
        """See to it that the flat gradients are those of the parameters."""
        missing = 0
        for p, data, grad in self.views:
            if p._data is not data or not p._requires_grad:
                frozen, moved = "been frozen", "got another array (another optimizer's?)"
                raise RuntimeError(
                    f"a parameter of shape {p.shape} has {frozen if p.data is data else moved} "
                    "since the optimizer was made: make a new optimizer (to give it other values "
                    "write p.data[...] = values)"
                )
            if p.grad is not grad:  # the loss did not depend on p, or p.grad was set by hand
                if p.grad is None and p.grad_home is not grad:
                    raise RuntimeError(
                        f"a parameter of shape {p.shape} was replaced in its module since the "
                        "optimizer was made, which would not train the new one: make a new "
                        "optimizer"
                    )
                missing += p.grad is None
                if p.grad is not None:
                    check_gradient(p)
                grad[...] = 0 if p.grad is None else p.grad
                p.grad = grad
        if missing == len(self.views):
            raise RuntimeError(
                "no parameter of this optimizer has a gradient: call backward() first, of a loss "
                "that depends on them (are they those of another model, or were they replaced?)"
            )

    def clip_value(self, limit):
        """Between backward and step: limit every element of the gradients to [-limit, limit]."""
        check_positive(limit=limit)
        self._complete_gradients()
        xp.clip(self.gradients, -limit, limit, out=self.gradients)

    def clip_norm(self, limit, replicas=()):
        """Between backward and step: shorten the gradient to the length `limit`, if it is longer.

        For a stack give its ``model.replicas``: each replica's gradient has its own length.
        Returns the lengths before, an array of shape `replicas`.
        """
        check_positive(limit=limit)
        n = len(replicas) if isinstance(replicas, tuple) else -1
        if any(p.shape[:n] != replicas for p in self.parameters):
            raise ValueError(
                f"replicas={replicas!r}: it is the tuple of axes, model.replicas, with which the "
                f"shapes of all parameters begin, as {self.parameters[0].shape}"
            )
        self._complete_gradients()
        gradients = [grad for _, _, grad in self.views]
        squares = sum((g * g).reshape(*replicas, -1).sum(axis=-1) for g in gradients)
        norm = xp.sqrt(squares)
        scale = limit / xp.maximum(norm, limit)
        for g in gradients:
            g *= scale.reshape(scale.shape + (1,) * (g.ndim - scale.ndim))
        return norm

    def update(self, p, g):
        """Change the flat parameters `p` in place, given the flat gradients `g`."""
        raise NotImplementedError(f"{type(self).__name__} defines no update(p, g)")

    def state_dict(self) -> dict[str, numpy.ndarray]:
        """{name: NumPy array}: copies of what the optimizer remembers between steps; by the shapes
        of its parameters, one after the other, the state of another model is known."""
        state = {name: backend.to_numpy(getattr(self, name)).copy() for name in self.state}
        shapes = [n for p in self.parameters for n in (p.ndim, *p.shape)]
        return state | {"parameter_shapes": numpy.array(shapes)}

    def load_state_dict(self, state):
        """Go on from a `state_dict`. One that does not fit changes nothing and is a ValueError."""
        new = check_state(self.state_dict(), state)
        for name in self.state:
            kept = getattr(self, name)
            if isinstance(kept, int):
                setattr(self, name, int(new[name]))
            else:
                kept[...] = xp.asarray(new[name])  # in place: a compiled step goes on with it

    def __repr__(self):
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.options)
        count = f"{len(self.parameters)} parameters, {self.values.size:,} numbers"
        return f"{type(self).__name__}({options})  {count}"


elsewhere.tell(Optimizer, elsewhere.OPTIMIZER)


def _tensors(parameters):
    """The list of them; a TypeError says what else it is that was given."""
    if not isinstance(parameters, (Tensor, str)) and isinstance(parameters, Iterable):
        parameters = list(parameters)
        others = {type(p).__name__ for p in parameters if not isinstance(p, Tensor)}
        if not others:
            return parameters
        what = f"an iterable of {', '.join(sorted(others))}"
    else:
        what = f"one {type(parameters).__name__}"
    raise TypeError(
        f"an optimizer takes a list of Tensors, as in model.parameters() or [w], not {what}"
    )


class SGD(Optimizer):
    """Gradient descent, with momentum: v <- momentum v + g; p <- p - lr v.

    Nesterov's variant looks one step ahead: p <- p - lr (g + momentum v) (Sutskever et al. 2013, in
    the form of PyTorch). `weight_decay` adds weight_decay * p to the gradient.
    """

    options = ("lr", "momentum", "nesterov", "weight_decay")
    state = ("velocity",)
    limits = {"momentum": check_rates, "nesterov": check_flags}

    def __init__(self, parameters, lr=1e-2, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr)
        if nesterov and not momentum:
            raise ValueError("Nesterov's method needs a momentum > 0")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocity = xp.zeros_like(self.values)

    def update(self, p, g):
        g = self.decayed(p, g)
        if self.momentum:
            self.velocity *= self.momentum
            self.velocity += g
            g = g + self.momentum * self.velocity if self.nesterov else self.velocity
        p -= self.rounded(self.lr) * g


def check_betas(betas):
    """A pair of rates."""
    check_pairs(betas=betas)
    check_rates(beta1=betas[0], beta2=betas[1])


class Adam(Optimizer):
    """Kingma & Ba 2015, Algorithm 1. `weight_decay` adds weight_decay * p to the gradient (L2)."""

    changing = ("lr", "steps")
    options = ("lr", "betas", "eps", "weight_decay")
    state = ("mean", "square", "steps")
    limits = {"betas": check_betas, "eps": check_positive, "steps": check_counts}
    work: Any = None  # room for what a step computes on its way

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.mean = xp.zeros_like(self.values)  # m: of the gradients
        self.square = xp.zeros_like(self.values)  # v: of their squares
        self.work = xp.empty_like(self.values)
        self.steps = 0

    def update(self, p, g):
        self.descend(p, self.decayed(p, g))

    def descend(self, p, g):
        vars(self)["steps"] += 1  # past __setattr__: there is nothing to check
        beta1, beta2 = self.betas
        # Both averages start at 0; m / c1 and v / c2 are free of that bias. With r = sqrt(c2),
        #   lr (m / c1) / (sqrt(v / c2) + eps) = (lr r / c1) m / (sqrt(v) + eps r).
        c1, r = 1 - beta1**self.steps, (1 - beta2**self.steps) ** 0.5
        rate = self.rounded(self.lr * r / c1)
        rates = beta1, 1 - beta1, beta2, 1 - beta2, self.eps * r, rate
        xp.adam(g, *rates, out=(p, self.mean, self.square, self.work))


@Kernel(
    "T g, T keep1, T take1, T keep2, T take2, T eps, T rate",
    "T p, T m, T v, T work",
    """
    m = m * keep1 + g * take1;
    v = v * keep2 + g * g * take2;
    p -= m / (sqrt(v) + eps) * rate;
    """,
)
def adam(g, keep1, take1, keep2, take2, eps, rate, out):
    """Move the averages m, of g, and v, of its squares, and then the parameters p, all in place.

    `work` is room for what is computed on the way.
    """
    p, m, v, work = out
    if isinstance(g, numpy.ndarray):  # neither on a GPU nor while a step is compiled
        keep1, take1, keep2, take2 = _constants(g.dtype, keep1, take1, keep2, take2)
    m *= keep1
    m += xp.multiply(g, take1, out=work)
    v *= keep2
    xp.multiply(g, g, out=work)
    v += xp.multiply(work, take2, out=work)
    xp.sqrt(v, out=work)
    work += eps
    xp.divide(m, work, out=work)
    work *= rate
    p -= work
    return out


@functools.lru_cache
def _constants(dtype, *numbers):
    """Numbers as arrays (): NumPy then takes half the time for numbers times a small array."""
    return [numpy.array(number, dtype) for number in numbers]


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p, apart from the gradient's
    step (Loshchilov & Hutter 2019, Algorithm 2, in the form of PyTorch: lr scales the decay)."""

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, p, g):
        p *= self.rounded(1 - self.lr * self.weight_decay)
        self.descend(p, g)
