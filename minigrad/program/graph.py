"""On a GPU: what a replay computes as CUDA graphs, each one launch instead of one for every call.

A graph is captured: the calls are made once, on a stream that runs none of them and writes the
kernels down, with the addresses of their arrays. So the inputs are copied into arrays that stay
where they are; numbers that change, computed by Python before, lie in arrays on the device; and
whatever the calls allocate comes from a memory pool that nobody else draws from.

Not every call can be captured: CuPy refuses those of cuBLAS, joins arrays by a list of addresses
that it copies from the host, and sorts by a library that may wait. These are made as they are, on
arrays that stay where they are too, between one graph and the next.

Not one line of this has met a GPU yet: it has been run on the stand-in (minigrad.strict) only.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from ..backend import xp

WRITE = {"matmul", "concatenate", "stack"}  # those that can write into an array
NOT_CAPTURED = WRITE | {"argsort", "dot", "einsum", "sort", "tensordot"}


class Graphs:
    """A function of arrays on the device, captured at its second call.

    The first call runs it as it is, on the stream that will capture: kernels are compiled then, and
    libraries fetch what memory they want. The function says where a graph begins and ends, and
    makes the calls of NOT_CAPTURED by `outside`.

    parts: what a replay calls, graphs' launches and what lies between them.
    """

    def __init__(self, function, inputs):
        self.function = function
        self.inputs = [xp.empty(value.shape, value.dtype) for value in inputs]
        self.stream, self.pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        self.outputs: list = []
        self.parts: list[Any] = []
        self.is_warm = self.is_capturing = False

    def __call__(self, *inputs):
        for home, given in zip(self.inputs, inputs):
            home[...] = given
        if not self.is_warm:
            self.run()
        else:
            if not self.parts:
                self.capture()
            for part in self.parts:
                part()
        return [output.copy() for output in self.outputs]

    def run(self):
        xp.cuda.get_current_stream().synchronize()
        with self.stream:
            self.outputs = self.function(*self.inputs)
            self.stream.synchronize()
        self.is_warm = True

    def capture(self):
        xp.cuda.get_current_stream().synchronize()
        with xp.cuda.using_allocator(self.pool.malloc), self.stream:
            self.is_capturing = True
            try:
                self.outputs = self.function(*self.inputs)
            except Exception as error:
                self.parts.clear()
                with suppress(Exception):  # a capture that is open; it may be broken, or none
                    self.stream.end_capture()
                error.add_note("while a compiled step was captured as a CUDA graph")
                raise
            finally:
                self.is_capturing = False
            self.stream.synchronize()

    # --- called by the function ---

    def begin(self):
        if self.is_capturing:
            self.stream.begin_capture()

    def end(self):
        if self.is_capturing:
            self.parts.append(self.stream.end_capture().launch)

    def outside(self, name, *args, out=None, **options):
        """Call ``xp.name``; every replay does so again, and finds the result in the same array."""
        function = getattr(xp, name)
        if name in WRITE:
            out = function(*args, out=out, **options)
            again = partial(function, *args, out=out, **options)
        else:
            result = function(*args, **options)
            if out is None:
                out = result
            else:
                out[...] = result
            again = partial(fill, out, function, *args, **options)

        if self.is_capturing:
            self.parts.append(again)
        return out


def fill(out, function, *args, **options):
    out[...] = function(*args, **options)
