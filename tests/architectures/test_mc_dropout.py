"""MC Dropout: masks that differ, keep the expectation and stay on at prediction."""

import numpy as np
import pytest
from small_models import Recorder, reseed, set_generators

from architectures import build, classifier
from architectures.probabilistic.mc_dropout import MonteCarloDropout
from minigrad import Tensor, functional, nn


def points(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("training", [True, False])
def test_masks_differ_between_passes_samples_and_replicas(training):
    net = build("mc_dropout", 2, (16,), output_size=3, dropout=0.5, rng=0).train(training)
    x = np.ones((1, 2), "float32")
    assert not np.array_equal(net(Tensor(x)).numpy(), net(Tensor(x)).numpy())
    samples = net(Tensor(np.broadcast_to(x, (6, 1, 2)))).numpy()
    assert len(np.unique(samples[:, 0, 0])) == 6
    clones = nn.stack([net, net, net])
    assert len(np.unique(clones(Tensor(x)).numpy()[:, 0, 0])) == 3
    rows = net(Tensor(x.repeat(6, axis=0))).numpy()
    assert len(np.unique(rows[:, 0])) == (6 if training else 1)


def test_what_is_predicted_of_a_row_depends_on_no_other():
    model = classifier("mc_dropout", 3, 2, train_rows=10, native=True, rng=0)
    x = points(40, 2)
    together, alone = (model.predict_proba(part, rng=7).numpy() for part in (x, x[13:14]))
    np.testing.assert_allclose(together[13:14], alone, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_masks_keep_the_expectation_in_evaluation_too(training):
    dropout = MonteCarloDropout(0.2, rng=0).train(training)
    x = np.broadcast_to(points(1, 5), (20_000, 1, 5))
    y = dropout(Tensor(x)).numpy()
    np.testing.assert_allclose((y == 0).mean(axis=0), 0.2, atol=0.015)
    np.testing.assert_allclose(y[y != 0], (x / 0.8)[y != 0], rtol=1e-6)
    error = np.abs(x[0]) * np.sqrt(0.2 / 0.8 / len(x))
    assert (np.abs(y.mean(axis=0) - x[0]) < 4.5 * error).all()


@pytest.mark.parametrize("native", [False, True])
def test_the_whole_network_with_known_masks(native):
    options = {"hidden_sizes": (6, 5), "output_size": 4, "dropout": 0.3}
    model = classifier("mc_dropout", 3, 2, train_rows=10, native=native, **options, rng=0)
    set_generators(model, Recorder)
    x = points(7, 4, 2)
    logits = model(Tensor(x)).numpy()
    masks = [(u >= 0.3) / 0.7 for u in model.backbone.dropout.noise.generator.drawn]
    assert [mask.shape for mask in masks] == [(7, 4, 6), (7, 4, 5)] + [(7, 4, 4)] * native
    *hidden, last, head = (p.data for p in model.parameters() if p.shape[0] > 1)
    h = x
    for weight, mask in zip(hidden, masks):
        h = np.maximum(h @ weight, 0) * mask
    h = h @ last
    if native:
        h = h * masks[2]
    np.testing.assert_allclose(logits, h @ head, atol=1e-5)


def test_nothing_is_dropped_from_the_input_nor_from_the_features():
    net = build("mc_dropout", 2, (), output_size=3, dropout=0.9, rng=0)
    x = Tensor(points(50, 2))
    np.testing.assert_array_equal(net(x).numpy(), net(x).numpy())


def test_without_dropout_there_is_no_noise():
    model = classifier("mc_dropout", 3, 2, train_rows=10, dropout=0.0, rng=0)
    x = points(5, 2)
    parts = model.uncertainty(x)
    np.testing.assert_allclose(parts["epistemic"].numpy(), 0, atol=1e-6)
    expected = functional.softmax(model(Tensor(x))).numpy()
    np.testing.assert_allclose(model.predict_proba(x).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "options, keeps",
    [
        ({"hidden_sizes": (6, 5)}, [1, 0.7, 0.7, 0.7]),
        ({"hidden_sizes": ()}, [1, 0.7]),
        ({"hidden_sizes": (6,), "input_dropout": 0.1}, [0.9, 0.7, 0.7]),
        ({"hidden_sizes": (6,), "dropout": 0.0}, [1, 1, 1]),
        ({"hidden_sizes": (6,), "length_scale": 0.3}, [1, 0.7, 0.7]),
    ],
)
def test_native_objective_adds_the_weight_decay_of_the_prior(options, keeps):
    options = {"dropout": 0.3, **options}
    model = classifier("mc_dropout", 3, 2, train_rows=40, native=True, **options, rng=0)
    for p in model.parameters():
        p.data += 0.5
    x, y = Tensor(points(8, 2)), np.arange(8) % 3
    cross_entropy = functional.cross_entropy(reseed(model)(x), y).item()
    squares = [float((p.data.astype("float64") ** 2).sum()) for p in model.parameters()]
    weights, biases = squares[::2], squares[1::2]
    assert len(weights) == len(keeps)
    decay = sum(w / keep + b for w, b, keep in zip(weights, biases, keeps))
    expected = cross_entropy + options.get("length_scale", 0.1) ** 2 / (2 * 40) * decay
    assert reseed(model).loss(x, y).item() == pytest.approx(expected, rel=1e-6)
    assert expected - cross_entropy > 0.001


def test_the_decay_of_inverted_masks_acts_as_the_papers_does_on_masks_of_0_and_1():
    # One layer behind a mask: x z M with z of 0 or 1 and M = W / q is x (z / q) W. The paper's
    # q l^2 / 2 |M|^2 must then be what the decay says of W.
    model = classifier("mc_dropout", 3, 2, (), train_rows=1, native=True, dropout=0.3, rng=0)
    model.backbone.last.weight.data[...] = 0
    acting = model.head.layers[1].weight.data / 0.7
    assert model.decay().item() == pytest.approx(0.7 * 0.1**2 / 2 * (acting**2).sum(), rel=1e-5)


def test_inputs_are_dropped_only_on_request():
    net = build("mc_dropout", 2, (), output_size=3, input_dropout=0.4, rng=0)
    dropped = net(Tensor(np.ones((4000, 2), "float32"))).numpy()
    both_gone = (dropped == net.last.bias.numpy()).all(axis=-1)
    assert abs(both_gone.mean() - 0.4**2) < 0.03


def test_prediction_averages_the_softmax_over_masks():
    model = classifier("mc_dropout", 3, 2, train_rows=10, dropout=0.5, samples=6, rng=0)
    x = points(5, 2) * 5
    logits = reseed(model).eval()(Tensor(np.broadcast_to(x, (6, 5, 2)))).numpy().astype("float64")
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    proba = reseed(model).predict_proba(x).numpy()
    np.testing.assert_allclose(proba, p.mean(axis=0), atol=1e-6)
    mean = np.exp(logits.mean(axis=0))
    assert np.abs(proba - mean / mean.sum(axis=-1, keepdims=True)).max() > 0.001


def test_predictions_differ_from_draw_to_draw_and_settle_with_more():
    def spread(samples):
        model = classifier("mc_dropout", 3, 2, train_rows=10, samples=samples, rng=0)
        x = points(5, 2) * 5
        return np.std([model.predict_proba(x).numpy() for _ in range(40)], axis=0).mean()

    few, many = spread(4), spread(100)
    assert few > 0 and 3.5 < few / many < 7  # sqrt(100 / 4) = 5


def test_uncertainty_is_that_of_the_samples():
    model = classifier("mc_dropout", 3, 2, train_rows=10, dropout=0.5, rng=0)
    x = points(5, 2) * 5
    parts = {k: v.numpy() for k, v in reseed(model).uncertainty(x).items()}
    np.testing.assert_allclose(parts["mean"], reseed(model).predict_proba(x).numpy(), rtol=1e-6)
    entropy = -(parts["mean"] * np.log(parts["mean"])).sum(axis=-1)
    np.testing.assert_allclose(parts["total"], entropy, rtol=1e-5)
    assert (parts["epistemic"] > 0.001).all()
    each = reseed(model).sample_proba(x).numpy()
    expected = -(each * np.log(np.maximum(each, 1e-30))).sum(axis=-1).mean(axis=0)
    np.testing.assert_allclose(parts["aleatoric"], expected, rtol=1e-5)
    np.testing.assert_allclose(parts["epistemic"], entropy - expected, rtol=1e-4, atol=1e-6)
