"""Keep a network and go on with it tomorrow: one .npz file, without pickle.

    minigrad.save("run.npz", net, adam, epoch=7, classes=["cat", "dog"])

    kept = minigrad.load("run.npz")
    kept.restore(net, adam)     # into a network and an optimizer that are made as those were
    kept.extras["classes"]

The file holds numbers and text, no code: the program makes the network, the file fills it. Its
arrays are ``module/NAME`` and ``optimizer/NAME``, those of the two state dicts, ``extra/NAME``,
extras that are arrays, and ``minigrad``, the bytes of a JSON text with the other extras. It keeps
neither an optimizer's options (such as lr) nor the state of random generators.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy

from . import backend
from .backend import xp
from .checks import check_given, check_kind, check_state
from .engine import Tensor
from .files import PLAIN, read_npz, write_npz
from .nn import Module
from .optim import Optimizer

FORMAT = 1


@dataclass(frozen=True, repr=False)
class Checkpoint:
    """What a file holds. Its arrays are NumPy's, and read-only.

    state: the `state_dict` of the module.
    optimizer: that of the optimizer; None if the file has none.
    extras: {name: value}. JSON knows lists, not tuples, and text as keys: so do these.
    """

    state: dict[str, numpy.ndarray]
    optimizer: dict[str, numpy.ndarray] | None
    extras: dict[str, Any]

    def restore(self, module, optimizer=None):
        """Write the state into the module, and the optimizer's into the optimizer; all or nothing.

        Returns the module.

        Raises:
            ValueError: names, shapes or dtypes that differ, or no optimizer in the file; the
                message lists all differences.
        """
        parts: list[tuple[str, Any, Any]] = [("module", module, self.state)]
        if optimizer is not None:
            parts.append(("optimizer", optimizer, self.optimizer))
        check_kind(Module, module=module)
        check_given(check_kind, Optimizer, optimizer=optimizer)
        problems = []
        for name, part, state in parts:
            try:
                if state is None:
                    raise ValueError("the file has none")
                check_state(part.state_dict(), state)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        for _, part, state in parts:
            part.load_state_dict(state)
        return module

    def __repr__(self):
        count = sum(array.size for array in self.state.values())
        optimizer = "no optimizer" if self.optimizer is None else "an optimizer"
        extras = f"extras: {', '.join(self.extras) or 'none'}"
        return f"Checkpoint({len(self.state)} arrays, {count:,} numbers; {optimizer}; {extras})"


def save(path, module, optimizer=None, **extras):
    """Write the state of a module, of its optimizer, and `extras` into one .npz file.

    The file appears as a whole or not at all; one that is there is replaced.

    Args:
        module: a Module, or the `state_dict` of one.
        extras: arrays, Tensors, and whatever JSON can say: numbers, text, None, lists, dicts.

    Raises:
        TypeError: no module, no optimizer, or a state or an extra of another kind.
        OSError: the file cannot be written.
    """
    if not isinstance(module, Mapping):
        check_kind(Module, module=module)
    check_given(check_kind, Optimizer, optimizer=optimizer)
    state = module if isinstance(module, Mapping) else module.state_dict()
    arrays = {f"module/{name}": _plain(f"array {name!r}", array) for name, array in state.items()}
    if optimizer is not None:
        state = optimizer.state_dict()
        arrays |= {f"optimizer/{name}": numpy.asarray(array) for name, array in state.items()}
    said = {}
    for name, value in extras.items():
        if isinstance(value, (Tensor, xp.ndarray, numpy.ndarray, backend.NUMPY_SCALARS)):
            arrays[f"extra/{name}"] = _plain(f"extra {name!r}", value)
        else:
            said[name] = value
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise TypeError(f"the extra {name!r} is no array, and JSON: {error}") from None
    text = json.dumps({"format": FORMAT, "optimizer": optimizer is not None, "extras": said})
    write_npz(path, {"minigrad": numpy.frombuffer(text.encode(), "uint8"), **arrays})


def _plain(what, values):
    """A Tensor or array as a NumPy array that `load` can read."""
    backend.refuse_masked(values)
    array = backend.to_numpy(values.data if isinstance(values, Tensor) else values)
    if array.dtype.kind not in PLAIN:
        raise TypeError(f"the {what} is neither an array of numbers nor of text, but {array.dtype}")
    return array


def load(path):
    """The Checkpoint in a file that `save` has written.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is none of ours, incomplete or broken. No memory beyond its size is taken.
    """
    arrays = read_npz(path, ["minigrad"], whole=True)
    try:
        about = json.loads(arrays.pop("minigrad").tobytes())
        extras, has_optimizer = dict(about["extras"]), about["optimizer"]
        known = about["format"] == FORMAT
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is no file of minigrad.save: {type(error).__name__}") from None
    if not known:
        raise ValueError(f"{path} is of another version of minigrad.save")
    parts = {"module": {}, "optimizer": {}, "extra": extras}
    for name, array in arrays.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise ValueError(f"{path} is no file of minigrad.save: it holds {name[:60]!r}")
        parts[part][rest] = array
    return Checkpoint(parts["module"], parts["optimizer"] if has_optimizer else None, extras)
