"""Intervals and ties."""

from types import SimpleNamespace

import pytest

from demos.comparison.ranking import half_width, rank, t_975, tied


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (9, 2.2622), (10, 2.2281), (19, 2.0930), (30, 2.0423), (1000, 1.9623)],
)
def test_quantiles_of_students_t(degrees, quantile):
    assert t_975(degrees) == pytest.approx(quantile, abs=2e-4)


def test_half_width():
    # mean 3, standard deviation sqrt(2.5), t = 2.7764 with 4 degrees of freedom
    assert half_width([1, 2, 3, 4, 5]) == pytest.approx(2.7764 * 2.5**0.5 / 5**0.5)
    assert half_width([1]) is None


def test_ties_are_paired():
    hard_and_easy = [0.80, 0.85, 0.90, 0.95, 0.99]
    always_better = [a + 0.004 + 0.001 * (k % 2) for k, a in enumerate(hard_and_easy)]
    assert not tied(hard_and_easy, always_better)  # though their intervals overlap widely
    assert tied(hard_and_easy, [0.90, 0.80, 0.91, 0.93, 0.98])
    assert tied([0.9, 0.8], [0.9, 0.8])
    assert tied([0.9], [0.9]) and not tied([0.9], [0.8])


def test_rank():
    outcomes = [
        SimpleNamespace(accuracy=[0.80, 0.81, 0.80]),
        SimpleNamespace(accuracy=[0.92, 0.89, 0.93]),
        SimpleNamespace(accuracy=[0.91, 0.93, 0.92]),
    ]
    last, second, first = outcomes
    assert rank(outcomes) == [(1, False, first), (2, True, second), (3, False, last)]
