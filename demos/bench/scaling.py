"""How the cost of a training step grows, and what recording a graph adds to each operation."""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from architectures import classifier, list_architectures, lookup
from demos.by_hand import MLP
from minigrad import Tensor, backend, compile, fit, nn, optim

from .clock import seconds_per_call
from .duel import LEARNING_RATE, TRAIN_ROWS, minigrad_step, small_task

FEATURES, CLASSES, BATCH = 2, 5, 32


# --- the recorder ----------------------------------------------------------------------------


def recorder(seconds, operations=100):
    """Seconds per operation of a chain of products, forward and backward: recorded, and raw."""
    rng = np.random.default_rng(0)
    a = Tensor(rng.standard_normal((32, 64), dtype=np.float32), requires_grad=True)
    b = Tensor(np.full((32, 64), 1.0001, np.float32), requires_grad=True)
    ones = np.ones((32, 64), np.float32)

    def recorded():
        x = a
        for _ in range(operations):
            x = x * b
        x.backward(ones)

    def raw():
        x, inputs = a.data, []
        for _ in range(operations):
            inputs.append(x)
            x = x * b.data
        g, gb = ones, np.zeros_like(ones)
        for x in reversed(inputs):
            gb += g * x
            g = g * b.data
        return g, gb

    return {
        "recorded_seconds": seconds_per_call(recorded, seconds, samples=15) / operations,
        "raw_seconds": seconds_per_call(raw, seconds, samples=15) / operations,
    }


# --- curves ----------------------------------------------------------------------------------


def training_step(name, options, batch=BATCH, replicas=None, compiled=False):
    """A call that trains the architecture on one random minibatch, of each replica."""
    rng = np.random.default_rng(0)
    lead = () if replicas is None else (replicas,)
    x = rng.standard_normal((*lead, batch, FEATURES), dtype=np.float32)
    y = rng.integers(CLASSES, size=(*lead, batch))
    model = classifier(name, CLASSES, FEATURES, train_rows=TRAIN_ROWS, rng=0, **options)
    if replicas is not None:
        model = nn.stack([model] * replicas)
    step = compile(minigrad_step(model)) if compiled else minigrad_step(model)
    x, y = backend.asarray(x), backend.asarray(y)
    return lambda: step(x, y)


def mlp(*hidden_sizes, **size):
    return training_step("mlp", {"hidden_sizes": hidden_sizes, "dropout": 0.0}, **size)


@dataclass(frozen=True)
class Curve:
    """The time of a step against one size, everything else held."""

    title: str
    size: str  # what is counted
    each: str  # one of them
    sizes: tuple
    step: Callable  # of a size


CURVES = {
    "depth": Curve(
        title="MLP: depth",
        size="hidden layers of 64",
        each="layer",
        sizes=(1, 8, 16, 24, 32),
        step=lambda n: mlp(*[64] * n),
    ),
    "width": Curve(
        title="MLP: width",
        size="neurons in one hidden layer",
        each="neuron",
        sizes=(64, 512, 1024, 1536, 2048),
        step=mlp,
    ),
    "batch": Curve(
        title="MLP: batch",
        size="rows",
        each="row",
        sizes=(32, 256, 512, 768, 1024),
        step=lambda n: mlp(64, 32, batch=n),
    ),
    "timesteps": Curve(
        title="SNN: time",
        size="timesteps",
        each="timestep",
        sizes=(5, 25, 50, 75, 100),
        step=lambda n: training_step("snn", lookup("snn").options | {"num_timesteps": n}),
    ),
    "replicas": Curve(
        title="MLP: replicas",
        size="replicas at once",
        each="replica",
        sizes=(1, 8, 16, 24, 32),
        step=lambda n: mlp(64, 32, replicas=n),
    ),
}


def curve(name, seconds, sweeps=7):
    """The seconds of a step at each size, and the straight line through them.

    Of several samples the fastest, the one that was least disturbed, counts: this is about the
    shape of the curve, not about what the machine was doing besides.
    """
    sizes = CURVES[name].sizes
    steps = [CURVES[name].step(n) for n in sizes]
    times = [seconds_per_call(step, seconds) for step in steps]
    for _ in range(sweeps):
        for i, step in enumerate(steps):
            times[i] = min(times[i], seconds_per_call(step, seconds / sweeps, samples=1))
    return {"sizes": list(sizes), "seconds": times, **straight_line(sizes, times)}


def straight_line(sizes, values):
    """Least squares: value = fixed + each * size, and how far from it the worst point is."""
    each, fixed = np.polyfit(sizes, values, 1)
    deviation = np.abs(np.polyval([each, fixed], sizes) - values).max() / max(values)
    return {"fixed": float(fixed), "each": float(each), "deviation": float(deviation)}


def memory(sizes=CURVES["batch"].sizes):
    """The peak of a step's arrays against the batch, in bytes: minigrad's, compiled, by hand."""
    rng = np.random.default_rng(0)
    result = {"sizes": list(sizes), "minigrad_bytes": [], "by_hand_bytes": [], "compiled_bytes": []}
    for n in sizes:
        x = rng.standard_normal((n, FEATURES), dtype=np.float32)
        y = rng.integers(CLASSES, size=n)
        model = classifier("mlp", CLASSES, FEATURES, train_rows=n, rng=0, **lookup("mlp").options)
        hand = MLP([p.data for p in model.parameters()])
        result["minigrad_bytes"].append(peak(minigrad_step(model), x, y))
        result["by_hand_bytes"].append(peak(hand.step, x, y))
        compiled = compile(minigrad_step(model))
        compiled(x, y)
        result["compiled_bytes"].append(peak(compiled, x, y) + compiled.last.bytes)
    return result | straight_line(sizes, result["minigrad_bytes"])


def peak(step, x, y):
    """The most that the step had allocated at any time, above what there was before."""
    step(x, y)
    tracemalloc.start()
    step(x, y)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


# --- architectures ---------------------------------------------------------------------------


def replicas(counts, seconds, compiled=False, patience=math.inf):
    """{architecture: seconds of a step at each number of replicas}, on the device in use.

    None where the device has no room, and behind a step that took longer than `patience`.
    """
    times = {name: [] for name in list_architectures()}
    for name, row in times.items():
        for n in counts:
            too_long = row and (row[-1] is None or row[-1] > patience)
            row.append(None if too_long else step_seconds(name, n, seconds, compiled))
            backend.give_back_memory()
    return times


def step_seconds(name, count, seconds, compiled):
    try:
        step = training_step(name, lookup(name).options, replicas=count, compiled=compiled)
        for _ in range(3):  # of the compiled step: recorded, checked, captured
            step()
        return seconds_per_call(step, seconds)
    except MemoryError:
        return None


def pays_off_from(counts, cpu, gpu):
    """{architecture: the first number of replicas with which the GPU is faster, or None}."""
    return {
        name: next((n for n, a, b in zip(counts, cpu[name], gpu[name]) if faster(b, a)), None)
        for name in cpu
    }


def faster(seconds, than):
    return seconds is not None and (than is None or seconds < than)


def training():
    """{architecture: seconds, eager and compiled}: ten epochs of the comparison's shared recipe,
    one replica."""
    x, y = small_task()
    result = {}
    for name in list_architectures():
        result[name] = []
        for compiled in (False, True):
            options = lookup(name).options
            model = classifier(name, CLASSES, FEATURES, train_rows=TRAIN_ROWS, rng=0, **options)
            optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)
            recipe = {"epochs": 10, "batch_size": BATCH, "compiled": compiled}
            history = fit(model, x, y, type(model).loss, optimizer, **recipe)
            result[name].append(sum(history.seconds))
    return result


def launches():
    """{architecture: (kernel launches, host synchronisations, of the compiled step the launches,
    and the kernels in its graphs)}, as CuPy would do it.

    Counted by the stand-in for CuPy, which needs no GPU.
    """
    from minigrad import strict

    backend.activate(strict, "strict")
    try:
        result = {}
        for name in list_architectures():
            counted = []
            for compiled in (False, True):
                step = training_step(name, lookup(name).options, compiled=compiled)
                for _ in range(3):  # of the compiled step: recorded, checked, captured
                    step()
                with strict.counting() as counters:
                    step()
                counted.append(counters)
            eager, replay = counted
            result[name] = (
                eager.launches,
                eager.synchronisations,
                replay.launches,
                replay.graphed,
            )
        return result
    finally:
        backend.use("cpu")
