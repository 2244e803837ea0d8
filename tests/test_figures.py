"""The pictures: which there are, and that they show the numbers."""

import copy
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from legible import assert_says, blank, collisions, dots, faults, ticks
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from architectures import lookup, register
from architectures.feedforward.mlp import MLP
from demos.comparison import training
from demos.comparison.options import DRAWN
from demos.comparison.own_data import task_from_file
from demos.comparison.ranking import rank
from demos.comparison.results import ANIMATION, PICTURES
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.task import Task
from demos.comparison.training import Entry, Recipe, train
from demos.pictures import boundaries, data, drawn, scores, summary
from demos.pictures import confusion as confusions
from demos.pictures.animation import write_gif
from demos.pictures.boundaries import boundary
from demos.pictures.comparison import draw_all, names_as_they_are, pictures
from demos.pictures.data import cloud, projection, reach
from demos.pictures.layout import panels, shorten, square
from demos.pictures.palette import (
    CLASSES,
    FAMILIES,
    GUESTS,
    HATCHES,
    INK,
    MARKERS,
    STYLE,
    class_colours,
    class_legend,
    colour,
    family_handles,
)

ALWAYS = {"data.png", "accuracy.png", "curves.png", "confusion.png", "summary.png"}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    monkeypatch.setattr(training, "GRID", 12)
    monkeypatch.setattr(training, "FRAME", 8)


def compete(task, seeds, names=("mlp", "ebm"), **options):
    recipe = Recipe(seeds=seeds, epochs=2, **options)
    return rank([trained(name, task, recipe) for name in names])


TRAINED = {}  # who has been trained on rings and clusters, for all tests


def trained(name, task, recipe):
    if task.posterior is None:
        return train(Entry(name, task, recipe))
    if (name, recipe) not in TRAINED:
        TRAINED[name, recipe] = train(Entry(name, task, recipe))
    return copy.deepcopy(TRAINED[name, recipe])


def draw(ranked, task, folder, **options):
    draw_all(ranked, task, folder, **{"best": 4, "animate": False} | options)
    return {path.name for path in folder.iterdir()}


def test_the_pictures_of_rings_and_clusters(tmp_path, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 80)
    seeds = (0, 1)
    task = rings_and_clusters(seeds)
    ranked = compete(task, seeds, boundaries=True)
    files = draw(ranked, task, tmp_path, animate=True)
    assert files == ALWAYS | {"boundaries.png", "bayes.png", "training.gif"}
    assert files == {*(f"{name}.png" for name in PICTURES), ANIMATION}
    for name in files:
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200
            assert picture.convert("RGB").getcolors(20) is None  # not empty: it has more
    with Image.open(tmp_path / "training.gif") as animation:
        assert animation.n_frames == 3  # untrained, and after each epoch


def test_the_animation_shows_every_epoch_and_rests_on_the_last(tmp_path, monkeypatch):
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), boundaries=True) * 3
    says, figures, suptitle = [], [], Figure.suptitle

    def watched(figure, text):
        says.append(text)
        figures.append(figure)
        suptitle(figure, text)

    monkeypatch.setattr(Figure, "suptitle", watched)
    write_gif(ranked, task, tmp_path / "all.gif")
    assert says == ["untrained", "epoch 1", "epoch 2"]
    figure = figures[0]
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == [one.outcome.label for one in ranked]
    assert len({axes.get_subplotspec().rowspan.start for axes in shown}) == 2
    assert faults(figure) == []
    with Image.open(tmp_path / "all.gif") as animation:
        durations = []
        for frame in range(animation.n_frames):
            animation.seek(frame)
            durations.append(animation.info["duration"])
    assert durations == [500, 500, 2500]
    for axes, one in zip(shown, ranked):
        last = boundaries.shades(one.outcome.frames[2])
        np.testing.assert_array_equal(axes.images[0].get_array(), last)
        points = task.x_test[one.outcome.shown]
        assert dots(axes) == {tuple(point) for point in points.astype(float)}


def test_what_the_pictures_say():
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), names=("mlp", "ebm", "hopfield"), boundaries=True)
    for name, picture in pictures(ranked, task, None):
        assert_says(picture(), name)
    shared = compete(task, (0, 1), names=("hopfield", "ebm", "bayesian"))
    own = compete(task, (0, 1), names=("ebm", "bayesian"), protocol="native")
    assert_says(scores.protocols(shared, own, 0.0), "protocols")
    for name in ("adding", "copy", "digits"):
        assert_says(data.picture(DRAWN[name]((0,))), name)


def test_pictures_are_svg_on_request_and_the_same_twice(tmp_path):
    task = rings_and_clusters((0,))
    ranked = compete(task, (0,), names=("mlp",), boundaries=True)
    found = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        assert draw(ranked, task, folder, kind="svg") == {f"{name}.svg" for name in PICTURES}
        found.append({path.name: path.read_text() for path in folder.iterdir()})
    assert found[0] == found[1]
    assert all(text.rstrip().endswith("</svg>") for text in found[0].values())


def test_all_boundaries_are_drawn_unless_fewer_are_asked_for():
    task = rings_and_clusters((0,))
    ranked = compete(task, (0,), names=("mlp", "ebm", "hopfield"), boundaries=True)
    for best, n in ((None, 3), (2, 2)):
        figure = dict(pictures(ranked, task, best))["boundaries"]()
        titles = [axes.get_title().split("\n")[0] for axes in figure.axes]
        assert titles == [one.outcome.label for one in ranked[:n]]


def test_boundaries_are_in_the_datas_own_units(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)) * [1e-3, 5e6] + [2, 1e8]
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 3)
    task = task_from_file(tmp_path / "data.npz", None, (0, 1))
    figure = Figure()
    for replica in (0, 1):
        axes = figure.add_subplot()
        boundary(axes, np.ones((4, 4, 3)) / 3, task, replica)
        points = np.concatenate([dots.get_offsets() for dots in axes.collections])
        for point in points:
            assert (np.abs(x - point) < [1e-8, 50]).all(axis=1).any()
        (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
        assert 1.99 < left < points[:, 0].min() < points[:, 0].max() < right < 2.01
        assert 0.5e8 < bottom < points[:, 1].min() < points[:, 1].max() < top < 1.5e8
        assert axes.images[0].get_extent() == [left, right, bottom, top]
    np.savez(tmp_path / "line.npz", x=x[:, :1], y=np.arange(60) % 3)
    for some in (task, task_from_file(tmp_path / "line.npz", None, (0,))):
        axes = figure.add_subplot()
        cloud(axes, some)
        assert 1.99 < axes.get_xlim()[0] < axes.get_xlim()[1] < 2.01


@pytest.mark.slow
def test_units_that_no_axis_can_show_are_left_out(tmp_path):
    rng = np.random.default_rng(0)
    for k, (scale, centre) in enumerate([(1e300, 0), (1e-300, 0), (1, 1e12)]):
        x = rng.normal(size=(40, 2)) * scale + centre
        np.savez(tmp_path / f"{k}.npz", x=x, y=np.arange(40) % 2)
        task = task_from_file(tmp_path / f"{k}.npz", None, (0,))
        assert reach(task, 0) == task.extent
        folder = tmp_path / f"{k}"
        folder.mkdir()
        draw(compete(task, (0,), names=("mlp",), boundaries=True), task, folder)


def test_regions_are_told_apart_without_their_colours(monkeypatch):
    monkeypatch.setattr(boundaries, "class_colours", lambda n: [(0.5, 0.5, 0.5)] * n)
    seen = set()
    for c in range(len(HATCHES)):
        probabilities = np.full((4, 4, 8), 0.01)
        probabilities[..., c] = 0.93
        figure = Figure(figsize=(1, 1))
        canvas = FigureCanvasAgg(figure)
        boundaries.regions(figure.add_axes((0, 0, 1, 1)), probabilities, (-1, 1, -1, 1))
        canvas.draw()
        seen.add(np.asarray(canvas.buffer_rgba()).tobytes())
    assert len(seen) == len(HATCHES)


def test_what_the_native_protocol_changes():
    task = rings_and_clusters((0, 1))
    shared = compete(task, (0, 1), names=("hopfield", "ebm", "bayesian"))
    own = compete(task, (0, 1), names=("ebm", "bayesian"), protocol="native")
    both = own + [one for one in shared if one.outcome.name == "hopfield"]
    left, right = scores.protocols(shared, both, 0.0).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels[-1] == "Hopfield" and set(labels) == {"Hopfield", "EBM", "Bayesian"}
    before, after = (
        {one.outcome.label: 100 * one.accuracy.mean for one in some} for some in (shared, both)
    )
    for row, label in enumerate(labels):
        line, hollow, filled = left.lines[3 * row : 3 * row + 3]
        np.testing.assert_allclose(line.get_xdata(), [before[label], after[label]])
        np.testing.assert_allclose(hollow.get_xdata(), before[label])
        np.testing.assert_allclose(filled.get_xdata(), after[label])
    gains = [after[label] - before[label] for label in labels[:2]]
    assert gains == sorted(gains, reverse=True)
    for row, (gain, text) in enumerate(zip(gains, right.texts)):
        interval, middle = right.lines[2 * row : 2 * row + 2]
        width = float(re.search(r"± (\d+\.\d)", text.get_text())[1])
        np.testing.assert_allclose(interval.get_xdata(), [gain - width, gain + width], atol=0.051)
        assert [*middle.get_xdata()] == pytest.approx([gain])
        assert {*interval.get_ydata(), *middle.get_ydata()} == {row} == {text.xy[1]}
    for gain, text in zip(gains, right.texts):
        assert abs(float(text.get_text().split(" ± ")[0]) - gain) < 0.051
    assert right.texts[2].get_text().strip() == "has no other objective"
    hollow, filled = left.lines[1:3]
    before, after = left.figure.legends[0].legend_handles
    assert hollow.get_markerfacecolor() == before.get_markerfacecolor() == "white"
    assert filled.get_markerfacecolor() == filled.get_color() and after.get_markerfacecolor() == INK


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


WIDE = ["$\\frac{$" + 9 * "W", "<b>&amp;</b>" * 9, 30 * "犬"]


@pytest.mark.parametrize(
    ("features", "classes"),
    [
        (2, WIDE),
        (3, WIDE),
        (2, [f"answer {k}" for k in range(5)]),
        (3, [f"kind of flower number {k:02}" for k in range(20)]),
    ],
)
def test_no_name_is_too_long(tmp_path, features, classes):
    path = tmp_path / f"{'W' * 200}.csv"
    header = ",".join([*(f"{k}{60 * 'W'}" for k in range(features)), "kind"])
    numbers = np.random.default_rng(0).normal(size=(len(classes) * 6, features))
    rows = [",".join([*map(str, x), classes[k % len(classes)]]) for k, x in enumerate(numbers)]
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    task = task_from_file(path, "kind", (0,))
    ranked = compete(task, (0,), names=("mlp",), boundaries=features == 2)
    with names_as_they_are():
        drawn = {name: draw() for name, draw in pictures(ranked, task, None)}
        assert [
            fault for one in drawn.values() for fault in collisions(one) if "edge" in fault
        ] == []
    [legend] = drawn["data"].legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(names) == len(classes) <= 2 * len({*names})


def test_curves_are_means_of_the_replicas():
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), names=("mlp", "ebm", "hopfield"), boundaries=True)
    ranked[0].outcome.protocol = "native"
    figure = scores.curves(ranked, task)
    assert faults(figure) == []
    left, right = figure.axes
    assert left.get_title() == "Training loss (objectives differ)"
    looks = set()
    for one, loss, accuracy in zip(ranked, left.get_lines(), right.get_lines()):
        for line in (loss, accuracy):
            assert [*line.get_xdata()] == [1, 2]
        np.testing.assert_allclose(loss.get_ydata(), one.outcome.loss_history.mean(axis=0))
        found = 100 * np.mean(one.outcome.accuracy_history, axis=0)
        np.testing.assert_allclose(accuracy.get_ydata(), found)
        looks.add((loss.get_color(), loss.get_linestyle()))
    [legend] = figure.legends
    *told, best = zip(legend.get_texts(), legend.legend_handles)
    for (text, handle), one, line in zip(told, ranked, left.get_lines(), strict=True):
        assert text.get_text() == one.outcome.label
        assert handle.get_color() == line.get_color() and len(looks) == 3
        assert handle.get_linestyle() == line.get_linestyle()
        assert handle.get_marker() == line.get_marker()
    bayes = 100 * task.bayes_accuracy
    assert best[0].get_text() == f"Bayes-optimal, {bayes:.1f} %"
    assert {*right.get_lines()[-1].get_ydata()} == {bayes}
    ranked[0].outcome.accuracy_history = ranked[0].outcome.accuracy_history[:1]
    [axes] = scores.curves(ranked[:1], task).axes[1:]
    assert axes.get_title() == "Test accuracy (%), first 1 replicas"


def test_a_loss_below_zero_is_shown():
    task = rings_and_clusters((0,))
    [one] = compete(task, (0,), names=("mlp",))
    one.outcome.loss_history[...] = 10, 0.1  # in the first epoch, and in the last one
    axis = scores.curves([one], task).axes[0].yaxis
    assert axis.get_scale() == "log"
    assert {f"{place:.0e}"[0] for place in axis.get_majorticklocs()} == {*"125"}
    one.outcome.loss_history[..., -1] = 0
    axis = scores.curves([one], task).axes[0].yaxis
    assert axis.get_scale() == "symlog"
    assert {0, 0.1, 0.2, 0.5, 1} <= {*axis.get_majorticklocs().round(9)}
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


def test_summary_shows_the_task_the_best_possible_the_first_and_the_last(monkeypatch):
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), names=("mlp", "ebm", "hopfield"), boundaries=True)
    figure = summary.picture(ranked, task)
    assert figure.get_suptitle() == "3 architectures, one task, one recipe"
    *panels, table = figure.axes
    first, last = ranked[0], ranked[2]
    assert [axes.get_title() for axes in panels] == [
        "The task: rings and clusters",
        f"The best possible: {100 * task.bayes_accuracy:.1f} %",
        f"#1: {first.outcome.label}\n({boundaries.here_and_all(first)})",
        f"#3: {last.outcome.label}\n({boundaries.here_and_all(last)})",
    ]
    for axes, one in zip(panels[2:], (first, last)):
        shown = boundaries.shades(one.outcome.grid)
        np.testing.assert_array_equal(axes.images[0].get_array(), shown)
    assert [*ticks(table.yaxis)] == [f"{'= ' * one.tied}{one.outcome.label}" for one in ranked]


def test_the_best_possible_boundaries():
    task = rings_and_clusters((0,))
    probabilities = boundaries.bayes_probabilities(task, 9)
    left, right, bottom, top = task.extent
    for row, y in enumerate(np.linspace(bottom, top, 9)):
        for column, x in enumerate(np.linspace(left, right, 9)):
            truth = task.posterior(np.array([[x, y]]))[0]
            np.testing.assert_allclose(probabilities[row, column], truth, atol=1e-5)
    figure = boundaries.bayes(task)
    [axes] = figure.axes
    assert f"{100 * task.bayes_accuracy:.1f} %" in axes.get_title()
    assert (axes.get_xlabel(), axes.get_ylabel()) == task.feature_names
    # The legend has the colour, marker and hatching that the picture has.
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*task.class_names]
    points = [drawn for drawn in axes.collections if len(drawn.get_offsets()) > 1]
    for c, (handle, some) in enumerate(zip(legend.legend_handles, points, strict=True)):
        assert to_rgb(handle.get_facecolor()) == to_rgb(some.get_facecolor())
        assert handle.get_hatch() == HATCHES[c]


def test_a_legend_has_the_markers_and_colours_of_the_points():
    task = rings_and_clusters((0,))
    figure = data.picture(task)
    [axes], [legend] = figure.axes, figure.legends
    for c, (handle, some) in enumerate(zip(legend.legend_handles, axes.collections, strict=True)):
        assert handle.get_color() == class_colours(5)[c] == to_rgb(some.get_facecolor())
        assert handle.get_marker() == MARKERS[c] and handle.get_linestyle() == "None"
    assert [text.get_text() for text in legend.get_texts()] == [*task.class_names]
    figure = Figure()
    class_legend(figure, SimpleNamespace(class_names=tuple(f"{c}" for c in range(21))))
    assert figure.legends == []  # so many names have no room


@pytest.mark.parametrize("n, rows", [(3, 1), (7, 2), (14, 2), (15, 3), (20, 3)])
def test_a_legend_has_few_rows_and_fits(n, rows):
    with rc_context(STYLE):
        figure, _ = square()
        names = tuple(f"{c} is a long name" for c in range(n))
        class_legend(figure, SimpleNamespace(class_names=names))
        figure.draw_without_rendering()
        [legend] = figure.legends
        box = legend.get_window_extent()
    assert box.width <= figure.bbox.width and box.y0 >= 0
    heights = {round(text.get_window_extent().y0) for text in legend.get_texts()}
    assert len(heights) <= rows
    assert all(text.get_text()[:2].strip() in names[k] for k, text in enumerate(legend.get_texts()))


def test_a_sure_class_is_a_pale_wash_of_its_colour():
    pale = boundaries.shades(np.eye(5))
    np.testing.assert_allclose(1 - pale, 0.45 * (1 - np.array(class_colours(5))))
    np.testing.assert_allclose(boundaries.shades(np.full(5, 0.2)), pale.mean(axis=0))


def test_one_architecture_forms_its_boundaries_alone(tmp_path):
    task = rings_and_clusters((0,))
    write_gif(compete(task, (0,), names=("mlp",), boundaries=True), task, tmp_path / "one.gif")
    with Image.open(tmp_path / "one.gif") as animation:
        assert animation.n_frames == 3 and animation.info["loop"] == 0  # again and again


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


def test_confusions_have_names_at_the_left_and_below_only():
    task = rings_and_clusters((0,))
    ranked = compete(task, (0,)) * 3
    names = list("01234")
    for k, axes in enumerate(confusions.picture(ranked, task).axes):
        one = ranked[k]
        assert axes.get_title() == f"{one.outcome.label}: {one.accuracy} %"
        assert [*ticks(axes.yaxis)] == (names if k in (0, 4) else [])
        assert [*ticks(axes.xaxis)] == (names if k >= 2 else [])
        for text in axes.texts:  # white on what is dark
            column, row = text.get_position()
            dark = axes.images[0].get_array()[row, column] > 0.75
            assert text.get_color() == ("white" if dark else INK)


def test_the_boundary_is_where_the_winner_changes():
    """Of three classes side by side: x < -1, around 0, x > 1, and none wins by much."""
    n = 81
    x = np.tile(np.linspace(-2, 2, n), (n, 1))
    scores = np.stack([-x - 1, 0 * x, x - 1], axis=-1)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    axes = blank()
    boundaries.regions(axes, probabilities, (-2, 2, 3, 8))
    lines, hatched = ([one for one in axes.collections if one.filled == f] for f in (False, True))
    found = [np.unique(line.get_paths()[0].vertices[:, 0].round(6)).tolist() for line in lines]
    assert found == [[-1], [-1, 1], [1]]
    assert [region.hatches for region in hatched] == [["//"], ["\\\\"]]
    for one in (*lines, *hatched):
        heights = one.get_paths()[0].vertices[:, 1]
        assert heights.min() == 3 and heights.max() == 8
    for region, (low, high) in zip(hatched, [(-1, 1), (1, 2)]):
        places = region.get_paths()[0].vertices[:, 0]
        assert places.min() == pytest.approx(low) and places.max() == pytest.approx(high)


def test_boundaries_say_which_replica_and_which_axis(monkeypatch):
    task = rings_and_clusters((0, 1))
    ranked = compete(task, (0, 1), names=("mlp", "ebm", "hopfield"), boundaries=True)
    figure = boundaries.picture(ranked, task)
    assert faults(figure) == []
    assert (
        figure.get_suptitle() == "Decision boundaries of the median replica, with its test points"
    )
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    name, other = task.feature_names
    assert labels == [("", other), (name, ""), (name, other)]
    for axes, one in zip(figure.axes, ranked):
        here = 100 * one.outcome.accuracy[one.outcome.shown]
        assert axes.get_title() == f"{one.outcome.label}\nhere {here:.1f} %, all {one.accuracy}"
        np.testing.assert_array_equal(
            axes.images[0].get_array(), boundaries.shades(one.outcome.grid)
        )
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [*task.class_names]


def test_data_are_projected_on_what_spreads_most():
    rng = np.random.default_rng(0)
    spread = np.array([0.1, 3, 0.2, 1])
    x = (rng.normal(size=(1, 300, 4)) * spread + [5, 0, 0, 0]).astype("float32")
    y = np.arange(300)[None] % 2
    task = Task("some", x[:, :200], y[:, :200], x[:, 200:], y[:, 200:], ("a", "b"), tuple("pqrs"))
    points, labels, names = projection(task)
    np.testing.assert_allclose(
        np.abs(points), np.abs(x[0][:, [1, 3]] - x[0, :200, [1, 3]].mean(axis=1)), atol=0.5
    )
    np.testing.assert_array_equal(labels, y[0])
    shares = 100 * spread[[1, 3]] ** 2 / (spread**2).sum()
    for k, (name, share) in enumerate(zip(names, shares), 1):
        said = re.fullmatch(rf"component {k}: (\d+) % of the variance", name)
        assert float(said[1]) == pytest.approx(share, abs=3)
    axes = blank()
    cloud(axes, task)
    assert (axes.get_xlabel(), axes.get_ylabel()) == names
    assert {tuple(point) for point in points.astype(float)} == dots(axes)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    inside = (points > [left, bottom]) & (points < [right, top])
    assert inside.all(axis=1).mean() > 0.95
    spans = np.ptp(np.percentile(points, [0.5, 99.5], axis=0), axis=0)
    np.testing.assert_allclose([right - left, top - bottom], 1.4 * spans, rtol=1e-5)


def test_a_feature_that_never_changes_has_some_room():
    x = np.zeros((1, 9, 2), "float32")
    x[..., 0] = np.arange(9)
    y = np.arange(9)[None] % 2
    axes = blank()
    cloud(axes, Task("some", x[:, :6], y[:, :6], x[:, 6:], y[:, 6:], ("a", "b"), ("p", "q")))
    assert axes.get_ylim() == (-0.1, 0.1) and axes.get_xlim()[1] > 8


def test_panels_are_squares_of_the_size_asked_for():
    for n, columns, rows in ((9, 4, 3), (2, 2, 1), (1, 1, 1)):
        figure, grid = panels(n, side=2.0, left=0.3, bottom=0.2, gap=0.7)
        assert len(grid) == len(figure.axes) == n
        boxes = [axes.get_window_extent().bounds for axes in grid]
        inches = np.array(boxes) / figure.dpi
        side = max(2.0, 5.8 / columns)
        np.testing.assert_allclose(inches[:, 2:], side)
        np.testing.assert_allclose(inches[0, 0], 0.75 + 0.3)
        np.testing.assert_allclose(inches[-1, 1], 0.5 + 0.2)
        assert len(np.unique(inches[:, 0].round(6))) == columns
        assert len(np.unique(inches[:, 1].round(6))) == rows
        if n > 1:
            assert inches[1, 0] - inches[0, 0] == pytest.approx(side + 0.7)
        width, height = figure.get_size_inches()
        np.testing.assert_allclose(width, inches[:, 0].max() + side + 0.15)
        np.testing.assert_allclose(height, inches[0, 1] + side + 0.85)


def test_a_square_is_one():
    figure, axes = square()
    left, bottom, width, height = np.array(axes.get_window_extent().bounds) / figure.dpi
    assert width == pytest.approx(5.6) == height and min(left, bottom) > 0.8
    assert left + width < figure.get_figwidth() and bottom + height < figure.get_figheight()


def test_shorten():
    assert shorten("setosa", 6) == "setosa" and shorten("virginica", 6) == "virg…a"
    assert shorten("MMMMMMMM", 8) == "MMM…M" and shorten("iiiiiiiii", 9) == "iiiiiiiii"
    assert shorten("How satisfied: bread", 10) != shorten("How satisfied: milk", 10)


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
    assert [text.get_text() for text in axes.texts] == [f"{one.accuracy} %" for one in ranked]
    assert [text.get_position()[1] for text in axes.texts] == [0, 1] == [*axes.get_yticks()]
    assert axes.get_title("left") == "Test accuracy, mean and 95 % interval of 2 replicas"
    assert 0 <= axes.get_xlim()[0] < 100 * ranked[1].accuracy.mean
    assert 100 * ranked[0].accuracy.mean < axes.get_xlim()[1] <= 100.5
    best = 100 * task.bayes_accuracy
    assert {*axes.get_lines()[-1].get_xdata()} == {best}
    [legend] = axes.figure.legends
    told = dict(zip([text.get_text() for text in legend.get_texts()], legend.legend_handles))
    assert [*told] == ["feedforward", "energy", f"Bayes-optimal, {best:.1f} %"]
    assert to_rgb(told["energy"].get_facecolor()) == to_rgb(FAMILIES["energy"])


def test_an_architecture_has_the_same_line_whatever_its_rank():
    task = rings_and_clusters((0,))
    ranked = compete(task, (0,), names=("ebm", "hopfield"))

    def styles(ranked):
        figure = scores.curves(ranked, task)
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        return dict(zip(labels, (line.get_linestyle() for line in figure.axes[0].lines)))

    assert styles(ranked) == styles(ranked[::-1])
    assert len(set(styles(ranked).values())) == 2


# --- tasks that are drawn ----------------------------------------------------------------------


def test_images_stand_beside_their_names():
    x, y = np.arange(40)[:, None] * np.full((40, 9), 0.1), np.arange(40) % 5
    axes = blank()
    drawn.rows(
        axes, SimpleNamespace(x_test=x[None], y_test=y[None], symbols=0, class_names="abcde")
    )
    assert not {*axes.get_xticks(), *axes.get_yticks()}
    sheet = axes.images[0].get_array()
    assert sheet.shape == (6 * 5, 6 * 5) and len(axes.texts) == 36
    for value, name, text in zip(x[:, 0], y, axes.texts):
        column, row = text.get_position()
        block = sheet[row : row + 5, column : column + 5]
        assert (block[1:-1, 1:-1] == value).all() and block.sum() == pytest.approx(9 * value)
        assert text.get_text() == "abcde"[name]
    assert len({text.get_position() for text in axes.texts}) == 36


@pytest.mark.parametrize("name", ["copy", "recall"])
def test_tokens_and_answers_are_written_at_their_timesteps(name):
    task = DRAWN[name]((0,))
    axes = blank()
    drawn.rows(axes, task)
    first = task.symbols - len(task.class_names)
    cells, answers = {}, {}
    for text in axes.texts:
        t, row = text.get_position()
        (cells if row == int(row) else answers)[t, int(row)] = text.get_text()
    shown = task.x_test[0][: drawn.SEQUENCES].astype(int)
    assert len(cells) == shown.size
    for (t, row), says in cells.items():
        token = shown[row, t]
        assert says == (task.class_names[token - first] if token >= first else f"{token}")
    expected = task.y_test[0].reshape(-1, task.answers)
    last = shown.shape[1] - task.answers
    assert answers == {
        (last + k, row): task.class_names[expected[row, k]]
        for row in range(len(shown))
        for k in range(task.answers)
    }
    assert axes.get_xlim() == (-1, shown.shape[1]) and axes.get_ylim() == (len(shown), -1)
    assert axes.get_xlabel() == "timestep" and not {*axes.get_xticks(), *axes.get_yticks()}


def test_numbers_are_shades_with_marks_around_two():
    task = DRAWN["adding"]((0,))
    axes = blank()
    drawn.rows(axes, task)
    x = task.x_test[0][: drawn.SEQUENCES]
    np.testing.assert_array_equal(axes.images[0].get_array(), x[..., 0])
    marks = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.get_lines()}
    assert marks == {(t, row) for row, t in np.argwhere(x[..., 1])}
    assert [text.get_text() for text in axes.texts] == [
        task.class_names[c] for c in task.y_test[0][: len(x)]
    ]
    assert [text.get_position() for text in axes.texts] == [(x.shape[1], k) for k in range(len(x))]


# --- colours ------------------------------------------------------------------------------------


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
    assert class_colours(7) == [to_rgb(colour) for colour in CLASSES]
    low, high = (to_rgb(colour) for colour in ("#440154", "#fde725"))  # the ends of viridis
    np.testing.assert_allclose(class_colours(9)[::8], [low, high], atol=0.005)
