"""Activations, losses and layers at the edges: extreme numbers, odd shapes, wrong arguments."""

import itertools

import numpy as np
import pytest

from minigrad import Tensor, backend, functional, ops
from minigrad.functional import losses

EXTREME = np.array([-1e4, -104, -88.8, -88, -1e-4, 0, 1e-4, 88, 88.8, 104, 1e4], "float32")


def value_and_gradient(function, x):
    x = Tensor(x, requires_grad=True)
    y = function(x)
    y.sum().backward()
    return y.numpy(), x.grad


# --- stability -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        functional.relu,
        functional.sigmoid,
        functional.silu,
        functional.gelu,
        functional.softplus,
        ops.tanh,
        functional.softmax,
        functional.log_softmax,
        functional.logsumexp,
        functional.sparsemax,
        lambda x: functional.glu(ops.concatenate([x, x])),
        lambda x: functional.cross_entropy(x[None, :], np.array([0])),
        lambda x: functional.layer_norm(x[None, :], np.ones((1, 11), "f"), np.zeros((1, 11), "f")),
        lambda x: functional.batch_norm(x[:, None], np.ones((1, 1), "f"), np.zeros((1, 1), "f")),
    ],
)
def test_extreme_numbers_give_finite_values_and_gradients(function):
    """NumPy's warnings (overflow, division by zero) are errors here as well."""
    for x in (EXTREME, 1000 * EXTREME, np.full(11, 1e4, "float32"), np.full(11, -1e4, "float32")):
        value, gradient = value_and_gradient(function, x)
        assert np.isfinite(value).all() and np.isfinite(gradient).all()
        assert value.dtype == gradient.dtype == "float32"


@pytest.mark.parametrize(
    "function, expected",
    [
        (functional.sigmoid, [0, np.exp(-88), 1, 1]),
        (functional.softplus, [0, np.exp(-88), 88, 1e4]),
        (functional.silu, [0, -88 * np.exp(-88), 88, 1e4]),
        (functional.gelu, [0, 0, 88, 1e4]),
        (functional.relu, [0, 0, 88, 1e4]),
    ],
)
def test_both_ends_are_right(function, expected):
    x = np.array([-1e4, -88, 88, 1e4], "float64")
    np.testing.assert_allclose(function(Tensor(x)).numpy(), expected, rtol=1e-12, atol=1e-30)


def test_softmax_and_its_relatives_ignore_a_shift():
    x = np.random.default_rng(0).standard_normal((3, 5)).astype("float32").round(2)
    for function in (functional.softmax, functional.log_softmax, functional.sparsemax):
        shifted = function(Tensor(x + 1024)).numpy()
        np.testing.assert_allclose(shifted, function(Tensor(x)).numpy(), atol=3e-4)
    np.testing.assert_allclose(
        functional.logsumexp(Tensor(x + 1024)).numpy(),
        functional.logsumexp(Tensor(x)).numpy() + 1024,
        rtol=1e-6,
    )


def test_softmax_and_logsumexp_of_what_is_forbidden():
    """-inf is how entries are masked out."""
    x = np.array([[0.0, -np.inf, 0.0]], "float32")
    for function, expected in (
        (functional.softmax, [[0.5, 0, 0.5]]),
        (functional.sparsemax, [[0.5, 0, 0.5]]),
        (functional.logsumexp, [np.log(2)]),
    ):
        value, gradient = value_and_gradient(function, x)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
        assert np.isfinite(gradient).all()


def test_unknown_activation_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"'rellu': choose one of relu, sigmoid, tanh"):
        functional.activation("rellu")


# --- cross-entropy ---------------------------------------------------------------------------


def reference(logits, target):
    """Mean over the batch of -sum_c t_c log softmax(z)_c, in float64."""
    z = logits.astype("float64")
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return -(target * log_p).sum(axis=-1).mean(axis=-1)


LOGITS = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("float32")
LABELS = np.random.default_rng(1).integers(5, size=(2, 3, 4))
PROBABILITIES = np.random.default_rng(2).dirichlet(np.ones(5), size=(2, 3, 4)).astype("float32")


@pytest.mark.parametrize("lead", [(), (0,), (0, 0)], ids=["R S", "S", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_has_one_loss_for_each_of_what_leads(lead, smoothing):
    logits, labels, probabilities = LOGITS[lead], LABELS[lead], PROBABILITIES[lead]
    for target, given in ((np.eye(5)[labels], labels), (probabilities, probabilities)):
        target = target * (1 - smoothing) + smoothing / 5
        loss = functional.cross_entropy(Tensor(logits), given, smoothing=smoothing)
        assert loss.shape == logits.shape[:-2] and loss.dtype == "float32"
        np.testing.assert_allclose(loss.numpy(), reference(logits, target), rtol=1e-5)


def test_cross_entropy_with_the_same_labels_for_all_that_leads():
    together = functional.cross_entropy(Tensor(LOGITS), LABELS[0, 0]).numpy()
    for index in np.ndindex(2, 3):
        alone = functional.cross_entropy(Tensor(LOGITS[index]), LABELS[0, 0]).item()
        assert together[index] == pytest.approx(alone, rel=1e-6)


def test_one_hot_labels_are_class_probabilities():
    one_hot = np.eye(5, dtype="float32")[LABELS]
    np.testing.assert_allclose(
        functional.cross_entropy(Tensor(LOGITS), one_hot).numpy(),
        functional.cross_entropy(Tensor(LOGITS), LABELS).numpy(),
        rtol=1e-6,
    )


@pytest.mark.parametrize("dtype", ["int32", "uint8", "int64"])
def test_labels_of_any_integer_dtype(dtype):
    expected = functional.cross_entropy(Tensor(LOGITS), LABELS).numpy()
    for labels in (LABELS.astype(dtype), Tensor(LABELS.astype(dtype))):
        assert (functional.cross_entropy(Tensor(LOGITS), labels).numpy() == expected).all()


@pytest.mark.parametrize("classes", [5, 150])  # with a table of all classes, and without
@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint64"])
def test_labels_out_of_range_are_refused_however_far(classes, dtype):
    logits = Tensor(np.zeros((3, classes), "float32"))
    limits = np.iinfo(dtype)
    others = [-1, -classes, -2 * classes, -2 * classes - 1, classes, 2 * classes - 1, 2 * classes]
    for label in {limits.min, limits.max, *others}:
        if label in range(classes) or not limits.min <= label <= limits.max:
            continue
        with pytest.raises(ValueError, match=f"labels from .* for {classes} classes"):
            functional.cross_entropy(logits, np.array([0, label, 1], dtype))


def test_targets_are_the_same_with_a_table_of_all_classes_and_without(monkeypatch):
    labels = np.random.default_rng(0).integers(5, size=(2, 7))
    expected = losses.one_hot(LOGITS, labels, 5)
    monkeypatch.setattr(losses, "FEW_CLASSES", 0)
    for target in (expected, losses.one_hot(LOGITS, labels, 5)):
        assert target.dtype == LOGITS.dtype
        np.testing.assert_array_equal(target, np.arange(5) == labels[..., None])


def test_the_table_of_all_classes_is_kept():
    first = losses.one_hot(LOGITS, LABELS, 5)
    first[...] = 7
    assert losses.one_hot(LOGITS, LABELS, 5).max() == 1
    all_labels = np.arange(losses.FEW_CLASSES, dtype="int8")
    np.testing.assert_array_equal(losses.one_hot(LOGITS, all_labels, 100), np.eye(100))


def test_a_confidently_wrong_answer_costs_its_margin():
    value, gradient = value_and_gradient(
        lambda z: functional.cross_entropy(z, np.array([1])), np.array([[1e4, -1e4]], "float32")
    )
    assert value == 2e4
    assert gradient.tolist() == [[1, -1]]


def test_each_replica_has_the_gradient_that_it_has_alone():
    stacked = Tensor(LOGITS, requires_grad=True)
    functional.cross_entropy(stacked, LABELS).sum().backward()
    alone = Tensor(LOGITS[1, 2], requires_grad=True)
    functional.cross_entropy(alone, LABELS[1, 2]).backward()
    np.testing.assert_array_equal(stacked.grad[1, 2], alone.grad)


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(3, int),  # too few
        np.zeros((4, 1), int),  # a column
        np.zeros(4, "float32"),  # class numbers as floats
        np.zeros((4, 6), "float32"),  # too many classes
        np.zeros((5, 4), "float32"),  # transposed
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_labels_of_a_wrong_shape_are_an_error_with_both_shapes(labels):
    with pytest.raises(ValueError) as caught:
        functional.cross_entropy(Tensor(LOGITS[0, 0]), labels)
    assert str(labels.shape) in str(caught.value) and "(4, 5)" in str(caught.value)


# --- sparsemax -------------------------------------------------------------------------------


def nearest_in_simplex(x):
    """By brute force: of all supports, the feasible projection that is nearest."""
    best = None
    for size in range(1, len(x) + 1):
        for support in map(list, itertools.combinations(range(len(x)), size)):
            p = np.zeros_like(x)
            p[support] = x[support] - (x[support].sum() - 1) / size
            if (p >= 0).all() and (best is None or ((p - x) ** 2).sum() < ((best - x) ** 2).sum()):
                best = p
    return best


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_sparsemax_is_the_nearest_point_of_the_simplex(scale):
    x = scale * np.random.default_rng(0).standard_normal((4, 10, 5))
    p = functional.sparsemax(Tensor(x)).numpy()
    for index in np.ndindex(4, 10):
        np.testing.assert_allclose(p[index], nearest_in_simplex(x[index]), atol=1e-12)


@pytest.mark.parametrize(
    "x, expected",
    [
        ([0.0, 0.0], [0.5, 0.5]),
        ([1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
        ([2.0, 1.0], [1.0, 0.0]),  # on the border of the support
        ([7.0], [1.0]),
        ([-1e4, -1e4, 1e4], [0.0, 0.0, 1.0]),
    ],
)
def test_sparsemax_of_special_rows(x, expected):
    value, gradient = value_and_gradient(functional.sparsemax, np.array([x]))
    np.testing.assert_allclose(value, [expected], rtol=1e-15)
    np.testing.assert_allclose(gradient, np.zeros((1, len(x))), atol=1e-15)  # they sum to one


# --- normalisation ---------------------------------------------------------------------------


@pytest.mark.parametrize("norm, axis", [(functional.layer_norm, -1), (functional.batch_norm, -2)])
def test_a_large_mean_does_not_spoil_the_variance(norm, axis):
    """E[x^2] - E[x]^2 in float32 would be off by several units here."""
    x = 1e4 + np.random.default_rng(0).standard_normal((64, 64)).astype("float32")
    y = norm(Tensor(x), np.ones((1, 64), "float32"), np.zeros((1, 64), "float32")).numpy()
    exact = x.astype("float64")
    exact = exact - exact.mean(axis=axis, keepdims=True)
    exact /= np.sqrt((exact**2).mean(axis=axis, keepdims=True) + 1e-5)
    np.testing.assert_allclose(y, exact, atol=5e-3)
    np.testing.assert_allclose(y.var(axis=axis), 1, atol=1e-4)


def test_layer_norm_treats_each_row_alone():
    x = np.random.default_rng(0).standard_normal((2, 3, 4)).astype("float32")
    gain, bias = np.full((1, 4), 2, "float32"), np.full((1, 4), 5, "float32")
    y = functional.layer_norm(Tensor(x), gain, bias).numpy()
    np.testing.assert_allclose(y.mean(axis=-1), 5, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=-1), 2, rtol=1e-3)
    np.testing.assert_array_equal(
        functional.layer_norm(Tensor(x[1, 2:]), gain, bias).numpy()[0], y[1, 2]
    )


def test_batch_norm_moves_its_running_statistics():
    rng = np.random.default_rng(0)
    gain, bias = np.ones((2, 1, 3)), np.zeros((2, 1, 3))
    mean, variance = np.zeros((2, 1, 3)), np.ones((2, 1, 3))
    expected_mean, expected_variance = mean.copy(), variance.copy()
    for _ in range(3):
        x = rng.normal(5, 2, (2, 8, 3))
        functional.batch_norm(Tensor(x), gain, bias, running=(mean, variance), momentum=0.25)
        expected_mean = 0.75 * expected_mean + 0.25 * x.mean(axis=1, keepdims=True)
        expected_variance = 0.75 * expected_variance + 0.25 * x.var(axis=1, keepdims=True)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-12)
    np.testing.assert_allclose(variance, expected_variance, rtol=1e-12)


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_without_a_variance_is_refused_and_moves_nothing(rows):
    running = np.zeros((1, 2)), np.ones((1, 2))
    with pytest.raises(ValueError, match=f"the batch has {rows} rows"):
        functional.batch_norm(Tensor(np.ones((rows, 2))), *np.ones((2, 1, 2)), running=running)
    assert (running[0] == 0).all() and (running[1] == 1).all()


# --- dropout ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_expectation(rate):
    x = np.ones((1000, 100), "float32")
    y = functional.dropout(Tensor(x), rate, backend.Noise(0)).numpy()
    kept = y != 0
    five_sigma = 5 * np.sqrt(rate * (1 - rate) / x.size)
    assert kept.mean() == pytest.approx(1 - rate, abs=five_sigma)
    np.testing.assert_allclose(y[kept], 1 / (1 - rate), rtol=1e-6)


def test_dropout_drops_the_gradient_of_what_it_drops():
    x = np.full((20, 30), 3, "float32")
    value, gradient = value_and_gradient(lambda x: functional.dropout(x, 0.4, backend.Noise(0)), x)
    np.testing.assert_array_equal(value, x * gradient)


def test_dropout_is_decided_by_its_generator():
    x = Tensor(np.ones((20, 30), "float32"))
    noise = backend.Noise(3)
    first, second = (functional.dropout(x, 0.5, noise).numpy() for _ in range(2))
    again = functional.dropout(x, 0.5, backend.Noise(3)).numpy()
    assert (first == again).all() and (first != second).any()


def test_dropout_masks_of_what_leads_are_independent():
    y = functional.dropout(Tensor(np.ones((2, 20, 30), "float32")), 0.5, backend.Noise(0))
    assert (y.numpy()[0] != y.numpy()[1]).any()


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, float("nan")])
def test_dropout_rates_out_of_range_are_an_error(rate):
    with pytest.raises(ValueError, match=rf"dropout_rate must lie in \[0, 1\), not {rate}"):
        functional.dropout(Tensor(np.ones(3, "float32")), rate, backend.Noise(0))


# --- shapes ----------------------------------------------------------------------------------


def test_glu_of_an_odd_number_of_features_is_an_error():
    with pytest.raises(ValueError, match="5 is odd"):
        functional.glu(Tensor(np.ones((2, 5))))


def test_linear_is_matmul_and_bias_whatever_leads():
    rng = np.random.default_rng(0)
    x, w, b = (rng.standard_normal(s) for s in [(7, 2, 3, 4), (2, 4, 5), (2, 1, 5)])
    y = functional.linear(Tensor(x), w, b).numpy()
    assert y.shape == (7, 2, 3, 5)
    np.testing.assert_allclose(y[6, 1], x[6, 1] @ w[1] + b[1], rtol=1e-12)


@pytest.mark.parametrize(
    "labels",
    [np.zeros((3, 3), int), np.zeros((4, 3), int), np.zeros((4, 3, 3), "float32")],
    ids=["integer one-hot, B = C", "labels lead", "probabilities lead"],
)
def test_labels_with_more_axes_than_logits_are_an_error(labels):
    with pytest.raises(ValueError, match=r"of shape .* do not fit logits \(3, 3\)"):
        functional.cross_entropy(Tensor(np.zeros((3, 3), "float32")), labels)


def test_logits_without_a_batch_axis_are_an_error_that_says_so():
    with pytest.raises(ValueError, match="logits"):
        functional.cross_entropy(Tensor([0.0, 1.0]), np.array(1))


def test_float64_probabilities_leave_float32_logits_alone():
    z = Tensor(np.zeros((1, 2), "float32"))
    assert functional.cross_entropy(z, np.array([[0.25, 0.75]])).dtype == "float32"


@pytest.mark.parametrize("error", [0, 1e-10, 1, 1e10])
@pytest.mark.parametrize("s", [-1e4, -170, -80, 0, 80, 170, 1e4])
def test_gaussian_nll_of_odd_variances(s, error):
    """It may be infinite, where the number is so large, but never NaN; and its slope always moves
    the variance towards the squared error."""
    log_variance, mean = (
        Tensor(np.full((1, 1), x, "float32"), requires_grad=True) for x in (s, 0.0)
    )
    with np.errstate(over="ignore"):
        loss = functional.gaussian_nll(mean, log_variance, np.full((1, 1), error, "float32"))
        loss.backward()
        variance = np.exp(np.clip(s, -170, 170))
        expected = (
            (error**2 / variance + s + np.log(2 * np.pi)) / 2,
            (1 - error**2 / variance) / 2,
            -error / variance,
        )
        expected = np.float32(expected)
    found = loss.item(), log_variance.grad.item(), mean.grad.item()
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-37)
    assert loss.dtype == log_variance.grad.dtype == mean.grad.dtype == "float32"


def test_gaussian_nll_refuses_what_it_cannot_pair():
    column, row = np.zeros((3, 1), "float32"), np.zeros(3, "float32")
    with pytest.raises(ValueError, match=r"give y\[..., None\]"):
        functional.gaussian_nll(Tensor(column), Tensor(column), row)
    with pytest.raises(ValueError, match="no rows"):
        functional.gaussian_nll(Tensor(column[:0]), Tensor(column[:0]), column[:0])
    with pytest.raises(TypeError, match="floating-point numbers, not int64"):
        functional.gaussian_nll(Tensor(column), Tensor(column), column.astype("int64"))


def test_mse_of_a_column_and_a_row_is_an_error():
    with pytest.raises(ValueError, match="differ in shape"):
        functional.mse(Tensor(np.zeros((3, 1), "float32")), np.zeros(3, "float32"))


def test_gelu_of_any_finite_number_is_finite():
    x = Tensor(np.array([-3e38, -1e20, 1e20, 3e38], "float32"), requires_grad=True)
    y = functional.gelu(x)
    y.backward(np.ones(4, "float32"))
    assert np.isfinite(y.numpy()).all() and x.grad.tolist() == [0, 0, 1, 1]


def test_a_list_of_labels_says_what_is_expected():
    with pytest.raises(TypeError, match=r"Tensors or arrays .*'labels': 'list'"):
        functional.cross_entropy(Tensor(np.zeros((2, 3), "float32")), [0, 1])


@pytest.mark.parametrize("shape", [(), (4,), (4, 3), (2, 4, 3)])
def test_mse_is_a_mean_over_batch_and_features_and_keeps_the_prediction_s_dtype(shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, *shape))
    loss = functional.mse(Tensor(np.asarray(a, "float32")), Tensor(np.asarray(b)))
    squares = np.asarray((a - b) ** 2)
    expected = squares.mean(axis=tuple(range(-min(squares.ndim, 2), 0)))
    assert loss.dtype == "float32" and loss.shape == shape[:-2]
    np.testing.assert_allclose(loss.data, expected, rtol=1e-5)
