"""The whole framework on the stand-in for CuPy: what passes here runs on a GPU, and never waits."""

import ast
import functools
import inspect
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from test_ops import every_case, tensors

import minigrad
from architectures import classifier, list_architectures, lookup
from minigrad import Tensor, backend, functional, nn, op, optim, strict
from minigrad.backend import xp
from minigrad.data import minibatches
from minigrad.spiking import lif

ROOT = Path(__file__).parents[1]

every_architecture = pytest.mark.parametrize("name", list_architectures())
both_protocols = pytest.mark.parametrize("native", [False, True], ids=["shared", "native"])


def on_strict():
    backend.activate(strict, "strict")


def on_both(function):
    """function() on the CPU and on the stand-in, which must agree; the counters of the latter."""
    backend.use("cpu")
    expected = function()
    on_strict()
    with strict.counting() as counters:
        actual = function()
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert type(a) is strict.ndarray
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.get(), b, rtol=1e-6, atol=1e-7)
    return counters


@contextmanager
def nothing_waits():
    """A piece of a training step: no synchronisation in it, and no copy to the device."""
    with strict.counting() as counters:
        yield counters
    assert counters.synchronisations == 0, f"the host waits for the device: {counters}"
    assert counters.transfers == 0, f"something moves to the device: {counters}"


def guard():
    """nothing_waits() where somebody counts."""
    return nothing_waits() if backend.device() == "strict" else nullcontext()


def points(rows=96, seed=0):
    """Five overlapping clusters in the plane."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(5, size=rows)
    centres = np.array([[0, 0], [2, 2], [-2, 2], [2, -2], [-2, -2]])
    return (centres[labels] + rng.standard_normal((rows, 2))).astype("float32"), labels


def make(name, native=False, rng=0, rows=96):
    options = lookup(name).options  # as in the comparison
    return classifier(name, 5, 2, train_rows=rows, native=native, rng=rng, **options)


# --- ops and layers --------------------------------------------------------------------------


@every_case
def test_ops(name, function, inputs):
    def run():
        xs = tensors(inputs, "float32")
        y = function(*xs)
        g = np.random.default_rng(2).standard_normal(y.shape).astype("float32")
        y.backward(g)
        return [y.data, *(x.grad for x in xs)]

    counters = on_both(run)
    if name != "getitem":  # a boolean mask: the host must know how many elements it picks
        assert counters.synchronisations == 0


def test_a_mask_as_an_index_waits():
    on_strict()
    x, mask = strict.ones((3, 4)), strict.ones((3, 4)) > 0
    with strict.counting() as counters:
        x[mask]
    assert (counters.launches, counters.synchronisations) == (1, 1)


LAYERS = {
    "linear": lambda: nn.Linear(4, 3, rng=0),
    "linear without bias": lambda: nn.Linear(4, 3, bias=False, rng=0),
    "layer norm": lambda: nn.LayerNorm(4),
    "batch norm": lambda: nn.BatchNorm(4),
    "batch norm in evaluation": lambda: nn.BatchNorm(4).eval(),
    "dropout": lambda: nn.Dropout(0.3, rng=0),
    "dropout in evaluation": lambda: nn.Dropout(0.3, rng=0).eval(),
    "sequential": lambda: nn.Sequential(nn.Linear(4, 8, rng=0), functional.relu, nn.LayerNorm(8)),
    "stack": lambda: nn.stack([nn.Linear(4, 3, rng=seed) for seed in range(5)]),
    "stack of batch norms": lambda: nn.stack([nn.BatchNorm(4) for _ in range(5)]),
    "unstack": lambda: nn.unstack(nn.stack([nn.Linear(4, 3, rng=k) for k in range(5)]), 3),
}


@pytest.mark.parametrize("build", LAYERS.values(), ids=LAYERS)
def test_layers(build):
    def run():
        layer = build()
        x = Tensor(np.random.default_rng(0).standard_normal((6, 4)).astype("float32"), True)
        with guard():
            y = layer(x)
            (y * y).sum().backward()
        gradients = [p.grad for p in layer.parameters()]
        return [y.data, x.grad, *gradients, *(buffer for _, buffer in layer.named_buffers())]

    on_both(run)


def test_state_moves_between_devices():
    state = nn.Linear(4, 3, rng=0).state_dict()
    on_strict()
    layer = nn.Linear(4, 3, rng=1)
    layer.load_state_dict(state)
    for name, array in layer.state_dict().items():
        assert type(array) is np.ndarray
        np.testing.assert_array_equal(array, state[name])
    assert "15 parameters" in repr(layer)


# --- architectures ---------------------------------------------------------------------------


def training_step(model, loss, optimizer, x, y):
    """One step of `fit`; returns the loss, an array of the device."""
    optimizer.zero_grad()
    value = loss(model, x, y)
    value.backward(xp.ones_like(value.data))
    optimizer.step()
    return value.data


def train(model, optimizer):
    """Three steps, each under guard: the losses, and all that has changed."""
    x, y = map(backend.asarray, points())
    losses = []
    model.train()
    for batch in minibatches(x, y, 32):
        with guard():
            losses.append(training_step(model, type(model).loss, optimizer, *batch))
    buffers = [buffer for _, buffer in model.named_buffers()]
    return [*losses, optimizer.gradients, optimizer.values, *buffers]


OPTIMIZERS = {
    "adam": lambda parameters: optim.Adam(parameters, lr=1e-2),
    "sgd": lambda parameters: optim.SGD(parameters, lr=1e-2, momentum=0.9, nesterov=True),
}


@every_architecture
@both_protocols
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_training_step_stays_on_the_device(name, native, optimizer):
    def run():
        model = make(name, native)
        return train(model, optimizer(model.parameters()))

    on_both(run)


@every_architecture
@both_protocols
def test_prediction(name, native):
    def run():
        model = make(name, native)
        x = backend.asarray(points()[0])
        finished = model.finish(x)
        with guard():
            return [finished.predict_proba(x).data]

    on_both(run)


@every_architecture
def test_a_stack_of_replicas(name):
    def run():
        model = nn.stack([make(name, rng=seed) for seed in range(3)])
        return train(model, optim.Adam(model.parameters(), lr=1e-2))

    on_both(run)


@pytest.mark.parametrize("shuffle", [None, 0])
def test_fit_waits_once_an_epoch(shuffle):
    x, y = points()
    on_strict()
    model = make("mlp")
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    with strict.counting() as counters:
        history = minigrad.fit(model, x, y, type(model).loss, optimizer, epochs=4, shuffle=shuffle)
    assert counters.synchronisations == 4
    assert counters.transfers == (2 if shuffle is None else 2 + 4)  # x, y and orders of the rows
    assert all(type(loss) is np.ndarray for loss in history.losses)


# --- what the stand-in is for: each of these works with NumPy and fails on a GPU --------------


def numpys_function(x):
    return np.exp(x), lambda g: g


def numpys_reduction(x):
    return np.sum(x), lambda g: g * xp.ones_like(x)


def numpys_operand(x):
    return x * np.ones(3, "float32"), lambda g: g


def numpys_operand_on_the_left(x):
    return np.ones(3, "float32") * x, lambda g: g


def numpys_conversion(x):
    return np.asarray(x) * 2, lambda g: 2 * g


def numpys_assignment(x):
    y = xp.zeros_like(x)
    y[...] = np.ones(3, "float32")
    return y, lambda g: g


def numpys_function_in_the_vjp(x):
    return xp.exp(x), lambda g: g * np.exp(x)


def name_that_cupy_lacks(x):
    return xp.vecdot(x, x), lambda g: 2 * g[..., None] * x


def option_that_cupy_lacks(x):
    return x.sum(axis=-1, where=x > 0), lambda g: g[..., None] * (x > 0)


def index_added_to_integers(x):
    counts = xp.zeros(3, "int64")
    backend.add_at(counts, xp.argsort(x), 1)
    return x * counts, lambda g: g * counts


@pytest.mark.parametrize(
    "rule, error",
    [
        (numpys_function, TypeError),
        (numpys_reduction, TypeError),
        (numpys_operand, TypeError),
        (numpys_operand_on_the_left, TypeError),
        (numpys_conversion, TypeError),
        (numpys_assignment, TypeError),
        (numpys_function_in_the_vjp, TypeError),
        (name_that_cupy_lacks, AttributeError),
        (option_that_cupy_lacks, TypeError),
        (index_added_to_integers, TypeError),
    ],
)
def test_an_op_that_leaves_the_device_is_caught(rule, error):
    faulty = op(rule)

    def run():
        x = Tensor([1.0, 3.0, 2.0], requires_grad=True)
        y = faulty(x)
        y.backward(xp.ones(y.shape, y.dtype))

    run()  # nobody would notice on the CPU
    on_strict()
    with pytest.raises(error) as caught:
        run()
    assert rule.__name__ in caught.value.__notes__[0]


def loss_as_a_number(model, x, y):
    loss = model.loss(x, y)
    assert float(loss.data) > 0
    return loss


def loss_in_a_condition(model, x, y):
    loss = model.loss(x, y)
    return loss if loss < 100 else 0 * loss


def loss_printed(model, x, y):
    loss = model.loss(x, y)
    assert f"{loss.data}"
    return loss


def loss_as_an_item(model, x, y):
    loss = model.loss(x, y)
    return loss * (1 / loss.item())


def loss_fetched(model, x, y):
    loss = model.loss(x, y)
    assert backend.to_numpy(loss.data) > 0
    return loss


def right_rows_only(model, x, y):
    right = x[:, 0] > 0
    return model.loss(x[right], y[right])


def clocked(model, x, y):
    loss = model.loss(x, y)
    backend.synchronize()
    return loss


def list_of_weights(model, x, y):
    return model.loss(x, y) * Tensor([1.0])


def weights_from_numpy(model, x, y):
    return model.loss(x * backend.asarray(np.ones(2, "float32")), y)


@pytest.mark.parametrize(
    "loss, complaint",
    [
        (loss_as_a_number, "waits"),
        (loss_in_a_condition, "waits"),
        (loss_printed, "waits"),
        (loss_as_an_item, "waits"),
        (loss_fetched, "waits"),
        (right_rows_only, "waits"),
        (clocked, "waits"),
        (list_of_weights, "moves"),
        (weights_from_numpy, "moves"),
    ],
)
def test_a_training_step_that_leaves_the_device_is_caught(loss, complaint):
    on_strict()
    model = make("mlp")
    optimizer = optim.Adam(model.parameters())
    x, y = map(backend.asarray, points(32))
    with pytest.raises(AssertionError, match=complaint), nothing_waits():
        training_step(model, loss, optimizer, x, y)


# --- the stand-in itself ---------------------------------------------------------------------

ROWS = strict.asarray(np.array([0, 2, 2]))
FREE = {
    "reshape": lambda x: x.reshape(4, 3),
    "transpose": lambda x: x.T,
    "slice": lambda x: x[1:, ::2],
    "element": lambda x: x[1, 2],
    "new axis": lambda x: x[:, None],
    "broadcast": lambda x: strict.broadcast_to(x, (2, 3, 4)),
    "expand_dims": lambda x: strict.expand_dims(x, 0),
    "flip": lambda x: strict.flip(x, axis=0),
    "same dtype": lambda x: x.astype("float32", copy=False),
    "asarray": strict.asarray,
    "empty": strict.empty_like,
}
ONE_LAUNCH = {
    "operator": lambda x: x + 1,
    "reversed operator": lambda x: 1 / x,
    "NumPy scalar": lambda x: np.float32(2) * x,
    "comparison": lambda x: x > 0,
    "in place": lambda x: x.__iadd__(1),
    "minus": lambda x: -x,
    "function": strict.exp,
    "out": lambda x: strict.multiply(x, 2, out=x),
    "reduction": lambda x: x.sum(axis=0),
    "whole reduction": lambda x: x.sum(),
    "product": lambda x: x @ x.T,
    "reshape of a transpose": lambda x: x.T.reshape(-1),
    "gather": lambda x: x[ROWS],
    "fill": lambda x: x.fill(0),
    "assignment": lambda x: x.__setitem__((..., 0), 1),
    "other dtype": lambda x: x.astype("float64"),
    "copy": strict.array,
    "zeros": strict.zeros_like,
    "scatter-add": lambda x: strict.add.at(x, (0, slice(None)), 1.0),
}
WAITS = {
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "bool": lambda x: bool(x[0, 0]),
    "if": lambda x: 1 if x[0, 0] else 0,
    "item": lambda x: x[0, 0].item(),
    "tolist": lambda x: x.tolist(),
    "print": str,
    "format": lambda x: f"{x[0, 0]:.3f}",
    "get": lambda x: x.get(),
    "asnumpy": strict.asnumpy,
    "nonzero": strict.nonzero,
    "synchronize": lambda x: strict.cuda.Device().synchronize(),
}


@pytest.mark.parametrize(
    "launches, synchronisations, function",
    [pytest.param(0, 0, function, id=name) for name, function in FREE.items()]
    + [pytest.param(1, 0, function, id=name) for name, function in ONE_LAUNCH.items()]
    + [pytest.param(None, 1, function, id=name) for name, function in WAITS.items()],
)
def test_counts(launches, synchronisations, function):
    x = strict.asarray(np.ones((3, 4), "float32"))
    with strict.counting() as counters:
        function(x)
    assert launches in (None, counters.launches)
    assert (counters.synchronisations, counters.transfers) == (synchronisations, 0)


def test_transfers_are_counted_and_copy():
    array = np.zeros(3)
    with strict.counting() as counters:
        moved = strict.asarray(array)
        strict.asarray([1, 2])
        moved[[0, 1]]  # a list as an index
    assert counters.transfers == 3
    array += 1
    assert moved.tolist() == [0, 0, 0]


def test_counting_starts_at_zero_and_nests():
    x = strict.ones(3)
    with strict.counting() as outer:
        x + 1
        with strict.counting() as inner:
            x + 1
            x + 1
        x + 1
    assert (inner.launches, outer.launches) == (2, 2)


@pytest.mark.parametrize(
    "function", [lambda x: x.sum(), lambda x: x[0] * 2, lambda x: x.max() > 0, lambda x: x[1]]
)
def test_results_without_dimensions_stay_arrays(function):
    result = function(strict.ones(3))
    assert type(result) is strict.ndarray
    assert result.shape == ()


def test_unknown_names_say_where_to_add_them():
    with pytest.raises(AttributeError, match=r"no 'vecdot'.*strict\.py"):
        _ = strict.vecdot


# --- names: the stand-in has what minigrad uses, and CuPy has what the stand-in has -----------


def names_behind_xp():
    """{"exp", "random.default_rng", ...}: every name that the sources take from xp."""
    names = set()
    for package in ("minigrad", "architectures"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                parts = []
                while isinstance(node, ast.Attribute):
                    parts.append(node.attr)
                    node = node.value
                if parts and isinstance(node, ast.Name) and node.id == "xp":
                    names.add(".".join(reversed(parts)))
    return names - {"switch_to", "_library"}  # what ArrayModule has itself


def resolve(module, name):
    return functools.reduce(getattr, name.split("."), module)


def test_the_kernels_have_names_of_their_own(cupy):
    assert [name for name in backend.KERNELS if has(cupy, name) or has(np, name)] == []


def test_cupy_reads_the_parameters_of_the_kernels(cupy):
    for name, kernel in backend.KERNELS.items():
        inputs, outputs = (len(text.split(",")) for text in kernel.cuda[:2])
        assert (kernel.compiled.nin, kernel.compiled.nout) == (inputs, outputs), name


def test_a_scan_through_time_is_one_launch_each_way():
    backend.activate(strict, "strict")
    launches = []
    for steps in (3, 30):
        current = Tensor(xp.ones((1, 4, 5)), requires_grad=True)
        with strict.counting() as counters:
            lif(current, steps=steps, beta=0.9).backward(xp.ones((steps, 4, 5)))
        launches.append(counters.launches)
    assert launches[0] == launches[1] < 15


def test_the_sources_use_names_of_the_stand_in():
    names = names_behind_xp()
    assert {"exp", "add.at", "random.default_rng", "zeros"} <= names
    assert len(names) > 30
    for name in names - backend.KERNELS.keys():
        resolve(strict, name)


@pytest.fixture
def cupy():
    return pytest.importorskip("cupy", reason="CuPy is not installed: pip install '.[test-cupy]'")


def test_the_sources_use_names_of_cupy(cupy):
    names = names_behind_xp() - backend.KERNELS.keys()
    assert [name for name in sorted(names) if not has(cupy, name)] == []


def test_the_stand_in_has_only_names_of_cupy(cupy):
    functions = f"{strict.FUNCTIONS} {strict.CONSTANTS} add.at asarray array asnumpy ndarray"
    methods = f"{strict.METHODS} {strict.OPERATORS} {strict.IN_PLACE} {strict.CONVERSIONS}"
    methods += f" {strict.PROPERTIES} {strict.VIEWS} get __len__ __iter__ __getitem__ __setitem__"
    for owner, names in [
        (cupy, functions),
        (cupy.ndarray, methods),
        (cupy.random, "default_rng Generator.random Generator.standard_normal"),
        (cupy.cuda, "Device.synchronize"),
    ]:
        assert [name for name in names.split() if not has(owner, name)] == []


def test_the_stand_in_takes_only_options_of_cupy(cupy):
    for name in strict.FUNCTIONS.split():
        ours, theirs = getattr(np, name), getattr(cupy, name)
        if isinstance(ours, np.ufunc) or name == "einsum":  # which hide their options
            continue
        taken = strict.OPTIONS & set(inspect.signature(ours).parameters)
        assert taken <= set(inspect.signature(theirs).parameters), name


def has(owner, name):
    try:
        resolve(owner, name)
    except AttributeError:
        return False
    return True
