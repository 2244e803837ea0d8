"""Each call of a program, bound to its arrays: functions and arguments, ready to be called.

A call has several forms, and gets the one that takes the least time. The times are those of NumPy
2.4 on one core, for the arrays of a small network: there what happens around a call, before the
numbers are touched, is half of its time.
"""

import math
import operator
from functools import cache, partial
from typing import Any

import numpy

from ..backend import KERNELS, address, xp
from .calls import ALLOCATIONS, COPIES, REDUCTIONS, Call, Value, can_write, looked_up, ufunc_of
from .memory import LINE, array_in


class Binding:
    """Makes rows of calls: tuples (function, *arguments).

    contents: {Value: array}, of those that have a place before the step.
    numbers: {(number that changes, dtype): the array in which it is handed over}.
    bytes: of the arrays that are made here.
    """

    def __init__(self, calls, contents, outputs):
        self.contents, self.bytes = contents, 0
        self.numbers: dict[tuple, Any] = {}
        self.constants: dict[tuple, Any] = {}
        for call in calls:
            self.numbers |= {key: self.array((), key[1]) for key in numbers_of(call)}
        for value in outputs:
            if value.is_number:
                contents[value] = self.numbers[value, "given"] = xp.empty((), value.dtype)

    def array(self, shape, dtype):
        array = xp.empty(shape, dtype)
        self.bytes += array.nbytes
        return array

    def rows(self, call) -> list[tuple]:
        """What is to be called for a call, in order."""
        self.contents |= {value: self.numbers[value, dtype] for value, dtype in numbers_of(call)}
        function, args, options = looked_up(call, self.contents)
        out, ufunc = self.contents.get(call.result), ufunc_of(call)
        if out is None or call.form == "setitem" or call.name in ("fill", "add.at"):
            return [row(function, args, options)]
        if ufunc and not options:
            return [self.ufunc(call, ufunc, args, out)]
        if call.name in REDUCTIONS and xp.ndarray is numpy.ndarray:
            return self.reduction(call, args[0], out)
        if call.name == "empty":
            return []
        if call.name in ALLOCATIONS:
            return [(out.fill, args[1] if call.name == "full" else int(call.name == "ones"))]
        if call.name in COPIES:
            return [(operator.setitem, out, ..., args[0])]
        if call.writes or can_write(call):
            if call.form == "operator":
                function = getattr(xp, ufunc or call.name)
            return [row(function, args, {"out": out} | options)]
        return [row(fill, [out, function, *args], options)]

    def make(self, call):
        """Make a call now; what has no place is kept where it is."""
        result = None
        for row in self.rows(call):
            result = row[0](*row[1:])
        self.contents.setdefault(call.result, result)

    def ufunc(self, call, name, args, out):
        """By position, the place for the result too: 0.05 us less than by name."""
        args = [
            self.constant(call, name, i) if type(a) in (int, float) else a
            for i, a in enumerate(args)
        ]
        if name == "matmul" and is_plain_product(call):
            name = "dot"
        # NumPy deprecates the third place of these two: it warns, which takes its time.
        by_name = {"out": out} if name in ("maximum", "minimum") else {}
        return row(getattr(xp, name), args if by_name else [*args, out], by_name)

    def constant(self, call, ufunc, i):
        """A number becomes an array without axes, of the dtype that the function would give it:
        2,437 float32 times such an array take 0.4 us, times a Python float 0.8."""
        a, kinds = call.args[i], kinds_of(call)
        if not any(isinstance(kind, numpy.dtype) for kind in kinds):
            return a
        dtype = dtypes(ufunc, kinds)[i]
        # Maximum and minimum of many numbers are faster with a row than with a number: of 25 x 32 x
        # 64 in 13 us, not 20. (3 % of a step of 16 replicas of the MLP.)
        many = ufunc in ("maximum", "minimum") and math.prod(call.result.shape) > 1 << 12
        key = repr(a), dtype, call.result.shape[-1:] if many else ()
        if key not in self.constants:
            self.constants[key] = self.array(key[2], dtype)
            self.constants[key][...] = a
        return self.constants[key]

    def reduction(self, call, x, out):
        """x.sum() finds its way to add.reduce through two Python functions: 0.3 us."""
        given = dict(zip(("axis", "dtype", "keepdims"), call.args[1:])) | call.options
        axis, kept = given.get("axis"), given.get("keepdims", False)
        reduce = getattr(numpy, REDUCTIONS[call.name]).reduce
        if is_over_rows(x, out, axis) and not given.keys() - {"axis", "keepdims"}:
            if call.name == "sum":
                if product := self.sum_by_product(x, out, axis):
                    return [product]
            elif axis == -1 and x.shape[-1] <= 16:
                # NumPy takes short rows one by one: the largest of each of 32 x 5 in 2.1 us, of
                # 8,192 x 5 in 300. With that axis first it takes 1.2 and 16.
                columns = numpy.moveaxis(x, -1, 0)
                work = self.array(columns.shape, x.dtype)
                flat = out.reshape(x.shape[:-1])
                return [(operator.setitem, work, ..., columns), (reduce, work, 0, None, flat)]
        return [(reduce, x, axis, given.get("dtype"), out, kept)]

    def sum_by_product(self, x: Any, y: Any, axis):
        """The rows of a matrix added up are a row of ones times the matrix: 0.4 us instead of 1.4
        for 32 x 64. But does BLAS add them in the same order? That depends on shapes and addresses
        and not on the numbers, so it is tried out. Where all are -0.0 the product gives 0.0."""
        if axis == -1:  # what leads is just more rows
            x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, 1)
        if x.ndim != 2 or 1 in x.shape or x.dtype not in ("float32", "float64"):
            return None
        ones = self.ones((1, x.shape[0]) if axis == -2 else (x.shape[1], 1), x.dtype)
        a, b = (x, ones) if axis == -1 else (ones, x)
        one, other = lambda: x.sum(axis, None, y, True), lambda: numpy.dot(a, b, y)
        return (numpy.dot, a, b, y) if same_bits(one, other, [x], y) else None

    def ones(self, shape, dtype):
        if (shape, dtype) not in self.constants:
            self.constants[shape, dtype] = self.array(shape, dtype)
            self.constants[shape, dtype].fill(1)
        return self.constants[shape, dtype]


def row(function, args, options):
    return (partial(function, **options) if options else function, *args)


def fill(out, function, *args, **options):
    """For a function that cannot be told where to put its result."""
    out[...] = function(*args, **options)


def numbers_of(call):
    """(number that changes, dtype that it is to have) of those that a call on arrays takes."""
    if not call.result.is_number:
        for value in call.reads:
            if value.is_number:
                yield value, numpy.dtype(number_dtype(call, value))


def number_dtype(call, value):
    kinds = kinds_of(call)
    arrays = [kind for kind in kinds if isinstance(kind, numpy.dtype)]
    if call.name in KERNELS:  # in a graph, then
        return arrays[0]
    if ufunc_of(call) and not call.options and arrays:
        return dtypes(ufunc_of(call), kinds)[call.args.index(value)]
    return call.result.dtype if arrays else value.dtype


def kinds_of(call):
    return tuple([v.dtype if type(v) is Value else type(v) for v in call.args])


def upright_factors(calls):
    """A small transposed matrix is copied before it is a factor: for 32 x 64 times 64 x 64 in all
    4.3 us instead of 5.3. Whether BLAS adds up in the same order then is tried out."""
    new: list[Call] = []
    for call in calls:
        if xp.ndarray is numpy.ndarray and ufunc_of(call) == "matmul" and is_plain_product(call):
            x, y = call.args
            if y.strides[0] == y.dtype.itemsize and y.nbytes <= 1 << 16:
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
    return array_in(numpy.empty(value.nbytes, "uint8"), value)


def ways(x, y, copy, out):
    """Two of them to compute x @ y."""

    def by_copy():
        copy[...] = y
        numpy.dot(x, copy, out)

    return lambda: numpy.dot(x, y, out), by_copy


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
