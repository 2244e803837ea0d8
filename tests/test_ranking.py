"""Intervals and ties."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from demos.comparison.ranking import difference, estimate, rank, t_975, tied


def test_quantiles_of_students_t():
    """Up to them lie 97.5 % of the density, 47.5 % on this side of 0."""
    for n in (*range(1, 50), 100, 1000):
        x = np.linspace(0, t_975(n), 2001)
        factor = math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2)) / math.sqrt(n * math.pi)
        share = np.trapezoid(factor * (1 + x**2 / n) ** (-(n + 1) / 2), x)
        assert share == pytest.approx(0.475, abs=1e-5), n


def test_an_estimate_and_how_it_reads():
    # mean 0.3, standard deviation sqrt(0.025), t = 2.7764 with 4 degrees of freedom
    found = estimate([0.1, 0.2, 0.3, 0.4, 0.5])
    assert found.mean == pytest.approx(0.3)
    assert found.half_width == pytest.approx(2.7764 * 0.025**0.5 / 5**0.5)
    assert f"{found}" == "30.0 ± 19.6" and f"{found:+}" == "+30.0 ± 19.6"
    # 5 splits of 50 rows, 40 to train on and 10 to test on: s^2 (1/5 + 10/40), by hand.
    corrected = estimate([0.1, 0.2, 0.3, 0.4, 0.5], overlap=10 / 40)
    assert corrected.half_width == pytest.approx(2.7764 * (0.025 * 0.45) ** 0.5)
    assert estimate([0.1], overlap=0.25).half_width is None
    assert estimate([0.1]).half_width is None and f"{estimate([0.1])}" == "10.0"
    assert difference([0.4, 0.6], [0.3, 0.5]).mean == pytest.approx(0.1)


def test_ties_are_paired():
    hard_and_easy = [0.80, 0.85, 0.90, 0.95, 0.99]
    always_better = [a + 0.004 + 0.001 * (k % 2) for k, a in enumerate(hard_and_easy)]
    assert not tied(hard_and_easy, always_better)  # though their intervals overlap widely
    assert tied(hard_and_easy, [0.90, 0.80, 0.91, 0.93, 0.98])
    assert tied([0.9, 0.8], [0.9, 0.8])
    assert tied([0.9], [0.9]) and not tied([0.9], [0.8])


def test_rank():
    outcomes = [
        SimpleNamespace(name="c", accuracy=[0.80, 0.81, 0.80]),
        SimpleNamespace(name="b", accuracy=[0.92, 0.89, 0.93]),
        SimpleNamespace(name="a", accuracy=[0.91, 0.93, 0.92]),
    ]
    last, second, first = outcomes
    found = [(one.place, one.tied, one.outcome) for one in rank(outcomes)]
    assert found == [(1, False, first), (2, True, second), (3, False, last)]
    assert [one.ties for one in rank(outcomes)] == [(2,), (1,), ()]
    # Of splits that share much of their rows, the differences vary more than they show.
    assert [one.ties for one in rank(outcomes, overlap=3.0)] == [(2,), (1, 3), (2,)]


def test_the_distance_to_the_ceiling_is_that_of_the_printed_numbers():
    [one] = rank([SimpleNamespace(name="a", accuracy=[0.9665])], ceiling=0.97745)
    assert f"{one.accuracy}" == "96.7" and f"{one.to_ceiling:.1f}" == "1.0"
    assert rank([SimpleNamespace(name="a", accuracy=[0.9])])[0].to_ceiling is None
