"""See a graph: what was computed from what, and what backward sends where.

    picture = minigrad.draw(loss, a=a, b=b)   # with names for leaves; a notebook shows it
    picture.backward()                        # loss.backward(), watched: gradients are filled in
    print(picture)                            # each step of it in words
    picture.save("graph.svg")                 # or .png, or .pdf
    print(picture.dot())                      # the same for Graphviz

Numbers that were constants are in no graph, and so in no picture. Matplotlib is imported only when
something is drawn.
"""

import linecache
from collections import defaultdict
from dataclasses import dataclass, field
from io import StringIO
from itertools import accumulate, pairwise
from statistics import mean
from typing import Any

import numpy

from . import backend
from .engine import FREED, Tensor
from .modes import watched, who_watches

MOST = 60  # boxes in a picture; text has no limit
FEW = 6  # numbers of an array that are shown one by one
LONG = 24  # letters of what a vjp computes

INK, GREY = "#222222", "#666666"
COLOURS = {"op": "#dbe9f6", "vjp": "#fbe3d6", "leaf": "#e2f0d9"}
GRADIENT = "#b04a12"


def draw(tensor, **names):
    """The `Graph` behind a Tensor; `names` says what leaves and results are called, ``a=a``.

    For a network: ``draw(loss, **dict(model.named_parameters()))``.

    Raises:
        TypeError: anything but Tensors.
        RuntimeError: a graph that backward has freed.
    """
    for name, value in {"the first argument": tensor, **names}.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"draw() takes Tensors, but {name} is a {type(value).__name__}")
    return Graph(tensor, {id(named): name for name, named in names.items()})


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


class Graph:
    """What is behind a Tensor: `nodes`, the oldest first, each with the `edges` to its inputs."""

    def __init__(self, root, names):
        self.root = root
        found = {}
        waiting = [root]
        while waiting:
            tensor = waiting.pop()
            if id(tensor) in found:
                continue
            if tensor.edges is FREED:
                raise RuntimeError(
                    f"the graph behind op {tensor.op} was freed by backward(): draw it before, or "
                    "compute the loss again"
                )
            name = " = ".join(filter(None, (names.get(id(tensor)), tensor.op))) or "leaf"
            found[id(tensor)] = Node(tensor, name, tensor.shape, in_words(tensor.data))
            waiting += [parent for parent, _ in tensor.edges]
        self.top = found[id(root)]
        self.nodes = sorted(found.values(), key=lambda node: node.tensor.order)
        for number, node in enumerate(self.nodes, 1):
            node.number = number
            for parent, vjp in node.tensor.edges:
                node.edges.append(Edge(found[id(parent)], node, vjp_name(vjp)))
        self.steps: list[Edge] = []  # what backward has done so far

    def backward(self, grad=None):
        """Call `backward` of the Tensor, see there, and note what is sent; returns this Graph."""
        # Backward takes results newest first, and of each the edges in their order.
        expected = iter([edge for node in reversed(self.nodes) for edge in node.edges])
        outer = who_watches()

        def note(value, kind, name, about):
            if kind == "vjp":
                edge = next(expected)
                node, edge.sent = edge.parent, value.copy()
                if about.op is None:  # it may have had a gradient before
                    node.arrived = about.grad.copy()
                else:
                    node.arrived = value if node.arrived is None else node.arrived + value
                self.steps.append(edge)
            if outer:
                outer(value, kind, name, about)

        if self.root.op:
            one = numpy.ones(self.root.shape, "float32")
            self.top.arrived = one if grad is None else backend.asarray(getattr(grad, "data", grad))
        with watched(note):
            self.root.backward(grad)
        return self

    def __str__(self):
        """What backward did, step by step; before it, what it will have to do."""
        lines = []
        for node in reversed(self.nodes):
            if not node.edges:
                continue
            g = f"  g = {in_words(node.arrived)}" if node.arrived is not None else ""
            lines.append(f"{node.label} {list(node.shape)}{g}")
            for edge in node.edges:
                line = f"    to {edge.parent.label} by {edge.vjp}"
                lines.append(line if edge.sent is None else f"{line}: {in_words(edge.sent)}")
        leaves = [node for node in self.nodes if node.gradient and not node.edges]
        return "\n".join([*lines, *(f"{leaf.label}.grad = {leaf.gradient}" for leaf in leaves)])

    def dot(self):
        """The graph in the language of Graphviz."""
        lines = ["digraph {", "  rankdir=LR; node [shape=box, style=filled];"]
        for node in self.nodes:
            colour = COLOURS["op" if node.edges else "leaf"]
            text = quoted("\n".join(text for text, _ in box_lines(node)))
            lines.append(f'  n{node.number} [label={text}, fillcolor="{colour}"];')
        for node in self.nodes:
            for edge in node.edges:
                text = quoted("\n".join(edge_lines(edge)))
                lines.append(f"  n{edge.parent.number} -> n{node.number} [label={text}];")
        return "\n".join([*lines, "}"])

    def figure(self):
        """A Matplotlib Figure.

        Raises:
            ValueError: more nodes than a picture can hold.
        """
        if len(self.nodes) > MOST:
            raise ValueError(
                f"{len(self.nodes)} nodes are too many for a picture, which holds {MOST}: print() "
                "the graph, or give dot() to Graphviz"
            )
        return paint(self.nodes)

    def save(self, path):
        """Draw into a file, whose name says how: .svg, .png or .pdf."""
        self.figure().savefig(path)

    def _repr_svg_(self):  # what a notebook shows: the same text for the same graph
        from matplotlib import rc_context

        text = StringIO()
        with rc_context({"svg.hashsalt": "minigrad"}):
            self.figure().savefig(text, format="svg", metadata={"Date": None})
        return text.getvalue()


# --- words -----------------------------------------------------------------------------------


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


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


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


# --- the picture: from left to right, what was made first --------------------------------------

LINE, LETTER = 0.17, 0.078  # inches: a line's height, a letter's width
GAP, PITCH, MARGIN = 0.5, 0.3, 0.15  # between columns and the words there, within one, around all


def arrange(nodes):
    """(columns, paths): what stands in each column, from the top, and where each edge goes.

    A column holds Nodes, and Edges that pass by. A path is a list of (column, what it meets there).
    """
    edges = [edge for node in nodes for edge in node.edges]
    column = {id(node): 0 for node in nodes}
    for node in nodes:  # a result is right of all its inputs
        if node.edges:
            column[id(node)] = 1 + max(column[id(edge.parent)] for edge in node.edges)
    for edge in reversed(edges):  # a leaf is next to the first that uses it
        if not edge.parent.edges:
            column[id(edge.parent)] = column[id(edge.child)] - 1
    columns: list[list] = [[] for _ in range(1 + max(column.values()))]
    for node in nodes:
        columns[column[id(node)]].append(node)
    paths = []
    for edge in edges:
        first, last = column[id(edge.parent)], column[id(edge.child)]
        for k in range(first + 1, last):
            columns[k].append(edge)
        paths.append([(k, edge) for k in range(first, last + 1)])
        paths[-1][0], paths[-1][-1] = (first, edge.parent), (last, edge.child)
    for step in (1, -1, 1, -1):  # sort by the mean height of what is beside: fewer edges cross
        for k in list(range(len(columns))[::step])[1:]:
            here, there = (
                {id(thing): y for thing, y in zip(columns[i], heights(columns[i]))}
                for i in (k, k - step)
            )
            beside = defaultdict(list)
            for path in paths:
                for (_, a), (i, b) in pairwise(path[::step]):
                    if i == k:
                        beside[id(b)].append(there[id(a)])
            columns[k].sort(key=lambda x: -mean(beside[id(x)] or [here[id(x)]]))
    return columns, paths


def heights(column):
    """The y of the middle of each thing in a column, whose own middle is at 0."""
    tall = [height(thing) for thing in column]
    bottoms = accumulate(tall, lambda total, h: total + PITCH + h)
    top = (sum(tall) + PITCH * (len(tall) - 1)) / 2
    return [top - bottom + h / 2 for bottom, h in zip(bottoms, tall)]


def height(thing):
    """Of a box, or of an edge that passes by."""
    return LINE * len(box_lines(thing)) + 0.16 if isinstance(thing, Node) else LINE


def width(thing):
    texts = [text for text, _ in box_lines(thing)] if isinstance(thing, Node) else [""]
    return LETTER * max(map(len, texts)) + 0.2


def paint(nodes):
    """The Figure. Its coordinates are inches."""
    from matplotlib.figure import Figure

    columns, paths = arrange(nodes)
    edges = [edge for node in nodes for edge in node.edges]
    wide = [max(map(width, column)) for column in columns]
    words = [0.0] * len(columns)  # the room left of each column that the words there need
    for edge, path in zip(edges, paths):
        k = path[-1][0]
        words[k] = max(words[k], LETTER * max(map(len, edge_lines(edge))))
    right, top, place = 0.0, 0.0, {}
    for k, column in enumerate(columns):
        right += words[k] + GAP * (k > 0) + wide[k]
        for thing, y in zip(column, heights(column)):
            place[k, id(thing)] = right - wide[k] / 2, y
            top = max(top, y + height(thing) / 2)

    figure = Figure(figsize=(right + 2 * MARGIN, 2 * (top + MARGIN)), dpi=120)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-MARGIN, right + MARGIN), ylim=(-top - MARGIN, top + MARGIN))
    axes.axis("off")
    leaves, meets = ports(edges, {thing: y for (_, thing), (_, y) in place.items()})
    for edge, path in zip(edges, paths):
        points = [place[k, id(thing)] for k, thing in path]
        points[0] = points[0][0] + wide[path[0][0]] / 2, leaves[id(edge)]
        points[-1] = points[-1][0] - wide[path[-1][0]] / 2, meets[id(edge)]
        thread(axes, points)
        x, y = ((a + b) / 2 for a, b in zip(*points[-2:]))
        lines = [(text, GRADIENT if i else GREY) for i, text in enumerate(edge_lines(edge))]
        write(axes, x, y, lines, 8, background="white")
    for k, column in enumerate(columns):
        for node in column:
            if isinstance(node, Node):
                x, y = place[k, id(node)]
                box(axes, x, y, wide[k], height(node), COLOURS["op" if node.edges else "leaf"])
                write(axes, x, y, box_lines(node), 9, bold=True)
    return figure


def ports(edges, y):
    """Where edges leave their parents, and where they meet their children: side by side.

    Two dicts {id(edge): height}; `y` is {id: height} of the boxes' middles.
    """

    def side(here, there):
        boxes = defaultdict(list)
        for edge in edges:
            boxes[id(getattr(edge, here))].append(edge)
        found = {}
        for node, group in boxes.items():
            group.sort(key=lambda edge: -y[id(getattr(edge, there))])
            apart = min(2 * LINE, 3 * LINE / len(group))  # a box is at least two lines high
            for k, edge in enumerate(group):
                found[id(edge)] = y[node] + apart * ((len(group) - 1) / 2 - k)
        return found

    return side("parent", "child"), side("child", "parent")


def box(axes, x, y, wide, tall, colour):
    """A box around (x, y)."""
    from matplotlib.patches import FancyBboxPatch

    corner = (x - wide / 2, y - tall / 2)
    style = {"fc": colour, "ec": INK, "lw": 0.8, "zorder": 3}
    axes.add_patch(FancyBboxPatch(corner, wide, tall, "round,pad=0,rounding_size=0.06", **style))


def write(axes, x, y, lines, size, background=None, bold=False):
    """Lines of text, (text, colour) each, around (x, y), the first in `bold` letters."""
    style: dict = {"ha": "center", "va": "center", "zorder": 4, "parse_math": False}
    if background:
        style["bbox"] = {"fc": background, "ec": "none", "pad": 0.6}
    for i, (text, colour) in enumerate(lines):
        above = LINE * ((len(lines) - 1) / 2 - i)
        weight = "bold" if bold and not i else "normal"
        axes.text(x, y + above, text, color=colour, fontsize=size, weight=weight, **style)


def thread(axes, points, level=True):
    """An arrow through points, level where it meets them, or straight."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (x0 + x1) / 2
        vertices += [(half, y0), (half, y1), (x1, y1)] if level else [(x1, y1)]
        codes += [Path.CURVE4] * 3 if level else [Path.LINETO]
    style: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 9, "color": GREY, "lw": 1.0}
    axes.add_patch(FancyArrowPatch(path=Path(vertices, codes), shrinkA=0, shrinkB=0, **style))
