"""An op of your own: value and derivative side by side, and the check that they agree."""

import numpy as np

from minigrad import Tensor, op
from minigrad.backend import xp
from minigrad.gradcheck import GradientError, gradcheck


@op
def softsign(x):
    """x / (1 + |x|): runs to -1 and 1 as tanh does, but slower (Bergstra et al. 2009)."""
    scale = 1 / (1 + xp.abs(x))
    return x * scale, lambda g: g * scale * scale


gradcheck(softsign, (3, 4))  # random numbers of this shape
gradcheck(softsign, (3, 4), order=2)  # the second derivative follows from the first one's calls

x = Tensor([-1.0, 0.0, 3.0], requires_grad=True)
softsign(x).sum().backward()
print(x.grad)
# > [0.25   1.     0.0625]


@op
def wrong(x):
    scale = 1 / (1 + xp.abs(x))
    return x * scale, lambda g: g * scale  # not squared


try:
    gradcheck(wrong, np.array([1.0]))
except GradientError as error:
    print(f"{type(error).__name__}: {str(error).partition(':')[0]}")
# > GradientError: input 0 of shape (1,)
