"""Mamba: the time step opens at what matters, and stays shut on noise."""

import numpy as np

from demos.comparison.sequences import LENGTH

from .common import INK, entitled
from .drawn import LENGTHS, copied_at, in_letters, trained_on

COLOURS = {"mamba": "#332288", "mamba_lti": "#CC6677"}
LABELS = {"mamba": "Mamba", "mamba_lti": "without selection"}


def picture(epochs=10):
    """Selective copying: step sizes at symbols and at noise, with the selection and without."""
    figure = entitled("Mamba: the step is long at symbols and short on noise: it selects", (14, 8))
    above, below = figure.subfigures(2, 1)
    left, right = below.subplots(1, 2)
    ratios, shares = {}, {}
    for name, axes in zip(LABELS, above.subplots(1, 2)):
        model, task = trained_on(name, "copy", epochs=epochs)
        x = task.x_test[0]
        sizes = model.backbone.step_sizes(x)[-1]  # the last block's, (T, B, E)
        told = x.astype(int).T[:LENGTH] >= 2
        at_symbols, at_noise = sizes[:LENGTH][told], sizes[:LENGTH][~told]
        ratios[name] = float(at_symbols.mean() / at_noise.mean())
        order = np.argsort(sizes[:LENGTH, 0].max(axis=0))
        axes.imshow(np.log10(sizes[:, 0].T[order]), cmap="viridis", aspect="auto", vmin=-3, vmax=1)
        in_letters(axes, x[0].astype(int), task.class_names, 2)
        axes.set(title=f"{LABELS[name]}: log10 of the step", ylabel="channel", yticks=[])
        mean = sizes.mean(axis=-1)[:, 0]
        left.plot(mean, "o-", color=COLOURS[name], label=LABELS[name])
        shares[name] = copied_at(model, task, LENGTHS)
        right.plot(LENGTHS, [100 * share for share in shares[name]], "o-", color=COLOURS[name])
    in_letters(left, x[0].astype(int), task.class_names, 2)
    left.set(title="Mean step of all channels", ylim=(0, None))
    left.legend()
    right.axvline(LENGTH, color=INK, ls=":", lw=1)
    right.set(title="Beyond the trained length (dotted)", ylabel="symbols right (%)")
    right.set(xlabel="timesteps between which 4 symbols stand", ylim=(0, 103))
    here, far = LENGTHS[1], LENGTHS[-1]
    with_it, without = ([100 * share for share in shares[name]] for name in LABELS)
    return figure, (
        f"step at symbols / at noise {ratios['mamba']:.1f} (without selection "
        f"{ratios['mamba_lti']:.1f}); right at length {here}: {with_it[1]:.1f} % ({without[1]:.1f} "
        f"%), at {far}: {with_it[-1]:.1f} % ({without[-1]:.1f} %)"
    )
