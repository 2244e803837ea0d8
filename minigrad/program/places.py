"""What a step can reach: every place where it keeps an array, a number, a mode, an object.

A recording puts Arrays into the places that hold arrays. A replay is right only as long as all
places hold what they held at the recording.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
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
        self.size = size(content)

    def get(self):
        """What is there now."""
        if self.owner is None:  # where nothing else can be put
            return self.content
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
    def holds_gradient(self):
        return isinstance(self.owner, Tensor) and self.key == "grad"

    @property
    def holds_array(self):
        return type(self.content) is xp.ndarray

    def is_as_it_was(self):
        """Whether it holds what it held, neither longer nor shorter, or an equal number: then that
        is what it holds."""
        now, then = self.get(), self.content
        if size(now) != self.size:
            return False
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


def size(content):
    """How many entries or attributes it has: none may be added unnoticed."""
    if isinstance(content, Module):
        vars(content).setdefault("training", content.training)
        return len(vars(content))
    return len(content) if type(content) in (list, dict) else 0


TENSOR_PLACES = ("_data", "grad", "grad_home", "_requires_grad")


def places(step):
    """Every Place that the step can reach: through its closure and the globals that it names, the
    modules, optimizers, Tensors, noise and containers there, and what they hold themselves.

    What is in a module comes first: so a parameter is called after its place there.
    """
    found, seen, of_optimizers, known = [], set(), set(), set()
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
            if holder is not None and (id(holder), key) in known:  # a global of two functions
                continue
            known.add((id(holder), key))
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
            yield from of_class(kind)
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
        yield None, "", owner.__kwdefaults__, ""
        yield from variables(owner)
    elif kind is MethodType:
        yield None, "", owner.__self__, ""
        yield None, "", owner.__func__, ""
    elif kind is partial:
        yield from ((None, "", part, "") for part in (owner.func, owner.args, owner.keywords))
    elif kind is not FunctionType and hasattr(owner, "__wrapped__"):  # another compiled step
        yield None, "", owner.__wrapped__, ""
    elif (top or is_dataclass(owner) or kind is SimpleNamespace) and hasattr(owner, "__dict__"):
        for key, content in vars(owner).items():
            yield owner, key, content, key


def of_class(kind):
    """The same of a class of modules: its functions, and what its attributes are by default."""
    for part in kind.__mro__:
        if not is_ours(part):
            for key, content in vars(part).items():
                if type(content) is FunctionType and key != "__init__":  # no step calls that
                    yield None, "", content, ""
                elif type(content) in LEAVES and not key.startswith("__"):
                    yield part, key, content, key


def is_ours(thing):
    """Whether it is of this package, or of Python: then nothing in it is exchanged."""
    return str(thing.__module__).startswith(("minigrad.", "builtins"))


def variables(function):
    """The same of the variables around a function that it uses: in its closure, and global ones.
    Of a module, class or object among them also the numbers and containers that it names."""
    names, around = names_in(function.__code__), []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        with suppress(ValueError):  # the cell is empty: the variable has no value yet
            around.append((cell, "cell_contents", cell.cell_contents, name))
    if not is_ours(function):
        known = function.__globals__
        around += [(known, name, known[name], name) for name in names if name in known]
    for holder, key, content, name in around:
        if not isinstance(content, (ModuleType, type)):
            yield holder, key, content, name
        if not isinstance(content, (Module, Optimizer, Noise, Tensor, FunctionType)):
            held = getattr(content, "__dict__", {})
            for name in names:
                if name in held and type(held[name]) in (*LEAVES, list, dict, tuple):
                    yield content, name, held[name], name


def names_in(code):
    """{name: None} of the globals and attributes that a function, or one inside it, names."""
    names = dict.fromkeys(code.co_names)
    for part in code.co_consts:
        if isinstance(part, CodeType):
            names |= names_in(part)
    return names


def state_names(paths):
    """{path: name}: of each path the shortest end that no other has, as a Python name."""
    ends = Counter(path[i:] for path in paths for i in range(len(path)))
    return {path: _name(path, ends) for path in paths}


def _name(path, ends):
    if path[1:] and path[-1] in ("grad", "grad_home"):
        return "d_" + _name(path[:-1], ends)
    for i in reversed(range(len(path))):
        if ends[path[i:]] <= 1 and str(path[i]).isidentifier():
            break
    return "_".join(map(str, path[i:]))
