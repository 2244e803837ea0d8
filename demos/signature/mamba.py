"""Mamba selects what it keeps: when it is asked, more is left of the symbols than of the noise."""

import numpy as np

from demos.comparison.sequences import COPIED, LENGTH

from .common import INK, entitled
from .drawn import LENGTHS, copied_at, in_letters, trained_on

COLOURS = {"mamba": "#332288", "mamba_lti": "#CC6677"}
LABELS = {"mamba": "Mamba", "mamba_lti": "without selection"}
SEQUENCES = 40
KINDS = ("at a symbol", "up to three later", "other noise")


def picture(epochs=10):
    """Selective copying: what is left of each timestep at later ones, with the selection and
    without; the step sizes; accuracy against length."""
    figure = entitled("Mamba selects: of noise little is left when it is asked", (14, 9))
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    left, middle, right = below.subplots(1, 3)
    kept, ratio, shares = {}, {}, {}
    for k, (name, axes) in enumerate(zip(LABELS, above.subplots(1, 2))):
        look = {"color": COLOURS[name], "label": LABELS[name]}
        model, task = trained_on(name, "copy", epochs=epochs)
        x = task.x_test[0, :SEQUENCES].astype(int)
        # In the last block: (from, at, B), the length of the vector of all channels.
        parts = np.linalg.norm(model.backbone.contributions(x)[-1], axis=-1)
        kept[name] = what_is_left(parts, x)
        left.bar(np.arange(3) + 0.4 * k, kept[name], width=0.38, **look)
        axes.imshow(parts[..., 0].T / parts[..., 0].max(), cmap="viridis")
        in_letters(axes, x[0], task.class_names, 2)
        axes.set(title=LABELS[name], yticks=[], ylabel="is asked", xlabel="what is left of")
        sizes = model.backbone.step_sizes(x)[-1][:LENGTH]  # (T, B, E)
        told = x.T[:LENGTH] >= 2
        ratios = sizes[told].mean(axis=0) / sizes[~told].mean(axis=0)  # of each channel
        ratio[name] = ratios.min(), ratios.max()
        middle.plot(np.sort(ratios), **look)
        shares[name] = [100 * share for share in copied_at(model, task, LENGTHS)]
        right.plot(LENGTHS, shares[name], "o-", **look)
    left.set_xticks(np.arange(3) + 0.2, KINDS)
    left.set(title="Left at the questions, relative to the mean")
    left.legend()
    middle.set(title="Step at symbols / at noise", xlabel="channels, in order", ylim=(0, None))
    right.axvline(LENGTH, color=INK, ls=":", lw=1)
    right.set(title="Beyond the trained length (dotted)", ylabel="symbols right (%)")
    right.set(xlabel="timesteps between which 4 symbols stand", ylim=(0, 103))
    here, far = LENGTHS[1], LENGTHS[-1]
    with_it, without = (shares[name] for name in LABELS)
    low, high = ratio["mamba"]
    return figure, (
        f"left of symbols / of noise {kept['mamba'][0] / kept['mamba'][2]:.1f} (without selection "
        f"{kept['mamba_lti'][0] / kept['mamba_lti'][2]:.1f}); step at symbols / at noise {low:.1f} "
        f"to {high:.1f}; right at length {here}: {with_it[1]:.1f} % ({without[1]:.1f} %), at "
        f"{far}: {with_it[-1]:.1f} % ({without[-1]:.1f} %)"
    )


def what_is_left(parts, x):
    """At the questions, of what came in at a symbol, up to three timesteps after one (where the
    convolution still sees it), and elsewhere; relative to the mean of all."""
    asked = parts[:LENGTH, LENGTH : LENGTH + COPIED].mean(axis=1)  # (from, B)
    told = x.T[:LENGTH] >= 2
    near = told.copy()
    for late in (1, 2, 3):
        near[late:] |= told[:-late]
    return [float(asked[kind].mean() / asked.mean()) for kind in (told, near & ~told, ~near)]
