"""A training step as a picture: its ops from left to right, its vjps back, and the text beside."""

from itertools import groupby

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from demos.pictures.palette import CEILING, INK, STYLE

MOST = 14  # boxes side by side
STRIDE, BOX, TEXT = 1.4, 1.08, 7.4  # inches: from box to box, its width, that of the listing
POINTS = 7.5  # of the listing's letters
LEVELS = {"op": 1.0, "vjp": -0.9, "last": -2.6}  # inches above the middle
COLOURS = {"op": "#dbe9f6", "vjp": "#fbe3d6", "last": "#e2f0d9"}


class Crowded(ValueError):
    """More ops than a picture can hold."""


def draw(program, label):
    """The Figure of a `minigrad.program.Program`: what it does, and the listing that says how."""
    rows = {"op": [], "vjp": [], "last": []}
    for section, calls in groupby(program.calls, key=lambda call: call.section):
        if section:
            kind = "vjp" if section.startswith("vjp of ") else "op" if section.islower() else "last"
            computed = [not (call.is_view or call.result.is_number) for call in calls]
            rows[kind].append((section, sum(computed)))
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
                box(axes, name, calls, column, kind)
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


def box(axes, name, calls, column, kind):
    x, y = 0.3 + STRIDE * column, LEVELS[kind]
    axes.add_patch(
        FancyBboxPatch((x, y - 0.3), BOX, 0.6, "round,pad=0.03", fc=COLOURS[kind], ec=INK, lw=0.8)
    )
    middle = {"ha": "center", "va": "center"}
    axes.text(x + BOX / 2, y, name.replace("vjp of ", "vjp of\n"), fontsize=9, **middle)
    counted = f"{calls} array call{'s' * (calls != 1)}"
    axes.text(x + BOX / 2, y - 0.48, counted, fontsize=7, **middle)


def arrow(axes, start, end):
    """From one box, (column, kind), to the next: along the row, or down to another."""
    (a, above), (b, below) = start, end
    x, y = 0.3 + STRIDE * a, 0.3 + STRIDE * b
    if above == below:
        ends = (x + BOX + 0.04, y - 0.04) if a < b else (x - 0.04, y + BOX + 0.04)
        points = [(end, LEVELS[above]) for end in ends]
    else:
        points = [(x + BOX / 2, LEVELS[above] - 0.62), (y + BOX / 2, LEVELS[below] + 0.36)]
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "color": CEILING, "lw": 1.2}
    axes.add_patch(FancyArrowPatch(*points, shrinkA=0, shrinkB=0, **style))
