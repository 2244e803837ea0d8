"""`record`: run a step once with a recorder behind `xp`, and put everything back."""

import random
from threading import current_thread, main_thread
from types import BuiltinMethodType, MethodWrapperType
from typing import Any

import numpy

from .. import backend
from ..backend import Noise, xp
from ..engine import Tensor
from ..modes import is_recording, watched
from ..optim import Optimizer
from .array import Array, CannotRecord, open_
from .calls import Value
from .listing import state_names
from .places import Place
from .recorder import Recorder
from .search import Search, is_library


class Recording:
    """A step as a list of calls, and how it is tied to the world.

    inputs: (Value, whether a Tensor was given) of each input.
    outputs: (Value, whether it is a Tensor) of each output; `single` says that there is no tuple.
    states: {Value: array or generator}; its content outlives the step.
    numbers: (Place, Value before, Value after) of each number that changes.
    grads: (leaf, Value or None) of the gradient that the step leaves a leaf with, if it gives it
        one or forgets it.
    grads_before: (leaf, its gradient or None) of those whose gradient the step looks at before it
        gives them one: a step that adds to them is another program than one that finds none.
    moved: the leaves whose data the step has changed.
    reached: all that the step can reach, a Search.
    holders, places: its own.
    graph: whether a graph was to be built when the step began, outside of no_grad().
    """

    def __init__(self, step):
        self.calls, self.inputs, self.outputs, self.single = [], [], [], True
        self.states, self.numbers, self.moved = {}, [], []
        self.grads, self.grads_before = [], []
        self.reached = Search(step)
        self.holders, self.places = self.reached.holders, self.reached.places
        self.graph = is_recording()


def record(step, inputs, names, keep=None):
    """Run ``step(*inputs)`` once, with a recorder behind `xp`; return (its result, the Recording).

    keep: a list that gets a copy of each call's result, to look for a fault.

    Raises:
        CannotRecord: see the opening. Everything that the step can reach is real again by then.
    """
    library = xp._library
    recording = Recording(step)
    recorder = Recorder(library, recording.calls, keep)
    arguments = [_argument(recorder, recording, *pair) for pair in zip(names, inputs)]
    inside = _wrap_states(recorder, recording)
    drawn = [(name, state, state()) for name, state in _sources(recording.reached).items()]
    before = [(p.owner, p.owner.order, p.content) for p in recording.places if p.role == "gradient"]
    optimizers = [o for o, _ in recording.reached.opened if isinstance(o, Optimizer)]
    try:
        for place, new in inside.items():
            place.put(new)
        for optimizer in optimizers:
            vars(optimizer)["step"] = _marked(optimizer, recorder)
        with recorder.behind_xp(), watched(recorder.watch):
            result = step(*arguments)
        recorder.mark("")
        _note_outputs(recording, result)
        _note_exchanges(recording, inside)
        for source, state, then in drawn:
            if state() != then:
                raise CannotRecord(
                    f"the step draws from {source}, which the recorder does not see: let a "
                    "minigrad.backend.Noise draw arrays"
                )
        _note_leaves(recording, recorder, before)
    finally:
        for optimizer in optimizers:
            del vars(optimizer)["step"]
        for place in inside:
            if place.role not in ("number", "gradient"):
                place.put(place.content)
        for place in recording.places:
            if place.role in ("number", "gradient"):
                place.put(open_(place.get()))
    for holder in recording.holders:
        if place := holder.change():
            _refuse_exchange(place)
    return _opened(result, library), recording


def _sources(reached):
    """{name: function that gives its state} of all that the step can draw from unseen.

    Raises:
        CannotRecord: an iterator, of which nobody knows what it gives next.
    """
    sources: dict[str, Any] = {}
    # A thread that is not the first, such as that of a worker of Dask, shares these with others.
    if "random" in reached.names and current_thread() is main_thread():
        sources["the module random"] = random.getstate
        sources["numpy.random"] = lambda: str(numpy.random.get_state())
    for content, path in reached.opened:
        if isinstance(content, GENERATORS):
            sources[".".join(map(str, path))] = lambda generator=content: state_of(generator)
        source = content.__self__ if isinstance(content, BOUND) else content
        if hasattr(type(source), "__next__") and is_library(type(source).__module__):
            raise CannotRecord(
                f"{'.'.join(map(str, path))} is an iterator, which may give something else each "
                "time: call the step with what it gives, as an array"
            )
    return sources


def state_of(generator):
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, numpy.random.RandomState):
        return str(generator.get_state())
    return str(generator.bit_generator.state)


GENERATORS = (numpy.random.Generator, numpy.random.RandomState, random.Random)
BOUND = (BuiltinMethodType, MethodWrapperType)


def _argument(recorder, recording, name, given):
    """An input as the step is to see it."""
    is_tensor = isinstance(given, Tensor)
    real = given.data if is_tensor else given
    if type(real) is not recorder.raw or (is_tensor and given.requires_grad):
        raise CannotRecord(
            f"the input {name} is a {type(given).__name__}: inputs are arrays, and Tensors that "
            "require no gradient; whatever else the step needs, it has as a variable"
        )
    array = Array(real, Value(real, "input", name))
    recording.inputs.append((array.value, is_tensor))
    if not is_tensor:
        return array
    tensor = given.detach()
    tensor._data = array
    return tensor


def _wrap_states(recorder, recording):
    """An Array for each array, changing number or generator that the step can reach: {Place: it}.

    In the order of addresses, since one may be a view of another, as a parameter is of its
    optimizer's flat array.
    """
    kept: dict[int, Place] = {}  # where all that is wrapped is, each array once
    for place in recording.places:
        if type(place.content) is recorder.raw:
            kept.setdefault(id(place.content), place)
        elif place.role == "number" or type(place.owner) is Noise:
            kept[id(place)] = place
    names = state_names([place.path for place in kept.values()])
    arrays: list[tuple] = []
    wrapped: dict[Any, Any] = {}
    for place in kept.values():
        content, name = place.content, names[place.path]
        if type(content) is recorder.raw:
            arrays.append((*extent(content), content, name))
        else:
            value = Value(content, "state", name)
            wrapped[place] = Array(content, value)
            if place.role != "number":
                recording.states[value] = content
    root, last = None, 0  # the first Value at these addresses, and where it ends
    for begin, end, array, name in sorted(arrays, key=lambda item: (item[0], -item[1])):
        if begin >= last:
            root = None
        elif end > last:
            raise CannotRecord(
                f"{name} and {root} overlap in memory: give the step the whole array of which both "
                "are parts as a variable, too"
            )
        value = Value(array, "state", name, root)
        if root is None:
            root, last = value, end
        recorder.known[id(array)] = Array(array, value)
        recording.states[value] = array
    for place in recording.places:
        if place.owner is not None and place not in wrapped:
            new = _with_arrays(place.content, recorder.known)
            if new is not place.content:
                wrapped[place] = new
    return wrapped


def extent(array):
    """The addresses of its first byte and of the one after its last."""
    begin = backend.address(array)
    end = begin + array.itemsize
    for n, stride in zip(array.shape, array.strides):
        if stride < 0:
            begin += (n - 1) * stride
        elif n:
            end += (n - 1) * stride
    return begin, end


def _with_arrays(content: Any, known):
    if isinstance(content, tuple):
        new = [_with_arrays(c, known) for c in content]
        if all(a is b for a, b in zip(new, content)):
            return content
        make = getattr(content, "_make", tuple)  # that of a named tuple
        return make(new)
    return known.get(id(content), content)


def _marked(optimizer, recorder):
    """The optimizer's step, as a section of its own."""
    step = optimizer.step

    def call():
        recorder.mark("")
        step()
        recorder.mark(type(optimizer).__name__)

    return call


def _note_outputs(recording, result):
    recording.single = type(result) is not tuple
    for output in (result,) if recording.single else result:
        array = output.data if isinstance(output, Tensor) else output
        if type(array) is not Array:
            raise CannotRecord(
                f"the step returns a {type(output).__name__}: it may return Tensors and arrays, "
                "one or a tuple of them"
            )
        recording.outputs.append((array.value, isinstance(output, Tensor)))


def _note_exchanges(recording, inside):
    """Look what has become of what was put inside."""
    for place, new in inside.items():
        now = place.get()
        if place.role == "number":
            recording.numbers.append((place, new.value, now.value))
        elif now is not new and place.role != "gradient":
            _refuse_exchange(place)


def _refuse_exchange(place):
    if place.owner is None:
        raise CannotRecord(f"the step changes what is in {place}, which a replay would not")
    raise CannotRecord(
        f"the step gives {place} another value: write into arrays (a[...] = values), and "
        "keep counts in arrays, too"
    )


def _note_leaves(recording, recorder, before):
    """What became of the leaves: `before` has (leaf, its order, its gradient) of each."""
    for leaf, order, grad in before:
        if leaf.order != order:
            recording.moved.append(leaf)
        if leaf in recorder.grads_used:
            recording.grads_before.append((leaf, grad))
        if leaf in recorder.grads_given:
            recording.grads.append((leaf, None if leaf.grad is None else leaf.grad.value))


def _opened(result, library):
    """The step's result, with real arrays."""
    if type(result) is tuple:
        return tuple([_opened(part, library) for part in result])
    if isinstance(result, Tensor):
        return Tensor(library.asarray(result.data.real))
    return library.asarray(result.real)
