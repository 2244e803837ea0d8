"""The first replay is held against the eager step: a wrong one is an error that names the line."""

import itertools
from typing import Any

import numpy

from .. import backend
from ..engine import Tensor
from .array import CannotRecord
from .calls import Value
from .listing import name_values
from .recording import record
from .replay import array_of


def check(program, step, names, inputs):
    """Do the step twice, eagerly and as a replay; return what it gave, if both left the same bits.

    Raises:
        CannotRecord: they did not. All is then as the eager step has left it.
    """
    before = Moment(program.recording, inputs)
    result = without_graph(step(*inputs))
    after = Moment(program.recording, inputs)
    before.restore()
    program.replay.renew()
    try:
        replayed = program.replay.run(*inputs)
        if not same_outputs(result, replayed) or after.differs_from_now():
            before.restore()
            explain(program, step, names, inputs, before)
    except CannotRecord:
        after.restore()
        raise
    return result


def explain(program, step, names, inputs, before):
    """Say why a replay is not what the eager step was: record the step again."""
    kept: list = []
    _, recording = record(step, inputs, names, kept)
    name_values(program.recording, program.calls)
    name_values(recording, recording.calls)
    difference = first_difference(program.recording, recording)
    before.restore()
    if difference is None:
        call = first_wrong_call(program, inputs, kept)
        raise CannotRecord(f"the replay differs from the eager step in {call}")
    then, now = difference
    raise CannotRecord(
        "the step did something else than at the last call, and nothing that the recorder can see "
        f"was changed in between: then `{then}`, now `{now}` (in {now.section or 'the step'}). A "
        "number that changes must be an array, or one of an optimizer's `changing`"
    )


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


# --- where the difference is ---


def first_wrong_call(program, inputs, kept):
    """Make a replay's calls one by one; the first after which a result is not what the eager
    step had there (`kept`, a copy of the result of each recorded call)."""
    replay, wrong = program.replay, []

    def one_by_one():
        for call in replay.calls:
            replay.binding.make(call)
            # A call without a place has been added by a pass.
            if call.place is not None and not same(replay.contents[call.result], kept[call.place]):
                wrong.append(f"`{call}` (of {call.section or 'the step'})")
                return
            yield (int,)

    replay.scope["rows"] = one_by_one()
    replay.run(*inputs)
    return wrong[0] if wrong else None


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
