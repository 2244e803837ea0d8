"""The twenty classic mistakes: each is an error that says what has happened, and what to do.

What else is misused, and refused, is in test_misuse.py.
"""

import re

import numpy as np
import pytest

from minigrad import Tensor, fit, no_grad, op, optim
from minigrad import functional as F
from minigrad.nn import Dropout, Linear


def w(*shape):
    size = int(np.prod(shape))
    return Tensor(np.arange(1, size + 1, dtype="float32").reshape(shape), requires_grad=True)


def logits():
    return w(4, 3)


def backward_twice():
    loss = (w(2) * 2).sum()
    loss.backward()
    loss.backward()


def add_in_place():
    x = w(2)
    x -= 0.1


def assign_an_element():
    w(2)[0] = 1.0


def step_before_backward():
    x = w(2)
    sgd = optim.SGD([x], lr=0.1)
    (x * x).sum().backward()
    loss = (x * x).sum()
    sgd.step()
    loss.backward()


def loss_under_no_grad():
    with no_grad():
        loss = (w(2) * 2).sum()
    loss.backward()


def step_without_backward():
    optim.SGD([w(2)], lr=0.1).step()


def replaced_parameter():
    layer = Linear(2, 2, rng=0)
    sgd = optim.SGD(layer.parameters(), lr=0.1)
    layer.weight.data = np.ones((2, 2), "float32")
    layer(w(1, 2)).sum().backward()
    sgd.step()


def all_losses_of_a_batch():
    layer = Linear(2, 2, rng=0)
    x, y = np.ones((4, 2), "float32"), np.zeros(4, int)
    sgd = optim.SGD(layer.parameters(), lr=0.1)
    fit(layer, x, y, lambda model, x, y: (model(x) * model(x)).sum(-1), sgd, epochs=1)


def a_rule_that_returns_its_value_only():
    @op
    def square(x):
        return x * x

    square(w(2))


ONE_ROW = np.ones(2, "float32")
DOUBLE = np.ones((1, 2))

# (the mistake, what does it, what the message says has happened, and what it says to do)
MISTAKES = [
    (
        "backward from many numbers",
        lambda: (w(2) * 2).backward(),
        r"of a Tensor of shape \(2,\) needs to know where to start",
        r"call \.sum\(\)\.backward\(\)",
    ),
    (
        "backward twice",
        backward_twice,
        r"the graph behind op sum was freed by an earlier backward\(\)",
        r"compute the loss again, or add the losses up",
    ),
    (
        "a loss that no_grad has not recorded",
        loss_under_no_grad,
        r"does not depend on any that requires a gradient",
        r"or was computed under no_grad\(\)",
    ),
    (
        "a step between forward and backward",
        step_before_backward,
        r"a leaf of shape \(2,\) was changed .* after op multiply had used it",
        r"compute the loss again",
    ),
    (
        "a step without backward",
        step_without_backward,
        r"no parameter of this optimizer has a gradient",
        r"call backward\(\) first",
    ),
    (
        "a parameter replaced behind the optimizer's back",
        replaced_parameter,
        r"a parameter of shape \(2, 2\) has got another array",
        r"make a new optimizer .*write p\.data\[\.\.\.\] = values",
    ),
    (
        "a parameter updated by -=",
        add_in_place,
        r"a leaf that requires a gradient is not changed by \+=, -=",
        r"write w\.data -= step",
    ),
    (
        "an element assigned",
        assign_an_element,
        r"the elements of a Tensor are not assigned to",
        r"ops\.where\(\), or write into its array",
    ),
    (
        "a gradient of integers",
        lambda: Tensor(np.arange(3), requires_grad=True),
        r"only floating-point data can require a gradient, not int64",
        r"\.astype\('float32'\)",
    ),
    (
        "a Tensor made of a Tensor",
        lambda: Tensor(w(2) * 2),
        r"would cut t off from its graph",
        r"use t, or t\.detach\(\)",
    ),
    (
        "a function of NumPy",
        lambda: np.mean(w(2)),
        r"numpy\.mean of a Tensor",
        r"use the function of ops or functional, or \.numpy\(\)",
    ),
    (
        "a list in place of an array",
        lambda: w(2) * [1.0, 2.0],
        r"a list where an array is expected",
        r"make a Tensor of it",
    ),
    (
        "a decision on many numbers",
        lambda: 1 if w(2) > 0 else 0,
        r"a Tensor of shape \(2,\) is neither true nor false",
        r"ask x\.data\.all\(\) or x\.data\.any\(\)",
    ),
    (
        "one row without a batch",
        lambda: Linear(2, 3, rng=0)(Tensor(ONE_ROW)),
        r"linear takes rows x \(\.\.\., B, D\) .*not float32 of shape \(2,\)",
        r"x\[None, :\] is one row",
    ),
    (
        "float64 data and float32 weights",
        lambda: Linear(2, 3, rng=0)(Tensor(DOUBLE)),
        r"of the weight's dtype float32, not float64",
        r"x\.astype\('float32'\) converts",
    ),
    (
        "classes counted from 1",
        lambda: F.cross_entropy(logits(), np.array([1, 2, 3, 3])),
        r"labels from 1 to 3 for 3 classes",
        r"numbered from 0 to 2",
    ),
    (
        "a column of targets that is a row",
        lambda: F.mse(w(4, 1), np.ones(4, "float32")),
        r"prediction \(4, 1\) and target \(4,\) differ in shape",
        r"target\[\.\.\., None\]",
    ),
    (
        "a dropout rate in percent",
        lambda: Dropout(50),
        r"not 50",
        r"must lie in \[0, 1\)",
    ),
    (
        "a rule without a vjp",
        a_rule_that_returns_its_value_only,
        r"this one returned a ndarray",
        r"a rule returns a tuple, its value and a vjp for each of its 1 arguments",
    ),
    (
        "a loss for each row in place of their mean",
        all_losses_of_a_batch,
        r"not Tensor of shape \(4,\)",
        r"take the mean over all other axes",
    ),
]


def test_there_are_twenty():
    assert len(MISTAKES) == len({row[0] for row in MISTAKES}) == 20


@pytest.mark.parametrize("mistake, what, to_do", [pytest.param(*r[1:], id=r[0]) for r in MISTAKES])
def test_a_classic_mistake_is_told_and_so_is_the_way_out(mistake, what, to_do):
    with pytest.raises(Exception) as caught:
        mistake()
    message = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert re.search(what, message), message
    assert re.search(to_do, message), message
