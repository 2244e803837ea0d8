"""On a GPU: what a replay computes as CUDA graphs, each one launch instead of one for every call.

A graph is captured: the calls are made once, on a stream that runs none of them and writes the
kernels down, with the addresses of their arrays. All of these stay where they are; what has no
place of its own is made in a memory pool that nobody else draws from.

Not every call can be captured: CuPy refuses those of cuBLAS, joins arrays by a list of addresses
that it copies from the host, and sorts by a library that may wait. These are made as they are,
between one graph and the next.

Not one line of this has met a GPU yet: it has been run on the stand-in (minigrad.strict) only.
"""

from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Any

from ..backend import xp
from .calls import ufunc_of

NOT_CAPTURED = {"argsort", "concatenate", "dot", "einsum", "matmul", "sort", "stack", "tensordot"}


class Graphs:
    """Calls on the device, captured when they are made for the second time.

    The first time they are made as they are, on the stream that will capture: kernels are compiled
    then, and libraries fetch what memory they want.

    binding: makes them functions of arrays; its contents get those that have no place there yet.
    parts: what a replay calls, graphs' launches and what lies between them.
    """

    def __init__(self, calls, binding):
        self.calls, self.binding, self.placed = calls, binding, set(binding.contents)
        self.stream, self.pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        self.parts: list[Any] = []
        self.is_warm = False

    def __call__(self):
        if not self.is_warm:
            with self.stream_of_graphs():
                for call in self.calls:
                    self.binding.make(call)
                self.stream.synchronize()
            self.is_warm = True
            return
        if not self.parts:
            with self.stream_of_graphs(), xp.cuda.using_allocator(self.pool.malloc):
                self.capture()
                self.stream.synchronize()
        for part in self.parts:
            part()

    def stream_of_graphs(self):
        xp.cuda.get_current_stream().synchronize()
        return self.stream

    def capture(self):
        contents = self.binding.contents
        for value in contents.keys() - self.placed:
            del contents[value]
        try:
            for is_outside, calls in groupby(self.calls, key=outside):
                if is_outside:
                    rows = [row for call in calls for row in self.binding.rows(call)]
                    self.parts += [partial(*row) for row in rows]
                else:
                    self.stream.begin_capture()
                    for call in calls:
                        self.binding.make(call)
                    self.parts.append(self.stream.end_capture().launch)
        except Exception as error:
            self.parts.clear()
            with suppress(Exception):  # a capture that is open; it may be broken, or none
                self.stream.end_capture()
            error.add_note("while a compiled step was captured as a CUDA graph")
            raise


def outside(call):
    return (ufunc_of(call) or call.name) in NOT_CAPTURED
