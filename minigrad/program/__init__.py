"""A training step is a program: `compile` records it once, prints it, and replays it.

A step makes the same array calls every time, and Python finds out anew, every time, which they are:
which op, which edges, in which order. So let it find out once::

    @minigrad.compile
    def step(x, y):
        adam.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        adam.step()
        return loss

The first call runs eagerly, with a recorder behind `xp` (recorder.py). What comes out is a flat
list of array calls (calls.py): what ``loss.backward()`` *is*. ``print(step.source)`` shows it as a
function of plain NumPy (listing.py). From then on the list is carried out (replay.py), and nothing
else; short passes over it (passes.py) make that faster than NumPy written by hand.

Inputs of another shape, or a model in another mode, are another program, kept beside the first. The
numbers that an optimizer calls `changing` are read at every replay and noise is drawn at every
replay, so that a replayed step is the eager step, bit for bit; the first replay is held against it.
"""

import functools
import inspect
import itertools
import threading
from typing import Any

import numpy

from .. import backend
from ..engine import Tensor
from ..modes import is_recording, who_watches
from .calls import Value
from .listing import listing, name_values
from .passes import drop_dead, write_in_place
from .recorder import CannotRecord
from .recording import record
from .replay import MISS, guards, make_replay

MOST_PROGRAMS = 32
# Threads take turns: all calls share a program's buffers, and one `xp` is there for all recordings.
_turn = threading.RLock()


def compile(step) -> Any:
    """A function that does what `step` does, from the third call on without Python's detours.

    The first call with inputs of a kind is recorded; the second is done twice, eagerly and as a
    replay, and compared; the others are replays.

    Args:
        step: a function of arrays (or Tensors that require no gradient) that returns a Tensor, an
            array, or a tuple of them: a training step, or an evaluation. What else it needs, a
            model, an optimizer, it has as a variable or as its ``self``.

    Raises:
        CannotRecord: when it is called: the step does what a list of array calls cannot express, or
            a replay gave other bits than the eager step; the message says where.
    """
    return Compiled(step)


class Program:
    """A recording, made ready: its text, its replay, and whether that has been checked."""

    def __init__(self, recording, name):
        outlive = [value for value, _ in recording.outputs]
        outlive += [after for *_, after in recording.numbers]
        outlive += [after for _, after in recording.grads if after is not None]
        self.recording, self.name = recording, name
        self.calls = write_in_place(drop_dead(recording.calls, outlive), outlive)
        name_values(recording, self.calls)
        self.replay, self.bytes, self.lines = make_replay(recording, self.calls, outlive)
        self.is_checked = False

    @property
    def source(self):
        return listing(self.recording, self.calls, self.name)

    @property
    def state(self):
        """{name: array, number or generator} of what its text takes besides the inputs."""
        used = {v.root for call in self.calls for v in (*call.reads, call.result)}
        contents = dict(self.recording.states)
        contents |= {before: place.get() for place, before, _ in self.recording.numbers}
        return {v.name: content for v, content in contents.items() if v in used}

    def takes(self, inputs):
        """Whether it is made for inputs of these shapes and dtypes, and the gradients there are."""
        if not all(leaf.grad is grad for leaf, grad in self.recording.grads_before):
            return False
        expected = [
            (is_tensor, v.shape, v.dtype, v.strides) for v, is_tensor in self.recording.inputs
        ]
        return self.recording.graph == is_recording() and expected == [
            (isinstance(given, Tensor), array.shape, array.dtype, array.strides)
            for given in inputs
            for array in [array_of(given)]
        ]

    def changes(self):
        """The places, gradients apart, that hold something else now than at the recording."""
        watched = [place for place in self.recording.places if place.is_guarded]
        return [held for held in self.recording.holders + watched if not held.is_as_it_was()]

    def renew_guards(self):
        """Let the replay pass over what is in all places: `changes` has found that it may."""
        self.replay.__globals__.update(guards(self.recording))


class Compiled:
    """What `compile` returns.

    programs: one for each kind of inputs and each mode of the modules that it has met.
    """

    def __init__(self, step):
        self.step, self.programs = step, []
        self.names = list(inspect.signature(step).parameters)
        self.last, self.replay = None, lambda *inputs: MISS
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *inputs):
        with _turn:
            result = self.replay(*inputs)
            return self.find(inputs) if result is MISS else result

    @property
    def source(self):
        """The program that was used last: a Python function that NumPy alone can run."""
        return self._used().source

    @property
    def state(self):
        """{name: array, number or generator}: what that function takes besides the inputs."""
        return self._used().state

    def _used(self):
        if self.last is None:
            raise RuntimeError("nothing has been recorded yet: call the step once")
        return self.last

    def find(self, inputs):
        """Do the step, if it is not the one that was replayed last."""
        if who_watches():  # by detect_nan, or by the recording of a step around this one
            return self.step(*inputs)
        changes: list = []
        for program in self.programs:
            if program.takes(inputs):
                changes = program.changes()
                if not changes:
                    self.last = program
                    return self.replayed(program, inputs)
                if all(place.holds_array for place in changes):
                    raise CannotRecord(
                        f"{changes[0]} has got another array since the step was recorded: write "
                        "into the old one (a[...] = values), or compile the step again"
                    )
        if len(self.programs) == MOST_PROGRAMS:
            raise CannotRecord(
                f"{MOST_PROGRAMS} programs for one step: from call to call the inputs' shapes "
                "differ, or the arrays of gradients that it adds to, or what it takes for a "
                f"constant does: {changes[:1]}"
            )
        result, recording = record(self.step, inputs, self.names)
        self.last = Program(recording, self.step.__name__)
        self.programs.append(self.last)
        return result

    def replayed(self, program, inputs):
        """A replay; the first one is held against the eager step."""
        if program.is_checked:
            program.renew_guards()
            self.replay = program.replay
            return program.replay(*inputs)
        before = Moment(program.recording, inputs)
        result = without_graph(self.step(*inputs))
        after = Moment(program.recording, inputs)
        before.restore()
        program.renew_guards()
        replayed = program.replay(*inputs)
        program.is_checked = same_outputs(result, replayed) and not after.differs_from_now()
        if not program.is_checked:
            before.restore()
            try:
                self.explain(program, before, inputs)
            finally:
                after.restore()
        return result

    def explain(self, program, before, inputs):
        """Say why a replay is not what the eager step was."""
        kept: list = []
        _, recording = record(self.step, inputs, self.names, kept)
        difference = first_difference(program.recording, recording)
        before.restore()
        if difference is None:
            self.programs.remove(program)
            line = first_wrong_line(program, inputs, kept)
            raise CannotRecord(f"the replay differs from the eager step in {line}")
        then, now = difference
        raise CannotRecord(
            "the step did something else than at the last call, and nothing that the recorder can "
            f"see was changed in between: then `{then}`, now `{now}` (in "
            f"{now.section or 'the step'}). A number that changes must be an array, or one of an "
            "optimizer's `changing`"
        )


def first_wrong_line(program, inputs, kept):
    """Carry a replay out line by line; the first line after which a result is not what the eager
    step had there (`kept`, a copy of the result of each recorded call)."""
    scope = dict(program.replay.__globals__)
    for (value, _), given in zip(program.recording.inputs, inputs):
        scope[value.name] = array_of(given)
    for place, before, _ in program.recording.numbers:
        scope[before.name] = place.get()
    for (line, call), following in itertools.pairwise([*program.lines, ("", None)]):
        exec(line, scope)
        if call is following[1] or call.place is None:  # it goes on, or a pass has added it
            continue
        if not same(scope[call.result.name], kept[call.place]):
            return f"`{line}` (of {call.section or 'the step'}: {call})"
    return None


def first_difference(recording, other) -> Any:
    """The first two calls in which two recordings differ; None if they do not."""
    twins: dict[Value, Value] = dict(zip(recording.states, other.states))
    if [id(a) for a in recording.states.values()] != [id(a) for a in other.states.values()]:
        twins = {}  # so that the first call that uses a state differs
    twins |= {a: b for (a, _), (b, _) in zip(recording.inputs, other.inputs)}
    twins |= {a: b for (_, a, _), (_, b, _) in zip(recording.numbers, other.numbers)}

    def alike(a, b):
        if type(a) is Value:
            return twins.get(a) is b
        if type(a) is tuple and type(b) is tuple and len(a) == len(b):
            return all(map(alike, a, b))
        return type(a) is type(b) and (a is b or repr(a) == repr(b))

    for ours, theirs in itertools.zip_longest(recording.calls, other.calls):
        if ours is None or theirs is None:
            return ours or theirs, theirs or ours
        if not ours.writes:
            twins[ours.result] = theirs.result
        if (
            (ours.form, ours.name, ours.writes) != (theirs.form, theirs.name, theirs.writes)
            or not alike(ours.args, theirs.args)
            or ours.options.keys() != theirs.options.keys()
            or not alike(tuple(ours.options.values()), tuple(theirs.options.values()))
            or not alike(ours.result, theirs.result)
            or ours.result.strides != theirs.result.strides
        ):
            return ours, theirs
    return None


class Moment:
    """All that a step can change, as it is now: `restore` brings it back."""

    def __init__(self, recording, inputs):
        written = {value.root for call in recording.calls for value in call.written}
        arrays = [a for value, a in recording.states.items() if value.root in written]
        values = [value for value, _ in recording.inputs]
        arrays += [array_of(a) for value, a in zip(values, inputs) if value in written]
        self.arrays = [(a, a.copy()) for a in arrays]
        noise = [g for g in recording.states.values() if not hasattr(g, "dtype")]
        self.noise = [(g, backend.noise_state(g)) for g in noise]
        self.places = [(place, place.get()) for place, *_ in recording.numbers]
        grads = [(p, p.get()) for p in recording.places if p.role == "gradient"]
        self.places += grads
        self.arrays += [(a, a.copy()) for _, a in grads if a is not None]

    def restore(self):
        for array, then in self.arrays:
            array[...] = then
        for generator, then in self.noise:
            backend.set_noise_state(generator, then)
        for place, then in self.places:
            place.put(then)

    def differs_from_now(self):
        """Whether anything is not as it was."""
        return (
            any(not same(array, then) for array, then in self.arrays)
            or any(not same_noise(backend.noise_state(g), then) for g, then in self.noise)
            or any(not same_grads(place.get(), then) for place, then in self.places)
        )


def array_of(given):
    return given.data if isinstance(given, Tensor) else given


def without_graph(result):
    if type(result) is tuple:
        return tuple(map(without_graph, result))
    return result.detach() if isinstance(result, Tensor) else result


def same(a, b):
    """Whether two arrays hold the same bits (but for the sign of zeros)."""
    return numpy.array_equal(backend.to_numpy(a), backend.to_numpy(b), equal_nan=True)


def same_noise(a, b):
    """Whether two states of a generator are one: NumPy's is a dict, CuPy's an array."""
    return str(a) == str(b) if isinstance(a, dict) else same(a, b)


def same_grads(a, b):
    return a is b or (a is not None and b is not None and same(a, b))


def same_outputs(a, b):
    if type(a) is tuple:
        return all(map(same_outputs, a, b))
    return same(a.data, b.data) if isinstance(a, Tensor) else same(a, b)
