"""What a step can reach: every place where it keeps an array, a number, a mode, an object.

A recording puts Arrays into the places that hold arrays. A replay is right only as long as all
places hold what they held at the recording.

Functions are read for the names that they use. So of a module of Python, a class or an object
nothing counts but what some function names: a list of losses beside the step may grow.
"""

import sys
from collections import deque
from contextlib import suppress
from functools import cache, cached_property, partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..exchanges import Exchangeable
from ..nn import Module
from ..optim import Optimizer

LEAVES = {int, float, bool, str, type(None)}  # they hold nothing, and can be compared
CONTAINERS = (list, dict, set, deque)
ENTRIES = (list, dict, deque)  # asked by owner[key]
LIBRARIES = {*sys.stdlib_module_names, "minigrad"}
# A function that names one of these may use any attribute, whatever it is called.
REFLECTIVE = {"vars", "getattr", "attrgetter", "asdict", "astuple", "__dict__", "__getattribute__"}
CALLED = {"forward", "update"}  # by Module and Optimizer


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
        now, then = self.entries(), self.then
        if isinstance(then, set):
            return now == then
        if isinstance(then, dict):
            if now.keys() != then.keys():
                return False
            now, then = list(now.values()), list(then.values())
        return len(now) == len(then) and all(
            equal(a, b) for a, b in zip(now, then) if type(b) in LEAVES
        )

    __repr__ = Place.__repr__


def equal(now, then):
    return type(now) is type(then) and type(now) in LEAVES and now == then


class Search:
    """Every Place and Holder that a step can reach: through its closure and the globals that it
    names, the objects, containers and functions there, and what they hold themselves.

    What is in a module comes first: so a parameter is called after its place there.
    """

    def __init__(self, step):
        self.places, self.holders = [], []
        self.names = set(CALLED)  # that functions use
        self.parked: dict[str, list] = {}  # {name: attributes} that no function has named so far
        self.reflects = False  # whether any attribute of an object may be in use
        self.seen, self.known = set(), set()
        self.modules: list[tuple] = []
        self.others: list[tuple] = [(step, ())]
        while self.modules or self.others:
            owner, path = (self.modules or self.others).pop()
            if id(owner) not in self.seen:
                self.seen.add(id(owner))
                self.open(owner, path)
        for holder in self.holders:
            holder.then = holder.entries()

    def open(self, owner, path):
        """Note what is in an object; it is opened itself later."""
        inside: list[tuple] = []
        if isinstance(owner, CONTAINERS):
            self.holders.append(Holder(owner, path))
        elif isinstance(owner, Module):
            vars(owner).setdefault("training", owner.training)
            self.holders.append(Holder(owner, path))
        elif is_plain(owner):
            self.holders.append(Holder(owner, path, None if self.reflects else self.names))
        for holder, key, content, name, in_use in members(owner):
            here = (*path, name) if name != "" else path
            if in_use or key in self.names or (self.reflects and type(holder) is not dict):
                self.note(holder, key, content, here, inside)
            else:
                self.parked.setdefault(key, []).append((holder, key, content, here))
        if type(owner) is FunctionType and not is_ours(owner):
            self.learn(names_in(owner.__code__), inside)
        for content, here in reversed(inside):
            (self.modules if isinstance(content, Module) else self.others).append((content, here))

    def learn(self, names, inside):
        """Attributes of these names are in use."""
        if REFLECTIVE & names:
            self.reflects, names = True, {*names, *self.parked}
        for name in sorted(names - self.names):
            for attribute in self.parked.pop(name, ()):
                self.note(*attribute, inside)
        self.names |= names

    def note(self, owner, key, content, path, inside):
        if owner is not None:
            if (id(owner), key) in self.known:  # a global of two functions
                return
            self.known.add((id(owner), key))
        self.places.append(Place(owner, key, content, path))
        if type(content) not in LEAVES and type(content) is not xp.ndarray:
            inside.append((content, path))


def members(owner):
    """(who holds it, by which key, what, its name for the reader, whether it is in use even if no
    function names it) of all that an object holds."""
    kind: Any = type(owner)
    if kind is Tensor:
        for key in ("_data", "grad", "grad_home", "_requires_grad"):
            yield owner, key, getattr(owner, key), "" if key == "_data" else key, True
    elif isinstance(owner, (Exchangeable, Noise)):
        yield from of_class(kind)
        if isinstance(owner, Noise):
            _ = owner.generator  # which is made when it is first asked for
        prefix = f"{kind.__name__.lower()}_" if isinstance(owner, Optimizer) else ""
        for key, content in vars(owner).items():
            yield owner, key, content, "" if key == "generator" else prefix + key, True
    elif isinstance(owner, (list, deque)):
        for key, content in enumerate(owner):
            if type(content) not in LEAVES:  # which the Holder compares
                yield owner, key, content, key, True
    elif isinstance(owner, (tuple, set, frozenset)):
        for key, content in enumerate(owner):
            yield None, key, content, key, True
    elif isinstance(owner, dict):
        for key, content in owner.items():
            if type(content) not in LEAVES:
                yield owner, key, content, key, True
    elif kind is FunctionType:
        yield from of_function(owner)
    elif kind is MethodType:
        yield from alone(owner.__self__, owner.__func__)
    elif kind is partial:
        yield from alone(owner.func, owner.args, owner.keywords)
    elif kind is property:
        yield from alone(owner.fget)
    elif kind in (staticmethod, classmethod):
        yield from alone(owner.__func__)
    elif kind is cached_property:
        yield from alone(owner.func)
    elif isinstance(owner, type):
        yield from of_class(owner)
    elif kind is ModuleType:
        if not is_library(owner.__name__):
            for key, content in vars(owner).items():
                yield vars(owner), key, content, key, False
    elif "__wrapped__" in getattr(owner, "__dict__", ()):  # another compiled step
        yield from alone(owner.__wrapped__)
    elif is_plain(owner):
        yield from of_class(kind)
        for key, content in attributes(owner):
            yield owner, key, content, key, False


def alone(*contents):
    """What is held where nothing else can be put."""
    return ((None, "", content, "", True) for content in contents)


def of_function(function):
    """The same of the variables around a function that it uses: in its closure, and global ones."""
    if hasattr(function, "__wrapped__"):
        yield from alone(function.__wrapped__)
        if is_ours(function):  # an op: its rule may be anybody's
            return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # the cell is empty: the variable has no value yet
            yield cell, "cell_contents", cell.cell_contents, name, True
    if not is_ours(function):
        for key in ("__defaults__", "__kwdefaults__"):
            if getattr(function, key) is not None:
                yield function, key, getattr(function, key), "", True
        known = function.__globals__
        for name in sorted(names_in(function.__code__)):
            if name in known and not name.startswith("__"):
                yield known, name, known[name], name, True


def of_class(kind):
    """The same of a class: its functions, and what its attributes are by default."""
    for part in kind.__mro__:
        if not is_library(part.__module__):
            for key, content in vars(part).items():
                if type(content) is not xp.ndarray and key not in OF_OBJECT:
                    # Python calls methods like __getitem__ without their being named.
                    special = key.startswith("__") and type(content) is FunctionType
                    yield part, key, content, key, special


OF_OBJECT = set(dir(object)) | {"__dict__", "__weakref__", "__annotations__", "__slots__"}


def attributes(owner):
    """(name, content) of an object's attributes, those in slots too."""
    yield from getattr(owner, "__dict__", {}).items()
    for part in type(owner).__mro__:
        slots = vars(part).get("__slots__", ())
        for key in (slots,) if isinstance(slots, str) else slots:
            if key != "__dict__" and hasattr(owner, key):
                yield key, getattr(owner, key)


def is_plain(owner):
    """Whether it is an object of a class of the user's, of which anything may be exchanged."""
    return isinstance(owner, SimpleNamespace) or not (
        isinstance(owner, (type, *CONTAINERS, tuple, frozenset, Tensor, Exchangeable))
        or is_library(type(owner).__module__)
    )


@cache
def is_library(name):
    """Whether a module is one in which nothing is exchanged: Python's, this package, installed."""
    root = name.partition(".")[0]
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return root in LIBRARIES or "site-packages" in file or "dist-packages" in file


def is_ours(function):
    """Whether a function is of this package: then nothing that it names is exchanged."""
    return function.__globals__.get("__name__", "").startswith("minigrad.")


def names_in(code):
    """The globals and attributes that a function, or one inside it, names; and its texts, which
    `getattr` may be given."""
    names = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            names |= names_in(part)
        elif isinstance(part, str):
            names.add(part)
    return names
