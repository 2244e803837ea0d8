"""Inputs that are tiny, huge, alone or constant: everything stays finite, nothing warns.

Pytest turns warnings into errors, and NumPy is told here to raise where it would only warn.
"""

import inspect
import re

import numpy as np
import pytest
from small_models import CLASSES, EVERY, FEATURES, OPTIONS, small_classifier, small_data

from architectures import build, classifier, lookup
from minigrad import Tensor, optim


def inputs(kind):
    rows = 1 if "one point" in kind else 12
    x, y = small_data(rows=rows)
    if kind == "constant features":
        x[:] = [0.3, 0.0, -700.0]
    if kind == "one constant feature":
        x[:, 1] = 5
    for scale in (1e-3, 1e3):
        if f"{scale:g}" in kind:
            x = x * scale
    return x.astype("float32"), y


KINDS = [
    "scaled by 0.001",
    "scaled by 1000",
    "one point",
    "one point scaled by 0.001",
    "one point scaled by 1000",
    "constant features",
    "one constant feature",
]


def assert_finite(array, what):
    assert np.isfinite(array).all(), f"{what}: {array}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name, native", EVERY)
def test_a_step_of_training_and_a_prediction(name, native, kind):
    x, y = inputs(kind)
    model = small_classifier(name, native)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    with np.errstate(all="raise", under="ignore"):
        for _ in range(2):
            optimizer.zero_grad()
            loss = model.loss(Tensor(x), y)
            loss.backward()
            assert_finite(loss.data, "loss")
            for parameter, p in model.named_parameters():
                assert_finite(p.grad, f"gradient of {parameter}")
            optimizer.step()
        for parameter, array in model.state_dict().items():
            assert_finite(array, parameter)
        for finished in (model, model.finish(x)):
            proba = finished.predict_proba(x).numpy()
            assert_finite(proba, "probabilities")
            np.testing.assert_allclose(proba.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_each_is_known_for(kind):
    x, _ = inputs(kind)
    with np.errstate(all="raise", under="ignore"):
        for name in ("bayesian", "mc_dropout"):
            model = small_classifier(name)
            for part in model.uncertainty(x).values():
                assert_finite(part.numpy(), name)
        for part in small_classifier("tabnet").backbone.feature_masks(x):
            assert_finite(part.numpy(), "masks")
        ebm = small_classifier("ebm").backbone
        assert_finite(ebm.contrastive_divergence(x).numpy(), "contrastive divergence")
        assert_finite(ebm.sample(5, steps=3, rng=0).numpy(), "samples")
        for membrane, _ in small_classifier("snn").backbone.record(x):
            assert_finite(membrane.numpy(), "membrane")
        spiking = small_classifier("ann2snn").backbone.convert(x)
        assert_finite(spiking.features_over_time(x).numpy(), "features over time")


@pytest.mark.parametrize("name", OPTIONS)
def test_points_far_from_the_training_data(name):
    model = small_classifier(name)
    x, _ = inputs("scaled by 1")
    with np.errstate(all="raise", under="ignore"):
        finished = model.finish(x)
        assert_finite(finished.predict_proba(1e3 * x).numpy(), "probabilities")
        assert finished.predict_proba(np.zeros((1, FEATURES), "float32")).shape == (1, CLASSES)


# --- options that make no sense ---------------------------------------------------------------

NAN, INFINITE = float("nan"), float("inf")
SIZES = (0, -1, 2.5, NAN, "2", None, (2,), True)
WRONG = {  # for every architecture that has the option
    "input_size": SIZES,
    "hidden_sizes": (64, (64, 0), (64, -1), (2.5,), None, ("a",), "64"),
    "hidden_size": SIZES,
    "num_steps": SIZES,
    "num_layers": SIZES,
    "num_patterns": SIZES,
    "num_heads": (0, -1, 2.5, None),
    "num_timesteps": SIZES,
    "samples": SIZES,
    "virtual_batch_size": SIZES,
    "attention_size": (0, -1, 2.5),
    "num_classes": (0, -1, 2.5),
    "output_size": (0, -1, 2.5, "2"),
    "num_shared": (-1, 1.5, NAN),
    "num_independent": (-1, 1.5, NAN),
    "update_steps": (-1, 1.5, NAN),
    "dropout": (-0.1, 1, 1.5, NAN),
    "input_dropout": (-0.1, 1, 1.5, NAN),
    "momentum": (0, -0.1, 1.5, NAN),
    "relaxation_factor": (0.9, -1, NAN, INFINITE),
    "sparsity": (-1, NAN, INFINITE),
    "prior_sigma": (0, -1, NAN, INFINITE),
    "posterior_rho": (NAN, INFINITE, "a"),
    "temperature": (-1, NAN),
    "length_scale": (-1, NAN),
    "weight": (-1, NAN),
    "penalty": (-1, NAN),
    "beta": (0, -1, NAN, "a"),
    "tau": (0, -1, NAN),
    "threshold": (0, -1, NAN),
    "slope": (0, -1, NAN),
    "percentile": (0, -1, 100.1, NAN, "a"),
    "initial_potential": (-1, NAN, "a"),
    "activation": ("rleu", None, 3),
    "surrogate": ("sigmoid", None),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_that_makes_no_sense_is_refused_by_name_with_its_value(name):
    tried = 0
    for option in inspect.signature(lookup(name).backbone).parameters:
        for value in WRONG.get(option, ()):
            said = option.removeprefix("input_") if "dropout" in option else option
            shown = "" if isinstance(value, tuple) else re.escape(str(value))
            shown = "" if option == "hidden_sizes" else shown  # a single width of several, or none
            with pytest.raises(ValueError, match=rf"{said}.*{shown}"):
                build(name, **({"input_size": 3} | OPTIONS[name] | {option: value}))
            tried += 1
    assert tried > 15


@pytest.mark.parametrize("option", ["num_classes", "train_rows"])
@pytest.mark.parametrize("value", SIZES)
def test_a_classifier_of_nothing(option, value):
    arguments = {"num_classes": 3, "input_size": 2, "train_rows": 9, option: value}
    with pytest.raises(ValueError, match=f"{option} must be"):
        classifier("mlp", **arguments)


def test_a_classifier_of_a_single_class_has_nothing_to_choose():
    with pytest.raises(ValueError, match="num_classes must be 2 or more, not 1"):
        classifier("mlp", 1, 2, train_rows=9)


@pytest.mark.parametrize("name", ["snn", "ann2snn"])
def test_a_spiking_network_has_a_layer_that_spikes(name):
    with pytest.raises(ValueError, match="spiking_layers must be above 0, not 0"):
        build(name, 2, hidden_sizes=())


def test_a_transformer_of_tabnet_has_a_layer():
    with pytest.raises(ValueError, match=r"transformer_layers must be .* not 0"):
        build("tabnet", 2, num_shared=0, num_independent=0)
