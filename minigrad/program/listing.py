"""The program as text: a function of plain NumPy, to be read, and to be run without minigrad."""

import keyword
from collections import Counter

from .. import backend
from .calls import Value, expression, statement


def state_names(paths):
    """{path: name}: of each path the shortest end that no other has, as a Python name."""
    ends = Counter(path[i:] for path in paths for i in range(len(path)))
    return {path: _name(path, ends) for path in paths}


def _name(path, ends):
    if path[1:] and path[-1] in ("grad", "grad_home"):
        return "d_" + _name(path[:-1], ends)
    for i in reversed(range(len(path))):
        if ends[path[i:]] <= 1 and str(path[i]).isidentifier():
            break
    return "_".join(map(str, path[i:]))


def name_values(recording, calls):
    """Give every Value a name of its own that Python accepts."""
    taken = dict.fromkeys((*keyword.kwlist, "np"), 0)  # and the last number behind each
    if any(call.section.startswith("vjp") for call in calls):
        for value, _ in recording.outputs[:1]:
            value.name = "loss" if value.kind == "made" else value.name
    values = [value for value, _ in recording.inputs]
    values += [end for _, *ends in recording.numbers for end in ends]
    values += [value for call in calls for value in (*call.reads, call.result)]
    ends = {value for value, _ in recording.outputs}
    first = sorted(dict.fromkeys(values), key=lambda v: v.kind == "made" and v not in ends)
    for value in first:
        stem = value.name if value.name.isidentifier() else "t"
        name, k = stem, 0
        while name in taken:
            k = taken[stem] = taken.get(stem, 0) + 1
            name = f"{stem}_{k}"
        taken[name] = 0
        value.name = name


def listing(recording, calls, name):
    """The text of a function `name`.

    It takes the inputs, and by name the numbers, arrays and generators that outlive the step; the
    arrays it changes in place. It returns what the step returns, then the numbers' new values.
    """
    used = dict.fromkeys(v for call in calls for v in (*call.reads, call.result))
    views = [v for v in used if v.kind == "state" and v.root is not v]
    lines = ["import numpy as np", "", ""]
    name = name if name.isidentifier() else "step"  # that of a lambda is none
    lines += wrapped(f"def {name}({', '.join(parameters(recording, used))}):")
    lines += [f"    {view} = {cut(recording, view)}" for view in views]
    section, inside = None, written_out(calls, recording)
    for call in calls:
        if call.result in inside:
            continue
        if call.section != section:
            section = call.section
            lines += [""] * (not lines[-1].endswith(":"))
            lines += [f"    # {section}"] if section else []
        line, shape = f"    {statement(call, inside)}", call.result.shape
        if shape is not None and not call.writes:
            line = f"{line:<60}  # {', '.join(map(str, shape)) if shape else 'one number'}"
        lines.append(line)
    results = [str(value) for value, _ in recording.outputs]
    results += [str(after) for _, before, after in recording.numbers if after is not before]
    return "\n".join([*lines, "", f"    return {', '.join(results)}", ""])


def written_out(calls, recording):
    """{Value: its expression} of what is used only once, and therefore written there: views and
    numbers, and an array without a name of its own that the very next call uses."""
    uses = Counter(value for call in calls for value in call.reads)
    kept = {call.result for call in calls if call.writes}
    kept |= {v for v, _ in recording.outputs} | {after for *_, after in recording.numbers}
    inside: dict[Value, str] = {}
    last = None  # the last call that is no such view or number
    for call in calls:
        if last is not None and last.result in call.reads and last.result.name[:2] in ("t", "t_"):
            made = last.result
            if uses[made] == 1 and made not in kept and not last.writes:
                expressed = expression(last, inside)
                if len(expressed) <= 40:
                    inside[made] = expressed
        value = call.result
        passing = call.is_view or (value.is_number and not call.writes)
        if passing and uses[value] == 1 and value not in kept:
            inside[value] = expression(call, inside)
        else:
            last = call
    return inside


def parameters(recording, used):
    numbers = [before for _, before, _ in recording.numbers if before in used]
    states = dict.fromkeys(v.root for v in used if v.root.kind == "state" and not v.is_number)
    by_name = [v.name for v in (*numbers, *states)]
    return [*(v.name for v, _ in recording.inputs), *["*"] * bool(by_name), *by_name]


def cut(recording, view):
    """How a parameter is a view of its optimizer's flat array."""
    array, whole = recording.states[view], recording.states[view.root]
    if not (view.is_in_order and view.root.is_in_order):
        offset = backend.address(array) - backend.address(whole)
        return f'np.ndarray({view.shape}, "{view.dtype}", {view.root}, {offset}, {view.strides})'
    first = (backend.address(array) - backend.address(whole)) // array.itemsize
    flat = view.root.name if whole.ndim == 1 else f"{view.root}.reshape(-1)"
    return f"{flat}[{first}:{first + array.size}].reshape{array.shape}"


def wrapped(line, width=100):
    """A long line of parameters, in several."""
    lines = []
    while len(line) > width:
        end = line.rindex(", ", 0, width) + 1
        lines.append(line[:end])
        line = " " * 8 + line[end:].lstrip()
    return [*lines, line]
