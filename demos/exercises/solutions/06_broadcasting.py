"""Exercise 6. Undo broadcasting: what the engine does to each gradient, once (lesson 7)."""


def fit(g, shape):
    """Sum the gradient g of a broadcast array, so that it has the shape that the array had before.

    g.shape is what NumPy makes of `shape`: axes were put in front, and axes of length 1 stretched.
    """
    added = g.ndim - len(shape)
    g = g.sum(axis=tuple(range(added)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=stretched, keepdims=True)
