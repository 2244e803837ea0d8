"""Rings and clusters: the data that a seed names, and the ceiling."""

import numpy as np
import pytest

from demos.comparison import rings_and_clusters as task
from demos.comparison.ceiling import bayes_accuracy
from demos.comparison.rings_and_clusters import densities, rings_and_clusters


def test_a_seed_names_one_data_set():
    rng = np.random.default_rng(7)
    points = []
    for c in range(5):
        n, a = rng.standard_normal((200, 2)), rng.random(200) * 2 * np.pi
        r = (1.0 + 0.20 * n[:, 0], 2.5 + 0.25 * n[:, 0])[c % 2]
        ring = np.column_stack([r * np.cos(a), r * np.sin(a)])
        cluster = 0.5 * n + [(-3, 2.5), (3, 2.5), (0, -3.5)][c - 2]
        points.append(ring if c < 2 else cluster)
    order = rng.permutation(1000)
    x, y = np.concatenate(points)[order], np.repeat(range(5), 200)[order]
    seen = rings_and_clusters([3, 7])
    np.testing.assert_allclose(seen.x_train[1], x[:800], rtol=1e-6)
    np.testing.assert_allclose(seen.x_test[1], x[800:], rtol=1e-6)
    assert np.array_equal(seen.y_train[1], y[:800])
    assert np.array_equal(seen.y_test[1], y[800:])


def test_each_seed_gives_another_replica_of_800_and_200_rows():
    seen = rings_and_clusters([1, 2])
    assert seen.x_train.shape == (2, 800, 2) and seen.x_train.dtype == np.float32
    assert seen.y_test.shape == (2, 200)
    assert not np.array_equal(seen.x_train[0], seen.x_train[1])
    labels = np.concatenate([seen.y_train, seen.y_test], axis=1)
    assert np.bincount(labels[0]).tolist() == [200] * 5


def test_densities_integrate_to_one_also_where_radii_are_negative(monkeypatch):
    monkeypatch.setattr(task, "RINGS", ((0.3, 0.5), (2.5, 0.25)))
    step = 1e-3
    d = np.arange(step / 2, 6, step)
    ring = densities(np.stack([d, 0 * d], axis=-1))[:, :2]
    around = (ring * (2 * np.pi * d * step)[:, None]).sum(axis=0)
    np.testing.assert_allclose(around, 1, atol=1e-6)
    line = np.arange(-6, 6, 0.05)
    plane = np.stack(np.meshgrid(line, line), axis=-1)
    np.testing.assert_allclose(densities(plane)[..., 2:].sum(axis=(0, 1)) * 0.05**2, 1, atol=1e-3)


def test_the_ceiling_is_what_bayes_classifier_reaches():
    ceiling = bayes_accuracy(densities)
    assert ceiling == pytest.approx(bayes_accuracy(densities, step=0.04, reach=8), abs=2e-5)
    seen = rings_and_clusters(range(100))
    found = (seen.posterior(seen.x_test).argmax(-1) == seen.y_test).mean()
    assert found == pytest.approx(ceiling, abs=4 * np.sqrt(0.0228 * 0.9772 / 20_000))
    assert ceiling == pytest.approx(0.9772, abs=1e-4)


def test_posterior_is_a_distribution_everywhere():
    p = rings_and_clusters([0]).posterior([[0, 0], [1, 0], [0, 2.5], [-3, 2.5], [1e4, 1e4]])
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    assert p.argmax(axis=-1)[:4].tolist() == [0, 0, 1, 2]
