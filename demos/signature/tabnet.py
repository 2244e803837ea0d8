"""TabNet: which features it looks at, row by row."""

import numpy as np

from architectures import classifier
from minigrad import Tensor, fit, no_grad, optim

from .common import INK, SEED, accuracy, entitled

FEATURES = ("switch", "A1", "A2", "B1", "B2", *(f"noise {k}" for k in range(1, 7)))
ROWS, TEST_ROWS, SHOWN = 4000, 1000, 60


def table(rng, rows):
    """Rows whose class is the sign of A1 + A2 where switch < 0, and of B1 + B2 elsewhere."""
    x = rng.standard_normal((rows, len(FEATURES))).astype(np.float32)
    decisive = np.where(x[:, 0] < 0, x[:, 1] + x[:, 2], x[:, 3] + x[:, 4])
    return x, (decisive > 0).astype(int)


def picture(epochs=20):
    """Masks of each step, and the importance of each feature for each row."""
    rng = np.random.default_rng(SEED)
    model = trained(*table(rng, ROWS), epochs)
    x, y = table(rng, TEST_ROWS)
    found = 100 * accuracy(model.predict_proba(x), y)
    masks, importance = (t.numpy() for t in model.backbone.feature_masks(x))
    shares = step_shares(model.backbone, x)

    figure = entitled("TabNet shows what it looked at, row by row", (16, 7))
    *maps, averages = figure.subplots(1, len(masks) + 2)
    rows = np.argsort(x[:, 0])[:: TEST_ROWS // SHOWN]
    turn = (x[rows, 0] < 0).sum()
    for i, (axes, mask, share) in enumerate(zip(maps, masks, shares), start=1):
        heat(axes, mask[rows], turn)
        axes.set_title(f"Mask of step {i}\n({100 * share:.0f} % of the decision)")
    image = heat(maps[-1], importance[rows], turn)
    maps[-1].set_title("Importance:\nmasks weighted by decision")
    maps[0].set(ylabel="test rows, sorted by the switch", yticks=[turn / 2, (turn + len(rows)) / 2])
    maps[0].set_yticklabels(["switch < 0", "switch > 0"], rotation=90, va="center")
    figure.colorbar(image, ax=maps, label="attention: each row adds up to 1", shrink=0.6)

    off = x[:, 0] < 0
    by_switch = importance[off].mean(axis=0), importance[~off].mean(axis=0)
    bars(averages, by_switch)
    averages.set_title(f"Mean importance\n({found:.1f} % of rows right)")
    a, b = ([values[i : i + 2].sum() for i in (1, 3)] for values in by_switch)
    noise = importance[:, 5:].sum(axis=-1).mean()
    return figure, (
        f"accuracy {found:.1f} %; importance of A / B: {a[0]:.2f} / {a[1]:.2f} where switch < 0, "
        f"{b[0]:.2f} / {b[1]:.2f} elsewhere; of all noise {noise:.2f}"
    )


def trained(x, y, epochs):
    """A small TabNet with two steps, by its own objective."""
    options = {"hidden_size": 16, "num_steps": 2, "sparsity": 1e-2}
    model = classifier(
        "tabnet", 2, len(FEATURES), train_rows=ROWS, native=True, rng=SEED, **options
    )
    adam = optim.Adam(model.parameters(), lr=2e-2)
    fit(model, x, y, type(model).loss, adam, epochs=epochs, batch_size=128, shuffle=SEED)
    return model


def step_shares(tabnet, x):
    """How much of the output each step contributes, on average: its relu(d_i), summed."""
    with no_grad():
        _, decisions = tabnet.steps(Tensor(x))
    eta = np.array([d.numpy().sum(axis=-1).mean() for d in decisions])
    return eta / eta.sum()


def heat(axes, values, turn):
    """Rows x features; a line at row `turn`, where the switch changes its sign."""
    image = axes.imshow(values, vmin=0, vmax=1, aspect="auto")
    axes.axhline(turn - 0.5, color="white")
    axes.set_xticks(range(len(FEATURES)), FEATURES, rotation=90)
    axes.set_yticks([])
    return image


def bars(axes, by_switch):
    """Mean importance of each feature where the switch is negative, and where it is positive."""
    place = np.arange(len(FEATURES))
    off, on = by_switch
    axes.barh(place - 0.2, off, height=0.4, color="#999999", label="switch < 0: A decides")
    axes.barh(place + 0.2, on, height=0.4, color=INK, label="switch > 0: B decides")
    axes.set_yticks(place, FEATURES)
    axes.set_xlabel("share of a row")
    axes.invert_yaxis()
    axes.legend(loc="lower right")
