"""Does flatness go with accuracy? The sharpest curvature of all architectures, along training."""

import numpy as np

from architectures import list_architectures, lookup
from demos.comparison.prediction import predict, share_right
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe, replicas
from demos.curved.lanczos import hessian_eigenvalues
from demos.pictures.palette import CLASSES, INK, marker
from demos.signature.common import entitled
from minigrad import fit, functional, optim
from minigrad.spiking import NOT_A_TRUE_GRADIENT

SEEDS = tuple(range(42, 50))
LOOKS = (0, 1, 2, 4, 7, 10)  # epochs
STEPS = 10  # of Lanczos' method
ROWS = 200  # of the training set, in whose loss the curvature is measured


def picture(epochs=10, names=None):
    """The largest eigenvalue while training, and at the end against accuracy."""
    names = names or list_architectures()
    task = rings_and_clusters(SEEDS)
    figure = entitled("The sharpest direction of eight losses", (16, 6))
    left, right = figure.subplots(1, 2)
    final, refused = {}, []
    for name in names:
        style = {"color": (*CLASSES, INK)[names.index(name)], "marker": marker(names.index(name))}
        try:
            looks, accuracy = along_training(Entry(name, task, Recipe(SEEDS, epochs=epochs)))
        except TypeError as error:
            if not any(op in str(error) for op in NOT_A_TRUE_GRADIENT):
                raise
            refused.append(lookup(name).label)
            continue
        label, curves = lookup(name).label, np.stack(list(looks.values()), axis=-1)
        left.plot(list(looks), np.median(curves, axis=0), label=label, **style)
        right.scatter(curves[:, -1], 100 * accuracy, s=60, edgecolors="white", label=label, **style)
        final[name] = np.median(curves[:, -1]), accuracy.mean(), curves[:, -1], accuracy
    left.set(title=f"Median of {len(SEEDS)} replicas", xlabel="epochs", yscale="log")
    left.set(ylabel="largest eigenvalue of the Hessian, nats")
    left.legend(fontsize=10)
    right.set(title="At the end: one point is one replica", xscale="log")
    right.set(xlabel="largest eigenvalue of the Hessian, nats", ylabel="accuracy on test data, %")
    between = rank_correlation(*zip(*[(a, b) for a, b, _, _ in final.values()]))
    within = np.mean([rank_correlation(a, b) for _, _, a, b in final.values()])
    text = ", ".join(f"{lookup(name).label} {value:.1f}" for name, (value, *_) in final.items())
    return figure, (
        f"{text}; none for {', '.join(refused) or 'no one'}; rank correlation with accuracy: "
        f"{between:+.2f} between architectures, {within:+.2f} between replicas of one"
    )


def along_training(entry):
    """({epoch: largest eigenvalues (R,)}, test accuracies (R,)) of an Entry's replicas."""
    task, recipe = entry.task, entry.recipe
    model = replicas(entry).eval()  # as `fit` leaves it after each epoch
    x, y = task.x_train[:, :ROWS], task.y_train[:, :ROWS]
    looks = {}

    def look(epoch, history=None):
        if epoch in LOOKS or epoch == recipe.epochs:
            values, _ = hessian_eigenvalues(
                model, lambda m: functional.cross_entropy(m(x), y), STEPS, recipe.seeds[0]
            )
            looks[epoch] = values[:, 0]

    look(0)
    adam = optim.Adam(model.parameters(), lr=recipe.learning_rate)
    fit(
        model,
        task.x_train,
        task.y_train,
        type(model).loss,
        adam,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        on_epoch=look,
    )
    guesses = predict(model.finish(task.x_train), task.x_test, recipe.seeds[0])
    return looks, np.asarray(share_right(guesses, task.y_test))


def rank_correlation(a, b):
    """Spearman's: +1 if both have the same order, -1 if the opposite one. Equal values share their
    mean rank; of values that are all equal it is 0."""
    a, b = (np.less.outer(values, values) for values in (a, b))
    a, b = (less.sum(axis=0) - less.sum(axis=1) for less in (a, b))  # twice the rank, centred
    return (a @ b) / max(np.sqrt((a @ a) * (b @ b)), 1)
