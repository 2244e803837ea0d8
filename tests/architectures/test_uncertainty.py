"""Entropies and calibration, by hand."""

import numpy as np
import pytest

from architectures import classifier
from architectures.uncertainty import (
    SamplingClassifier,
    decompose,
    entropy,
    expected_calibration_error,
)
from minigrad import Tensor, functional, nn

LOG2 = np.log(2)


def test_entropy_in_nats_with_0_log_0_equal_to_0():
    p = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4])
    np.testing.assert_allclose(entropy(p), [0, LOG2, 2 * LOG2], atol=1e-15)


def test_samples_that_contradict_each_other_are_all_epistemic():
    parts = decompose(np.array([[[1.0, 0.0]], [[0.0, 1.0]]]))
    np.testing.assert_allclose(parts["mean"].numpy(), [[0.5, 0.5]])
    np.testing.assert_allclose(parts["total"].numpy(), LOG2)
    np.testing.assert_allclose(parts["aleatoric"].numpy(), 0)
    np.testing.assert_allclose(parts["epistemic"].numpy(), LOG2)


def test_samples_that_agree_on_being_unsure_are_all_aleatoric():
    parts = decompose(np.full((5, 1, 2), 0.5))
    np.testing.assert_allclose(parts["total"].numpy(), LOG2)
    np.testing.assert_allclose(parts["aleatoric"].numpy(), LOG2)
    assert parts["epistemic"].numpy() == 0


def test_the_decomposition_by_hand():
    parts = decompose(np.array([[[0.9, 0.1]], [[0.5, 0.5]]]))

    def h(p):
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    np.testing.assert_allclose(parts["total"].numpy(), h(0.7))
    np.testing.assert_allclose(parts["aleatoric"].numpy(), (h(0.9) + h(0.5)) / 2)
    np.testing.assert_allclose(parts["epistemic"].numpy(), h(0.7) - (h(0.9) + h(0.5)) / 2)


def test_the_epistemic_part_is_never_negative_and_at_most_the_total():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((7, 3, 200, 5)) * rng.choice([0, 1e-4, 1, 30], (1, 3, 200, 1))
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    parts = decompose((p / p.sum(axis=-1, keepdims=True)).astype("float32"))
    total, epistemic = parts["total"].numpy(), parts["epistemic"].numpy()
    assert total.shape == (3, 200)
    assert (epistemic >= 0).all() and (epistemic <= total + 1e-6).all()
    assert (total <= np.log(5) + 1e-6).all()
    # By another formula: the mean divergence of the samples from their average.
    p = p / p.sum(axis=-1, keepdims=True)
    ratio = np.log(np.maximum(p, 1e-300)) - np.log(p.mean(axis=0))
    np.testing.assert_allclose(epistemic, (p * ratio).sum(axis=-1).mean(axis=0), atol=1e-5)


def test_all_samples_are_one_pass():
    shapes = []

    class Identity(nn.Module):
        samples, output_size = 4, 2

        def forward(self, x):
            shapes.append(x.shape)
            return x

    model = SamplingClassifier(Identity(), 2, train_rows=1, rng=0)
    model.head.weight.data[...] = np.eye(2)
    x = np.array([[0.0, np.log(3)]], "float32")
    samples = model.sample_proba(x)
    assert shapes == [(4, 1, 2)]
    np.testing.assert_allclose(samples.numpy(), np.full((4, 1, 2), [0.25, 0.75]), rtol=1e-6)
    assert not model.sample_proba(Tensor(x, requires_grad=True), samples=2).requires_grad
    assert shapes[1] == (2, 1, 2)
    with pytest.raises(ValueError, match=r"samples must be .* above 0, not 0"):
        model.uncertainty(x, samples=0)


def wide_dropout(seed):
    return classifier("mc_dropout", 3, 2, (32,), train_rows=9, samples=5, rng=seed)


@pytest.mark.parametrize("replicas", [False, True])
@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_points_with_any_leading_axes(lead, replicas):
    model = nn.stack([wide_dropout(k) for k in range(2)]) if replicas else wide_dropout(0)
    x = np.random.default_rng(0).standard_normal((*lead, 7, 2)).astype("float32")
    shape = (2, 7) if replicas and not lead else (*lead, 7)
    samples = model.sample_proba(x).numpy()
    assert samples.shape == (5, *shape, 3)
    assert len(np.unique(samples.round(6))) > 0.9 * samples.size

    model.backbone.dropout.rate = 0.0  # now each point has one answer, wherever it stands
    parts = model.uncertainty(x)
    assert parts["total"].shape == parts["epistemic"].shape == shape
    expected = functional.softmax(model(Tensor(x))).numpy()
    np.testing.assert_allclose(parts["mean"].numpy(), expected, atol=1e-6)


def test_calibration_error_by_hand():
    # Ten bins. (0.8, 0.9]: confidences 0.9, 0.85, one of two right: |1 - 1.75| = 0.75.
    # (0.5, 0.6]: confidence 0.6, right: 0.4. (0.9, 1]: confidence 1, wrong: 1.
    proba = [[0.9, 0.1], [0.15, 0.85], [0.6, 0.4], [0.0, 1.0]]
    labels = np.array([0, 0, 0, 0])
    error = expected_calibration_error(np.array(proba), labels)
    assert error == pytest.approx((0.75 + 0.4 + 1) / 4)


def test_a_confidence_on_a_border_belongs_to_the_bin_below():
    # Both in (0.5, 0.75], one of them right.
    error = expected_calibration_error([[0.75, 0.25], [0.7, 0.3]], np.array([0, 1]), bins=4)
    assert error == pytest.approx(abs(1 - 1.45) / 2)


@pytest.mark.parametrize("low, high", [(0.08, 0.15), (0.45, 0.55), (0.85, 0.95)])
def test_neighbouring_bins_are_not_one(low, high):
    """One too modest, one too sure: in one bin their gaps would cancel in part."""
    proba = np.array([[low], [high]]) * np.eye(20)[0] + np.array([[1 - low], [1 - high]]) / 100
    confidence = proba.max(axis=-1)
    error = expected_calibration_error(proba, np.array([0, 1]))
    assert error == pytest.approx((1 - confidence[0] + confidence[1]) / 2)


@pytest.mark.parametrize("confidence", [1.0, 1.0000001, 1.0001])
def test_a_confidence_rounded_to_more_than_1_is_in_the_last_bin(confidence):
    proba = np.array([[confidence, 0]] * 4)
    error = expected_calibration_error(proba, np.array([0, 1, 1, 1]))
    assert error == pytest.approx(confidence - 0.25)


def test_a_confidence_of_0_is_in_the_first_bin():
    assert expected_calibration_error(np.zeros((4, 2)), np.array([0, 1, 1, 1])) == 0.25


@pytest.mark.parametrize(
    "proba, labels", [((2, 3, 4), (2, 3)), ((3, 4), (4,)), ((0, 4), (0,)), ((4,), ())]
)
def test_calibration_is_that_of_one_model_on_some_points(proba, labels):
    with pytest.raises(ValueError, match=r"expected probabilities \(B, C\) and labels \(B,\)"):
        expected_calibration_error(np.ones(proba), np.ones(labels, int))
    with pytest.raises(ValueError, match="bins must be"):
        expected_calibration_error(np.eye(3), np.arange(3), bins=0)


def test_in_one_bin_only_the_averages_count():
    proba = np.array([[0.9, 0.1], [0.15, 0.85], [0.6, 0.4], [0.0, 1.0]])
    error = expected_calibration_error(proba, np.array([0, 0, 0, 0]), bins=1)
    assert error == pytest.approx(abs(2 - (0.9 + 0.85 + 0.6 + 1)) / 4)


def test_honest_confidence_has_no_calibration_error():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(3), 40000)
    labels = (rng.random((40000, 1)) > np.cumsum(proba, axis=-1)).sum(axis=-1)
    assert expected_calibration_error(proba, labels) < 0.01
    assert expected_calibration_error(proba, (labels + 1) % 3) > 0.3


def test_a_certain_and_right_prediction_has_error_0():
    proba = np.eye(3)
    assert expected_calibration_error(proba, np.arange(3)) == 0
    assert expected_calibration_error(proba, np.array([1, 2, 0])) == 1
