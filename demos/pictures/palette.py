"""One colour for each class and for each family, the same in every picture.

Classes have Okabe & Ito's colours, families Tol's "muted" ones: no colour is in both, and within
each set people with any of the common colour deficiencies can tell them apart. Classes also differ
by marker.
"""

from itertools import cycle, product

from matplotlib import colormaps
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from architectures import ARCHITECTURES
from demos.pictures.layout import shorten

CLASSES = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
FAMILIES = {
    "feedforward": "#332288",
    "probabilistic": "#882255",
    "energy": "#999933",
    "neuromorphic": "#44AA99",
    "sequence": "#CC6677",
    "vision": "#117733",
}
# For families that guests of the registry bring along: the rest of Tol's "muted" colours.
GUESTS = ("#DDCC77", "#AA4499", "#88CCEE")
MARKERS = "osD^vPX"
HATCHES = ("", "//", r"\\", "||", "--", "++", "xx")  # of a class's region in the plane
HATCHING = (0.13, 0.13, 0.13, 0.2)  # their colour: faint
MOST_NAMES = 20  # with more classes, pictures leave out their names
INK = "#222222"
CEILING = "#666666"

STYLE = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "hatch.linewidth": 0.7,
    "image.cmap": "cividis",
    "figure.dpi": 120,
    "savefig.dpi": 120,
    "svg.hashsalt": "minigrad",  # the same picture is the same file
}


def class_colours(n):
    """n colours as (red, green, blue): beyond the palette's length, steps along viridis."""
    if n <= len(CLASSES):
        return [to_rgb(colour) for colour in CLASSES[:n]]
    return [colormaps["viridis"](k / (n - 1))[:3] for k in range(n)]


def marker(c):
    return MARKERS[c % len(MARKERS)]


def hatch(c):
    return HATCHES[c % len(HATCHES)]


def class_legend(figure, task, *, hatched=False):
    """The classes and their markers, below the panels; `hatched`: and the hatching of regions."""
    n = len(task.class_names)
    if n > MOST_NAMES:
        return
    handles = []
    for c, colour in enumerate(class_colours(n)):
        point = Line2D([], [], color=colour, marker=marker(c), ls="")
        ground = Patch(facecolor=(*colour, 0.45), hatch=hatch(c), edgecolor=HATCHING, lw=0)
        handles.append((ground, point) if hatched else point)
    fewest = -(-n // (2 if n <= 14 else 3))  # columns, since there is room for so many rows
    for length, columns in product((20, 15, 11, 8, 5), range(7, fewest - 1, -1)):
        legend = figure.legend(
            handles,
            [shorten(name, length) for name in task.class_names],
            handletextpad=0.5 if hatched else 0.2,
            columnspacing=1.2,
            fontsize=12 if n <= 10 else 9,
            loc="lower center",
            ncols=columns,
        )
        if legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def family_colour(family):
    """The colour of a family of the registry, or of one that guests have brought along."""
    guests = (name for name in families() if name not in FAMILIES)
    return (FAMILIES | dict(zip(guests, cycle(GUESTS))))[family]


def families():
    """All that the registry has, in its order."""
    return list(dict.fromkeys(entry.family for entry in ARCHITECTURES.values()))


def family_handles(ranked):
    """What a legend says of the families that compete."""
    present = {one.outcome.family for one in ranked}
    return [Patch(color=family_colour(name), label=name) for name in families() if name in present]


def colour(outcome):
    """That of the architecture, if it has registered one; otherwise that of its family."""
    return outcome.colour or family_colour(outcome.family)


def member(outcome):
    """Its place among the architectures of its family, which share a colour: 0, 1 ..."""
    return [name for name, entry in ARCHITECTURES.items() if entry.family == outcome.family].index(
        outcome.name
    )
