"""The same numbers on a GPU as on the CPU. These tests run where CuPy finds a CUDA device.

What draws nothing agrees number by number, and so does what draws noise, if it is given the CPU's.
With a device's own generators accuracies must agree within their sampling error.
"""

from contextlib import contextmanager

import numpy as np
import pytest
from test_kernels import CASES as KERNEL_CASES
from test_kernels import both_dtypes, every_kernel, in_a_tuple, parameters
from test_ops import every_case, tensors
from test_strict import LAYERS, both_protocols, every_architecture, make, points, training_step

import minigrad
import minigrad.training
from architectures import list_architectures
from minigrad import Tensor, backend, functional, nn, optim
from minigrad.backend import xp
from minigrad.data import minibatches
from minigrad.spiking import lif, lif_trace

pytestmark = [
    pytest.mark.gpu,
    # CuPy cannot promise to notice every way to wait.
    pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize"),
]


def on_both(function):
    """function() on the CPU and on the GPU: (expected, actual), NumPy arrays."""
    results = []
    for device in ("cpu", "gpu"):
        backend.use(device)
        arrays = function()
        assert all(type(array) is xp.ndarray for array in arrays)
        results.append([backend.to_numpy(array) for array in arrays])
    return results


def assert_close(actual, expected, **tolerance):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, **tolerance)


@contextmanager
def nothing_waits():
    """CuPy itself raises DeviceSynchronized if something is copied to the host."""
    import cupyx

    with cupyx.allow_synchronize(False):
        yield


def test_a_copy_to_the_host_is_noticed():
    import cupyx

    backend.use("gpu")
    x = xp.ones(3)
    for wait in (lambda: float(x.sum()), lambda: backend.to_numpy(x), lambda: bool(x[0])):
        with pytest.raises(cupyx.DeviceSynchronized), nothing_waits():
            wait()
    assert backend.to_numpy(x).tolist() == [1, 1, 1]  # allowed again


# --- ops and layers --------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize(
    "dtype, tolerance",
    [("float64", {"rtol": 1e-9, "atol": 1e-11}), ("float32", {"rtol": 1e-4, "atol": 1e-5})],
    ids=["float64", "float32"],
)
def test_ops(name, function, inputs, dtype, tolerance):
    if name == "dropout":
        pytest.skip("draws on the device: tested below")

    def run():
        xs = tensors(inputs, dtype)
        y = function(*xs)
        y.backward(np.random.default_rng(2).standard_normal(y.shape).astype(dtype))
        return [y.data, *(x.grad for x in xs)]

    expected, actual = on_both(run)
    assert_close(actual, expected, **tolerance)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "dropout"])
def test_layers(name):
    def run():
        layer = LAYERS[name]()
        x = Tensor(np.random.default_rng(0).standard_normal((6, 4)).astype("float32"), True)
        y = layer(x)
        (y * y).sum().backward()
        gradients = [p.grad for p in layer.parameters()]
        return [y.data, x.grad, *gradients, *(buffer for _, buffer in layer.named_buffers())]

    expected, actual = on_both(run)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_dropout_drops_its_share_and_masks_the_gradient_alike():
    backend.use("gpu")
    x = Tensor(xp.ones((200, 500), "float32"), requires_grad=True)
    y = functional.dropout(x, 0.3, backend.Noise(0))
    y.backward(xp.ones(y.shape, y.dtype))
    values = y.numpy()
    np.testing.assert_allclose(np.unique(values), [0, 1 / 0.7], rtol=1e-6)
    # 100,000 elements: the share has a standard error of 0.0014.
    assert abs((values == 0).mean() - 0.3) < 0.006
    np.testing.assert_array_equal(backend.to_numpy(x.grad), values)


@every_kernel
@both_dtypes
def test_a_kernel_is_its_loop(name, dtype):
    def run():
        inputs, options = KERNEL_CASES[name](dtype)
        moved = {}  # what is written into is an input, too: it is one array there, as here

        def move(a):
            if isinstance(a, tuple):
                return tuple(map(move, a))
            if not isinstance(a, np.ndarray):
                return a
            return moved.setdefault(id(a), backend.asarray(a))

        options = {key: move(a) if key == "out" else a for key, a in options.items()}
        with np.errstate(invalid="ignore"):
            results = in_a_tuple(getattr(xp, name)(*map(move, inputs), **options))
        named = zip(results, parameters(backend.KERNELS[name].cuda[1], dtype))
        return [xp.asarray(result) for result, p in named if p.name != "work"]

    expected, actual = on_both(run)
    loose = {"float32": 1e-5, "float64": 1e-12}[min(str(a.dtype) for a in actual)]
    assert_close(actual, expected, rtol=loose, atol=loose)


def test_a_kernel_that_is_not_worth_it_makes_the_array_calls():
    """A batch of many rows, and rows of many features."""

    def run():
        rng = np.random.default_rng(0)
        x = Tensor(rng.standard_normal((600, 40)).astype("float32"), True)
        layer = nn.BatchNorm(40)
        y = functional.sparsemax(layer(x))
        y.backward(rng.standard_normal(y.shape).astype("float32"))
        return [y.data, x.grad, layer.gain.grad, layer.running_var]

    expected, actual = on_both(run)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@both_dtypes
@pytest.mark.parametrize("lead, given", [((), 7), ((3,), 1), ((2, 3), 7)])
def test_the_kernels_of_spiking_neurons_are_their_loops(lead, given, dtype):
    """To the last bit: a membrane one unit off would fire elsewhere."""
    rng = np.random.default_rng(0)
    current = 2 * rng.standard_normal((*lead, given, 4, 5)).astype(dtype)
    grad = rng.standard_normal((*lead, 7, 4, 5)).astype(dtype)

    def run():
        i = Tensor(current, requires_grad=True)
        spikes = lif(i, steps=7, beta=0.8, threshold=1.3)
        spikes.backward(grad)
        membrane, _ = lif_trace(i.data, 7, 0.8, threshold=1.3, initial=0.25)
        return [spikes.data, membrane, i.grad]

    expected, actual = on_both(run)
    assert 0.1 < expected[0].mean() < 0.9
    for a, b in zip(actual[:2], expected):
        np.testing.assert_array_equal(a, b)
    assert_close(actual[2:], expected[2:], rtol=1e-5, atol=1e-5)


# --- random numbers --------------------------------------------------------------------------


def test_noise_is_drawn_on_the_device_from_its_seed():
    backend.use("gpu")

    def draw(seed, method="standard_normal"):
        return getattr(backend.Noise(seed), method)((1000,), dtype="float32")

    with nothing_waits():
        noise = draw(0), draw(0), draw(1), draw(0, "random")
    assert all(type(array) is xp.ndarray for array in noise)
    first, again, other, uniform = map(backend.to_numpy, noise)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    # 1,000 numbers: the mean has a standard error of 0.032, the standard deviation of 0.022.
    assert abs(first.mean()) < 0.13
    assert abs(first.std() - 1) < 0.1
    assert 0 <= uniform.min() < uniform.max() < 1
    assert first.dtype == uniform.dtype == "float32"


@every_architecture
@both_protocols
def test_a_seed_means_the_same_start(name, native):
    def run():
        model = make(name, native, rng=5)
        return [p.data for p in model.parameters()] + [a for _, a in model.named_buffers()]

    expected, actual = on_both(run)
    for a, b in zip(actual, expected):
        np.testing.assert_array_equal(a, b)


# --- training --------------------------------------------------------------------------------


class HostNoise:
    """In place of a device's generator: the CPU's, whose numbers are moved there."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def random(self, shape, dtype):
        return backend.asarray(self.rng.random(shape, dtype=dtype))

    def standard_normal(self, shape, dtype):
        return backend.asarray(self.rng.standard_normal(shape, dtype=dtype))


def losses(name, dtype, native=False, steps=50):
    """The loss of each step, with the noise of the CPU: [an array (steps,)]."""
    model = make(name, native).train()
    for _, noise in model.named_noise():
        noise.generator = HostNoise(noise.seed)
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)
    if chains := getattr(model, "chains", None):  # the points of an energy model are data
        chains.chains = chains.chains.astype(dtype)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x, y = points(320)
    batches = minibatches(backend.asarray(x.astype(dtype)), backend.asarray(y), 32)
    history = [
        training_step(model, type(model).loss, optimizer, *batches[step % len(batches)])
        for step in range(steps)
    ]
    return [xp.stack(history)]


@every_architecture
@both_protocols
def test_fifty_steps_loss_by_loss(name, native):
    """In float64, where rounding is too small to make a spike, or a sparse mask, come out
    differently."""
    expected, actual = on_both(lambda: losses(name, "float64", native))
    assert expected[0][-1] < expected[0][0]
    assert_close(actual, expected, rtol=1e-7)


@pytest.mark.parametrize("name", [n for n in list_architectures() if n not in ("snn", "tabnet")])
def test_fifty_steps_loss_by_loss_in_float32(name):
    """Without SNN and TabNet: there one unit in the last place may move a spike, or an entry of a
    mask, and then the losses part by a percent or less."""
    expected, actual = on_both(lambda: losses(name, "float32"))
    assert_close(actual, expected, rtol=1e-4)


@every_architecture
@both_protocols
def test_a_training_step_never_waits(name, native):
    backend.use("gpu")
    model = make(name, native).train()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    batches = minibatches(*map(backend.asarray, points()), 32)
    # The first step compiles kernels and makes the generators.
    training_step(model, type(model).loss, optimizer, *batches[0])
    with nothing_waits():
        for batch in batches:
            training_step(model, type(model).loss, optimizer, *batch)


@every_architecture
@both_protocols
def test_accuracies_agree_within_their_sampling_error(name, native):
    """Eight replicas, trained and judged at once, on each device."""
    replicas, classes = 8, 5
    x, y = points(400)
    x_test, y_test = points(400, seed=1)
    x_test = np.tile(x_test, (replicas, 1, 1))

    def run():
        models = [make(name, native, rng=seed, rows=len(x)) for seed in range(replicas)]
        model = nn.stack(models)
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        minigrad.fit(model, x, y, type(model).loss, optimizer, epochs=5)
        proba = model.finish(backend.asarray(x)).predict_proba(backend.asarray(x_test)).data
        return [(proba.argmax(axis=-1) == backend.asarray(y_test)).mean(axis=-1)]

    (cpu,), (gpu,) = on_both(run)
    assert cpu.shape == (replicas,)
    assert cpu.mean() > 2 / classes  # it has learned something
    standard_error = np.sqrt((cpu.var(ddof=1) + gpu.var(ddof=1)) / replicas)
    assert abs(cpu.mean() - gpu.mean()) < 4 * standard_error + 0.01


def test_fit_gives_the_same_history():
    x, y = points(320)

    def run():
        model = make("mlp")
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        history = minigrad.fit(model, x, y, type(model).loss, optimizer, epochs=3, shuffle=0)
        assert all(type(loss) is np.ndarray for loss in history.losses)
        return [backend.asarray(loss) for loss in history.losses]

    expected, actual = on_both(run)
    assert_close(actual, expected, rtol=1e-4)


@every_architecture
@both_protocols
def test_a_captured_step_is_the_eager_step(name, native):
    """Compiled, the step is CUDA graphs from its third call on: the same losses and weights, to
    the last bit. The other steps wait for nothing and are no slower for it."""
    x, y = points(64)

    def run(compiled):
        model = make(name, native, rows=len(x)).train()
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        step = minigrad.training.training_step(model, type(model).loss, optimizer)
        step = minigrad.compile(step) if compiled else step
        inputs = backend.asarray(x), backend.asarray(y)
        losses = [step(*inputs) for _ in range(3)]
        with nothing_waits():
            losses += [step(*inputs) for _ in range(5)]
        return [backend.to_numpy(a) for a in (*losses, optimizer.values)]

    backend.use("gpu")
    for eager, compiled in zip(run(False), run(True)):
        np.testing.assert_array_equal(eager, compiled)


@pytest.mark.parametrize("name", ["tabnet", "mc_dropout"])
def test_a_captured_step_of_a_stack_and_of_another_learning_rate(name):
    """Numbers that change are read at every replay; noise goes on."""
    x, y = points(64)

    def run(compiled):
        model = nn.stack([make(name, rng=seed, rows=len(x)) for seed in range(3)]).train()
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
        step = minigrad.training.training_step(model, type(model).loss, optimizer)
        step = minigrad.compile(step) if compiled else step
        losses = []
        for k in range(8):
            optimizer.lr = 1e-2 / (k + 1)
            losses.append(step(backend.asarray(x), backend.asarray(y)))
        return [backend.to_numpy(a) for a in (*losses, optimizer.values)]

    backend.use("gpu")
    for eager, compiled in zip(run(False), run(True)):
        np.testing.assert_array_equal(eager, compiled)


# --- memory ----------------------------------------------------------------------------------


def test_a_device_out_of_memory_is_one_line():
    """The limit is the pool's, so that nobody else on this device is in want."""
    import cupy

    from demos.comparison.contest import contest, entries
    from demos.comparison.progress import describe
    from demos.comparison.rings_and_clusters import rings_and_clusters
    from demos.comparison.training import Recipe

    backend.use("gpu")
    backend.give_back_memory()
    pool = cupy.get_default_memory_pool()
    recipe = Recipe(seeds=(0, 1), epochs=1, device="gpu", compiled=False)
    todo = entries(["tabnet", "mlp"], ["shared"], rings_and_clusters(recipe.seeds), recipe)
    try:
        pool.set_limit(size=pool.used_bytes() + (2 << 20))
        (_, error), (_, outcome) = contest(todo)
    finally:
        pool.set_limit(size=0)
    says = describe(error)
    assert says.startswith(f"MemoryError: {backend.device_name()} has no room for 2 replicas of ")
    assert "TabNet with 32 rows in a minibatch: lower --replicas or --batch-size (" in says
    assert outcome.name == "mlp"  # to which the failure has left its memory


def test_memory_is_given_back():
    import cupy

    backend.use("gpu")
    pool = cupy.get_default_memory_pool()
    x = xp.zeros(1 << 20)
    del x
    assert pool.total_bytes() >= 8 << 20
    backend.give_back_memory()
    assert pool.total_bytes() < 8 << 20


def test_the_device_has_a_name():
    backend.use("auto")
    assert backend.device() == "gpu"
    assert backend.why_this_device().startswith("CuPy finds a CUDA device: training on the GPU (")
