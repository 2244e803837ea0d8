"""What must not go unnoticed: that data were changed, or an object was given something else.

A graph whose leaves have changed since it was recorded is out of date. And a compiled step looks at
one number before each replay, instead of at every attribute that it can reach: how often a Tensor,
module or optimizer was given another array, mode or attribute.
"""

from .contract import explained
from .engine import next_order

exchanges = [0]


def touch(leaves):
    """Say that the data of leaves were changed in place: they are newer than what used them."""
    now = next_order()
    for leaf in leaves:
        leaf.order = now


class Exchangeable:
    """An object whose attributes are part of a step: that they are exchanged is counted.

    changing: the names of those that may be others at every step, numbers.
    """

    changing: tuple[str, ...] = ()

    def __init_subclass__(cls):
        """Who makes one with options that it does not have is told which it has."""
        super().__init_subclass__()
        if "__init__" in vars(cls):
            cls.__init__ = explained(cls.__init__)  # type: ignore[method-assign]

    def __setattr__(self, name, value):
        if name not in self.changing:
            exchanges[0] += 1
        object.__setattr__(self, name, value)
