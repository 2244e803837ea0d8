"""Splitting, minibatches and fit(), the loop that every demo shares."""

import inspect

import numpy as np
import pytest

from minigrad import fit, functional, nn, optim, schedules, training
from minigrad.data import LazyRows, minibatches, train_test_split
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


def test_what_fit_does_unless_told_otherwise():
    """The recipe of the comparison rests on it."""
    options = inspect.signature(fit).parameters.values()
    defaults = {o.name: o.default for o in options if o.default is not o.empty}
    assert defaults.pop("batch_size") == 32 and not any(defaults.values())


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


class Doubled(LazyRows):
    """Twice some rows; remembers how many were asked for at once."""

    dtype, asked = np.dtype("float32"), []

    def __init__(self, half):
        self.half, self.shape, self.ndim = half, half.shape, half.ndim

    def __getitem__(self, index):
        return Doubled(self.half[index])

    def __array__(self, dtype=None, copy=None):
        self.asked.append(self.shape[-2])
        return 2 * self.half


@pytest.mark.parametrize("options", [{}, {"shuffle": 1}, {"compiled": True}], ids=str)
def test_lazy_rows_are_made_batch_by_batch(options):
    half = np.stack([X, -2 * X])
    plain, lazy = (nn.stack([network(0), network(1)]) for _ in range(2))
    y = np.stack([Y, Y])
    before = train(plain, 2 * half, y, validation=(2 * X, Y), **options)
    after = train(lazy, Doubled(half), y, validation=(Doubled(X), Y), **options)
    np.testing.assert_array_equal(before.losses, after.losses)
    np.testing.assert_array_equal(before.validation, after.validation)
    assert {*Doubled.asked} == {23, 24, 70}
    with pytest.raises(ValueError, match="do not fit"):
        train(lazy, Doubled(half[:, 1:]), y)


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


# --- validation, schedules, limits -----------------------------------------------------------

X_NEW = np.random.default_rng(1).standard_normal((50, 2)).astype("float32")
Y_NEW = (X_NEW[:, 0] * X_NEW[:, 1] > 0).astype(int)


def test_the_validation_loss_is_that_of_all_rows_in_evaluation_mode(monkeypatch):
    monkeypatch.setattr(training, "VALIDATION_ROWS", 30)  # so 50 rows are two batches
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Dropout(0.5, rng=0))
    sgd = optim.SGD(model.parameters(), lr=0.0)
    history = fit(model, X, Y, cross_entropy, sgd, epochs=2, validation=(X_NEW, Y_NEW))
    expected = cross_entropy(model.eval(), Tensor(X_NEW), Y_NEW).item()
    assert history.validation == pytest.approx([expected] * 2, rel=1e-5)


def test_each_replica_is_left_as_it_was_after_its_own_best_epoch():
    together = nn.stack([network(seed) for seed in (0, 10, 20)])
    sgd = optim.SGD(together.parameters(), lr=[0.1, 30.0, 0.0])  # one that goes astray, one at rest
    states = []
    history = fit(
        together,
        X,
        Y,
        cross_entropy,
        sgd,
        epochs=6,
        validation=(X_NEW, Y_NEW),
        keep_best=True,
        on_epoch=lambda epoch, history: states.append(together.state_dict()),
    )
    best = np.argmin(history.validation, axis=0)
    assert len(set(best)) > 1 and best[1] < 5
    for name, array in together.state_dict().items():
        for k, epoch in enumerate(best):
            assert (array[k] == states[epoch][name][k]).all()


def test_without_keep_best_the_last_epoch_stays():
    model, states = network(0), []
    train(
        model,
        validation=(X_NEW, Y_NEW),
        on_epoch=lambda epoch, history: states.append(model.state_dict()),
    )
    assert all((states[-1][name] == array).all() for name, array in model.state_dict().items())


def test_a_schedule_names_the_rate_of_every_step():
    asked, used = [], []

    class Watched(optim.SGD):
        def update(self, p, g):
            used.append(self.lr)
            super().update(p, g)

    def schedule(step):
        asked.append(step)
        return 0.1 / (step + 1)

    model = network(0)
    sgd = Watched(model.parameters(), lr=9.0)
    fit(model, X, Y, cross_entropy, sgd, epochs=2, batch_size=35, schedule=schedule)
    assert asked == [0, 1, 2, 3] and used == [0.1 / n for n in (1, 2, 3, 4)]


def moved_by(**limits):
    """How far each of two replicas moves in one step of length 1, as flat arrays (2, n)."""
    together = nn.stack([network(seed) for seed in (0, 10)])
    before = together.state_dict()
    sgd = optim.SGD(together.parameters(), lr=1.0)
    fit(together, X, Y, cross_entropy, sgd, epochs=1, batch_size=70, **limits)
    after = together.state_dict()
    return np.concatenate([(before[n] - after[n]).reshape(2, -1) for n in before], axis=1)


def test_limits_of_the_gradient():
    free = moved_by()
    lengths = np.linalg.norm(free, axis=1)
    limit = lengths.mean()  # between the two: so one is shortened, and one is not
    clipped = moved_by(clip_norm=float(limit))
    expected = free * np.minimum(limit / lengths, 1)[:, None]
    np.testing.assert_allclose(clipped, expected, rtol=1e-4, atol=1e-6)

    limit = np.abs(free).max() / 2
    cut = np.clip(free, -limit, limit)
    np.testing.assert_allclose(moved_by(clip_value=float(limit)), cut, rtol=1e-4, atol=1e-6)
    both = moved_by(clip_value=float(limit), clip_norm=0.01)  # the elements first
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 0.01, rtol=1e-4)
    np.testing.assert_allclose(
        both, 0.01 * cut / np.linalg.norm(cut, axis=1, keepdims=True), rtol=1e-3, atol=1e-6
    )


def test_training_ends_where_the_callback_says():
    assert len(train(network(0), epochs=9, on_epoch=lambda epoch, _: epoch == 2).losses) == 2


def test_the_time_of_an_epoch_is_that_of_its_training(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(training.time, "perf_counter", lambda: clock[0])

    def slow_loss(model, x, y):
        clock[0] += 1 if model.training else 100
        return cross_entropy(model, x, y)

    def callback(epoch, history):
        clock[0] += 1000

    model = network(0)
    history = fit(
        model,
        X,
        Y,
        slow_loss,
        optim.SGD(model.parameters()),
        epochs=2,
        batch_size=35,
        validation=(X, Y),
        on_epoch=callback,
    )
    assert history.seconds == [2, 2]


@pytest.mark.parametrize(
    "schedule, expected",
    [
        (lambda s: schedules.warm_up(s, 4), [0.25, 0.5, 0.75, 1, 1]),
        (lambda s: schedules.cosine(s, 2), [1, 0.5, 0, 0, 0]),
        (lambda s: schedules.cosine(s, 4, last=0.5), [1, 0.75 + 0.125**0.5 / 2, 0.75]),
        (lambda s: schedules.stairs(s, 2), [1, 1, 0.1, 0.1, 0.01]),
        (lambda s: schedules.stairs(s, 1, 0.5), [1, 0.5, 0.25]),
        (
            lambda s: schedules.one_cycle(s, 6, rise=1 / 3, first=0.2, last=0.1),
            [0.2, 0.6, 1, 0.55 + 0.45 * 0.5**0.5, 0.55, 0.55 - 0.45 * 0.5**0.5, 0.1, 0.1],
        ),
        (lambda s: schedules.one_cycle(s, 10), [0.04, 0.28, 0.76, 1]),
        (lambda s: schedules.one_cycle(10 + s, 10), [1e-4, 1e-4]),
    ],
)
def test_schedules(schedule, expected):
    assert [schedule(step) for step in range(len(expected))] == pytest.approx(expected)
