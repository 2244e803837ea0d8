"""Hopfield: an associative memory that needs no training, if its patterns lie far apart."""

import math

import numpy as np
from matplotlib import colormaps

from architectures.energy.hopfield import energy, update
from minigrad import Tensor, no_grad

from .common import INK, SEED, entitled

BETA = 1.0
WIDTH = 64
NORMS = dict(zip((8, 4, 2, 1), colormaps["viridis"]((0.0, 0.3, 0.6, 0.88))))  # and colours
PRECISION = 1e-16  # of float64, relative: smaller errors are drawn as this one
NOISE = 0.5  # per coordinate, for patterns of norm 8; in proportion for others
LETTERS = """
#....#.. .####... #####... ######.. #####... ######.. #....... ####....
#....#.. #....#.. #....#.. #....... ..#..... #....... #....... #...#...
#....#.. #....#.. #....#.. #....... ..#..... #....... #....... #....#..
######.. #....#.. #####... ####.... ..#..... ####.... #....... #....#..
#....#.. #....#.. #....... #....... ..#..... #....... #....... #....#..
#....#.. #....#.. #....... #....... ..#..... #....... #....... #...#...
#....#.. .####... #....... #....... #####... ######.. ######.. ####....
........ ........ ........ ........ ........ ........ ........ ........
"""


def picture():
    """Pictures remembered in one step; energy and error of random patterns. Nothing is trained."""
    rng = np.random.default_rng(SEED)
    figure = entitled(
        "Hopfield network: one update recalls a stored pattern, if patterns are far apart", (14, 9)
    )
    above, below = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    remember(above.subplots(), rng)
    left, middle, right = below.subplots(1, 3)
    steps = along_the_way(left, rng)
    against_noise(middle, rng)
    against_number(right, rng)
    return figure, "; ".join(
        f"norm {norm}: error {errors[0]:.2g} -> {errors[1]:.2g} in one step"
        for norm, errors in steps.items()
    )


def letters():
    """The eight letters as rows of 64 pixels, -1 or 1: their norm is 8."""
    rows = [line.split() for line in LETTERS.split("\n") if line]
    words = ["".join(column) for column in zip(*rows)]
    return np.array([[1.0 if pixel == "#" else -1.0 for pixel in word] for word in words])


def random_patterns(rng, count, norm):
    """(count, 64), of length `norm`."""
    x = rng.standard_normal((count, WIDTH))
    return norm * x / np.linalg.norm(x, axis=-1, keepdims=True)


def recall(queries, patterns):
    with no_grad():
        return update(Tensor(queries), Tensor(patterns), BETA).numpy()


def distance(found, patterns):
    """Relative to the norm of the patterns: 1 is as far away as the origin."""
    return np.linalg.norm(found - patterns, axis=-1) / np.linalg.norm(patterns, axis=-1)


def remember(axes, rng):
    """Stored, disturbed and recalled letters."""
    stored = letters()
    noisy = stored + 1.0 * rng.standard_normal(stored.shape)
    small, small_noisy = stored / 8, noisy / 8
    rows = {
        "stored (norm 8)": stored,
        "query: stored + noise": noisy,
        "after one update": recall(noisy, stored),
        "the same with\nnorm 1: a mixture": 8 * recall(small_noisy, small),
    }
    sheet = np.full((len(rows), 9, len(stored), 9), np.nan)  # a margin of one pixel each
    for line, pictures in zip(sheet, rows.values()):
        line[:8, :, :8] = pictures.reshape(-1, 8, 8).swapaxes(0, 1)
    axes.imshow(sheet.reshape(9 * len(rows), -1), vmin=-2, vmax=2)
    axes.set_yticks(3.5 + 9 * np.arange(len(rows)), rows)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def along_the_way(axes, rng, count=50, updates=5):
    """Energy against updates; returns {norm: mean distance after 0, 1, ... updates}."""
    result = {}
    for norm, colour in NORMS.items():
        patterns = random_patterns(rng, count, norm)
        xi = patterns + NOISE * norm / 8 * rng.standard_normal(patterns.shape)
        energies, distances = [], []
        for _ in range(updates + 1):
            e = energy(Tensor(xi), Tensor(patterns), BETA).numpy()
            energies.append(e.mean() / norm**2)
            distances.append(np.linalg.norm(xi - patterns, axis=-1).mean())
            xi = recall(xi, patterns)
        axes.plot(energies, "o-", color=colour, label=f"norm {norm}")
        result[norm] = distances
    axes.set(
        title="The energy never rises", xlabel="updates", ylabel="energy / norm²", ylim=(0, None)
    )
    axes.legend()
    return result


def against_noise(axes, rng, count=50):
    noises = np.linspace(0.1, 2, 20)
    for norm, colour in NORMS.items():
        patterns = random_patterns(rng, count, norm)
        errors = []
        for noise in noises:
            xi = patterns + noise * norm / 8 * rng.standard_normal((20, *patterns.shape))
            errors.append(max(distance(recall(xi, patterns), patterns).mean(), PRECISION))
        axes.plot(noises * math.sqrt(WIDTH) / 8, errors, color=colour)
    axes.plot(noises, noises, ":", color=INK, label="before the update")
    axes.set(title=f"{count} patterns: error against noise", xlabel="|noise| / norm")
    axes.set(yscale="log", ylabel="error after one update / norm")
    axes.legend(loc="lower right")


def against_number(axes, rng, queries=50):
    counts = 10 ** np.arange(1, 5)
    for norm, colour in NORMS.items():
        errors = []
        for count in counts:
            patterns = random_patterns(rng, count, norm)
            aims = patterns[:queries]
            xi = aims + NOISE * norm / 8 * rng.standard_normal(aims.shape)
            errors.append(max(distance(recall(xi, patterns), aims).mean(), PRECISION))
        axes.plot(counts, errors, "o-", color=colour)
    axes.set(title=f"Error against patterns in {WIDTH} dimensions", xlabel="stored patterns")
    axes.set(xscale="log", yscale="log", ylabel="error after one update / norm")
