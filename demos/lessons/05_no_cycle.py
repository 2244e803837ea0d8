"""Lesson 5. The circle that must not close: when does a graph's memory come back?"""

import gc
import sys
import weakref
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, from any folder

from minigrad import Tensor

# Python frees an object at once when nothing refers to it any more: it counts references. Objects
# that refer to each other in a circle never reach 0. Those wait for the garbage collector, which
# comes by now and then. We switch it off, to see who needs it.

gc.collect()
gc.disable()

# A natural way to write an engine: the result gets a function that sends its gradient back.


class Node:
    def __init__(self, data):
        self.data, self.grad = data, 0.0


def double(x):
    out = Node(x.data * 2)

    def send_back():
        x.grad += out.grad * 2  # out is in here ...

    out.send_back = send_back  # ... and this is in out: a circle
    return out


def alive_after_use(make):
    """How many of 50 results of 80 kB each are still in memory when nobody wants them any more.

    A weakref looks at an object and does not count as one that refers to it.
    """
    watched = []
    for _ in range(50):
        result = make()
        watched.append(weakref.ref(result))
    del result
    return sum(ref() is not None for ref in watched)


print("circle:", alive_after_use(lambda: double(Node(np.ones(10_000)))))
# > circle: 50

# All fifty: 4 MB, and their inputs with them, that no count will ever free. So memory runs out,
# although every step is small. What closed the circle is `out` inside the function. But it is not
# needed there: all that it was asked for is its gradient. So let the walk bring that along, as g.


def double_by_edges(x):
    out = Node(x.data * 2)
    out.edges = [(x, lambda g: g * 2)]  # refers to the input only: arrows go one way, back in time
    return out


print("edges:", alive_after_use(lambda: double_by_edges(Node(np.ones(10_000)))))
# > edges: 0

# minigrad makes it impossible to get wrong. Behind each op is a rule, a function that is given
# plain arrays and never sees a Tensor; so what it returns to send gradients back (its vjps, lesson
# 6) cannot hold one. A long graph is gone as soon as its last result is. (A Tensor is an array with
# edges; requires_grad=True says that its gradient is wanted.)

w = Tensor(np.ones(10_000), requires_grad=True)
print("minigrad:", alive_after_use(lambda: ((w * 2).tanh() + w).sum()))
# > minigrad: 0

# And backward gives the arrays back on its way, before the loss itself is gone. (So a second
# backward through the same graph is an error: compute the loss again.)

middle = (w * 2).tanh()
loss = middle.sum()
watch = weakref.ref(middle)
del middle
print("before backward:", watch() is not None)
# > before backward: True
loss.backward()
print("after backward:", watch() is not None)
# > after backward: False

gc.enable()

# Now you can read the opening of minigrad/engine.py: its first decision is this lesson.
