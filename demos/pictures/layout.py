"""How figures are laid out, and names cut so that they fit."""

from matplotlib.figure import Figure


def square():
    """A Figure with square axes, and room for a legend below."""
    figure = Figure(figsize=(6.6, 7.2))
    return figure, figure.add_axes((0.13, 0.17, 5.6 / 6.6, 5.6 / 7.2))


def panels(n, *, side, columns=4, left=0.0, bottom=0.0):
    """A Figure with n square axes, `side` inches wide (more if there are only few), and the axes.

    `left` and `bottom` inches beyond the usual stay free beside and below them.
    """
    columns = min(n, columns)
    rows = -(-n // columns)
    side = max(side, 6.5 / columns)  # so that the title has room
    width, height = columns * side + 0.5 + left, rows * (side + 0.15) + 0.8 + bottom
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(
        left=(0.75 + left) / width,
        right=1 - 0.15 / width,
        top=1 - 0.75 / height,
        bottom=(0.65 + bottom) / height,
        wspace=0.28,
        hspace=0.32,
    )
    for axes in grid[n:]:
        axes.remove()
    return figure, grid[:n]


def shorten(name, length):
    return name if len(name) <= length else name[: length - 1] + "…"
