"""Lanczos' method, score matching, and the pictures of curvature.py."""

import math
import re

import numpy as np
import pytest
from legible import assert_says, faults, lines
from matplotlib import rc_context
from matplotlib.contour import QuadContourSet

from architectures import list_architectures
from architectures.energy.score import sliced_score_matching
from demos import curvature
from demos.comparison.prediction import grid_points
from demos.comparison.rings_and_clusters import rings_and_clusters as replicated
from demos.comparison.training import Entry, Recipe
from demos.curved import lanczos, landscape, scores, sharpness, valley
from demos.pictures.palette import STYLE
from demos.signature.common import rings_and_clusters
from demos.signature.ebm import energies
from minigrad import Tensor, functional, nn
from minigrad.backend import Noise
from minigrad.higher import hessian


def test_lanczos_finds_the_largest_eigenvalues():
    rng = np.random.default_rng(0)
    matrices = rng.standard_normal((3, 40, 40))
    matrices = matrices @ matrices.swapaxes(1, 2)
    values, vectors = lanczos.lanczos(
        lambda v: (matrices @ v[..., None])[..., 0], rng.standard_normal((3, 40)), 30
    )
    np.testing.assert_allclose(values[:, :2], np.linalg.eigvalsh(matrices)[:, :-3:-1], rtol=1e-6)
    largest = vectors[:, 0]
    product = (matrices @ largest[..., None])[..., 0]
    np.testing.assert_allclose(product, values[:, :1] * largest, atol=1e-3 * values.max())


def test_each_replica_has_eigenvalues_of_its_own():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 9, 2)).astype("f"), rng.integers(3, size=(2, 9))
    nets = [nn.Sequential(nn.Linear(2, 4, rng=k), functional.tanh, nn.Linear(4, 3)) for k in (0, 1)]
    values, _ = lanczos.hessian_eigenvalues(
        nn.stack(nets), lambda net: functional.cross_entropy(net(Tensor(x)), y), 20, 0
    )
    for k, net in enumerate(nets):

        def loss(net, k=k):
            return functional.cross_entropy(net(Tensor(x[k])), y[k])

        assert values[k, 0] == pytest.approx(
            np.linalg.eigvalsh(hessian(loss, net).numpy())[-1], rel=1e-4
        )


def test_score_matching_is_least_at_the_true_density():
    """For N(0, 1 / a) in D dimensions E = a |x|^2 / 2: J = a^2 E|x|^2 / 2 - a D, least at a = 1."""
    x = np.random.default_rng(0).standard_normal((20_000, 2)).astype("float32")

    def objective(a):
        a = Tensor(a, requires_grad=True)
        j = sliced_score_matching(lambda x: a * (x * x).sum(axis=-1) / 2, x, Noise(1), blur=0.0)
        j.backward()
        return j.item(), a.grad.item()

    for a in (0.5, 1.0, 2.0):
        value, slope = objective(a)
        assert value == pytest.approx(a**2 - 2 * a, abs=0.05)
        assert slope == pytest.approx(2 * a - 2, abs=0.05)


def test_score_matching_of_replicas():
    x = np.random.default_rng(0).standard_normal((3, 10, 2)).astype("float32")
    nets = [
        nn.Sequential(nn.Linear(2, 4, rng=k), functional.silu, nn.Linear(4, 1)) for k in range(3)
    ]
    net = nn.stack(nets)
    assert sliced_score_matching(lambda x: net(x)[..., 0], x, Noise(0)).shape == (3,)


def test_newton_needs_few_steps():
    way = valley.newton()
    assert len(way) < 25
    np.testing.assert_allclose(way[-1], 1, atol=1e-4)
    assert (np.diff(valley.heights(way)) < 0).all()


MODELS = []  # that the picture of scores has trained


def kept(found):
    MODELS.append(found[0])
    return found


TINY = {
    valley: {"STEPS": 30},
    landscape: {"GRID": 5, "STEPS": 3, "SHOWN": 3, "LOOKS": (0, 1)},
    scores: {"GRID": 21},
    sharpness: {"SEEDS": (42, 43, 44), "STEPS": 2, "ROWS": 20, "LOOKS": (0,)},
}


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def of_valley(figure, says):
    left, right = figure.axes
    ways, heights = lines(left), lines(right)
    assert [*ways] == [*heights] == ["gradient descent", "Adam", "Newton"]
    for (name, (x, y)), (steps, height) in zip(ways.items(), heights.values()):
        assert (x[0], y[0]) == (-1.2, 1.0)
        np.testing.assert_allclose(height, (1 - x) ** 2 + 100 * (y - x**2) ** 2, rtol=1e-9)
        assert [*steps] == [*range(1, len(x) + 1)]
        assert f"{name}: {height[-1]:.0e} after {len(x) - 1} steps" in says
        assert left.get_xlim()[0] < x.min() and x.max() < left.get_xlim()[1]
        assert left.get_ylim()[0] < y.min() and y.max() < left.get_ylim()[1]
    assert heights["Newton"][1][-1] > right.get_ylim()[0]
    # The first steps: down the slope, one of Adam's length along each axis, and Newton's.
    np.testing.assert_allclose(
        [(x[1], y[1]) for x, y in ways.values()],
        [(-0.9844, 1.088), (-1.15, 1.05), (-1.175281, 1.380674)],
        rtol=1e-5,
    )
    [ground] = (one for one in left.collections if isinstance(one, QuadContourSet))
    steepest = 2.7**2 + 100 * (0.7 + 1.7**2) ** 2
    assert [ground.zmin, ground.zmax] == pytest.approx([-3, math.log10(steepest)], abs=1e-3)
    start, goal = (tuple(line.get_xydata()[0]) for line in left.get_lines()[-2:])
    assert start == (-1.2, 1) and goal == (1, 1)


def of_landscape(figure, says):
    _, cuts, training = figure.axes
    assert [*lines(cuts)] == ["sharpest", "second sharpest", "random"]
    along = lines(training)
    assert [*along] == ["λ1", "λ2", "λ3"] and {len(x) for x, _ in along.values()} == {3}
    assert all([*x] == [0, 1, 4] for x, _ in along.values())
    _, first, last, *_ = numbers(says)
    curve = along["λ1"][1]
    assert first == pytest.approx(curve[0], abs=0.06)
    assert last == pytest.approx(curve[-1], abs=0.6, rel=0.3)  # of fewer steps of Lanczos' method
    assert training.get_xlim()[1] > 4


def of_sharpness(figure, says):
    assert "none for SNN;" in says and set(list_architectures()) > {"mlp", "snn"}
    left, right = figure.axes
    [mlp, hopfield], clouds = lines(left).items(), right.collections
    for (label, (epochs, curve)), cloud in zip((mlp, hopfield), clouds):
        ends, right_answers = np.asarray(cloud.get_offsets()).T
        assert label == cloud.get_label() and [*epochs] == [0, 1]
        assert curve[-1] == pytest.approx(np.median(ends))
        assert f"{label} {curve[-1]:.1f}" in says
        assert len(ends) == 3 and right_answers.min() > 20 and right_answers.max() <= 100
    between, within = (float(said) for said in re.findall(r"([+-]\d\.\d\d) (?:bet|with)", says))
    ends = [np.asarray(cloud.get_offsets()).T for cloud in clouds]
    assert within == pytest.approx(np.mean([spearman(*e) for e in ends]), abs=0.006)
    assert between == pytest.approx(
        spearman([np.median(e[0]) for e in ends], [e[1].mean() for e in ends])
    )


def spearman(a, b):
    """The correlation of the ranks, in a sorted list the mean of the first and the last place."""
    ranks = []
    for values in (sorted(a), sorted(b)):
        last = len(values) - 1
        ranks.append({v: values.index(v) + last - values[::-1].index(v) for v in values})
    return np.corrcoef([ranks[0][v] for v in a], [ranks[1][v] for v in b])[0, 1]


def of_scores(figure, says):
    *maps, course, _ = figure.axes
    area = (2 * scores.REACH / (scores.GRID - 1)) ** 2
    truth = np.exp(-np.sort(np.ravel(maps[0].images[0].get_array())))[1:]  # without the origin
    assert truth.sum() * area == pytest.approx(1, abs=0.2)
    titles = [axes.get_title() for axes in maps]
    shown = lines(course)
    assert [*shown] == ["contrastive divergence", "score matching", "true density"]
    for title, (name, (seconds, nll)) in zip(titles[1:], shown.items()):
        assert title == f"{name.capitalize()}: {nll[-1]:.2f}"
        assert f"{name} {nll[-1]:.2f} nats after {seconds[-1]:.1f} s" in says
        assert len(nll) == 4 and (np.diff(seconds) > 0).all()
    _, _, x_test, _ = rings_and_clusters()
    for axes, model, (_, nll) in zip(maps[1:], MODELS, shown.values()):
        energy = energies(model, grid_points((-6, 6, -6, 6), scores.GRID)) + 1
        np.testing.assert_allclose(axes.images[0].get_array().ravel(), energy, rtol=1e-5)
        assert nll[-1] == pytest.approx(energies(model, x_test).mean() + 1, rel=1e-5)
    truth = shown["true density"][1][0]
    assert titles[0] == f"True density: {truth:.2f}" and says.endswith(f"density {truth:.2f}")
    assert course.get_ylim()[0] < truth < course.get_ylim()[1]


SHOWS = {
    "valley": of_valley,
    "landscape": of_landscape,
    "sharpness": of_sharpness,
    "scores": of_scores,
}


@pytest.mark.parametrize("name", curvature.PICTURES)
def test_picture_is_drawn_and_shows_its_numbers(name, monkeypatch):
    for module, constants in TINY.items():
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
    if name == "scores":
        monkeypatch.setattr(scores, "log_partition", lambda model: 1.0)
        train = scores.trained
        MODELS.clear()
        monkeypatch.setattr(scores, "trained", lambda *how: kept(train(*how)))
    options = {"valley": {}, "sharpness": {"epochs": 1, "names": ["mlp", "snn", "hopfield"]}}
    _, picture = curvature.PICTURES[name]
    with rc_context(STYLE):
        figure, says = picture(**options.get(name, {"epochs": 4}))
        assert faults(figure) == []
    assert_says(figure, name)
    assert re.search(r"\d", says) and not re.search(r"\b(nan|inf)\b", says)
    assert all(axes.has_data() for axes in figure.axes)
    SHOWS[name](figure, says)


def test_of_a_parabola_the_hessian_is_right(monkeypatch):
    """Where the loss is its minimum + t A t / 2, the ellipses and parabolas drawn are the loss."""
    curvatures = np.array([50.0, 8.0, 3.0])
    directions = np.eye(3)[[2, 0, 1]]

    def heights(model, x, y, along, across, up):
        moves = across[..., None] * along[0] + up[..., None] * along[1]
        return 0.25 + (moves @ directions.T) ** 2 @ curvatures / 2

    class Bottom:
        item = staticmethod(lambda: 0.25)

    monkeypatch.setattr(landscape, "GRID", 38)
    monkeypatch.setattr(landscape, "SHOWN", 3)
    monkeypatch.setattr(landscape, "trained", lambda *_: (None, {0: curvatures[None]}))
    monkeypatch.setattr(landscape, "loss", lambda *_: Bottom)
    monkeypatch.setattr(landscape, "heights", heights)
    monkeypatch.setattr(
        landscape, "hessian_eigenvalues", lambda *_: (curvatures[None], directions[None])
    )
    figure, says = landscape.picture(epochs=4)
    chart, cuts, _ = figure.axes
    ground, white, dashed = (
        drawn for drawn in chart.collections if isinstance(drawn, QuadContourSet)
    )
    assert [*white.levels] == [*dashed.levels] == [0.01, 0.03, 0.1, 0.3, 1, 3]
    assert {text.get_text() for text in chart.texts} >= {"0.1", "0.3", "1"}
    extremes = np.log10([2 / 37**2, 2])  # beside the minimum, and in the corners
    assert [ground.zmin, ground.zmax] == pytest.approx([*extremes])
    for drawn in (white, dashed):
        for path, rise in zip(drawn.get_paths()[:4], (0.01, 0.03, 0.1, 0.3)):
            np.testing.assert_allclose(path.vertices**2 @ [25, 4], rise, rtol=0.1)
    assert chart.get_xlim() == pytest.approx((-0.2, 0.2))
    assert chart.get_ylim() == pytest.approx((-0.5, 0.5))
    sharpest, second, anywhere, *parabolas = (line.get_xydata() for line in cuts.get_lines())
    np.testing.assert_allclose([sharpest, second], parabolas)
    np.testing.assert_allclose(sharpest[:, 1], 25 * sharpest[:, 0] ** 2, atol=1e-12)
    assert says.startswith(
        "loss 0.250 nats; largest eigenvalues 50.0 at first, at the end 50, 8, 3"
    )
    assert numbers(says)[-1] == pytest.approx(2 * anywhere[0, 1] / anywhere[0, 0] ** 2, abs=0.006)


def test_the_second_half_is_trained_in_smaller_steps_from_more_rows(monkeypatch):
    parts, looked = [], []

    def fit(model, x, y, loss, adam, *, epochs, batch_size, on_epoch):
        parts.append((adam.lr, epochs, batch_size, x.shape, y.shape))
        for epoch in range(1, epochs + 1):
            on_epoch(epoch, None)

    def eigenvalues(model, loss, steps, rng):
        assert not model.training and loss(model).shape == (1,)
        looked.append(model)
        return np.full((1, 15), len(looked)), None

    monkeypatch.setattr(landscape, "fit", fit)
    monkeypatch.setattr(landscape, "hessian_eigenvalues", eigenvalues)
    x, y = np.zeros((20, 2), "float32"), np.arange(20) % 5
    _, looks = landscape.trained(x, y, 13)
    data = (1, 20, 2), (1, 20)
    assert parts == [(1e-2, 6, 32, *data), (2e-3, 7, 200, *data)]
    assert [*looks] == [0, 1, 2, 3, 5, 7, 10, 13]
    assert [found[0, 0] for found in looks.values()] == [*range(1, 9)]


def test_heights_are_the_loss_of_a_network_whose_parameters_have_moved():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 2)).astype("f"), rng.integers(5, size=9)
    model = nn.stack([nn.Linear(2, 5, rng=0)])
    weight, bias = (p.data.copy() for p in model.parameters())
    directions = rng.standard_normal((2, 15))
    found = landscape.heights(
        model, x, y, directions, np.array([[0, 1], [2, 3]]), np.array([[0, 4], [5, 6]])
    )
    for value, (a, b) in zip(found.ravel(), [(0, 0), (1, 4), (2, 5), (3, 6)]):
        move = a * directions[0] + b * directions[1]
        moved = x @ (weight[0] + move[:10].reshape(2, 5)) + bias[0] + move[10:]
        loss = (np.log(np.exp(moved).sum(axis=1)) - moved[range(9), y]).mean()
        assert value == pytest.approx(loss, rel=1e-4)
    np.testing.assert_array_equal(model.weight.data, weight)


def test_curvature_by_differences_is_that_of_both_sides(monkeypatch):
    """What is odd cancels: of 3 t^2 + t^3 it is 6."""
    monkeypatch.setattr(
        landscape, "heights", lambda model, x, y, directions, t, up: 3 * t**2 + t**3 + up
    )
    assert landscape.curvature(None, None, None, np.ones(4)) == pytest.approx(6, rel=1e-6)


def test_a_hessian_of_a_network_with_noise_is_that_of_one_function():
    """Also if the noise were drawn anew in each product, which mixes Hessians."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((1, 9, 4)).astype("f"), rng.integers(3, size=(1, 9))
    net = nn.stack([nn.Sequential(nn.Dropout(0.5, rng=3), nn.Linear(4, 3, rng=0))])

    def loss(net):
        return functional.cross_entropy(net(Tensor(x)), y)

    values, _ = lanczos.hessian_eigenvalues(net, loss, 12, 0)

    def by_the_same_noise(net):
        with nn.noise_from(net, 0):
            return loss(net).sum()

    largest = np.linalg.eigvalsh(hessian(by_the_same_noise, net).numpy())[-1]
    assert values[0, 0] == pytest.approx(largest, rel=1e-4)


def test_curvature_is_measured_along_the_comparisons_training(monkeypatch):
    how = {}

    def fit(model, x, y, loss, adam, **options):
        on_epoch = options.pop("on_epoch")
        how.update(options, lr=adam.lr, shape=x.shape, loss=loss)
        for epoch in range(1, options["epochs"] + 1):
            on_epoch(epoch, None)

    def eigenvalues(model, loss, steps, rng):
        assert loss(model).shape == (2,) and (steps, rng) == (10, 7) and not model.training
        return np.stack([np.arange(2.0), np.zeros(2)], axis=-1), None

    monkeypatch.setattr(sharpness, "fit", fit)
    monkeypatch.setattr(sharpness, "hessian_eigenvalues", eigenvalues)
    recipe = Recipe((7, 8), epochs=9, batch_size=50, learning_rate=0.3)
    looks, right = sharpness.along_training(Entry("mlp", replicated((7, 8)), recipe))
    assert [*looks] == [0, 1, 2, 4, 7, 9] and right.shape == (2,)
    assert [*looks[0]] == [0, 1]
    assert how.pop("loss").__name__ == "loss"
    assert how == {"epochs": 9, "batch_size": 50, "lr": 0.3, "shape": (2, 800, 2)}


def test_rank_correlation():
    assert sharpness.rank_correlation([1, 5, 9], [-3, 0, math.inf]) == pytest.approx(1)
    assert sharpness.rank_correlation([1, 5, 9], [2, 1, 0]) == pytest.approx(-1)
    assert sharpness.rank_correlation([1, 5, 9], [3, 3, 3]) == 0
    a, b = [3, 1, 4, 1, 5, 9, 2, 6], [2, 7, 1, 8, 2, 8, 1, 8]
    assert sharpness.rank_correlation(a, b) == pytest.approx(spearman(a, b))


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(valley, "STEPS", 30)
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    assert curvature.main(["--only", "valley", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "valley.png").exists()
    assert capsys.readouterr().out.startswith("Rosenbrock's valley: gradient descent")
    with pytest.raises(SystemExit):
        curvature.main(["--only", "vally"])
    assert "unknown picture 'vally': choose from valley" in capsys.readouterr().err
