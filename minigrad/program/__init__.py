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


def compile(step=None, *, check=True) -> Any:
    """A function that does what `step` does, from the second call on without Python's detours.

    Args:
        step: a function of arrays (or Tensors that require no gradient) that returns a Tensor, an
            array, or a tuple of them: a training step, or an evaluation. What else it needs, a
            model, an optimizer, it has as a variable or as its ``self``.
        check: whether the first replay of each program is held against the eager step.

    Raises:
        CannotRecord: when it is called: the step does what a list of array calls cannot express, or
            a replay gave other bits than the eager step; the message says where.
    """
    return functools.partial(compile, check=check) if step is None else Compiled(step, check)


class Program:
    """A recording, made ready: its text, its replay, and whether that has been checked."""

    def __init__(self, recording, name):
        outlive = [value for value, _ in recording.outputs]
        outlive += [after for *_, after in recording.numbers]
        outlive += [after for _, after in recording.grads if after is not None]
        self.recording, self.name, self.checked = recording, name, False
        self.calls = write_in_place(drop_dead(recording.calls, outlive), outlive)
        name_values(recording, self.calls)
        self.replay, self.bytes, self.lines = make_replay(recording, self.calls, outlive)
        self.entries = {entry(recording.places)}

    @property
    def source(self):
        return listing(self.recording, self.calls, self.name)

    @property
    def state(self):
        """{name: array, number or generator} of what its text takes besides the inputs."""
        used = {v.root for call in self.calls for v in (*call.reads(), call.result)}
        contents = dict(self.recording.states)
        contents |= {before: place.get() for place, before, _ in self.recording.numbers}
        return {v.name: content for v, content in contents.items() if v in used}

    @property
    def written(self):
        """The arrays and generators that outlive the step and are changed by it."""
        changed = {call.result.root for call in self.calls if call.writes}
        changed |= {call.args[0] for call in self.calls if call.form == "draw"}
        return [self.recording.states[value] for value in changed if value.kind == "state"]

    def takes(self, inputs):
        """Whether it is made for inputs of these shapes and dtypes."""
        expected = [
            (is_tensor, v.shape, v.dtype, v.strides) for v, is_tensor in self.recording.inputs
        ]
        return self.recording.graph == is_recording() and expected == [
            (isinstance(given, Tensor), array.shape, array.dtype, array.strides)
            for given in inputs
            for array in [given.data if isinstance(given, Tensor) else given]
        ]

    def changes(self):
        """The places that hold something else than the program expects."""
        places = self.recording.places
        changed = [place for place in places if place.guarded and not place.is_as_it_was()]
        if (
            all(place.key == "grad" for place in changed)
            and entry(places, now=True) in self.entries
        ):
            return []
        return changed

    def expect(self, places):
        """Expect from now on what was in these places when they were last looked at."""
        self.recording.places = places
        self.entries.add(entry(places))
        self.replay.__globals__.update(guards(places, self.entries))

    def expect_what_is_there(self):
        for place in self.recording.places:
            if place.guarded:
                place.content = place.get()
        self.expect(self.recording.places)


def entry(places, now=False):
    """Which gradients there are when a step begins: a step that adds to them is another program
    than one that finds none (unless it forgets them first)."""
    grads = [place.get() if now else place.content for place in places if place.key == "grad"]
    return tuple([None if grad is None else id(grad) for grad in grads])


class Compiled:
    """What `compile` returns.

    programs: one for each kind of inputs and each mode of the modules that it has met.
    """

    def __init__(self, step, check):
        self.step, self.check, self.programs = step, check, []
        self.names = list(inspect.signature(step).parameters)
        self.last, self.replay = None, lambda *inputs: MISS
        functools.update_wrapper(self, step, updated=())

    def __call__(self, *inputs):
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
        known = [(p, p.changes()) for p in self.programs if p.takes(inputs)]
        for program, changes in known:
            if not changes and (program.checked or not self.check):
                program.expect_what_is_there()
                self.last, self.replay = program, program.replay
                return program.replay(*inputs)
        return self.record(inputs, known)

    def record(self, inputs, known):
        """Do the step eagerly, and see whether what is recorded is a program that is known."""
        for _, changes in known:
            if changes and all(place.holds_array and place.key != "grad" for place in changes):
                raise CannotRecord(
                    f"{changes[0]} has got another array since the step was recorded: write into "
                    "the old one (a[...] = values), or compile the step again"
                )
        before = {program: Moment(program) for program, _ in known if not program.checked}
        result, recording = record(self.step, inputs, self.names)
        for program, changes in known:
            difference = first_difference(program.recording, recording)
            if difference is None:
                program.expect(recording.places)
                self.last, self.replay = program, program.replay
                if not program.checked and self.check:
                    self.hold_against(program, before[program], inputs, result)
                return result
            if not changes:
                raise CannotRecord(
                    "the step did something else than at the last call, and nothing that the "
                    f"recorder can see was changed in between: then {difference[0]!r}, now "
                    f"{difference[1]!r} (in {difference[1].section or 'the step'}). A number that "
                    "changes must be an array, or one of an optimizer's `changing`"
                )
        if len(self.programs) == MOST_PROGRAMS:
            places = [place for _, changes in known for place in changes]
            raise CannotRecord(
                f"{MOST_PROGRAMS} programs for one step: the inputs' shapes differ from call to "
                f"call, or what it reads as a constant does ({places[-1:]})"
            )
        self.last = Program(recording, self.step.__name__)
        self.programs.append(self.last)
        return result

    def hold_against(self, program, before, inputs, result):
        """Compare the first replay with the eager step that has just been done."""
        after = Moment(program)
        before.restore()
        replayed = program.replay(*inputs)
        wrong = after.differs_from_now() or ("" if same_outputs(result, replayed) else "the result")
        if wrong:
            before.restore()
            kept: list = []
            record(self.step, inputs, self.names, kept)
            before.restore()
            line = first_wrong_line(program, inputs, kept)
            after.restore()
            self.replay = lambda *inputs: MISS
            self.programs.remove(program)
            raise CannotRecord(
                f"the replay of this step differs from the eager step in {line or wrong}"
            )
        program.checked = True


def first_wrong_line(program, inputs, kept):
    """Carry a replay out line by line; the first line after which a result is not what the eager
    step had there (`kept`, a copy of the result of each recorded call)."""
    scope = dict(program.replay.__globals__)
    for (value, _), given in zip(program.recording.inputs, inputs):
        scope[value.name] = given.data if isinstance(given, Tensor) else given
    for place, before, _ in program.recording.numbers:
        scope[before.name] = place.get()
    for line, call in program.lines:
        exec(line, scope)
        eager, now = kept[call.place], scope[call.result.name]
        if eager is not None and not same(now, eager):
            return f"`{line}` (of {call.section or 'the step'}: {call})"
    return None


def first_difference(recording, other) -> Any:
    """The first two calls in which two recordings differ; None if they do not."""
    numbers: tuple[dict, dict] = {}, {}

    def plain(a, states, known):
        if type(a) is Value:
            if a in states:
                return id(states[a])
            return known.setdefault(a, len(known)), a.shape, a.dtype, a.strides
        if type(a) is tuple:
            return [plain(b, states, known) for b in a]
        return repr(a)

    for ours, theirs in itertools.zip_longest(recording.calls, other.calls):
        if ours is None or theirs is None:
            return ours or theirs, theirs or ours
        told = [
            (c.form, c.name, plain((*c.args, *c.options.items(), c.result), r.states, known))
            for c, r, known in zip((ours, theirs), (recording, other), numbers)
        ]
        if told[0] != told[1]:
            return ours, theirs
    return None


class Moment:
    """All that a program changes, as it is now: `restore` brings it back."""

    def __init__(self, program):
        recording, written = program.recording, program.written
        self.arrays = [(a, a.copy()) for a in written if hasattr(a, "dtype")]
        self.noise = [(g, backend.noise_state(g)) for g in written if not hasattr(g, "dtype")]
        self.places = [(place, place.get()) for place, *_ in recording.numbers]
        self.places += [(p, p.get()) for p in recording.places if p.key == "grad"]
        self.names = {id(content): value.name for value, content in recording.states.items()}

    def restore(self):
        for array, then in self.arrays:
            array[...] = then
        for generator, then in self.noise:
            backend.set_noise_state(generator, then)
        for place, then in self.places:
            place.put(then)

    def differs_from_now(self):
        """The name of something that is not as it was; None if all is."""
        for array, then in self.arrays:
            if not same(array, then):
                return self.names[id(array)]
        for generator, then in self.noise:
            if str(backend.noise_state(generator)) != str(then):
                return self.names[id(generator)]
        return None


def same(a, b):
    """Whether two arrays hold the same bits (but for the sign of zeros)."""
    return numpy.array_equal(backend.to_numpy(a), backend.to_numpy(b), equal_nan=True)


def same_outputs(a, b):
    if type(a) is tuple:
        return all(map(same_outputs, a, b))
    return same(a.data, b.data) if isinstance(a, Tensor) else same(a, b)
