"""Inputs that are tiny, huge, alone or constant: everything stays finite, nothing warns.

Pytest turns warnings into errors, and NumPy is told here to raise where it would only warn.
"""

import numpy as np
import pytest
from small_models import CLASSES, EVERY, FEATURES, OPTIONS, small_classifier, small_data

from architectures import build
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


@pytest.mark.parametrize(
    "name, options",
    [
        ("snn", {"hidden_sizes": ()}),
        ("snn", {"num_timesteps": 0}),
        ("snn", {"tau": -1.0}),
        ("ann2snn", {"hidden_sizes": ()}),
        ("ann2snn", {"num_timesteps": 0}),
        ("bayesian", {"samples": 0}),
        ("bayesian", {"prior_sigma": 0}),
        ("mc_dropout", {"samples": 0}),
        ("hopfield", {"num_heads": 0}),
        ("tabnet", {"num_steps": 0}),
        ("tabnet", {"num_shared": 0, "num_independent": 0}),
    ],
)
def test_an_option_that_must_be_positive_says_so(name, options):
    with pytest.raises(ValueError, match="must be above 0, not"):
        build(name, 2, **options)
