"""How sure can one be of a mean, and of a rank? Student's t, over the replicas."""

import math
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean, stdev

from demos.comparison.training import Outcome


@dataclass(frozen=True)
class Estimate:
    """A mean over replicas, and half the width of its 95 % confidence interval.

    half_width: None for a single replica, which says nothing about the spread.
    """

    mean: float
    half_width: float | None

    def __format__(self, sign):
        """ "96.7 ± 0.7", in percent or in points; with the sign "+": "+0.7 ± 0.2"."""
        mean = f"{100 * self.mean:{sign}.1f}"
        return mean if self.half_width is None else f"{mean} ± {100 * self.half_width:.1f}"

    def has_zero(self):
        return abs(self.mean) <= (self.half_width or 0.0)


@dataclass(frozen=True)
class Standing:
    """An Outcome and its place in the ranking: what tables, sentences and pictures are made of.

    ties: the places that cannot be told from this one.
    to_ceiling: in points, of the numbers as they are printed, so that a reader's subtraction
        agrees; None where the ceiling is not known.
    """

    place: int
    ties: tuple
    outcome: Outcome
    accuracy: Estimate
    to_ceiling: float | None

    @property
    def tied(self):
        """Whether it cannot be told from the one above."""
        return self.place - 1 in self.ties

    def __repr__(self):
        return f"#{self.place}{' =' * self.tied} {self.outcome.label}: {self.accuracy} %"


def rank_all(outcomes, protocols, ceiling=None, overlap=0.0):
    """{protocol: the Standings of its outcomes}.

    An architecture that would train the same under both protocols trains once, and is ranked in
    both.
    """
    found = {protocol: [] for protocol in protocols}
    for outcome in outcomes:
        found[outcome.protocol].append(outcome)
        if not outcome.has_own_objective:
            for other in set(protocols) - {outcome.protocol}:
                found[other].append(replace(outcome, protocol=other))
    return {protocol: rank(some, ceiling, overlap) for protocol, some in found.items() if some}


def rank(outcomes, ceiling=None, overlap=0.0):
    """The Standings, the highest mean accuracy first, and equals by their names: not in the order
    in which they happened to finish.

    Ties do not add up: the first may beat the third while neither can be told from the second. So
    the ranks stay 1, 2, 3 ...
    """
    best_first = sorted(outcomes, key=lambda one: (-fmean(one.accuracy), one.name))
    standings = []
    for place, outcome in enumerate(best_first, start=1):
        accuracy = estimate(outcome.accuracy, overlap)
        standings.append(
            Standing(
                place=place,
                ties=tuple(
                    other
                    for other, rival in enumerate(best_first, start=1)
                    if other != place and tied(rival.accuracy, outcome.accuracy, overlap)
                ),
                outcome=outcome,
                accuracy=accuracy,
                to_ceiling=ceiling and round(100 * ceiling, 1) - round(100 * accuracy.mean, 1),
            )
        )
    return standings


def tied(first, second, overlap=0.0):
    """Whether the data cannot tell the two means apart, replica by replica.

    Of a single replica each nothing is known about the spread: tied only if equal.
    """
    return difference(first, second, overlap).has_zero()


def difference(first, second, overlap=0.0):
    """The Estimate of first - second, paired.

    Replica k of both has seen the same points, so what counts are the differences, replica by
    replica.
    """
    return estimate([a - b for a, b in zip(first, second)], overlap)


def estimate(values, overlap=0.0):
    """The Estimate of the mean of what `values` are drawn from.

    overlap: 0 for independent values. R random splits of the same rows are not: their training sets
        have most rows in common, so that their mean varies more than s^2 / R. Give the number of
        test rows over that of training rows: s^2 (1/R + overlap) is the corrected resampled
        variance of Nadeau & Bengio, "Inference for the Generalization Error", Machine Learning
        2003, section 3.
    """
    n = len(values)
    half_width = t_975(n - 1) * stdev(values) * math.sqrt(1 / n + overlap) if n > 1 else None
    return Estimate(fmean(values), half_width)


# --- Student's t -----------------------------------------------------------------------------

# The 97.5 % quantile for 1, 2, ... 9 degrees of freedom.
T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)


def t_975(degrees):
    """The 97.5 % quantile of Student's t: from the table, above it by Cornish and Fisher's series.

    The series is that of Abramowitz & Stegun 26.7.5; from 10 degrees on it errs by less than 1e-3.
    """
    if degrees <= len(T_975):
        return T_975[degrees - 1]
    z = NormalDist().inv_cdf(0.975)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )
