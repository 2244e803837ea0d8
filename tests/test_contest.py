"""Training the contenders: replicas, executors, noise, failures."""

import itertools
import multiprocessing
import os
import weakref
from concurrent.futures import Executor, Future
from dataclasses import replace

import numpy as np
import pytest

import minigrad
from architectures import Classifier, list_architectures, lookup, register
from architectures.feedforward.mlp import MLP
from demos.comparison import cluster as cluster_module
from demos.comparison import prediction, training
from demos.comparison.cluster import cluster
from demos.comparison.contest import contest, entries
from demos.comparison.prediction import grid_points, predict
from demos.comparison.progress import describe, title
from demos.comparison.ranking import rank_all
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe, train
from demos.shell.ending import Refusal
from demos.shell.workers import workers
from minigrad import backend, strict

SEEDS = (5, 6, 7)
RECIPE = Recipe(seeds=SEEDS, epochs=2)


def small_task(seeds=SEEDS, train=96, test=40):
    task = rings_and_clusters(seeds)
    return replace(
        task,
        x_train=task.x_train[:, :train],
        y_train=task.y_train[:, :train],
        x_test=task.x_test[:, :test],
        y_test=task.y_test[:, :test],
    )


TASK = small_task()
BOTH = ("shared", "native")


def same(a, b):
    return (
        np.array_equal(a.loss_history, b.loss_history)
        and np.array_equal(a.predictions, b.predictions)
        and np.array_equal(a.accuracy_history, b.accuracy_history)
        and all(np.array_equal(a.state[name], b.state[name]) for name in a.state | b.state)
    )


@pytest.mark.parametrize("name", ["mlp", "tabnet", "ebm", "hopfield", "ann2snn"])
def test_a_replica_is_the_single_run_with_its_seed(name):
    together = train(Entry(name, TASK, RECIPE))
    alone = train(Entry(name, small_task(SEEDS[1:2]), replace(RECIPE, seeds=SEEDS[1:2])))
    np.testing.assert_allclose(together.loss_history[1], alone.loss_history[0], rtol=1e-3)
    assert (together.predictions[1] == alone.predictions[0]).mean() > 0.95
    assert together.parameters == alone.parameters


def test_the_published_time_is_that_of_all_epochs(monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(minigrad.training.time, "perf_counter", lambda: next(clock))
    assert train(Entry("mlp", TASK, replace(RECIPE, epochs=3))).train_seconds == 3


@pytest.mark.parametrize("name", ["mlp", "tabnet", "hopfield", "snn"])
def test_replicas_with_numbers_of_their_own_are_runs_with_these_numbers(name):
    """Bit for bit, of whatever draws no noise while training."""
    rates, decays = (1e-3, 1e-2, 1e-1), (0.0, 1e-1, 1e-3)
    recipe = replace(RECIPE, keep=True)
    together = train(Entry(name, TASK, replace(recipe, learning_rate=rates, weight_decay=decays)))
    for k, (seed, lr, decay) in enumerate(zip(SEEDS, rates, decays)):
        own = replace(recipe, seeds=(seed,), learning_rate=lr, weight_decay=decay)
        alone = train(Entry(name, small_task((seed,)), own))
        np.testing.assert_array_equal(together.loss_history[k], alone.loss_history[0])
        np.testing.assert_array_equal(together.predictions[k], alone.predictions[0])
        for part, array in alone.state.items():
            np.testing.assert_array_equal(together.state[part][k], array[0])


def test_options_of_an_entry_come_before_those_of_the_comparison():
    entry = Entry("mlp", TASK, RECIPE, options={"hidden_sizes": (3,)})
    assert train(entry).parameters == 2 * 3 + 3 + 3 * 5 + 5
    assert title(entry) == "MLP (hidden_sizes=3)"


LOSSES = {  # after two epochs, of the shared and of the native protocol
    "mlp": (0.9351, 0.9351),
    "tabnet": (0.5848, 0.5887),
    "bayesian": (0.9726, 76.09),
    "mc_dropout": (0.9232, 0.9645),
    "ebm": (1.262, 0.9566),
    "hopfield": (1.587, 1.587),
    "snn": (1.135, 1.135),
    "ann2snn": (0.6295, 0.6295),
}


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.parametrize("protocol", BOTH)
def test_a_run_is_reproducible_and_looking_changes_nothing(name, protocol, monkeypatch):
    monkeypatch.setattr(training, "GRID", 20)
    monkeypatch.setattr(training, "FRAME", 10)
    recipe = replace(RECIPE, protocol=protocol)
    first = train(Entry(name, TASK, recipe))
    again = train(Entry(name, TASK, replace(recipe, boundaries=True)))
    assert same(first, again)
    loss = first.loss_history[:, -1].mean()  # or what has been published cannot be had again
    assert loss == pytest.approx(LOSSES[name][BOTH.index(protocol)], rel=1e-3)
    assert first.loss_history.shape == first.accuracy_history.shape == (3, 2)
    assert first.predictions.shape == (3, 40)
    accuracy = (first.predictions == TASK.y_test).mean(axis=-1)
    assert np.array_equal(first.accuracy, accuracy)
    assert again.grid.shape == (20, 20, 5)
    assert again.doubts.keys() == (
        again.maps.keys() if name in ("bayesian", "mc_dropout") else set()
    )
    for where, doubt in again.doubts.items():
        assert doubt.shape == again.maps[where].shape[:2] and (doubt >= 0).all() and doubt.any()
    if name == "tabnet":
        np.testing.assert_allclose(again.masks.sum(axis=-1), np.ones((3, 4)), rtol=1e-4)
    else:
        assert again.masks is None
    shapes = {epoch: frame.shape for epoch, frame in again.frames.items()}
    assert shapes == {0: (10, 10, 5), 1: (10, 10, 5), 2: (20, 20, 5)}
    assert sorted(again.accuracy)[1] == again.accuracy[again.shown]
    np.testing.assert_allclose(again.grid.sum(axis=-1), 1, rtol=1e-4)


def test_maps_form_in_at_most_twenty_steps_from_the_untrained_network():
    frames = {
        n: training.epochs_with_frames(Recipe(SEEDS, epochs=n, boundaries=True)) for n in (3, 100)
    }
    assert frames == {3: {0, 1, 2, 3}, 100: {*range(0, 101, 5)}}
    assert not training.epochs_with_frames(RECIPE)


@pytest.mark.parametrize(
    "option",
    [{"reshuffle": True}, {"learning_rate": 1e-3}, {"batch_size": 20}, {"protocol": "native"}],
)
def test_the_recipe_is_followed(option):
    plain = train(Entry("ebm", TASK, RECIPE))
    assert not same(plain, train(Entry("ebm", TASK, replace(RECIPE, **option))))


def test_passes_do_not_change_a_prediction(monkeypatch):
    seen = {}

    def remember(model, x, seed):
        seen["model"] = model
        return predict(model, x, seed)

    monkeypatch.setattr(training, "predict", remember)
    train(Entry("bayesian", TASK, RECIPE))
    x = np.stack([grid_points((-5, 5, -5, 5), 20)] * 3)
    whole = predict(seen["model"], x, SEEDS[0])
    monkeypatch.setattr(prediction, "ROWS_PER_PASS", 100)
    np.testing.assert_allclose(predict(seen["model"], x, SEEDS[0]), whole, atol=1e-5)


def test_many_replicas_are_tested_in_parts_and_only_some_after_every_epoch(monkeypatch):
    whole = train(Entry("ann2snn", TASK, RECIPE))
    monkeypatch.setattr(prediction, "REPLICAS_PER_PASS", 2)
    monkeypatch.setattr(training, "WATCHED", 1)
    parts = train(Entry("ann2snn", TASK, RECIPE))
    assert np.array_equal(parts.predictions, whole.predictions)
    assert np.array_equal(parts.accuracy_history, whole.accuracy_history[:1])
    assert parts.accuracy[:1] == parts.accuracy_history[:, -1].tolist()


@pytest.mark.parametrize("name", ["mlp", "bayesian", "mc_dropout"])
def test_a_network_that_diverges_is_a_result_with_maps_too(name, monkeypatch):
    monkeypatch.setattr(training, "GRID", 6)
    monkeypatch.setattr(training, "FRAME", 3)
    outcome = train(Entry(name, TASK, replace(RECIPE, learning_rate=1e30, boundaries=True)))
    assert outcome.diverged == [0, 1, 2]
    assert np.isnan(outcome.grid).all() and not np.isnan(outcome.frames[0]).any()
    assert all(np.isnan(outcome.doubts[where]).all() for where in outcome.doubts if where[1])


def test_the_replica_in_pictures_is_the_median_of_the_watched(monkeypatch):
    seen = []
    predict_grid = training.predict_grid

    def remember(model, replica, *arguments):
        seen.append(replica)
        return predict_grid(model, replica, *arguments)

    monkeypatch.setattr(training, "predict_grid", remember)
    monkeypatch.setattr(training, "GRID", 4)
    outcome = train(Entry("hopfield", TASK, replace(RECIPE, boundaries=True)))
    assert outcome.accuracy[outcome.shown] == np.median(outcome.accuracy)
    assert seen[:3] == [outcome.shown] * 3
    # And of those that did worst and best one map each, of what has come of them.
    assert (
        seen[3:]
        == list(outcome.extremes)
        == [np.argmin(outcome.accuracy), np.argmax(outcome.accuracy)]
    )
    assert list(outcome.maps) == [
        (outcome.shown, 0),
        (outcome.shown, 1),
        *((k, 2) for k in seen[2:]),
    ]
    assert outcome.shown != 0  # or this would not tell the median from the first
    assert training.median(np.array([0.5, 0.9, 0.1, 0.7])) == 0  # no lucky one of two
    equals = [*range(1, 16, 2), *range(0, 16, 2)]  # in the order of their seeds on any processor
    assert training.by_accuracy(np.array([0.9, 0.5] * 8)) == equals
    # At most sixteen are watched.
    assert training.by_accuracy(np.linspace(1, 0, 20)) == [*range(15, -1, -1)]


class Constant(Classifier):
    def predict_proba(self, x, *, rng=None):
        p = super().predict_proba(x)
        p.data[...] = np.eye(5)[2]
        return p


class Converting(Classifier):
    """What it predicts with after training is another network than what was trained."""

    def finish(self, x_train):
        return Constant(self.backbone, self.num_classes, train_rows=1, head=self.head)


def test_the_accuracy_before_a_conversion_is_kept():
    options = lookup("mlp").options
    register("converting", MLP, shared=Converting, options=options)
    converted = train(Entry("converting", TASK, RECIPE))
    plain = train(Entry("mlp", TASK, RECIPE))
    assert (converted.predictions == 2).all()
    assert converted.extra == {"accuracy_before_conversion": plain.accuracy}
    assert plain.extra == {}


class Broken(MLP):
    def forward(self, x):
        raise RuntimeError("this one is broken")


def test_a_failure_does_not_lose_the_others():
    register("broken", Broken)
    results = list(contest(entries(["broken", "mlp"], ["shared"], TASK, RECIPE)))
    assert [entry.name for entry, _ in results] == ["broken", "mlp"]
    assert str(results[0][1]) == "this one is broken"
    assert results[1][1].label == "MLP"


class Backwards(Executor):
    """The plainest executor: runs at once, in this process."""

    def submit(self, function, *arguments):
        future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def compare_with(executor):
    together = entries(["ebm", "mc_dropout"], BOTH, TASK, replace(RECIPE, keep=True))
    found = {(e.name, e.recipe.protocol): result for e, result in contest(together, executor)}
    assert len(found) == 4
    for entry in together:
        assert same(found[entry.name, entry.recipe.protocol], train(entry))


def test_any_executor_serves():
    compare_with(Backwards())
    register("broken", Broken)
    [(entry, error)] = contest(entries(["broken"], ["shared"], TASK, RECIPE), Backwards())
    assert entry.name == "broken" and isinstance(error, RuntimeError)


def test_epochs_of_other_processes_are_seen():
    seen = []
    [(entry, _)] = contest(
        [Entry("mlp", TASK, RECIPE)], Backwards(), lambda *args: seen.append(args)
    )
    assert [(one, epoch) for one, epoch, *_ in seen] == [(entry, 2)]  # the last of two
    assert seen[0][2:] == pytest.approx(watched(entry)[-1])


def watched(entry):
    """What `train` itself reports."""
    reports = []
    train(entry, lambda entry, epoch, *numbers: reports.append(numbers))
    return reports


def test_processes_give_the_same_bits(monkeypatch):
    monkeypatch.setitem(os.environ, "OPENBLAS_NUM_THREADS", "1")
    with workers(2) as executor:
        compare_with(executor)
    assert not multiprocessing.active_children()


def test_who_has_no_objective_of_its_own_is_trained_once():
    both = entries(["mlp", "ebm"], ["shared", "native"], TASK, RECIPE)
    assert [(entry.name, entry.recipe.protocol) for entry in both] == [
        ("mlp", "shared"),
        ("ebm", "shared"),
        ("ebm", "native"),
    ]
    assert len(entries(["mlp", "ebm"], ["native"], TASK, RECIPE)) == 2
    native = train(Entry("mlp", TASK, replace(RECIPE, protocol="native")))
    assert same(native, train(Entry("mlp", TASK, RECIPE)))


def test_who_has_no_objective_of_its_own_is_ranked_under_both_protocols():
    outcomes = [result for _, result in contest(entries(["mlp", "ebm"], BOTH, TASK, RECIPE))]
    found = rank_all(outcomes, BOTH)
    for protocol in BOTH:
        assert {one.outcome.name for one in found[protocol]} == {"mlp", "ebm"}
        assert {one.outcome.protocol for one in found[protocol]} == {protocol}
    assert rank_all(outcomes[:2], ["shared"]).keys() == {"shared"}
    assert rank_all([], BOTH) == {}


@pytest.mark.slow  # who has no Dask would skip it, and .ci/run has it
@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_dask_cluster_gives_the_same_bits():
    distributed = pytest.importorskip(
        "dask.distributed", reason="Dask is not installed: pip install '.[distributed]'"
    )
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as local,
        cluster(local.scheduler_address) as executor,
    ):
        compare_with(executor)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_cluster_that_cannot_be_used_is_refused(monkeypatch):
    distributed = pytest.importorskip("dask.distributed", reason="Dask is not installed")
    monkeypatch.setattr(cluster_module, "PATIENCE", 0.5)
    with pytest.raises(Refusal, match="no scheduler answers at nowhere: "), cluster("nowhere"):
        pass
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as local:
        with pytest.raises(Refusal, match="has no workers"), cluster(local.scheduler_address):
            pass
        local.scale(1)
        monkeypatch.setattr(minigrad, "__version__", "0.0.0")  # here, and in no worker
        monkeypatch.setattr(cluster_module, "PATIENCE", 10)
        for version, found in (("'0.0.1'", "'0.0.1'"), ("__import__('no_package')", "Module.*")):
            monkeypatch.setattr(cluster_module, "VERSION", version)
            says = rf"lacks demos and minigrad 0.0.0 \({found}\): start it with this checkout's fol"
            with pytest.raises(Refusal, match=says), cluster(local.scheduler_address):
                pass


def test_a_cancelled_training_is_a_failure():
    class Leaving(Backwards):
        def submit(self, *_):
            future = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    [(_, error)] = contest([Entry("mlp", TASK, RECIPE)], Leaving())
    assert str(error).startswith("cancelled: ")


class OutOfMemoryError(MemoryError):
    """What CuPy raises."""


def test_a_device_out_of_memory_is_one_line_and_the_next_has_it_all(monkeypatch):
    """Whose replicas had no room, and what to lower; nothing holds on to what was allocated."""
    arrays, given_back = [], strict.pool.given_back

    def loss(model, x, y):
        arrays.extend(weakref.ref(p) for p in model.parameters())
        raise OutOfMemoryError("Out of memory allocating 1,234 bytes (allocated so far: 5 bytes).")

    backend.activate(strict, "strict")
    recipe = replace(RECIPE, device="strict", compiled=False)
    monkeypatch.setattr(Classifier, "loss", loss)
    names = ["mlp", "snn"]
    for entry, error in contest(entries(names, ["shared"], TASK, recipe)):
        assert describe(error) == (
            "MemoryError: the GPU (stand-in, 8 GiB) has no room for 3 replicas of "
            f"{lookup(entry.name).label} with 32 rows in a minibatch: lower --replicas or "
            "--batch-size (Out of memory allocating 1,234 bytes (allocated so far: 5 bytes).)"
        )
        assert arrays and not [ref for ref in arrays if ref() is not None]
    assert strict.pool.given_back == given_back + 2 * 2


def test_memory_is_given_back_between_architectures():
    backend.activate(strict, "strict")
    given_back = strict.pool.given_back
    recipe = replace(RECIPE, device="strict", compiled=False)
    for k, (_, outcome) in enumerate(contest(entries(["mlp", "snn"], ["shared"], TASK, recipe)), 1):
        assert outcome.accuracy_history.shape == (3, 2)
        assert strict.pool.given_back == given_back + 2 * k
