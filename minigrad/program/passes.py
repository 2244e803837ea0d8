"""What makes a program fast: short passes over its list of calls.

Two passes make the list shorter, for the reader as well: `drop_dead` and `write_in_place`. The
others prepare the replay: `constants_once`, `share_buffers` and `views_once` find out what need not
be done at every step, and `Spelling` writes each remaining call in its fastest form.

Each must leave every bit of every result as it is (but the sign of a zero: see `sum_by_product`).
So no sum is reordered, and a buffer has the order of axes that the array had in the recorded step,
which decides along which axis a sum runs, and so how it is rounded.
"""

import math
from bisect import insort
from functools import cache
from typing import Any

import numpy

from .. import backend
from ..backend import KERNELS, address, xp
from .calls import REDUCTIONS, Call, Value, carry_out, expression, statement, text, ufunc_of
from .graph import NOT_CAPTURED

COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
ALLOCATIONS = {"empty", "zeros", "ones", "full"}
COPIES = {"copy", "array", "astype", "asarray"}
TAKE_OUT = {*REDUCTIONS, "mean", "cumsum", "clip", "concatenate", "stack"}


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
    """
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


def can_write(call):
    """Whether a call that makes an array can be told where to put it."""
    if call.writes or call.is_view or call.result.is_number:
        return False
    takes_out = call.form in ("function", "method") and call.name in TAKE_OUT
    return ufunc_of(call) is not None or call.form == "draw" or takes_out


# --- what need not be done at every step -----------------------------------------------------


def constants_once(calls, contents):
    """Compute what depends on no array; the other calls remain."""
    written = {call.result.root for call in calls if call.writes}
    constant: set[Value] = set()
    rest = []
    for call in calls:
        differs = call.writes or call.form == "draw" or call.name == "empty"
        if differs or call.result.root in written or not constant.issuperset(call.reads):
            rest.append(call)
        else:
            contents[call.result] = carry_out(call, contents)
            constant.add(call.result)
    return rest


ARITHMETIC = {"add", "subtract", "multiply", "divide"}


def cast_apart(calls):
    """Truth values that are calculated with become floats first, and comparisons whose result is to
    be floats give truth values first: a function that has to cast on the way works in small pieces.
    ``g * (y > 0)`` of 32 x 64 takes 0.8 us then instead of 1.3.
    """
    written = {call.result.root for call in calls if call.writes}
    floats, new = {}, []
    for call in calls:
        ufunc, result = ufunc_of(call), call.result
        if ufunc in ARITHMETIC and not call.options and not result.is_number:
            args = []
            for a in call.args:
                if type(a) is Value and a.dtype == bool and a.shape and result.dtype.kind == "f":
                    if a not in floats or a.root in written:
                        floats[a] = like(a, result.dtype)
                        new.append(Call("method", "astype", (a, result.dtype), {}, floats[a]))
                    a = floats[a]
                args.append(a)
            if args != list(call.args):
                call = call.of(tuple(args))
        elif ufunc in COMPARISONS and call.writes and result.dtype.kind == "f":
            truth = like(result, numpy.dtype(bool))
            new.append(Call(call.form, call.name, call.args, {}, truth, place=call.place))
            call = Call("setitem", "", (result, ..., truth), {}, result, True, call.place)
        new.append(call)
    return new


def like(value, dtype):
    """A Value that a call is to make, of the shape of another."""
    new = Value(None, "made", f"{value.name}_as_{dtype}")
    new.shape, new.dtype = value.shape, dtype
    order = sorted(range(len(value.shape)), key=lambda i: -value.strides[i])
    strides, step = {}, dtype.itemsize
    for i in reversed(order):
        strides[i], step = step, step * value.shape[i]
    new.strides = tuple(strides[i] for i in range(len(order)))
    return new


def share_buffers(calls, contents, outlive):
    """Give each array that a call makes a place in one stretch of memory, for as long as it is
    needed; return the bytes of that.

    So a replay allocates nothing, and what it reads has just been written, in the cache. A function
    that works element by element may write over an argument that nobody needs afterwards.
    """
    kept, homes = {value.root for value in outlive}, {}
    lent: dict[Value, Loan] = {}
    last_needed: dict[int, list[Value]] = {}  # {index of a call: roots that nobody needs after it}
    for root, indices in touches(calls).items():
        last_needed.setdefault(indices[-1], []).append(root)
    for i, call in enumerate(calls):
        value, done = call.result, last_needed.get(i, ())
        if has_home(call) and value not in kept:
            free = (root for root in done if root in lent and may_write_over(call, root))
            over = next(free, None)
            lent[value] = homes[value] = lent.pop(over) if over else Loan(value, i)
        for root in done:
            if root in lent:
                lent.pop(root).end = i
    size = lay_out(dict.fromkeys(homes.values()))
    whole = xp.empty(size + LINE, "uint8")
    whole = whole[-address(whole) % LINE :]
    contents |= {value: array_in(whole[loan.at :], value) for value, loan in homes.items()}
    return size


LINE = 64  # bytes of the cache: an array that begins with a line takes 10 % less in many calls


class Loan:
    """Memory for one Value, or for several that are written over one another: `size` bytes from
    `at` on, needed by the calls from `begin` to `end`."""

    def __init__(self, value, begin):
        self.size = -(-max(math.prod(value.shape) * value.dtype.itemsize, 1) // LINE) * LINE
        # A line of distance: neighbours that begin at multiples of the same power of two would push
        # each other out of the cache (3 % of Hopfield's step).
        self.size += LINE * (self.size <= 1 << 15)
        self.begin, self.end, self.at = begin, math.inf, 0


def lay_out(loans):
    """Choose where each begins, the largest first, as low as others leave room at that time; return
    the bytes of all."""
    placed: list[Loan] = []  # in the order of their addresses
    for loan in sorted(loans, key=lambda loan: -loan.size):
        for other in placed:
            if other.begin <= loan.end and loan.begin <= other.end:
                if other.at - loan.at >= loan.size:
                    break
                loan.at = max(loan.at, other.at + other.size)
        insort(placed, loan, key=lambda loan: loan.at)
    return max((loan.at + loan.size for loan in placed), default=0)


def has_home(call):
    """Whether the result of a call can be put into a buffer."""
    filled = call.form in ("function", "method") and call.name in ALLOCATIONS | COPIES
    if call.writes or call.is_view or call.result.is_number or 0 in (call.result.strides or ()):
        return False
    return filled or can_write(call)


def may_write_over(call, root):
    """Whether a call may put its result into the memory of an argument."""
    value = call.result
    return (
        ufunc_of(call) not in (None, "matmul")
        and (root.shape, root.dtype, root.strides) == (value.shape, value.dtype, value.strides)
        and all(v is root for v in call.reads if v.root is root)
    )


def array_in(block, value):
    """An array where a block begins, of the shape, the dtype and the order of axes of a Value."""
    size = math.prod(value.shape) * value.dtype.itemsize
    if value.is_in_order:
        return block[:size].view(value.dtype).reshape(value.shape)
    axes = sorted(range(len(value.shape)), key=lambda i: -value.strides[i])
    shape = [value.shape[i] for i in axes]
    whole = block[:size].view(value.dtype).reshape(shape)
    return whole.transpose([axes.index(i) for i in range(len(axes))])


def views_once(calls, contents):
    """Make the views of all memory that stays where it is; the other calls remain."""
    rest = []
    for call in calls:
        if call.is_view and all(value in contents for value in call.reads):
            contents[call.result] = carry_out(call, contents)
        else:
            rest.append(call)
    return rest


# --- the fastest spelling --------------------------------------------------------------------


class Spelling:
    """The calls as lines of Python, each in the form that takes the least time.

    contents: {Value: its array}, of those that have one before the step.
    lines: pairs (line, call).
    bytes: of the arrays that are made here.
    bound: {name: object} of all names in the lines, but those that the lines define.
    """

    def __init__(self, calls, contents):
        self.contents, self.lines, self.constants, self.bytes = contents, [], {}, 0
        self.bound = {value.name: content for value, content in contents.items()}
        self.bound["np"] = xp
        for call in calls:
            self.lines += [(line, call) for line in self.spell(call)]

    def spell(self, call):
        ufunc, home = ufunc_of(call), self.contents.get(call.result) is not None
        if backend.device() != "cpu":
            if call.name in KERNELS:
                return self.kernel(call)
            if (ufunc or call.name) in NOT_CAPTURED:
                return self.outside(call, ufunc or call.name, home)
        if call.result.is_number or (call.writes and not home):
            return [statement(call)]
        if ufunc and not call.options:
            return self.ufunc(call, ufunc, home)
        if home and call.name in REDUCTIONS and xp.ndarray is numpy.ndarray:
            return self.reduction(call)
        if not home or call.writes:
            return [statement(call)]
        if call.form == "draw":
            method = getattr(self.contents[call.args[0]], call.name)
            draw = self.bind(f"{call.args[0]}_{call.name}", method)
            return [
                f"{draw}({text(call.args[1])}, {text(call.options['dtype'])}, out={call.result})"
            ]
        if call.name in ALLOCATIONS:
            fill = {"zeros": "0", "ones": "1", "full": text(call.args[-1])}
            return [] if call.name == "empty" else [f"{call.result}.fill({fill[call.name]})"]
        if call.name in COPIES:
            return [f"{call.result}[...] = {text(call.args[0])}"]
        return [expression(call, out=call.result.name)]

    def bind(self, name, thing):
        self.bound[f"_{name}"] = thing
        return f"_{name}"

    def array(self, shape, dtype):
        array = xp.empty(shape, dtype)
        self.bytes += array.nbytes
        return array

    def kernel(self, call):
        """In a graph numbers that change lie in arrays."""
        before: list[str] = []
        dtype = next(v.dtype for v in call.reads if not v.is_number)
        args = [
            self.changing(a, dtype, before) if type(a) is Value and a.is_number else text(a)
            for a in call.args
        ]
        names = {a: name for a, name in zip(call.args, args) if type(a) is Value}
        return [*before, statement(call, names)]

    def outside(self, call, name, home):
        """What no graph captures, see there."""
        args = [repr(name), *map(text, call.args)]
        args += [f"{key}={text(a)}" for key, a in call.options.items()]
        if home:
            return [f"_outside({', '.join(args)}, out={call.result})"]
        return [f"{call.result} = _outside({', '.join(args)})"]

    def changing(self, value, dtype, before):
        """The array in which a number that changes is handed over: it is computed once in a step,
        and filled in once."""
        name = f"_{value}_{dtype}"
        if name not in self.bound:
            self.bind(name[1:], xp.empty((), dtype))
            before.append(f"{name}[()] = {value}")
        return name

    def ufunc(self, call, ufunc, home):
        """By position, the place for the result too: 0.05 us less than by name."""
        before: list[str] = []
        args = []
        for i, a in enumerate(call.args):
            if type(a) in (int, float) or (type(a) is Value and a.is_number):
                args.append(self.number(call, ufunc, i, before))
            else:
                args.append(self.single(a, call) if type(a) is Value else text(a))
        if ufunc == "matmul" and is_plain_product(call):
            ufunc = "dot"
        function = self.bind(ufunc, getattr(xp, ufunc))
        if home:
            # NumPy deprecates the third place of these two: it warns, which takes its time.
            out = "out=" if ufunc in ("maximum", "minimum") else ""
            return [*before, f"{function}({', '.join(args)}, {out}{call.result})"]
        return [*before, f"{call.result} = {function}({', '.join(args)})"]

    def single(self, a, call):
        """An array with one element counts as a number, where that leaves the result's shape: it
        is given by another argument, of more elements, or by the place where the result goes."""
        array: Any = self.contents.get(a)
        if array is None or not a.shape or math.prod(a.shape) != 1 or a is call.result:
            return text(a)
        shape = call.result.shape
        others = [b.shape for b in call.args if type(b) is Value and b is not a]
        given = math.prod(shape) > 1 or self.contents.get(call.result) is not None
        return self.bind(f"{a}_single", array.reshape(())) if shape in others and given else text(a)

    def number(self, call, ufunc, i, before):
        """A number becomes an array without axes, of the dtype that the function would give it:
        2,437 float32 times such an array take 0.4 us, times a Python float 0.8."""
        a = call.args[i]
        kinds = [v.dtype if type(v) is Value else type(v) for v in call.args]
        if not any(isinstance(kind, numpy.dtype) for kind in kinds):
            return text(a)
        dtype = dtypes(ufunc, tuple(kinds))[i]
        if type(a) is Value:
            return self.changing(a, dtype, before)
        # Maximum and minimum are faster with two arrays: 0.5 us, not 1.1.
        shape = call.result.shape if ufunc in ("maximum", "minimum") else ()
        size, key = math.prod(shape), (repr(a), dtype)
        if key not in self.constants or self.constants[key].size < size:
            self.constants[key] = self.array(size, dtype)
            self.constants[key][...] = a
        array = self.constants[key][:size].reshape(shape)
        return self.bind(f"number_{len(self.bound)}", array)

    def reduction(self, call):
        """x.sum() finds its way to add.reduce through two Python functions: 0.3 us."""
        given = dict(zip(("axis", "dtype", "keepdims"), call.args[1:])) | call.options
        x, axis, kept = text(call.args[0]), given.get("axis"), given.get("keepdims", False)
        function = self.bind(f"{call.name}_of", getattr(numpy, REDUCTIONS[call.name]).reduce)
        array, result = self.contents.get(call.args[0]), self.contents[call.result]
        if is_over_rows(array, result, axis) and not given.keys() - {"axis", "keepdims"}:
            if call.name == "sum":
                if product := self.sum_by_product(call, array, result, axis):
                    return [product]
            elif axis == -1 and array.shape[-1] <= 16:
                # NumPy takes short rows one by one: the largest of each of 32 x 5 in 2.1 us, of
                # 8,192 x 5 in 300. With that axis first it takes 1.2 and 16.
                columns = numpy.moveaxis(array, -1, 0)
                work = self.bind(f"{call.result}_columns", self.array(columns.shape, array.dtype))
                columns = self.bind(f"{x}_columns", columns)
                result = self.bind(f"{call.result}_flat", result.reshape(array.shape[:-1]))
                return [f"{work}[...] = {columns}", f"{function}({work}, 0, None, {result})"]
        dtype = text(given.get("dtype"))
        return [f"{function}({x}, {text(axis)}, {dtype}, {call.result}, {text(kept)})"]

    def sum_by_product(self, call, x, y, axis):
        """The rows of a matrix added up are a row of ones times the matrix: 0.4 us instead of 1.4
        for 32 x 64. But does BLAS add them in the same order? That depends on shapes and addresses
        and not on the numbers, so it is tried out. Where all are -0.0 the product gives 0.0."""
        if axis == -1:  # what leads is just more rows
            x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, 1)
        if x.ndim != 2 or 1 in x.shape or x.dtype not in ("float32", "float64"):
            return None
        ones = numpy.ones((1, x.shape[0]) if axis == -2 else (x.shape[1], 1), x.dtype)
        if not _same_sum(x, y, axis, ones):
            return None
        ones = self.bind(f"ones_{'x'.join(map(str, ones.shape))}_{x.dtype}", ones)
        x, y = self.bind(f"{call.args[0]}_rows", x), self.bind(f"{call.result}_sums", y)
        args = [x, ones][:: 1 if axis == -1 else -1]
        return f"{self.bind('dot', numpy.dot)}({', '.join(args)}, {y})"


def is_over_rows(x, y, axis):
    """Whether the array x is reduced to y along one of its last two axes, both without gaps."""
    if x is None or x.ndim < 2 or axis not in (-1, -2) or x.dtype != y.dtype:
        return False
    return x.size > 0 and x.flags.c_contiguous and y.flags.c_contiguous


_sums_tried: dict[tuple, bool] = {}


def _same_sum(x, y, axis, ones):
    """Whether a product with ones gives the bits of the sum, with x and y where they are."""
    key = x.shape, x.dtype, axis, address(x) % LINE, address(y) % LINE
    if key not in _sums_tried:
        rng, before = numpy.random.default_rng(0), (x.copy(), y.copy())
        same, sums = True, 0
        while same and sums < 500:  # another order shows in every third sum or so
            x[...] = rng.standard_normal(x.shape)
            numpy.dot(*((x, ones) if axis == -1 else (ones, x)), y)
            same, sums = numpy.array_equal(y, x.sum(axis=axis, keepdims=True)), sums + y.size
        _sums_tried[key] = same
        x[...], y[...] = before
    return _sums_tried[key]


@cache
def dtypes(ufunc, kinds):
    """What a function turns arguments of these dtypes, and Python numbers, into."""
    return getattr(numpy, ufunc).resolve_dtypes((*kinds, None))


def is_plain_product(call):
    """Whether numpy.dot, which takes 0.5 us less, passes the same to BLAS as matmul does: if all
    three are matrices without gaps. (Single rows and columns go other ways.)"""
    return (
        xp.ndarray is numpy.ndarray
        and all(
            type(v) is Value
            and v.dtype in ("float32", "float64")
            and len(v.shape) == 2
            and 1 not in v.shape
            and sorted(v.strides) in ([v.dtype.itemsize, v.dtype.itemsize * n] for n in v.shape)
            for v in (*call.args, call.result)
        )
        and call.result.strides[1] == call.result.dtype.itemsize
    )
