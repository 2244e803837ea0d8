"""Exercise 7. A vjp that writes into g: whose gradient breaks?

"It must not write into g, which others may share", says `op` in minigrad/engine.py. Who are they?
"""

from minigrad import op


@op
def double(x):
    return 2 * x, lambda g: g * 2


@op
def rude_double(x):
    def vjp(g):
        g *= 2  # in place: whoever else was given this array finds it changed
        return g

    return 2 * x, vjp


def result(a, b, double):
    """A Tensor that uses a, b and double(a), and whose gradients rude_double makes wrong.

    Think of an op that passes one g to both of its inputs, and of who of the two takes it first.
    A leaf copies what it is given at once, so what breaks must be on its way to a leaf still.
    """
    return ____


whose = ____  # is the gradient that comes out wrong: "a" or "b"
