"""What the pictures of sequence and image models share: a network, trained on a task."""

import numpy as np

from demos.comparison import drawn
from demos.comparison.drawn import predict
from demos.comparison.options import DRAWN
from demos.comparison.prediction import share_right
from demos.comparison.sequences import COPIED, LENGTH, draw_copy
from demos.comparison.training import Entry, Recipe
from minigrad import nn

from .common import INK, SEED

ROWS = 200  # sequences of each length
LENGTHS = (12, 24, 36, 48, 72, 96)


def trained_on(name, task, *, epochs=10, **options):
    """(a Classifier, the DrawnTask that it is trained on): one replica, as in the comparison."""
    made = DRAWN[task]((SEED,))
    recipe = Recipe(seeds=(SEED,), epochs=epochs, learning_rate=3e-3)
    model = drawn.replicas(Entry(name, made, recipe, options=options))
    drawn.learn(model, made, recipe)
    return nn.unstack(model, 0), made


def copied_at(model, task, lengths):
    """The share of symbols that it copies from among `lengths` timesteps each."""
    found = []
    for length in lengths:
        x, y = draw_copy(np.random.default_rng([SEED, length]), ROWS, length)
        guesses = predict(model, task, x[None].astype(np.float32))
        found.append(float(share_right(guesses, y.reshape(1, -1))[0]))
    return found


def against_length(axes, model, task):
    """Accuracy against the length of a sequence, the trained one among them; returns it."""
    shares = copied_at(model, task, LENGTHS)
    axes.plot(LENGTHS, [100 * share for share in shares], "o-", color=INK)
    axes.axvline(LENGTH, color=INK, ls=":")
    axes.text(LENGTH + 1, 3, "trained at this length", rotation=90, va="bottom", fontsize=10)
    axes.set(xlabel="timesteps between which 4 symbols stand", ylabel="symbols right (%)")
    axes.set(ylim=(0, 103), title="Beyond the trained length")
    return shares


def in_letters(axes, tokens, names, first):
    """Write the tokens of one sequence below the timesteps; those below `first` are left out."""
    axes.set_xticks(
        range(len(tokens)),
        [names[t - first] if t >= first else ("?" if t == 1 else "") for t in tokens],
    )
    axes.tick_params(length=0)


__all__ = ["COPIED", "LENGTH", "against_length", "copied_at", "in_letters", "trained_on"]
