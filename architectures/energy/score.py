"""Sliced score matching: an energy learnt without a sample from it, by second derivatives.

Song, Garg, Shi & Ermon, "Sliced Score Matching: A Scalable Approach to Density and Score
Estimation", UAI 2019; after Hyvärinen, "Estimation of Non-Normalized Statistical Models by Score
Matching", JMLR 2005.

    symbol   name                               shape
    E(x)     energy, p(x) = exp(-E(x)) / Z      (..., B)
    s(x)     score, grad log p(x) = -grad E(x)  (..., B, D)
    v        random directions, N(0, I)         (..., B, D)

    J = E_x E_v [ v^T (ds/dx) v + |s(x)|^2 / 2 ]          Eq. 8, with the variance reduced
      = E_x E_v [ |grad E|^2 / 2 - v^T (d^2 E/dx^2) v ]

Up to a constant, J is half the mean squared distance between the scores of model and data. Z, which
does not depend on x, has no part in it: so no chains are needed.

Deviation: the data are blurred by a little noise (as in Kingma & LeCun 2010), that is, the score of
the blurred density is learnt. That of 800 points as they are is a spike at each of them.
"""

from minigrad.backend import asarray
from minigrad.checks import check_not_negative
from minigrad.engine import Tensor
from minigrad.higher import grad


def sliced_score_matching(energy, x, noise, *, blur=0.1):
    """J, (...,), of the data x (..., B, D), with one direction for each point.

    Args:
        energy: of Tensors (..., B, D) -> (..., B); each point's energy depends on that point only.
        noise: a `backend.Noise`, for the directions and the blur.
        blur: the standard deviation of the noise on the data, in the unit of x.
    """
    check_not_negative(blur=blur)
    x = x.data if isinstance(x, Tensor) else asarray(x)
    x = Tensor(x + blur * noise.standard_normal(x.shape, dtype=x.dtype))
    v = noise.standard_normal(x.shape, dtype=x.dtype)

    def slope(x):
        """v^T grad E."""
        return (grad(energy)(x) * v).sum(axis=-1)

    gradient, curvature = grad(energy)(x), grad(slope)(x)
    terms = (gradient * gradient).sum(axis=-1) / 2 - (curvature * v).sum(axis=-1)
    return terms.mean(axis=-1)
