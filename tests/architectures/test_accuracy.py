"""All architectures learn the same task by the same recipe, in ten epochs.

The task is that of the comparison, rings and clusters: five classes in the plane, and Bayes'
classifier is right for 97.7 % of the points. Accuracies are means over ten test sets of 200 points
each, over four for the two that take long.
"""

import functools

import numpy as np
import pytest

from architectures import classifier, lookup
from demos.comparison.rings_and_clusters import rings_and_clusters
from minigrad import fit, nn, optim

# Name, native, replicas, mean accuracy in percent, and by how much it may differ either way: other
# rounding, on another machine, makes another training of it. Better than this is as wrong as worse.
EXPECTED = [
    ("mlp", False, 10, 96.6, 0.6),
    ("tabnet", False, 4, 96.6, 1.2),
    ("bayesian", False, 10, 96.5, 1.0),
    ("bayesian", True, 10, 94.2, 1.5),
    ("mc_dropout", False, 10, 96.4, 0.8),
    ("mc_dropout", True, 10, 96.4, 0.8),
    ("ebm", False, 10, 83.0, 4.0),
    ("ebm", True, 4, 97.0, 1.0),
    ("hopfield", False, 10, 97.0, 0.6),
    ("snn", False, 10, 96.5, 0.8),
    ("ann2snn", False, 10, 96.0, 0.8),
]


@functools.cache
def task(replicas):
    """A seed names a data set, and the weights that start on it."""
    return rings_and_clusters(range(replicas))


@functools.cache
def trained(name, native, replicas):
    """The stack of replicas after training, and what it predicts with."""
    x, y = task(replicas).x_train, task(replicas).y_train  # (R, 800, 2), (R, 800)
    options = {"train_rows": x.shape[-2], "native": native} | lookup(name).options
    model = nn.stack([classifier(name, 5, 2, rng=seed, **options) for seed in range(replicas)])
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x, y, type(model).loss, optimizer, epochs=10)
    return model, model.finish(x)


def accuracy(model, replicas):
    """In percent, of each replica."""
    x, y = task(replicas).x_test, task(replicas).y_test
    return 100 * (model.predict_proba(x).numpy().argmax(axis=-1) == y).mean(axis=-1)


@pytest.mark.parametrize("name, native, replicas, expected, margin", EXPECTED)
def test_mean_accuracy(name, native, replicas, expected, margin):
    _, finished = trained(name, native, replicas)
    accuracies = accuracy(finished, replicas)
    assert abs(accuracies.mean() - expected) <= margin, accuracies


def test_the_spiking_network_agrees_with_the_ann_it_came_from():
    ann, spiking = trained("ann2snn", False, 10)
    assert abs(accuracy(ann, 10).mean() - accuracy(spiking, 10).mean()) < 0.5
    x = task(10).x_test
    over_time = spiking.backbone.features_over_time(x)
    expected = ann.predict_proba(x).numpy().argmax(axis=-1)
    agreement = [
        (spiking.head(over_time[t - 1]).numpy().argmax(axis=-1) == expected).mean()
        for t in (1, 4, 64)
    ]
    assert agreement[0] < 0.9 < agreement[1] < 0.99 < agreement[2]


@pytest.mark.parametrize("name", ["bayesian", "mc_dropout"])
def test_uncertainty_is_higher_where_the_network_errs_and_far_away(name):
    model, _ = trained(name, False, 10)
    parts = model.uncertainty(task(10).x_test)
    parts = {part: values.numpy() for part, values in parts.items()}
    right = parts["mean"].argmax(axis=-1) == task(10).y_test
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype("float32")
    far = model.uncertainty(np.stack([8 * circle] * 10))
    assert parts["total"][~right].mean() > 2 * parts["total"][right].mean()
    for there in (parts["epistemic"][~right], far["epistemic"].numpy()):
        assert there.mean() > 2 * parts["epistemic"][right].mean()


def test_healthy_spike_rates_and_few_dead_neurons():
    model, _ = trained("snn", False, 10)
    for _, spikes in model.backbone.record(task(10).x_test):
        rates = spikes.numpy().mean(axis=(-3, -2))  # (R, H)
        assert 0.05 < rates.mean() < 0.5 and (rates == 0).mean() < 0.3
