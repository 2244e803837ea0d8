"""The switch between NumPy and CuPy: what it promises, and what it says when there is no GPU."""

import sys

import numpy as np
import pytest

from minigrad import backend, strict
from minigrad.backend import ArrayModule, DeviceError, xp

NO_GPU = "no GPU: it is being repaired"


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(backend, "why_no_gpu", lambda: NO_GPU)


class CUDARuntimeError(RuntimeError):
    pass


def pretend_cupy(monkeypatch, count):
    """The stand-in, installed as CuPy; `count` is the answer of getDeviceCount()."""

    def device_count():
        if isinstance(count, Exception):
            raise count
        return count

    runtime = strict.cuda.runtime
    monkeypatch.setattr(runtime, "getDeviceCount", device_count, raising=False)
    monkeypatch.setattr(runtime, "CUDARuntimeError", CUDARuntimeError, raising=False)
    monkeypatch.setattr(strict, "__version__", "14.0", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", strict)


# --- use() -----------------------------------------------------------------------------------


def test_the_cpu_is_the_default():
    assert backend.device() == "cpu"
    assert xp.ndarray is np.ndarray


def test_cpu_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(backend, "why_no_gpu", lambda: pytest.fail("looked for a GPU"))
    assert backend.use("cpu") == "cpu"


@pytest.mark.parametrize("name", ["tpu", "GPU", "", None, 0])
def test_unknown_devices_are_refused(name):
    with pytest.raises(ValueError, match=r"unknown device .*: choose 'cpu', 'gpu' or 'auto'"):
        backend.use(name)


def test_gpu_without_a_gpu_says_why_and_changes_nothing(without_gpu):
    backend.activate(strict, "strict")
    with pytest.raises(DeviceError, match=NO_GPU):
        backend.use("gpu")
    assert backend.device() == "strict"
    assert xp.ndarray is strict.ndarray


def test_auto_without_a_gpu_is_the_cpu(without_gpu):
    backend.activate(strict, "strict")
    assert backend.use("auto") == backend.device() == "cpu"
    assert xp.ndarray is np.ndarray


@pytest.mark.parametrize("name", ["gpu", "auto"])
def test_a_gpu_is_used(monkeypatch, name):
    pretend_cupy(monkeypatch, 1)
    assert backend.use(name) == backend.device() == "gpu"
    assert xp.ndarray is strict.ndarray


# --- why_no_gpu() ----------------------------------------------------------------------------


def test_cupy_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes `import cupy` fail
    why = backend.why_no_gpu()
    assert why.startswith("no GPU: CuPy is not installed")
    assert "pip install '.[gpu-cuda12]'" in why
    assert "\n" not in why


def test_cupy_that_finds_no_driver_gives_its_own_reason(monkeypatch):
    pretend_cupy(monkeypatch, CUDARuntimeError("cudaErrorInsufficientDriver: too old"))
    assert backend.why_no_gpu() == (
        "no GPU: CuPy 14.0 finds no CUDA device (cudaErrorInsufficientDriver: too old)"
    )


def test_cupy_that_finds_no_device(monkeypatch):
    pretend_cupy(monkeypatch, 0)
    assert backend.why_no_gpu() == "no GPU: CuPy 14.0 finds no CUDA device"


def test_no_reason_with_a_device(monkeypatch):
    pretend_cupy(monkeypatch, 2)
    assert backend.why_no_gpu() == ""


# --- what is in use, and its memory ----------------------------------------------------------


def test_auto_says_what_it_chose_and_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    backend.use("auto")
    assert backend.why_this_device() == f"{backend.why_no_gpu()}: training on the CPU"
    pretend_cupy(monkeypatch, 1)
    backend.use("auto")
    says = "CuPy finds a CUDA device: training on the GPU (stand-in, 8 GiB)"
    assert backend.why_this_device() == says


def test_a_gpus_memory_is_given_back(monkeypatch):
    before = strict.pool.given_back
    backend.give_back_memory()
    assert strict.pool.given_back == before
    pretend_cupy(monkeypatch, 1)
    backend.use("gpu")
    backend.give_back_memory()
    assert strict.pool.given_back == before + 2  # on the device, and pinned


# --- arrays ----------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("library, name", [(np, "cpu"), (strict, "strict")])


@BOTH
@pytest.mark.parametrize(
    "data, dtype",
    [
        (2, "float32"),
        (2.5, "float32"),
        (True, "float32"),
        ([1, 2, 3], "float32"),
        ([[1.0], [2.0]], "float32"),
        ((), "float32"),
        (np.float64(2), "float64"),
        (np.int32(2), "int32"),
        (np.arange(3), "int64"),
        (np.ones(3), "float64"),
        (np.ones(3, "float16"), "float16"),
        (np.ones(3, bool), "bool"),
    ],
)
def test_numbers_and_lists_become_float32_and_arrays_keep_their_dtype(library, name, data, dtype):
    backend.activate(library, name)
    array = backend.asarray(data)
    assert type(array) is library.ndarray
    assert (array.dtype, array.shape) == (dtype, np.shape(data))
    np.testing.assert_array_equal(backend.to_numpy(array), data)


@BOTH
def test_arrays_of_the_library_are_not_copied(library, name):
    backend.activate(library, name)
    array = xp.ones(3)
    assert backend.asarray(array) is array


def test_to_numpy_shares_on_the_cpu_and_copies_from_a_device():
    array = np.zeros(3)
    assert backend.to_numpy(array) is array
    backend.activate(strict, "strict")
    array = xp.zeros(3)
    copy = backend.to_numpy(array)
    assert type(copy) is np.ndarray
    copy += 1
    assert backend.to_numpy(array).tolist() == [0, 0, 0]


def test_synchronize_waits_for_the_device_only():
    with strict.counting() as counters:
        backend.synchronize()
        assert counters.synchronisations == 0
        backend.activate(strict, "strict")
        backend.synchronize()
        assert counters.synchronisations == 1


@BOTH
def test_add_at_adds_repeated_elements_repeatedly(library, name):
    backend.activate(library, name)
    target = xp.zeros(3, "float32")
    backend.add_at(target, xp.asarray(np.array([0, 2, 2])), xp.asarray(np.array([1.0, 2.0, 3.0])))
    assert backend.to_numpy(target).tolist() == [1, 0, 5]


# --- random numbers --------------------------------------------------------------------------


def test_a_host_generator_is_passed_on_and_a_seed_makes_one():
    rng = np.random.default_rng(0)
    assert backend.host_rng(rng) is rng
    np.testing.assert_array_equal(backend.host_rng(7).random(5), backend.host_rng(7).random(5))
    assert (backend.host_rng(None).random(5) != backend.host_rng(None).random(5)).any()


@BOTH
def test_device_generators_follow_their_seed(library, name):
    backend.activate(library, name)

    def draw(rng):
        return backend.to_numpy(backend.Noise(rng).random(5, dtype="float32"))

    np.testing.assert_array_equal(draw(7), draw(7))
    assert (draw(7) != draw(8)).any()
    assert (draw(None) != draw(None)).any()


@BOTH
def test_a_device_generator_takes_one_draw_of_the_host_generator(library, name):
    """So that what the host draws next (initial weights) is the same on every device."""
    backend.activate(library, name)
    rng, reference = np.random.default_rng(3), np.random.default_rng(3)
    generators = backend.Noise(rng), backend.Noise(rng)
    reference.integers(2**63, size=2)
    assert rng.bit_generator.state == reference.bit_generator.state
    first, second = (backend.to_numpy(g.standard_normal((5,), "float32")) for g in generators)
    assert (first != second).any()


# --- xp --------------------------------------------------------------------------------------


def test_xp_asks_the_library_once_for_each_name():
    asked = []

    class Library:
        def __getattr__(self, name):
            asked.append(name)
            return len(asked)

    module = ArrayModule(Library())
    assert [module.exp, module.exp, module.log, module.exp] == [1, 1, 2, 1]
    assert asked == ["exp", "log"]


def test_switching_forgets_what_was_remembered():
    module = ArrayModule(np)
    assert module.exp is np.exp
    module.switch_to(strict)
    assert module.exp is strict.exp
    module.switch_to(np)
    assert module.exp is np.exp


def test_xp_knows_no_more_than_its_library():
    with pytest.raises(AttributeError, match="no_such_function"):
        xp.no_such_function()
