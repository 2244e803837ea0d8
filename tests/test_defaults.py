"""What is done unless somebody says otherwise: the numbers on which results rest."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from architectures import uncertainty
from demos.shell.arguments import Parser
from minigrad import data, fit, functional, nn, ops, optim, schedules, spiking
from minigrad.gradcheck import gradcheck

DEFAULTS = {
    ops.pad: {"value": 0},
    functional.cross_entropy: {"smoothing": 0},
    functional.rotary: {"base": 1e4},
    functional.layer_norm: {"eps": 1e-5},
    functional.rms_norm: {"eps": 1e-5},
    functional.batch_norm: {"momentum": 0.1, "eps": 1e-5},
    spiking.spike: {"slope": 10},
    spiking.lif: {"threshold": 1, "slope": 10, "initial": 0},
    nn.LayerNorm: {"eps": 1e-5},
    nn.RMSNorm: {"eps": 1e-5},
    nn.BatchNorm: {"momentum": 0.1, "eps": 1e-5},
    nn.MultiHeadAttention: {"num_heads": 4},
    optim.SGD: {"lr": 1e-2, "momentum": 0, "weight_decay": 0},
    optim.Adam: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0},
    optim.AdamW: {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    schedules.stairs: {"factor": 0.1},
    schedules.one_cycle: {"rise": 0.3, "first": 0.04, "last": 1e-4},
    data.train_test_split: {"test_share": 0.2},
    fit: {"batch_size": 32},
    gradcheck: {"order": 1, "seed": 0, "step": 1e-6, "tolerance": 1e-6},
    uncertainty.expected_calibration_error: {"bins": 10},
}


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__name__)
def test_default_numbers(function):
    parameters = inspect.signature(function).parameters
    defaults = {name: parameters[name].default for name in DEFAULTS[function]}
    assert defaults == DEFAULTS[function]


COMMANDS = {
    "compare": [],
    "predict": ["runs", "rows.csv"],
    "sweep": ["mlp"],
    "benchmark": [],
    "signatures": [],
    "curvature": [],
    "regression": [],
    "show_program": ["mlp"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_of_every_option_and_its_default(name, monkeypatch):
    class Found(Exception):
        pass

    def found(parser, *_):
        raise Found(parser)

    monkeypatch.setattr(Parser, "parse_args", found)
    with pytest.raises(Found) as stop:
        importlib.import_module(f"demos.{name}").parse([])
    [parser] = stop.value.args
    assert parser.prog == f"{name}.py" and parser.description
    for action in parser._actions:
        option = action.option_strings or action.dest
        assert action.help, f"{option} has no help"
        if action.nargs == 0 or not action.option_strings:
            continue
        assert action.metavar or action.choices, f"{option} does not say what it takes"
        if said := re.search(r"\(default: ([^,:)]*)", action.help):
            default = action.default
            if isinstance(default, (int, float, str, Path)):
                assert said[1] == str(default), option
