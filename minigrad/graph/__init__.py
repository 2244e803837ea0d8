"""See a graph: what was computed from what, and what backward sends where.

    picture = minigrad.draw(loss, a=a, b=b)   # with names for leaves; a notebook shows it
    picture.backward()                        # loss.backward(), watched: gradients are filled in
    print(picture)                            # each step of it in words
    picture.save("graph.svg")                 # or .png, or .pdf: of up to 60 nodes
    print(picture.dot())                      # the same for Graphviz, of any size

Numbers that were constants are in no graph, and so in no picture. Matplotlib is imported only when
something is drawn.

In this order: nodes.py (the parts, and what is written beside them), this file, picture.py.
"""

from io import StringIO

import numpy

from .. import backend
from ..engine import FREED, Tensor
from ..modes import watched, who_watches
from .nodes import COLOURS, Edge, Node, box_lines, edge_lines, in_words, vjp_name
from .picture import paint

MOST = 60  # boxes in a picture; text has no limit


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


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
