"""Tasks that tell sequence models apart, drawn fresh. All can be done without a mistake.

copy     which of the symbols that stand between noise were there? Said in order, at the end: a
         small selective copying (Gu & Dao 2023, Section 4.1.1). Who treats every input alike cannot
         pass over the noise.
recall   which value stood behind this key? (Associative recall.) What is asked is not known before:
         a state of fixed size has to hold all pairs.
adding   the sum of the two marked numbers among many, to a tenth (Hochreiter & Schmidhuber 1997,
         who ask for the number itself). What counts stands far apart.
"""

import numpy as np

from demos.comparison.drawn import drawn_task

SYMBOLS, COPIED, LENGTH = 8, 4, 24
KEYS, VALUES, PAIRS = 16, 8, 8
NUMBERS, BINS = 32, 20


def draw_copy(rng, rows, length=LENGTH):
    """Tokens (rows, length + 4): 0 is noise, 1 asks for the next symbol, 2 ... 9 are symbols; and
    answers (rows, 4)."""
    places = np.sort(rng.random((rows, length)).argsort(axis=1)[:, :COPIED], axis=1)
    symbols = rng.integers(SYMBOLS, size=(rows, COPIED))
    x = np.zeros((rows, length + COPIED), int)
    np.put_along_axis(x, places, symbols + 2, axis=1)
    x[:, length:] = 1
    return x, symbols


def draw_recall(rng, rows, pairs=PAIRS):
    """Tokens (rows, 3 pairs): keys 0 ... 15 and values 16 ... 23 in turns, then the keys in another
    order; answers (rows, pairs), the value of each."""
    keys = rng.random((rows, KEYS)).argsort(axis=1)[:, :pairs]
    values = rng.integers(VALUES, size=(rows, pairs))
    order = rng.random((rows, pairs)).argsort(axis=1)
    x = np.empty((rows, 3 * pairs), int)
    x[:, 0 : 2 * pairs : 2], x[:, 1 : 2 * pairs : 2] = keys, KEYS + values
    x[:, 2 * pairs :] = np.take_along_axis(keys, order, axis=1)
    return x, np.take_along_axis(values, order, axis=1)


def draw_adding(rng, rows, length=NUMBERS):
    """Numbers in [0, 1) and marks 0 or 1, (rows, length, 2): one mark in each half; answers
    (rows, 1), the tenths of the sum of both marked numbers."""
    x = np.zeros((rows, length, 2), np.float32)
    x[..., 0] = rng.random((rows, length), np.float32)
    half = length // 2
    places = np.stack([rng.integers(half, size=rows), rng.integers(half, length, size=rows)])
    x[np.arange(rows), places, 1] = 1
    total = (x[..., 0].astype(np.float64) * x[..., 1]).sum(axis=1)
    return x, np.minimum((total * BINS / 2).astype(int), BINS - 1)[:, None]


def copy(seeds):
    """Four of eight symbols at random places among 24."""
    return drawn_task(
        "selective copying",
        draw_copy,
        seeds,
        steps=1000,
        symbols=SYMBOLS + 2,
        class_names=tuple("ABCDEFGH"),
        feature_names=tuple(f"t{t}" for t in range(LENGTH + COPIED)),
        bayes_accuracy=1.0,
        chance=1 / SYMBOLS,
    )


def recall(seeds):
    """Eight pairs of 16 keys and 8 values."""
    return drawn_task(
        "associative recall",
        draw_recall,
        seeds,
        steps=1500,
        symbols=KEYS + VALUES,
        class_names=tuple("ABCDEFGH"),
        feature_names=tuple(f"t{t}" for t in range(3 * PAIRS)),
        bayes_accuracy=1.0,
        chance=1 / VALUES,
    )


def adding(seeds):
    """Two of 32 numbers."""
    lows = np.arange(BINS) * 2 / BINS
    return drawn_task(
        "adding",
        draw_adding,
        seeds,
        steps=1000,
        class_names=tuple(f"{low:.1f}" for low in lows),
        feature_names=tuple(f"t{t}" for t in range(NUMBERS)),
        bayes_accuracy=1.0,
        # The density of the sum of two is a triangle with its tip at 1: the best tenth is one
        # beside it, of which the sum is in 0.95 / 10 of all cases.
        chance=0.095,
    )
