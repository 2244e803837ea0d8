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

The first call runs eagerly, with a recorder behind `xp`. What comes out is a flat list of array
calls: what ``loss.backward()`` *is*. ``print(step.source)`` shows it as a function of plain NumPy.
The second call does the step twice, eagerly and from the list, and compares every bit. From then on
the list is carried out and nothing else, faster than NumPy written by hand. In the order of time:

    recording   places.py     where a step keeps what it computes with
                search.py     all places that it can reach
                array.py      an array that sees every call made on it
                recorder.py   what stands behind `xp` and takes the calls down
                recording.py  a step is run so, once; what it must not do is refused
    the list    calls.py      Call and Value, of which a program is made
                passes.py     what is not needed is left out, what can be done once is done once
                listing.py    the text to be read
    the replay  memory.py     where each array lies, and for how long
                binding.py    each call as a function and its arguments, in its fastest form
                graph.py      on a GPU: one launch in place of one for each call
                replay.py     the function that does the step, and first looks whether it may
                check.py      the first replay against the eager step

What changes between calls may change: the inputs, the content of arrays, the numbers that an
optimizer calls `changing`, noise, which is drawn at every replay. Other shapes, modes and numbers
are another program, kept beside the first. What a list of calls cannot say is refused.
"""

import functools
import inspect
import threading
from typing import Any

from ..backend import xp
from ..checks import check_functions
from ..engine import Tensor
from ..modes import is_recording, who_watches
from .array import CannotRecord
from .check import check
from .listing import listing, name_values
from .passes import drop_dead, write_in_place
from .recording import record
from .replay import MISS, Replay, array_of

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
    check_functions(step=step)
    return Compiled(step)


class Program:
    """A recording, made ready: its text, its replay, and whether that has been checked."""

    def __init__(self, recording, name):
        outlive = [value for value, _ in recording.outputs]
        outlive += [after for *_, after in recording.numbers]
        outlive += [after for _, after in recording.grads if after is not None]
        self.recording, self.name = recording, name
        self.calls = write_in_place(drop_dead(recording.calls, outlive), outlive)
        self.replay = Replay(recording, self.calls, outlive)
        self.bytes, self.is_checked = self.replay.bytes, False

    @property
    def source(self):
        name_values(self.recording, self.calls)
        return listing(self.recording, self.calls, self.name)

    @property
    def state(self):
        """{name: array, number or generator} of what its text takes besides the inputs."""
        name_values(self.recording, self.calls)
        used = {v.root for call in self.calls for v in (*call.reads, call.result)}
        contents = dict(self.recording.states)
        contents |= {before: place.get() for place, before, _ in self.recording.numbers}
        return {v.name: content for v, content in contents.items() if v in used}

    def takes(self, inputs):
        """Whether it is made for inputs of these shapes and dtypes, and the gradients there are."""
        if not all(isinstance(given, (Tensor, xp.ndarray)) for given in inputs):
            return False  # and `record` will say what they are
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
        return [place for holder in self.recording.holders if (place := holder.change())]


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
        self.last = Program(recording, getattr(self.step, "__name__", type(self.step).__name__))
        self.programs.append(self.last)
        return result

    def replayed(self, program, inputs):
        """A replay; the first one is held against the eager step."""
        if not program.is_checked:
            try:
                result = check(program, self.step, self.names, inputs)
            except CannotRecord:
                self.programs.remove(program)
                raise
            program.is_checked = True
            return result
        program.replay.renew()
        self.replay = program.replay.run
        return self.replay(*inputs)
