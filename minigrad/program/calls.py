"""What a program is made of: a list of Calls on Values, and how a call is written in Python."""

import math
import operator
from functools import cache
from typing import Any

import numpy

from ..backend import xp


class Value:
    """An array, number or generator of the program: what a call takes or makes, less its content.

    kind: "input", "state" (it outlives the step: a parameter, say), or "made" by a call.
    root: the Value whose memory this one is a view of; itself, if it is none.
    dtype: of a Python number int or float.
    """

    __slots__ = ("dtype", "kind", "name", "root", "shape", "strides")

    def __init__(self, content, kind, name="", root=None):
        self.kind, self.name, self.root = kind, name, root or self
        self.shape: Any = getattr(content, "shape", None)
        self.strides: Any = getattr(content, "strides", None)
        self.dtype: Any = getattr(content, "dtype", type(content))

    @property
    def is_number(self):
        return self.dtype is int or self.dtype is float

    @property
    def nbytes(self):
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_in_order(self):
        """Whether it lies in memory without gaps, the last axis first."""
        step = self.dtype.itemsize
        for n, stride in zip(self.shape[::-1], self.strides[::-1]):
            if stride != step:
                return False
            step *= n
        return True

    def __repr__(self):
        return self.name


class Call:
    """``result = name(*args, **options)``.

    reads: the Values that it takes.

    form: "function" (of xp), "method", "property", "operator" (of arrays or numbers), "draw" (a
        method of a generator), "getitem" or "setitem".
    writes: whether the result is an array that was there before and is written into.
    place: its index in the recording; None for a call that a pass has added.
    section: the op, vjp or optimizer that made the call, for the reader.
    """

    __slots__ = ("args", "form", "name", "options", "place", "reads", "result", "section", "writes")

    def __init__(self, form, name, args, options, result, writes=False, place=None, section=""):
        self.form, self.name, self.args, self.options = form, name, args, options
        self.result, self.writes, self.place, self.section = result, writes, place, section
        self.reads: list[Value] = []
        _collect(args, self.reads)
        if options:
            _collect(options.values(), self.reads)

    @property
    def written(self):
        """The Values that are written into."""
        return (self.result, *self.options.get("out", ())) if self.writes else ()

    @property
    def is_view(self):
        """Whether the result is a view of an argument, in which case nothing is computed."""
        return self.result.root is not self.result and not self.writes

    def to(self, target):
        """The same call, which writes its result into `target`."""
        same = (self.form, self.name, self.args, self.options)
        return Call(*same, target, True, self.place, self.section)

    def of(self, args):
        """The same call of other arguments."""
        same = (self.options, self.result, self.writes, self.place, self.section)
        return Call(self.form, self.name, args, *same)

    def __repr__(self):
        return statement(self)


def _collect(args, found):
    for a in args:
        if type(a) is Value:
            found.append(a)
        elif type(a) is tuple:
            _collect(a, found)


# Python's operators: how they are written, and the function that NumPy calls for them.
BINARY = {
    "add": ("+", "add"),
    "sub": ("-", "subtract"),
    "mul": ("*", "multiply"),
    "truediv": ("/", "divide"),
    "floordiv": ("//", "floor_divide"),
    "mod": ("%", "remainder"),
    "matmul": ("@", "matmul"),
    "pow": ("**", None),  # x ** 2 calls square: what it calls depends on the exponent
    "and": ("&", "bitwise_and"),
    "or": ("|", "bitwise_or"),
    "lt": ("<", "less"),
    "le": ("<=", "less_equal"),
    "gt": (">", "greater"),
    "ge": (">=", "greater_equal"),
    "eq": ("==", "equal"),
    "ne": ("!=", "not_equal"),
}
UNARY = {"neg": ("-", "negative"), "invert": ("~", "invert"), "abs": ("abs", "absolute")}
SYMBOLS = {ufunc: symbol for symbol, ufunc in BINARY.values() if ufunc}
REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum", "prod": "multiply"}


def ufunc_of(call):
    """The name of NumPy's universal function that a call amounts to, or None."""
    return _ufunc(call.form, call.name)


@cache
def _ufunc(form, name):
    if form == "operator":
        return (BINARY.get(name) or UNARY[name])[1]
    is_ufunc = form == "function" and isinstance(getattr(numpy, name, None), numpy.ufunc)
    return name if is_ufunc else None


ALLOCATIONS = {"empty", "zeros", "ones", "full"}
COPIES = {"copy", "array", "astype", "asarray"}
TAKE_OUT = {*REDUCTIONS, "mean", "cumsum", "clip", "concatenate", "stack"}


def can_write(call):
    """Whether a call that makes an array can be told where to put it."""
    if call.writes or call.is_view or call.result.is_number:
        return False
    takes_out = call.form in ("function", "method") and call.name in TAKE_OUT
    return ufunc_of(call) is not None or call.form == "draw" or takes_out


def carry_out(call, content_of):
    """Do what a call says; ``content_of[value]`` is the content of a Value."""
    function, args, options = looked_up(call, content_of)
    return function(*args, **options)


def looked_up(call, content_of):
    """(function, arguments, options): what a call says, as Python's objects."""

    def content(a):
        if type(a) is Value:
            return content_of[a]
        return tuple([content(b) for b in a]) if type(a) is tuple else a

    args: list[Any] = [content(a) for a in call.args]
    if call.form == "function":
        function: Any = operator.attrgetter(call.name)(xp)
    elif call.form == "property":
        function = operator.attrgetter(call.name)
    elif call.form in ("getitem", "setitem"):
        function = getattr(operator, call.form)
    elif call.form == "operator":
        function = getattr(operator, f"__{call.name}__")
    elif call.form == "draw":
        function = getattr(args.pop(0), call.name)
    else:
        function = getattr(type(args[0]), call.name)
    return function, args, {key: content(a) for key, a in call.options.items()}


# --- as text ---------------------------------------------------------------------------------
# `inside` holds {Value: text} of those that are written out where they are used.


def statement(call, inside=None):
    """A call as a line of Python."""
    result, args = call.result.name, [text(a, inside) for a in call.args]
    if call.form == "setitem":
        return f"{args[0]}[{index_text(call.args[1], inside)}] = {args[2]}"
    if not call.writes:
        return f"{result} = {expression(call, inside)}"
    if call.name in ("fill", "add.at"):
        return expression(call, inside)
    symbol = SYMBOLS.get(ufunc_of(call))
    if symbol and args[0] == result and not call.options:
        return f"{result} {symbol}= {args[1]}"
    return expression(call, inside, out=None if "out" in call.options else result)


def expression(call, inside=None, out=None):
    """What stands to the right of the equals sign; with `out` a call that writes there."""
    args, ufunc = [text(a, inside) for a in call.args], ufunc_of(call)
    options = [f"{key}={text(a, inside)}" for key, a in call.options.items()]
    options += [f"out={out}"] * bool(out)
    if call.form == "operator" and not out:
        args = [a if _is_atom(a) else f"({a})" for a in args]
        if call.name in BINARY:
            return f" {BINARY[call.name][0]} ".join(args)
        return f"abs({args[0]})" if call.name == "abs" else UNARY[call.name][0] + args[0]
    if call.form not in ("operator", "function"):
        args[0] = args[0] if _is_atom(args[0]) else f"({args[0]})"
    if call.form in ("operator", "function"):
        return f"np.{ufunc or call.name}({', '.join(args + options)})"
    if call.form == "getitem":
        return f"{args[0]}[{index_text(call.args[1], inside)}]"
    if call.form == "property":
        return f"{args[0]}.{call.name}"
    return f"{args[0]}.{call.name}({', '.join(args[1:] + options)})"


def text(a, inside=None):
    """An argument, as Python."""
    if type(a) is Value:
        return (inside or {}).get(a, a.name)
    if type(a) is tuple:
        return f"({', '.join(text(b, inside) for b in a)}{',' * (len(a) == 1)})"
    if isinstance(a, (numpy.dtype, type)):
        return f'"{numpy.dtype(a)}"'
    if isinstance(a, float) and not math.isfinite(a):
        return f'float("{a}")'
    return "..." if a is ... else repr(a)


def _is_atom(expression):
    """Whether it needs no parentheses as an operand: no operator outside of its own brackets."""
    depth = 0
    for character in expression:
        depth += (character in "([") - (character in ")]")
        if depth == 0 and character == " ":
            return False
    return expression[0] not in "-~"


def index_text(index, inside=None):
    parts = index if type(index) is tuple else (index,)
    return ", ".join(_slice_text(p) if type(p) is slice else text(p, inside) for p in parts) or "()"


def _slice_text(part):
    ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
    return ":".join(ends if part.step is None else [*ends, str(part.step)])
