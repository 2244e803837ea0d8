"""Where a step keeps what it computes with: an array, a number, a mode, an object.

A recording puts Arrays into the places that hold arrays. A replay is right only as long as all
places hold what they held at the recording.
"""

from collections import deque
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..exchanges import Exchangeable

LEAVES = {int, float, bool, str, type(None)}  # they hold nothing, and can be compared
CONTAINERS = (list, dict, set, deque)
ENTRIES = (list, dict, deque)  # asked by owner[key]


class Place:
    """Where something is kept: an attribute of an object, an entry of a list or of a dict.

    owner: who keeps it.
    role: what it means to a replay.
        "fixed": nothing else can be put there (then the owner is None).
        "counted": a module, optimizer or Tensor counts its exchanges, see exchanges.py.
        "entry": of a list or dict, which is looked at as a whole.
        "watched": any other attribute or variable, looked at before each replay.
        "noise": a generator, watched as well.
        "number", "gradient", "home": may be others at each step.
    """

    __slots__ = ("content", "key", "owner", "path", "role")

    def __init__(self, owner, key, content, path):
        self.owner, self.key, self.content, self.path = owner, key, content, path
        self.role = "watched"
        if owner is None:
            self.role = "fixed"
        elif isinstance(owner, ENTRIES):
            if type(owner) is not dict or "__name__" not in owner:  # not a module's variables
                self.role = "entry"
        elif type(owner) is Tensor:
            self.role = {"grad": "gradient", "grad_home": "home"}.get(key, "counted")
        elif isinstance(owner, Exchangeable):
            self.role = "number" if key in owner.changing else "counted"
        elif type(owner) is Noise and key == "generator":
            self.role = "noise"

    @property
    def is_guarded(self):
        """Whether it has to hold what it held."""
        return self.role in ("counted", "entry", "watched", "noise")

    @property
    def holds_array(self):
        return type(self.content) is xp.ndarray

    def get(self):
        """What is there now."""
        if self.role == "fixed":
            return self.content
        try:
            if isinstance(self.owner, ENTRIES):
                return self.owner[self.key]
            if isinstance(self.owner, type):
                return vars(self.owner)[self.key]
            return getattr(self.owner, self.key)
        except (AttributeError, LookupError, ValueError):  # it is gone; ValueError: an empty cell
            return None

    def put(self, content):
        if isinstance(self.owner, ENTRIES):
            self.owner[self.key] = content
        else:
            object.__setattr__(self.owner, self.key, content)  # of a frozen dataclass, too

    def is_as_it_was(self):
        """Whether it holds what it held, or an equal number: then that is what it holds."""
        now = self.get()
        if now is not self.content:
            if not equal(now, self.content):
                return False
            self.content = now
        return True

    def __repr__(self):
        return ".".join(map(str, self.path))


class Holder:
    """A list, dict, set or object: nothing may be added to it, or taken from it, unnoticed.

    names: None, or of an object the names of attributes that count.
    """

    holds_array = False

    def __init__(self, content, path, names=None):
        self.content, self.path, self.names = content, path, names
        self.then: Any = None

    def entries(self):
        """What is in it now: of an object the names of its attributes."""
        if isinstance(self.content, CONTAINERS):
            return self.content.copy()
        names = (key for key, _ in attributes(self.content))
        return [key for key in names if self.names is None or key in self.names]

    def is_as_it_was(self):
        """As far as numbers and names tell it: what else it holds has Places of its own."""
        now: Any = self.entries()
        then = self.then
        if isinstance(then, set) and now != then:
            return False
        if isinstance(then, dict) and now.keys() != then.keys():
            return False
        return leaves(now) == leaves(then)

    __repr__ = Place.__repr__


def equal(now, then):
    """Whether they are leaves, and the same in every way."""
    return type(now) in LEAVES and type(now) is type(then) and repr(now) == repr(then)


def leaves(container):
    """The leaves in a container, and in tuples there, as texts: unlike == they tell 1 from 1.0 and
    True, 0.0 from -0.0, and one order of a dict from another; and NaN is itself."""
    parts = [*container, *container.values()] if isinstance(container, dict) else container
    texts = [
        repr(part) if type(part) in LEAVES else str(leaves(part)) if type(part) is tuple else ""
        for part in parts
    ]
    return sorted(texts) if isinstance(container, set) else texts


def attributes(owner):
    """(name, content) of an object's attributes, those in slots too."""
    yield from getattr(owner, "__dict__", {}).items()
    for part in type(owner).__mro__:
        slots = vars(part).get("__slots__", ())
        for key in (slots,) if isinstance(slots, str) else slots:
            if key != "__dict__" and hasattr(owner, key):
                yield key, getattr(owner, key)
