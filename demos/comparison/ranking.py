"""How sure can one be of a mean, and of a rank? Student's t, over the replicas."""

import math
from statistics import NormalDist, fmean, stdev

# The 97.5 % quantile of Student's t for 1, 2, ... 9 degrees of freedom.
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


def half_width(values):
    """Half the width of the 95 % confidence interval of the mean; None for a single value."""
    if len(values) < 2:
        return None
    return t_975(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def tied(first, second):
    """Whether the data cannot tell the two means apart.

    Paired: replica k of both has seen the same points, so what counts are the differences, replica
    by replica. Tied if the 95 % interval of their mean contains 0. Of a single replica each nothing
    is known about the spread: tied only if equal.
    """
    differences = [a - b for a, b in zip(first, second)]
    return abs(fmean(differences)) <= (half_width(differences) or 0.0)


def rank(outcomes):
    """[(rank, tied with the one above, outcome)], the highest mean accuracy first.

    "Tied with the one above" does not add up: the first may beat the third while neither can be
    told from the second. So the ranks stay 1, 2, 3 ...
    """
    best_first = sorted(outcomes, key=lambda outcome: -fmean(outcome.accuracy))
    above = [None, *best_first]
    return [
        (place, place > 1 and tied(above[place - 1].accuracy, outcome.accuracy), outcome)
        for place, outcome in enumerate(best_first, start=1)
    ]
