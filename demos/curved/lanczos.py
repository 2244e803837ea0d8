"""The largest eigenvalues of a matrix that nobody has: only its product with a vector is known.

Lanczos 1950. In the space of q, Hq, H^2 q, ... the symmetric H is a small tridiagonal matrix, whose
outermost eigenvalues are soon those of H. All arrays have an axis in front for replicas: each has a
matrix of its own.
"""

import numpy as np

from minigrad import nn
from minigrad.higher import hvp


def lanczos(product, start, steps):
    """Eigenvalues (R, steps), the largest first, and eigenvectors (R, steps, n).

    Args:
        product: maps vectors (R, n) to H times them.
        start: vectors (R, n), not orthogonal to what is looked for: random ones.
    """
    basis = [start / np.linalg.norm(start, axis=-1, keepdims=True)]
    small = np.zeros((len(start), steps, steps))
    for k in range(steps):
        w = product(basis[k])
        small[:, k, k] = (w * basis[k]).sum(axis=-1)
        for q in 2 * basis:  # in exact arithmetic the last two would do, and once
            w = w - (w * q).sum(axis=-1, keepdims=True) * q
        length = np.linalg.norm(w, axis=-1, keepdims=True)
        if k + 1 < steps:
            small[:, k, k + 1] = small[:, k + 1, k] = length[:, 0]
            basis.append(w / np.maximum(length, 1e-30))
    values, vectors = np.linalg.eigh(small)
    return values[:, ::-1], np.einsum("rki,rkn->rin", vectors, np.stack(basis, axis=1))[:, ::-1]


def hessian_eigenvalues(model, loss, steps, rng):
    """`lanczos` for the Hessian of loss(model), one number for each of R replicas, in a stack.

    Noise in the model is the same for all products: then the Hessian is that of one function.
    """
    shapes = [p.shape for p in model.parameters()]
    replicas = shapes[0][0]
    start = np.random.default_rng(rng).standard_normal(
        (replicas, sum(p.size for p in model.parameters()) // replicas)
    )

    def frozen_noise(model):
        with nn.noise_from(model, 0):
            return loss(model)

    def product(v):
        pieces = hvp(frozen_noise, model, split(v, shapes))
        return np.concatenate([t.numpy().reshape(replicas, -1) for t in pieces], axis=-1)

    return lanczos(product, start, steps)


def split(v, shapes):
    """Vectors (R, n) as arrays of the parameters' shapes (R, ...), in float32."""
    ends = np.cumsum([np.prod(shape[1:], dtype=int) for shape in shapes])[:-1]
    pieces = np.split(v.astype(np.float32), ends, axis=-1)
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes)]
