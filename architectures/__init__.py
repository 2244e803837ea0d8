"""The registry: every architecture by name; `register` adds yours.

build("mlp", input_size=2, hidden_sizes=(64, 32))       a backbone
classifier("mlp", 5, train_rows=800, input_size=2)      a backbone with a head for 5 classes
regressor("mlp", 1, train_rows=800, input_size=2)       ... for one number and its uncertainty

A backbone is a module that maps points (..., B, D) to features (..., B, output_size). What it does
as a classifier (its head, its objective, how it predicts) is the business of a Classifier class:
see base.py. Each entry of the registry names a class for each of the two protocols, and one that
predicts numbers: see regression.py.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field

from minigrad.backend import host_rng
from minigrad.checks import check_flags, check_kind

from .base import Classifier
from .energy.ebm import EBM, JEM
from .energy.hopfield import AssociativeMemory, Hopfield
from .feedforward.mlp import MLP
from .feedforward.tabnet import TabNet, TabNetClassifier
from .neuromorphic.ann2snn import ANN2SNN, ConvertingClassifier
from .neuromorphic.snn import SNN
from .probabilistic.bayesian import Bayesian, BayesianClassifier, BayesianRegressor
from .probabilistic.mc_dropout import DropoutClassifier, DropoutRegressor, MCDropout
from .regression import Regressor
from .sequence.base import SequenceClassifier
from .sequence.gru import GRU
from .sequence.mamba import Mamba, TimeInvariantMamba
from .sequence.retnet import RetNet
from .sequence.transformer import Transformer
from .uncertainty import SamplingClassifier
from .vision.convnet import ConvNet
from .vision.vit import ViT


@dataclass(frozen=True)
class Entry:
    """All that the registry knows of an architecture.

    name: what `build`, `classifier` and the command line call it.
    backbone: a class of modules, called as ``backbone(input_size, rng=rng, **options)``, that sets
        `output_size`, the width of its features.
    label: its name in tables and pictures.
    family: the group that tables, colours and takeaways count it to.
    shared: the Classifier class of the shared protocol: plain cross-entropy, a linear head.
    native: the one with the head and the objective of the architecture's paper.
    regressor: the Regressor class, with that head and objective where there are such.
    options: of the backbone, in the comparison.
    synonyms: {another name under which an option is known: its name}.
    colour: in pictures, as Matplotlib understands it; None for that of the family.
    compared: whether the lists, and so the comparison, have it without being asked.
    tasks: the names of tasks of another kind whose comparison has it without being asked.
    """

    name: str
    backbone: type
    label: str
    shared: type
    native: type
    regressor: type = Regressor
    family: str = "guests"
    options: Mapping = field(default_factory=dict)
    synonyms: Mapping = field(default_factory=dict)
    colour: str | None = None
    compared: bool = True
    tasks: tuple = ()

    @property
    def has_own_objective(self):
        """Whether it trains differently under the native protocol."""
        return self.native is not self.shared


ARCHITECTURES = {}


def register(name, backbone, *, label=None, shared=Classifier, native=None, **details):
    """Enter an architecture into the registry; return its Entry, which explains the arguments.

    Without a label, tables show its name; without a `native` class, it trains the same under both
    protocols. The same class may be registered again, with other details.

    Raises:
        ValueError: no name, or one that another class has already.
        TypeError: a backbone that is no class, or names that are no text.
    """
    entry = Entry(name, backbone, label or name, shared, native or shared, **details)
    check_kind(str, name=name, label=entry.label, family=entry.family)
    check_kind(type, backbone=backbone, shared=shared, native=entry.native)
    check_kind(type, regressor=entry.regressor)
    check_kind(tuple, tasks=entry.tasks)
    check_kind(Mapping, options=entry.options, synonyms=entry.synonyms)
    check_flags(compared=entry.compared)
    if not name:
        raise ValueError("an architecture needs a name")
    taken = ARCHITECTURES.get(name, entry).backbone
    if (taken.__module__, taken.__qualname__) != (backbone.__module__, backbone.__qualname__):
        raise ValueError(f"the name {name!r} belongs to {taken.__qualname__} already")
    ARCHITECTURES[name] = entry
    return entry


# fmt: off
# The options are those of the comparison. The synonyms are what the same options are called in the
# papers' own code and elsewhere.
register(
    "mlp", MLP, label="MLP", family="feedforward",
    options={"hidden_sizes": (64, 32), "dropout": 0.0},
    tasks=("copy", "recall", "adding", "digits", "permuted"),
)
register(
    "tabnet", TabNet, label="TabNet", family="feedforward", native=TabNetClassifier,
    synonyms={"n_shared": "num_shared", "n_independent": "num_independent"},
    options={"hidden_size": 32, "num_steps": 3},
)
register(
    "bayesian", Bayesian, label="Bayesian", family="probabilistic",
    shared=SamplingClassifier, native=BayesianClassifier, regressor=BayesianRegressor,
    options={"output_size": 16, "hidden_sizes": (64, 32)},
)
register(
    "mc_dropout", MCDropout, label="MC Dropout", family="probabilistic",
    shared=SamplingClassifier, native=DropoutClassifier, regressor=DropoutRegressor,
    synonyms={"dropout_rate": "dropout"},
    options={"output_size": 16, "hidden_sizes": (64, 32)},
)
register(
    "ebm", EBM, label="EBM", family="energy", native=JEM,
    options={"hidden_sizes": (64, 32)},
)
register(
    "hopfield", Hopfield, label="Hopfield", family="energy",
    options={"hidden_size": 64},
    synonyms={"input_dim": "input_size", "hidden_dim": "hidden_size"},
)
register(
    "snn", SNN, label="SNN", family="neuromorphic",
    options={"output_size": 16, "hidden_sizes": (64, 32)},
)
register(
    "ann2snn", ANN2SNN, label="ANN2SNN", family="neuromorphic", shared=ConvertingClassifier,
    options={"output_size": 16, "hidden_sizes": (64, 32)},
)
register(
    "associative_memory", AssociativeMemory, label="Deep Hopfield", family="energy",
    compared=False,
)
# Those for sequences and images are compared where there are some.
_sequence = {"family": "sequence", "shared": SequenceClassifier, "compared": False}
_sequence_tasks = ("copy", "recall", "adding")
register("gru", GRU, label="GRU", tasks=_sequence_tasks, **_sequence)
register("transformer", Transformer, label="Transformer", tasks=_sequence_tasks, **_sequence)
register(
    "retnet", RetNet, label="RetNet", options={"num_heads": 2, "base": 100.0},
    tasks=_sequence_tasks, **_sequence,
)
register(
    "mamba", Mamba, label="Mamba", options={"num_states": 8}, tasks=_sequence_tasks, **_sequence
)
register(
    "mamba_lti", TimeInvariantMamba, label="Mamba (LTI)", options={"num_states": 8},
    tasks=("copy",), **_sequence,
)
_vision = {"family": "vision", "compared": False, "tasks": ("digits", "permuted")}
register("convnet", ConvNet, label="ConvNet", **_vision)
register("vit", ViT, label="ViT", **_vision)
# fmt: on


def list_architectures(task=None):
    """The names of those that are compared, in the order of registration; on a task of another
    kind, those that are for it."""
    return [
        name
        for name, entry in ARCHITECTURES.items()
        if (entry.compared if task is None else task in entry.tasks)
    ]


def list_families():
    """{family: names of its architectures}, of those that are compared."""
    families = {}
    for name in list_architectures():
        families.setdefault(lookup(name).family, []).append(name)
    return families


def lookup(name):
    """The Entry of that name.

    Raises:
        ValueError: an unknown name.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: choose one of {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]


def build(name, *args, **options):
    """A backbone: ``build("mlp", input_size=2)``; `options` are those of the class.

    Raises:
        ValueError: an unknown name.
        TypeError: an unknown or missing option; the message lists those that exist.
    """
    entry = lookup(name)
    for other, own in entry.synonyms.items():
        if other in options and own not in options:
            options[own] = options.pop(other)
    signature = inspect.signature(entry.backbone)
    try:
        given = signature.bind(*args, **options)
    except TypeError as error:
        raise TypeError(
            f"{name}: {error}; its options are {', '.join(signature.parameters)}"
        ) from None
    for option, value in given.arguments.items():
        if isinstance(signature.parameters[option].default, bool):
            check_flags(**{option: value})
    return entry.backbone(*args, **options)


def classifier(name, num_classes, *args, train_rows, native=False, rng=None, **options):
    """A Classifier (see base.py) around ``build(name, *args, **options)``, all drawn from `rng`.

    Args:
        num_classes: C.
        train_rows: N, the size of the training set: some objectives weigh a prior against it.
        native: whether to train with the head and by the objective of the architecture's paper;
            otherwise with a linear head, by the plain cross-entropy.
        rng: a seed or Generator.
    """
    check_flags(native=native)
    entry, rng = lookup(name), host_rng(rng)
    backbone = build(name, *args, rng=rng, **options)
    behaviour = entry.native if native else entry.shared
    return behaviour(backbone, num_classes, train_rows=train_rows, rng=rng)


def regressor(name, targets, *args, train_rows, rng=None, **options):
    """A Regressor (see regression.py) around ``build(name, *args, **options)``, drawn from `rng`.

    Args:
        targets: E, the numbers to predict for each point.
        train_rows: N, the size of the training set: some objectives weigh a prior against it.
        rng: a seed or Generator.
    """
    entry, rng = lookup(name), host_rng(rng)
    backbone = build(name, *args, rng=rng, **options)
    return entry.regressor(backbone, targets, train_rows=train_rows, rng=rng)


__all__ = [
    "ARCHITECTURES",
    "Classifier",
    "Entry",
    "Regressor",
    "build",
    "classifier",
    "list_architectures",
    "list_families",
    "lookup",
    "register",
    "regressor",
]
