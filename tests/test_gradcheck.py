"""A check that never fails proves nothing: here it meets wrong gradients, one kind at a time."""

import numpy as np
import pytest

from minigrad import op, ops
from minigrad.backend import xp
from minigrad.gradcheck import GradientError, gradcheck

X = (3, 3)  # square, so that a transposed gradient has the right shape


def half_of_max(x):
    y = x.max(axis=-1, keepdims=True)
    return y, lambda g: g * (x == y) / 2


def softmax_without_its_sum(x):
    e = xp.exp(x)
    p = e / e.sum(axis=-1, keepdims=True)
    return p, lambda g: g * p


def softmax_over_the_wrong_axis(x):
    e = xp.exp(x)
    p = e / e.sum(axis=-1, keepdims=True)
    return p, lambda g: p * (g - (g * p).sum(axis=0, keepdims=True))


def layer_norm_with_constant_mean(x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred, lambda g: g


def repeated_index_counted_once(x):
    def vjp(g):
        gx = xp.zeros_like(x)
        gx[[0, 0]] = g
        return gx

    return x[[0, 0]], vjp


def writes_into_its_input(x):
    y = 2 * x
    x += 1
    return y, lambda g: 2 * g


# name: (the rule of a wrong op, its inputs)
WRONG = {
    "sign": (lambda x: (xp.cos(x), lambda g: g * xp.sin(x)), [X]),
    "missing factor": (lambda x: (x**2, lambda g: g * x), [X]),
    "missing inner derivative": (lambda x: (xp.exp(3 * x), lambda g: g * xp.exp(3 * x)), [X]),
    "transposed": (lambda x: (3 * x, lambda g: 3 * g.T), [X]),
    "not transposed back": (lambda x: (x.T, lambda g: g), [X]),
    "zero": (lambda x: (xp.tanh(x), lambda g: 0 * g), [X]),
    "ones": (lambda x: (xp.tanh(x), lambda g: g), [X]),
    "cotangent ignored": (lambda x: (3 * x, lambda g: 3 + 0 * g), [X]),
    "input in place of value": (lambda x: (xp.tanh(x), lambda g: g * (1 - x * x)), [X]),
    "wrong axis": (lambda x: (xp.cumsum(x, 0), lambda g: xp.cumsum(g[::-1], 1)[::-1]), [X]),
    "not reversed": (lambda x: (xp.cumsum(x, 0), lambda g: xp.cumsum(g, 0)), [X]),
    "mean like sum": (lambda x: (x.mean(-1, keepdims=True), lambda g: g + 0 * x), [X]),
    "inputs exchanged": (lambda x, y: (x * y, lambda g: g * x, lambda g: g * y), [X, X]),
    "second input wrong": (lambda x, y: (x - y, lambda g: g, lambda g: g), [X, X]),
    "second input called constant": (lambda x, y: (x - y, lambda g: g, None), [X, X]),
    "factor transposed": (lambda x, y: (x @ y, lambda g: g @ y, lambda g: x.T @ g), [X, X]),
    "truncated to integers": (lambda x: (3 * x, lambda g: (3 * g).astype("int64")), [X]),
    "rounded to float16": (lambda x: (3 * x, lambda g: (3 * g).astype("float16")), [X]),
    "repeated by broadcasting": (lambda x: (3 * x, lambda g: 3 * xp.stack([g, g])), [X]),
    "repeated index counted once": (repeated_index_counted_once, [X]),
    "not a number": (lambda x: (3 * x, lambda g: g * xp.nan), [X]),
    "one wrong element": (lambda x: (3 * x, lambda g: 3 * g + xp.eye(3) / 100), [X]),
    "zero-dimensional": (lambda x: (x * x, lambda g: g * x), [()]),
    "half of max": (half_of_max, [X]),
    "softmax without its sum": (softmax_without_its_sum, [X]),
    "softmax over the wrong axis": (softmax_over_the_wrong_axis, [X]),
    "layer norm with constant mean": (layer_norm_with_constant_mean, [X]),
    "input written to": (writes_into_its_input, [X]),
}


@pytest.mark.parametrize("rule, inputs", WRONG.values(), ids=WRONG)
def test_a_wrong_gradient_is_caught(rule, inputs):
    with pytest.raises(GradientError, match=r"input \d of shape"):
        gradcheck(op(rule), *inputs)


@pytest.mark.parametrize("gradient", [lambda g: g.sum(), lambda g: g[:1], lambda g: g[:, :, None]])
def test_a_gradient_of_another_shape_is_an_error_that_names_the_op(gradient):
    @op
    def crooked(x):
        return 3 * x, gradient

    with pytest.raises(Exception) as caught:
        gradcheck(crooked, (3, 4))
    assert "in the vjp of op crooked, whose input has shape (3, 4)" in caught.value.__notes__


def test_a_vjp_that_writes_into_its_gradient_is_caught():
    @op
    def greedy(x):
        def vjp(g):
            g *= 3
            return g

        return 3 * x, vjp

    with pytest.raises(ValueError, match="read-only") as caught:
        gradcheck(greedy, (3, 4))
    assert "in the vjp of op greedy, whose input has shape (3, 4)" in caught.value.__notes__


def test_the_message_says_which_input_and_both_numbers():
    @op
    def product(x, y):
        return x * y, lambda g: g * y, lambda g: -g * x

    message = r"input 1 of shape \(\): .* -?\d.* by central differences, -?\d.* by backward"
    with pytest.raises(GradientError, match=message):
        gradcheck(product, (3,), ())


def test_inputs_may_be_shapes_or_arrays_and_options_are_passed_on():
    gradcheck(ops.divide, (3, 4), np.full((1, 4), 2.0))
    gradcheck(ops.sum, (3, 4), axis=1, keepdims=True)


def test_the_seed_decides():
    """The same seed sees the same numbers, another seed others."""
    seen = []

    def remember(x):
        seen.append(x.numpy().copy())
        return x * 2

    for seed in (1, 1, 2):
        gradcheck(remember, (2,), seed=seed)
    first, again, other = seen[::3]
    assert np.array_equal(first, again) and not np.array_equal(first, other)
