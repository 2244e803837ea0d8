"""Digits, 8 x 8, drawn by the program: nothing is downloaded, and no image comes twice.

The glyphs are those of the fonts that come with Matplotlib. Each image is one of them, shifted,
turned, made larger or smaller, thicker or thinner, and noisy. With ``permuted`` the pixels of all
images are exchanged, each time alike: what stood side by side does no longer, and whoever builds on
neighbours has nothing left to build on; to a network of points nothing has changed.

How well the digits can be told apart at best is not known: the noise hides some.
"""

from functools import cache, partial

import numpy as np

from demos.comparison.drawn import drawn_task

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono", "STIXGeneral", "cmr10")
SIDE = 8  # pixels of an image
GRID = 32  # points along each side of a glyph
ROOM = 1.6  # the side of the square around a glyph of height 1
SHIFT = 0.14  # up to so far, in heights of a glyph
TURN = 0.35  # radians
SCALE = 0.15
THICKNESS = 0.03  # up to so much thicker or thinner, in heights
EDGE = 0.04  # over so much ink fades into paper: a pixel is not a point
NOISE = 0.1  # standard deviation; ink is 1, paper 0


@cache
def glyphs():
    """How far inside each glyph a point is (negative: outside), in heights of a glyph: an array
    (fonts, 10, GRID, GRID) over a square of side ROOM."""
    import matplotlib  # here, since it takes its time to import
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    folder = f"{matplotlib.get_data_path()}/fonts/ttf"
    line = ROOM * ((np.arange(GRID) + 0.5) / GRID - 0.5)
    points = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)  # from the top
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    found = []
    for font in FONTS:
        properties = FontProperties(fname=f"{folder}/{font}.ttf")
        for digit in "0123456789":
            path = TextPath((0, 0), digit, size=100, prop=properties)
            low, high = path.vertices.min(axis=0), path.vertices.max(axis=0)
            at = points * (high - low)[1] + (low + high) / 2
            # An outline inside of another one bounds a hole.
            outlines = [Path(polygon) for polygon in path.to_polygons()]
            inside = sum(outline.contains_points(at) for outline in outlines) % 2 == 1
            to_other = np.where(inside[:, None] != inside, apart, np.inf).min(axis=1)
            # The edge runs half-way between a point inside and one outside.
            found.append(np.where(inside, 1, -1) * (to_other - ROOM / GRID / 2))
    return np.reshape(found, (len(FONTS), 10, GRID, GRID)).astype(np.float32)


def draw_digits(rng, rows, order=None):
    """Images (rows, 64) and digits (rows,). order: of the pixels, 64 numbers, if not their own."""
    digits, fonts = rng.integers(10, size=rows), rng.integers(len(FONTS), size=rows)
    angle = rng.uniform(-TURN, TURN, (rows, 1))
    zoom = 1 + rng.uniform(-SCALE, SCALE, (rows, 1))
    shift = rng.uniform(-SHIFT, SHIFT, (2, rows, 1))
    thicker = rng.uniform(-THICKNESS, THICKNESS, (rows, 1))
    line = 1.2 * ((np.arange(SIDE) + 0.5) / SIDE - 0.5)  # 1.2 heights across
    x, y = (part.ravel() for part in np.meshgrid(line, line))
    # Where in the glyph a pixel of the image lies: back through shift, turn and zoom.
    x, y = x - shift[0], y - shift[1]
    x, y = (
        (np.cos(angle) * x + np.sin(angle) * y) / zoom,
        (np.cos(angle) * y - np.sin(angle) * x) / zoom,
    )
    depth = between(
        glyphs()[fonts, digits], (y / ROOM + 0.5) * GRID - 0.5, (x / ROOM + 0.5) * GRID - 0.5
    )
    ink = 1 / (1 + np.exp(-(depth + thicker) / EDGE))
    images = ink + NOISE * rng.standard_normal(ink.shape)
    return (images if order is None else images[:, order]), digits


def between(grids, down, across):
    """Bilinear interpolation: (rows, n, n) at places (rows, P), counted in points of the grid."""
    down, across = (np.clip(place, 0, GRID - 1.001) for place in (down, across))
    i, j = down.astype(int), across.astype(int)
    a, b = down - i, across - j
    row = np.arange(len(grids))[:, None]
    above = (1 - b) * grids[row, i, j] + b * grids[row, i, j + 1]
    below = (1 - b) * grids[row, i + 1, j] + b * grids[row, i + 1, j + 1]
    return (1 - a) * above + a * below


def digits(seeds, permuted=False):
    """The Task; `permuted` exchanges the pixels, in all replicas alike."""
    order = np.random.default_rng(0).permutation(SIDE**2) if permuted else None
    return drawn_task(
        "permuted digits" if permuted else "digits",
        partial(draw_digits, order=order),
        seeds,
        steps=2000,
        class_names=tuple("0123456789"),
        feature_names=tuple(f"pixel {k}" for k in range(SIDE**2)),
        chance=0.1,
    )
