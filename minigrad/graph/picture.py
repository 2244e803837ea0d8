"""A graph as a picture, from left to right: what was made first stands on the left."""

from collections import defaultdict
from itertools import accumulate, pairwise
from statistics import mean
from typing import Any

from .nodes import COLOURS, GRADIENT, GREY, INK, Node, box_lines, edge_lines

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
