"""Options that make no sense are refused where a network is built, by name and with their value."""

from numbers import Integral, Real


def check_positive(**options):
    """Raise a ValueError that names the first option that is not a number above 0."""
    for name, value in options.items():
        if not (isinstance(value, Real) and 0 < value < float("inf")):
            raise ValueError(f"{name} must be above 0, not {value!r}")


def check_not_negative(**options):
    """Raise a ValueError that names the first option that is not 0 or a number above."""
    for name, value in options.items():
        if not (isinstance(value, Real) and 0 <= value < float("inf")):
            raise ValueError(f"{name} must be 0 or above, not {value!r}")


def check_sizes(**options):
    """Raise a ValueError that names the first option that is not a whole number above 0."""
    for name, value in options.items():
        if not (isinstance(value, Integral) and value > 0) or isinstance(value, bool):
            raise ValueError(f"{name} must be a whole number and must be above 0, not {value!r}")


def check_widths(hidden_sizes):
    """Raise a ValueError for anything but a sequence of whole numbers above 0."""
    try:
        sizes = tuple(hidden_sizes)
    except TypeError:
        raise ValueError(
            f"hidden_sizes is one width for each layer, as in (64, 32), not {hidden_sizes!r}"
        ) from None
    for size in sizes:
        check_sizes(hidden_sizes=size)


def check_counts(**options):
    """Raise a ValueError that names the first option that is not a whole number, 0 or above."""
    for name, value in options.items():
        if not (isinstance(value, Integral) and value >= 0):
            raise ValueError(f"{name} must be a whole number, 0 or above, not {value!r}")


def check_shares(**options):
    """Raise a ValueError that names the first option that does not lie in [0, 1]."""
    for name, value in options.items():
        if not (isinstance(value, Real) and 0 <= value <= 1):
            raise ValueError(f"{name} must lie in [0, 1], not {value!r}")


def check_numbers(**options):
    """Raise a ValueError that names the first option that is not a finite number."""
    for name, value in options.items():
        if not (isinstance(value, Real) and abs(value) < float("inf")):
            raise ValueError(f"{name} must be a finite number, not {value!r}")
