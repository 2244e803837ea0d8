"""Tasks that are drawn while training: what is drawn, and that everybody can be trained on it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from architectures import ARCHITECTURES, list_architectures, register
from architectures.feedforward.mlp import MLP
from demos import compare
from demos.comparison import drawn, options, seeds
from demos.comparison.digits import digits, draw_digits, glyphs
from demos.comparison.sequences import draw_adding, draw_copy, draw_recall
from demos.comparison.training import Entry, Recipe
from demos.pictures.palette import STYLE

SEEDS = (3, 4)


def short(name, steps=20, rows=8):
    """A task with few steps and few test rows."""
    task = options.DRAWN[name](SEEDS)
    answers = task.answers
    return replace(
        task, steps=steps, x_test=task.x_test[:, :rows], y_test=task.y_test[:, : rows * answers]
    )


# --- what is drawn ---------------------------------------------------------------------------


def test_what_is_to_be_copied_stands_between_noise():
    x, y = draw_copy(np.random.default_rng(0), 50)
    assert x.shape == (50, 28) and y.shape == (50, 4) and set(np.unique(y)) == set(range(8))
    for tokens, answer in zip(x, y):
        assert (tokens[24:] == 1).all()
        assert [t - 2 for t in tokens[:24] if t != 0] == answer.tolist()


def test_what_is_to_be_recalled_stood_behind_its_key():
    x, y = draw_recall(np.random.default_rng(0), 50)
    assert x.shape == (50, 24) and y.shape == (50, 8)
    for tokens, answer in zip(x, y):
        pairs = dict(zip(tokens[:16:2], tokens[1:16:2] - 16))
        assert len(pairs) == 8 and [pairs[key] for key in tokens[16:]] == answer.tolist()
    assert (x[:, 16:] != x[:, :16:2]).any(axis=1).mean() > 0.9  # in another order


def test_what_is_to_be_added_is_marked_once_in_each_half():
    x, y = draw_adding(np.random.default_rng(0), 5000)
    assert x.shape == (5000, 32, 2) and y.shape == (5000, 1)
    marks = x[..., 1]
    assert (marks[:, :16].sum(axis=1) == 1).all() and (marks[:, 16:].sum(axis=1) == 1).all()
    total = (x[..., 0] * marks).sum(axis=1)
    assert (np.abs(total - (y[:, 0] + 0.5) / 10) <= 0.05 + 1e-6).all()
    # The best guess is a tenth beside 1: 9.5 %.
    assert abs((y == 9).mean() - 0.095) < 0.015


def test_glyphs_are_inside_and_outside():
    depth = glyphs()
    assert depth.shape[1:] == (10, 32, 32) and np.isfinite(depth).all()
    assert 0.05 < (depth > 0).mean() < 0.3
    assert (depth[..., 0, :] < 0).all()  # the border is paper
    zero, one = depth[0, 0], depth[0, 1]
    assert zero[16, 16] < 0 < one[16, 16]  # 0 has a hole


def test_digits_are_drawn_and_permuted():
    x, y = draw_digits(np.random.default_rng(0), 200)
    assert x.shape == (200, 64) and set(np.unique(y)) == set(range(10))
    ink = x.mean(axis=0).reshape(8, 8)
    assert ink[2:6, 2:6].mean() > 4 * abs(ink[:, [0, -1]]).mean()
    order = np.random.default_rng(0).permutation(64)
    permuted, same = draw_digits(np.random.default_rng(0), 200, order=order)
    np.testing.assert_array_equal(permuted, x[:, order])
    np.testing.assert_array_equal(same, y)
    task = digits(SEEDS, permuted=True)
    np.testing.assert_array_equal(task.x_test[0], digits(SEEDS).x_test[0][:, order])


@pytest.mark.parametrize("name", options.DRAWN)
def test_a_replica_has_rows_of_its_own(name):
    both, one = options.DRAWN[name](SEEDS), options.DRAWN[name](SEEDS[1:])
    np.testing.assert_array_equal(both.x_test[1], one.x_test[0])
    assert not np.array_equal(both.x_test[0], both.x_test[1])
    assert not np.array_equal(both.x_train[0], both.x_test[0][:32])
    assert both.y_test.max() < len(both.class_names)
    streams = [seeds.drawn(seed) for seed in SEEDS]
    first, second = (drawn.minibatch(both, streams, 32)[0] for _ in range(2))
    np.testing.assert_array_equal(first, both.x_train)
    assert not np.array_equal(first, second)


FACTS = {  # name, steps in ten epochs, tokens, answers of a row, classes, chance, the ceiling
    "copy": ("selective copying", 1000, 10, 4, 8, 1 / 8, 1.0),
    "recall": ("associative recall", 1500, 24, 8, 8, 1 / 8, 1.0),
    "adding": ("adding", 1000, 0, 1, 20, 0.095, 1.0),
    "digits": ("digits", 2000, 0, 1, 10, 0.1, None),
    "permuted": ("permuted digits", 2000, 0, 1, 10, 0.1, None),
}


@pytest.mark.parametrize("name", options.DRAWN)
def test_what_the_table_and_the_opening_say_of_a_task(name):
    task = options.DRAWN[name](SEEDS)
    called, steps, tokens, answers, classes, chance, ceiling = FACTS[name]
    assert (task.name, task.steps, task.symbols, task.answers) == (called, steps, tokens, answers)
    assert (len(task.class_names), task.baselines) == (classes, {"guessing": [chance] * 2})
    assert task.bayes_accuracy == ceiling and task.x_test.shape[1] == 500
    assert len(set(task.feature_names)) == len(task.feature_names) == task.x_test.shape[2]
    recipe = Recipe(SEEDS, epochs=20, batch_size=16)
    assert task.in_words(recipe) == (
        f"{2 * steps} minibatches of 16 drawn fresh / {500 * answers} test answers, "
        f"{classes} classes"
    )


ROWS = {  # of seed 3: some of what its second test row shows, and the first answers
    "copy": ([0, 0, 7, 0, 0, 8, 0, 0, 8, 0], [0, 5, 2, 2, 5, 6]),
    "recall": ([12, 16, 15, 16, 0, 21, 3, 21, 6, 18], [4, 1, 4, 2, 7, 0]),
    "adding": ([0.2842, 0, 0.32, 0, 0.6485, 0, 0.6504, 0, 0.6962, 0], [15, 8, 10, 10, 7, 16]),
    "digits": (
        [0.2321, 0.77, 0.496, 0.8808, 0.2014, -0.0055, 0.128, -0.0464, 0.4184, 0.983],
        [8, 0, 1, 2, 1, 8],
    ),
    "permuted": (
        [0.7108, 0.128, 0.4666, 0.3264, 0.6332, 0.496, 0.0178, -0.1089, 0.4184, 0.2321],
        [8, 0, 1, 2, 1, 8],
    ),
}


@pytest.mark.parametrize("name", options.DRAWN)
def test_a_seed_names_the_same_rows_for_ever(name):
    """Or what has been published cannot be had again."""
    task = options.DRAWN[name](SEEDS[:1])
    x, y = ROWS[name]
    np.testing.assert_allclose(task.x_test[0, 1].ravel()[2:12], x, atol=3e-4)
    assert task.y_test[0, : len(y)].tolist() == y


# --- training --------------------------------------------------------------------------------

LOSSES = {  # after twice five steps
    ("copy", "mlp"): 2.1228,
    ("copy", "gru"): 2.1359,
    ("copy", "transformer"): 2.6155,
    ("copy", "retnet"): 2.8670,
    ("copy", "mamba"): 2.5636,
    ("copy", "mamba_lti"): 2.7556,
    ("adding", "mlp"): 3.0511,
    ("adding", "gru"): 3.0182,
    ("adding", "transformer"): 3.5547,
    ("adding", "retnet"): 3.3186,
    ("adding", "mamba"): 3.5031,
    ("digits", "mlp"): 2.3379,
    ("digits", "convnet"): 2.3177,
    ("digits", "vit"): 2.9471,
}
CONTENDERS = [
    (task, name) for task in ("copy", "adding", "digits") for name in list_architectures(task)
]


@pytest.mark.parametrize("task, name", CONTENDERS)
def test_everybody_trains(task, name):
    recipe = Recipe(seeds=SEEDS, epochs=2, learning_rate=3e-3, compiled=False)
    loss, task = LOSSES[task, name], short(task, steps=10)
    outcome = drawn.train(Entry(name, task, recipe))
    assert outcome.loss_history.shape == outcome.accuracy_history.shape == (2, 2)
    assert outcome.loss_history[:, -1].mean() == pytest.approx(loss, rel=1e-3)
    assert outcome.predictions.shape == task.y_test.shape
    assert outcome.confusion.sum() == task.y_test.size
    right = (outcome.predictions == task.y_test).mean(axis=1)
    np.testing.assert_allclose(outcome.accuracy, right)


def test_compiled_or_not_and_alone_or_together():
    """The same bits compiled; a replica trains as it would alone, to rounding."""
    recipe, task = Recipe(seeds=SEEDS, epochs=2, learning_rate=3e-3), short("copy", steps=15)
    eager = replace(recipe, compiled=False)
    both = [drawn.train(Entry("gru", task, one)) for one in (recipe, eager)]
    losses = [outcome.loss_history for outcome in both]
    np.testing.assert_array_equal(*losses)
    alone = replace(task, x_test=task.x_test[1:], x_train=task.x_train[1:], y_test=task.y_test[1:])
    second = drawn.train(Entry("gru", alone, replace(eager, seeds=SEEDS[1:])))
    np.testing.assert_allclose(second.loss_history[0], losses[0][1], rtol=1e-5)
    assert second.parameters == both[0].parameters


class Watched(MLP):
    """Notes whether it trains or is tested."""

    def forward(self, x):
        self.seen.append(self.training)
        return super().forward(x)


def test_a_loss_is_the_mean_over_an_epoch_and_tests_come_between(monkeypatch):
    losses = []

    def training_step(*arguments, **options):
        step = drawn_step(*arguments, **options)

        def noted(x, y):
            losses.append(step(x, y))
            return losses[-1]

        return noted

    drawn_step = drawn.training_step
    monkeypatch.setattr(drawn, "training_step", training_step)
    monkeypatch.setattr(Watched, "seen", [], raising=False)
    register("watched", Watched, options={"hidden_sizes": (8,)})
    task = short("digits", steps=15)
    outcome = drawn.train(Entry("watched", task, Recipe(SEEDS, epochs=2, compiled=False)))
    of_epochs = [np.mean(some, axis=0) for some in (losses[:1], losses[1:])]  # of three steps
    np.testing.assert_allclose(outcome.loss_history.T, of_epochs, rtol=1e-6)
    assert [kind for kind, _ in itertools.groupby(Watched.seen)] == [True, False] * 2


def test_after_an_epoch_a_model_is_ready_to_be_looked_at():
    task, recipe = short("digits", steps=15), Recipe(SEEDS, epochs=2, compiled=False)
    model, seen = drawn.replicas(Entry("mlp", task, recipe)), []
    losses, _ = drawn.learn(
        model, task, recipe, lambda epoch, loss: seen.append((epoch, loss, model.training))
    )
    assert [(epoch, mode) for epoch, _, mode in seen] == [(1, False), (2, False)]
    np.testing.assert_array_equal(np.stack([loss for _, loss, _ in seen], axis=-1), losses)


def test_passes_change_no_prediction(monkeypatch):
    task = short("copy", steps=2)
    model = drawn.replicas(Entry("gru", task, Recipe(SEEDS)))
    whole = drawn.predict(model.eval(), task)
    monkeypatch.setattr(drawn, "ROWS_PER_PASS", 3)
    np.testing.assert_allclose(drawn.predict(model, task), whole, rtol=1e-5)


@pytest.mark.filterwarnings("error")
def test_what_diverges_is_a_result_without_warnings():
    recipe = Recipe(seeds=SEEDS, epochs=2, learning_rate=1e38, compiled=False)
    outcome = drawn.train(Entry("gru", short("copy", steps=55), recipe))
    assert not np.isfinite(outcome.loss_history).all()


def test_the_learning_rate_warms_up_and_falls(monkeypatch):
    rates = []

    class Adam(drawn.optim.Adam):
        def step(self):
            rates.append(self.lr)
            super().step()

    monkeypatch.setattr(drawn.optim, "Adam", Adam)
    recipe = Recipe(seeds=SEEDS, epochs=10, learning_rate=1.0, compiled=False)
    drawn.train(Entry("mlp", short("copy", steps=100), recipe))
    assert len(rates) == 100 and np.argmax(rates) in range(35, 51) and rates[-1] < 0.01
    assert rates[0] == pytest.approx(1 / 50)


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["copy", "digits"])
def test_the_command(name, tmp_path, monkeypatch, capsys):
    task = short(name)
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    monkeypatch.setitem(options.DRAWN, name, lambda seeds: task)
    arguments = ["--task", name, "--epochs", "2", "--jobs", "1", "--seed", "3", "--replicas", "2"]
    if name == "copy":
        arguments += ["--only", "mlp,gru"]
    assert compare.main([*arguments, "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "4 minibatches of 32 drawn fresh" in printed
    assert "guessing" in printed and "each with its own data" in printed
    assert {"data.png", "accuracy.png", "report.html", "results.json"} <= {
        path.name for path in tmp_path.iterdir()
    }


@pytest.mark.parametrize("option", ["--save", "--resume", "--animate", "--reshuffle"])
def test_what_makes_no_sense_with_a_drawn_task_is_refused(option, capsys):
    with pytest.raises(SystemExit):
        compare.main(["--task", "recall", option])
    assert f"leave out {option}" in capsys.readouterr().err


def test_labels_leave_the_table_its_eighty_columns():
    ranked = [entry for entry in ARCHITECTURES.values() if entry.compared or entry.tasks]
    assert max(len(entry.label) for entry in ranked) <= len("Architecture")
