"""The pictures: which there are, and that they show the numbers."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from demos.comparison import training
from demos.comparison.own_data import task_from_file
from demos.comparison.ranking import rank
from demos.comparison.results import PICTURES
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe, train
from demos.pictures import scores, summary
from demos.pictures.comparison import draw_all
from demos.pictures.data import projection
from demos.pictures.layout import shorten
from demos.pictures.palette import CLASSES, FAMILIES, class_colours

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
    ranked = compete(task, seeds, boundaries=True, animate=True)
    files = draw(ranked, task, tmp_path, animate=True)
    assert files == ALWAYS | {"boundaries.png", "bayes.png", "training.gif"} == set(PICTURES)
    for name in files:
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(maxcolors=1 << 24)) > 20  # not empty
    with Image.open(tmp_path / "training.gif") as animation:
        assert animation.n_frames == 2


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
    shown = f"(first replica: {100 * one.outcome.accuracy[0]:.1f} %)"
    assert confusion.get_title() == f"#1: MLP, confusion\n{shown}"
    assert [label.get_text() for label in confusion.get_yticklabels()] == list("01234")


def test_shorten():
    assert shorten("setosa", 6) == "setosa" and shorten("virginica", 6) == "virgi…"


def test_the_bars_are_the_accuracies_sorted_in_the_colours_of_the_families():
    seeds = (0, 1)
    task = rings_and_clusters(seeds)
    ranked = compete(task, seeds)
    [axes] = scores.accuracies(ranked, task).axes
    bars = sorted(axes.patches, key=lambda bar: bar.get_y())
    widths = [bar.get_width() for bar in bars]
    np.testing.assert_allclose(widths, [100 * one.accuracy.mean for one in ranked])
    assert axes.get_xlim() == (0, 100)
    colours = [bar.get_facecolor()[:3] for bar in bars]
    assert colours == [to_rgb(FAMILIES[one.outcome.family]) for one in ranked]


def test_every_class_and_every_family_has_a_colour_of_its_own():
    assert len({*CLASSES, *FAMILIES.values()}) == len(CLASSES) + len(FAMILIES)
    for n in (2, 7, 8, 30):
        assert len(set(class_colours(n))) == n
