"""The parts of a graph, and what is written beside them."""

import linecache
from dataclasses import dataclass, field
from typing import Any

import numpy

from .. import backend

FEW = 6  # numbers of an array that are shown one by one
LONG = 24  # letters of what a vjp computes

INK, GREY = "#222222", "#666666"
COLOURS = {"op": "#dbe9f6", "vjp": "#fbe3d6", "leaf": "#e2f0d9"}
GRADIENT = "#b04a12"


@dataclass(eq=False)
class Node:
    """A Tensor of the graph. `number` counts in the order of creation."""

    tensor: Any
    name: str
    shape: tuple
    value: str
    number: int = 0
    edges: list = field(default_factory=list)
    arrived: Any = None  # the gradient, as far as it has come, or None

    @property
    def label(self):
        return f"#{self.number} {self.name}"

    @property
    def gradient(self):
        """The gradient in words; a leaf has one also if somebody else called backward."""
        array = self.arrived
        if array is None and self.tensor.op is None:
            array = self.tensor.grad
        return None if array is None else in_words(array)


@dataclass(eq=False)
class Edge:
    """From an input to the result, `parent` to `child`; its vjp carries gradients back."""

    parent: Node
    child: Node
    vjp: str
    sent: Any = None


def box_lines(node):
    """(text, colour) of each line in a box."""
    lines = [(node.label, INK), (f"{list(node.shape)}", GREY)]
    if node.tensor.size <= FEW:
        lines.append((node.value, INK))
    if node.gradient:
        lines.append((f"grad {node.gradient}", GRADIENT))
    return lines


def edge_lines(edge):
    return [edge.vjp] if edge.sent is None else [edge.vjp, in_words(edge.sent)]


def in_words(array):
    """The numbers of a small array, the root of the mean square of a large one."""
    array = backend.to_numpy(array)
    if array.size > FEW:
        return f"rms {numpy.sqrt(numpy.square(array, dtype='float64').mean()):.2g}"
    if array.ndim == 0:
        return f"{array.item():.4g}"
    text = numpy.array2string(array, precision=3, suppress_small=True)
    return " ".join(text.split()).replace("[ ", "[")


def vjp_name(vjp):
    """The name of a vjp; of a lambda what it computes: "g * y"."""
    code = getattr(vjp, "__code__", None)
    if code is None or code.co_name != "<lambda>":
        return getattr(vjp, "__name__", "vjp")
    places = [place for place in code.co_positions() if place[-1]]  # (line, its end, from, to)
    if not places or len({line for place in places for line in place[:2]}) > 1:
        return "vjp"  # unknown, or on several lines
    begin, end = min(place[2] for place in places), max(place[3] for place in places)
    line = linecache.getline(code.co_filename, places[0][0]).encode()
    text = line[begin:end].decode().replace("xp.", "") or "vjp"
    return text if len(text) <= LONG else text[: LONG - 3] + "..."
