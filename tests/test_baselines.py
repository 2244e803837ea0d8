"""The classifiers that a network ought to beat, against what they are by definition."""

from dataclasses import replace

import numpy as np
import pytest

from demos.comparison.baselines import ROWS, with_baselines
from demos.comparison.ranking import rank
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.takeaways import over_baseline
from demos.comparison.training import Outcome
from minigrad import backend, strict


def task_of(x, y, test=100):
    """Two replicas that share their rows."""
    x, y = np.stack([x, x]).astype(np.float32), np.stack([y, y]).astype(int)
    return replace(
        rings_and_clusters((0, 1)),
        x_train=x[:, test:],
        y_train=y[:, test:],
        x_test=x[:, :test],
        y_test=y[:, :test],
        class_names=("no", "yes"),
    )


def baselines_of(task):
    assert with_baselines(replace(task, bayes_accuracy=0.9)).baselines == {}
    return with_baselines(replace(task, bayes_accuracy=None)).baselines


def newton(x, y, steps=30):
    """Logistic regression of two classes, by iteratively reweighted least squares in float64."""
    x = np.column_stack([x, np.ones(len(x))]).astype(float)
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        w += np.linalg.solve(x.T @ (x * (p * (1 - p))[:, None]), x.T @ (y - p))
    return w


@pytest.mark.parametrize("rows", [300, 2 * ROWS + 77])
def test_logistic_regression_is_at_its_optimum(rows):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows + 2000, 2))
    y = x @ [1.0, -2.0] + 0.3 + rng.logistic(size=len(x)) > 0
    task = task_of(x, y, test=2000)
    w = newton(task.x_train[0], task.y_train[0])
    expected = ((task.x_test[0] @ w[:2] + w[2] > 0) == task.y_test[0]).mean()
    found = baselines_of(task)["Logistic regression"]
    assert found == pytest.approx([expected] * 2, abs=2e-3)
    if rows == 300:  # and on a GPU
        backend.activate(strict, "strict")
        assert baselines_of(task)["Logistic regression"] == found


def test_rings_cannot_be_cut_straight_and_the_majority_is_that_of_the_training_rows():
    rng = np.random.default_rng(0)
    angle, radius = 2 * np.pi * rng.random(600), rng.choice([1.0, 3.0], 600, p=[0.3, 0.7])
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    y = radius < 2
    y[:100] = True  # in the test rows the other class is the more frequent one
    task = task_of(x, y)
    found = baselines_of(task)
    assert found["Majority class"] == [0.0, 0.0] and max(found["Logistic regression"]) < 0.2


def test_whether_a_network_is_better_is_said():
    def says(*accuracy):
        nothing = dict.fromkeys(Outcome.__annotations__)
        loss = np.zeros((len(accuracy), 1))
        one = Outcome(**nothing | {"name": "n", "label": "Net", "accuracy": accuracy})
        one.loss_history = loss
        return over_baseline(rank([one]), task)

    task = rings_and_clusters((0, 1))
    assert says(0.9, 0.8) == ""
    low = {"Majority class": [0.1, 0.2], "Logistic regression": [0.5, 0.4]}
    task = replace(task, baselines=low)
    assert (
        says(0.9, 0.8) == "Logistic regression reaches 45.0 ± 63.5 %: +40.0 ± 0.0 points for Net."
    )
    same = (
        "Logistic regression reaches 45.0 ± 63.5 %: Net cannot be told from it, and it is simpler."
    )
    assert says(0.4, 0.5) == same
