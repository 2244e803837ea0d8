"""Functions of each number between two layers, and gated units (activations)."""

import math

from ..backend import Kernel, xp
from ..engine import op
from ..ops import tanh
from .shared import require_floats


@op
def relu(x):
    """max(x, 0); the derivative at 0 is taken as 0."""
    y = xp.maximum(x, 0)
    return y, lambda g: xp.relu_gradient(g, y)


@Kernel("T g, T y", "T gx", "gx = g * T(y > 0)")
def relu_gradient(g, y):
    """What passes where y is above 0."""
    # With 0.0: NumPy takes twice the time with 0. And it takes longer for g times booleans.
    return g * (y > 0.0).astype(g.dtype)


def _sigmoid(x):
    require_floats(x)
    return xp.logistic(x)


def logistic_in_cuda(x):
    """What a kernel's code says for the logistic function of x."""
    return f"(T(1) / (exp({x} < T(-88) ? T(88) : -{x}) + T(1)))"


@Kernel("T x", "T y", f"y = {logistic_in_cuda('x')}")
def logistic(x):
    """1 / (1 + exp(-x))."""
    y = xp.asarray(-x)
    xp.minimum(y, 88, out=y)  # e^88 is still a float32, and 1 / (1 + e^88) = 6e-39 as good as 0
    xp.exp(y, out=y)
    y += 1
    return xp.reciprocal(y, out=y)


@op
def sigmoid(x):
    """1 / (1 + exp(-x)), without overflow."""
    y = _sigmoid(x)
    return y, lambda g: g * y * (1 - y)


@op
def silu(x):
    """x sigmoid(x): Hendrycks & Gimpel 2016; Elfwing et al. 2018."""
    s = _sigmoid(x)
    return x * s, lambda g: xp.silu_gradient(g, x, s)


@Kernel("T g, T x, T s", "T gx", "gx = g * s * (1 + x * (1 - s))")
def silu_gradient(g, x, s):
    """d(x s)/dx = s + x s (1 - s), since ds/dx = s (1 - s)."""
    return g * s * (1 + x * (1 - s))


@op
def gelu(x):
    """x Phi(x) by the tanh approximation of Hendrycks & Gimpel 2016 (NumPy has no erf)."""
    require_floats(x)
    a, b = math.sqrt(2 / math.pi), 0.044715
    c = xp.clip(x, -10, 10)  # beyond, the tanh is 1 to the last digit, and x^3 may overflow
    t = xp.tanh(a * (c + b * c * c * c))

    def vjp(g):
        # y = x (1 + t) / 2 and dt/dx = (1 - t^2) a (1 + 3 b x^2).
        return g * 0.5 * (1 + t + x * (1 - t * t) * a * (1 + 3 * b * c * c))

    return 0.5 * x * (1 + t), vjp


@op
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    require_floats(x)
    return xp.logaddexp(x, 0), lambda g: g * _sigmoid(x)


@op
def glu(x):
    """Gated linear unit, a * sigmoid(b) where x = [a, b] along the features (Dauphin et al. 2017).

    (..., B, 2H) -> (..., B, H). Fused for speed: two slices would each send back an array of zeros.
    """
    half = x.shape[-1] // 2
    if 2 * half != x.shape[-1]:
        raise ValueError(f"glu halves the features: {x.shape[-1]} is odd")
    gate, y = xp.gated(x[..., :half], x[..., half:])
    return y, lambda g: xp.glu_gradient(g, gate, y, half)


@Kernel("T a, T b", "T gate, T y", f"gate = {logistic_in_cuda('b')}; y = a * gate;")
def gated(a, b):
    """The gate sigmoid(b), and what it lets through of a."""
    gate = _sigmoid(b)
    return gate, a * gate


@Kernel(
    "raw T g, raw T gate, raw T y, int64 half",
    "raw T gx",
    """
    const long long a = i / half * 2 * half + i % half;
    gx[a] = g[i] * gate[i];
    gx[a + half] = g[i] * y[i] * (1 - gate[i]);
    """,
    threads=lambda g, gate, y, half: (g.size, (*g.shape[:-1], 2 * half)),
)
def glu_gradient(g, gate, y, half):
    """The gradients of a and of b, side by side, where y = a gate: da s(b)/db = a s (1 - s)."""
    gx = xp.empty((*g.shape[:-1], 2 * half), g.dtype)
    gx[..., :half] = g * gate
    gx[..., half:] = g * y * (1 - gate)
    return gx


ACTIVATIONS = {f.__name__: f for f in (relu, sigmoid, tanh, silu, gelu, softplus)}


def activation(choice):
    """The activation function of that name; a function is returned as it is."""
    if callable(choice):
        return choice
    if not isinstance(choice, str) or choice not in ACTIVATIONS:
        raise ValueError(
            f"unknown activation {choice!r}: choose one of {', '.join(ACTIVATIONS)}, or a function"
        )
    return ACTIVATIONS[choice]
