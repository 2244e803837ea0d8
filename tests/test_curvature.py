"""Lanczos' method, score matching, and the pictures of curvature.py."""

import math
import re

import numpy as np
import pytest

from architectures import list_architectures
from architectures.energy.score import sliced_score_matching
from demos import curvature
from demos.curved import lanczos, landscape, scores, sharpness, valley
from demos.pictures.palette import STYLE
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


TINY = {
    valley: {"STEPS": 30},
    landscape: {"GRID": 5, "STEPS": 3, "SHOWN": 3, "LOOKS": (0, 1)},
    scores: {"GRID": 21},
    sharpness: {"SEEDS": (42, 43), "STEPS": 2, "ROWS": 20, "LOOKS": (0,)},
}


@pytest.mark.parametrize("name", curvature.PICTURES)
def test_picture_is_drawn_and_its_numbers_are_numbers(name, tmp_path, monkeypatch):
    for module, constants in TINY.items():
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
    if name == "scores":
        monkeypatch.setattr(scores, "log_partition", lambda model: 1.0)
    options = {"valley": {}, "sharpness": {"epochs": 1, "names": ["mlp", "snn", "hopfield"]}}
    _, picture = curvature.PICTURES[name]
    figure, numbers = picture(**options.get(name, {"epochs": 4}))
    figure.savefig(tmp_path / "picture.png", dpi=30)
    assert re.search(r"\d", numbers) and not re.search(r"\b(nan|inf)\b", numbers)
    assert all(axes.has_data() for axes in figure.axes)
    if name == "sharpness":
        assert "none for SNN;" in numbers and set(list_architectures()) > {"mlp", "snn"}


def test_rank_correlation():
    assert sharpness.rank_correlation([1, 5, 9], [-3, 0, math.inf]) == pytest.approx(1)
    assert sharpness.rank_correlation([1, 5, 9], [2, 1, 0]) == pytest.approx(-1)


def test_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(valley, "STEPS", 30)
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    assert curvature.main(["--only", "valley", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "valley.png").exists()
    assert capsys.readouterr().out.startswith("Rosenbrock's valley: gradient descent")
    with pytest.raises(SystemExit):
        curvature.main(["--only", "vally"])
    assert "unknown picture 'vally': choose from valley" in capsys.readouterr().err
