"""The compiled step: the eager step's bits, a text to read, and refusals in place of wrong ones."""

import contextlib
import copy
import functools
import itertools
import random
import sys
import tracemalloc
from array import array
from collections import deque, namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import minigrad
from architectures import classifier
from minigrad import Tensor, backend, detect_nan, fit, functional, nn, no_grad, optim, strict
from minigrad.backend import Noise, xp
from minigrad.program import CannotRecord, memory, passes, recording, replay
from minigrad.program.binding import Binding
from minigrad.program.calls import Call, Value, carry_out, index_text
from minigrad.program.check import same_noise
from minigrad.program.graph import Graphs
from minigrad.program.places import leaves
from minigrad.training import training_step


def small_net(seed=0):
    return nn.Sequential(nn.Linear(3, 8, rng=seed), functional.relu, nn.Linear(8, 4, rng=seed + 1))


def loss_of(model, x, y):
    return functional.cross_entropy(model(x), y)


def batch(rows=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, 3), dtype=np.float32), rng.integers(4, size=rows)


def training(model, optimizer=None):
    """(its training step, all that changes in it)."""
    optimizer = optimizer or optim.Adam(model.parameters(), lr=1e-2)
    return training_step(model, loss_of, optimizer), [model, optimizer]


def bits(*things):
    """Everything that a step may change, to be compared."""
    found = []
    for thing in things:
        if isinstance(thing, nn.Module):
            found += [p.data.tobytes() for p in thing.parameters()]
            found += [None if p.grad is None else p.grad.tobytes() for p in thing.parameters()]
            found += [array.tobytes() for _, array in thing.named_buffers()]
            found += [str(n.generator.bit_generator.state) for _, n in thing.named_noise()]
        elif isinstance(thing, optim.Optimizer):
            found += [v.tobytes() for v in vars(thing).values() if isinstance(v, np.ndarray)]
            found += [thing.lr, getattr(thing, "steps", 0)]
        else:
            found.append(thing.tobytes())
    return found


# --- the same bits ---------------------------------------------------------------------------


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, weight_decay=0.01),
    "adamw": lambda p: optim.AdamW(p),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rate_and_step_count_are_read_at_every_replay(name):
    runs = []
    for compiled in (False, True):
        model = small_net()
        step, things = training(model, OPTIMIZERS[name](model.parameters()))
        step = minigrad.compile(step) if compiled else step
        losses = []
        for k in range(8):
            things[1].lr = 0.1 / (k + 1)
            losses.append(step(*batch(seed=k)))
        runs.append(bits(*things, *losses))
    assert runs[0] == runs[1]


def test_noise_is_drawn_at_every_replay():
    runs = []
    for compiled in (False, True):
        model = nn.Sequential(
            nn.Linear(3, 8, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(8, 4, rng=2)
        )
        step, things = training(model)
        step = minigrad.compile(step) if compiled else step
        losses = [step(*batch()) for _ in range(6)]
        runs.append(bits(*things, *losses))
    assert runs[0] == runs[1]


def test_running_statistics_and_modes():
    """Training and evaluation take turns; each is a program of its own."""
    runs = []
    for compiled in (False, True):
        model = nn.Sequential(nn.Linear(3, 8, rng=0), nn.BatchNorm(8), nn.Linear(8, 4, rng=2))
        step, things = training(model)

        def evaluate(x, model=model):
            with no_grad():
                return model(x) * 1

        if compiled:
            step, evaluate = minigrad.compile(step), minigrad.compile(evaluate)
        results = []
        for k in range(9):
            model.train()
            results.append(step(*batch(seed=k)))
            model.eval()
            results.append(evaluate(batch(seed=k)[0]).data)
        runs.append(bits(*things, *results))
    assert runs[0] == runs[1]


def test_one_step_in_two_modes_is_two_programs():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=0))
    step = minigrad.compile(lambda x: model(x))
    x, _ = batch()
    for _ in range(3):
        model.train()
        assert (step(x).numpy() == 0).any()
        model.eval()
        assert (step(x).numpy() != 0).all()
    assert len(step.programs) == 2


def test_other_shapes_are_another_program():
    model = small_net()
    eager, things = training(small_net())
    step, same = training(model)
    step = minigrad.compile(step)
    for rows in (6, 5, 6, 5, 6, 5):
        assert step(*batch(rows)) == eager(*batch(rows))
    assert len(step.programs) == 2 and bits(*same) == bits(*things)


def test_tensors_in_and_out():
    model = small_net()
    step = minigrad.compile(lambda x: (model(x), model(x).data, x))
    for k in range(4):
        x = Tensor(batch(seed=k)[0])
        y, array, same = step(x)
        assert isinstance(y, Tensor) and not y.requires_grad and isinstance(same, Tensor)
        assert isinstance(array, np.ndarray) and same.data is x.data
        assert bits(y.data, array) == bits(model(x).data, model(x).data)


def test_a_result_is_the_callers_own():
    model = small_net()
    step = minigrad.compile(lambda x: model(x).data)
    results = [step(batch(seed=k)[0]) for k in range(5)]
    for k, result in enumerate(results):
        assert np.array_equal(result, model(batch(seed=k)[0]).data)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2, 1)])
def test_a_result_of_one_element_keeps_its_axes(shape):
    a, b = Tensor(np.full(shape, 2, "float32")), Tensor(np.full((1,) * len(shape), 3, "float32"))
    step = minigrad.compile(lambda x: (x * a) + (x * b))
    for _ in range(3):
        assert step(Tensor(np.float32(2))).numpy().tolist() == np.full(shape, 10).tolist()


def test_gradients_that_are_added_up():
    """Two backward passes for each step of the optimizer; what is forgotten, and when, matters."""
    runs = []
    for compiled in (False, True):
        model = small_net()
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def add(x, y, model=model):
            loss = loss_of(model, x, y)
            loss.backward()
            return loss.data

        add = minigrad.compile(add) if compiled else add
        losses = []
        for k in range(8):
            losses.append(add(*batch(seed=k)))
            if k % 2:
                optimizer.step()
                optimizer.zero_grad()
        runs.append(bits(model, optimizer, *losses))
    assert runs[0] == runs[1]


def test_parameters_without_an_optimizer():
    runs = []
    for compiled in (False, True):
        w = Tensor(np.ones((3, 4), np.float32), requires_grad=True)

        def step(x, w=w):
            ((x @ w) ** 2).sum().backward()
            w.data -= 0.01 * w.grad
            w.grad = None
            return w.data

        step = minigrad.compile(step) if compiled else step
        for k in range(5):
            step(batch(seed=k)[0])
        runs.append(w.data.tobytes())
    assert runs[0] == runs[1]


def test_a_graph_from_before_a_replayed_step_is_out_of_date():
    model = small_net()
    step = minigrad.compile(training(model)[0])
    for _ in range(3):
        step(*batch())
    loss = loss_of(model, *batch())
    step(*batch())
    with pytest.raises(RuntimeError, match="was changed"):
        loss.backward()


def test_a_method_and_a_decorated_function():
    class Trainer:
        def __init__(self):
            self.model = small_net()
            self.optimizer = optim.Adam(self.model.parameters())

        def step(self, x, y):
            return training_step(self.model, loss_of, self.optimizer)(x, y)

    runs = []
    for compiled in (False, True):
        trainer = Trainer()
        step = minigrad.compile(trainer.step) if compiled else trainer.step
        runs.append([step(*batch(seed=k)).tobytes() for k in range(5)])
    assert runs[0] == runs[1]

    @minigrad.compile
    def twice(x):
        """Doc."""
        return Tensor(x) * 2

    assert twice.__name__ == "twice" and twice.__doc__ == "Doc."
    assert (twice(batch()[0]).data == 2 * batch()[0]).all()


def test_fit_compiled():
    x, y = batch(50)
    runs = []
    for compiled in (False, True):
        model = small_net()
        optimizer = optim.Adam(model.parameters())
        history = fit(
            *(model, x, y, loss_of, optimizer),
            epochs=3,
            batch_size=16,
            shuffle=0,
            compiled=compiled,
        )
        runs.append(bits(model, optimizer, *history.losses))
    assert runs[0] == runs[1]


# --- the text --------------------------------------------------------------------------------


def test_the_source_is_readable():
    layer = nn.Linear(3, 4, rng=0)
    sgd = optim.SGD(layer.parameters(), lr=0.1)

    def step(x):
        sgd.zero_grad()
        loss = functional.tanh(layer(x)).sum(axis=-1).mean()
        loss.backward()
        sgd.step()
        return loss

    compiled = minigrad.compile(step)
    with pytest.raises(RuntimeError, match="call the step once"):
        _ = compiled.source
    compiled(batch()[0])
    lines = [
        line.partition("#")[0].strip() if "=" in line else line.strip()
        for line in compiled.source.splitlines()
    ]
    for expected in (
        "def step(x, *, sgd_lr, sgd_values, sgd_gradients):",
        "weight = sgd_values[0:12].reshape(3, 4)",
        "d_bias = sgd_gradients[12:16].reshape(1, 4)",
        "# linear",
        "h1 = x @ weight",
        "h1 += bias",
        "# vjp of tanh",
        "np.matmul(x.mT, d_h1, out=d_weight)",
        "d_h1.sum(axis=-2, keepdims=True, out=d_bias)",
        "# SGD",
        "sgd_values -= sgd_lr * sgd_gradients",
        "return loss",
    ):
        assert expected in lines, expected
    assert "# 6, 4" in compiled.source
    evaluation = minigrad.compile(lambda x: layer(x))
    assert evaluation(batch()[0]).shape == (6, 4)
    assert "def step(x, *, weight, bias):" in evaluation.source  # the name of a lambda is none
    assert "loss" not in evaluation.source  # where nothing is derived


def test_pythons_operators_of_arrays():
    def step(x, k):
        y = abs(x) + -x + (1 - x) + (x - 1) + (2 / x) + (x / 2) + 2**x + x**2 + 3 * x + 3 + x
        z = (k // 2) + (7 // k) + (k % 3) + (7 % k)
        mask = ~(x > 0) & ((x <= 1) | (x == 2)) & ((x < 5) | (x != 6) | (x >= 7))
        return y, z, xp.where(mask, x, 0) @ x.T

    inputs = np.linspace(-2, 3, 12).reshape(3, 4), np.arange(1, 5)
    compiled, expected = minigrad.compile(step), step(*inputs)
    for _ in range(3):
        for a, b in zip(compiled(*inputs), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    for a, b in zip(run_alone(compiled.source, {}, inputs), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_parameter_is_called_after_its_place_in_the_model():
    model = small_net()
    adam = optim.Adam(model.parameters())

    def step(x, y):
        training_step(model, loss_of, adam)(x, y)  # a variable of the step before `model`
        return model(x)

    step = minigrad.compile(step)
    step(*batch())
    assert "layers_0_weight" in step.source


def run_alone(source, state, inputs):
    """What the program's text gives, executed with nothing but NumPy, on copies of the state."""
    scope = {}
    exec(source, scope)
    (function,) = (v for k, v in scope.items() if callable(v) and k not in ("np", "__builtins__"))
    return function(*inputs, **state)


def copied(state):
    """The program's arrays, numbers and generators, apart from the program's."""
    copies = {}
    for name, content in state.items():
        if isinstance(content, np.random.Generator):
            copies[name] = np.random.Generator(np.random.PCG64())
            copies[name].bit_generator.state = content.bit_generator.state
        else:
            copies[name] = content.copy() if hasattr(content, "copy") else content
    return copies


def test_the_source_gives_the_same_numbers_alone():
    model = nn.Sequential(
        nn.Linear(3, 8, rng=0), nn.BatchNorm(8), nn.Dropout(0.3, rng=1), nn.Linear(8, 4, rng=2)
    )
    step = minigrad.compile(training(model)[0])
    for k in range(3):
        step(*batch(seed=k))
    state = copied(step.state)
    for k in range(3, 6):
        expected = step(*batch(seed=k))
        loss, state["adam_steps"] = run_alone(step.source, state, batch(seed=k))
        assert loss == expected
    for name, content in step.state.items():
        if isinstance(content, np.ndarray):
            assert np.array_equal(content, state[name]), name


# --- what cannot be recorded -----------------------------------------------------------------


def refused(step, *inputs, calls=1):
    with pytest.raises(CannotRecord) as error:
        for _ in range(calls):
            step(*inputs)
    return str(error.value)


def test_values_that_decide():
    model = small_net()

    def branches(x, y):
        loss = loss_of(model, x, y)
        return loss if loss < 1 else loss * 2

    assert "test_program.py" in (text := refused(minigrad.compile(branches), *batch()))
    assert "in branches" in text and "__bool__" in text
    for leave in (
        float,
        lambda loss: loss.item(),
        lambda loss: f"{loss:.2f}",
        lambda loss: loss.numpy(),
        lambda loss: np.exp(loss.data),
        lambda loss: loss.data.tolist(),
    ):
        assert "test_program.py" in refused(
            minigrad.compile(lambda x, y, leave=leave: leave(loss_of(model, x, y))), *batch()
        )


def test_shapes_that_depend_on_values():
    for shape in (lambda x: x[x > 0], lambda x: xp.nonzero(x), lambda x: xp.unique(x)):
        refused(minigrad.compile(lambda x, shape=shape: shape(x)), batch()[0])


def test_arrays_from_nowhere():
    def draws(x):
        return Tensor(x) * np.random.default_rng(0).random((6, 3))

    assert "neither made by xp" in refused(minigrad.compile(draws), batch()[0])
    assert "does not see" in refused(minigrad.compile(lambda x: np.ones((6, 3)) * x), batch()[0])


def test_attributes_that_the_step_exchanges():
    model = small_net()
    model.count = 0
    model.total = xp.zeros((), "float32")

    def counts(x):
        model.count += 1
        return model(x)

    def adds(x):
        model.total = model.total + x.sum()
        return model(x)

    assert "model.count" in refused(minigrad.compile(counts), batch()[0])
    assert "model.total" in refused(minigrad.compile(adds), batch()[0])
    assert isinstance(model.total, np.ndarray)  # all is real again


def test_lists_that_the_step_lengthens():
    history = []

    def step(x):
        history.append(x)
        return Tensor(x) * 2

    assert "changes what is in history" in refused(minigrad.compile(step), batch()[0])


def test_a_number_that_python_changed():
    numbers = array("d", [0])  # the recorder does not look into a library's objects
    step = minigrad.compile(lambda x: Tensor(x) * numbers[0])
    step(batch()[0])
    numbers[0] = 1
    text = refused(step, batch()[0])
    assert "* 0.0`, now" in text and "in multiply" in text


def test_an_option_that_was_changed_is_another_program():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1))
    other = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1))
    step = minigrad.compile(lambda x: model(x))
    for rate in (0.5, 0.5, 0.5, 0.1, 0.1, 0.1, 0.5):
        model.layers[1].rate = other.layers[1].rate = rate
        assert bits(step(batch()[0]).data) == bits(other(batch()[0]).data)


class Settings:
    factor = 2.0


SETTINGS = SimpleNamespace(factor=2.0, names=[], table={})
FACTOR, OFFSET = 2.0, None


def exchange(name, value):
    globals()[name] = value


class Net(nn.Module):
    """Computes with all that a forward may use besides its attributes."""

    factor = 2.0

    def __init__(self):
        self.weight = Tensor(np.ones((3, 2), np.float32), requires_grad=True)
        self.settings, self.layers, self.options = SimpleNamespace(factor=2.0), [], {}

    def forward(self, x):
        x = x @ self.weight * self.factor * FACTOR * self.settings.factor
        for layer in self.layers:
            x = layer(x)
        return x * self.options.get("factor", 1.0) * getattr(self, "late", 1.0)


CHANGES = {
    "a class's attribute": lambda model: setattr(Net, "factor", 3.0),
    "an attribute instead of the class's": lambda model: setattr(model, "factor", 3.0),
    "an attribute that was not there": lambda model: setattr(model, "late", 3.0),
    "a global that forward names": lambda model: exchange("FACTOR", 3.0),
    "a global that was None": lambda model: exchange("OFFSET", 3.0),
    "a setting of the model's": lambda model: setattr(model.settings, "factor", 3.0),
    "a setting by its module's name": lambda model: setattr(SETTINGS, "factor", 3.0),
    "a class as settings": lambda model: setattr(Settings, "factor", 3.0),
    "an empty list": lambda model: model.layers.append(functional.tanh),
    "an empty dict": lambda model: model.options.update(factor=3.0),
    "an empty list outside": lambda model: SETTINGS.names.append("double"),
    "an empty dict outside": lambda model: SETTINGS.table.update(factor=3.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_a_step_computes_with_is_another_program_when_it_changes(change, monkeypatch):
    for name, value in {"FACTOR": 2.0, "OFFSET": None}.items():
        monkeypatch.setitem(globals(), name, value)
    monkeypatch.setitem(globals(), "SETTINGS", SimpleNamespace(factor=2.0, names=[], table={}))
    monkeypatch.setattr(Settings, "factor", 2.0)
    monkeypatch.setattr(Net, "factor", 2.0)
    model = Net()

    def step(x):
        y = model(Tensor(x))
        y = y if OFFSET is None else y + OFFSET
        y = sum((part * FACTOR for part in [y]), 0.0) * Settings.factor * SETTINGS.factor
        y = y * 2 if "double" in SETTINGS.names else y
        return y * SETTINGS.table.get("factor", 1.0)

    compiled, x = minigrad.compile(step), batch()[0]
    for _ in range(3):
        before = compiled(x)
    assert len(compiled.programs) == 1
    change(model)
    for _ in range(3):
        assert bits(compiled(x).data) == bits(step(x).data) != bits(before.data)


class Scale:
    """An object of a class that is no module: what it computes with lies in many places."""

    factor = 2.0

    def __init__(self):
        self.own, self.options = 2.0, {2.0}
        self.frozen = Frozen(2.0, [2.0])
        self.pair, self.queue, self.slots = Pair(2.0, [2.0]), deque([2.0]), Slots()
        self.losses = []

    @property
    def squared(self):
        return self.own * FACTOR

    @staticmethod
    def twice():
        return 2.0

    def step(self, x):
        y = Tensor(x) * self.own * self.factor * self.squared * self.twice() * self.method()
        y = y * max(self.options) * self.frozen.number * self.frozen.numbers[0] * self.pair.b[0]
        y = y * self.queue[-1] * self.slots.number * wrapped() * HELPERS.factor() * DEFAULT()
        return y * TABLE["factor"]

    def method(self):
        return 2.0


@dataclass(frozen=True)
class Frozen:
    number: float
    numbers: list


Pair = namedtuple("Pair", "a, b")


class Slots:
    __slots__ = ("number",)

    def __init__(self):
        self.number = 2.0


def decorated(function):
    @functools.wraps(function)
    def call():
        return function() * SETTINGS.factor

    return call


@decorated
def wrapped():
    return FACTOR


def with_default(factor=2.0):
    return factor


class Table:
    """Python calls a method that nobody names, and it names something in a function inside it."""

    def __getitem__(self, name):
        return sum(GLOBAL for _ in range(2))


GLOBAL, TABLE = 2.0, Table()
DEFAULT = with_default
HELPERS = ModuleType("helpers")
exec("number = 2.0\ndef factor():\n    return number", vars(HELPERS))
PLACES = {
    "an attribute": lambda s: setattr(s, "own", 3.0),
    "an attribute in place of the class's": lambda s: setattr(s, "factor", 3.0),
    "a class's attribute": lambda s: setattr(Scale, "factor", 3.0),
    "a property": lambda s: setattr(Scale, "squared", property(lambda s: 3.0)),
    "a global that a property names": lambda s: exchange("FACTOR", 3.0),
    "a global that a wrapper names": lambda s: setattr(SETTINGS, "factor", 3.0),
    "a method": lambda s: setattr(Scale, "method", lambda s: 3.0),
    "a method of its own": lambda s: setattr(s, "method", lambda: 3.0),
    "a static method": lambda s: setattr(Scale, "twice", staticmethod(lambda: 3.0)),
    "a set": lambda s: s.options.add(3.0),
    "a frozen object": lambda s: setattr(s, "frozen", Frozen(3.0, [2.0])),
    "a frozen object, by force": lambda s: object.__setattr__(s.frozen, "number", 3.0),
    "a list in a frozen object": lambda s: s.frozen.numbers.__setitem__(0, 3.0),
    "a list in a named tuple": lambda s: s.pair.b.__setitem__(0, 3.0),
    "a deque": lambda s: s.queue.append(3.0),
    "a slot": lambda s: setattr(s.slots, "number", 3.0),
    "a module's variable": lambda s: setattr(HELPERS, "number", 3.0),
    "a module's function": lambda s: setattr(HELPERS, "factor", lambda: 3.0),
    "another module": lambda s: exchange("HELPERS", SimpleNamespace(factor=lambda: 3.0)),
    "a global of a method that nobody names": lambda s: exchange("GLOBAL", 3.0),
    "a default": lambda s: setattr(with_default, "__defaults__", (3.0,)),
}


@pytest.mark.parametrize("change", PLACES.values(), ids=PLACES)
def test_wherever_a_number_lies(change, monkeypatch):
    for name, value in {"FACTOR": 2.0, "HELPERS": HELPERS, "GLOBAL": 2.0}.items():
        monkeypatch.setitem(globals(), name, value)
    monkeypatch.setitem(globals(), "SETTINGS", SimpleNamespace(factor=2.0))
    for name in ("factor", "squared", "method", "twice"):
        monkeypatch.setattr(Scale, name, vars(Scale)[name])
    for name in ("number", "factor"):
        monkeypatch.setattr(HELPERS, name, getattr(HELPERS, name))
    monkeypatch.setattr(with_default, "__defaults__", (2.0,))
    scale, x = Scale(), batch()[0]
    compiled = minigrad.compile(scale.step)
    for _ in range(3):
        before = compiled(x)
        scale.losses.append(before)  # which no function names
    assert len(compiled.programs) == 1
    change(scale)
    for _ in range(3):
        assert bits(compiled(x).data) == bits(scale.step(x).data) != bits(before.data)
    assert len(compiled.programs) == 2


def scaled(x):
    return x * FACTOR


def scaling_rule(x):
    return x * FACTOR, lambda g: g * FACTOR


WRAPPED = {
    "a partial": lambda: functools.partial(scaled),
    "an argument of a partial": lambda: functools.partial(lambda f, x: f(x), scaled),
    "a static method": lambda: staticmethod(scaled),
    "the rule of an op": lambda: minigrad.op(scaling_rule),
}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
def test_a_global_that_is_named_inside_of(wrapped, monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    inside, x = SimpleNamespace(scale=wrapped()), batch()[0]
    compiled = minigrad.compile(lambda x: inside.scale(Tensor(x)))
    for factor in (2.0, 2.0, 2.0, 3.0, 3.0, 3.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        assert np.array_equal(compiled(x).data, x * np.float32(factor))
    assert len(compiled.programs) == 2


def test_a_global_that_is_called_like_an_attribute_may_appear(monkeypatch):
    scale, x = SimpleNamespace(result=2.0), batch()[0]
    compiled = minigrad.compile(lambda x: Tensor(x) * scale.result)
    for _ in range(4):
        monkeypatch.setitem(globals(), "result", compiled(x))
    assert len(compiled.programs) == 1


def test_an_equal_number_is_no_change():
    model, x = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Dropout(0.5, rng=1)), batch()[0]
    scale = SimpleNamespace(factor=2.5)
    compiled = minigrad.compile(lambda x: model(x) * scale.factor)
    for _ in range(4):
        model.layers[1].rate, scale.factor = float("0.5"), float("2.5")  # other objects
        compiled(x)
        assert len(compiled.programs) == 1
    assert compiled.replay(x) is not replay.MISS  # it has been told which they are now


def test_an_attribute_whose_name_is_computed():
    slots, names = Slots(), ("num", "ber")
    compiled, x = minigrad.compile(lambda x: Tensor(x) * getattr(slots, "".join(names))), batch()[0]
    for factor in (2.0, 2.0, 2.0, 3.0, 3.0, 3.0):
        slots.number = factor
        assert np.array_equal(compiled(x).data, x * np.float32(factor))


def test_arrays_wherever_they_lie():
    """They are states: what is in them is read at every replay."""
    arrays = [np.ones(3, np.float32) for _ in range(6)]
    frozen, pair = Frozen(arrays[0], [arrays[1]]), Pair(arrays[2], [arrays[3]])
    box, queue = SimpleNamespace(array=arrays[4]), deque([arrays[5]])

    def step(x):
        y = Tensor(x) * frozen.number * frozen.numbers[0] * pair.a * pair.b[0]
        return y * box.array * queue[0]

    compiled, x = minigrad.compile(step), batch()[0]
    for k in range(8):
        arrays[k % 6] += 1
        assert bits(compiled(x).data) == bits(step(x).data)
    assert len(compiled.programs) == 1
    assert type(frozen.number) is type(pair.a) is np.ndarray and type(pair) is Pair


def test_an_index_of_nothing():
    compiled = minigrad.compile(lambda x: Tensor(x).sum()[()] * 2)
    for k in range(4):
        x = batch(seed=k)[0]
        assert bits(compiled(x).data) == bits(Tensor(x).sum().data * 2)
    assert "[()]" in compiled.source


def test_an_input_that_the_step_has_as_a_variable_too():
    known = batch()[0]
    compiled = minigrad.compile(lambda x: Tensor(x) + known)
    for x in (known, known, known, known * 2, known * 3):
        assert np.array_equal(compiled(x).data, x + known)


def test_inputs_of_another_dtype_order_or_mode():
    model = small_net()
    rows = np.asfortranarray(batch(40)[0])
    compiled, whole = minigrad.compile(lambda x: (Tensor(x) * 2).sum(axis=0)), []
    for x in (
        rows,
        rows.copy(),
        rows.astype("i4", order="C"),
        rows[::-1],
        rows.astype("f8"),
        rows[:0],
        rows[0],
        rows > 0,
    ):
        for _ in range(3):
            result = compiled(x).data
            assert bits(result) == bits((Tensor(x) * 2).sum(axis=0).data)
            whole.append(result.dtype)
    assert {"float32", "float64"} < {str(dtype) for dtype in whole}

    def gradient(x):
        for p in model.parameters():
            p.grad = None
        loss = model(x).sum()
        if loss.requires_grad:
            loss.backward()
        return loss

    compiled = minigrad.compile(gradient)
    for mode in (no_grad, contextlib.nullcontext) * 4:
        with mode():
            compiled(rows)
        assert (model.layers[0].weight.grad is None) == (mode is no_grad)


def test_one_array_for_two_inputs():
    compiled = minigrad.compile(lambda x, y: Tensor(x) - y * 2)
    a, b = np.ones(3, np.float32), np.zeros(3, np.float32)
    for x, y in ((a, a), (a, a), (a, a), (a, b), (b, a)):
        assert np.array_equal(compiled(x, y).data, x - y * 2)


def test_an_input_that_the_step_writes_into():
    compiled = minigrad.compile(lambda x: (x.__imul__(2), Tensor(x) + 1)[1])
    for k in range(4):
        x = batch(seed=k)[0]
        expected = x * 2 + 1
        assert np.array_equal(compiled(x).data, expected) and np.array_equal(x + 1, expected)
    read_only = np.broadcast_to(np.float32(1), (3, 2))
    twice = minigrad.compile(lambda x: Tensor(x) * 2)
    assert [twice(read_only).data.sum() for _ in range(3)] == [12, 12, 12]


def test_states_that_are_views_of_one_another():
    whole = np.zeros((4, 3), np.float32)
    column, rows, empty = whole[:, 1], whole[1:3], whole[4:]

    def step(x):
        column[...] = x[:, 0]
        y = xp.asarray(whole) * 2
        rows[...] = x[1:3] * y[1:3]
        return y + whole, column.sum() + empty.sum()

    compiled = minigrad.compile(step)
    for k in range(4):
        x, before = batch(4, seed=k)[0], whole.copy()
        expected, after = bits(*step(x)), whole.copy()
        whole[...] = before
        alone = run_alone(compiled.source, copied(compiled.state), [x]) if k else step(x)
        whole[...] = before
        assert bits(*compiled(x)) == expected == bits(*alone)
        assert np.array_equal(whole, after)


def test_a_state_whose_rows_run_backwards():
    whole = np.arange(12, dtype="float32").reshape(4, 3)
    reverse, x = whole[::-1], batch(4)[0]
    assert recording.extent(reverse) == recording.extent(whole)
    compiled = minigrad.compile(lambda x: (reverse.__iadd__(x), Tensor(whole) * 2)[1])
    for _ in range(4):
        expected = 2 * (whole + x[::-1])
        assert np.array_equal(compiled(x).data, expected)


def test_states_that_overlap_in_part_are_refused():
    whole = np.zeros(6, np.float32)
    first, second = whole[:4], whole[2:]
    assert "overlap in memory" in refused(minigrad.compile(lambda x: first + second + x), whole[2:])


def test_an_input_that_shares_memory_with_what_the_step_writes_into_is_refused():
    """A replay works on copies of the inputs, so it would not see what becomes of them."""
    total = np.zeros((6, 3), np.float32)

    def step(x):
        total[...] += 1
        return Tensor(x) * 2

    compiled = minigrad.compile(step)
    for _ in range(3):
        compiled(total.copy())
    for x in (total, total[::2].T, total.view()):
        assert "shares memory" in refused(compiled, x, calls=3)
    assert np.array_equal(compiled(total.copy()).data, 2 * total - 2)

    both = minigrad.compile(lambda x, y: (x.__imul__(2), Tensor(y) + 1)[1])
    a = np.ones(3, np.float32)
    both(a, a.copy())
    assert "shares memory" in refused(both, a, a)


def test_an_array_of_one_number_in_a_list_that_was_exchanged():
    """It is equal to the one before: a list of it is, too."""
    scales = [np.ones(1, np.float32)]
    step = minigrad.compile(lambda x: Tensor(x) * scales[0])
    for _ in range(3):
        step(batch()[0])
    scales[0] = scales[0].copy()
    assert "has got another array" in refused(step, batch()[0])


def test_numbers_that_change_are_arrays_to_whoever_takes_them():
    """To functions that are no universal ones, too, and as what the step returns."""
    optimizer = optim.Adam([Tensor([1.0], requires_grad=True)])

    def step(x):
        y = xp.where(x > 0, optimizer.lr, 0) + xp.full((3,), optimizer.lr, "float32")
        return y * optimizer.steps, xp.asarray(optimizer.lr * 2)

    def plain(x):
        lr = optimizer.lr
        y = np.where(x > 0, lr, 0) + np.full((3,), lr, "float32")
        return y * optimizer.steps, lr * 2

    compiled, x = minigrad.compile(step), batch()[0]
    for k in range(6):
        optimizer.lr, optimizer.steps = 1 / (k + 1), k
        expected = plain(x)
        for result, right in zip(compiled(x), expected):
            assert np.array_equal(result, right) and result.dtype == np.asarray(right).dtype
    assert len(compiled.programs) == 1


ITERATOR, ONES = itertools.count(), itertools.repeat(1.0).__next__
GENERATOR, DICE = np.random.default_rng(0), random.Random(0)
UNSEEN = {
    "an iterator": (lambda x: Tensor(x) * next(ITERATOR), "ITERATOR is an iterator"),
    "its method": (lambda x: Tensor(x) * ONES(), "ONES is an iterator"),
    "a generator": (lambda x: Tensor(x) * (GENERATOR.random() >= 0), "from GENERATOR"),
    "Python's": (lambda x: Tensor(x) * random.choice([1, 1]), "from the module random"),
    "Python's, an own one": (lambda x: Tensor(x) * DICE.choice([1, 1]), "from DICE"),
    "NumPy's old one": (lambda x: Tensor(x) * (np.random.rand() >= 0), "from numpy.random"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_gives_something_else_each_time_is_refused_though_it_gave_the_same(name):
    step, words = UNSEEN[name]
    assert words in refused(minigrad.compile(step), batch()[0])


def test_what_another_thread_draws_is_not_the_steps():
    noise = Noise(0)

    def step(x):
        random.choice([1, 2])  # stands for a thread beside that of a worker of Dask
        return Tensor(x) * noise.random((6, 3), "float32")

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(minigrad.compile(step), batch()[0]).result().shape == (6, 3)


def test_a_layer_that_was_appended_is_seen():
    model = small_net()
    step = minigrad.compile(lambda x: model(x))
    for _ in range(3):
        step(batch()[0])
    model.layers.append(nn.Linear(4, 2, rng=9))
    assert bits(step(batch()[0]).data) == bits(model(batch()[0]).data)


def test_a_default_that_was_changed_is_seen():
    def step(x, *, factors=[2.0]):  # noqa: B006
        return Tensor(x) * factors[0]

    compiled = minigrad.compile(step)
    for factor in (2.0, 2.0, 2.0, 3.0):
        step.__kwdefaults__["factors"][0] = factor
        assert bits(compiled(batch()[0]).data) == bits(step(batch()[0]).data)


@pytest.mark.parametrize("at", [0, 1, 2, 3, 4])
def test_a_gradient_set_by_hand_is_added_to_once(at):
    def train(compiling):
        w = Tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=1.0)

        @compiling
        def step(x):
            loss = (Tensor(x) * w).sum()
            loss.backward()
            optimizer.step()
            return loss

        for k in range(7):
            if k == at:
                w.grad = np.full(2, 10, np.float32)
            step(np.ones(2, np.float32))
        return w.data.tolist(), w.grad.tolist()

    assert train(minigrad.compile) == train(lambda step: step)


def test_gradients_of_zero_do_not_hide_that_a_step_adds_to_them():
    def train(compiling):
        w = Tensor([1.0, 2.0], requires_grad=True)
        optimizer = optim.SGD([w], lr=1.0)

        @compiling
        def step(x):
            (Tensor(x) * w).sum().backward()
            optimizer.step()
            return w.data

        for scale in (0, 0, 0, 1, 1, 1):
            step(np.full(2, scale, np.float32))
        return w.data.tolist(), w.grad.tolist()

    assert train(minigrad.compile) == train(lambda step: step)


@pytest.mark.parametrize("forget_first", [True, False])
def test_a_step_that_forgets_gradients_first_does_not_ask_which_there_were(forget_first):
    model = small_net()
    optimizer = optim.Adam(model.parameters())

    def step(x, y):
        if forget_first:
            optimizer.zero_grad()
        loss_of(model, x, y).backward()
        optimizer.step()
        if not forget_first:
            optimizer.zero_grad()
        return xp.zeros(1)

    step = minigrad.compile(step)
    for _ in range(3):
        step(*batch())
        if forget_first:
            model.layers[0].weight.grad = np.ones((3, 8), np.float32)
    assert len(step.programs) == 1
    assert bool(step.last.recording.grads_before) != forget_first


def test_a_variable_called_grad():
    grad = Tensor([2.0], requires_grad=True)
    step = minigrad.compile(lambda x: Tensor(x) * grad)
    for _ in range(3):
        assert step(np.ones(1, np.float32)).data == 2
    table = {"grad": Tensor([3.0])}
    step = minigrad.compile(lambda x: Tensor(x) * table["grad"])
    for _ in range(3):
        assert step(np.ones(1, np.float32)).data == 3


def test_a_layer_that_was_exchanged_is_seen():
    model = small_net()
    step = minigrad.compile(lambda x: model(x))
    for _ in range(3):
        step(batch()[0])
    model.layers[2] = nn.Linear(8, 4, rng=9)
    assert bits(step(batch()[0]).data) == bits(model(batch()[0]).data)


def test_a_parameter_that_got_another_array():
    model = small_net()
    step = minigrad.compile(lambda x: model(x))
    for _ in range(3):
        step(batch()[0])
    weight = model.layers[0].weight
    weight.data = weight.data + 1
    assert "model.layers.0.weight" in refused(step, batch()[0])


def test_frozen_parameters_are_another_program():
    model = small_net()
    x, y = batch()

    def step(x, y):
        for p in model.parameters():
            p.grad = None
        loss = loss_of(model, x, y)
        loss.backward()
        return loss.data

    step = minigrad.compile(step)
    for frozen in (False, False, False, True, True, True, False):
        model.layers[0].weight.requires_grad = not frozen
        step(x, y)
        assert (model.layers[0].weight.grad is None) == frozen
        assert model.layers[2].weight.grad is not None


def test_inputs_that_are_no_arrays():
    step = minigrad.compile(lambda x: Tensor(x) * 2)
    assert "the input x is a float" in refused(step, 2.0)
    assert "the step returns a int" in refused(minigrad.compile(lambda x: 3), batch()[0])


def test_an_error_in_the_step_leaves_everything_real():
    model = small_net()
    step, (_, optimizer) = training(model)

    def fails(x, y):
        step(x, y)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        minigrad.compile(fails)(*batch())
    assert xp.ndarray is np.ndarray and "step" not in vars(optimizer)
    for p in model.parameters():
        assert type(p.data) is type(p.grad) is np.ndarray
    assert type(optimizer.steps) is int
    step(*batch())


def test_detect_nan_runs_eagerly():
    model = small_net()
    step = minigrad.compile(training(model)[0])
    for _ in range(3):
        step(*batch())
    x, y = batch()
    x[0, 0] = np.nan
    with pytest.raises(FloatingPointError, match="op linear"), detect_nan():
        step(x, y)


def test_a_compiled_step_in_a_compiled_step():
    model = small_net()
    inner = minigrad.compile(lambda x: model(x))
    outer = minigrad.compile(lambda x: inner(x) * 2)
    for _ in range(4):
        assert np.array_equal(outer(batch()[0]).data, 2 * model(batch()[0]).data)


@pytest.fixture
def restless():
    """Threads that take over at any moment."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_threads_take_turns():
    model = small_net()
    step = minigrad.compile(lambda x: model(x))

    def alone(seed):
        x, right = inputs[seed]
        return all(np.array_equal(step(x).data, right) for _ in range(300))

    inputs = [(x, model(x).data) for x in (batch(seed=k)[0] for k in range(4))]
    for x, _ in inputs:
        step(x)
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(alone, range(4)))


def test_a_thread_that_computes_during_a_recording_is_told_so():
    x = batch()[0]

    def step(x):
        with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="in another thread"):
            pool.submit(lambda: Tensor(np.ones(3, np.float32)) * xp.ones(3)).result()
        return Tensor(x) * 2

    assert np.array_equal(minigrad.compile(step)(x).data, 2 * x)


# --- a pass that is wrong is noticed ---------------------------------------------------------


def trained(model, calls=4):
    step, things = training(model)
    step = minigrad.compile(step)
    for k in range(calls):
        step(*batch(seed=k))
    return bits(*things)


WRONG = {
    "a live buffer is lent again": (
        memory,
        "lay_out",
        lambda loans: 4096,
    ),
    "buffers are given back too early": (
        memory,
        "touches",
        lambda calls, right=passes.touches: {
            root: indices[:1] for root, indices in right(calls).items()
        },
    ),
    "a constant that is none": (
        replay,
        "constants_once",
        lambda calls, contents: [
            c
            for c in calls
            if not (
                c.name == "max"
                and contents.__setitem__(c.result, np.zeros(c.result.shape, "float32")) is None
            )
        ],
    ),
    "a call is dropped": (
        replay,
        "cast_apart",
        lambda calls: [c for c in calls if c.name != "sqrt"],
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_replay_is_noticed_and_the_line_named(wrong, monkeypatch):
    owner, name, function = WRONG[wrong]
    expected = trained(small_net())
    monkeypatch.setattr(owner, name, function)
    with pytest.raises(CannotRecord, match="differs from the eager step in `"):
        trained(small_net())
    # The step that was held against the replay has been done, and the next is recorded anew.
    model = small_net()
    step, things = training(model)
    compiled = minigrad.compile(step)
    compiled(*batch(seed=0))
    with pytest.raises(CannotRecord):
        compiled(*batch(seed=1))
    monkeypatch.undo()
    for k in (2, 3):
        compiled(*batch(seed=k))
    assert bits(*things) == expected


def value(name, *shape, kind="made", root=None):
    return Value(np.zeros(shape, np.float32), kind, name, root)


def written(target, source):
    return Call("setitem", "", (target, ..., source), {}, target, writes=True)


def product(x, y, result):
    return Call("operator", "matmul", (x, y), {}, result)


def test_drop_dead():
    x, w = value("x", 2, 2, kind="input"), value("w", 2, 2, kind="state")
    a, b, c = value("a", 2, 2), value("b", 2, 2), value("c", 2, 2)
    view = value("view", 2, 2, root=a)
    calls = [
        product(x, x, a),
        Call("property", "mT", (a,), {}, view),
        product(view, x, b),
        product(a, x, c),
        written(w, b),
    ]
    assert [call.result for call in passes.drop_dead(calls, [])] == [a, view, b, w]
    drawn = Call("draw", "random", (w, (2, 2)), {}, value("noise", 2, 2))
    assert passes.drop_dead([drawn], []) == [drawn]  # the next draw depends on it
    assert passes.drop_dead(calls, [c]) == calls


def test_write_in_place_only_where_nobody_looks():
    x, w = value("x", 2, 2, kind="input"), value("w", 2, 2, kind="state")
    t, other = value("t", 2, 2), value("other", 2, 2)
    plain = [product(x, x, t), written(w, t)]
    assert [repr(call) for call in passes.write_in_place(plain, [])] == ["np.matmul(x, x, out=w)"]
    # Whoever needs t afterwards finds it in w.
    calls = passes.write_in_place([*plain, product(t, x, other)], [other])
    assert [repr(call) for call in calls] == ["np.matmul(x, x, out=w)", "other = w @ x"]
    # Also who is told to write elsewhere itself, earlier or later.
    v, chain = value("v", 2, 2, kind="state"), [product(x, x, t), product(t, x, other)]
    for writes in ([written(w, t), written(v, other)], [written(v, other), written(w, t)]):
        calls = passes.write_in_place([*chain, *writes], [])
        expected = ["np.matmul(x, x, out=w)", "np.matmul(w, x, out=v)"]
        assert [repr(call) for call in calls] == expected
    # The views that lead to where it is written are made before, in their order.
    flat, part, square = value("w", 6, kind="state"), value("part", 4), value("square", 2, 2)
    part.root = square.root = flat
    views = [
        Call("getitem", "", (flat, slice(0, 4)), {}, part),
        Call("method", "reshape", (part, (2, 2)), {}, square),
    ]
    calls = passes.write_in_place([product(x, x, t), *views, written(square, t)], [])
    assert calls[:2] == views and repr(calls[2]) == "np.matmul(x, x, out=square)"
    view = value("view", 2, 2, root=t)
    for calls, outlive in (
        ([product(x, x, t), product(w, x, other), written(w, t)], [other]),  # w is read
        ([product(x, w, t), written(w, t)], []),  # w is an argument
        ([*plain, written(w, x), product(t, x, other)], [other]),  # w does not stay t
        ([*plain, written(t, x)], []),  # t does not stay what w is
        ([product(x, x, t), Call("property", "T", (t,), {}, view), written(w, t)], [view]),
        (plain, [t]),  # t is returned
    ):
        assert passes.write_in_place(calls, outlive) == calls


def test_buffers_are_shared_when_they_are_free_and_not_before():
    x = value("x", 64, 64, kind="input")
    chain = [value(f"v{i}", 64, 64) for i in range(6)]
    calls = [product(x, x, chain[0])]
    calls += [product(a, x, b) for a, b in pairwise(chain)]
    contents = {}
    assert memory.share_buffers(calls, contents, []) == 2 * 64 * 64 * 4
    for a, b in pairwise(chain):
        assert not np.may_share_memory(contents[a], contents[b])
    # The first one is needed at the end: it keeps its buffer.
    calls.append(product(chain[0], chain[-1], value("last", 64, 64)))
    contents = {}
    memory.share_buffers(calls, contents, [])
    assert not any(np.may_share_memory(contents[chain[0]], contents[v]) for v in chain[1:])


def test_nothing_is_written_over_while_another_view_of_it_is_read():
    x, t = value("x", 128, 128, kind="input"), value("t", 128, 128)
    turned, total = value("turned", 128, 128, root=t), value("total", 128, 128)
    add = Call("operator", "add", (t, turned), {}, total)
    calls = [product(x, x, t), Call("property", "T", (t,), {}, turned), add]
    contents = {}
    memory.share_buffers(calls, contents, [])
    assert not np.may_share_memory(contents[t], contents[total])
    memory.share_buffers([calls[0], Call("operator", "add", (t, t), {}, total)], contents, [])
    assert np.may_share_memory(contents[t], contents[total])


def test_truth_values_become_floats_again_when_they_have_changed():
    y = value("y", 2, 2)
    mask = Value(np.zeros((2, 2), bool), "made", "mask")
    first, second = (Call("operator", "mul", (y, mask), {}, value("z", 2, 2)) for _ in range(2))
    assert [call.name for call in passes.cast_apart([first, second])] == ["astype", "mul", "mul"]
    changed = Call("operator", "and", (mask, mask), {}, mask, writes=True)
    names = [call.name for call in passes.cast_apart([first, changed, second])]
    assert names == ["astype", "mul", "and", "astype", "mul"]


def test_a_buffer_keeps_the_order_of_axes():
    real = np.zeros((4, 3, 5), np.float32).transpose(2, 0, 1)
    made = Value(real, "made", "t")
    array = memory.array_in(np.zeros(256, "uint8"), made)
    assert array.shape == real.shape and array.strides == real.strides


def test_carry_out():
    x, y = value("x", 2, kind="input"), value("y", 2)
    contents = {x: np.array([1.0, 2.0])}
    for call, expected in (
        (Call("operator", "mul", (x, 3), {}, y), [3, 6]),
        (Call("function", "where", (True, x, 0), {}, y), [1, 2]),
        (Call("method", "sum", (x,), {"axis": 0}, y), 3),
        (Call("getitem", "", (x, slice(1, None)), {}, y), [2]),
        (Call("property", "T", (x,), {}, y), [1, 2]),
    ):
        assert np.array_equal(carry_out(call, contents), expected)


def test_memory_is_not_above_the_eager_steps():
    model = nn.Sequential(*(nn.Linear(256, 256, rng=k) for k in range(6)))
    step, _ = training(model)
    x, y = np.zeros((512, 256), np.float32), np.zeros(512, int)
    step(x, y)
    tracemalloc.start()
    step(x, y)
    _, eager = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    compiled = minigrad.compile(step)
    compiled(x, y)
    assert compiled.programs[0].bytes < eager


# --- on a device -----------------------------------------------------------------------------


@pytest.fixture
def device():
    backend.activate(strict, "strict")
    yield
    backend.use("cpu")


def test_on_the_stand_in_for_a_gpu(device):
    """The same bits, and from the second replay on graphs, with matrix products between them:
    besides, only inputs are copied, numbers filled in and the result copied. Nothing waits."""
    runs, counts = [], []
    for compiled in (False, True):
        model = nn.Sequential(
            nn.Linear(3, 8, rng=0), nn.Dropout(0.5, rng=1), nn.Linear(8, 4, rng=2)
        )
        optimizer = optim.Adam(model.parameters())
        step = training_step(model, loss_of, optimizer)
        step = minigrad.compile(step) if compiled else step
        x, y = map(backend.asarray, batch())
        losses = [step(x, y) for _ in range(4)]
        with strict.counting() as counters:
            losses.append(step(x, y))
        counts.append(counters)
        runs.append([backend.to_numpy(a).tobytes() for a in (optimizer.values, *losses)])
    assert runs[0] == runs[1]
    eager, replayed = counts
    ((graphs,),) = step.last.replay.scope["rows"]
    parts = graphs.parts
    products = [part for part in parts if getattr(part, "func", None) is xp.matmul]
    assert len(products) == 5  # two forward, for the gradients of h, and of both matrices
    for product in products:  # not into the gradients, which may begin anywhere
        assert not strict.may_share_memory(product.args[-1], optimizer.gradients)
    assert replayed.launches == len(parts) + 2 + 2 + 1 < eager.launches
    assert 0 < replayed.graphed < eager.launches - len(products)
    assert replayed.synchronisations == replayed.transfers == 0


def test_a_graph_cannot_be_waited_for(device):
    stream, x = strict.cuda.Stream(), xp.zeros(3)
    stream.begin_capture()
    with pytest.raises(RuntimeError, match="cannot wait"):
        float(x.sum())
    with pytest.raises(RuntimeError, match="copy from the host"):
        xp.asarray([1.0])
    for call in (lambda: x @ x, lambda: xp.matmul(x, x), lambda: xp.stack([x, x])):
        with pytest.raises(NotImplementedError, match="capture"):
            call()
    x += 1
    y = x * 2
    z = xp.logistic(x)  # a kernel
    graph = stream.end_capture()
    assert x.get().tolist() == [0, 0, 0]  # nothing has been run yet
    graph.launch()
    graph.launch()
    assert x.get().tolist() == [2, 2, 2] and y.get().tolist() == [4, 4, 4]
    assert z.get() == pytest.approx(1 / (1 + np.exp(-2.0)))


@pytest.mark.parametrize(
    "name, options",
    [
        ("tabnet", {"hidden_size": 4, "virtual_batch_size": 5}),
        ("bayesian", {"hidden_sizes": (6,)}),
        ("snn", {"hidden_sizes": (6,), "num_timesteps": 3}),
        ("hopfield", {"hidden_size": 4, "num_patterns": 6}),
    ],
)
def test_graphs_of_an_architecture_are_its_eager_step(device, name, options):
    """All calls that no graph takes, arrays that are joined and rows that are sorted too, are made
    between graphs, and find what these left."""
    runs = []
    for compiled in (False, True):
        models = [classifier(name, 3, 40, train_rows=12, rng=k, **options) for k in range(2)]
        model = nn.stack(models).train()
        optimizer = optim.Adam(model.parameters())
        step = training_step(model, type(model).loss, optimizer)
        step = minigrad.compile(step) if compiled else step
        rng = np.random.default_rng(0)
        x = backend.asarray(rng.standard_normal((12, 40), dtype=np.float32))
        y = backend.asarray(rng.integers(3, size=12))
        runs.append([backend.to_numpy(step(x, y)).tobytes() for _ in range(5)])
        runs[-1] += [backend.to_numpy(a).tobytes() for _, a in model.named_buffers()]
        runs[-1].append(backend.to_numpy(optimizer.values).tobytes())
    assert runs[0] == runs[1]


def test_a_capture_that_fails_has_an_end(device):
    class Failing(Binding):
        def make(self, call):
            super().make(call)
            if strict.captured is not None:
                raise RuntimeError("not in a graph")

    x, y = (Value(xp.ones(3), "made", name) for name in "xy")
    contents = {x: xp.ones(3), y: xp.empty(3)}
    calls = [Call("operator", "add", (x, 1), {}, y)]
    graphs = Graphs(calls, Failing(calls, contents, []))
    graphs()
    assert contents[y].get().tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="not in a graph") as caught:
        graphs()
    assert caught.value.__notes__ == ["while a compiled step was captured as a CUDA graph"]
    assert strict.captured is None and not graphs.parts
    assert float(xp.ones(3).sum()) == 3


def test_states_of_generators_are_compared_whole():
    a = np.zeros(10_000, "int8")
    b = a.copy()
    b[5_000] = 1
    assert same_noise(a, a.copy()) and not same_noise(a, b)


def test_noise_state_goes_back():
    noise = Noise(0)
    state = backend.noise_state(noise.generator)
    first = noise.random((3,), "float32")
    backend.set_noise_state(noise.generator, state)
    assert np.array_equal(first, noise.random((3,), "float32"))


EQUAL_AND_NOT_THE_SAME = {
    "a float in a list": ([1], [1.0]),
    "a truth value in a list": ([1], [True]),
    "in a tuple in a list": ([(1,)], [(1.0,)]),
    "a value in a dict": ({"k": 1}, {"k": 1.0}),
    "a key of a dict": ({1: 0}, {True: 0}),
    "the order of a dict": ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "in a set": ({1}, {1.0}),
    "the sign of 0": ([0.0], [-0.0]),
    "in a deque": (deque([1]), deque([1.0])),
}


@pytest.mark.parametrize("then, now", EQUAL_AND_NOT_THE_SAME.values(), ids=EQUAL_AND_NOT_THE_SAME)
def test_what_is_equal_may_be_something_else(then, now):
    held = copy.copy(then)

    def step(x):
        return Tensor(x) * (3.0 if str(held) == str(then) else 5.0)

    compiled, x = minigrad.compile(step), batch()[0]
    for content in (then, then, then, now, now, now, then):
        held.clear()
        (held.update if isinstance(held, (dict, set)) else held.extend)(content)
        assert bits(compiled(x).data) == bits(step(x).data)
    assert len(compiled.programs) == 2


def test_nan_is_the_same_as_nan():
    limits = [float("nan")]
    compiled, x = minigrad.compile(lambda x: Tensor(x) * (2.0 + (limits[0] > 1))), batch()[0]
    for _ in range(4):
        limits[0] = float("nan")
        assert bits(compiled(x).data) == bits(2 * x)
    assert len(compiled.programs) == 1


def test_an_attribute_of_a_function():
    def scaled(x):
        return x * scaled.factor

    compiled, x = minigrad.compile(lambda x: scaled(Tensor(x))), batch()[0]
    for factor in (2.0, 2.0, 2.0, 3.0, 3.0, 2.0):
        scaled.factor = factor
        assert np.array_equal(compiled(x).data, x * np.float32(factor))


def test_what_is_compiled_is_a_function_or_a_module_of_arrays():
    with pytest.raises(TypeError, match="step must be a function, not None"):
        minigrad.compile(None)
    layer, x = nn.Linear(3, 2, rng=0), batch()[0]
    compiled = minigrad.compile(layer)
    for _ in range(3):
        assert bits(compiled(x).data) == bits(layer(x).data)
    with pytest.raises(CannotRecord, match="the input x is a list"):
        compiled(x.tolist())


def test_what_holds_no_leaf_is_not_read_at_every_replay():
    model = small_net()
    optimizer = optim.Adam(model.parameters())
    assert not any(leaves(optimizer.views))  # tuples of Tensors and arrays
    assert leaves([(1, ("a", None))]) != leaves([(1.0, ("a", None))])


def test_an_index_is_printed_as_one_writes_it():
    for index in ("1:3", "::2", "1:, :-1, 1:9:3", "..., 0, None", "()"):
        assert index_text(eval(f"np.s_[{index}]")) == index


def test_arrays_may_be_given_by_name():
    @minigrad.op
    def clipped(x, low, high):
        return xp.clip(x, a_min=low - 1, a_max=high * 2), None, None, None

    def step(x, y):
        return clipped(x, y, x + y).data

    compiled = minigrad.compile(step)
    for seed in range(3):
        x, y = np.random.default_rng(seed).standard_normal((2, 8, 3), dtype="float32")
        np.testing.assert_array_equal(compiled(Tensor(x), Tensor(y)), step(Tensor(x), Tensor(y)))
