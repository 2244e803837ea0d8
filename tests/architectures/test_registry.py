"""What all architectures have in common: names, options, shapes and true gradients."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_models import (
    CLASSES,
    EVERY,
    FEATURES,
    OPTIONS,
    ROWS,
    reseed,
    small_classifier,
    small_data,
    to_float64,
)

from architectures import (
    Classifier,
    build,
    classifier,
    list_architectures,
    list_families,
    lookup,
    register,
)
from architectures.energy.langevin import PersistentChains
from architectures.feedforward.tabnet import TabNetClassifier
from architectures.uncertainty import SamplingClassifier
from minigrad import Tensor, nn

# --- the registry ----------------------------------------------------------------------------


def test_eight_architectures_in_four_families():
    assert list_architectures() == [name for name in OPTIONS if name != "associative_memory"]
    assert list_families() == {
        "feedforward": ["mlp", "tabnet"],
        "probabilistic": ["bayesian", "mc_dropout"],
        "energy": ["ebm", "hopfield"],
        "neuromorphic": ["snn", "ann2snn"],
    }


class Squares(nn.Module):
    """A guest: the squares of the inputs, times a number."""

    def __init__(self, input_size, *, factor=1.0, rng=None):
        self.factor = Tensor(np.full((1, input_size), factor, "float32"), requires_grad=True)
        self.output_size = input_size

    def forward(self, x):
        return self.factor * x * x


class Cautious(Classifier):
    """A guest's own behaviour."""

    def predict_proba(self, x, *, rng=None):
        return 0.5 * super().predict_proba(x, rng=rng) + 0.5 / self.num_classes


def test_a_guest_is_an_architecture_like_any_other():
    names = {"label": "x²", "family": "polynomial", "colour": "#123456"}
    options = {"options": {"factor": 3.0}, "synonyms": {"scale": "factor"}}
    entry = register("squares", Squares, native=Cautious, **names, **options)
    assert entry is lookup("squares") and list_architectures()[-1] == "squares"
    assert (entry.label, entry.family, entry.colour) == ("x²", "polynomial", "#123456")
    assert list_families()["polynomial"] == ["squares"]
    assert build("squares", 2, scale=5.0).factor.numpy().tolist() == [[5, 5]]
    x, _ = small_data()
    for native, behaviour in ((False, Classifier), (True, Cautious)):
        model = classifier(
            "squares", 3, FEATURES, train_rows=9, native=native, rng=0, **entry.options
        )
        assert type(model) is behaviour and model.predict_proba(x).shape == (ROWS, 3)
    assert model.predict_proba(x).numpy().min() > 0.166
    with pytest.raises(TypeError, match=r"squares: .*its options are input_size, factor, rng"):
        build("squares", 2, hidden=3)


def test_a_guest_needs_no_more_than_a_class_and_a_name():
    entry = register("squares", Squares)
    assert (entry.label, entry.family, entry.options) == ("squares", "guests", {})
    assert entry.shared is entry.native is Classifier
    assert register("squares", Squares, family="other").family == "other"  # once more: replaced
    with pytest.raises(ValueError, match="'mlp' belongs to MLP already"):
        register("mlp", Squares)


def test_a_backbone_without_a_width_is_refused():
    with pytest.raises(ValueError, match=r"output_size must be a whole number .*, not None"):
        Classifier(nn.Sequential(), 2, train_rows=9)


def test_the_words_of_the_notebook_are_understood():
    net = build("hopfield", input_dim=2, hidden_dim=6, rng=0)
    assert net.query.weight.shape == (2, 6)
    assert build("mc_dropout", 2, dropout_rate=0.3).dropout.rate == 0.3
    with pytest.raises(TypeError, match="hidden_dim"):
        build("hopfield", 2, hidden_size=6, hidden_dim=6)


def test_names_in_tables():
    labels = ["MLP", "TabNet", "Bayesian", "MC Dropout", "EBM", "Hopfield", "SNN", "ANN2SNN"]
    assert [lookup(name).label for name in list_architectures()] == labels


def test_the_sizes_of_the_comparison():
    def sizes(native):
        models = {
            name: classifier(name, 5, 2, train_rows=9, native=native, **lookup(name).options)
            for name in list_architectures()
        }
        return {name: sum(p.size for p in m.parameters()) for name, m in models.items()}

    assert sizes(native=False) == {
        "mlp": 2437, "tabnet": 78453, "bayesian": 5685, "mc_dropout": 2885,
        "ebm": 2315, "hopfield": 8709, "snn": 2885, "ann2snn": 3077,
    }  # fmt: skip
    assert sizes(native=True) == sizes(native=False) | {"bayesian": 5770, "ebm": 2437}
    assert lookup("mlp").options["dropout"] == 0 and lookup("tabnet").options["num_steps"] == 3


def test_an_unknown_name_lists_those_that_exist():
    with pytest.raises(ValueError, match=r"'mpl'.*mlp, tabnet, .*ann2snn"):
        build("mpl", 2)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_unknown_option_lists_those_that_exist(name):
    with pytest.raises(TypeError, match=rf"{name}: .*hiden.*its options are input_"):
        build(name, 2, hiden=3)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_missing_input_size_is_said(name):
    with pytest.raises(TypeError, match=rf"{name}: .*input_"):
        build(name)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_name_for_tables_and_a_docstring_with_paper_and_symbols(name):
    entry = lookup(name)
    text = sys.modules[entry.backbone.__module__].__doc__
    assert issubclass(entry.backbone, nn.Module) and entry.label
    assert "symbol" in text and any(f" {year}" in text or f"{year}." in text for year in YEARS)


YEARS = range(1986, 2022)


@pytest.mark.parametrize(
    "name, options",
    [
        ("ann2snn", {"percentile": 0}),
        ("ann2snn", {"percentile": 101}),
        ("hopfield", {"hidden_size": 6, "num_heads": 4}),
        ("mlp", {"activation": "rleu"}),
        ("snn", {"surrogate": "sigmoid"}),
        ("tabnet", {"num_steps": 0}),
        ("tabnet", {"num_shared": 0, "num_independent": 0}),
    ],
)
def test_bad_options_are_refused_with_their_value(name, options):
    with pytest.raises(ValueError, match=str(list(options.values())[-1])):
        build(name, 2, **options)


# Parameters of the backbone and the linear head, counted by hand from the layers.
COUNTS = {
    "mlp": (OPTIONS["mlp"], 3 * 8 + 8 + 8 * 6 + 6 + (6 * 4 + 4)),
    "bayesian": (OPTIONS["bayesian"], 2 * (3 * 8 + 8 + 8 * 6 + 6) + (6 * 4 + 4)),
    "mc_dropout": (OPTIONS["mc_dropout"], 3 * 8 + 8 + 8 * 6 + 6 + 6 * 6 + 6 + (6 * 4 + 4)),
    "ebm": (OPTIONS["ebm"], 3 * 8 + 8 + 8 * 6 + 6 + 6 + 1 + (4 + 4)),
    "hopfield": (OPTIONS["hopfield"], 3 * 6 + 6 + 2 * 5 * 6 + (6 * 4 + 4)),
    "associative_memory": (
        OPTIONS["associative_memory"],
        3 * 6 + 6 + 2 * (6 * 6 + 6 + 2 * 5 * 6 + 2 * 6) + (6 * 4 + 4),
    ),
    "snn": (OPTIONS["snn"], 3 * 8 + 8 + 8 * 6 + 6 + 6 * 6 + 6 + (6 * 4 + 4)),
    "ann2snn": (OPTIONS["ann2snn"], 3 * 8 + 3 * 8 + 8 * 6 + 3 * 6 + 6 * 6 + 6 + (6 * 4 + 4)),
    # w = 8; input norm; 2 shared matrices; 3 transformers of 2 matrices and 4 norms; 2 attentions.
    "tabnet": (
        OPTIONS["tabnet"],
        6 + (3 * 16 + 8 * 16) + 3 * (2 * 8 * 16 + 4 * 32) + 2 * (4 * 3 + 6) + (4 * 4 + 4),
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_the_number_of_parameters(name):
    _, count = COUNTS[name]
    assert sum(p.size for p in small_classifier(name).parameters()) == count


@pytest.mark.parametrize("name, native", EVERY)
def test_shapes_with_and_without_leading_axes(name, native):
    model = small_classifier(name, native).eval()
    for lead in ((), (2,), (2, 3)):
        x, _ = small_data(*lead)
        x = x.astype("float32")
        backbone = model.backbone
        assert model(Tensor(x)).shape == (*lead, ROWS, CLASSES)
        if not native:
            assert backbone(Tensor(x)).shape == (*lead, ROWS, backbone.output_size)
        for finished in (model, model.finish(x)):
            proba = finished.predict_proba(x)
            assert proba.shape == (*lead, ROWS, CLASSES) and proba.dtype == "float32"
            np.testing.assert_allclose(proba.numpy().sum(axis=-1), 1, rtol=1e-5)
            assert not proba.requires_grad


@pytest.mark.parametrize("name", ["mlp", "tabnet", "ebm", "hopfield", "snn", "ann2snn"])
def test_a_prediction_depends_on_its_point_alone(name):
    options = {"dropout": 0.5} if name in ("mlp", "tabnet") else {}
    model = small_classifier(name, **options)
    x = small_data()[0].astype("float32")
    model(Tensor(x))
    together, alone = model.train().predict_proba(x), model.train().predict_proba(x[:1])
    np.testing.assert_allclose(alone.numpy(), together.numpy()[:1], atol=1e-6)


@pytest.mark.parametrize("name, native", EVERY)
def test_the_loss_has_one_value_for_each_of_what_leads(name, native):
    model = small_classifier(name, native)
    x, y = small_data()
    assert model.loss(Tensor(x.astype("float32")), y).shape == ()
    stacked = nn.stack([small_classifier(name, native, seed) for seed in range(2)])
    x, y = small_data(2)
    assert stacked.loss(Tensor(x.astype("float32")), y).shape == (2,)


@pytest.mark.parametrize("name, native", EVERY)
def test_the_seed_determines_model_noise_and_prediction(name, native):
    x, y = small_data()
    x = Tensor(x.astype("float32"))

    def everything(seed):
        model = small_classifier(name, native, seed)
        loss = model.loss(x, y)
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        return [loss.data, *gradients, model.finish(x).predict_proba(x).data]

    once, again, other = everything(1), everything(1), everything(2)
    assert all(np.array_equal(a, b) for a, b in zip(once, again))
    assert not np.array_equal(once[-1], other[-1])


# --- predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("name, native", EVERY)
def test_a_query_changes_no_state(name, native):
    model, (x, y) = small_classifier(name, native), small_data()
    model.head.eval()
    modes = [part.training for part in model.modules()]

    def noise():
        """What the model draws next: a loss in training mode."""
        return model.loss(Tensor(x.astype("float32")), y).item()

    before = model.state_dict()
    finished = model.finish(x)
    finished.predict_proba(x, rng=0), model.predict_proba(x, rng=0)
    if isinstance(model, SamplingClassifier):
        model.uncertainty(x, rng=0)
    assert [part.training for part in model.modules()] == modes
    assert all(np.array_equal(before[k], array) for k, array in model.state_dict().items())
    undisturbed = small_classifier(name, native)
    undisturbed.head.eval()
    queried = noise()
    model = undisturbed
    assert queried == noise()


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", ["bayesian", "mc_dropout"])
def test_a_seed_names_a_sampled_prediction(name, native):
    model, (x, _) = small_classifier(name, native), small_data()
    other = small_classifier(name, native, rng=1)
    other.load_state_dict(model.state_dict())

    def proba(model, rng):
        return model.predict_proba(x, rng=rng).numpy()

    for seed in (3, (3, 4), np.random.SeedSequence(5).generate_state(2)):
        assert np.array_equal(proba(model, seed), proba(other, seed))
    generators = [np.random.default_rng(3) for _ in range(2)]
    first, second = proba(model, generators[0]), proba(other, generators[1])
    assert np.array_equal(first, second)
    assert not np.array_equal(proba(model, generators[0]), first)
    assert not np.array_equal(proba(model, 3), proba(model, 4))
    assert not np.array_equal(proba(model, None), proba(model, None))
    parts = [m.uncertainty(x, samples=5, rng=7)["epistemic"].numpy() for m in (model, other)]
    assert np.array_equal(*parts) and parts[0].min() > 0
    samples = model.sample_proba(x, samples=5, rng=7).numpy()
    assert samples.shape == (5, ROWS, CLASSES)
    np.testing.assert_allclose(
        samples.mean(axis=0), model.uncertainty(x, samples=5, rng=7)["mean"].numpy()
    )


def test_the_same_prediction_in_another_process():
    code = (
        "from architectures import classifier; import numpy as np;"
        "m = classifier('bayesian', 3, 2, train_rows=9, hidden_sizes=(4,), rng=0);"
        "print(m.predict_proba(np.eye(2), rng=5).numpy().tobytes().hex())"
    )
    root = Path(__file__).parents[2]
    run = [
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
        for _ in range(2)
    ]
    assert run[0].stdout == run[1].stdout != b""


@pytest.mark.parametrize("x", [np.zeros(3), np.array([["a", "b", "c"]]), np.zeros((2, 3), complex)])
def test_what_is_no_table_of_numbers_is_refused(x):
    with pytest.raises((ValueError, TypeError), match=r"shape|dtype|numbers"):
        small_classifier("mlp").predict_proba(x)


@pytest.mark.parametrize("dtype", ["float64", "int64", "float16", "bool"])
def test_points_of_any_numbers_are_predicted_in_the_dtype_of_the_weights(dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    assert small_classifier("bayesian").predict_proba(x).dtype == "float32"
    assert to_float64(small_classifier("mlp")).predict_proba(x).dtype == "float64"


# --- gradients -------------------------------------------------------------------------------
# Of whole models, by central differences along a random direction of each parameter and of x.


def check_gradients(model, x, y):
    x = Tensor(x, requires_grad=True)
    check_derivatives(model, [("x", x)], lambda: model.loss(x, y))


def check_derivatives(model, inputs, function, step=1e-6, tolerance=1e-6):
    to_float64(model).train()

    def loss():
        reseed(model)
        return function()

    loss().backward()
    rng = np.random.default_rng(1)
    for name, tensor in [*inputs, *model.named_parameters()]:
        assert tensor.grad is not None, f"{name}: no gradient arrived"
        direction = rng.standard_normal(tensor.shape)
        values = tensor.data
        tensor.data = values + step * direction
        ahead = loss().item()
        tensor.data = values - step * direction
        behind = loss().item()
        tensor.data = values
        numerical, analytical = (ahead - behind) / (2 * step), (tensor.grad * direction).sum()
        assert abs(numerical - analytical) <= tolerance * (1 + abs(numerical)), (
            f"{name}: {numerical:.9g} by differences, {analytical:.9g} by backward"
        )


def fix_negatives(model):
    """The negatives are samples, through which no gradient flows: here they stay where they are."""
    negatives = np.random.default_rng(3).standard_normal((ROWS, FEATURES))
    chains = [part for part in model.modules() if isinstance(part, PersistentChains)]
    for part in chains:
        part.advance = lambda energy, count: negatives
    return model


SOFT = {"soft": True, "detach_reset": False}
GRADIENT_CASES = [
    ("mlp", {}),
    ("mlp", {"dropout": 0.3, "layer_norm": True, "residual": True, "activation": "gelu"}),
    ("tabnet", {}),
    ("tabnet", {"relaxation_factor": 1.0, "num_shared": 0, "dropout": 0.2}),
    ("bayesian", {"prior_sigma": 0.7, "posterior_rho": -1.0}),
    ("tabnet", {"attention_size": 3, "num_steps": 3}),
    ("mc_dropout", {}),
    # A row without any input left would stand on the kink of a ReLU.
    ("mc_dropout", {"input_dropout": 0.3, "activation": "tanh"}),
    ("ebm", {}),
    ("hopfield", {}),
    ("hopfield", {"tied": True, "num_heads": 1, "beta": 2.0, "update_steps": 2}),
    ("hopfield", {"layer_norm": True, "learn_beta": True}),
    ("associative_memory", {}),
    ("snn", SOFT),
    ("snn", SOFT | {"constant_input": False, "num_timesteps": 2}),
    ("snn", SOFT | {"surrogate": "arctan", "threshold": 0.7, "slope": 3.0}),
    ("ann2snn", {}),
]


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name, options", GRADIENT_CASES)
def test_gradients(name, options, native):
    model = small_classifier(name, native, **options)
    if name == "ebm":
        fix_negatives(model)
    changing = not options.get("constant_input", True)
    x, y = small_data(2) if changing else small_data()
    check_gradients(model, x, y[0] if changing else y)


def test_gradients_of_tabnet_with_its_own_last_layer():
    tabnet = build("tabnet", FEATURES, hidden_size=4, num_steps=2, num_classes=3, rng=0)
    model = TabNetClassifier(tabnet, CLASSES, train_rows=50, rng=1)
    check_gradients(model, *small_data())


def test_gradients_of_the_density_model():
    model = fix_negatives(small_classifier("ebm"))
    energy_model, (x, _) = model.backbone, small_data()
    check_derivatives(energy_model, [], lambda: energy_model.contrastive_divergence(x))


def test_a_classifier_draws_backbone_and_head_from_one_seed():
    one = classifier("mlp", 3, 2, train_rows=9, rng=5).state_dict()
    rng = np.random.default_rng(5)
    backbone = build("mlp", 2, rng=rng)
    two = Classifier(backbone, 3, train_rows=9, rng=rng).state_dict()
    assert one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)
