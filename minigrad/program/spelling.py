"""The calls of a program as lines of Python, each in the form that takes the least time.

The times are those of NumPy 2.4 on one core, for the arrays of a small network: there what happens
around a call, before the numbers are touched, is half of its time.
"""

import math
from functools import cache
from typing import Any

import numpy

from .. import backend
from ..backend import KERNELS, address, xp
from .calls import (
    ALLOCATIONS,
    COPIES,
    REDUCTIONS,
    Call,
    Value,
    expression,
    statement,
    text,
    ufunc_of,
)
from .graph import NOT_CAPTURED
from .memory import LINE, array_in


def upright_factors(calls):
    """A small transposed matrix is copied before it is a factor: for 32 x 64 times 64 x 64 in all
    4.3 us instead of 5.3. Whether BLAS adds up in the same order then is tried out."""
    new: list[Call] = []
    for call in calls:
        if xp.ndarray is numpy.ndarray and ufunc_of(call) == "matmul" and is_plain_product(call):
            x, y = call.args
            size = math.prod(y.shape) * y.dtype.itemsize
            if y.strides[0] == y.dtype.itemsize and size <= 1 << 16:
                a, b = (array_of(v) for v in (x, y))
                upright, out = (numpy.empty(v.shape, v.dtype) for v in (y, call.result))
                one, other = ways(a, b, upright, out)
                if same_bits(one, other, [a, b], out):
                    copy = Value(upright, "made", f"{y}_upright_{len(new)}")
                    new.append(Call("method", "copy", (y,), {}, copy))
                    call = call.of((x, copy))
        new.append(call)
    return new


def array_of(value):
    """Any array of the shape, the dtype and the order of axes of a Value."""
    return array_in(numpy.empty(math.prod(value.shape) * value.dtype.itemsize, "uint8"), value)


def ways(x, y, copy, out):
    """Two of them to compute x @ y."""

    def by_copy():
        copy[...] = y
        numpy.dot(x, copy, out)

    return lambda: numpy.dot(x, y, out), by_copy


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
        args = [
            self.number(call, ufunc, i, before)
            if type(a) in (int, float) or (type(a) is Value and a.is_number)
            else text(a)
            for i, a in enumerate(call.args)
        ]
        if ufunc == "matmul" and is_plain_product(call):
            ufunc = "dot"
        function = self.bind(ufunc, getattr(xp, ufunc))
        if home:
            # NumPy deprecates the third place of these two: it warns, which takes its time.
            out = "out=" if ufunc in ("maximum", "minimum") else ""
            return [*before, f"{function}({', '.join(args)}, {out}{call.result})"]
        return [*before, f"{call.result} = {function}({', '.join(args)})"]

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
        # Maximum and minimum of many numbers are faster with a row than with a number: of 25 x 32 x
        # 64 in 13 us, not 20.
        many = ufunc in ("maximum", "minimum") and math.prod(call.result.shape) > 1 << 12
        key = (repr(a), dtype, call.result.shape[-1:] if many else ())
        if key not in self.constants:
            array = self.array(key[2], dtype)
            array[...] = a
            self.constants[key] = self.bind(f"number_{len(self.constants)}", array)
        return self.constants[key]

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

    def sum_by_product(self, call, x: Any, y: Any, axis):
        """The rows of a matrix added up are a row of ones times the matrix: 0.4 us instead of 1.4
        for 32 x 64. But does BLAS add them in the same order? That depends on shapes and addresses
        and not on the numbers, so it is tried out. Where all are -0.0 the product gives 0.0."""
        if axis == -1:  # what leads is just more rows
            x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, 1)
        if x.ndim != 2 or 1 in x.shape or x.dtype not in ("float32", "float64"):
            return None
        ones = numpy.ones((1, x.shape[0]) if axis == -2 else (x.shape[1], 1), x.dtype)
        a, b = (x, ones) if axis == -1 else (ones, x)
        one, other = lambda: x.sum(axis, None, y, True), lambda: numpy.dot(a, b, y)
        if not same_bits(one, other, [x], y):
            return None
        named = self.bind(f"ones_{'x'.join(map(str, ones.shape))}_{x.dtype}", ones)
        rows, sums = self.bind(f"{call.args[0]}_rows", x), self.bind(f"{call.result}_sums", y)
        args = f"{rows}, {named}" if axis == -1 else f"{named}, {rows}"
        return f"{self.bind('dot', numpy.dot)}({args}, {sums})"


def is_over_rows(x, y, axis):
    """Whether the array x is reduced to y along one of its last two axes, both without gaps."""
    if x is None or x.ndim < 2 or axis not in (-1, -2) or x.dtype != y.dtype:
        return False
    return x.size > 0 and x.flags.c_contiguous and y.flags.c_contiguous


_tried: dict[tuple, bool] = {}


def same_bits(one, other, arrays, out):
    """Whether two ways to fill `out` from arrays give the same bits, with all where they are: that
    depends on shapes and addresses, not on the numbers, so it is tried out with random ones."""
    key = tuple((a.shape, a.strides, a.dtype, address(a) % LINE) for a in (*arrays, out))
    if key not in _tried:
        rng, before = numpy.random.default_rng(0), [a.copy() for a in (*arrays, out)]
        _tried[key] = True
        for _ in range(1 + 500 // out.size):  # another order shows in every third sum or so
            for a in arrays:
                a[...] = rng.standard_normal(a.shape)
            one()
            expected = out.copy()
            other()
            _tried[key] &= numpy.array_equal(out, expected)
        for a, numbers in zip((*arrays, out), before):
            a[...] = numbers
    return _tried[key]


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
