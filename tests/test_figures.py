"""The pictures: which there are, and that they show the numbers."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from architectures import lookup, register
from architectures.feedforward.mlp import MLP
from demos.comparison import training
from demos.comparison.own_data import task_from_file
from demos.comparison.ranking import rank
from demos.comparison.results import PICTURES
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe, train
from demos.pictures import confusion as confusions
from demos.pictures import scores, summary
from demos.pictures.comparison import draw_all
from demos.pictures.data import projection
from demos.pictures.layout import shorten
from demos.pictures.palette import CLASSES, FAMILIES, GUESTS, class_colours, colour, family_handles

ALWAYS = {"data.png", "accuracy.png", "curves.png", "confusion.png", "summary.png"}


@pytest.fixture(autouse=True)
def small_grids(monkeypatch):
    monkeypatch.setattr(training, "GRID", 12)
    monkeypatch.setattr(training, "FRAME", 8)


def compete(task, seeds, names=("mlp", "ebm"), **options):
    recipe = Recipe(seeds=seeds, epochs=2, **options)
    return rank([train(Entry(name, task, recipe)) for name in names])


def draw(ranked, task, folder, **options):
    draw_all(ranked, task, folder, **{"best": 4, "animate": False} | options)
    return {path.name for path in folder.iterdir()}


def test_the_pictures_of_rings_and_clusters(tmp_path):
    seeds = (0, 1)
    task = rings_and_clusters(seeds)
    ranked = compete(task, seeds, boundaries=True)
    files = draw(ranked, task, tmp_path, animate=True)
    assert files == ALWAYS | {"boundaries.png", "bayes.png", "training.gif"} == set(PICTURES)
    for name in files:
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24)) > 20  # not empty
    with Image.open(tmp_path / "training.gif") as animation:
        assert animation.n_frames == 3  # untrained, and after each epoch


@pytest.mark.parametrize(("features", "classes"), [(1, 2), (5, 9)])
def test_the_pictures_of_other_data(tmp_path, features, classes):
    rng = np.random.default_rng(0)
    y = np.arange(90) % classes
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(90, features)) + y[:, None], y=y)
    task = task_from_file(tmp_path / "data.npz", None, (0,))
    folder = tmp_path / "out"
    folder.mkdir()
    assert draw(compete(task, (0,), names=("mlp",)), task, folder) == ALWAYS
    assert projection(task)[0].shape == (90, 2)


def test_names_that_are_no_mathtext_and_have_no_glyphs(tmp_path):
    rows = [f"{k},{k % 7},{('$' + chr(92) + 'foo$ a', '犬')[k % 2]}" for k in range(60)]
    path = tmp_path / "w$\\foo$.csv"
    path.write_text("\n".join(["$\\a$,$_$,kind", *rows]), encoding="utf-8")
    task = task_from_file(path, "kind", (0,))
    folder = tmp_path / "out"
    folder.mkdir()
    found = draw(compete(task, (0,), names=("mlp",), boundaries=True), task, folder, best=0)
    assert found == ALWAYS


def test_a_loss_below_zero_is_shown():
    task = rings_and_clusters((0,))
    [one] = compete(task, (0,), names=("mlp",))
    assert scores.curves([one], task).axes[0].get_yscale() == "log"
    one.outcome.loss_history[...] -= 5
    assert scores.curves([one], task).axes[0].get_yscale() == "symlog"


def test_summary_says_whose_numbers_it_shows():
    task = rings_and_clusters((0, 1))
    [one] = compete(task, (0, 1), names=("mlp",), protocol="native")
    figure = summary.picture([one], task)
    assert "each by its own objective" in figure.get_suptitle()
    confusion = figure.axes[2]
    assert confusion.get_title() == "#1: MLP\n(confusion, in %)"
    assert [label.get_text() for label in confusion.get_yticklabels()] == list("01234")


def test_confusions_are_of_all_replicas_in_percent_of_the_true_class():
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), names=("mlp",))
    counts = np.zeros((5, 5))
    np.add.at(counts, (task.y_test, ranked[0].outcome.predictions), 1)
    share = 100 * counts / counts.sum(axis=1, keepdims=True)
    [axes] = confusions.picture(ranked, task).axes
    for text in axes.texts:
        column, row = text.get_position()
        says = "<1" if share[row, column] < 0.5 else f"{share[row, column]:.0f}"
        assert text.get_text() == says
    assert len(axes.texts) == (counts > 0).sum()


def test_shorten():
    assert shorten("setosa", 6) == "setosa" and shorten("virginica", 6) == "virgi…"


def test_the_ranking_shows_means_replicas_intervals_and_ties():
    seeds = (0, 1)
    task = rings_and_clusters(seeds)
    ranked = compete(task, seeds)
    ranked[1] = replace(ranked[1], ties=(1,))
    [axes] = scores.accuracies(ranked, task).axes
    for row, one in enumerate(ranked):
        interval, replicas, mean = axes.lines[3 * row : 3 * row + 3]
        middle, width = 100 * one.accuracy.mean, 100 * one.accuracy.half_width
        np.testing.assert_allclose(mean.get_xdata(), [middle])
        np.testing.assert_allclose(interval.get_xdata(), [middle - width, middle + width])
        np.testing.assert_allclose(replicas.get_xdata(), 100 * np.array(one.outcome.accuracy))
        for line in (interval, replicas, mean):
            assert to_rgb(line.get_color()) == to_rgb(FAMILIES[one.outcome.family])
    says = [label.get_text() for label in axes.get_yticklabels()]
    assert says == [ranked[0].outcome.label, f"= {ranked[1].outcome.label}"]
    assert "cannot be told" in axes.get_xlabel()


def test_an_architecture_has_the_same_line_whatever_its_rank():
    task = rings_and_clusters((0,))
    ranked = compete(task, (0,), names=("ebm", "hopfield"))

    def styles(ranked):
        figure = scores.curves(ranked, task)
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        return dict(zip(labels, (line.get_linestyle() for line in figure.axes[0].lines)))

    assert styles(ranked) == styles(ranked[::-1])
    assert len(set(styles(ranked).values())) == 2


def test_guests_have_colours():
    register("guest", MLP, family="visitors")
    register("other", MLP, family="strangers")
    register("painted", MLP, colour="#123456")
    guest, other, painted = (
        SimpleNamespace(family=lookup(name).family, colour=lookup(name).colour)
        for name in ("guest", "other", "painted")
    )
    assert len({colour(guest), colour(other), *FAMILIES.values()}) == 2 + len(FAMILIES)
    assert colour(painted) == "#123456"
    handles = family_handles([SimpleNamespace(outcome=one) for one in (guest, other)])
    assert [handle.get_label() for handle in handles] == ["visitors", "strangers"]


def test_every_class_and_every_family_has_a_colour_of_its_own():
    families = [*FAMILIES.values(), *GUESTS]
    assert len({*CLASSES, *families}) == len(CLASSES) + len(families)
    for n in (2, 7, 8, 30):
        assert len(set(class_colours(n))) == n
