"""Modules: finding parameters, saving them, modes, and `stack`: many modules that train as one."""

import functools
import math

import numpy as np
import pytest

from architectures import build, classifier
from minigrad import Tensor, functional, init, nn, optim
from minigrad.gradcheck import gradcheck


def parameter(*shape):
    return Tensor(np.ones(shape, "float32"), requires_grad=True)


class Zoo(nn.Module):
    """Parameters, buffers and modules in every kind of place."""

    def __init__(self):
        self.z = parameter(2)
        self.layers = [nn.Linear(2, 3, rng=0), (parameter(4), "text"), None]
        self.a = parameter(1)
        self.named = {"left": nn.LayerNorm(2), "right": {"deep": parameter(5)}}
        self.buffer = np.arange(3.0)
        self.norm = nn.BatchNorm(2)
        self.again = self.layers[0]
        self.alias = self.z
        self.option = 0.5


# --- walking ---------------------------------------------------------------------------------


def test_parameters_come_in_the_order_of_definition_each_once():
    assert [name for name, _ in Zoo().named_parameters()] == [
        "z",
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.0",
        "a",
        "named.left.gain",
        "named.left.bias",
        "named.right.deep",
        "norm.gain",
        "norm.bias",
    ]


def test_buffers_and_children_and_modules():
    zoo = Zoo()
    assert [name for name, _ in zoo.named_buffers()] == [
        "buffer",
        "norm.running_mean",
        "norm.running_var",
    ]
    assert [name for name, _ in zoo.children()] == ["layers.0", "named.left", "norm"]
    assert [type(m).__name__ for m in zoo.modules()].count("Linear") == 1
    assert len(zoo.modules()) == 4 and zoo in zoo.modules()


def test_a_shared_parameter_gets_the_gradient_of_both_uses():
    linear = nn.Linear(2, 2, rng=0)
    twice = nn.Sequential(linear, linear)
    assert len(twice.parameters()) == 2

    def forward(x, weight, bias):
        linear.weight, linear.bias = weight, bias
        return twice(x)

    gradcheck(forward, (3, 2), (2, 2), (1, 2))


def test_train_and_eval_reach_every_module():
    zoo = Zoo()
    assert zoo.eval() is zoo
    assert not any(module.training for module in zoo.modules())
    assert zoo.train() is zoo
    assert all(module.training for module in zoo.modules())
    assert not nn.Linear(2, 2, rng=0).eval().training and nn.Linear(2, 2, rng=0).training


def test_an_activation_without_a_name_is_called_by_its_class():
    chosen = functools.partial(functional.softmax, axis=0)
    assert "activation partial" in repr(build("mlp", input_size=2, activation=chosen))
    assert "Sequential(partial)" in repr(nn.Sequential(chosen))


def test_repr_shows_the_tree_with_shapes_and_counts():
    model = nn.Sequential(nn.Linear(2, 1000, rng=0), functional.relu, nn.Dropout(0.1))
    assert repr(model) == (
        "Sequential(Linear, relu, Dropout)  3,000 parameters\n"
        "  layers.0: Linear(weight [2, 1000], bias [1, 1000])  3,000 parameters\n"
        "  layers.2: Dropout(rate 0.1)  0 parameters"
    )


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Zoo defines no forward"):
        Zoo()(1)


# --- state -----------------------------------------------------------------------------------


def network(seed=0):
    return nn.Sequential(
        nn.Linear(2, 4, rng=seed), nn.BatchNorm(4), functional.relu, nn.Linear(4, 3, rng=seed + 1)
    )


X = np.random.default_rng(0).standard_normal((6, 2)).astype("float32")


def test_state_makes_the_round_trip():
    source, target = network(0), network(5)
    source(X)  # moves the running statistics
    target.load_state_dict(source.state_dict())
    for (name, array), (_, other) in zip(source.state_dict().items(), target.state_dict().items()):
        np.testing.assert_array_equal(array, other, err_msg=name)
    np.testing.assert_array_equal(source.eval()(X).numpy(), target.eval()(X).numpy())


def test_state_is_a_copy():
    model = network()
    state = model.state_dict()
    state["layers.0.weight"][...] = 0
    assert (model.layers[0].weight.data != 0).any()
    model.load_state_dict(state)
    state["layers.0.weight"][...] = 1
    assert (model.layers[0].weight.data == 0).all()


def test_loading_writes_into_the_arrays_that_the_optimizer_holds():
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    model.load_state_dict(network(5).state_dict())
    model(X).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(model.layers[0].weight.data, network(5).layers[0].weight.data)


def put(shape, dtype, value=1):
    """Let an array take the place of the last bias."""
    return lambda state: state.update({"layers.3.bias": np.full(shape, value).astype(dtype)})


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda s: s.pop("layers.1.gain"), "missing: layers.1.gain"),
        (lambda s: s.update(extra=np.ones(1)), "unknown: extra"),
        (put((1, 4), "float32"), r"bias is float32 of shape \(1, 3\), in the state .*\(1, 4\)"),
        *[
            (put((1, 3), dtype), f"bias is float32 of shape .*, in the state {dtype}")
            for dtype in ("float64", "complex64", "bool", "int64", "<U1", "object")
        ],
        (put((1, 3), "float32", np.nan), "layers.3.bias holds NaN"),
        (lambda s: s.update({"layers.3.bias": ["a", "b"]}), "layers.3.bias is float32"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    model = network(0)
    before, state = model.state_dict(), network(5).state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_all_that_does_not_fit_is_named_at_once():
    model = network(0)
    state = model.state_dict()
    state["extra"] = state.pop("layers.0.bias")
    with pytest.raises(ValueError, match=r"missing: layers.0.bias; unknown: extra"):
        model.load_state_dict(state)


def test_two_parameters_of_one_name_are_not_saved_as_one():
    zoo = Zoo()
    setattr(zoo, "named.left.gain", parameter(2))
    with pytest.raises(ValueError, match=r"have the name named\.left\.gain"):
        zoo.state_dict()


def test_modules_that_hold_each_other_are_walked_once():
    one, other = nn.Sequential(nn.Linear(2, 2, rng=0)), nn.Sequential()
    one.layers += [other, one]
    other.layers.append(one)
    assert one.modules() == [other, one.layers[0], one]
    assert list(one.state_dict()) == ["layers.0.weight", "layers.0.bias"]
    assert repr(one).count("Linear(weight") == 1
    one.layers.append(one.layers)
    assert len(one.parameters()) == 2
    one.layers.pop()
    assert nn.stack([one, one]).layers[1].layers[0].stacked == (2,)


# --- modes -----------------------------------------------------------------------------------


def test_evaluating_gives_every_part_its_own_mode_back():
    model = network()
    model.layers[1].eval()
    with pytest.raises(KeyError), nn.evaluating(model) as inside:
        assert inside is model and not any(part.training for part in model.modules())
        raise KeyError
    assert [part.training for part in model.layers if isinstance(part, nn.Module)] == [
        True,
        False,
        True,
    ]
    assert model.training


def test_a_call_is_forward_even_if_that_is_replaced_or_mixed_in():
    class Double:
        def forward(self, x):
            return 2 * super().forward(x)

    class Layer(Double, nn.Linear):
        pass

    layer, plain = Layer(2, 3, rng=0), nn.Linear(2, 3, rng=0)
    np.testing.assert_array_equal(layer(X).numpy(), 2 * plain(X).numpy())
    plain.forward = lambda x: x
    assert plain(X) is X


# --- frozen ----------------------------------------------------------------------------------


def test_frozen_parameters_get_no_gradient_while_the_input_does():
    model, x = network(), Tensor(X, requires_grad=True)
    model.layers[0].bias.requires_grad = False
    with pytest.raises(KeyError), nn.frozen(model):
        model(x).sum().backward()
        raise KeyError
    assert x.grad is not None
    assert all(p.grad is None for p in model.parameters())
    # As before, also what was frozen before.
    assert [p.requires_grad for p in model.parameters()] == [True, False, True, True, True, True]


# --- layers ----------------------------------------------------------------------------------


def test_linear_starts_glorot_uniform_with_bias_zero():
    linear = nn.Linear(300, 200, rng=0)
    limit = np.sqrt(6 / 500)
    drawn = np.random.default_rng(0).uniform(-limit, limit, (300, 200)).astype("float32")
    np.testing.assert_array_equal(linear.weight.data, drawn)
    assert linear.bias.shape == (1, 200) and (linear.bias.data == 0).all()
    assert linear.weight.dtype == linear.bias.dtype == "float32"
    assert (linear.weight.data == nn.Linear(300, 200, rng=0).weight.data).all()
    assert nn.Linear(2, 3, bias=False, rng=0).bias is None


def test_batch_norm_in_evaluation_uses_what_it_saw_in_training():
    norm = nn.BatchNorm(2, momentum=0.5)
    norm.gain.data[...], norm.bias.data[...] = [[2, 3]], [[-1, 1]]
    for _ in range(60):  # 0.5^60 of the initial statistics is left
        trained = norm(X).numpy()
    norm.eval()
    before = norm.state_dict()
    np.testing.assert_allclose(norm(X).numpy(), trained, atol=1e-5)
    np.testing.assert_allclose(norm(X[:1]).numpy(), trained[:1], atol=1e-5)
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("eps", [1e-5, 0.5])
def test_the_norms_add_eps_to_the_variance(eps):
    rows = X - X.mean(axis=-1, keepdims=True)
    expected = rows / np.sqrt((rows**2).mean(axis=-1, keepdims=True) + eps)
    np.testing.assert_allclose(nn.LayerNorm(2, eps=eps)(X).numpy(), expected, rtol=1e-5)
    columns = X - X.mean(axis=0)
    expected = columns / np.sqrt((columns**2).mean(axis=0) + eps)
    norm = nn.BatchNorm(2, eps=eps)
    np.testing.assert_allclose(norm(X).numpy(), expected, rtol=1e-4, atol=1e-6)
    expected = (X - norm.running_mean) / np.sqrt(norm.running_var + eps)
    np.testing.assert_allclose(norm.eval()(X).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_what_the_norms_take_by_default():
    assert nn.LayerNorm(2).eps == nn.BatchNorm(2).eps == 1e-5
    norm = nn.BatchNorm(2)
    norm(X)
    np.testing.assert_allclose(norm.running_mean, 0.1 * X.mean(axis=0, keepdims=True), rtol=1e-5)


def test_a_single_row_is_normalised_by_the_running_statistics_and_does_not_move_them():
    norm = nn.BatchNorm(2)
    for _ in range(3):
        norm(X)
    before = norm.state_dict()
    x = Tensor(X[:1], requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert norm.training
    for name, array in norm.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    np.testing.assert_array_equal(y.numpy(), norm.eval()(X[:1]).numpy())
    assert (x.grad != 0).all() and (norm.gain.grad != 0).all()


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm])
def test_a_norm_of_another_width_is_an_error(norm):
    with pytest.raises(ValueError, match=r"not x \(6, 2\), gain \(1, 1\)"):
        norm(1)(X)


def test_batch_norm_folds_into_a_scale_and_a_shift():
    rng = np.random.default_rng(0)
    norm = nn.BatchNorm(2).eval()
    for array in (norm.gain.data, norm.bias.data, norm.running_mean, norm.running_var):
        array[...] = rng.uniform(0.5, 2, (1, 2))
    scale, shift = norm.folded()
    expected = (X - norm.running_mean) / np.sqrt(norm.running_var + norm.eps)
    expected = expected * norm.gain.data + norm.bias.data
    np.testing.assert_allclose((X * scale + shift).numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(norm(X).numpy(), expected, rtol=1e-5)


def test_dropout_drops_in_training_only():
    x = Tensor(np.ones((10, 10), "float32"))
    dropout = nn.Dropout(0.5, rng=0)
    assert set(dropout(x).numpy().flat) == {0, 2}
    assert (dropout(x).numpy() != dropout(x).numpy()).any()
    assert dropout.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    a, b = (nn.Dropout(0.5, rng=3)(x).numpy() for _ in range(2))
    assert (a == b).all()


# --- stack -----------------------------------------------------------------------------------

LABELS = np.random.default_rng(1).integers(3, size=(5, 3, 6))
BATCHES = np.random.default_rng(2).standard_normal((5, 3, 6, 2)).astype("float32")


def mlp(seed):
    return classifier(
        "mlp", 3, input_size=2, hidden_sizes=(8, 8), dropout=0, layer_norm=True, residual=True,
        train_rows=6, rng=seed,
    )  # fmt: skip


def train(model, batches, labels):
    """Five steps of Adam; the losses, step by step."""
    adam = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for x, y in zip(batches, labels):
        adam.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.sum().backward()
        adam.step()
        losses.append(loss.numpy())
    return np.array(losses)


@pytest.mark.parametrize("make", [network, mlp])
def test_a_replica_computes_and_trains_as_it_does_alone(make):
    alone = [make(seed) for seed in (0, 10, 20)]
    together = nn.stack(alone)
    assert type(together) is type(alone[0])

    np.testing.assert_allclose(together(X).numpy(), [m(X).numpy() for m in alone], atol=1e-6)

    losses = train(together, BATCHES, LABELS)
    for k, model in enumerate(alone):
        np.testing.assert_allclose(
            losses[:, k], train(model, BATCHES[:, k], LABELS[:, k]), rtol=1e-5
        )
        for name, array in nn.unstack(together, k).state_dict().items():
            np.testing.assert_allclose(array, model.state_dict()[name], atol=1e-5, err_msg=name)
        np.testing.assert_allclose(
            nn.unstack(together, k).eval()(X).numpy(), model.eval()(X).numpy(), atol=1e-5
        )
    np.testing.assert_allclose(together.eval()(X).numpy(), [m(X).numpy() for m in alone], atol=1e-5)


def test_a_stack_owns_its_arrays():
    alone = [network(0), network(1)]
    together = nn.stack(alone)
    before = alone[0].state_dict()
    train(together, BATCHES[:, :2], LABELS[:, :2])
    for name, array in alone[0].state_dict().items():
        np.testing.assert_array_equal(array, before[name])

    single, state = nn.unstack(together, 1), together.state_dict()
    train(single, BATCHES[:, 1], LABELS[:, 1])
    for name, array in together.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_stacks_of_stacks():
    models = [[network(seed) for seed in row] for row in ((0, 1), (2, 3), (4, 5))]
    together = nn.stack([nn.stack(row) for row in models])
    y = together(X).numpy()
    assert y.shape == (3, 2, 6, 3)
    np.testing.assert_allclose(y[2, 1], models[2][1](X).numpy(), atol=1e-6)


def test_what_modules_share_stays_shared():
    def tied(seed):
        linear = nn.Linear(2, 2, rng=seed)
        return nn.Sequential(linear, nn.Sequential(linear, functional.tanh))

    together = nn.stack([tied(0), tied(1)])
    assert together.layers[0] is together.layers[1].layers[0]
    assert len(together.parameters()) == 2
    zoo = nn.stack([Zoo(), Zoo()])
    assert zoo.alias is zoo.z and zoo.again is zoo.layers[0]
    assert zoo.buffer.shape == (2, 3) and zoo.named["right"]["deep"].shape == (2, 5)
    assert zoo.layers[1][1] == "text" and zoo.option == 0.5


def test_what_needs_no_gradient_keeps_needing_none():
    models = [network(0), network(1)]
    for model in models:
        model.layers[0].weight.requires_grad = False
    assert not nn.stack(models).layers[0].weight.requires_grad
    assert nn.stack(models).layers[0].bias.requires_grad


def test_dropout_in_a_stack_differs_from_replica_to_replica():
    together = nn.stack([nn.Dropout(0.5, rng=seed) for seed in range(2)])
    y = together(Tensor(np.ones((2, 10, 10), "float32"))).numpy()
    assert (y[0] != y[1]).any()


@pytest.mark.parametrize(
    "other",
    [nn.Linear(2, 5, rng=0), nn.Linear(2, 4, bias=False, rng=0), nn.LayerNorm(4)],
    ids=["shape", "name", "class"],
)
def test_modules_that_differ_cannot_be_stacked(other):
    with pytest.raises(ValueError, match="module 1 differs from module 0"):
        nn.stack([nn.Linear(2, 4, rng=0), other])


def test_a_stack_of_nothing_says_so():
    with pytest.raises(ValueError, match="no module"):
        nn.stack([])


def test_batch_norm_trains_on_data_that_leads_more_than_it():
    norm = nn.BatchNorm(3)
    x = Tensor(np.ones((4, 2, 3), "float32"))
    assert norm(x).shape == (4, 2, 3)


def test_a_dropout_rate_out_of_range_is_noticed_when_the_layer_is_made():
    with pytest.raises(ValueError, match="rate"):
        nn.Dropout(1.5)


class Centred(nn.LayerNorm):
    def forward(self, x):
        return x - x.mean(axis=-1, keepdims=True)


def frozen_linear():
    linear = nn.Linear(2, 2, rng=0)
    linear.weight.requires_grad = False
    return linear


def scaled(factor):
    return lambda x: factor * x


def holder(value):
    module = nn.Module()
    module.value = value
    return module


@pytest.mark.parametrize(
    "modules",
    [
        [nn.Sequential(functional.relu), nn.Sequential(functional.tanh)],
        [nn.Dropout(0.1), nn.Dropout(0.9)],
        [nn.Sequential(functional.relu), nn.Sequential(functional.relu, functional.relu)],
        [nn.Sequential(nn.LayerNorm(2)), nn.Sequential(Centred(2))],
        [nn.Linear(2, 2, rng=0), frozen_linear()],
        [nn.Sequential(scaled(1)), nn.Sequential(scaled(2))],
        [holder({"a": 1}), holder({"b": 1})],
        [holder(np.ones(2)), holder(np.ones(2, "float32"))],
    ],
    ids=["functions", "options", "lengths", "classes", "frozen", "lambdas", "keys", "dtypes"],
)
def test_only_equal_modules_can_be_stacked(modules):
    with pytest.raises(ValueError, match="differ"):
        nn.stack(modules)


def test_functions_made_alike_are_equal():
    together = nn.stack([nn.Sequential(scaled(2)) for _ in range(2)])
    assert together.layers[0](3) == 6
    nn.stack([nn.Sequential(functools.partial(functional.softmax, axis=0)) for _ in range(2)])


def test_a_stack_knows_its_replicas():
    assert network().replicas == ()
    together = nn.stack([nn.stack([network(k) for k in row]) for row in ((0, 1, 2), (3, 4, 5))])
    assert {part.replicas for part in together.modules()} == {(2, 3)}
    assert nn.Sequential(together, functional.relu).replicas == (2, 3)
    assert nn.unstack(together, 0).layers[0].replicas == (3,)
    assert nn.unstack(together, slice(1)).replicas == (1, 3)
    with pytest.raises(ValueError, match="Sequential is no stack"):
        nn.unstack(network(), 0)
    with pytest.raises(IndexError):
        nn.unstack(together, 2)


def test_a_result_that_a_module_keeps_is_no_parameter():
    layer = nn.Linear(2, 3, rng=0)
    layer.last = layer(Tensor(np.ones((4, 2), "float32")))
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]


def test_batch_norm_evaluates_exactly_far_from_0():
    norm = nn.BatchNorm(1).eval()
    norm.running_mean[...], norm.running_var[...] = 2000, 0.01
    x = np.array([[2000.0], [2000.125]], "float32")
    expected = (x - 2000) / np.sqrt(0.01 + 1e-5)
    np.testing.assert_allclose(norm(Tensor(x)).numpy(), expected, rtol=1e-6)


def test_initial_weights_can_be_drawn_otherwise():
    layer = nn.Linear(1000, 50, draw=init.he_normal, rng=0)
    drawn = np.random.default_rng(0).standard_normal((1000, 50), dtype="float32")
    np.testing.assert_array_equal(layer.weight.data, math.sqrt(2 / 1000) * drawn)


def test_modules_in_different_modes_cannot_be_stacked():
    one, other = nn.Linear(2, 3, rng=0).eval(), nn.Linear(2, 3, rng=1)
    with pytest.raises(ValueError, match="different modes"):
        nn.stack([one, other])
    assert nn.stack([one, other.eval()]).training is False


def test_named_noise_finds_each_source_once():
    net = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Dropout(0.5, rng=1), nn.Dropout(0.1, rng=2))
    net.again = net.layers[1]
    assert list(net.named_noise()) == [
        ("layers.1.noise", net.layers[1].noise),
        ("layers.2.noise", net.layers[2].noise),
    ]
