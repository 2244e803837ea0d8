"""Module: a network's parts, found by walking its attributes; what holds for a while (modes)."""

import reprlib
from collections import deque
from collections.abc import Collection, Generator, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from typing import Any

import numpy

from .. import backend, elsewhere
from ..backend import xp
from ..checks import check_flags, check_kind, check_state
from ..engine import Tensor
from ..exchanges import Exchangeable, touch

ARRAYS = numpy.ndarray, backend.NUMPY_SCALARS, float, int


class Module(Exchangeable):
    """Base class of all layers and networks; the vocabulary is PyTorch's (but for elsewhere.py)."""

    training = True
    stacked: tuple = ()  # see `replicas`

    def __init_subclass__(cls):
        super().__init_subclass__()
        for name, value in vars(cls).items():
            if isinstance(value, (Tensor, Module)):
                raise TypeError(
                    f"{cls.__name__}.{name} would be one for all modules of the class, and a "
                    f"parameter of none: make it in __init__, self.{name} = ..."
                )

    def __setattr__(self, name, value):
        before = vars(self).get(name)
        if isinstance(value, ARRAYS) and isinstance(before, Tensor):
            raise TypeError(
                f"{name} is a Tensor: in place of it an array would be a buffer, which nothing "
                f"trains. Write {name}.data[...] = values, or give a new Tensor"
            )
        if name == "training":
            check_flags(training=value)
        super().__setattr__(name, value)
        if before is not value and isinstance(before, (Tensor, Module)):
            # An optimizer that holds what is replaced would never move what is new: it can tell.
            for parameter in before.parameters() if isinstance(before, Module) else [before]:
                parameter.grad_home = None

    def __call__(self, x, *others):
        return self.forward(x, *others) if others else self.forward(x)  # faster than with * alone

    def forward(self, x):
        raise NotImplementedError(f"{type(self).__name__} defines no forward(x)")

    def walk(self, deep=True) -> Iterator[tuple[str, Any]]:
        """(dotted name, value) of all that this module holds, itself first, in definition order.

        Lists, tuples and dicts are opened, "layers.0.weight"; so are modules, if `deep`. What is
        held in several places comes once, under its first name.

        Raises:
            TypeError: modules or Tensors in a set, deque or generator, which have no order or no
                places to name. (What functions and other objects hold is not found.)
        """
        seen, waiting = set(), [("", self)]
        while waiting:
            name, value = waiting.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Module):
                held = vars(value) if deep or value is self else {}
            elif isinstance(value, (list, tuple)):
                held = dict(enumerate(value))
            else:
                held = value if isinstance(value, dict) else {}
                if isinstance(value, UNNAMED) and _holds_parts(value):
                    raise TypeError(
                        f"{name} is a {type(value).__name__} of modules or Tensors, which are "
                        "found in lists, tuples and dicts only: list(...)"
                    )
            if not isinstance(value, (list, tuple, dict)):
                yield name, value
            prefix = f"{name}." if name else ""
            waiting += [(f"{prefix}{key}", part) for key, part in reversed(held.items())]

    def children(self) -> list[tuple[str, "Module"]]:
        """(name, module) of the modules that this one holds itself, each once."""
        held = list(self.walk(deep=False))[1:]
        return [(name, value) for name, value in held if isinstance(value, Module)]

    def modules(self) -> list["Module"]:
        """This module and all below it, each once: the last one first, the parts before a whole."""
        return [value for _, value in self.walk() if isinstance(value, Module)][::-1]

    @property
    def replicas(self) -> tuple:
        """The shape of the axes that `stack` put in front of every parameter of this module, or of
        its parts; () if there are none."""
        return next((part.stacked for part in self.modules() if part.stacked), ())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """(name, Tensor), each leaf once; a result of an op that a module keeps is no parameter."""
        for name, value in self.walk():
            if isinstance(value, Tensor) and value.op is None:
                yield name, value

    def named_buffers(self) -> Iterator[tuple[str, Any]]:
        """(name, array), each array once."""
        for name, value in self.walk():
            if isinstance(value, xp.ndarray):
                yield name, value

    def named_noise(self) -> Iterator[tuple[str, backend.Noise]]:
        """(name, `backend.Noise`), each source once: all that this module draws from in a step."""
        for name, value in self.walk():
            if isinstance(value, backend.Noise):
                yield name, value

    def parameters(self) -> list[Tensor]:
        return [parameter for _, parameter in self.named_parameters()]

    def train(self, mode=True):
        """Switch to training behaviour (dropout, batch statistics); returns the module."""
        check_flags(mode=mode)
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self):
        """Switch to evaluation behaviour; returns the module."""
        return self.train(False)

    def arrays(self) -> dict[str, Any]:
        """{name: array} of all parameters, then of all buffers: the arrays themselves.

        Raises:
            ValueError: a name that two of them have (an attribute "a.b" beside a list or dict "a").
        """
        named = [(name, parameter.data) for name, parameter in self.named_parameters()]
        named += self.named_buffers()
        arrays = dict(named)
        if len(arrays) < len(named):
            names = [name for name, _ in named]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"several parameters or buffers have the name {', '.join(twice)}")
        return arrays

    def state_dict(self) -> dict[str, numpy.ndarray]:
        """{name: NumPy array}: copies of all parameters and buffers."""
        return {name: backend.to_numpy(array).copy() for name, array in self.arrays().items()}

    def load_state_dict(self, state):
        """Write `state` into parameters and buffers, in place. All or nothing is written.

        Raises:
            ValueError: names, shapes or dtypes that differ from those of this module, or NaN; the
                message lists all of them. Or an array of the module's that is read-only.
        """
        arrays = self.arrays()
        new = check_state(arrays, state)
        on_host = {n: a for n, a in arrays.items() if isinstance(a, numpy.ndarray)}
        if fixed := [n for n, a in on_host.items() if not a.flags.writeable]:
            raise ValueError(f"read-only: {', '.join(fixed)}; make the Tensors of copies")
        for name, array in arrays.items():
            array[...] = xp.asarray(new[name])
        touch(self.parameters())

    def describe(self) -> str:
        """What stands in the parentheses of the module's line in `repr`."""
        return ", ".join(
            f"{name} {list(value.shape)}"
            for name, value in self.walk(deep=False)
            if isinstance(value, Tensor)
        )

    @reprlib.recursive_repr()
    def __repr__(self):
        count = sum(parameter.size for parameter in self.parameters())
        lines = [f"{type(self).__name__}({self.describe()})  {count:,} parameters"]
        for name, child in self.children():
            lines += [f"  {line}" for line in f"{name}: {child!r}".splitlines()]
        return "\n".join(lines)


elsewhere.tell(Module, elsewhere.MODULE)

UNNAMED = set, frozenset, deque, KeysView, ValuesView, Generator, map, zip


def _holds_parts(container: Any):
    """Whether there are modules or Tensors in it; of what can be read only once, one assumes it."""
    if not isinstance(container, Collection):
        return True
    return any(isinstance(part, (Module, Tensor)) for part in container)


@contextmanager
def evaluating(module):
    """Inside, the module is in evaluation mode; afterwards each part of it is in its own again."""
    check_kind(Module, module=module)
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def noise_from(module, rng):
    """Inside, what the module draws (masks, weight noise) comes from `rng`; afterwards from where
    it came before. So looking at a module does not change what it will draw next.

    rng: a seed (a number, or a sequence of them) or a Generator; with None nothing changes.
    """
    check_kind(Module, module=module)
    if rng is None:
        yield module
        return
    seed = backend.seed_numbers(rng)
    sources = [noise for _, noise in module.named_noise()][::-1]  # the head's is number 0
    others = [backend.Noise([*seed, k]) for k in range(len(sources))]
    for noise, other in zip(sources, others):
        noise.exchange(other)
    try:
        yield module
    finally:
        for noise, other in zip(sources, others):
            noise.exchange(other)


@contextmanager
def frozen(module):
    """Inside, the parameters are constants: no vjp of theirs is recorded, no gradient computed."""
    check_kind(Module, module=module)
    thawed = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in thawed:
        parameter.requires_grad = False
    try:
        yield module
    finally:
        for parameter in thawed:
            parameter.requires_grad = True
