"""Optimizers. All parameters live in one flat array, of which each parameter is a view.

So a step is a handful of array operations however many parameters there are, and as many kernel
launches on a GPU. The gradients are views of a second flat array: backward writes them there.
"""

from .backend import xp
from .engine import Exchangeable, touch


class Optimizer(Exchangeable):
    """Base class: gathers the parameters, checks that they stay gathered.

    Args:
        parameters: Tensors of one dtype; those that require no gradient are left out.
        lr: the learning rate.

    A parameter that no loss depends on has the gradient 0: momentum and weight decay still move it.

    Raises:
        ValueError: no parameters, one given twice, one that an op made, or several dtypes.
    """

    changing: tuple[str, ...] = ("lr",)  # numbers that may be others at the next step

    def __init__(self, parameters, lr):
        self.parameters = [p for p in parameters if p.requires_grad]
        self.lr = lr
        if not self.parameters:
            raise ValueError("no parameter requires a gradient: there is nothing to optimize")
        if len({id(p) for p in self.parameters}) < len(self.parameters):
            raise ValueError("a parameter is given twice")
        made = sorted({p.op for p in self.parameters if p.op is not None})
        if made:
            raise ValueError(f"only leaves can be optimized, not results of the ops {made}")
        dtypes = {str(p.dtype) for p in self.parameters}
        if len(dtypes) > 1:
            raise ValueError(f"the parameters must share one dtype, these have {sorted(dtypes)}")
        self.values = xp.concatenate([p.data.reshape(-1) for p in self.parameters])
        self.gradients = xp.zeros_like(self.values)
        self.views = []
        end = 0
        for p in self.parameters:
            begin, end = end, end + p.size
            p.data = self.values[begin:end].reshape(p.shape)
            p.grad = None
            p.grad_home = self.gradients[begin:end].reshape(p.shape)
            self.views.append((p, p.data, p.grad_home))

    def zero_grad(self):
        """Forget all gradients: before each backward, which adds to those that are there."""
        for p in self.parameters:
            p.grad = None

    def step(self):
        """Move the parameters by the gradients that backward has left.

        They change in place: backward through a graph recorded before a step is then an error.
        """
        for p, data, grad in self.views:
            if p.data is not data:
                raise RuntimeError(
                    f"a parameter of shape {p.shape} has got another array since the optimizer was "
                    "made: write into it (p.data[...] = values) or make a new optimizer"
                )
            if p.grad is not grad:  # the loss did not depend on p, or p.grad was set by hand
                grad[...] = 0 if p.grad is None else p.grad
        self.update(self.values, self.gradients)
        touch(self.parameters)

    def update(self, p, g):
        """Change the flat parameters `p` in place, given the flat gradients `g`."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent, with momentum: v <- momentum v + g; p <- p - lr v.

    Nesterov's variant looks one step ahead: p <- p - lr (g + momentum v) (Sutskever et al. 2013, in
    the form of PyTorch). `weight_decay` adds weight_decay * p to the gradient.
    """

    def __init__(self, parameters, lr=1e-2, momentum=0.0, nesterov=False, weight_decay=0.0):
        super().__init__(parameters, lr)
        if nesterov and not momentum:
            raise ValueError("Nesterov's method needs a momentum > 0")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay
        self.velocity = xp.zeros_like(self.values)

    def update(self, p, g):
        if self.weight_decay:
            g = g + self.weight_decay * p
        if self.momentum:
            self.velocity *= self.momentum
            self.velocity += g
            g = g + self.momentum * self.velocity if self.nesterov else self.velocity
        p -= self.lr * g


class Adam(Optimizer):
    """Kingma & Ba 2015, Algorithm 1. `weight_decay` adds weight_decay * p to the gradient (L2)."""

    changing = ("lr", "steps")

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(parameters, lr)
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay
        self.mean = xp.zeros_like(self.values)  # m: of the gradients
        self.square = xp.zeros_like(self.values)  # v: of their squares
        self.work = xp.empty_like(self.values)
        self.steps = 0

    def update(self, p, g):
        self.descend(p, g + self.weight_decay * p if self.weight_decay else g)

    def descend(self, p, g):
        self.steps += 1
        beta1, beta2 = self.betas
        m, v, work = self.mean, self.square, self.work

        m *= beta1
        m += xp.multiply(g, 1 - beta1, out=work)
        v *= beta2
        xp.multiply(g, g, out=work)
        v += xp.multiply(work, 1 - beta2, out=work)

        # Both averages start at 0; m / c1 and v / c2 are free of that bias. With r = sqrt(c2),
        #   lr (m / c1) / (sqrt(v / c2) + eps) = (lr r / c1) m / (sqrt(v) + eps r).
        c1, r = 1 - beta1**self.steps, (1 - beta2**self.steps) ** 0.5
        xp.sqrt(v, out=work)
        work += self.eps * r
        xp.divide(m, work, out=work)
        work *= self.lr * r / c1
        p -= work


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p, apart from the gradient's
    step (Loshchilov & Hutter 2019, Algorithm 2, in the form of PyTorch: lr scales the decay)."""

    def __init__(self, parameters, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, p, g):
        p *= 1 - self.lr * self.weight_decay
        self.descend(p, g)
