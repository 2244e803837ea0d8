"""Splitting, minibatches and fit(), the loop that every demo shares."""

import numpy as np
import pytest

from minigrad import fit, functional, nn, optim
from minigrad.data import minibatches, train_test_split
from minigrad.engine import Tensor
from minigrad.training import History

# --- splitting -------------------------------------------------------------------------------


def labelled(*counts):
    """Rows that know their own number, in x and by class in y."""
    y = np.repeat(np.arange(len(counts)), counts)
    return np.arange(len(y), dtype="float32")[:, None], y


def test_split_cuts_every_class_in_the_same_proportion():
    x, y = labelled(50, 30, 20)
    _, y_train, _, y_test = train_test_split(x, y, 0.2, rng=0)
    assert np.bincount(y_test).tolist() == [10, 6, 4]
    assert np.bincount(y_train).tolist() == [40, 24, 16]


def test_split_loses_and_mixes_nothing():
    x, y = labelled(7, 5, 2)
    x_train, y_train, x_test, y_test = train_test_split(x, y, 0.3, rng=0)
    rows = np.concatenate([x_train, x_test])[:, 0].astype(int)
    assert sorted(rows) == list(range(14))
    assert (y[rows] == np.concatenate([y_train, y_test])).all()
    assert (np.diff(y_train) < 0).any()  # shuffled, not sorted by class


@pytest.mark.parametrize("share, expected", [(0.01, [1, 1]), (0.99, [9, 1])])
def test_split_leaves_every_class_on_both_sides(share, expected):
    _, y_train, _, y_test = train_test_split(*labelled(10, 2), share, rng=0)
    assert np.bincount(y_test).tolist() == expected
    assert len(y_train) == 12 - sum(expected)


def test_split_is_decided_by_the_seed():
    a, b, c = (train_test_split(*labelled(20, 20), rng=seed)[2] for seed in (0, 0, 1))
    assert (a == b).all() and (a != c).any()


def test_split_of_a_class_with_one_row_is_an_error():
    with pytest.raises(ValueError, match="class 1 has a single row"):
        train_test_split(*labelled(10, 1))


# --- minibatches -----------------------------------------------------------------------------


def test_minibatches_cut_evenly_and_in_order():
    batches = minibatches(*labelled(4, 3), 3)
    assert [x[:, 0].tolist() for x, _ in batches] == [[0, 1, 2], [3, 4], [5, 6]]
    assert [y.tolist() for _, y in batches] == [[0, 0, 0], [0, 1], [1, 1]]


@pytest.mark.parametrize("rows", [*range(1, 12), 32, 33, 64, 65, 800, 801])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
def test_batches_are_few_and_even(rows, batch_size):
    x = np.arange(rows)
    batches = [x_batch for x_batch, _ in minibatches(x, x, batch_size)]
    np.testing.assert_array_equal(np.concatenate(batches), x)
    sizes = [len(batch) for batch in batches]
    assert len(sizes) == -(-rows // batch_size)
    assert max(sizes) <= min(batch_size, min(sizes) + 1)
    assert sizes == sorted(sizes, reverse=True)


def test_minibatches_in_another_order():
    x, y = labelled(4, 3)
    batches = minibatches(x, y, 5, order=np.array([6, 5, 4, 3, 2, 1, 0]))
    assert [x[:, 0].tolist() for x, _ in batches] == [[6, 5, 4, 3], [2, 1, 0]]
    assert [y.tolist() for _, y in batches] == [[1, 1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("order", [None, np.arange(7)])
def test_minibatches_keep_what_leads(order):
    x, y = np.zeros((2, 3, 7, 4)), np.zeros((2, 3, 7), int)
    shapes = [(x.shape, y.shape) for x, y in minibatches(x, y, 4, axis=2, order=order)]
    assert shapes == [((2, 3, 4, 4), (2, 3, 4)), ((2, 3, 3, 4), (2, 3, 3))]


# --- fit -------------------------------------------------------------------------------------

X = np.random.default_rng(0).standard_normal((70, 2)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def network(seed):
    return nn.Sequential(nn.Linear(2, 8, rng=seed), functional.relu, nn.Linear(8, 2, rng=seed + 1))


def cross_entropy(model, x, y):
    return functional.cross_entropy(model(x), y)


def train(model, x=X, y=Y, epochs=3, **options):
    adam = optim.Adam(model.parameters(), lr=1e-2)
    return fit(model, x, y, cross_entropy, adam, epochs=epochs, **options)


def test_fit_learns():
    model = network(0)
    history = train(model, epochs=30)
    assert len(history.losses) == len(history.seconds) == 30
    assert history.losses[-1] < 0.3 < history.losses[0]
    assert (model(Tensor(X)).argmax(axis=-1).numpy() == Y).mean() > 0.9


def test_fit_reports_the_mean_over_all_rows():
    """With lr 0 every batch sees the same model: 32 + 32 + 6 rows weigh what they hold."""
    model = network(0)
    sgd = optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, X, Y, cross_entropy, sgd, epochs=1, batch_size=32)
    assert history.losses[0] == pytest.approx(cross_entropy(model, X, Y).item(), rel=1e-5)


def test_replicas_train_as_they_would_alone():
    together = nn.stack([network(seed) for seed in (0, 10, 20)])
    losses = np.array(train(together).losses)
    assert losses.shape == (3, 3)
    for k, seed in enumerate((0, 10, 20)):
        alone = network(seed)
        np.testing.assert_allclose(losses[:, k], train(alone).losses, rtol=1e-4)
        np.testing.assert_allclose(
            together.layers[0].weight.data[k], alone.layers[0].weight.data, atol=1e-5
        )


def test_replicas_with_data_of_their_own():
    x, y = np.stack([X, -2 * X]), np.stack([Y, 1 - Y])
    together = nn.stack([network(0), network(0)])
    train(together, x, y)
    for k in range(2):
        alone = network(0)
        train(alone, x[k], y[k])
        np.testing.assert_allclose(
            together.layers[0].weight.data[k], alone.layers[0].weight.data, atol=1e-5
        )


class Recorder(nn.Module):
    """Remembers which rows it has seen, and in which mode."""

    def __init__(self):
        self.weight = Tensor([[0.0, 0.0]], requires_grad=True)
        self.seen, self.modes = [], set()

    def forward(self, x):
        self.seen.append(x.numpy().copy())
        self.modes.add(self.training)
        return x * self.weight


def test_batches_are_the_same_in_every_epoch_unless_shuffled():
    plain, shuffled, again = Recorder(), Recorder(), Recorder()
    train(plain, epochs=2, batch_size=70)
    train(shuffled, epochs=2, batch_size=70, shuffle=0)
    train(again, epochs=2, batch_size=70, shuffle=0)
    assert (plain.seen[0] == X).all() and (plain.seen[1] == X).all()
    assert (shuffled.seen[0] != shuffled.seen[1]).any()
    assert (shuffled.seen[0] == again.seen[0]).all() and (shuffled.seen[1] == again.seen[1]).all()
    assert sorted(shuffled.seen[1].tolist()) == sorted(X.tolist())


def test_modes_and_callbacks():
    model, calls = Recorder(), []

    def on_epoch(epoch, history):
        calls.append((epoch, len(history.losses), model.training))

    train(model, on_epoch=on_epoch)
    assert calls == [(1, 1, False), (2, 2, False), (3, 3, False)]
    assert model.modes == {True} and not model.training


@pytest.mark.parametrize("x, y", [(X, Y[:-1]), (X[:0], Y[:0])], ids=["unequal", "empty"])
def test_rows_that_do_not_fit_are_an_error(x, y):
    with pytest.raises(ValueError, match=f"x .{len(x)}, 2. and y .{len(y)},. do not fit"):
        train(network(0), x, y)


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(ValueError, match="not -1"):
        minibatches(np.zeros((3, 2)), np.zeros(3), -1)


def test_fit_trains_in_the_dtype_of_the_parameters():
    seen = []

    def loss(model, x, y):
        seen.append(x.dtype)
        return functional.cross_entropy(model(x), y)

    model = nn.Linear(2, 3, rng=0)
    x, y = np.ones((4, 2), int), np.zeros(4, int)
    fit(model, x, y, loss, optim.SGD(model.parameters()), epochs=1)
    assert seen == ["float32"]


def test_a_history_shows_how_it_went():
    assert repr(History()) == "History(0 epochs)"
    one = History(losses=[np.float32(0.6931), np.float32(0.05)], validation=[0.7, 0.1])
    assert repr(one) == "History(2 epochs, loss 0.693 to 0.05, validation 0.7 to 0.1)"
    assert repr(History([np.array([1.0, 3.0])])) == "History(1 epoch, mean loss 2 to 2)"
