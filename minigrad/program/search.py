"""What a step can reach: its Holders and Places, through variables, objects and functions.

Functions are read for the names that they use. So of a module of Python, a class or an object
nothing counts but what some function names: a list of losses beside the step may grow.
"""

import sys
from functools import cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..exchanges import Exchangeable
from ..nn import Module
from .places import CONTAINERS, LEAVES, Holder, Place

LIBRARIES = {*sys.stdlib_module_names, "minigrad"}
CALLED = {"forward", "update"}  # by Module and Optimizer
# What is in these, where nothing else can be put.
FIXED: dict[Any, tuple] = {
    MethodType: ("__self__", "__func__"),
    partial: ("func", "args", "keywords"),
    property: ("fget",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
}


class Search:
    """Every Holder and Place that a step can reach: through its closure and the globals that it
    names, the objects, containers and functions there, and what they hold themselves.

    What is in a module comes first: so a parameter is called after its place there.
    """

    def __init__(self, step):
        self.holders: list[Holder] = []
        self.places: list[Place] = []
        self.opened: list[tuple] = []  # (object, path) of all that were looked into
        self.names = set(CALLED)  # that functions use
        self.seen: set[Any] = set()
        self.found: list[tuple] = [(step, ())]  # what is to be opened, with its path
        waiting: list[tuple] = []
        while self.found or waiting:
            # What was found first is opened first, but modules before all others.
            self.found.sort(key=lambda pair: not isinstance(pair[0], Module))
            waiting += reversed(self.found)
            self.found = []
            owner, path = waiting.pop()
            if id(owner) not in self.seen:
                self.seen.add(id(owner))
                self.opened.append((owner, path))
                self.open(owner, path)
            if not (self.found or waiting):  # more names may be known than when these were opened
                for holder in self.holders:
                    if holder.names is self.names:
                        self.fill(holder)

    def open(self, owner, path):
        """Note what is in it; that is opened itself later."""
        kind = type(owner)
        if kind is FunctionType:
            self.open_function(owner, path)
        elif isinstance(owner, (Tensor, *CONTAINERS)):
            self.hold(owner, path)
        elif isinstance(owner, (Exchangeable, Noise)):
            if isinstance(owner, Module):
                vars(owner).setdefault("training", owner.training)
            elif isinstance(owner, Noise):
                _ = owner.generator  # which is made when it is first asked for
            self.open_class(kind, path)
            self.hold(owner, path)
        elif isinstance(owner, type):
            self.open_class(owner, path)
        elif kind is ModuleType:
            if not is_library(owner.__name__):
                self.hold(vars(owner), path, self.names)
        elif isinstance(owner, (tuple, frozenset)):
            for key, content in enumerate(owner):
                self.note(None, key, content, (*path, key))
        elif kind in FIXED or "__wrapped__" in getattr(owner, "__dict__", ()):
            for key in FIXED.get(kind, ("__wrapped__",)):  # that of another compiled step
                self.note(None, key, getattr(owner, key), path)
        elif isinstance(owner, SimpleNamespace) or not is_library(kind.__module__):
            self.open_class(kind, path)
            self.hold(owner, path, self.names)

    def open_function(self, function, path):
        """Note the variables around it that it uses: in its closure, and global ones."""
        if hasattr(function, "__wrapped__"):
            self.note(None, "", function.__wrapped__, path)
            if is_ours(function):  # an op: its rule may be anybody's
                return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            self.hold(cell, (*path, name))
        if not is_ours(function):
            names = names_in(function.__code__)
            if function.__defaults__ or function.__kwdefaults__:
                self.hold(function, path)
            if vars(function):
                self.hold(vars(function), path, self.names)
            self.hold(function.__globals__, path, names)
            self.names |= names

    def open_class(self, kind, path):
        """Note its functions, and what its attributes are by default."""
        for part in kind.__mro__:
            if not is_library(part.__module__) and (id(part), "class") not in self.seen:
                self.seen.add((id(part), "class"))
                self.hold(part, path, self.names)

    def hold(self, owner, path, names=None):
        holder = Holder(owner, path, names)
        self.holders.append(holder)
        self.fill(holder)

    def fill(self, holder):
        """Note what counts in it and has not been noted."""
        then, free = holder.then, holder.free
        for key, content in holder.now().items():
            if key not in then:
                then[key] = content
                if key in free or type(content) not in LEAVES:
                    self.note(holder.owner, key, content, holder.path_of(key), free.get(key, ""))

    def note(self, owner, key, content, path, role=""):
        is_seen = type(content) is xp.ndarray or type(owner) is Noise
        if is_seen or role or isinstance(content, tuple):
            self.places.append(Place(owner, key, content, path, role))
        if not is_seen and type(content) not in LEAVES:
            self.found.append((content, path))


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
