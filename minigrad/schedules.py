"""Learning rates that change: plain functions of the number of steps done, from 0.

Each is a factor for the learning rate; factors multiply:

    fit(..., schedule=lambda step: 1e-2 * warm_up(step, 25) * cosine(step, 250))

Lengths are numbers of steps, above 0; shares and factors lie between 0 and 1.
"""

import math

from .checks import check_not_negative, check_positive, check_rates, check_shares


def warm_up(step, steps):
    """From 1 / steps up to 1, in equal steps, and 1 from then on."""
    check_not_negative(step=step)
    check_positive(steps=steps)
    return min((step + 1) / steps, 1.0)


def cosine(step, steps, last=0.0):
    """From 1 down to `last` along half a cosine (Loshchilov & Hutter 2017), and `last` after it."""
    check_not_negative(step=step)
    check_positive(steps=steps)
    check_shares(last=last)
    return last + (1 - last) * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2


def stairs(step, every, factor=0.1):
    """1, then `factor` of it after every `every` steps."""
    check_not_negative(step=step)
    check_positive(every=every)
    check_shares(factor=factor)
    return factor ** (step // every)


def one_cycle(step, steps, rise=0.3, first=0.04, last=1e-4):
    """From `first` up to 1 during the share `rise` of the steps, then down to `last`, both along
    half a cosine (Smith & Topin 2018)."""
    check_rates(rise=rise)
    check_shares(first=first)
    top = rise * steps
    if step < top:
        return 1 - (1 - first) * cosine(step, top)
    return cosine(step - top, steps - top, last)
