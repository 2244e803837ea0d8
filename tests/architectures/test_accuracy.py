"""All architectures learn the same task by the same recipe, in ten epochs.

The task is rings and clusters, five classes in the plane; Bayes' classifier is right for 97.7 % of
the points. Accuracies are means over ten test sets of 200 points each, over four for the two that
take long.
"""

import functools

import numpy as np
import pytest

from architectures import classifier, lookup
from minigrad import fit, nn, optim

TRAIN = 800
MARGIN = 0.5  # in points: what different rounding on another machine may cost

EXPECTED = [  # name, native, replicas, mean accuracy in percent
    ("mlp", False, 10, 96.0),
    ("tabnet", False, 4, 94.5),
    ("bayesian", False, 10, 94.0),
    ("bayesian", True, 10, 93.0),
    ("mc_dropout", False, 10, 96.0),
    ("ebm", False, 10, 80.0),
    ("ebm", True, 4, 96.0),
    ("hopfield", False, 10, 96.5),
    ("snn", False, 10, 95.5),
    ("ann2snn", False, 10, 95.0),
]


def rings_and_clusters(seed, n=200):
    rng = np.random.default_rng(seed)
    points = []
    for c in range(5):
        noise, angle = rng.standard_normal((n, 2)), 2 * np.pi * rng.random(n)
        if c < 2:
            radius = ([1.0, 2.5][c] + [0.2, 0.25][c] * noise[:, 0])[:, None]
            points.append(radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1))
        else:
            points.append([(-3, 2.5), (3, 2.5), (0, -3.5)][c - 2] + 0.5 * noise)
    order = rng.permutation(5 * n)
    return np.concatenate(points).astype("float32")[order], np.repeat(np.arange(5), n)[order]


def data(replicas):
    """x (R, 1000, 2) and y (R, 1000); a seed names a data set and the weights that start on it."""
    x, y = zip(*map(rings_and_clusters, range(replicas)))
    return np.stack(x), np.stack(y)


@functools.cache
def trained(name, native, replicas):
    """The stack of replicas after training, and what it predicts with."""
    x, y = data(replicas)
    model = nn.stack(
        [
            classifier(
                name, 5, 2, train_rows=TRAIN, native=native, rng=seed, **lookup(name).options
            )
            for seed in range(replicas)
        ]
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    fit(model, x[:, :TRAIN], y[:, :TRAIN], type(model).loss, optimizer, epochs=10)
    return model, model.finish(x[:, :TRAIN])


def accuracy(model, replicas):
    """In percent, of each replica."""
    x, y = data(replicas)
    proba = model.predict_proba(x[:, TRAIN:]).numpy()
    return 100 * (proba.argmax(axis=-1) == y[:, TRAIN:]).mean(axis=-1)


@pytest.mark.parametrize("name, native, replicas, expected", EXPECTED)
def test_mean_accuracy(name, native, replicas, expected):
    _, finished = trained(name, native, replicas)
    accuracies = accuracy(finished, replicas)
    assert accuracies.mean() >= expected - MARGIN, accuracies


def test_the_spiking_network_agrees_with_the_ann_it_came_from():
    ann, spiking = trained("ann2snn", False, 10)
    assert abs(accuracy(ann, 10).mean() - accuracy(spiking, 10).mean()) < 0.5
    x = data(10)[0][:, TRAIN:]
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
    x, y = data(10)
    parts = model.uncertainty(x[:, TRAIN:])
    parts = {part: values.numpy() for part, values in parts.items()}
    right = parts["mean"].argmax(axis=-1) == y[:, TRAIN:]
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype("float32")
    far = model.uncertainty(np.stack([8 * circle] * 10))
    assert parts["total"][~right].mean() > 2 * parts["total"][right].mean()
    for there in (parts["epistemic"][~right], far["epistemic"].numpy()):
        assert there.mean() > 2 * parts["epistemic"][right].mean()


def test_healthy_spike_rates_and_few_dead_neurons():
    model, _ = trained("snn", False, 10)
    for _, spikes in model.backbone.record(data(10)[0][:, TRAIN:]):
        rates = spikes.numpy().mean(axis=(-3, -2))  # (R, H)
        assert 0.05 < rates.mean() < 0.5 and (rates == 0).mean() < 0.3
