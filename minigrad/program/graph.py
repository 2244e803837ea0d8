"""On a GPU: what a replay computes as a CUDA graph, one launch instead of one for each call.

A graph is captured: the calls are made once, on a stream that runs none of them and writes the
kernels down, with the addresses of their arrays. So the inputs are copied into arrays that stay
where they are; numbers that change, computed by Python before, lie in arrays on the device; and
whatever the calls allocate comes from a memory pool that nobody else draws from.

Not one line of this has met a GPU yet: it has been run on the stand-in (minigrad.strict) only.
"""

from typing import Any

from ..backend import xp


class Graph:
    """A function of arrays on the device, captured at its second call.

    The first call runs it as it is, on the stream that will capture: kernels are compiled then, and
    libraries fetch what memory they want.
    """

    def __init__(self, function, inputs):
        self.function = function
        self.inputs = [xp.empty(value.shape, value.dtype) for value in inputs]
        self.stream, self.pool = xp.cuda.Stream(non_blocking=True), xp.cuda.MemoryPool()
        self.outputs: list = []
        self.graph: Any = None
        self.is_warm = False

    def __call__(self, *inputs):
        for home, given in zip(self.inputs, inputs):
            home[...] = given
        if not self.is_warm:
            self.run()
        else:
            (self.graph or self.capture()).launch()
        return [output.copy() for output in self.outputs]

    def run(self):
        xp.cuda.get_current_stream().synchronize()
        with self.stream:
            self.outputs = self.function(*self.inputs)
            self.stream.synchronize()
        self.is_warm = True

    def capture(self):
        with xp.cuda.using_allocator(self.pool.malloc), self.stream:
            self.stream.begin_capture()
            try:
                self.outputs = self.function(*self.inputs)
            finally:
                self.graph = self.stream.end_capture()
        return self.graph
