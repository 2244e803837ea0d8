"""Transformer: where it looks when it is asked for what stood behind a key."""

import numpy as np

from demos.comparison.sequences import KEYS, PAIRS

from .common import entitled
from .drawn import trained_on


def picture(epochs=10):
    """Associative recall: the attention of each head, for one sequence."""
    model, task = trained_on("transformer", "recall", epochs=epochs)
    x = task.x_test[0].astype(int)
    maps = model.backbone.attention_maps(task.x_test[0])  # layers of (B, heads, T, T)
    aims = where_the_values_are(x)  # (B, pairs)
    asked = np.arange(2 * PAIRS, 3 * PAIRS)
    rows = np.arange(len(x))[:, None]
    # How much of a question's attention lies on the value that answers it, in each head.
    answers = np.stack([layer[rows, :, asked, aims].mean(axis=(0, 1)) for layer in maps])
    # How much of a value's attention lies on the key before it: so the two become a pair.
    values = np.arange(1, 2 * PAIRS, 2)
    pairs = np.stack([layer[:, :, values, values - 1].mean(axis=(0, 2)) for layer in maps])
    figure = entitled("Transformer: a question looks at its answer, wherever that stands", (15, 8))
    names = [f"{t}" if t < KEYS else task.class_names[t - KEYS] for t in x[0]]
    titles = ("values look at the keys before them", "questions look at their answers")
    for axes, title, share in zip(figure.subplots(1, 2), titles, (pairs, answers)):
        layer, head = np.unravel_index(share.argmax(), share.shape)
        axes.imshow(maps[layer][0, head], cmap="Greys", vmin=0, vmax=1)
        if share is answers:
            axes.plot(aims[0], asked, "s", mfc="none", mec="#D55E00", ms=12)
        axes.set_title(f"layer {layer + 1}, head {head + 1}: {title}")
        axes.set_xticks(range(len(names)), names, fontsize=9)
        axes.set_yticks(range(len(names)), names, fontsize=9)
        axes.tick_params(length=0)
        axes.set(xlabel="looks at (numbers are keys, letters values)")
    return figure, (
        f"attention of questions on their answers {100 * answers.max():.1f} %, of values on the "
        f"keys before them {100 * pairs.max():.1f} %, in the best head"
    )


def where_the_values_are(x):
    """(B, pairs): at which timestep the value of each key that is asked for stands."""
    keys, asked = x[:, 0 : 2 * PAIRS : 2], x[:, 2 * PAIRS :]
    return 2 * (asked[:, :, None] == keys[:, None]).argmax(axis=-1) + 1
