"""The replay: a step's calls on arrays that stay where they are, one after the other.

The calls are a list of tuples (function, *arguments), which C goes through: each costs as much as
it would in a line of Python, and no line of theirs has to be compiled. Around that stands a short
function whose text is made here. Before it touches anything it looks whether this is the step that
was recorded, and returns MISS if it is not; then it copies the inputs to where the calls find them.
"""

from collections import deque
from itertools import starmap
from operator import call as apply
from types import MappingProxyType
from typing import Any

import numpy

from .. import backend
from ..backend import xp
from ..engine import Tensor, next_order
from ..exchanges import exchanges
from ..modes import is_recording, who_watches
from .array import CannotRecord
from .binding import Binding, upright_factors
from .calls import expression
from .graph import Graphs
from .memory import share_buffers
from .passes import cast_apart, constants_once, views_once
from .places import ENTRIES, leaves

MISS = object()


class Replay:
    """A step, made ready: `run` takes its inputs and does it, or returns MISS.

    contents: {Value: array} of all that the calls compute with.
    calls, binding: what is done with arrays, and by what each call is made.
    scope: the globals of `run`.
    bytes: of the arrays that were made for it.
    """

    def __init__(self, recording, calls, outlive):
        self.recording = recording
        contents = self.contents = dict(recording.states)
        contents |= {value: place_for(value) for value, _ in recording.inputs}
        numbers = [call for call in calls if call.result.is_number]
        calls = [call for call in calls if not call.result.is_number]
        calls = upright_factors(cast_apart(constants_once(calls, contents)))
        self.bytes = share_buffers(calls, contents, outlive)
        self.bytes += sum(contents[value].nbytes for value, _ in recording.inputs)
        self.calls = calls = views_once(calls, contents)
        self.binding = Binding(calls, contents, [value for value, _ in recording.outputs])
        if backend.device() == "cpu":
            rows = [row for call in calls for row in self.binding.rows(call)]
        else:
            rows = [(Graphs(calls, self.binding),)]
        self.bytes += self.binding.bytes
        self.scope: dict[str, Any] = {"MISS": MISS, "Tensor": Tensor, "ndarray": xp.ndarray}
        self.scope |= {"is_recording": is_recording, "who_watches": who_watches}
        self.scope |= {"deque": deque, "starmap": starmap, "apply": apply, "rows": rows}
        self.scope["contents"] = contents
        self.renew()
        inputs = [f"input_{i}" for i in range(len(recording.inputs))]
        lines = [
            *self.checks(),
            *self.begin(numbers),
            "deque(starmap(apply, rows), 0)",
            *self.end(),
        ]
        exec("\n    ".join([f"def run({', '.join(inputs)}):", *lines]), self.scope)
        self.run = self.scope["run"]

    def bind(self, name, thing):
        self.scope[name] = thing
        return name

    def renew(self):
        """Let it pass over what is in all places now: somebody has found that it may.

        What is in modules, optimizers and Tensors counts its exchanges: one number tells of them
        all. (To look at each would cost a cache miss each time, 200 us in TabNet's 1,500.)
        """
        scope = self.scope
        scope["exchanges_then"] = exchanges[0]
        for i, holder in enumerate(self.recording.holders):
            if holder.guard == "whole":
                scope[f"entries_{i}"] = holder.owner.copy()
            elif holder.guard == "each":
                scope |= {f"content_{i}_{k}": c for k, c in enumerate(holder.then.values())}
                if counts(holder):
                    scope[f"count_{i}"] = len(vars(holder.owner))

    # --- lines of `run` ---

    def checks(self):
        recording = self.recording
        misses = [f"is_recording() is not {recording.graph}", "who_watches()"]
        for i, (value, is_tensor) in enumerate(recording.inputs):
            dtype = self.bind(f"dtype_{i}", value.dtype)
            array = f"input_{i}.data" if is_tensor else f"input_{i}"
            misses.append(f"type(input_{i}) is not {'Tensor' if is_tensor else 'ndarray'}")
            misses += [f"{array}.shape != {value.shape}", f"{array}.strides != {value.strides}"]
            misses.append(f"{array}.dtype is not {dtype}")
        self.bind("exchanges", exchanges)
        misses.append("exchanges[0] != exchanges_then")
        for i, holder in enumerate(recording.holders):
            if holder.guard != "count":
                misses += self.differences(i, holder)
        for i, (leaf, grad) in enumerate(recording.grads_before):
            leaf, grad = self.bind(f"used_{i}", leaf), self.bind(f"grad_{i}", grad)
            misses.append(f"{leaf}.grad is not {grad}")
        # It is gone; a cell is empty; two different arrays are neither equal nor unequal.
        gone = "except (AttributeError, LookupError, ValueError): return MISS"
        return ["try:", f"    if {' or '.join(misses)}: return MISS", gone]

    def differences(self, i, holder):
        """What is true as soon as a holder holds something else."""
        owner = vars(holder.owner) if isinstance(holder.owner, type) else holder.owner
        name = self.bind(f"holder_{i}", owner)
        if holder.guard == "each":
            if counts(holder):
                yield f"len({self.bind(f'variables_{i}', vars(owner))}) != count_{i}"
            is_dict = isinstance(owner, (dict, MappingProxyType))
            for k, key in enumerate(holder.then):
                yield f"{name}{f'[{key!r}]' if is_dict else f'.{key}'} is not content_{i}_{k}"
            return
        yield f"{name} != entries_{i}"
        if any(holder.texts):
            self.scope |= {"leaves": leaves, f"leaves_{i}": holder.texts}
            yield f"leaves({name}) != leaves_{i}"
        if isinstance(owner, ENTRIES):
            for key, content in holder.then.items():
                if type(content) is xp.ndarray:  # of one number it may be equal to another
                    yield f"{name}[{key!r}] is not entries_{i}[{key!r}]"

    def begin(self, calls):
        """Copy the inputs, compute with numbers, put these into their arrays."""
        recording, names = self.recording, {}
        yield from self.apart()
        for i, (value, is_tensor) in enumerate(recording.inputs):
            place = self.bind(f"place_{i}", self.contents[value])
            yield f"{place}[...] = input_{i}{'.data' * is_tensor}"
        for i, (place, before, _) in enumerate(recording.numbers):
            attributes, names[before] = self.bind(f"attributes_{i}", vars(place.owner)), f"n{i}"
            yield f"n{i} = {attributes}[{place.key!r}]"
        for i, call in enumerate(calls, len(names)):
            names[call.result] = f"n{i}"
            yield f"n{i} = {expression(call, names)}"
        for i, ((value, _), array) in enumerate(self.binding.numbers.items()):
            yield f"{self.bind(f'number_{i}', array)}[()] = {names[value]}"
        for i, (place, before, after) in enumerate(recording.numbers):
            if after is not before:
                yield f"attributes_{i}[{place.key!r}] = {names[after]}"

    def apart(self):
        """Refuse an input that shares memory with what the step writes into: calls get a copy."""
        if xp.ndarray is not numpy.ndarray:
            return
        inputs, states = self.recording.inputs, self.recording.states
        written = {value.root for call in self.calls for value in call.written}
        arrays = [f"input_{i}{'.data' * is_tensor}" for i, (_, is_tensor) in enumerate(inputs)]
        memory = [f"id({array} if {array}.base is None else {array}.base)" for array in arrays]
        self.bind("owners", {id(owner(states[value])) for value in written if value in states})
        self.bind("refuse", refuse_to_share)
        shared = [f"{part} in owners" for part in memory]
        if any(value in written for value, _ in inputs):
            shared.append(f"len({{{', '.join(memory)}}}) < {len(memory)}")
        yield f"if {' or '.join(shared)}: refuse()"

    def end(self):
        """Leave what the step leaves and return what it returns: of what is made every time, a copy
        that is the caller's own."""
        recording, given = self.recording, {}
        for i, (value, is_tensor) in enumerate(recording.inputs):
            given[value] = f"input_{i}{'.data' * is_tensor}"
            if any(value is target.root for call in self.calls for target in call.written):
                yield f"{given[value]}[...] = place_{i}"
        lasting = {v for v in self.contents if v.root.kind == "state" and not v.is_number}

        def array(name, value):
            if value in lasting:
                return self.bind(name, self.contents[value])
            return given.get(value) or f'contents[{self.bind(name, value)}].copy("K")'

        same = [
            (leaf, self.contents.get(v)) for leaf, v in recording.grads if not v or v in lasting
        ]
        yield f"for leaf, grad in {self.bind('grads', same)}: leaf.grad = grad"
        for i, (leaf, value) in enumerate(recording.grads):
            if value is not None and value not in lasting:
                yield f"{self.bind(f'leaf_{i}', leaf)}.grad = {array(f'grad_of_{i}', value)}"
        if recording.moved:
            self.scope |= {"moved": recording.moved, "next_order": next_order}
            yield "order = next_order()"
            yield "for leaf in moved: leaf.order = order"
        results = [array(f"result_{i}", value) for i, (value, _) in enumerate(recording.outputs)]
        results = [
            f"Tensor({text})" if is_tensor else text
            for text, (_, is_tensor) in zip(results, recording.outputs)
        ]
        yield f"return {results[0] if recording.single else '(' + ', '.join(results) + ',)'}"


def refuse_to_share():
    raise CannotRecord(
        "an input shares memory with what the step writes into: call it with a copy of it"
    )


def counts(holder):
    """Whether an attribute may come to it that counts."""
    is_object = holder.names is not None and not holder.may_grow
    return is_object and hasattr(holder.owner, "__dict__")


def array_of(given):
    return given.data if isinstance(given, Tensor) else given


def owner(array):
    """The array whose memory this one is a view of; itself, if it is none."""
    base = getattr(array, "base", None)
    return array if base is None else base


def place_for(value):
    """An array for an input, with its strides: the order in which numbers are added depends on it.

    (On a GPU with the order of its axes.)
    """
    if value.is_in_order or xp.ndarray is not numpy.ndarray:
        return xp.empty(value.shape, value.dtype)
    steps = [max(n - 1, 0) * stride for n, stride in zip(value.shape, value.strides)]
    block = numpy.empty(sum(map(abs, steps)) + value.dtype.itemsize, "uint8")
    begin = -sum(step for step in steps if step < 0)
    return numpy.ndarray(value.shape, value.dtype, block, begin, value.strides)
