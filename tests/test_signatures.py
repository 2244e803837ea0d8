"""The pictures of what each architecture is known for: they draw, and their numbers are right."""

import math
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from legible import assert_says, blank, dots, faults, lines, ticks
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from architectures import build, list_architectures, lookup
from demos import signatures
from demos.comparison import drawn as drawn_tasks
from demos.comparison.options import DRAWN
from demos.comparison.prediction import grid_points
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.sequences import LENGTH
from demos.curved import scores
from demos.pictures.palette import STYLE, class_colours
from demos.signature import (
    ann2snn,
    common,
    drawn,
    ebm,
    gru,
    hopfield,
    mamba,
    mlp,
    retnet,
    snn,
    tabnet,
    transformer,
    uncertainty,
    vision,
)
from demos.signature.common import entitled, points
from minigrad import Tensor, backend, nn, no_grad
from minigrad.backend import to_numpy

MODELS = []  # that pictures have trained
TINY = {
    ann2snn: {"REPLICAS": 2, "TIMESTEPS": 16, "REPORTED": (1, 16)},
    drawn: {"LENGTHS": (12, 24, 36), "ROWS": 20},
    drawn_tasks: {"steps_of": lambda task, recipe: 2, "TEST_ROWS": 40},
    mamba: {"LENGTHS": (12, 24), "SEQUENCES": 3},
    retnet: {"STEPS": (8, 16)},
    ebm: {"GRID": 21, "CHAINS": 20, "STEPS": 10, "SAMPLE_STEPS": 10, "FOR_STEPS": 6},
    mlp: {"GRID": 31, "WIDTHS": (3, 2)},
    tabnet: {"ROWS": 200, "TEST_ROWS": 100},
    uncertainty: {"GRID": 11, "SAMPLES": 3},
}


@pytest.fixture
def tiny(monkeypatch):
    for module, constants in TINY.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)
    MODELS.clear()
    modules = (ann2snn, ebm, gru, mamba, mlp, retnet, snn, tabnet, transformer, uncertainty, vision)
    for module in modules:
        for name in {"train", "trained", "trained_on"} & {*vars(module)}:
            monkeypatch.setattr(module, name, kept(getattr(module, name)))
    monkeypatch.setattr(  # 2 us for a timestep of the parallel form, 3 of the other
        retnet, "seconds_of", lambda net, x: (2e-6 if net.training else 3e-6) * x.shape[1]
    )


def kept(train):
    def watched(*data, **options):
        found = train(*data, **options)
        MODELS.append(found[0] if isinstance(found, tuple) else found)
        return found

    return watched


def test_every_architecture_has_a_picture():
    of_tasks = {*list_architectures("copy"), *list_architectures("digits")} - {"mlp", "mamba_lti"}
    assert list(signatures.PICTURES)[:8] == list_architectures()
    assert set(signatures.PICTURES) == {*list_architectures(), *of_tasks}


def numbers(text):
    """All numbers in a text, in its order."""
    return [float(number) for number in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def image(axes):
    [shown] = axes.images
    return np.asarray(shown.get_array(), float)


def curves(axes):
    """How many lines at which something is 0."""
    return sum(isinstance(drawn, QuadContourSet) for drawn in axes.collections)


def points_of(x):
    return set(map(tuple, np.asarray(x, float)))


def in_classes(axes):
    """{colour: the points that scatter() has drawn in it}."""
    some = [one for one in axes.collections if not isinstance(one, QuadContourSet)]
    return {to_rgb(one.get_facecolor()[0]): points_of(one.get_offsets()) for one in some}


def classes_of(x, y):
    """The same of points whose classes are known."""
    return {colour: points_of(x[y == c]) for c, colour in enumerate(class_colours(5))}


def of_mlp(figure, says):
    left, middle, right = figure.axes
    found, pieces, reach = numbers(says)
    assert numbers(right.get_title()) == [pieces, found]
    assert 0 < curves(left) < curves(middle) == curves(right) <= sum(mlp.WIDTHS)
    x, y, x_test, y_test = common.rings_and_clusters()
    assert in_classes(left) == classes_of(x, y)
    assert in_classes(right) == classes_of(x_test, y_test)
    for axes in figure.axes:
        assert axes.get_xlim() == axes.get_ylim() == (-reach, reach)
        assert [*axes.get_xticks()] == [*axes.get_yticks()] == [-reach, 0, reach]
    assert right.images[0].get_extent() == [-reach, reach, -reach, reach]
    # The points whose class is that of the ground around them are those that it gets right.
    beside = np.abs(grid_points((-reach, reach, -reach, reach), mlp.GRID) - x_test[:, None])
    ground = image(right).reshape(-1, 3)[beside.max(axis=-1).argmin(axis=1)]
    shares = np.abs(ground - common.tint(y_test)).max(axis=-1) < 1e-9
    assert shares.mean() == pytest.approx(found / 100, abs=0.05) and found % 0.5 == 0


def of_tabnet(figure, says):
    *maps, averages, _ = figure.axes
    right, a_off, b_off, a_on, b_on, noise = numbers(re.sub("where switch < 0", "", says))
    assert numbers(averages.get_title()) == [right] and right % 1 == 0  # of 100 rows
    rng = np.random.default_rng(common.SEED)
    (_, _), (x, y) = tabnet.table(rng, 200), tabnet.table(rng, 100)
    assert common.accuracy(MODELS[0].predict_proba(x), y) == right / 100
    rows = np.argsort(x[:, 0])
    seen, importance = (found.numpy() for found in MODELS[0].backbone.feature_masks(x))
    for axes, wanted in zip(maps, (*seen, importance)):
        np.testing.assert_allclose(image(axes), wanted[rows], atol=1e-6)
    turn = (x[:, 0] < 0).sum()
    assert importance[:, 5:].sum(axis=1).mean() == pytest.approx(noise, abs=0.0051)
    for axes in maps:
        attention = image(axes)
        np.testing.assert_allclose(attention.sum(axis=1), 1, atol=1e-5)
        assert len(attention) >= tabnet.SHOWN
        assert [*ticks(axes.xaxis)] == [*tabnet.FEATURES]
        assert {*axes.get_lines()[0].get_ydata()} == {turn - 0.5}
    assert ticks(maps[0].yaxis) == {"switch < 0": turn / 2, "switch > 0": (turn + 100) / 2}
    assert sum(numbers(axes.get_title())[1] for axes in maps[:2]) == pytest.approx(100, abs=1)
    places = ticks(averages.yaxis)
    bottom, top = averages.get_ylim()
    assert bottom > top  # the first feature is the uppermost
    halves = importance[x[:, 0] < 0].mean(axis=0), importance[x[:, 0] > 0].mean(axis=0)
    edges = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in averages.patches]
    for (_, end), (start, _) in pairwise(sorted(edges)):
        assert end <= start + 1e-9  # no bar hides another
    for bars, a, b, mean in zip(averages.containers, (a_off, a_on), (b_off, b_on), halves):
        np.testing.assert_allclose([bar.get_width() for bar in bars], mean, atol=1e-6)
        middles = {bar.get_y() + bar.get_height() / 2: bar.get_width() for bar in bars}
        share = {
            name: middles[min(middles, key=lambda y: abs(y - places[name]))] for name in places
        }
        assert sum(share.values()) == pytest.approx(1, abs=1e-5)
        assert share["A1"] + share["A2"] == pytest.approx(a, abs=0.0051)
        assert share["B1"] + share["B2"] == pytest.approx(b, abs=0.0051)
    assert [text.get_text()[12] for text in averages.get_legend().get_texts()] == ["A", "B"]


def of_uncertainty(figure, says):
    *maps, bars, _ = figure.axes
    total, aleatoric, epistemic = map(image, maps)
    np.testing.assert_allclose(total, aleatoric + epistemic, atol=1e-5)
    assert [axes.get_title().split(":")[0] for axes in maps] == ["Total", "Aleatoric", "Epistemic"]
    _, _, x_test, y_test = common.rings_and_clusters()
    for axes in maps:
        assert in_classes(axes) == classes_of(x_test, y_test)
    right, *nats = numbers(says)
    assert nats[3] > nats[0]  # less sure where it is wrong
    lower, upper = (np.array([bar.get_height() for bar in some]) for some in bars.containers)
    assert [bar.get_y() for bar in bars.containers[1]] == [*lower]
    np.testing.assert_allclose(nats, np.ravel([lower + upper, lower, upper], "F"), atol=0.0051)
    here, away, far = (numbers(text)[0] for text in ticks(bars.xaxis))
    assert here + away == 200 and 100 * here / 200 == right and far == uncertainty.FAR
    colours = dict(
        zip([text.get_text() for text in bars.get_legend().get_texts()], bars.containers)
    )
    for name, handle in zip(colours, bars.get_legend().legend_handles):
        assert colours[name][0].get_facecolor() == handle.get_facecolor()
    assert list(colours) == ["aleatoric", "epistemic"]
    assert bars.get_ylim()[1] > (lower + upper).max()


def of_ebm(figure, says):
    map_, way, data, samples, _ = figure.axes
    area = (2 * ebm.REACH / (ebm.GRID - 1)) ** 2
    assert np.exp(-image(map_)).sum() * area == pytest.approx(1, abs=1e-3)  # a density
    chains = [np.asarray(line.get_data()) for line in map_.get_lines()]
    assert len(chains) == 3 * ebm.FOLLOWED
    for path, start, end in zip(chains[::3], chains[1::3], chains[2::3]):
        np.testing.assert_array_equal(start[:, 0], path[:, 0])
        np.testing.assert_array_equal(end[:, 0], path[:, -1])
        assert path.shape == (2, ebm.FOR_STEPS + 1)
    hollow, filled = map_.get_lines()[1:3]
    assert hollow.get_markerfacecolor() == "white" and filled.get_markerfacecolor() == common.INK
    nll, truth, kernel, uniform, first, last = numbers(says)
    _, _, x_test, _ = common.rings_and_clusters()
    column, row = np.rint((x_test.T + ebm.REACH) / (2 * ebm.REACH / (ebm.GRID - 1))).astype(int)
    assert image(map_)[row, column].mean() == pytest.approx(nll, abs=0.1)
    assert truth == 3.36 < kernel < truth + 0.1
    assert uniform == pytest.approx(math.log(144), abs=0.005)
    shown = lines(way)
    time, median = shown["median chain"]
    assert [*time] == [*range(ebm.STEPS + 1)] and way.get_xlim() == (0, ebm.STEPS)
    assert [median[0], median[-1]] == pytest.approx([first, last], abs=0.0051)
    assert [*shown[f"test data, mean: {nll:.2f}"][1]] == pytest.approx([nll] * 2, abs=0.0051)
    assert f"(kernel density estimate: {kernel:.2f})" in shown
    [band] = way.collections
    ends = band.get_paths()[0].vertices
    for step in (0, ebm.STEPS):
        low, high = np.quantile(ends[ends[:, 0] == step, 1], (0, 1))
        assert low < median[step] < high
    assert dots(data) == points_of(common.rings_and_clusters()[0])
    assert numbers(data.get_title()) == [800] == numbers(samples.get_title())
    drawn = MODELS[0].sample(800, steps=ebm.SAMPLE_STEPS, rng=common.SEED)
    assert dots(samples) == points_of(drawn.numpy())


def of_snn(figure, says):
    dotted, traces, classes, histogram, _ = figure.axes
    _, _, x_test, y_test = common.rings_and_clusters()
    right, *_, in_all = numbers(says)
    assert common.accuracy(MODELS[0].predict_proba(x_test), y_test) == right / 100
    (_, first), (membrane, second) = (
        (u.numpy(), s.numpy()) for u, s in MODELS[0].backbone.record(x_test)
    )
    assert in_all == pytest.approx(sum(s.sum() for s in (first, second)) / 200, abs=0.5)
    one = [*y_test].index(snn.SHOWN_CLASS)
    rasters = [line.get_xdata() for line in dotted.get_lines() if line.get_marker() == "."]
    assert [*map(len, rasters)] == [first[:, one].sum(), second[:, one].sum()]
    [neuron, *_] = (int(name.removeprefix("neuron ")) for name in ticks(traces.yaxis))
    np.testing.assert_allclose(traces.get_lines()[1].get_ydata(), membrane[:, one, neuron])
    rates, dead = re.search("rates (.*) per.*neurons (.*);", says).groups()
    assert [
        f"layer {k}: mean {rate}, {100 * numbers(some)[0] / numbers(some)[1]:.0f} % dead"
        for k, (rate, some) in enumerate(zip(rates.split(", "), dead.split(", ")), 1)
    ] == [text.get_text() for text in histogram.get_legend().get_texts()]
    table = np.stack([second[:, y_test == c].mean(axis=(0, 1)) for c in range(5)])
    cells = image(classes)
    assert points_of(cells.T) == points_of(table.T)  # the neurons, in another order
    assert (np.diff(cells.argmax(axis=0)) >= 0).all()
    heights = cells.max(axis=0)
    for c in range(5):  # who fires most for a class stands first
        assert (np.diff(heights[cells.argmax(axis=0) == c]) <= 0).all()
    assert ticks(classes.yaxis) == {f"class {c}": c for c in range(5)}
    for bars, spikes, rate, quiet in zip(
        histogram.containers, (first, second), rates.split(", "), dead.split(", ")
    ):
        of_neurons = spikes.mean(axis=(0, 1))
        assert rate == f"{of_neurons.mean():.2f}"
        assert quiet == f"{(of_neurons == 0).sum()} of {len(of_neurons)}"
        assert sum(bar.get_height() for bar in bars) == len(of_neurons)
    assert histogram.containers[0][0].get_height() >= numbers(dead)[0]


def of_ann2snn(figure, says):
    left, right = figure.axes
    shown = lines(left)
    time, half = shown["starting half charged"]
    assert [*time] == [*range(1, 17)] == [*shown["starting empty"][0]]
    said = dict(zip(*[iter(numbers(says)[:-1])] * 2))
    assert said == {t: pytest.approx(half[int(t) - 1], abs=0.051) for t in ann2snn.REPORTED}
    assert shown["starting empty"][1][0] == pytest.approx(20, abs=10)  # no spike: no answer
    task = rings_and_clusters((common.SEED, common.SEED + 1))
    assert numbers(says)[-1] == numbers(left.get_legend().get_texts()[0].get_text())[0]
    for start, label in ((0.0, "starting empty"), (0.5, "starting half charged")):
        MODELS[0].backbone.initial_potential = start
        proba = MODELS[0].finish(task.x_train).predict_proba(task.x_test).numpy()
        found = 100 * (proba.argmax(axis=-1) == task.y_test).mean()
        assert shown[label][1][-1] == pytest.approx(found)
    x = lines(right)["clipped ReLU"][0]
    assert [*x] == [right.get_xlim()[0], 0, 1, right.get_xlim()[1]]
    assert list(ticks(left.xaxis)) == [str(t) for t in ann2snn.REPORTED]
    for label, (x, rate) in lines(right).items():
        if label.startswith("T = "):
            assert (np.diff(x) >= 0).all() and rate.min() >= 0 and rate.max() <= 1
            error = np.abs(rate - x.clip(0, 1)).max()
            assert numbers(label)[1] == pytest.approx(error, abs=5.1e-4)
        else:
            np.testing.assert_array_equal(rate, x.clip(0, 1))


def of_lengths(axes, shares):
    """Accuracy against length, the first one trained at marked by a line."""
    curve, mark = axes.get_lines()
    assert tuple(curve.get_xdata()) == drawn.LENGTHS
    assert [curve.get_ydata()[1], curve.get_ydata()[-1]] == pytest.approx(shares, abs=0.051)
    assert set(mark.get_xdata()) == {LENGTH}


def of_gru(figure, says):
    new, seen, histogram, lengths = figure.axes
    at_symbols, at_noise, one, _, other, _ = numbers(says.replace("1 - z", ""))
    of_lengths(lengths, [one, other])
    task = DRAWN["copy"]((common.SEED,))
    x = task.x_test[0]
    z, r = MODELS[0].backbone.gates(x)[0]
    letters = ["ABCDEFGH"[int(t) - 2] if t > 1 else "?" if t else "" for t in x[0]]
    for axes, gate in ((new, 1 - z), (seen, r)):
        cells = image(axes)
        assert points_of(cells) == points_of(gate[:, 0].T)
        assert [label.get_text() for label in axes.get_xticklabels()] == letters
        assert 0 <= cells.min() < cells.max() <= 1
        assert (np.diff(cells.argmax(axis=1)) >= 0).all()
        assert len(axes.get_xticks()) == cells.shape[1] == LENGTH + 4
    assert [text.get_text() for text in histogram.get_legend().get_texts()] == ["symbols", "noise"]
    told, among = x.T > 1, np.arange(28)[:, None] < LENGTH
    assert (1 - z)[told].mean() == pytest.approx(at_symbols, abs=0.0051)
    assert (1 - z)[among & ~told].mean() == pytest.approx(at_noise, abs=0.0051)
    for bars, mean in zip(histogram.containers, (at_symbols, at_noise)):
        parts = [(bar.get_x() + bar.get_width() / 2) * bar.get_height() / 40 for bar in bars]
        assert sum(parts) == pytest.approx(mean, abs=0.013)  # of 40 bins


VALUES_AND_KEYS = [(t, t - 1) for t in range(1, 16, 2)]


def asked_and_found(tokens):
    """[(timestep of a question, timestep of its answer)] in a sequence of the recall task."""
    return [(t, 1 + [*tokens[:16:2]].index(tokens[t]) * 2) for t in range(16, 24)]


def of_transformer(figure, says):
    pairs, answers = figure.axes
    task = DRAWN["recall"]((common.SEED,))
    maps = MODELS[0].backbone.attention_maps(task.x_test[0])
    for axes, most in ((answers, numbers(says)[0]), (pairs, numbers(says)[1])):
        layer, head = (int(number) - 1 for number in numbers(axes.get_title()))
        np.testing.assert_allclose(image(axes), maps[layer][0, head], atol=1e-6)
        # Averaged over all sequences: how much of its attention lies where the title says.
        found = np.zeros(maps[0].shape[1])
        for sequence, looks in zip(task.x_test[0].astype(int), maps[layer]):
            places = asked_and_found(sequence) if axes is answers else VALUES_AND_KEYS
            found += np.mean([looks[:, t, at] for t, at in places], axis=0) / len(maps[layer])
        assert found.argmax() == head and 100 * found[head] == pytest.approx(most, abs=0.051)
        np.testing.assert_allclose(np.nansum(image(axes), axis=1), 1, atol=1e-5)
        assert np.triu(image(axes), 1).max() < 1e-6  # nobody looks ahead
    [squares] = answers.get_lines()
    names = [label.get_text() for label in answers.get_yticklabels()]
    assert names == [label.get_text() for label in answers.get_xticklabels()]
    for place, asked in squares.get_xydata().astype(int):
        assert names[place].isalpha() and names[place - 1] == names[asked]
    assert len(squares.get_xdata()) == 8


def of_retnet(figure, says):
    *masks, difference, times, lengths = figure.axes
    for axes in masks:
        kept = numbers(axes.get_title())[1]
        assert [*axes.get_xticks()] == [*axes.get_yticks()] == [0, 63]
        here, before = image(axes)[[5, 5], [5, 4]]
        assert here == 1 and before == pytest.approx(kept, abs=5e-5)
        assert np.triu(image(axes), 1).max() == 0
    [line] = difference.get_lines()
    most, one, _, other, _ = (x for x in numbers(says) if x != 64)
    assert most == pytest.approx(line.get_ydata().max(), rel=0.5) and most < 1e-12
    assert list(lines(times)) == ["parallel", "recurrent"]
    for x, y in (line.get_xydata().T, *lines(times).values()):
        assert tuple(x) == retnet.STEPS and (y > 0).all()
    for axes in (difference, times):
        assert ticks(axes.xaxis) == {"8": 8, "16": 16} and not [*axes.get_xticks(minor=True)]
    np.testing.assert_allclose([y for _, y in lines(times).values()], [[2, 2], [3, 3]])
    of_lengths(lengths, [one, other])


def of_mamba(figure, says):
    steps, lengths, selective, fixed = figure.axes
    low, high, other, _, *shares = numbers(says)
    ratios = {label: y for label, (_, y) in lines(steps).items()}
    assert [ratios["Mamba"].min(), ratios["Mamba"].max()] == pytest.approx([low, high], abs=0.051)
    np.testing.assert_allclose(ratios["without selection"], other, rtol=1e-5)
    found = lines(lengths)
    assert shares[0] == pytest.approx(found["Mamba"][1][1], abs=0.051)
    assert shares[1] == pytest.approx(found["without selection"][1][1], abs=0.051)
    x = DRAWN["copy"]((common.SEED,)).x_test[0, : mamba.SEQUENCES].astype(int)
    told = x.T[:LENGTH] > 1
    for axes, model, label in zip((selective, fixed), MODELS, ratios, strict=True):
        parts = np.linalg.norm(model.backbone.contributions(x)[-1][..., 0, :], axis=-1)
        left = image(axes)  # rows: asked at, columns: what is left of
        np.testing.assert_allclose(left, parts.T / parts.max(), atol=1e-6)
        sizes = model.backbone.step_sizes(x)[-1][:LENGTH]
        wanted = np.sort(sizes[told].mean(axis=0) / sizes[~told].mean(axis=0))
        np.testing.assert_allclose(ratios[label], wanted, rtol=1e-5)
        assert left.max() == 1 and np.triu(left, 1).max() == 0 < np.tril(left, -1).max()
        letters = list(axes.get_xticklabels())
        assert len(letters) == left.shape[1]


def blocks(pixels, side):
    """The pictures of a sheet, which stand in rows with a gap of at least a pixel between them."""
    step = side + max(side // 8, 1)
    cells = [
        np.split(row, range(step, row.shape[1], step), axis=1)
        for row in np.split(pixels, range(step, len(pixels), step))
    ]
    return np.array([[cell[:side, :side] for cell in row] for row in cells])


def of_convnet(figure, says):
    filters, found = figure.axes
    [shown] = filters.images
    assert shown.norm.vmax == -shown.norm.vmin == np.nanmax(np.abs(image(filters)))
    assert not filters.axison and not found.axison
    task, net = DRAWN["digits"]((common.SEED,)), MODELS[0].backbone
    x = task.x_test[0, : vision.SHOWN]
    own = to_numpy(net.filters())[..., 0]
    np.testing.assert_array_equal(blocks(image(filters), own.shape[1])[0], own)
    digits = blocks(image(found), 16)
    np.testing.assert_allclose(digits[:, 0, ::2, ::2].reshape(x.shape), x, atol=1e-6)
    with no_grad():
        maps = net.feature_maps(Tensor(x))[0].numpy().transpose(0, 3, 1, 2)
    np.testing.assert_allclose(digits[:, 1:, ::4, ::4], maps / maps.max(), atol=1e-6)
    right, edges = numbers(says)
    guesses = MODELS[0].predict_proba(task.x_test[0]).numpy().argmax(axis=-1)
    assert right == 100 * (guesses == task.y_test[0]).mean()
    sums = np.abs(own.sum(axis=(1, 2))) / np.abs(own).sum(axis=(1, 2))
    assert edges == pytest.approx(100 * np.mean(sums < 0.25), abs=0.51)


def of_vit(figure, says):
    task, net = DRAWN["digits"]((common.SEED,)), MODELS[0].backbone
    x, [axes] = task.x_test[0], figure.axes
    looks = net.attention_maps(x)[-1][:, :, 0, 1:]  # of the class token, (B, heads, patches)
    shown = blocks(image(axes), 8)
    np.testing.assert_allclose(shown[0].reshape(-1, 64), x[: vision.SHOWN], atol=1e-6)
    some = looks[: vision.SHOWN].swapaxes(0, 1)
    np.testing.assert_allclose(
        shown[1:, :, ::2, ::2].reshape(some.shape), some / some.max(), atol=1e-6
    )
    right, together = numbers(says)
    guesses = MODELS[0].predict_proba(x).numpy().argmax(axis=-1)
    assert right == 100 * (guesses == task.y_test[0]).mean()
    ink = x.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(ink, looks.mean(axis=1))]
    assert together == pytest.approx(np.mean(correlations), abs=0.0051)


SHOWS = {
    "mlp": of_mlp,
    "tabnet": of_tabnet,
    "bayesian": of_uncertainty,
    "mc_dropout": of_uncertainty,
    "ebm": of_ebm,
    "snn": of_snn,
    "ann2snn": of_ann2snn,
    "gru": of_gru,
    "transformer": of_transformer,
    "retnet": of_retnet,
    "mamba": of_mamba,
    "convnet": of_convnet,
    "vit": of_vit,
}


@pytest.mark.parametrize("name", SHOWS)
def test_picture_is_drawn_and_shows_its_numbers(name, tiny):
    with rc_context(STYLE):
        figure, says = signatures.PICTURES[name](epochs=1)
        assert faults(figure) == []
    assert_says(figure, name)
    assert re.search(r"\d\.\d", says) and not re.search(r"\b(nan|inf)\b", says)
    for axes in figure.axes:
        assert axes.has_data() or axes.texts, axes.get_title()
        for one in axes.images:
            if one.origin == "lower":  # a map of the plane
                assert one.get_extent() == [*axes.get_xlim(), *axes.get_ylim()]
        for line in axes.get_lines():
            said = re.search(r": (\d+\.\d) %$", line.get_label())
            if said and len(set(line.get_ydata())) == 1:  # a level that its label names
                assert line.get_ydata()[0] == pytest.approx(float(said[1]), abs=0.051)
    SHOWS[name](figure, says)


def test_every_point_is_shown():
    figure = entitled("points", (4, 4))
    axes = figure.subplots()
    x, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 5
    points(axes, x, y)
    shown = np.concatenate([drawn.get_offsets() for drawn in axes.collections])
    assert sorted(map(tuple, np.asarray(shown))) == sorted(map(tuple, x))


def test_a_raster_has_a_dot_for_every_spike():
    layers = [np.random.default_rng(k).random((6, n)) < 0.4 for k, n in enumerate((4, 3))]
    axes = blank()
    snn.raster(axes, layers)
    found = [line.get_xydata() for line in axes.get_lines() if line.get_marker() == "."]
    between = [line.get_ydata()[0] for line in axes.get_lines() if line.get_marker() != "."]
    assert between == [3.5, 6.5]
    for spikes, place, base in zip(layers, found, (0, 4)):
        assert points_of(place) == points_of(np.argwhere(spikes) + np.array([1, base]))
    assert ticks(axes.yaxis) == {"layer 1\n(4 neurons)": 2, "layer 2\n(3 neurons)": 5.5}
    assert axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 6
    assert axes.get_ylim()[0] < 0 and axes.get_ylim()[1] > 6


def test_membranes_are_drawn_above_each_other_each_with_its_threshold():
    rng = np.random.default_rng(0)
    spikes = (rng.random((20, 8)) < np.linspace(0.05, 0.9, 8)).astype(float)
    membrane = rng.normal(size=(20, 8))
    axes = blank()
    snn.traces(axes, membrane, spikes, threshold=1.0)
    neurons = [int(name.removeprefix("neuron ")) for name in ticks(axes.yaxis)]
    rates = spikes.mean(axis=0)[neurons]
    np.testing.assert_allclose(rates, snn.TRACES, atol=0.1)
    drawn, bottom = axes.get_lines(), math.inf
    for n, place, *three in zip(neurons, axes.get_yticks(), drawn[::3], drawn[1::3], drawn[2::3]):
        level, potential, fires = (line.get_xydata() for line in three)
        assert {*level[:, 1]} == {place}
        np.testing.assert_allclose(potential[:, 1] - place, membrane[:, n] - 1.0)
        np.testing.assert_array_equal(fires, potential[spikes[:, n] > 0])
        assert [*potential[:, 0]] == [*range(1, 21)] and potential[:, 1].max() < bottom
        bottom = potential[:, 1].min()
    assert axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 20


def test_a_unit_switches_where_it_is_0():
    x, y = grid_points((-5, 5, -5, 5), mlp.GRID).T
    axes = blank()
    mlp.switches(axes, np.stack([x - 1, x + 2 * y, x + 9], axis=1), "black")
    upright, oblique = (contour.get_paths()[0].vertices for contour in axes.collections)
    np.testing.assert_allclose(upright[:, 0], 1, atol=1e-6)
    np.testing.assert_allclose(oblique @ [1, 2], 0, atol=1e-5)
    assert len(oblique) > 100


def test_where_the_values_of_the_keys_stand():
    x = np.array([[3, 17, 5, 16, 0, 23, 1, 18, 2, 19, 4, 20, 6, 21, 7, 22, 5, 3, 0, 1, 2, 4, 6, 7]])
    aims = transformer.where_the_values_are(x)
    assert [*x[0, aims[0]]] == [16, 17, 23, 18, 19, 20, 21, 22]


def test_what_is_copied_from_among_more_timesteps(monkeypatch):
    """By one who knows all but that some symbol is an A."""
    lengths = []

    def guess(model, task, x):
        lengths.append(x.shape[-1] - 4)
        told = np.stack([row[row > 1] for row in x[0].astype(int)]) - 2
        return np.eye(8)[np.where(told == 0, 1, told).reshape(1, -1)]

    monkeypatch.setattr(drawn, "predict", guess)
    axes = blank()
    shares = drawn.against_length(axes, None, None)
    assert tuple(lengths) == drawn.LENGTHS
    assert shares == pytest.approx([7 / 8] * len(lengths), abs=0.03) and len(set(shares)) > 1
    of_lengths(axes, [100 * shares[1], 100 * shares[-1]])
    assert axes.get_ylim()[0] == 0 and axes.get_ylim()[1] > 100


def test_tokens_are_written_below_the_timesteps():
    axes = blank()
    drawn.in_letters(axes, np.array([0, 2, 0, 4, 1]), "ABC", 2)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["", "A", "", "C", "?"]
    assert [*axes.get_xticks()] == [0, 1, 2, 3, 4]


class Trained(Exception):
    """In place of training: what was to be trained, and how."""


SHORT, DRAWN_TASK = (10, 32, 1e-2), (10, 32, 3e-3)
RECIPES = {  # epochs, rows of a minibatch, learning rate
    "mlp": (40, 32, 1e-2),
    "tabnet": (20, 128, 2e-2),
    "bayesian": (20, 32, 1e-2),
    "mc_dropout": SHORT,
    "ebm": (68, 100, 1e-2),  # and then 22 more
    "snn": SHORT,
    "ann2snn": SHORT,
    **dict.fromkeys(("gru", "transformer", "retnet", "mamba", "convnet", "vit"), DRAWN_TASK),
}


@pytest.mark.parametrize("name", RECIPES)
def test_what_each_picture_trains(name, monkeypatch):
    def fit(model, x, y, loss, adam, *, epochs, batch_size=32, **options):
        raise Trained(model, len(x), (epochs, batch_size, adam.lr), loss)

    def learn(model, task, recipe):
        raise Trained(model, None, (recipe.epochs, recipe.batch_size, recipe.learning_rate), None)

    for module in (common, tabnet, ebm, ann2snn):
        monkeypatch.setattr(module, "fit", fit)
    monkeypatch.setattr(drawn_tasks, "learn", learn)
    with pytest.raises(Trained) as stop:
        signatures.PICTURES[name]()
    model, rows, recipe, loss = stop.value.args
    assert recipe == RECIPES[name]
    if name in ("mlp", "tabnet", "bayesian", "mc_dropout", "snn"):  # as in its own paper
        assert type(model) is lookup(name).native
        assert (rows, model.train_rows) == ((4000, 4000) if name == "tabnet" else (800, 800))
    if name == "mlp":
        assert [p.shape[-1] for p in model.parameters()][::2] == [14, 10, 5]
    elif name in ("bayesian", "mc_dropout"):
        assert model.backbone.samples == 100
    elif name == "tabnet":
        small = model.backbone
        assert (small.hidden_size, len(small.attentions), small.sparsity) == (16, 2, 1e-2)
    elif name == "ebm":
        plain = build("ebm", 2, hidden_sizes=(64, 64, 64), rng=common.SEED).body.layers[0].weight
        np.testing.assert_allclose(model.body.layers[0].weight.data, 4 * plain.data)
        assert model.chains.restart == 0.02
        data = np.zeros((9, 2), "float32")
        blurred = loss(SimpleNamespace(contrastive_divergence=lambda x: x), data, None)
        noise = backend.Noise(common.SEED).standard_normal((9, 2), dtype=np.float32)
        np.testing.assert_allclose(blurred, 0.15 * noise, rtol=1e-6)
        assert [p.shape[-1] for p in model.parameters()][::2] == [64, 64, 64, 1]
    elif name == "ann2snn":
        assert model.train_rows == 800
        assert model.head.weight.shape[0] == 5 and model.backbone.num_timesteps == 128


def test_the_last_quarter_is_trained_at_a_tenth_of_the_rate(monkeypatch):
    parts = []

    def fit(model, x, y, loss, adam, epochs, batch_size, on_epoch=None):
        parts.append((adam.lr, epochs, batch_size))
        for epoch in range(epochs) if on_epoch else ():
            on_epoch(epoch + 1, SimpleNamespace(seconds=[2.0] * (epoch + 1)))

    x = np.zeros((20, 2), "float32")
    monkeypatch.setattr(ebm, "fit", fit)
    ebm.trained(x, 8)
    monkeypatch.setattr(scores, "fit", fit)
    monkeypatch.setattr(scores, "log_partition", lambda model: 1.0)
    _, seconds, nll = scores.trained(x, x, None, 8)
    (rate, *first), (later, *last) = parts[:2]
    assert parts[2:] == parts[:2] and later == pytest.approx(rate / 10)
    assert first == [6, 100] and last == [2, 100]
    assert seconds == [2, 4, 6, 8, 10, 12, 14, 16] and len(nll) == 8


def test_images_are_side_by_side():
    images = np.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    found = vision.sheet(images)
    assert found.shape == (18, 27)
    np.testing.assert_array_equal(found[9:17, 18:26], images[1, 2])
    assert np.isnan(found[8]).all() and np.isnan(found[:, 17]).all()


def test_accuracies():
    scores = Tensor(np.eye(3)[[0, 1, 2, 0]])
    assert common.accuracy(scores, np.array([0, 1, 2, 2])) == 0.75
    np.testing.assert_array_equal(
        ann2snn.accuracy(np.eye(3)[[[[0, 1], [2, 0]]]], np.array([[0, 1], [2, 2]])), [0.75]
    )


def of_hopfield(figure, says):
    letters, energies, noise, number = figure.axes
    pixels = image(letters)
    blocks = [pixels[int(y - 3.5) :][:8] for y in letters.get_yticks()]
    stored, query, recalled, mixture = (block[:, ~np.isnan(block).all(axis=0)] for block in blocks)
    shown = stored.reshape(8, 8, 8).swapaxes(0, 1).reshape(8, 64)
    np.testing.assert_array_equal(shown, hopfield.letters())
    assert list(ticks(letters.yaxis))[1] == "query: stored + noise"
    np.testing.assert_allclose(recalled, stored, atol=0.05)
    assert 0.9 < np.std(query - stored) < 1.1 and 0.2 < np.abs(mixture - stored).mean() < 1
    assert [*letters.get_yticks()] == [3.5, 12.5, 21.5, 30.5]
    told = {int(name.split()[1]): y for name, (_, y) in lines(energies).items()}
    assert list(told) == [8, 4, 2, 1]
    for energy in told.values():
        assert (np.diff(energy) < 1e-9).all() and len(energy) == 6 and energy.min() > 0
    # At a pattern that stands alone the energy is log(patterns): half the squares cancel.
    assert told[8][-1] == pytest.approx(math.log(50) / 8**2, rel=0.01)
    for norm, before, _ in zip(*[iter(numbers(says))] * 3):
        assert before == pytest.approx(norm / 2, rel=0.06)
    *ways, before = noise.get_lines()
    assert before.get_label() == "before the update"
    np.testing.assert_array_equal(*before.get_data())
    np.testing.assert_allclose(before.get_xdata(), np.linspace(0.1, 2, 20))
    for way, other in zip(ways, number.get_lines()):
        assert [*way.get_xdata()] == [*before.get_xdata()]
        assert [*other.get_xdata()] == [10, 100, 1000, 10_000]
        assert way.get_color().tolist() == other.get_color().tolist()
        # At a noise of half a norm, among 50 patterns: between those of 10 and of 100.
        at_half = np.interp(0.5, *way.get_data())
        low, high = other.get_ydata()[:2]
        assert low / 30 <= at_half <= 30 * high
        # Who recalls nothing is at the origin, as far from a pattern as that is long.
        assert max(*way.get_ydata(), *other.get_ydata()) < 1.2
    most = [way.get_ydata()[-1] for way in number.get_lines()]
    assert most == sorted(most)  # the longer the patterns, the smaller the error


def test_command_writes_what_was_asked_for(tmp_path, capsys, monkeypatch):
    kept = []
    picture = signatures.PICTURES["hopfield"]
    monkeypatch.setitem(signatures.PICTURES, "hopfield", lambda: kept.append(picture()) or kept[0])
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    assert signatures.main(["--only", "hopfield", "--out", str(tmp_path / "new")]) == 0
    assert pictures(tmp_path / "new") == {"hopfield.png"}
    line = capsys.readouterr().out.splitlines()[0]
    before, after = re.match(r"Hopfield: norm 8: error (\S+) -> (\S+) in one step", line).groups()
    assert float(before) > 3 > 1e-12 > float(after)
    of_hopfield(*kept[0])
    assert faults(kept[0][0]) == []
    assert_says(kept[0][0], "hopfield")


def pictures(folder):
    return {path.name for path in folder.glob("[!.]*")}


def test_each_picture_stands_for_itself(tmp_path, capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    def empty():
        return Figure(), "no numbers"

    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    for name, picture in (("snn", interrupted), ("mlp", empty), ("hopfield", empty)):
        monkeypatch.setitem(signatures.PICTURES, name, picture)
    assert signatures.main(["--only", "snn,mlp", "--out", str(tmp_path)]) == 130
    assert pictures(tmp_path) == set()
    assert signatures.main(["--only", "mlp,snn", "--out", str(tmp_path)]) == 130
    assert pictures(tmp_path) == {"mlp.png"}
    assert signatures.main(["--only", "hopfield", "--out", str(tmp_path)]) == 0
    assert pictures(tmp_path) == {"mlp.png", "hopfield.png"}
    assert capsys.readouterr().err == "interrupted\ninterrupted\n"


def test_unknown_name_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        signatures.main(["--only", "mpl"])
    assert stop.value.code == 2
    assert "unknown architecture 'mpl'" in capsys.readouterr().err


@pytest.mark.skipif(not backend.why_no_gpu(), reason="there is a GPU")
def test_missing_gpu_is_one_line(tmp_path, capsys):
    assert signatures.main(["--device", "gpu", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("signatures.py: no GPU: ")


def test_tabnet_rows_are_decided_by_the_feature_that_the_switch_names():
    noise = ["noise 1", "noise 2", "noise 3", "noise 4", "noise 5", "noise 6"]
    assert [*tabnet.FEATURES] == ["switch", "A1", "A2", "B1", "B2", *noise]
    x, y = tabnet.table(np.random.default_rng(0), 500)
    for row, label in zip(x, y):
        a, b = row[1] + row[2], row[3] + row[4]
        assert label == ((a if row[0] < 0 else b) > 0)


def test_letters_have_norm_8_and_are_all_different():
    letters = hopfield.letters()
    np.testing.assert_array_equal(np.linalg.norm(letters, axis=-1), 8)
    assert len(np.unique(letters, axis=0)) == 8


def test_kernel_estimate_of_a_gaussian():
    x = np.random.default_rng(0).standard_normal((800, 2)).astype("float32")
    truth = math.log(2 * math.pi) + 1  # nats, its entropy
    found = ebm.kernel_nll(x[:600], x[600:])
    assert truth - 0.1 < found < truth + 0.15
    assert ebm.kernel_nll(x[:600], x[600:], widths=(0.02,)) > found + 1


def test_chains_start_anywhere_and_take_steps_of_their_size(monkeypatch):
    """Where no force pulls a step is noise alone, whose variance is the step's size."""
    monkeypatch.setattr(ebm, "CHAINS", 400)
    monkeypatch.setattr(ebm, "STEPS", 5)

    class Flat(nn.Module):
        def energy(self, x):
            return 0 * x.sum(axis=-1)

    ways = ebm.fall(Flat())
    assert ways.shape == (6, 400, 2) and ways.dtype == np.float32
    assert ways[0].min() < -5.9 and ways[0].max() > 5.9 and abs(ways[0].mean()) < 0.3
    inside = np.abs(ways).max(axis=(0, 2)) < 5
    assert np.diff(ways[:, inside], axis=0).var() == pytest.approx(0.02, rel=0.1)
    assert np.abs(ways).max() <= 6


def test_four_fifths_of_the_chains_are_in_the_band(monkeypatch):
    monkeypatch.setattr(ebm, "STEPS", 2)
    energy = np.linspace(0, 100, 11) + np.array([[5], [3], [1]])
    axes = blank()
    ebm.descent(axes, energy, 3.0, 2.0)
    band = axes.collections[0].get_paths()[0].vertices
    for step, least in enumerate((5, 3, 1)):
        assert {*band[band[:, 0] == step, 1]} == {10 + least, 90 + least}
    np.testing.assert_array_equal(lines(axes)["median chain"], [[0, 1, 2], [55, 53, 51]])
    assert axes.get_legend().get_texts()[0].get_text() == "80 % of 500 chains"


def test_timesteps_double_from_tick_to_tick():
    for some in (ann2snn.REPORTED, retnet.STEPS):
        assert (np.diff(np.log2(some)) == 1).all()
    assert ann2snn.REPORTED[0] == 1 and ann2snn.REPORTED[-1] == ann2snn.TIMESTEPS
    assert {*ann2snn.SHOWN} < {*ann2snn.REPORTED}


def test_a_pass_is_timed(monkeypatch):
    passes = []
    monkeypatch.setattr(retnet.time, "perf_counter", lambda: 10.0 + 3.0 * len(passes))
    assert retnet.seconds_of(lambda x: passes.append(x), "x") == 3.0 and passes == ["x"]


def test_points_far_away_are_on_a_circle():
    found = uncertainty.circle(3.0, count=8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 3, rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-5)
    assert found.dtype == np.float32 and len(np.unique(found.round(3), axis=0)) == 8
    assert len(uncertainty.circle(1.0)) == 360


def test_a_steps_share_is_what_it_adds_to_the_output():
    decisions = [Tensor(np.array(d, "float32")) for d in ([[1, 2], [0, 0]], [[4, 0], [5, 0]])]
    net = SimpleNamespace(steps=lambda x: (None, decisions))
    np.testing.assert_allclose(tabnet.step_shares(net, [[0.0]]), [3 / 12, 9 / 12])


def test_log_partition_of_a_gaussian():
    class Gaussian:
        def energy(self, x):
            return Tensor((x.data**2).sum(axis=-1) / 2 + 3)

    assert ebm.log_partition(Gaussian()) == pytest.approx(math.log(2 * math.pi) - 3, abs=1e-5)
