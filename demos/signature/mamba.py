"""Mamba: the step depends on the token; what it keeps does not depend on how long ago it was."""

import numpy as np

from demos.comparison.sequences import LENGTH

from .common import INK, entitled
from .drawn import LENGTHS, copied_at, in_letters, trained_on

COLOURS = {"mamba": "#332288", "mamba_lti": "#CC6677"}
LABELS = {"mamba": "Mamba", "mamba_lti": "without selection"}
SEQUENCES = 40


def picture(epochs=10):
    """Selective copying: what is left of each timestep at later ones, with the selection and
    without; the step sizes; accuracy against length."""
    figure = entitled("Mamba: the step depends on the token, and so does what is kept", (14, 9))
    above, below = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    left, right = below.subplots(1, 2)
    ratio, shares = {}, {}
    for name, axes in zip(LABELS, above.subplots(1, 2)):
        look = {"color": COLOURS[name], "label": LABELS[name]}
        model, task = trained_on(name, "copy", epochs=epochs)
        x = task.x_test[0, :SEQUENCES].astype(int)
        # In the last block: (from, at, B), the length of the vector of all channels.
        parts = np.linalg.norm(model.backbone.contributions(x)[-1], axis=-1)
        axes.imshow(parts[..., 0].T / parts[..., 0].max())
        in_letters(axes, x[0], task.class_names, 2)
        axes.set(title=LABELS[name], yticks=[], ylabel="is asked", xlabel="what is left of")
        sizes = model.backbone.step_sizes(x)[-1][:LENGTH]  # (T, B, E)
        told = x.T[:LENGTH] >= 2
        ratios = sizes[told].mean(axis=0) / sizes[~told].mean(axis=0)  # of each channel
        ratio[name] = ratios.min(), ratios.max()
        left.plot(np.sort(ratios), **look)
        shares[name] = [100 * share for share in copied_at(model, task, LENGTHS)]
        right.plot(LENGTHS, shares[name], "o-", **look)
    left.set(title="Step at symbols / at noise", xlabel="channels, in order", ylim=(0, None))
    left.legend()
    right.axvline(LENGTH, color=INK, ls=":")
    right.set(title="Beyond the trained length (dotted)", ylabel="symbols right (%)")
    right.set(xlabel="timesteps between which 4 symbols stand", ylim=(0, 103))
    here, far = LENGTHS[1], LENGTHS[-1]
    with_it, without = (shares[name] for name in LABELS)
    low, high = ratio["mamba"]
    return figure, (
        f"step at symbols / at noise {low:.1f} to {high:.1f}, by channel (without selection 1.0); "
        f"right at length {here}: {with_it[1]:.1f} % ({without[1]:.1f} %), at {far}: "
        f"{with_it[-1]:.1f} % ({without[-1]:.1f} %)"
    )
