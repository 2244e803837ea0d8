"""Optimizers against the same update in a few lines of NumPy, and the flat array behind them."""

import copy
import pickle

import numpy as np
import pytest

from minigrad import Tensor, compile, fit, functional, nn
from minigrad.optim import SGD, Adam, AdamW
from minigrad.training import training_step

# The references: update(p, g, state, t) returns the new p, for step t = 1, 2, ...


def sgd(p, g, state, t, lr=1e-2, momentum=0.0, nesterov=False, weight_decay=0.0):
    g = g + weight_decay * p
    v = state["v"] = momentum * state.get("v", 0) + g
    return p - lr * (g + momentum * v if nesterov else v)


def adam(p, g, state, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    g = g + weight_decay * p
    m = state["m"] = betas[0] * state.get("m", 0) + (1 - betas[0]) * g
    v = state["v"] = betas[1] * state.get("v", 0) + (1 - betas[1]) * g**2
    return p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(p, g, state, t, lr=1e-3, weight_decay=1e-2, **options):
    return adam(p, g, state, t, lr=lr, **options) - lr * weight_decay * p


@pytest.mark.parametrize(
    "optimizer, reference, options",
    [
        (SGD, sgd, {}),
        (SGD, sgd, {"lr": 0.1}),
        (SGD, sgd, {"lr": 0.1, "momentum": 0.9}),
        (SGD, sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (SGD, sgd, {"lr": 0.1, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
        (SGD, sgd, {"weight_decay": 0.3}),
        (Adam, adam, {}),
        (Adam, adam, {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-2}),
        (Adam, adam, {"weight_decay": 0.3}),
        (AdamW, adamw, {}),
        (AdamW, adamw, {"lr": 0.1, "betas": (0.5, 0.9), "weight_decay": 0.3}),
    ],
    ids=lambda x: x.__name__ if callable(x) else str(x),
)
def test_several_steps_against_the_reference(optimizer, reference, options):
    rng = np.random.default_rng(0)
    shapes = [(2, 3), (), (1, 4)]
    parameters = [Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    expected = [p.data.copy() for p in parameters]
    states = [{} for _ in shapes]
    ours = optimizer(parameters, **options)
    for t in range(1, 8):
        gradients = [rng.standard_normal(shape) * 10.0 ** rng.integers(-3, 3) for shape in shapes]
        ours.zero_grad()
        for p, g in zip(parameters, gradients):
            (p * g).sum().backward()
        ours.step()
        expected = [reference(*row, t, **options) for row in zip(expected, gradients, states)]
    for p, e in zip(parameters, expected):
        np.testing.assert_allclose(p.data, e, rtol=1e-10)


def test_adam_finds_the_minimum_of_rosenbrocks_valley():
    p = Tensor([-1.0, 1.5], requires_grad=True)
    adam = Adam([p], lr=0.05)
    for _ in range(800):
        adam.zero_grad()
        ((1 - p[0]) ** 2 + 10 * (p[1] - p[0] ** 2) ** 2).backward()
        adam.step()
    np.testing.assert_allclose(p.data, [1, 1], atol=1e-2)


def two_parameters():
    return [Tensor(np.ones(shape, "float32"), requires_grad=True) for shape in [(2, 3), (4,)]]


def test_parameters_and_gradients_are_views_of_flat_arrays():
    parameters = two_parameters()
    optimizer = SGD(parameters)
    assert optimizer.values.shape == optimizer.gradients.shape == (10,)
    optimizer.values[:] = np.arange(10)
    assert parameters[0].data.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parameters[1].data.tolist() == [6, 7, 8, 9]
    (parameters[1] * 2).sum().backward()
    assert optimizer.gradients.tolist() == [0] * 6 + [2] * 4
    optimizer.zero_grad()
    assert parameters[1].grad is None


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW])
def test_dtype_and_shape_stay(optimizer):
    parameters = two_parameters()
    ours = optimizer(parameters, lr=np.float64(0.1))
    parameters[0].sum().backward()
    ours.step()
    assert [p.dtype for p in parameters] == ["float32", "float32"]
    assert [p.shape for p in parameters] == [(2, 3), (4,)]


def test_a_parameter_outside_the_loss_has_the_gradient_0():
    used, unused = two_parameters()
    optimizer = SGD([used, unused], lr=1.0)
    used.sum().backward()
    optimizer.step()
    assert (used.data == 0).all() and (unused.data == 1).all()


def test_a_gradient_set_to_none_counts_as_0():
    used, other = two_parameters()
    optimizer = SGD([used, other], lr=1.0)
    (used.sum() + other.sum()).backward()
    other.grad = None
    optimizer.step()
    assert (used.data == 0).all() and (other.data == 1).all()
    other.sum().backward()  # into the flat array again
    assert optimizer.gradients[6:].tolist() == [1] * 4


def test_a_gradient_of_ones_own_is_used():
    p, _ = parameters = two_parameters()
    optimizer = SGD(parameters, lr=1.0)
    p.grad = np.full((2, 3), 0.25, "float32")
    optimizer.step()
    assert (p.data == 0.75).all()


def test_gradients_set_to_none_before_backward_train_all_the_same():
    (p, _), (q, _) = pairs = two_parameters(), two_parameters()
    for pair, clear in zip(pairs, (lambda x: setattr(x, "grad", None), lambda x: None)):
        optimizer = Adam(pair)
        for _ in range(3):
            optimizer.zero_grad()
            clear(pair[0])
            (pair[0] ** 2).sum().backward()
            optimizer.step()
    np.testing.assert_array_equal(p.data, q.data)


def test_a_state_before_the_first_step_can_be_loaded():
    """No steps, squares of 0: both are what an optimizer begins with."""
    state = Adam(two_parameters()).state_dict()
    optimizer = Adam(two_parameters())
    optimizer.load_state_dict(state)
    assert optimizer.steps == 0


def test_replaced_data_is_an_error_that_says_what_to_do():
    parameters = two_parameters()
    optimizer = SGD(parameters)
    parameters[1].data = np.zeros(4, "float32")
    with pytest.raises(RuntimeError, match=r"shape \(4,\) has got another array.*data\[\.\.\.\]"):
        optimizer.step()


@pytest.mark.parametrize("what", ["weight", "layer"])
def test_a_parameter_replaced_in_its_module_is_an_error(what):
    """In a loop of one's own, too: it would not be trained, whatever the others do."""
    model = nn.Sequential(nn.Linear(2, 3, rng=0))
    model.head = nn.Linear(3, 2, rng=1)
    optimizer = SGD(model.parameters())

    def loss():
        return model.head(model(Tensor(np.ones((4, 2), "float32")))).sum()

    if what == "layer":
        model.head = nn.Linear(3, 2, rng=2)
    else:
        model.head.weight = Tensor(np.ones((3, 2), "float32"), requires_grad=True)
    loss().backward()
    with pytest.raises(
        RuntimeError, match=r"shape \(3, 2\) was replaced in its module.*make a new"
    ):
        optimizer.step()
    SGD(model.parameters()).step()


def test_a_head_that_a_loss_does_not_use_is_no_error():
    model = nn.Sequential(nn.Linear(2, 3, rng=0))
    model.head = model.head = nn.Linear(3, 2, rng=1)
    optimizer = SGD(model.parameters())
    model(Tensor(np.ones((4, 2), "float32"))).sum().backward()
    optimizer.step()


def test_mixed_dtypes_are_an_error_that_names_them():
    parameters = [Tensor(np.ones(2, dtype), requires_grad=True) for dtype in ("float32", "float64")]
    with pytest.raises(ValueError, match=r"\['float32', 'float64'\]"):
        SGD(parameters)


@pytest.mark.parametrize("parameters", [[], [Tensor([1.0])]], ids=["none", "frozen"])
def test_nothing_to_optimize_is_an_error(parameters):
    with pytest.raises(ValueError, match="nothing to optimize"):
        Adam(parameters)


def test_frozen_parameters_are_left_out():
    free, frozen = two_parameters()
    frozen.requires_grad = False
    assert SGD([free, frozen]).values.shape == (6,)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match="momentum > 0"):
        SGD(two_parameters(), nesterov=True)


def test_the_learning_rate_may_change_between_steps():
    (p, _) = parameters = two_parameters()
    optimizer = SGD(parameters, lr=1.0)
    p.sum().backward()
    optimizer.lr = 0.25
    optimizer.step()
    assert (p.data == 0.75).all()


def test_a_parameter_given_twice_or_made_by_an_op_is_refused():
    p, _ = two_parameters()
    with pytest.raises(ValueError, match="twice"):
        SGD([p, p])
    with pytest.raises(ValueError, match="multiply"):
        SGD([p * 2])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda p, **rates: SGD(p, momentum=0.9, nesterov=True, **rates),
        Adam,
        AdamW,
    ],
    ids=["sgd", "adam", "adamw"],
)
def test_numbers_for_each_replica_give_the_bits_of_each_number_alone(make, compiled):
    lr, decay = np.array([1e-3, 0.07, 0.3, 0.0]), np.array([0.1, 0.0, 1e-3, 0.2])
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((4, 12, n)).astype("float32") for n in (3, 2))

    def trained(numbers, which):
        model = nn.stack(nn.Linear(3, 2, rng=k) for k in np.arange(4)[which])
        optimizer = make(model.parameters(), **numbers)
        options = {"epochs": 5, "batch_size": 4, "compiled": compiled}
        fit(
            model, x[which], y[which], lambda m, x, y: functional.mse(m(x), y), optimizer, **options
        )
        return model.weight.numpy()

    together = trained({"lr": lr, "weight_decay": decay}, slice(4))
    for k in range(4):
        alone = trained({"lr": lr[k], "weight_decay": decay[k]}, slice(k, k + 1))
        assert alone.dtype == together.dtype == "float32"
        np.testing.assert_array_equal(together[k], alone[0])


def test_a_weight_decay_that_fits_no_replica_is_refused():
    model = nn.stack(nn.Linear(3, 2, rng=k) for k in range(4))
    with pytest.raises(ValueError, match=r"weight_decay of shape \(3,\): it is a number, or has"):
        Adam(model.parameters(), weight_decay=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="weight_decay must be 0 or above"):
        SGD(model.parameters(), weight_decay=[0.1, 0.2, -0.3, 0.1])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("make", [lambda p: SGD(p, momentum=0.9), Adam, AdamW])
def test_a_state_is_gone_on_from_in_place(make, compiled):
    """The same bits as without a break; a compiled step is not recorded again."""
    x = np.random.default_rng(0).standard_normal((8, 2)).astype("float32")
    y = np.arange(8) % 3

    def fresh(steps, states=()):
        model = nn.Linear(2, 3, rng=0)
        optimizer = make(model.parameters())
        step = training_step(model, lambda m, x, y: functional.cross_entropy(m(x), y), optimizer)
        step = compile(step) if compiled else step
        if states:
            step(x, y)  # so that there is something to be replaced
            model.load_state_dict(states[0])
            optimizer.load_state_dict(states[1])
        for _ in range(steps):
            step(x, y)
        return model.state_dict(), optimizer.state_dict()

    whole = fresh(5)
    gone_on = fresh(3, fresh(2))
    for one, other in zip(whole, gone_on):
        assert one.keys() == other.keys() and all((one[n] == other[n]).all() for n in one)
    optimizer = make(nn.Linear(2, 3, rng=0).parameters())
    kept = [getattr(optimizer, name) for name in optimizer.state]
    optimizer.load_state_dict(whole[1])
    for name, array in zip(optimizer.state, kept):
        assert isinstance(array, int) or getattr(optimizer, name) is array


@pytest.mark.parametrize("make", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW])
def test_a_copy_of_a_net_and_its_optimizer_goes_on_training_apart(optimizer, make):
    net = nn.Linear(3, 2, rng=0)
    pair = (
        net,
        optimizer(net.parameters(), lr=0.1, **({"momentum": 0.9} if optimizer is SGD else {})),
    )

    def step(net, optimizer):
        optimizer.zero_grad()
        (net(np.ones((4, 3), np.float32)) ** 2).sum().backward()
        optimizer.step()
        return [p.numpy().copy() for p in net.parameters()]

    step(*pair)
    twin = make(pair)
    for _ in range(2):
        for a, b in zip(step(*pair), step(*twin)):
            np.testing.assert_array_equal(a, b)
    step(*twin)
    assert not np.array_equal(net.weight.data, twin[0].weight.data)
