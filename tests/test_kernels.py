"""The text of each kernel, compiled as plain C++, does what the array calls beside it do.

CUDA's language is C++ with a few words more, and none of the kernels uses those. So a loop around
the text stands in for a GPU's threads, one after the other.
"""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

import architectures
import minigrad.recurrent
import minigrad.spiking
from minigrad import backend
from minigrad.backend import KERNELS, Sum, xp

assert architectures and minigrad.recurrent and minigrad.spiking  # all kernels are known now

C_TYPES = {"float32": "float", "float64": "double", "int64": "long long"}


BIG, ROW, SCAN = (2, 4, 3), (2, 4, 1), (2, 7, 4, 5)


def arrays(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


# --- a call of each, with arrays of a dtype: (inputs, options) --------------------------------


def adam(dtype):
    p, m, v, g, work = arrays(dtype, *[(50,)] * 5)
    return (g, 0.9, 0.1, 0.999, 0.001, 1e-8, 0.01), {"out": (p, m, abs(v), work)}


def decaying_sum(dtype):
    (x,) = arrays(dtype, (2, 7, 4, 5))
    return (x, 7, 20, 0.8), {"out": x}


def relax(dtype):
    e, w, h = arrays(dtype, (2, 7, 3, 4, 5), (2, 7, 3, 4, 5), (2, 8, 3, 4, 5))
    return (e, w, 7, 60), {"out": h}


def relax_back(dtype):
    e, x = arrays(dtype, (2, 7, 3, 4, 5), (2, 7, 3, 4, 5))
    return (e, x, 7, 60), {"out": x}


def approach(dtype):
    mean, variance = arrays(dtype, (1, 3), (1, 3))
    running = arrays("float32", (2, 1, 3), (2, 1, 3))
    return (mean, variance, 0.1), {"out": tuple(running)}


def batch_norm_gradients(dtype):
    g, normal, gain, scale = arrays(dtype, BIG, BIG[1:], (2, 1, 3), (1, 3))
    return (g, normal, gain, scale, 4, 3, 12, 6, 3), {}


def exponentials(dtype):
    (z,) = arrays(dtype, BIG)
    z[0, 0, 0], z[0, 1, 1] = -np.inf, np.nan
    return (z, 3), {}


def one_hot(dtype):
    like, labels = np.empty((), dtype), np.random.default_rng(0).integers(5, size=(2, 4))
    return (like, labels, 5), {}


def batch_cross_entropy(dtype):
    target, shifted, total = map(abs, arrays(dtype, (2, 4, 3), (2, 4, 3), (2, 4, 1)))
    target /= target.sum(axis=-1, keepdims=True)
    return (target, shifted, total, 4), {"axis": (-1, -2)}


def kl_gradient_rho(dtype):
    g, sigma = arrays(dtype, (2, 1, 1), BIG)
    return (g, extremes(dtype), abs(sigma), 4.5), {}


def summed_kl(dtype):
    mu, sigma = arrays(dtype, BIG, BIG)
    return (mu, abs(sigma), 4.5, 0.25), {"axis": (-1, -2)}


def simplex_projection(dtype):
    (x,) = arrays(dtype, (2, 40, 5))
    x = x.round(1)  # some are equal
    x[0, 0], x[0, 1], x[0, 2, 3] = 0, [0, 0, 1000, 0, -1000], np.nan
    return (x, 5), {}


def simplex_projection_gradient(dtype):
    g, p = arrays(dtype, (2, 40, 5), (2, 40, 5))
    p[..., 0] = 1
    return (g, np.maximum(p, 0), 5), {}


def extremes(dtype):
    (x,) = arrays(dtype, (2, 4, 3))
    x[0, 0] = -1000, 1000, np.nan
    return x


CASES = {
    "adam": adam,
    "approach": approach,
    "batch_cross_entropy": batch_cross_entropy,
    "batch_norm_gradients": batch_norm_gradients,
    "cross_entropy_gradient": lambda t: ((*arrays(t, (2, 1, 1), BIG, BIG, ROW), 4), {}),
    "decaying_sum": decaying_sum,
    "dropout_mask": lambda t: ((*arrays(t, BIG), 0.3, 1 / 0.7), {}),
    "exponentials": exponentials,
    "gain_and_bias": lambda t: (arrays(t, BIG, (2, 1, 3), (1, 3)), {}),
    "gated": lambda t: ((*arrays(t, BIG), extremes(t)), {}),
    "gated_sum": lambda t: ((*arrays(t, BIG, BIG), extremes(t), 0.5**0.5), {}),
    "glu_gradient": lambda t: ((*arrays(t, BIG, BIG, BIG), 3), {}),
    "kl_gradient_mu": lambda t: ((*arrays(t, (2, 1, 1), BIG), 4.5), {}),
    "kl_gradient_rho": kl_gradient_rho,
    "lif_membrane": lambda t: ((2 * arrays(t, SCAN)[0], 7, 7, 20, 0.8, 1.3, 0.25), {}),
    "logistic": lambda t: ((extremes(t),), {}),
    "one_hot": one_hot,
    "relax": relax,
    "relax_back": relax_back,
    "relu_gradient": lambda t: (arrays(t, BIG, BIG), {}),
    "sampled": lambda t: ((*arrays(t, BIG), extremes(t), *arrays(t, BIG)), {}),
    "sampled_gradient": lambda t: ((*arrays(t, BIG), extremes(t), *arrays(t, BIG)), {}),
    "silu_gradient": lambda t: (arrays(t, BIG, BIG, BIG), {}),
    "simplex_projection": simplex_projection,
    "simplex_projection_gradient": simplex_projection_gradient,
    "summed_kl": summed_kl,
    "standardised": lambda t: ((*arrays(t, BIG), 4, 3, 1e-5), {}),
}

every_kernel = pytest.mark.parametrize("name", sorted(CASES))
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
# The exponential function and the logarithm are rounded in several ways.
TOLERANCE = {"float32": {"rtol": 2e-6, "atol": 1e-6}, "float64": {"rtol": 1e-14, "atol": 1e-14}}


def test_every_kernel_has_a_case_and_says_what_it_computes():
    assert CASES.keys() == KERNELS.keys()
    assert [name for name, kernel in KERNELS.items() if not kernel.loop.__doc__] == []


def in_a_tuple(result):
    return result if isinstance(result, tuple) else (result,)


# --- in C++ ----------------------------------------------------------------------------------


LETTERS = {"S": "float32", "L": "int64"}


class Parameter:
    """One of a kernel's: "raw T x". What is no dtype is a letter for one: T, or one of LETTERS."""

    def __init__(self, text, dtype):
        *raw, kind, self.name = text.split()
        self.raw = raw == ["raw"]
        self.dtype = np.dtype((LETTERS | {"T": dtype}).get(kind, kind))

    @property
    def element(self):
        return f"{C_TYPES[str(self.dtype)]} &{self.name}"

    def typed(self, array):
        pointer = f"{C_TYPES[str(self.dtype)]} *{'' if self.raw else '_'}{self.name}"
        return pointer if array else f"{C_TYPES[str(self.dtype)]} {self.name}"


def parameters(text, dtype):
    return [Parameter(part, dtype) for part in text.split(",")]


def source(name, dtype):
    """A function that does all threads of a kernel, given pointers and numbers."""
    inputs, outputs, code = KERNELS[name].cuda[:3]
    arguments = CASES[name](dtype)[0]
    ins, outs = parameters(inputs, dtype), parameters(outputs, dtype)
    arrays = [(p, isinstance(a, np.ndarray)) for p, a in zip(ins, arguments)]
    arrays += [(p, True) for p in outs]
    elements = [p for p, is_array in arrays if is_array and not p.raw]
    found = "".join(f"{p.element} = _{p.name}[i]; " for p in elements if p in ins)
    place = "".join(f"{p.element} = _{p.name}[i]; " for p in elements if p in outs)
    head = f'extern "C" void {name}_{dtype}(' + ", ".join(p.typed(is_a) for p, is_a in arrays)
    head += f", long long size, long long terms) {{ typedef {C_TYPES[dtype]} T;"
    if isinstance(KERNELS[name], Sum):
        term, result = code, KERNELS[name].result
        added = f"for (long long i = k * terms; i < (k + 1) * terms; ++i) {{ {found}a += {term}; }}"
        one = f"T a = 0; {added} long long i = k; {place}{result};"
        return f"{head} for (long long k = 0; k < size; ++k) {{ {one} }} }}"
    return f"{head} for (long long i = 0; i < size; ++i) {{ {found}{place}{code}; }} }}"


# CUDA's min and max prefer numbers to NaN, as these two do.
PREAMBLE = """
#include <cmath>
using namespace std;
#define min fmin
#define max fmax
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler here")
    folder = tmp_path_factory.mktemp("kernels")
    functions = [source(name, dtype) for name in CASES for dtype in TOLERANCE]
    text = "\n".join([PREAMBLE, *functions])
    (folder / "kernels.cpp").write_text(text)
    command = [compiler, "-shared", "-fPIC", "-ffp-contract=off", "kernels.cpp", "-o", "kernels.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "kernels.so"))


def in_cpp(library, name, dtype):
    """What the kernel makes of its case."""
    inputs, options = CASES[name](dtype)
    kernel = KERNELS[name]
    ins, outs = (parameters(text, dtype) for text in kernel.cuda[:2])
    results, terms, turned = in_a_tuple(options.get("out", ())), 1, None
    if kernel.threads is not None:
        size, *shapes = kernel.threads(*inputs)
    else:
        elements = [a for a in (*inputs, *results) if isinstance(a, np.ndarray)]
        shape = np.broadcast_shapes(*[a.shape for a in elements])
        size, shapes = int(np.prod(shape)), [shape] * len(outs)
    if isinstance(kernel, Sum):  # over the last axes of what is handed over
        axes = sorted(i % len(shape) for i in options["axis"])
        turned = [i for i in range(len(shape)) if i not in axes] + axes
        terms = int(np.prod([shape[i] for i in axes]))
        size, shapes = size // terms, [[n for i, n in enumerate(shape) if i not in axes]]
    results = results or [np.empty(shape, dtype) for shape in shapes]
    pointers = []
    for p, a in zip([*ins, *outs], [*inputs, *results]):
        if not isinstance(a, np.ndarray):
            pointers.append(C_NUMBERS[str(p.dtype)](a))
            continue
        if not p.raw:
            a = np.broadcast_to(a, shape) if p in ins else a
            a = a.transpose(turned) if turned and p in ins else a
        kept = np.ascontiguousarray(a)  # which is `a` itself, if it is written into
        pointers.append(kept.ctypes.data_as(ctypes.c_void_p))
        pointers[-1].kept = kept
    sizes = ctypes.c_longlong(size), ctypes.c_longlong(terms)
    getattr(library, f"{name}_{dtype}")(*pointers, *sizes)
    return tuple(results)


C_NUMBERS = {
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
    "int64": ctypes.c_longlong,
}


@every_kernel
@both_dtypes
def test_the_text_does_what_the_array_calls_do(compiled, name, dtype):
    inputs, options = CASES[name](dtype)
    with np.errstate(invalid="ignore"):
        expected = in_a_tuple(KERNELS[name].loop(*inputs, **options))
    actual = in_cpp(compiled, name, dtype)
    assert len(actual) == len(expected)
    for a, b, p in zip(actual, expected, parameters(KERNELS[name].cuda[1], dtype)):
        if p.name != "work":  # room for what the array calls compute on the way
            np.testing.assert_allclose(a, b, **TOLERANCE[str(p.dtype)])
            assert a.dtype == xp.asarray(b).dtype == p.dtype


@every_kernel
def test_a_launch_hands_over_all_that_the_kernel_writes_into(name, monkeypatch):
    kernel, taken = KERNELS[name], []
    monkeypatch.setattr(backend, "_device", "gpu")
    monkeypatch.setitem(vars(kernel), "compiled", lambda *args, **rest: taken.append((args, rest)))
    inputs, options = CASES[name]("float32")
    given, keys = in_a_tuple(options.get("out", ())), options.keys() - {"out"}
    kernel.launch(*inputs, **options)
    ((args, rest),) = taken
    outs = args[len(inputs) :]
    assert all(a is b for a, b in zip(args, (*inputs, *given)))
    assert rest.keys() == keys | ({"size"} if kernel.threads else set())
    if given or kernel.threads:  # CuPy makes the arrays of the others itself
        with np.errstate(invalid="ignore"):
            expected = in_a_tuple(kernel.loop(*inputs, **options))
        assert [(a.shape, a.dtype) for a in outs] == [(a.shape, a.dtype) for a in expected]
    else:
        assert outs == ()
