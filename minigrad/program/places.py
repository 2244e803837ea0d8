"""Where a step keeps what it computes with: who holds an array, a number, a mode, an object.

A recording puts Arrays into the places that hold arrays. A replay is right only as long as all
holders hold what they held at the recording.
"""

from collections import deque
from types import CellType, FunctionType
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..exchanges import Exchangeable
from ..optim import Optimizer

LEAVES = {int, float, bool, str, type(None)}  # they hold nothing, and can be compared
CONTAINERS = (list, dict, set, deque)
ENTRIES = (list, dict, deque)  # asked by owner[key]
# A function that names one of these may use any attribute, whatever it is called.
REFLECTIVE = {"vars", "getattr", "attrgetter", "asdict", "astuple", "__dict__", "__getattribute__"}
FREE = {"grad": "gradient", "grad_home": "home"}
OF_TENSOR = ("_data", "grad", "grad_home", "_requires_grad")
OF_FUNCTION = ("__defaults__", "__kwdefaults__")
UNNAMED = {"_data", "generator", "cell_contents", *OF_FUNCTION}  # called as what holds them
OF_OBJECT = set(dir(object)) | {"__dict__", "__weakref__", "__annotations__", "__slots__"}
OF_OBJECT |= {"__replace__"}  # that of all dataclasses, since Python 3.13, which reads every field


class Holder:
    """Who keeps what a step computes with: an object, a list, a variable, a class.

    owner: the object, say; its attributes, entries or elements are what it holds.
    path: its name for the reader, in parts.
    names: None, or the names of what counts in it.
    free: {key: role} of what may be another at each step: the "gradient" of a Tensor and its
        "home", a "number" of an optimizer's.
    guard: how a replay learns that something else is there.
        "count": a module, optimizer or Tensor counts its exchanges, see exchanges.py.
        "whole": lists, dicts and sets are compared with what they were.
        "each": of any other each thing that counts is looked at.
    then: {key: content} of what counts, as it was at the recording.
    texts: the leaves of what is guarded as a whole, likewise.
    """

    __slots__ = ("free", "guard", "names", "owner", "path", "texts", "then")

    def __init__(self, owner, path, names=None):
        self.owner, self.path, self.names = owner, path, names
        self.then: dict[Any, Any] = {}
        self.guard, self.free, self.texts = "each", {}, []
        if type(owner) is Tensor:
            self.guard, self.free = "count", FREE
        elif isinstance(owner, Exchangeable):
            self.guard, self.free = "count", dict.fromkeys(owner.changing, "number")
        elif names is None and isinstance(owner, CONTAINERS):
            self.guard, self.texts = "whole", leaves(owner)

    def now(self):
        """{key: content} of what counts in it, as it is."""
        names, found = self.names, held_by(self.owner)
        if names is None or (type(self.owner) is not dict and not REFLECTIVE.isdisjoint(names)):
            return found
        # In the order of names: the text of a program does not depend on which variable was made
        # first. Python calls methods like __getitem__ without their being named.
        return {
            key: content
            for key, content in sorted(found.items(), key=lambda item: item[0])
            if key in names or (type(content) is FunctionType and key.startswith("__"))
        }

    @property
    def may_grow(self):
        """Whether more may come to it unnoticed: variables beside those that the step uses."""
        return self.names is not None and isinstance(self.owner, (dict, type))

    def path_of(self, key):
        """The name of one thing that it holds."""
        if key in UNNAMED:
            return self.path
        if isinstance(self.owner, Optimizer):
            key = f"{type(self.owner).__name__.lower()}_{key}"
        return (*self.path, key)

    def change(self):
        """A Place where it does not hold what it held, or an equal number; None if there is none.
        Then what it holds now is what it held."""
        now, then = self.now(), self.then
        is_more = now.keys() > then.keys()
        if now.keys() != then.keys() and not (is_more and self.may_grow):
            return Place(None, "", None, self.path)
        if self.guard == "whole" and leaves(self.owner) != self.texts:
            return Place(None, "", None, self.path)
        for key, old in then.items():
            new = now[key]
            if new is not old and key not in self.free and not equal(new, old):
                return Place(self.owner, key, old, self.path_of(key))
        self.then = {key: now[key] for key in then} if self.may_grow else now
        return None


class Place:
    """Where an array is kept, a tuple that may hold one, a generator or a number that changes.

    owner: who keeps it; None, where nothing else can be put.
    role: "gradient", "home" or "number", see Holder; or "".
    """

    __slots__ = ("content", "key", "owner", "path", "role")

    def __init__(self, owner, key, content, path, role=""):
        self.owner, self.key, self.content = owner, key, content
        self.path, self.role = path, role

    @property
    def holds_array(self):
        return type(self.content) is xp.ndarray

    def get(self):
        """What is there now; None where nothing is any more."""
        try:
            if isinstance(self.owner, ENTRIES):
                return self.owner[self.key]
            return getattr(self.owner, self.key)
        except (AttributeError, LookupError, ValueError):  # ValueError: an empty cell
            return None

    def put(self, content):
        if isinstance(self.owner, ENTRIES):
            self.owner[self.key] = content
        else:
            object.__setattr__(self.owner, self.key, content)  # of a frozen dataclass, too

    def __repr__(self):
        return ".".join(map(str, self.path))


def held_by(owner) -> dict[Any, Any]:
    """{key: content} of all that an owner holds."""
    if isinstance(owner, dict):
        return dict(owner)
    if isinstance(owner, (list, deque)):
        return dict(enumerate(owner))
    if isinstance(owner, set):
        return {element: element for element in owner}
    if type(owner) is Tensor:
        return {key: getattr(owner, key) for key in OF_TENSOR}
    if isinstance(owner, (Exchangeable, Noise)):
        return dict(vars(owner))
    if type(owner) is FunctionType:
        return {key: getattr(owner, key) for key in OF_FUNCTION}
    if type(owner) is CellType:
        try:
            return {"cell_contents": owner.cell_contents}
        except ValueError:  # the variable has no value yet
            return {}
    if isinstance(owner, type):
        return {key: content for key, content in vars(owner).items() if key not in OF_OBJECT}
    return dict(attributes(owner))


def equal(now, then):
    """Whether they are leaves, and the same in every way."""
    return type(now) in LEAVES and type(now) is type(then) and repr(now) == repr(then)


def leaves(container):
    """The leaves in a container, and in tuples there, as texts: unlike == they tell 1 from 1.0 and
    True, 0.0 from -0.0, and one order of a dict from another; and NaN is itself. What holds no leaf
    has no text: == tells the others, and a replay that finds nothing to read does not come here."""
    parts = [*container, *container.values()] if isinstance(container, dict) else container
    texts = []
    for part in parts:
        inside = leaves(part) if type(part) is tuple else ()
        texts.append(repr(part) if type(part) in LEAVES else str(inside) if any(inside) else "")
    return sorted(texts) if isinstance(container, set) else texts


def attributes(owner):
    """(name, content) of an object's attributes, those in slots too."""
    yield from getattr(owner, "__dict__", {}).items()
    for part in type(owner).__mro__:
        slots = vars(part).get("__slots__", ())
        for key in (slots,) if isinstance(slots, str) else slots:
            if key != "__dict__" and hasattr(owner, key):
                yield key, getattr(owner, key)
