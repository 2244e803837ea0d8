"""What several fused ops need."""


def once(function):
    """For vjps that share an intermediate result: compute it at the first call, then remember it.

    Safe, because all vjps of one node receive the same g and the node is freed afterwards.
    """
    results: list = []

    def call(g):
        if not results:
            results.append(function(g))
        return results[0]

    return call


def require_floats(x):
    """Raise a TypeError for integers, which would be rounded or turn into float64 on the way."""
    if x.dtype.kind != "f":
        raise TypeError(f"expected floating-point numbers, not {x.dtype}: x.astype('float32')")
