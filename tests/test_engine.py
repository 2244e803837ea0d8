"""The engine's contract: Tensors, backward, errors, and what a graph costs."""

import functools
import gc
import threading
import tracemalloc

import numpy as np
import pytest

from architectures import classifier
from minigrad import Tensor, detect_nan, functional, no_grad, op, ops, optim
from minigrad.gradcheck import gradcheck


def leaf(*shape, dtype="float32", seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(dtype), True)


# --- Tensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [2, 2.5, True, [1, 2, 3], [[1.5], [2]], (1.0, 2.0)], ids=str)
def test_numbers_and_lists_become_float32(data):
    x = Tensor(data)
    assert x.dtype == "float32"
    np.testing.assert_array_equal(x.numpy(), np.array(data, "float32"))


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8", "bool"])
def test_arrays_keep_their_dtype_and_are_not_copied(dtype):
    array = np.ones((2, 3), dtype)
    assert Tensor(array).data is array


def test_what_a_tensor_says_about_itself():
    x = Tensor([[1, 2, 3], [4, 5, 6]])
    assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((2, 3), 2, 6, 2, "float32")
    assert Tensor(2.5).item() == 2.5 and type(Tensor(2.5).item()) is float
    assert [row.shape for row in x] == [(3,), (3,)]
    assert Tensor(1.0) and not Tensor(0.0)


def test_repr_of_a_matrix_is_aligned():
    assert repr(Tensor([[1, 2], [3, 4.5]])) == (
        "Tensor([[1.  2. ]\n        [3.  4.5]], dtype=float32)"
    )


def test_repr():
    assert repr(Tensor([1, 2], requires_grad=True)) == (
        "Tensor([1. 2.], dtype=float32, requires_grad=True)"
    )
    assert repr(Tensor([1, 2], requires_grad=True) * 2) == (
        "Tensor([2. 4.], dtype=float32, op=multiply)"
    )


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex128"])
def test_only_floats_can_require_a_gradient(dtype):
    with pytest.raises(TypeError, match=f"not {dtype}"):
        Tensor(np.ones(3, dtype), requires_grad=True)


def test_a_tensor_is_not_silently_turned_into_an_array():
    with pytest.raises(TypeError, match=r"call \.numpy\(\)"):
        np.asarray(Tensor([1, 2]))
    with pytest.raises(TypeError):
        np.exp(Tensor([1, 2]))


@pytest.mark.parametrize("left", [np.ones((2, 3)), np.float64(2), np.ones(())], ids=np.shape)
def test_an_array_on_the_left_gives_a_tensor(left):
    x = leaf(2, 3, dtype="float64")
    for y in (left + x, left - x, left * x, left / x):
        assert isinstance(y, Tensor) and y.shape == (2, 3) and y.requires_grad
    (left * x).sum().backward()
    np.testing.assert_array_equal(x.grad, np.broadcast_to(left, (2, 3)))


def test_comparisons_are_tensors_outside_the_graph():
    x = leaf(3)
    for y in (x < 0, x <= 0, x > 0, x >= 0, x == 0, x != 0):
        assert isinstance(y, Tensor) and y.dtype == "bool" and not y.requires_grad


def test_tensors_can_be_keys():
    x, y = Tensor([1.0]), Tensor([1.0])
    assert len({x, y, x}) == 2


def test_detach_cuts_the_graph_and_shares_the_data():
    x = leaf(3)
    y = (x * 2).detach()
    assert not y.requires_grad
    (x * y).sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


# --- gradients -------------------------------------------------------------------------------


def test_gradients_of_several_uses_and_several_calls_add_up():
    x = leaf(3)
    (x * 2 + x * 3).sum().backward()
    assert x.grad.tolist() == [5, 5, 5]
    x.sum().backward()
    assert x.grad.tolist() == [6, 6, 6]


def test_only_leaves_that_ask_for_it_get_a_gradient():
    x, constant = leaf(3), Tensor([1, 2, 3])
    y = x * constant
    y.sum().backward()
    assert constant.grad is None and y.grad is None and x.grad is not None


def test_backward_starts_from_the_given_gradient():
    for start in (np.arange(6, dtype="float32").reshape(2, 3), Tensor([[0, 1, 2], [3, 4, 5]])):
        x = leaf(2, 3)
        (x * 2).backward(grad=start)
        assert x.grad.tolist() == [[0, 2, 4], [6, 8, 10]]


def test_backward_from_a_leaf():
    x = leaf()
    start = np.array(2, "float32")
    x.backward(grad=start)
    x.backward()
    assert x.grad == 3 and x.grad.dtype == "float32" and start == 2


@pytest.mark.parametrize(
    "combine",
    [
        lambda p, q: p + q,
        lambda p, q: (p.reshape(6) + q.reshape(6)).reshape(2, 3),
        lambda p, q: p.mT.mT + q[:],
        lambda p, q: ops.broadcast_to(p, (2, 3)) + q,
        lambda p, q: ops.stack([p, q]).sum(axis=0),
    ],
)
def test_every_leaf_owns_its_gradient(combine):
    p, q = leaf(2, 3), leaf(2, 3)
    start = np.ones((2, 3), "float32")
    combine(p, q).backward(grad=start)
    p.grad += 1
    assert q.grad.tolist() == [[1] * 3] * 2 and start.tolist() == [[1] * 3] * 2
    q.grad += 1
    assert p.grad.tolist() == [[2] * 3] * 2


def test_a_leaf_of_a_reduction_has_a_writeable_gradient():
    for function in (ops.sum, ops.mean):
        x = leaf(2, 3)
        function(x).backward()
        x.grad *= 2
        x = leaf()
        ops.broadcast_to(x, (2, 3)).sum().backward()
        x.grad *= 2
        assert x.grad == 12


def test_mixed_dtypes_each_keep_their_own():
    x, y = leaf(3), leaf(3, dtype="float64")
    z = x * y
    z.sum().backward()
    assert (z.dtype, x.grad.dtype, y.grad.dtype) == ("float64", "float32", "float64")


def test_an_option_without_a_gradient_stays_outside():
    condition, x = Tensor(np.array([True, False])), leaf(2)
    ops.where(condition, x, 0.0).sum().backward()
    assert condition.grad is None and x.grad.tolist() == [1, 0]


# --- what is not allowed ---------------------------------------------------------------------


def test_backward_of_several_numbers_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"shape \(2, 3\).*\.sum\(\)\.backward\(\)"):
        (leaf(2, 3) * 2).backward()


def test_a_start_of_another_shape_is_an_error():
    with pytest.raises(ValueError, match=r"grad has shape \(3,\), but the Tensor has shape \(2,"):
        (leaf(2, 3) * 2).backward(grad=np.ones(3, "float32"))


def test_backward_without_a_graph_says_so():
    with pytest.raises(RuntimeError, match="nothing to differentiate"):
        (Tensor([1.0]) * 2).backward()


def test_a_second_backward_says_what_to_do():
    loss = (leaf(3) * 2).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"sum was freed.*call backward\(\) once"):
        loss.backward()


def test_a_second_loss_on_a_freed_graph_names_the_op():
    hidden = ops.tanh(leaf(3))
    first, second = hidden.sum(), (hidden * hidden).sum()
    first.backward()
    with pytest.raises(RuntimeError, match="behind op tanh was freed"):
        second.backward()


def test_a_failed_backward_leaves_nothing_behind():
    x = leaf(3, dtype="float64")
    waiting, freed = ops.sin(x), ops.tanh(x)
    freed.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        (waiting + freed).sum().backward()
    x.grad = None
    waiting.sum().backward()
    np.testing.assert_allclose(x.grad, np.cos(x.data))


@pytest.mark.parametrize(
    "function, note",
    [
        (lambda x: x @ np.ones((5, 2)), "in op matmul(float32[3, 4], float64[5, 2])"),
        (lambda x: x + np.ones(3), "in op add(float32[3, 4], float64[3])"),
        (lambda x: x[:, 7], "in op getitem(float32[3, 4], (slice(None, None, None), 7))"),
        (lambda x: functional.glu(x[:, :3]), "in op glu(float32[3, 3])"),
        (lambda x: x.reshape(5, 5), "in op reshape(float32[3, 4], (5, 5))"),
    ],
)
def test_a_failing_op_notes_its_name_and_its_inputs(function, note):
    with pytest.raises((ValueError, IndexError)) as caught:
        function(leaf(3, 4))
    assert note in caught.value.__notes__


def test_a_failing_vjp_leaves_nothing_behind_in_any_branch():
    """Several results have received a gradient and wait for their turn when the newest fails."""

    @op
    def failing(x):
        def vjp(g):
            raise KeyError("on purpose")

        return x + 0, vjp

    x = leaf(3)
    branches = [ops.sin(x), ops.cos(x), ops.tanh(x), failing(x * 1)]
    with pytest.raises(KeyError) as caught:
        sum(branches).sum().backward()
    assert caught.value.__notes__ == ["in the vjp of op failing, whose input has shape (3,)"]
    assert all(branch.grad is None for branch in branches) and x.grad is None


def test_a_number_of_an_array_is_an_array():
    """NumPy gives a scalar for x + y of arrays without axes: a Tensor holds an array even so."""
    x = leaf()
    for y in (x + x, x.sum(), leaf(2, 3).mean(), leaf(3)[1], leaf(3) @ leaf(3), -x):
        assert type(y.data) is np.ndarray and y.shape == ()
    (x * x).backward()
    assert type(x.grad) is np.ndarray
    x.data -= 1
    assert type(x.data) is np.ndarray
    x.data = x.data - 1
    assert type(x.data) is np.ndarray


# --- finding NaN -----------------------------------------------------------------------------


def test_detect_nan_names_the_op_that_made_it():
    with detect_nan(), np.errstate(all="ignore"):
        with pytest.raises(FloatingPointError, match=r"op log\(float32\[2\]\)"):
            ops.exp(ops.log(Tensor([-1.0, 1.0])))
        root = ops.sqrt(Tensor([0.0], requires_grad=True)).sum()
        with pytest.raises(FloatingPointError, match="the vjp of op sqrt"):
            root.backward()


def test_detect_nan_ends_with_its_block():
    with pytest.raises(KeyError), detect_nan():
        raise KeyError
    with np.errstate(all="ignore"):
        assert np.isnan(ops.log(Tensor(-1.0)).item())


# --- no_grad ---------------------------------------------------------------------------------


def records():
    return (leaf(2) * 2).requires_grad


def test_no_grad_nests_and_survives_exceptions():
    with no_grad():
        with pytest.raises(KeyError), no_grad():
            raise KeyError
        assert not records()
        with no_grad():
            assert not records()
        assert not records()
    assert records()


def test_no_grad_decorates():
    decorated = no_grad()(records)
    assert not decorated()
    assert not decorated()
    assert records()


def test_no_grad_stays_in_its_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(records()))
        thread.start()
        thread.join()
        assert seen == [True] and not records()


def test_no_grad_keeps_no_graph():
    with no_grad():
        y = leaf(3) * 2
    assert len(y.edges) == 0
    with pytest.raises(RuntimeError, match="no_grad"):
        y.sum().backward()


# --- what a graph costs ----------------------------------------------------------------------


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_deep_chains(depth):
    """Neither backward nor freeing the graph recurses."""
    x = leaf(1)
    y = x
    for _ in range(depth):
        y = y + 1.0
    y.backward()
    assert x.grad.tolist() == [1]


def test_a_deep_graph_that_backward_never_saw_is_freed():
    y = leaf(1)
    for _ in range(100_000):
        y = y + 1.0
    del y


@pytest.fixture
def counting_add():
    @op
    def counting(x, y):
        def vjp(g):
            counting.calls += 1
            return g

        return x + y, vjp, vjp

    counting.calls = 0
    return counting


def test_a_diamond_walks_every_edge_once(counting_add):
    x = Tensor(np.ones(1), requires_grad=True)
    y = x
    for _ in range(25):
        y = counting_add(y, y)
    y.backward()
    assert x.grad == 2**25
    assert counting_add.calls == 2 * 25


def test_a_ladder_walks_every_edge_once(counting_add):
    """Fibonacci: y[n] = y[n-1] + y[n-2]. A gradient arrives whole before it travels on."""
    x = Tensor(np.ones(1), requires_grad=True)
    a, b = x * 1, x * 1
    for _ in range(60):
        a, b = b, counting_add(a, b)
    b.backward()
    assert x.grad == 4052739537881  # the 62nd Fibonacci number
    assert counting_add.calls <= 2 * 60


def test_8000_branches_into_one_sum(counting_add):
    x = Tensor(np.ones(1), requires_grad=True)
    total = x * 1.0
    for _ in range(8000):
        total = counting_add(total, x * 2.0)
    total.backward()
    assert x.grad == 16001
    assert counting_add.calls == 2 * 8000


def training_steps(n):
    """A generator: n steps of Adam on a small MLP."""
    model = classifier(
        "mlp", 5, input_size=2, hidden_sizes=(16, 8), dropout=0.1, train_rows=32, rng=0
    )
    adam = optim.Adam(model.parameters())
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((32, 2), "float32"), rng.integers(5, size=32)
    for _ in range(n):
        adam.zero_grad()
        model.loss(x, y).backward()
        adam.step()
        yield


def test_training_leaves_no_cyclic_garbage():
    list(training_steps(2))
    gc.collect()
    gc.disable()
    try:
        list(training_steps(50))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_graph_that_backward_never_saw_is_no_cyclic_garbage_either():
    gc.collect()
    gc.disable()
    try:
        x = leaf(2, 3)
        functional.softmax(ops.tanh(x @ x.mT) + x[:, :2] ** 2).sum()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_peak_memory_is_flat():
    steps = training_steps(220)
    tracemalloc.start()
    try:
        for _ in range(20):
            next(steps)
        _, early = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(200):
            next(steps)
        _, late = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert late < early + 4096


def test_backward_frees_as_it_goes():
    """A thousand arrays are recorded; backward holds a few gradients at a time, never all."""
    x = leaf(10_000)
    y = x
    for _ in range(100):
        y = ops.tanh(y)
    tracemalloc.start()
    y.backward(np.ones(10_000, "float32"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * x.data.nbytes


# --- functions made of many ops --------------------------------------------------------------


def attention(q, k, v):
    return functional.softmax(q @ k.mT / 2) @ v


def every_kind(x, w, b):
    h = functional.layer_norm(functional.silu(functional.linear(x, w, b)), 1.0 + b, b)
    joined = ops.concatenate([h, h[..., ::-1] ** 2], axis=-1)
    return functional.logsumexp(joined) + ops.sqrt(1 + joined.var(axis=-1)) * h.mean(axis=-1)


@pytest.mark.parametrize(
    "function, shapes",
    [
        (attention, [(2, 3, 4), (2, 5, 4), (2, 5, 3)]),
        (attention, [(3, 4), (2, 5, 4), (5, 3)]),
        (every_kind, [(3, 4), (4, 5), (1, 5)]),
        (every_kind, [(2, 3, 4), (2, 4, 5), (2, 1, 5)]),
        (lambda x, y: functional.mse(ops.sin(x) * ops.exp(-y), x / (1 + y * y)), [(3, 4), (1, 4)]),
    ],
)
def test_composite_functions(function, shapes):
    gradcheck(function, *shapes)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"activation": "gelu", "layer_norm": True},
        {"activation": "silu", "residual": True, "hidden_sizes": (6, 6)},
        {"activation": "softplus", "layer_norm": True, "residual": True},
    ],
    ids=str,
)
def test_a_whole_mlp(options):
    options = {"hidden_sizes": (7, 5), "dropout": 0.0, "activation": "tanh", **options}
    model = classifier("mlp", 5, input_size=2, train_rows=6, rng=0, **options)
    names = [name for name, _ in model.named_parameters()]
    labels = np.arange(6) % 5

    def loss(x, *values):
        for name, value in zip(names, values):
            *path, last = name.split(".")
            setattr(functools.reduce(entry, path, model), last, value)
        return model.loss(x, labels)

    rng = np.random.default_rng(0)
    values = [p.data + 0.1 * rng.standard_normal(p.shape) for p in model.parameters()]
    gradcheck(loss, (6, 2), *values)


def entry(holder, key):
    """One step on the way to a parameter: "layers", then "0", then "linear"."""
    return holder[int(key)] if key.isdigit() else getattr(holder, key)


@pytest.mark.parametrize("start", [np.ones(3), [1, 1, 1], np.ones(3, int)], ids=repr)
@pytest.mark.parametrize("function", [lambda x: x, lambda x: x * 2], ids=["leaf", "graph"])
def test_the_start_takes_the_dtype_of_the_tensor(start, function):
    x = leaf(3)
    function(x).backward(grad=start)
    assert x.grad.dtype == "float32"


def test_integers_made_from_floats_need_no_gradient():
    assert not leaf(3).astype("int64").requires_grad


def test_a_gradient_of_another_shape_says_so():
    for wrong in (lambda g: g.T, lambda g: g[:1], lambda g: g.sum(), lambda g: g[None, None].T):

        @op
        def crooked(x):
            return 3 * x, wrong  # noqa: B023

        with pytest.raises(ValueError, match=r"shape.*\(3, 4\)"):
            crooked(leaf(3, 4)).sum().backward()


def test_an_input_without_a_vjp_is_an_error_not_a_silent_zero():
    @op
    def forgetful(x, y):
        return x + y, lambda g: g

    with pytest.raises(TypeError, match="forgetful has no gradient for argument 2"):
        forgetful(leaf(3), leaf(3))


def test_a_tensor_given_by_name_is_an_error_that_says_so():
    with pytest.raises(TypeError, match="'weight' by position"):
        functional.linear(leaf(2, 3), weight=leaf(3, 4))


def test_a_numpy_scalar_leaves_float32_alone():
    assert (leaf(3) * np.sqrt(2)).dtype == (np.float64(2) - leaf(3)).dtype == "float32"


def test_a_number_can_be_read_and_printed():
    x = Tensor(1.25)
    assert float(x) == 1.25 and f"{x:.1f}" == "1.2" and f"{x}" == repr(x)
