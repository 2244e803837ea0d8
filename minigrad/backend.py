"""One switch between NumPy and CuPy: the only file that knows where arrays live.

Everything above writes ``xp.exp(x)``. ``xp`` stands for NumPy on the CPU and for CuPy on a GPU,
chosen once, before any Tensor exists::

    backend.use("gpu")          # or "cpu", or "auto": the GPU if there is one

Three rules keep a training step on the device:

* arrays move only here, in `asarray` (host to device) and `to_numpy` (device to host);
* whatever decides the start of a run (initial weights, data, the order of batches) is drawn on the
  host by a `numpy.random.Generator`, so that a seed names the same start on both devices;
* whatever is drawn *during* a step (dropout masks, weight noise) is drawn on the device, by a
  `Noise`.
"""

import copy
import functools
import gc
import reprlib
from typing import Any

import numpy

# --- the switch ---------------------------------------------------------------------------------


class ArrayModule:
    """Forwards every name to the array library in use, and remembers the answer.

    So a name costs an ordinary attribute look-up each time but the first.
    """

    def __init__(self, library):
        self.switch_to(library)

    def switch_to(self, library):
        vars(self).clear()
        self._library = library

    def __getattr__(self, name):  # reached only by names that are not remembered yet
        try:
            value = getattr(self._library, name)
        except AttributeError:
            if name not in KERNELS:  # see the end of this file
                raise
            value = KERNELS[name].function()
        setattr(self, name, value)
        return value


class DeviceError(RuntimeError):
    """The device that was asked for is not there; the message says why and what to do."""


xp: Any = ArrayModule(numpy)
NUMPY_SCALARS = numpy.generic  # what NumPy gives for one element: numpy.float32(2)
_device: str = "cpu"
_library: Any = numpy  # or CuPy, or its stand-in


def use(device):
    """Choose where new arrays live: ``"cpu"``, ``"gpu"`` or ``"auto"``; return the device in use.

    Call it before the first Tensor is made: an array stays where it was born.

    Raises:
        DeviceError: ``"gpu"`` without CuPy or without a CUDA device (`why_no_gpu` says which).
        ValueError: any other name.
    """
    if device not in ("cpu", "gpu", "auto"):
        raise ValueError(f"unknown device {device!r}: choose 'cpu', 'gpu' or 'auto'")
    problem = "" if device == "cpu" else why_no_gpu()
    if device == "gpu" and problem:
        raise DeviceError(problem)
    if device == "cpu" or problem:
        activate(numpy, "cpu")
    else:
        import cupy  # type: ignore

        activate(cupy, "gpu")
    return _device


def activate(library, device):
    """Put `library`, a module with NumPy's interface, behind `xp`, under the name `device`."""
    global _device, _library
    xp.switch_to(library)
    _device, _library = device, library


def device():
    """Where new arrays live: ``"cpu"`` or ``"gpu"``."""
    return _device


def device_name():
    """What is in use, for people: "the CPU", or the GPU with its name and memory."""
    if _device == "cpu":
        return "the CPU"
    gpu = xp.cuda.Device()
    name = xp.cuda.runtime.getDeviceProperties(gpu.id)["name"].decode()
    return f"the GPU ({name}, {gpu.mem_info[1] / 2**30:.0f} GiB)"


def why_this_device():
    """One line that says what is in use, and why "auto" chooses it."""
    return f"{why_no_gpu() or 'CuPy finds a CUDA device'}: training on {device_name()}"


def why_no_gpu():
    """One line that says why there is no GPU to use; empty if there is one."""
    try:
        import cupy  # type: ignore
    except ImportError:
        return (
            "no GPU: CuPy is not installed (pip install '.[gpu-cuda12]', "
            "or '.[gpu-cuda13]' for CUDA 13)"
        )
    try:
        if cupy.cuda.runtime.getDeviceCount() > 0:
            return ""
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"no GPU: CuPy {cupy.__version__} finds no CUDA device ({error})"
    return f"no GPU: CuPy {cupy.__version__} finds no CUDA device"


def synchronize():
    """Wait until the device has done what it was told: before reading a clock, for example."""
    if _device != "cpu":
        xp.cuda.Device().synchronize()


# --- arrays -------------------------------------------------------------------------------------


def asarray(data):
    """`data` as an array of the library in use.

    Arrays keep their dtype; Python numbers and (nested) lists of them become float32.

    Raises:
        TypeError: what is no real number (text, None, complex numbers), or a masked array.
        ValueError: a list of lists of different lengths, or a number beyond float32.
    """
    if isinstance(data, NUMPY_SCALARS) and data.dtype.kind in "biuf":  # as a sum of all is
        return xp.asarray(data)
    refuse_masked(data)
    is_array = isinstance(data, (xp.ndarray, numpy.ndarray, NUMPY_SCALARS))
    array = data if is_array else numpy.asarray(data)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array holds real numbers, not {array.dtype}: {reprlib.repr(data)}")
    if not is_array:
        with numpy.errstate(over="ignore"):
            narrow = array.astype(numpy.float32)
        if numpy.isinf(narrow).any() and not numpy.isinf(array).any():
            raise ValueError(f"{reprlib.repr(data)} is beyond float32: give a float64 array")
        array = narrow
    return xp.asarray(array)


def refuse_masked(data):
    """Raise TypeError for a masked array: without a word what is behind the mask would count."""
    if isinstance(data, numpy.ndarray) and hasattr(data, "mask"):
        raise TypeError("a masked array: say what stands for the masked elements, data.filled(...)")


def to_numpy(array):
    """`array` as a NumPy array: on a GPU a copy, which waits for the device."""
    return array.get() if hasattr(array, "get") else numpy.asarray(array)


def address(array):
    """Where in memory an array begins, a number."""
    return array.data.ptr if hasattr(array.data, "ptr") else array.__array_interface__["data"][0]


def add_at(target, index, values):
    """``target[index] += values`` where an element named twice is added to twice (scatter-add)."""
    xp.add.at(target, index, values)


# --- randomness ---------------------------------------------------------------------------------


def host_rng(seed):
    """A `numpy.random.Generator` from a seed; a Generator is returned as it is.

    Raises:
        TypeError: no seed; a boolean is none either, though Python counts True as 1.
        ValueError: a negative number.
    """
    try:
        if isinstance(seed, (bool, numpy.bool_)):
            raise TypeError
        return numpy.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "a seed is a whole number, 0 or above, or a sequence of them, or a "
            f"numpy.random.Generator; not {reprlib.repr(seed)}"
        ) from None


def seed_numbers(seed):
    """A seed as a tuple of numbers, to which others can be added: ``[*seed_numbers(s), k]``.

    `seed` is a number, a sequence of them or a Generator, from which one is drawn.
    """
    rng = host_rng(seed)  # refuses what is none
    if isinstance(seed, numpy.random.Generator):
        seed = rng.integers(2**63)
    return tuple(numpy.atleast_1d(seed).tolist())


class Noise:
    """Random arrays, drawn on the device. Seeded by one draw from `rng`, a Generator or a seed."""

    def __init__(self, rng=None):
        self.seed = int(host_rng(rng).integers(2**63))

    @functools.cached_property
    def generator(self):
        """The library's own, made at the first draw: on a GPU each takes milliseconds and
        megabytes, and of a stack of replicas only the first one's is ever used."""
        return xp.random.default_rng(self.seed)

    def random(self, shape, dtype):
        """Uniform in [0, 1)."""
        return self.generator.random(shape, dtype=dtype)

    def standard_normal(self, shape, dtype):
        """Mean 0, variance 1."""
        return self.generator.standard_normal(shape, dtype=dtype)

    def exchange(self, other):
        """From here on draw from where `other` drew, and the other way round."""
        self.__dict__, other.__dict__ = other.__dict__, self.__dict__


def noise_state(generator):
    """A copy of the state of a Noise's generator."""
    if hasattr(generator.bit_generator, "_state"):  # CuPy's, an array on the device
        return generator.bit_generator._state.copy()
    return copy.deepcopy(generator.bit_generator.state)


def set_noise_state(generator, state):
    """Go back to a state: the same numbers come again."""
    if hasattr(generator.bit_generator, "_state"):
        generator.bit_generator._state[...] = state
    else:
        generator.bit_generator.state = state


# --- memory -------------------------------------------------------------------------------------


def give_back_memory():
    """Give the memory of a GPU that nothing uses any more back: CuPy keeps it for what comes next.

    What holds itself, as a compiled step does, is freed by the garbage collector only.
    """
    if _device != "cpu":
        gc.collect()
        xp.get_default_memory_pool().free_all_blocks()
        xp.get_default_pinned_memory_pool().free_all_blocks()


def keep_freed_memory():
    """Let the allocator keep blocks of up to 64 MB that are freed, for the next step to use again.

    Linux's allocator (glibc's malloc) returns blocks of megabytes to the system and fetches them
    again page by page, until it has once seen a block as large being freed: so it is shown one,
    which is never touched.
    """
    numpy.empty(31 << 20, "uint8")


keep_freed_memory()


# --- loops that are one launch on a GPU ---------------------------------------------------------


KERNELS: dict[str, Any] = {}


class Kernel:
    """Decorates a loop over array calls that a GPU does in one launch: `code` in place of the loop.

    The loop is a function of arrays and numbers that returns an array, or a tuple of them; it is
    called as ``xp.name``. What is written into arrays that are there is given as ``out=``, an array
    or a tuple of them.

    Args:
        inputs, outputs, code: CUDA in the form of `cupy.ElementwiseKernel`: what is done for one
            element, or by thread i to raw arrays, which are indexed as if they were flat.
        threads: of a kernel whose arrays are all raw: a function of the inputs that gives the
            number of threads and the shape of each output; or None, where the loop is faster.
    """

    def __init__(self, inputs, outputs, code, threads=None):
        self.cuda = inputs, outputs, code
        self.threads = threads

    def __call__(self, loop):
        self.loop = loop
        KERNELS[loop.__name__] = self
        return loop

    def function(self):
        """What ``xp.name`` stands for on the device in use."""
        return self.loop if _device == "cpu" or xp._library is numpy else self.launch

    def is_for(self, inputs):
        """Whether these inputs are worth a launch; a Box of `higher`, a Tensor inside, is not."""
        if any(hasattr(a, "tensor") for a in inputs):
            return False
        return self.threads is None or self.threads(*inputs) is not None

    def launch(self, *inputs, **options):
        if not self.is_for(inputs):
            return self.loop(*inputs, **options)
        if _device != "gpu":
            return _library.one_launch(self.loop, *inputs, **options)  # the stand-in for CuPy
        out = options.pop("out", ())
        out = out if type(out) is tuple else (out,)
        if self.threads is not None:
            options["size"], *shapes = self.threads(*inputs)
            out = out or tuple(xp.empty(shape, inputs[0].dtype) for shape in shapes)
        return self.compiled(*inputs, *out, **options)

    @functools.cached_property
    def compiled(self):
        import cupy  # type: ignore

        return cupy.ElementwiseKernel(*self.cuda, self.loop.__name__, options=ROUND_EACH)


# Products and sums are rounded one by one, as NumPy does it.
ROUND_EACH = ("--fmad=false",)


class Sum(Kernel):
    """The same for a sum: ``xp.name(..., axis=axis, keepdims=keepdims)``.

    Args:
        inputs, output: as for a Kernel; nothing is raw.
        term: what is added up, computed from the inputs.
        result: how the output is computed from the sum, which is called a.
    """

    def __init__(self, inputs, output, term, result):
        super().__init__(inputs, output, term)
        self.result = result

    @functools.cached_property
    def compiled(self):
        import cupy  # type: ignore

        rest = "a + b", self.result, "0", self.loop.__name__
        return cupy.ReductionKernel(*self.cuda, *rest, options=ROUND_EACH)
