"""Numerical gradient checks: shipped, because readers write ops too.

    from minigrad.gradcheck import gradcheck
    gradcheck(my_op, (3, 4), (1, 4))            # shapes, or arrays of your own

For a function f with Jacobian J, two numbers must agree, for a random v (of the shape of the value,
in the place of g) and a random direction u (of the shape of the input); <a, b> is the sum of a * b:

    <v, J u>      by central differences, (f(x + h u) - f(x - h u)) / 2h
    <J^T v, u>    by backward, started from v

Both random, in float64: a v of ones would not see a softmax whose backward returns 0, since the sum
of a softmax is 1 whatever x is.
"""

import numpy

from . import backend, ops
from .checks import check_functions, check_positive, check_sizes
from .engine import Tensor
from .higher import differentiable, grad


class GradientError(AssertionError):
    """A gradient that is not the derivative of the value."""


def gradcheck(function, *inputs, order=1, seed=0, step=1e-6, tolerance=1e-6, **options):
    """Check the gradient of function(*inputs, **options) for every input on its own.

    Args:
        function: of Tensors, returns a Tensor; deterministic (give it a fixed seed, if it draws).
        inputs: arrays, or shapes (tuples) to be filled with standard normal numbers. Stay away
            from kinks (relu at 0), where there is no derivative.
        order: 2 checks the derivatives of f's gradient (see `higher`) instead, and so on.
        step: h, relative to a direction of unit variance.
        tolerance: how far the two numbers may be apart, relative to their natural scale |v| |J u|.

    Raises:
        GradientError: names the input and both numbers.
    """
    check_sizes(order=order)
    check_positive(step=step, tolerance=tolerance)
    check_functions(function=function)
    if not inputs:
        raise ValueError("gradcheck needs the inputs of the function, or their shapes")
    rng = backend.host_rng(seed)
    arrays = [rng.standard_normal(x) if isinstance(x, tuple) else numpy.asarray(x) for x in inputs]
    for i, x in enumerate(arrays):
        if x.dtype.kind not in "biuf" or not numpy.isfinite(x).all():
            raise ValueError(f"input {i} must be finite real numbers, not {x}")
    arrays = [x.astype("float64") for x in arrays]

    if order > 1:
        v = rng.standard_normal(function(*map(Tensor, arrays), **options).shape)
        slope = gradient_along(v, function, len(arrays), **options)
        gradcheck(slope, *arrays, order=order - 1, seed=seed, step=step, tolerance=tolerance)
        return

    def evaluate(arrays):
        return backend.to_numpy(function(*map(Tensor, arrays), **options).data)

    tensors = [Tensor(x.copy(), requires_grad=True) for x in arrays]
    value = differentiable(function(*tensors, **options))
    v = numpy.asarray(rng.standard_normal(value.shape))
    v.flags.writeable = False  # a vjp that writes into its g would change another's
    value.backward(v)

    for i, (x, tensor) in enumerate(zip(arrays, tensors)):
        where = f"input {i} of shape {x.shape}"
        if tensor.grad is None:
            raise GradientError(f"{where}: no gradient arrived")
        gradient = backend.to_numpy(tensor.grad)
        if not numpy.array_equal(backend.to_numpy(tensor.data), x):
            raise GradientError(f"{where}: it was changed while computing")
        u = rng.standard_normal(x.shape)
        ahead = evaluate([*arrays[:i], x + step * u, *arrays[i + 1 :]])
        behind = evaluate([*arrays[:i], x - step * u, *arrays[i + 1 :]])
        change = (ahead - behind) / (2 * step)
        numerical, analytical = numpy.sum(v * change), numpy.sum(gradient * u)
        # The natural scale of <v, J u>; the value's share of it covers rounding in the differences.
        norm = numpy.linalg.norm
        scale = norm(v) * (norm(change) + 1e-3 * norm(backend.to_numpy(value.data)))
        if not abs(numerical - analytical) <= tolerance * scale:
            raise GradientError(
                f"{where}: its directional derivative is {numerical:.9g} by central differences, "
                f"{analytical:.9g} by backward"
            )


def gradient_along(v, function, inputs, **options):
    """The function that returns the gradient of <v, function> for all its inputs, in one row."""
    slope = grad(lambda *xs: (v * function(*xs, **options)).sum(), tuple(range(inputs)))

    def gradient(*xs):
        # + 0 x: also a gradient that does not depend on x has a derivative, which is 0.
        return ops.concatenate([(g + 0 * x).reshape(-1) for g, x in zip(slope(*xs), xs)])

    return gradient
