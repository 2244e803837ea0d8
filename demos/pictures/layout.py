"""How figures are laid out, and names cut so that they fit."""

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

FONT = FontProperties()


def square():
    """A Figure with square axes, and room for a legend below."""
    figure = Figure(figsize=(6.6, 7.2))
    return figure, figure.add_axes((0.13, 0.17, 5.6 / 6.6, 5.6 / 7.2))


def panels(n, *, side, columns=4, left=0.0, bottom=0.0, gap=0.6):
    """A Figure with n square axes, and the axes: all sizes in inches.

    side: of an axes; if there are only few they are larger, so that the title has room.
    left, bottom: stay free beside and below the axes, beyond the usual.
    gap: between two axes.
    """
    columns = min(n, columns)
    rows = -(-n // columns)
    side = max(side, 5.8 / columns)
    left, right, bottom, top = 0.75 + left, 0.15, 0.5 + bottom, 0.85
    width = left + columns * side + (columns - 1) * gap + right
    height = bottom + rows * side + (rows - 1) * gap + top
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=left / width,
        right=1 - right / width,
        top=1 - top / height,
        bottom=bottom / height,
        wspace=gap / side,
        hspace=gap / side,
    )
    for axes in grid[n:]:
        axes.remove()
    return figure, grid[:n]


def shorten(name, length):
    """The name, in the room of so many usual letters; long ones often differ at their end alone."""
    short, left = name, min(len(name), length)
    while len(short) > length or width(short) > 0.65 * length:
        left -= 1
        short = f"{name[: left - left // 3]}…{name[len(name) - left // 3 :]}"
    return short


def width(text):
    """In units of the font's size; a usual letter has 0.65."""
    return text_to_path.get_text_width_height_descent(text, FONT, ismath=False)[0] / FONT.get_size()
