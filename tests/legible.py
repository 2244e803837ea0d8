"""What every picture owes its reader, whatever it shows; and reading a picture back."""

import re
from collections import defaultdict
from itertools import combinations, zip_longest
from pathlib import Path

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TABLEAU_COLORS, to_hex, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text


def faults(figure):
    """What is wrong with a Figure, in words: an empty list if nothing is."""
    return [
        *collisions(figure),
        *unnamed(figure),
        *untitled(figure),
        *untold(figure),
        *unchosen(figure),
    ]


def drawn_texts(figure):
    """[(text, its box in pixels)] of all that drawing the figure writes."""
    found, draw = [], Text.draw

    def watched(text, renderer, *args, **options):
        draw(text, renderer, *args, **options)
        if text.get_visible() and text.get_text().strip():
            found.append((text.get_text(), text.get_window_extent(renderer)))

    figure.draw_without_rendering()  # as album.py does
    Text.draw = watched
    try:
        figure.draw_without_rendering()
    finally:
        Text.draw = draw
    return found


def collisions(figure):
    """Texts that reach over the edge of the figure, or into one another."""
    texts = drawn_texts(figure)
    sheet = figure.bbox.padded(1)
    for text, box in texts:
        if not (sheet.contains(*box.min) and sheet.contains(*box.max)):
            yield f"{text!r} reaches over the edge"
    for (a, one), (b, other) in combinations(texts, 2):
        shared = np.minimum(one.max, other.max) - np.maximum(one.min, other.min)
        if shared.min() > 0.2 * min(*one.size, *other.size):
            yield f"{a!r} reaches into {b!r}"


def unnamed(figure):
    """Axes with numbers that nothing says what they are: a label, that of the panel below or to the
    left, or for upright ones a title. Of a plane or an image, whose axes have one scale, the title
    says enough."""
    for part in (figure, *figure.subfigs):
        for axes in part.axes:
            if not axes.axison or axes.get_aspect() != "auto":
                continue
            box = axes.get_position()
            beside = [(other, other.get_position()) for other in part.axes]
            named = {
                "x": part._supxlabel
                or any(other.get_xlabel() for other, place in beside if place.x0 == box.x0),
                "y": axes.get_title()
                or axes.get_title("left")
                or any(other.get_ylabel() for other, place in beside if place.y0 == box.y0),
            }
            for axis in (axes.xaxis, axes.yaxis):
                where = f"{axes.get_title()}: {axis.axis_name}"
                numbers = [text for text in written(axis) if is_number(text)]
                if numbers and not (axis.get_label_text() or named[axis.axis_name]):
                    yield f"{where} has numbers without a name"
                if axis.get_scale() != "linear" and len(numbers) < 2:
                    yield f"{where} has a scale of its own, and no numbers"


def untitled(figure):
    """Panels without a title beside others that have one."""
    rows = defaultdict(list)
    for axes in figure.axes:
        if axes.has_data() and axes.get_label() != "<colorbar>":
            row = round(axes.get_position().y0, 2), axes.figure
            rows[row].append(axes.get_title() or axes.get_title("left"))
    for titles in rows.values():
        if any(titles) and not all(titles):
            yield f"a panel beside {titles} has no title"


def written(axis):
    """What is written beside the part of an axis that is seen."""
    low, high = sorted(axis.get_view_interval())
    ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
    texts = [tick.label1.get_text() for tick in ticks if low <= tick.get_loc() <= high]
    return list(filter(None, texts))


def is_number(text):
    return text.lstrip("−-").replace(".", "").isdecimal() or text.startswith("$\\mathdefault")


def untold(figure):
    """Series that have a name which no legend tells."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    told = {text.get_text() for one in legends if one for text in one.get_texts()}
    for axes in figure.axes:
        for label in axes.get_legend_handles_labels()[1]:
            if label not in told:
                yield f"no legend tells of {label!r}"


def unchosen(figure):
    """Colours that nobody chose, those that Matplotlib takes in turn: ours are in palette.py."""
    for axes in figure.axes:
        for one in (*axes.lines, *axes.patches, *axes.collections):
            if isinstance(one, ScalarMappable) and one.get_array() is not None:
                continue  # shades
            if not isinstance(one, Line2D):
                colours = [one.get_facecolor()]
            else:
                colours = [one.get_color()] * (one.get_linestyle() != "None")
                if one.get_marker() != "None":
                    colours += [one.get_markerfacecolor(), one.get_markeredgecolor()]
            shown = {to_hex(c) for colour in colours for c in to_rgba_array(colour)}
            if shown & {*TABLEAU_COLORS.values()}:
                yield f"{axes.get_title()}: nobody chose the colour of {one.get_label()!r}"


def blank():
    """Axes to draw into."""
    return Figure().subplots()


def lines(axes):
    """{label: (x, y)} of the lines that have one."""
    found = {line.get_label(): np.asarray(line.get_data(), float) for line in axes.get_lines()}
    return {label: xy for label, xy in found.items() if not label.startswith("_")}


def dots(axes):
    """{(x, y)} of all that scatter() has drawn."""
    return {tuple(xy) for some in axes.collections for xy in np.asarray(some.get_offsets(), float)}


def ticks(axis):
    """{what is written: where} beside an axis."""
    return {
        label.get_text(): place
        for label, place in zip(axis.get_majorticklabels(), axis.get_majorticklocs(), strict=True)
    }


SAID = {
    name: lines.splitlines()
    for name, lines in re.findall(
        r"^== (.+) ==\n((?:.+\n)+)",
        Path(__file__).with_name("pictures.txt").read_text(encoding="utf-8"),
        re.M,
    )
}


def assert_says(figure, name):
    """It says what stands in pictures.txt under its name, where a "*" is for what was measured."""
    for found, wanted in zip_longest(described(figure), SAID[name], fillvalue="nothing"):
        pattern = ".*".join(map(re.escape, wanted.split("*")))
        assert re.fullmatch(pattern, found), f"{name} says: {found}\nand not: {wanted}"


def described(figure):
    """What a picture says: its title, and a line for each of its axes, "title | x label, its ends
    where they are set, its scale | y ... | shades, and what the first and the last one mean |
    the legend | what else is written". Empty parts are left out."""
    if figure.get_suptitle():
        yield figure.get_suptitle()
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            yield f"shades: {axes.get_ylabel()}"
            continue
        parts = [axes.get_title() or axes.get_title("left")]
        for axis, fixed in (
            (axes.xaxis, not axes.get_autoscalex_on()),
            (axes.yaxis, not axes.get_autoscaley_on()),
        ):
            says = [axis.get_label_text()] if axis.get_label_text() else []
            says += ["{:.4g} to {:.4g}".format(*axis.get_view_interval())] * fixed
            says += [axis.get_scale()] * (axis.get_scale() != "linear")
            parts.append(", ".join(says) and f"{axis.axis_name} {', '.join(says)}")
        for image in axes.images:
            mapped = np.ndim(image.get_array()) == 2
            ends = "{:.4g} to {:.4g}".format(*image.get_clim())
            parts.append(f"{image.get_cmap().name} {ends}" if mapped else "colours")
            parts.append("rows upwards" * (image.origin == "lower"))
        parts.append("square" * (1 in (axes.get_aspect(), axes.get_box_aspect())))
        for legend in filter(None, [axes.get_legend()]):
            parts.append(", ".join(text.get_text() for text in legend.get_texts()))
        if len(axes.texts) <= 3:
            parts += [text.get_text() for text in axes.texts]
        yield " | ".join(part.replace("\n", " ") for part in parts if part)
    for part in figure.subfigs:
        if part._supxlabel:
            yield f"below: {part.get_supxlabel()}"
    for legend in figure.legends:
        yield f"legend: {', '.join(text.get_text() for text in legend.get_texts())}"
