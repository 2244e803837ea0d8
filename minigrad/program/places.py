"""What a step can reach: every place where it keeps an array, a number, a mode, an object.

A recording puts Arrays into the places that hold arrays. A replay is right only as long as all
places hold what they held at the recording.
"""

from collections import Counter
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType, ModuleType
from typing import Any

from ..backend import Noise, xp
from ..engine import Tensor
from ..nn import Module
from ..optim import Optimizer


class Place:
    """Where something is kept: an attribute of an object, an entry of a list or of a dict."""

    __slots__ = ("content", "guarded", "key", "owner", "path", "size")

    def __init__(self, owner, key, content, path, guarded):
        self.owner, self.key, self.content, self.path = owner, key, content, path
        self.guarded = guarded and not self.changes
        self.size = len(content) if type(content) in (list, dict) else 0

    def get(self):
        """What is there now."""
        try:
            if type(self.owner) in (dict, list):
                return self.owner[self.key]
            return getattr(self.owner, self.key)
        except (AttributeError, LookupError, ValueError):  # it is gone; ValueError: an empty cell
            return None

    @property
    def changes(self):
        """Whether it is a number that may be another one at each step."""
        return isinstance(self.owner, Optimizer) and self.key in self.owner.changing

    @property
    def holds_noise(self):
        return isinstance(self.owner, Noise) and self.key == "generator"

    @property
    def in_container(self):
        """Whether it is an entry of a list or dict (and not a global variable)."""
        return type(self.owner) is list or (
            type(self.owner) is dict and "__name__" not in self.owner
        )

    @property
    def holds_array(self):
        return type(self.content) is xp.ndarray

    def is_as_it_was(self):
        """Whether it holds what it held, or an equal number: then that is what it holds."""
        now, then = self.get(), self.content
        if now is not then:
            if type(now) is not type(then) or type(now) not in LEAVES or now != then:
                return False
            self.content = now
        return True

    def __repr__(self):
        return ".".join(map(str, self.path))

    def put(self, content):
        if type(self.owner) in (dict, list):
            self.owner[self.key] = content
        else:
            setattr(self.owner, self.key, content)


TENSOR_PLACES = ("_data", "grad", "grad_home", "_requires_grad")


def places(step):
    """Every Place that the step can reach: through its closure and the globals that it names, the
    modules, optimizers, Tensors, noise and containers there, and what they hold themselves.

    What is in a module comes first: so a parameter is called after its place there.
    """
    found, seen, of_optimizers = [], set(), set()
    modules: list = []
    others: list = [(step, ())]
    while modules or others:
        waiting = modules or others
        owner, path = waiting.pop()
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        inside = []
        in_optimizer = type(owner) is list and path in of_optimizers  # its lists are its own
        for holder, key, content, name in members(owner, top=not path):
            here = (*path, name) if name != "" else path
            guarded = holder is not None and key not in ("grad", "grad_home") and not in_optimizer
            found.append(Place(holder, key, content, here, guarded))
            if isinstance(owner, Optimizer):
                of_optimizers.add(here)
            if type(content) not in LEAVES and type(content) is not xp.ndarray:
                inside.append((content, here))
        for entry in reversed(inside):
            (modules if isinstance(entry[0], Module) else waiting).append(entry)
    return found


LEAVES = {int, float, bool, str, type(None)}  # they hold nothing, and can be compared


def members(owner, top):
    """(who holds it, by which key, what, its name for the reader) of all that an object holds.

    The holder is None where nothing else can be put.
    """
    kind: Any = type(owner)
    key: Any
    if kind is Tensor:
        for key in TENSOR_PLACES:
            yield owner, key, getattr(owner, key), "" if key == "_data" else key
    elif isinstance(owner, (Module, Optimizer, Noise)):
        if isinstance(owner, Module):
            vars(owner).setdefault("training", owner.training)
        if isinstance(owner, Noise):
            _ = owner.generator  # which is made when it is first asked for
        prefix = f"{type(owner).__name__.lower()}_" if isinstance(owner, Optimizer) else ""
        for key, content in vars(owner).items():
            yield owner, key, content, "" if key == "generator" else prefix + key
    elif kind is list:
        for key, content in enumerate(owner):
            yield owner, key, content, key
    elif kind is tuple:
        for key, content in enumerate(owner):
            yield None, key, content, key
    elif kind is dict:
        for key, content in owner.items():
            yield owner, key, content, key
    elif kind is FunctionType and not hasattr(owner, "__wrapped__"):  # an op has one
        yield None, "", owner.__defaults__, ""
        yield from variables(owner)
    elif kind is MethodType:
        yield None, "", owner.__self__, ""
        yield None, "", owner.__func__, ""
    elif kind is partial:
        yield from ((None, "", part, "") for part in (owner.func, owner.args, owner.keywords))
    elif kind is not FunctionType and hasattr(owner, "__wrapped__"):  # another compiled step
        yield None, "", owner.__wrapped__, ""
    elif top and hasattr(owner, "__dict__"):
        for key, content in vars(owner).items():
            yield owner, key, content, key


def variables(function):
    """The same of the variables around a function that it uses: in its closure, and global ones."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # the cell is empty: the variable has no value yet
            yield cell, "cell_contents", cell.cell_contents, name
    if not str(function.__module__).startswith("minigrad."):
        for name in function.__code__.co_names:
            content = function.__globals__.get(name)
            if not (content is None or isinstance(content, (ModuleType, type))):
                yield function.__globals__, name, content, name


def state_names(paths):
    """{path: name}: of each path the shortest end that no other has, as a Python name."""
    ends = Counter(path[i:] for path in paths for i in range(len(path)))
    return {path: _name(path, ends) for path in paths}


def _name(path, ends):
    if path[-1] in ("grad", "grad_home"):
        return "d_" + _name(path[:-1], ends)
    for i in reversed(range(len(path))):
        if ends[path[i:]] <= 1 and str(path[i]).isidentifier():
            break
    return "_".join(map(str, path[i:]))
