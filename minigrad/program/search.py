"""What a step can reach: its Places and Holders, through variables, objects and functions.

Functions are read for the names that they use. So of a module of Python, a class or an object
nothing counts but what some function names: a list of losses beside the step may grow.
"""

import sys
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, cached_property, partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..exchanges import Exchangeable
from ..nn import Module
from ..optim import Optimizer
from .places import CONTAINERS, LEAVES, Holder, Place, attributes

LIBRARIES = {*sys.stdlib_module_names, "minigrad"}
# A function that names one of these may use any attribute, whatever it is called.
REFLECTIVE = {"vars", "getattr", "attrgetter", "asdict", "astuple", "__dict__", "__getattribute__"}
CALLED = {"forward", "update"}  # by Module and Optimizer


class Search:
    """Every Place and Holder that a step can reach: through its closure and the globals that it
    names, the objects, containers and functions there, and what they hold themselves.

    What is in a module comes first: so a parameter is called after its place there.
    """

    def __init__(self, step):
        self.places: list[Place] = []
        self.holders: list[Holder] = []
        self.names = set(CALLED)  # that functions use
        self.parked: dict[Any, list] = {}  # {name: attributes} that no function has named so far
        self.reflects = False  # whether any attribute of an object may be in use
        self.seen: set[int] = set()
        self.known: set[tuple] = set()
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
            for holder, key, content, path in self.parked.pop(name, ()):
                self.note(holder, key, content, path, inside)
        self.names |= names

    def note(self, owner, key, content, path, inside):
        if owner is not None:
            if (id(owner), key) in self.known:  # a global of two functions
                return
            self.known.add((id(owner), key))
        self.places.append(Place(owner, key, content, path))
        if type(content) not in LEAVES and type(content) is not xp.ndarray:
            inside.append((content, path))


def members(owner) -> Iterator[tuple]:
    """(who holds it, by which key, what, its name for the reader, whether it is in use even if no
    function names it) of all that an object holds."""
    kind: Any = type(owner)
    key: Any
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
        for key, content in vars(function).items():
            yield function, key, content, key, False
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
OF_OBJECT |= {"__replace__"}  # that of all dataclasses, since Python 3.13, which reads every field


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
    """The globals and attributes that a function, or one inside it, names."""
    names = set(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            names |= names_in(part)
    return names
