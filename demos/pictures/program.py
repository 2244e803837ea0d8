"""A training step as a picture: its ops from left to right, its vjps back, and the text beside."""

from itertools import groupby

from matplotlib import rc_context
from matplotlib.figure import Figure

from demos.pictures.palette import INK, STYLE
from minigrad.graph.nodes import COLOURS
from minigrad.graph.picture import box, thread, write

MOST = 14  # boxes side by side
STRIDE, BOX, TEXT = 1.56, 1.26, 6.9  # inches: from box to box, its width, that of the listing
POINTS = 7.5  # of the listing's letters
LEVELS = {"op": 1.0, "vjp": -0.9, "last": -2.6}  # inches above the middle


class Crowded(ValueError):
    """More ops than a picture can hold."""


def draw(program, label):
    """The Figure of a `minigrad.program.Program`: what it does, and the listing that says how."""
    rows = {"op": [], "vjp": [], "last": []}
    for name, calls in groupby(program.calls, key=lambda call: call.section):
        if name:
            kind = "vjp" if name.startswith("vjp of ") else "op" if name.islower() else "last"
            computed = [not (call.is_view or call.result.is_number) for call in calls]
            rows[kind].append((name, sum(computed)))
    ops, vjps = len(rows["op"]), len(rows["vjp"])
    if max(ops, vjps) > MOST:
        raise Crowded(f"{ops} ops and {vjps} vjps are too many for a picture, which holds {MOST}")
    lines = program.source.splitlines()[3:]
    height = max(6.5, len(lines) * POINTS * 1.2 / 72 + 0.8)
    left = STRIDE * max(ops, vjps) + 0.6
    with rc_context(STYLE):
        figure = Figure(figsize=(left + TEXT, height), dpi=100)
        axes = figure.add_axes((0, 0, left / (left + TEXT), 1))
        axes.set(xlim=(0, left), ylim=(-height / 2, height / 2))
        axes.axis("off")
        axes.text(0.3, 2.4, f"A training step of {label}", fontsize=15, weight="bold")
        right = max(ops, vjps) - 1
        places = {
            "op": range(ops),
            "vjp": range(right, right - vjps, -1),
            "last": range(right - vjps + 1, right + 1),
        }
        for kind, sections in rows.items():
            for (name, calls), column in zip(sections, places[kind]):
                section(axes, name, calls, column, kind)
        for column in range(1, ops):
            arrow(axes, (column - 1, "op"), (column, "op"))
        for column in places["vjp"][1:]:
            arrow(axes, (column + 1, "vjp"), (column, "vjp"))
        arrow(axes, (ops - 1, "op"), (right, "vjp"))
        if rows["last"]:
            arrow(axes, (places["vjp"][-1], "vjp"), (places["last"][0], "last"))
        axes = figure.add_axes((left / (left + TEXT), 0, TEXT / (left + TEXT), 1))
        axes.axis("off")
        axes.text(0, 0.5, "\n".join(lines), family="monospace", fontsize=POINTS, va="center")
    return figure


def section(axes, name, calls, column, kind):
    """One op, vjp or the optimizer, and of how many array calls it is made."""
    x, y = 0.3 + STRIDE * column + BOX / 2, LEVELS[kind]
    box(axes, x, y, BOX, 0.66, COLOURS["leaf" if kind == "last" else kind])
    lines = name.replace("vjp of ", "vjp of\n").splitlines()
    write(axes, x, y, [(line, INK) for line in lines], 8)
    write(axes, x, y - 0.48, [(f"{calls} array call{'s' * (calls != 1)}", INK)], 7)


def arrow(axes, start, end):
    """From one box, (column, kind), to the next: along the row, or down to another."""
    (a, above), (b, below) = start, end
    x, y = 0.3 + STRIDE * a, 0.3 + STRIDE * b
    if above == below:
        ends = (x + BOX, y) if a < b else (x, y + BOX)
        thread(axes, [(end, LEVELS[above]) for end in ends])
    else:
        ends = (x + BOX / 2, LEVELS[above] - 0.6), (y + BOX / 2, LEVELS[below] + 0.34)
        thread(axes, ends, level=False)
