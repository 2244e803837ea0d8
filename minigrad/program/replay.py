"""The replay: a program as a Python function that does the array calls and nothing else.

Its text is made here and executed once; its globals are the arrays, functions and places that it
needs, and nothing else. Before it touches anything it looks whether this is the step that was
recorded, and returns MISS if it is not.
"""

from types import MappingProxyType
from typing import Any

from .. import backend
from ..backend import xp
from ..engine import Tensor, next_order
from ..exchanges import exchanges
from ..modes import is_recording, who_watches
from .graph import Graphs
from .memory import share_buffers
from .passes import cast_apart, constants_once, views_once
from .places import leaves
from .spelling import Spelling, upright_factors

MISS = object()


def make_replay(recording, calls, outlive):
    """(the function, the bytes of its buffers, the lines of its calls: pairs (line, Call))."""
    contents = dict(recording.states)
    calls = upright_factors(cast_apart(constants_once(calls, contents)))
    size = share_buffers(calls, contents, outlive)
    spelling = Spelling(views_once(calls, contents), contents)
    bound = spelling.bound | {"_MISS": MISS, "_Tensor": Tensor, "_asarray": xp.asarray}
    bound |= {"_ndarray": xp.ndarray, "_next_order": next_order} | guards(recording)
    bound |= {"_is_recording": is_recording, "_who_watches": who_watches}
    begin = [f"if _is_recording() is not {recording.graph} or _who_watches(): return _MISS"]
    begin += [f"if {check}: return _MISS" for check in input_checks(recording, bound)]
    checks = [f" if {check}: return _MISS" for check in place_checks(recording, bound)]
    # Two different arrays are neither equal nor unequal: comparing them is an error.
    begin += ["try:", " pass", *checks, "except ValueError: return _MISS"]
    begin += [f"{v} = {v}.data" for v, is_tensor in recording.inputs if is_tensor]
    end = []
    for i, (place, before, after) in enumerate(recording.numbers):
        bound[f"_attributes_{i}"] = vars(place.owner)
        begin.append(f"{before} = _attributes_{i}[{place.key!r}]")
        if after is not before:
            end.append(f"_attributes_{i}[{place.key!r}] = {after}")
    if recording.grads:
        bound["_grads"] = [(leaf, contents.get(after)) for leaf, after in recording.grads]
        end.append("for _leaf, _grad in _grads: _leaf.grad = _grad")
    for i, (leaf, after) in enumerate(recording.grads):
        if after is not None and after not in contents:  # a new array at every step
            bound[f"_leaf_{i}"] = leaf
            end.append(f"_leaf_{i}.grad = {after}")
    if recording.moved:
        bound["_moved"] = recording.moved
        end += ["_order = _next_order()", "for _leaf in _moved: _leaf.order = _order"]
    body = [line for line, _ in spelling.lines]
    if backend.device() != "cpu":
        made = [v for v in dict.fromkeys(outlive) if v.kind == "made" and not v.is_number]
        body = graphed(spelling.lines, recording, made, bound)
    results = [output(*pair) for pair in recording.outputs]
    end.append(f"return {results[0] if recording.single else '(' + ', '.join(results) + ',)'}")
    function_of("_replay", recording, [*begin, *body, *end], bound)
    return bound["_replay"], size + spelling.bytes, spelling.lines


def function_of(name, recording, lines, bound):
    """Make of lines a function of the inputs, with `bound` as its globals."""
    inputs = [value.name for value, _ in recording.inputs]
    exec("\n    ".join([f"def {name}({', '.join(inputs)}):", *lines]), bound)


def graphed(lines, recording, made, bound):
    """What is done with numbers, and then one line for all that is done with arrays."""
    numbers = [line for line, call in lines if call.result.is_number or "[()] = " in line]
    body, is_open = [], False
    for line, call in lines:
        if line in numbers:
            continue
        if not call.is_view and is_open == ("_outside(" in line):  # to views a graph is all one
            body.append("_end()" if is_open else "_begin()")
            is_open = not is_open
        body.append(line)
    body += ["_end()"] * is_open
    names = ", ".join(value.name for value in made)
    function_of("_arrays", recording, [*body, f"return [{names}]"], bound)
    graphs = Graphs(bound["_arrays"], [value for value, _ in recording.inputs])
    bound |= {"_graphs": graphs, "_outside": graphs.outside}
    bound |= {"_begin": graphs.begin, "_end": graphs.end}
    inputs = ", ".join(value.name for value, _ in recording.inputs)
    return [*numbers, f"{names}{', ' * (len(made) == 1)} = _graphs({inputs})"]


def input_checks(recording, bound):
    for i, (value, is_tensor) in enumerate(recording.inputs):
        bound[f"_dtype_{i}"] = value.dtype
        array = f"{value}.data" if is_tensor else value.name
        yield f"type({value}) is not {'_Tensor' if is_tensor else '_ndarray'}"
        yield f"{array}.shape != {value.shape}"
        yield f"{array}.strides != {value.strides}"
        yield f"{array}.dtype is not _dtype_{i}"


def guards(recording):
    """{name: what is expected}: bound to the replay, and anew if other things are expected.

    What is in modules, optimizers and Tensors counts its exchanges: one number tells of them all.
    (To look at each would cost a cache miss each time, 200 us in TabNet's 1,500.)
    """
    expected: dict[str, Any] = {"_exchanges_then": exchanges[0]}
    for i, holder in enumerate(recording.holders):
        if holder.guard == "whole":
            expected[f"_entries_{i}"] = holder.owner.copy()
        elif holder.guard == "each":
            expected |= {f"_content_{i}_{k}": c for k, c in enumerate(holder.then.values())}
            if counts(holder):
                expected[f"_count_{i}"] = len(vars(holder.owner))
    return expected


def place_checks(recording, bound):
    bound["_exchanges"] = exchanges
    yield "_exchanges[0] != _exchanges_then"
    for i, holder in enumerate(recording.holders):
        owner = holder.owner
        if holder.guard == "whole":
            bound[f"_holder_{i}"] = owner
            yield f"_holder_{i} != _entries_{i}"
            if any(holder.texts):
                bound |= {"_leaves": leaves, f"_leaves_{i}": holder.texts}
                yield f"_leaves(_holder_{i}) != _leaves_{i}"
        elif holder.guard == "each":
            if counts(holder):
                bound[f"_variables_{i}"] = vars(owner)
                yield f"len(_variables_{i}) != _count_{i}"
            if isinstance(owner, type):
                owner = vars(owner)
            bound[f"_holder_{i}"] = owner
            is_dict = isinstance(owner, (dict, MappingProxyType))
            for k, key in enumerate(holder.then):
                entry = f"[{key!r}]" if is_dict else f".{key}"
                yield f"_holder_{i}{entry} is not _content_{i}_{k}"
    for i, (leaf, grad) in enumerate(recording.grads_before):
        bound |= {f"_used_{i}": leaf, f"_grad_{i}": grad}
        yield f"_used_{i}.grad is not _grad_{i}"


def counts(holder):
    """Whether an attribute may come to it that counts."""
    is_object = holder.names is not None and not holder.may_grow
    return is_object and hasattr(holder.owner, "__dict__")


def output(value, is_tensor):
    array = f"_asarray({value})" if value.kind == "made" else value.name
    return f"_Tensor({array})" if is_tensor else array
