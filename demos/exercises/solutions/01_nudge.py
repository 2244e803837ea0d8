"""Exercise 1. The slope of a function, by nudging both ways (lesson 1).

A blank is four underscores. Put something in its place, and run

    python demos/exercises/check.py 1

It says what is right, what is wrong, and gives a hint.
"""


def slope(f, x, nudge=1e-5):
    """df/dx at the number x."""
    return (f(x + nudge) - f(x - nudge)) / (2 * nudge)
