"""What makes a program fast: short passes over its list of calls, each a function of one.

Two make the list shorter, for the reader as well: `drop_dead` and `write_in_place`. The others
prepare the replay: what need not be done at every step (`constants_once`, `views_once`), a form in
which a call is faster (`cast_apart`), a place for each array (memory.py), and the form of each call
that takes the least time (binding.py).

Each must leave every bit of every result as it is (but the sign of a zero: see `sum_by_product`).
So no sum is reordered, and a buffer has the order of axes that the array had in the recorded step,
which decides along which axis a sum runs, and so how it is rounded.
"""

import numpy

from .. import backend
from .calls import Call, Value, can_write, carry_out, ufunc_of

# --- the list --------------------------------------------------------------------------------


def drop_dead(calls, outlive):
    """The calls on which anything depends that outlives the step.

    outlive: the Values that the step returns or leaves behind, besides what it writes into states.
    Noise is always drawn, since the next draw depends on it.
    """
    values, roots, kept = set(outlive), {value.root for value in outlive}, []
    for call in reversed(calls):
        result = call.result
        if call.is_view:
            needed = result in values
        else:
            needed = (
                result.root in roots
                or any(value.root.kind != "made" for value in call.written)
                or call.form == "draw"
            )
        if needed:
            kept.append(call)
            for value in (*call.reads, result):
                values.add(value)
                roots.add(value.root)
    return kept[::-1]


def touches(calls):
    """{root: the indices of the calls that read or write its memory, in order}."""
    found: dict[Value, list[int]] = {}
    for i, call in enumerate(calls):
        if not call.is_view:
            for value in (*call.reads, call.result):
                indices = found.setdefault(value.root, [])
                if not indices or indices[-1] != i:
                    indices.append(i)
    return found


def write_in_place(calls, outlive):
    """``t = x @ y; w[...] = t`` becomes ``matmul(x, y, out=w)``: one array and one copy less.

    Most of backward's results go into the optimizer's flat array of gradients in this way. It is
    right if nobody looks at w between the two, and if w stays t for as long as t is needed.

    Not for products on a GPU: by where w begins cuBLAS chooses how to add, and so how to round.
    """
    on_gpu = backend.device() != "cpu"
    touched = touches(calls)
    made_at = {call.result: i for i, call in enumerate(calls) if not call.writes}
    viewed = {call.result.root for call in calls if call.is_view}
    new = [[call] for call in calls]
    for copied, call in enumerate(calls):
        if call.form != "setitem" or call.args[1] is not ...:
            continue
        target, _, source = call.args
        first = made_at.get(source) if type(source) is Value else None
        if first is None or source in viewed or source in outlive or not can_write(calls[first]):
            continue
        if on_gpu and ufunc_of(calls[first]) == "matmul":
            continue
        needed = touched[source]
        if (
            (source.shape, source.dtype, source.strides)
            != (target.shape, target.dtype, target.strides)
            or made_at.get(target.root, -1) > first
            or any(first <= i < copied for i in touched[target.root])
            or any(calls[i].writes for i in needed if first < i != copied)
            or any(
                copied < i <= needed[-1] and writes_to(calls[i], target.root)
                for i in touched[target.root]
            )
        ):
            continue
        # If the view that is written into was only made after t, it is made before it now.
        views, view = [], target
        while made_at.get(view, -1) > first:
            views.append(calls[made_at[view]])
            new[made_at[view]] = []
            view = views[-1].args[0]
        *others, maker = new[first]  # it may read what has been replaced already
        new[first] = [*views[::-1], *others, maker.to(target)]
        new[copied] = []
        for i in needed:
            if i not in (first, copied):
                *others, reader = new[i]
                new[i] = [*others, reader.of(_replaced(reader.args, source, target))]
    return [call for group in new for call in group]


def _replaced(args, old, new):
    if type(args) is tuple:
        return tuple([_replaced(a, old, new) for a in args])
    return new if args is old else args


def writes_to(call, root):
    return any(value.root is root for value in call.written)


# --- what need not be done at every step -----------------------------------------------------


def constants_once(calls, contents):
    """Compute what depends on no array; the other calls remain."""
    written = {call.result.root for call in calls if call.writes}
    constant: set[Value] = set()
    rest = []
    for call in calls:
        differs = call.writes or call.name == "empty"
        if differs or call.result.root in written or not constant.issuperset(call.reads):
            rest.append(call)
        else:
            contents[call.result] = carry_out(call, contents)
            constant.add(call.result)
    return rest


def views_once(calls, contents):
    """Make the views of all memory that stays where it is; the other calls remain."""
    rest = []
    for call in calls:
        if call.is_view and all(value in contents for value in call.reads):
            contents[call.result] = carry_out(call, contents)
        else:
            rest.append(call)
    return rest


ARITHMETIC = {"add", "subtract", "multiply", "divide"}
COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}


def cast_apart(calls):
    """Truth values that are calculated with become floats first, and comparisons whose result is to
    be floats give truth values first: a function that has to cast on the way works in small pieces.
    ``g * (y > 0)`` of 32 x 64 takes 0.8 us then instead of 1.3.
    """
    written = {call.result.root for call in calls if call.writes}
    floats: dict[Value, Value] = {}
    new: list[Call] = []
    for call in calls:
        ufunc, result = ufunc_of(call), call.result
        if ufunc in ARITHMETIC and not call.options and not result.is_number:
            args = []
            for a in call.args:
                if type(a) is Value and a.dtype == bool and a.shape and result.dtype.kind == "f":
                    if a not in floats or a.root in written:
                        floats[a] = like(a, result.dtype, len(new))
                        new.append(Call("method", "astype", (a, result.dtype), {}, floats[a]))
                    a = floats[a]
                args.append(a)
            if args != list(call.args):
                call = call.of(tuple(args))
        elif ufunc in COMPARISONS and call.writes and result.dtype.kind == "f":
            truth = like(result, numpy.dtype(bool), len(new))
            new.append(Call(call.form, call.name, call.args, {}, truth, place=call.place))
            call = Call("setitem", "", (result, ..., truth), {}, result, True, call.place)
        new.append(call)
    return new


def like(value, dtype, i):
    """A Value that call i is to make, of the shape of another."""
    new = Value(None, "made", f"{value.name}_as_{dtype}_{i}")
    new.shape, new.dtype = value.shape, dtype
    order = sorted(range(len(value.shape)), key=lambda i: -value.strides[i])
    strides, step = {}, dtype.itemsize
    for i in reversed(order):
        strides[i], step = step, step * value.shape[i]
    new.strides = tuple(strides[i] for i in range(len(order)))
    return new
