"""Gradients of gradients: right to the third order, for every architecture, and loud where not."""

import gc
import threading

import numpy as np
import pytest

import minigrad
from architectures import classifier, list_architectures
from minigrad import Tensor, backend, functional, nn, no_grad, op, ops, strict
from minigrad.backend import xp
from minigrad.gradcheck import GradientError, gradcheck
from minigrad.higher import grad, hessian, hvp, jacobian
from minigrad.higher.boxes import FUNCTIONS
from minigrad.program import CannotRecord
from minigrad.spiking import lif, spike

X = np.array([-1.3, -0.2, 0.4, 2.1])
A23 = np.random.default_rng(0).uniform(0.5, 2, (2, 3))


# --- orders ----------------------------------------------------------------------------------

TANH = np.tanh(X)
DERIVATIVES = {
    "exp": (ops.exp, [np.exp(X)] * 4),
    "sin": (ops.sin, [np.sin(X), np.cos(X), -np.sin(X), -np.cos(X)]),
    "tanh": (
        ops.tanh,
        [TANH, 1 - TANH**2, -2 * TANH * (1 - TANH**2), (6 * TANH**2 - 2) * (1 - TANH**2)],
    ),
    "x^3": (lambda x: x**3, [X**3, 3 * X**2, 6 * X, 6 + 0 * X]),
}


@pytest.mark.parametrize("function, expected", DERIVATIVES.values(), ids=DERIVATIVES)
def test_derivatives_up_to_the_third(function, expected):
    for derivative in expected:
        np.testing.assert_allclose(function(Tensor(X)).numpy(), derivative, rtol=1e-13, atol=1e-14)
        function = grad(function)


def test_a_function_of_several_tensors():
    x, y = Tensor(np.array([1.0, 2.0])), Tensor(np.array([3.0, 5.0]))
    both = grad(lambda x, y: x * x * y, (0, 1))(x, y)
    assert [g.numpy().tolist() for g in both] == [[6, 20], [1, 4]]
    assert grad(lambda x, y: x * x * y, 1)(x, y).numpy().tolist() == [1, 4]
    in_a_list = grad(lambda pair, power: pair[0] ** power * pair[1])([x, y], power=2)
    assert [g.numpy().tolist() for g in in_a_list] == [[6, 20], [1, 4]]
    product = hvp(lambda pair: pair[0] * pair[0] * pair[1], (x, y), (np.ones(2), np.zeros(2)))
    assert [g.numpy().tolist() for g in product] == [[6, 10], [2, 4]]


def test_numbers_become_tensors():
    slope = grad(grad(lambda x: x**3))(2.0)
    assert (slope.item(), slope.dtype) == (12, "float32")


def test_what_does_not_matter_has_the_gradient_0():
    w = Tensor(X, requires_grad=True)
    for function in (lambda x: 2 * x, lambda x: w * w, lambda x: w, lambda x: Tensor(X)):
        assert not grad(grad(function))(Tensor(X)).numpy().any()
        assert not hvp(function, Tensor(X), X).numpy().any()
    assert w.grad is None


def test_an_inner_derivative_knows_its_own_variable():
    """x' and y' are not confused: d/dx (x d/dy (x + y)) = d/dx x = 1, not 2."""
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0).item() == 1
    assert grad(lambda x: grad(lambda y: x * x * y * y)(x))(Tensor(X)).numpy() == pytest.approx(
        6 * X**2
    )


def test_hvp_inside_a_derivative_is_differentiated():
    third = grad(lambda x: hvp(lambda x: x**3, x, X))(Tensor(X))
    np.testing.assert_allclose(third.numpy(), 6 * X)
    rows = jacobian(lambda x: hvp(lambda x: x**3, x, X), Tensor(X))
    np.testing.assert_allclose(rows.numpy(), np.diag(6 * X))


def test_detached_is_detached_in_every_order():
    for cut in (Tensor.detach, lambda x: Tensor(x.data)):
        slope = grad(lambda x, cut=cut: cut(x * x) * x)
        np.testing.assert_allclose(slope(Tensor(X)).numpy(), X**2)
        assert not grad(slope)(Tensor(X)).numpy().any()

    def unrecorded(x):
        with no_grad():
            y = x * x
        return y * x

    assert not grad(grad(unrecorded))(Tensor(X)).numpy().any()


def test_jacobian_and_hessian():
    a = np.random.default_rng(0).standard_normal((3, 4))
    j = jacobian(lambda x: ops.tanh(Tensor(a) @ x), Tensor(X))
    np.testing.assert_allclose(j.numpy(), (1 - np.tanh(a @ X) ** 2)[:, None] * a)
    h = hessian(lambda x: (x @ Tensor(a.T @ a) @ x) / 2, Tensor(X))
    np.testing.assert_allclose(h.numpy(), a.T @ a, rtol=1e-13)
    b = a[:, :2].astype("float32")
    one = hessian(lambda net: net(Tensor(b)) ** 2, nn.Linear(2, 1, bias=False, rng=0))
    np.testing.assert_allclose(one.numpy(), 2 * b.T @ b, rtol=1e-5)
    third = jacobian(lambda x: hessian(lambda x: x**3, x), Tensor(X)).numpy()
    assert third.shape == (4, 4, 4) and third.sum() == pytest.approx(24)


# --- gradients in a loss -----------------------------------------------------------------------


def test_backward_from_a_loss_made_of_gradients_reaches_what_f_uses():
    """A gradient penalty: the weights are outside of the function that is differentiated."""
    x = np.random.default_rng(0).standard_normal((5, 3))

    def penalty(weight, bias):
        slope = grad(lambda x: ops.tanh(functional.linear(x, weight, bias)))(Tensor(x))
        return ((slope * slope).sum(axis=-1) - 1) ** 2

    gradcheck(penalty, (3, 2), (1, 2))


def test_only_what_is_asked_for_gets_a_gradient():
    w = Tensor(X, requires_grad=True)
    slope = grad(lambda x: w * x * x)(Tensor(X))
    assert w.grad is None
    slope.sum().backward()
    np.testing.assert_allclose(w.grad, 2 * X)
    before = w.grad.copy()
    np.testing.assert_allclose(hvp(lambda x: w * x * x, Tensor(X), X).numpy(), 2 * X * X)
    np.testing.assert_array_equal(w.grad, before)


def test_a_gradient_is_no_other_tensors_array():
    w = Tensor(X, requires_grad=True)
    slope = grad(lambda x: w * x)(Tensor(X))
    assert slope is not w and not np.may_share_memory(slope.data, w.data)
    left, right = grad(lambda x, y: x + y, (0, 1))(Tensor(X), Tensor(X))
    assert left is not right and not np.may_share_memory(left.data, right.data)


# --- replicas ----------------------------------------------------------------------------------


def test_replicas_have_derivatives_of_their_own():
    nets = [nn.Sequential(nn.Linear(2, 5, rng=k), ops.tanh, nn.Linear(5, 3)) for k in range(3)]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 7, 2)).astype("f"), rng.integers(3, size=(3, 7))
    v = [rng.standard_normal((3, *p.shape)).astype("f") for p in nets[0].parameters()]

    def loss(net, k=slice(None)):
        return functional.cross_entropy(net(Tensor(x[k])), y[k])

    stacked = nn.stack(nets)
    together = grad(loss)(stacked), hvp(loss, stacked, v)
    for k, net in enumerate(nets):
        alone = (
            grad(lambda net, k=k: loss(net, k))(net),
            hvp(lambda net, k=k: loss(net, k), net, [d[k] for d in v]),
        )
        for many, one in zip(together, alone):
            for a, b in zip(many, one):
                np.testing.assert_allclose(a.numpy()[k], b.numpy(), rtol=1e-4, atol=1e-6)
                assert a.dtype == "float32"


# --- architectures -----------------------------------------------------------------------------


SMALL = {
    "hopfield": {"num_patterns": 6, "hidden_dim": 8},
    "tabnet": {"hidden_size": 4, "num_steps": 2},
    "ebm": {"hidden_sizes": (8, 8)},
}
OPTIONS = {"hidden_sizes": (8, 8)}


def problem(name, native, monkeypatch):
    """A small Classifier in float64, and its loss on a batch: with fixed noise and chains."""
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.standard_normal((20, 2))), rng.integers(3, size=20)
    model = classifier(name, 3, 2, train_rows=20, native=native, rng=1, **SMALL.get(name, OPTIONS))
    for p in model.parameters():
        p.data = p.data.astype("float64") + 0.1 * rng.standard_normal(p.shape)
    if name == "ebm" and native:
        negatives = rng.standard_normal((20, 2))
        monkeypatch.setattr(type(model.chains), "advance", lambda *_: negatives)

    def loss(model):
        with nn.noise_from(model, 7):
            return type(model).loss(model, x, y)

    return model, loss


def first_gradient(model, loss, direction, step):
    """By backward, at the parameters + step * direction."""
    parameters = model.parameters()
    before = [p.data for p in parameters]
    for p, d in zip(parameters, direction):
        p.data, p.grad = p.data + step * d, None
    loss(model).backward()
    for p, data in zip(parameters, before):
        p.data = data
    return np.concatenate([p.grad.ravel() for p in parameters])


@pytest.mark.parametrize("native", [False, True], ids=["shared", "native"])
@pytest.mark.parametrize("name", list_architectures())
def test_hessian_vector_products_of_all_architectures(name, native, monkeypatch):
    model, loss = problem(name, native, monkeypatch)
    rng = np.random.default_rng(2)
    v = [rng.standard_normal(p.shape) for p in model.parameters()]
    if name == "snn":
        with pytest.raises(TypeError, match="op lif has no second derivative"):
            hvp(loss, model, v)
        return
    product = np.concatenate([g.numpy().ravel() for g in hvp(loss, model, v)])
    assert all(p.grad is None for p in model.parameters())
    ahead, behind = (first_gradient(model, loss, v, h) for h in (1e-7, -1e-7))
    numerical = (ahead - behind) / 2e-7
    assert np.abs(product - numerical).max() < 1e-7 * np.abs(numerical).max()


@pytest.mark.parametrize("name", ["mlp", "hopfield", "ebm"])
def test_hessians_are_symmetric(name, monkeypatch):
    model, loss = problem(name, False, monkeypatch)
    h = hessian(loss, model).numpy()
    assert np.abs(h - h.T).max() < 1e-12 * np.abs(h).max()
    v = np.random.default_rng(0).standard_normal(len(h))
    sizes = np.cumsum([p.size for p in model.parameters()])[:-1]
    pieces = [a.reshape(p.shape) for a, p in zip(np.split(v, sizes), model.parameters())]
    product = np.concatenate([g.numpy().ravel() for g in hvp(loss, model, pieces)])
    np.testing.assert_allclose(product, h @ v, rtol=1e-9, atol=1e-12)


def test_running_statistics_stay_where_they_are():
    norm = nn.BatchNorm(2)
    for p in norm.parameters():
        p.data = p.data.astype("float64")
    before = norm.state_dict()
    x = Tensor(np.random.default_rng(0).standard_normal((5, 2)))
    grad(lambda x: norm(x) ** 2)(x)
    grad(lambda norm: (norm(x) ** 2).sum())(norm)
    for name, value in norm.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


# --- what is refused ---------------------------------------------------------------------------


def test_a_detached_forward_value_is_found_by_the_second_order():
    @op
    def forgetful(x):
        y = xp.exp(x)
        copy = backend.asarray(backend.to_numpy(y).copy())  # the same numbers, but no derivative
        return y, lambda g: g * copy

    gradcheck(forgetful, (3, 4))
    with pytest.raises(GradientError, match="input 0"):
        gradcheck(forgetful, (3, 4), order=2)
    gradcheck(ops.exp, (3, 4), order=3)


@pytest.mark.parametrize("function", [spike, lambda x: lif(x[:, None], 1, 0.5)])
def test_spikes_are_refused_by_name(function):
    with pytest.raises(TypeError, match=r"op (spike|lif) has no second derivative"):
        grad(function)(np.ones((1, 3, 2), "float32"))


@pytest.mark.parametrize("rows", [5, 8])
def test_running_averages_are_not_moved_by_a_derivative(rows):
    """Be they of one batch or of several virtual batches."""
    net = classifier("tabnet", 3, 2, hidden_size=4, virtual_batch_size=4, train_rows=rows, rng=0)
    x = np.random.default_rng(0).standard_normal((rows, 2), dtype="float32")
    ones = [np.ones_like(p.data) for p in net.parameters()]
    before = net.state_dict()
    product = hvp(lambda net: net.loss(Tensor(x), np.arange(rows) % 3), net, ones)
    assert all(np.isfinite(p.numpy()).all() for p in product)
    assert all((array == before[name]).all() for name, array in net.state_dict().items())


def test_an_array_from_outside_takes_nothing_that_is_differentiated():
    total = np.zeros(4)

    @op
    def summing(x):
        total[...] += x
        return 2 * x, lambda g: 2 * g

    with pytest.raises(TypeError, match=r"op summing.*an array that is no input cannot take what"):
        hvp(lambda x: (summing(x) ** 2).sum(), X, X)


def test_boxes_are_aliases_as_arrays_are():
    @op
    def in_place(x):
        kept = y = xp.exp(x)  # two names of one array
        before = xp.array(y)
        y *= 3
        y[..., 1:] = y[..., 1:] + before[..., :1]
        kept[..., 0] = kept[..., 0] * before[..., 0]
        xp.multiply(y, 2, out=kept)

        def vjp(g):  # of 2 [3 e^(2 x0), 3 e^x1 + e^x0, 3 e^x2 + e^x0]; `before` is still e^x
            gx = xp.zeros_like(g)
            gx += 6 * g * before
            gx[..., 0] = 12 * g[..., 0] * before[..., 0] ** 2
            gx[..., 0] = gx[..., 0] + 2 * before[..., 0] * g[..., 1:].sum(axis=-1)
            return gx

        return y, vjp

    assert in_place(Tensor(np.zeros(3))).numpy().tolist() == [6, 8, 8]
    for order in (1, 2, 3):
        gradcheck(in_place, (2, 3), order=order)


def test_arrays_keep_their_dtype_when_written_to():
    @op
    def in_place(x):
        y = xp.array(x)
        y *= np.full(x.shape, 2.0)  # float64
        return y, lambda g: 2 * g

    assert in_place(Tensor(np.ones(3, "float32"))).dtype == "float32"
    seen = []
    grad(lambda x: seen.append(in_place(x).dtype) or x)(np.ones(3, "float32"))
    assert seen == ["float32"]


def test_functions_that_no_rule_uses_yet():
    @op
    def several(x, y):
        z = xp.logaddexp(x, y)
        return z, lambda g: g * xp.exp(x - z), lambda g: g * xp.exp(y - z)

    gradcheck(several, (3, 4), (3, 4), order=2)

    @op
    def moved(x):
        y = xp.swapaxes(xp.moveaxis(x, 0, -1), 0, 1)
        return xp.square(xp.pad(y, [(1, 0)] * 3)), lambda g: xp.moveaxis(
            xp.swapaxes((2 * g[1:, 1:, 1:]) * y, 0, 1), -1, 0
        )

    gradcheck(moved, (2, 3, 4), order=2)


def writes_through_a_view(x):
    y = xp.array(x)
    part = y.reshape(-1)[1:]
    part *= 2
    return y, lambda g: g


def uses_a_view_of_what_changed(x):
    y = xp.array(x)
    part = y.mT
    y += 1
    return part * 2, lambda g: g.mT


def adds_to_a_part(x):
    y = xp.array(x)
    y[0] += 1
    return y, lambda g: g


def writes_through_a_view_in_its_vjp(x):
    def vjp(g):
        gx = xp.array(g)
        xp.negative(gx[..., :1], out=gx[..., :1])
        return gx

    return x * x, vjp


@pytest.mark.parametrize(
    "rule",
    [
        writes_through_a_view,
        uses_a_view_of_what_changed,
        adds_to_a_part,
        writes_through_a_view_in_its_vjp,
    ],
)
def test_writing_and_viewing_the_same_array_is_refused(rule):
    with pytest.raises(RuntimeError, match=r"no second derivative") as error:
        grad(op(rule))(np.ones((2, 2)))
    assert rule.__name__ in error.value.__notes__[0]


def test_wrong_uses_say_what_is_wrong():
    x = Tensor(X)
    with no_grad(), pytest.raises(RuntimeError, match="under no_grad"):
        grad(ops.exp)(x)
    with pytest.raises(TypeError, match="returned a float"):
        grad(lambda x: 1.0)(x)
    with pytest.raises(ValueError, match=r"direction of shape \(3,\) for an argument of \(4,\)"):
        hvp(ops.exp, x, np.ones(3))
    with pytest.raises(TypeError, match="only floating-point data"):
        grad(lambda n: n * n)(np.array([1, 2]))

    kept = []
    grad(lambda x: kept.append(x * x) or x)(x)
    with pytest.raises(RuntimeError, match="from inside a function"):
        kept[0] + 1

    outside = np.zeros(4)

    def writes(x):
        outside[...] = x.data
        return x

    with pytest.raises((TypeError, ValueError)):
        grad(writes)(x)

    @op
    def unknown(x):
        return np.sinh(x) if isinstance(x, np.ndarray) else np.einsum("i->i", x), None

    with pytest.raises(TypeError, match=r"has no numpy\.einsum"):
        grad(unknown)(x)


def test_a_compiled_step_refuses_it():
    step = minigrad.compile(lambda x: hvp(lambda x: x**3, Tensor(x), np.ones(4)))
    with pytest.raises(CannotRecord, match=r"gradient of a gradient"):
        step(X)
    assert grad(ops.exp)(Tensor(X)).shape == (4,)


def test_a_nan_is_detected_inside():
    with minigrad.detect_nan(), pytest.raises(FloatingPointError, match="op log"):
        grad(lambda x: ops.log(x) * x)(np.array([1.0, np.inf]))


def test_values_can_be_looked_at_inside():
    seen = []

    def f(x):
        seen.append((repr(x), x.numpy().tolist(), x[0].item(), float(x[1]), len(x), bool(x[0] > 0)))
        return x * x if x[0] > 0 else x

    grad(f)(Tensor([2.0, 3.0]))
    assert seen[0][1:] == ([2, 3], 2, 3, 2, True) and seen[0][0].startswith("Tensor([2. 3.]")


# --- the house afterwards ----------------------------------------------------------------------


def test_the_backend_is_as_before_also_after_an_error():
    library = xp._library
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: 1 / 0)(Tensor(X))
    assert xp._library is library and xp.exp is np.exp


def test_other_threads_do_not_notice():
    inside, done, seen = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        x = Tensor(X, requires_grad=True)
        functional.softmax(x[None]).sum().backward()
        seen.append((type(x.grad), type(xp.zeros(2)), type(Tensor(X).data)))
        done.set()

    def f(x):
        inside.set()
        assert done.wait(10)
        return x * x

    thread = threading.Thread(target=other)
    thread.start()
    np.testing.assert_allclose(grad(grad(f))(Tensor(X)).numpy(), 2)
    thread.join()
    assert seen == [(np.ndarray,) * 3]


def test_no_reference_cycles():
    x = Tensor(X)
    hvp(lambda x: functional.softmax(x) ** 2, x, X)
    gc.collect()
    gc.disable()
    try:
        hvp(lambda x: functional.softmax(x) ** 2, x, X)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_on_the_device_nothing_waits_and_nothing_moves():
    net = nn.Sequential(nn.Linear(3, 4, rng=0), functional.gelu, nn.BatchNorm(4))
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 3)).astype("f"), rng.integers(4, size=5)
    v = [rng.standard_normal(p.shape).astype("f") for p in net.parameters()]

    def loss(net):
        return functional.cross_entropy(net(x), y)

    expected = [g.numpy() for g in hvp(loss, net, v)]
    try:
        backend.activate(strict, "strict")
        for p in net.parameters():
            p.data = backend.asarray(p.data)
        net.layers[-1].running_mean = backend.asarray(net.layers[-1].running_mean)
        net.layers[-1].running_var = backend.asarray(net.layers[-1].running_var)
        x, y, v = backend.asarray(x), backend.asarray(y), [backend.asarray(d) for d in v]
        with strict.counting() as counters:
            actual = hvp(loss, net, v)
        assert (counters.synchronisations, counters.transfers) == (0, 0)
        for a, b in zip(actual, expected):
            np.testing.assert_allclose(a.numpy(), b, rtol=1e-5, atol=1e-6)
    finally:
        backend.use("cpu")


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("flip", [A23, 1]),
        ("flip", [A23, (0, -1)]),
        ("logaddexp", [A23, A23[:, ::-1]]),
        ("moveaxis", [A23[None], 0, -1]),
        ("moveaxis", [A23[None], -1, 0]),
        ("pad", [A23, [(1, 0), (0, 2)]]),
        ("reciprocal", [A23]),
        ("square", [A23]),
        ("swapaxes", [A23[None], 0, -1]),
    ],
)
def test_what_stands_for_a_function_of_numpy_gives_its_values(name, arguments):
    x, *others = arguments
    others = [Tensor(a) if isinstance(a, np.ndarray) else a for a in others]
    value = FUNCTIONS[name](Tensor(x), *others)
    np.testing.assert_allclose(value.data, getattr(np, name)(*arguments), rtol=1e-12)


@pytest.mark.parametrize("tracked", [False, True])
def test_an_argument_can_be_detached_inside(tracked):
    x = Tensor([1.0, 2.0], requires_grad=tracked)

    def slope(x):
        return grad(lambda x: (x.detach() * x * x).sum())(x)

    np.testing.assert_array_equal(slope(x).data, [2, 8])  # 2 c x with c = x
    np.testing.assert_array_equal(grad(lambda x: slope(x).sum())(x).data, [2, 4])  # 2 c
