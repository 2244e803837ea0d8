"""`record`: run a step once with a recorder behind `xp`, and put everything back."""

import random
from threading import current_thread, main_thread
from types import BuiltinMethodType, MethodWrapperType
from typing import Any

import numpy

from .. import backend
from ..backend import xp
from ..engine import Tensor
from ..modes import is_recording, watched
from ..optim import Optimizer
from .array import Array, CannotRecord, Draws, open_
from .calls import Value
from .listing import state_names
from .places import LEAVES, equal
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
    places, holders, names: what the step can reach, with what was there before, and what names its
        functions use; `watched` are the places that each replay looks at.
    graph: whether a graph was to be built when the step began, outside of no_grad().
    """

    def __init__(self, step):
        self.calls, self.inputs, self.outputs, self.single = [], [], [], True
        self.states, self.numbers, self.moved = {}, [], []
        self.grads, self.grads_before = [], []
        reached = Search(step)
        self.places, self.holders, self.names = reached.places, reached.holders, reached.names
        self.watched = [place for place in self.places if place.role in ("watched", "noise")]
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
    drawn = [(name, state, state()) for name, state in _sources(recording).items()]
    before = [(p.owner, p.owner.order, p.content) for p in recording.places if p.role == "gradient"]
    optimizers = {o for p in recording.places if isinstance(o := p.content, Optimizer)}
    try:
        for place, new in inside.items():
            place.put(new)
        for optimizer in optimizers:
            vars(optimizer)["step"] = _marked(optimizer, recorder)
        with recorder.behind_xp(), watched(recorder.watch):
            result = step(*arguments)
        recorder.mark("")
        _note_outputs(recording, result)
        _note_changes(recording, inside)
        for source, state, then in drawn:
            if state() != then:
                raise CannotRecord(
                    f"the step draws from {source}, which the recorder does not see: let a "
                    "minigrad.backend.Noise draw arrays"
                )
        _note_leaves(recording, recorder, before)
        return _opened(result, library), recording
    finally:
        for optimizer in optimizers:
            del vars(optimizer)["step"]
        for place in inside:
            if place.role not in ("number", "gradient"):
                place.put(place.content)
        for place in recording.places:
            if place.role in ("number", "gradient"):
                place.put(open_(place.get()))


def _sources(recording):
    """{name: function that gives its state} of all that the step can draw from unseen.

    Raises:
        CannotRecord: an iterator, of which nobody knows what it gives next.
    """
    sources: dict[str, Any] = {}
    # A thread that is not the first, such as that of a worker of Dask, shares these with others.
    if "random" in recording.names and current_thread() is main_thread():
        sources["the module random"] = random.getstate
        sources["numpy.random"] = lambda: str(numpy.random.get_state())
    for place in recording.places:
        content = place.content
        if type(content) in LEAVES:
            continue
        if isinstance(content, numpy.random.Generator) and place.role != "noise":
            sources[str(place)] = lambda generator=content: str(generator.bit_generator.state)
        elif isinstance(content, numpy.random.RandomState):
            sources[str(place)] = lambda old=content: str(old.get_state())
        elif isinstance(content, random.Random):
            sources[str(place)] = content.getstate
        source = content.__self__ if isinstance(content, BOUND) else content
        if hasattr(type(source), "__next__") and is_library(type(source).__module__):
            raise CannotRecord(
                f"{place} is an iterator, which may give something else each time: call the step "
                "with what it gives, as an array"
            )
    return sources


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
    kept: dict[int, Any] = {}  # the places of what is wrapped, each array once
    for place in recording.places:
        content = place.content
        if type(content) is recorder.raw:
            kept.setdefault(id(content), place)
        elif place.role in ("number", "noise"):
            kept[id(place)] = place
    names = state_names([place.path for place in kept.values()])
    arrays: list[tuple] = []
    wrapped: dict[Any, Any] = {}
    for place in kept.values():
        content, name = place.content, names[place.path]
        if type(content) is recorder.raw:
            begin, end = extent(content)
            arrays.append((begin, -end, content, name))
        elif place.role == "number":
            wrapped[place] = Array(content, Value(content, "state", name))
        else:
            value = Value(content, "state", name)
            recording.states[value] = content
            wrapped[place] = Draws(content, value)
    root, last = None, 0  # the first Value at these addresses, and where it ends
    for begin, end, array, name in sorted(arrays, key=lambda item: item[:2]):
        if begin >= last:
            root = None
        elif -end > last:
            raise CannotRecord(
                f"{name} and {root} overlap in memory: give the step the whole array of which both "
                "are parts as a variable, too"
            )
        value = Value(array, "state", name, root)
        if root is None:
            root, last = value, -end
        recorder.known[id(array)] = Array(array, value)
        recording.states[value] = array
    for place in recording.places:
        if place.role != "fixed" and place not in wrapped:
            new = _with_arrays(place.content, recorder.known)
            if new is not place.content:
                wrapped[place] = new
    return wrapped


def extent(array):
    """The addresses of its first byte and of the one after its last."""
    steps = [max(n - 1, 0) * stride for n, stride in zip(array.shape, array.strides)]
    begin = backend.address(array) + sum(step for step in steps if step < 0)
    return begin, begin + sum(map(abs, steps)) + array.itemsize


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


def _note_changes(recording, inside):
    """Compare all that the step can reach with what was there before."""
    for holder in recording.holders:
        if not holder.is_as_it_was():
            raise CannotRecord(f"the step changes what is in {holder}, which a replay would not")
    for place in recording.places:
        if place.role in ("fixed", "gradient"):
            continue
        now, expected = place.get(), inside.get(place, place.content)
        if place.role == "number":
            recording.numbers.append((place, expected.value, now.value))
        elif now is not expected and not equal(now, expected):
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
