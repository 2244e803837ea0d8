"""The curve with a gap: who knows that it does not know, and the command that shows it."""

import re

import numpy as np
import pytest

from demos import regression
from demos.gap import curve
from demos.gap.bands import WAYS, Band
from demos.gap.picture import picture
from demos.pictures.palette import STYLE

SEEDS = (42, 43)
MLP, ENSEMBLE, BAYESIAN, DROPOUT = WAYS


def test_nothing_is_measured_in_the_gap_but_everywhere_else():
    x, y = curve.training_data(0)
    assert x.shape == y.shape == (curve.POINTS, 1) and x.dtype == y.dtype == "float32"
    assert not curve.in_gap(x).any() and (np.abs(x) < curve.REACH).all()
    assert 0.4 < (x > 0).mean() < 0.6
    error = (y - curve.truth(x)) / curve.scatter(x)
    assert abs(error.mean()) < 0.15 and 0.9 < error.std() < 1.1
    x, _ = curve.test_data(0)
    assert 0.3 < curve.in_gap(x).mean() < 0.5


@pytest.mark.parametrize("way", [BAYESIAN, DROPOUT, ENSEMBLE], ids=lambda way: way.label)
def test_samples_disagree_in_the_gap(way):
    held = Band(way, SEEDS, 300).held()
    assert min(held["inside", "data"]) > 0.85
    for near, far in zip(held["epistemic", "data"], held["epistemic", "gap"]):
        assert far > 1.3 * near > 0


def test_one_network_does_not_know():
    held = Band(MLP, SEEDS, 300).held()
    assert held["epistemic", "data"] == held["epistemic", "gap"] == [0, 0]
    assert max(held["inside", "gap"]) < 0.7 < 0.85 < min(held["inside", "data"])


def test_an_ensemble_of_each_replica_is_its_own():
    """Members share the data of their replica, and the band is that of the members alone."""
    band = Band(ENSEMBLE, SEEDS, 1)
    x = np.linspace(-1, 1, 5, dtype="float32")[:, None]
    both = band.at(np.stack([x, x]))
    alone = Band(ENSEMBLE, SEEDS[1:], 1)
    # Not bit for bit: the order of the rows is that of the first replica.
    assert both["mean"].shape == (2, 5, 1) and (both["epistemic"] > 0).all()
    np.testing.assert_allclose(both["mean"][1], alone.at(x[None])["mean"][0], atol=0.2)
    assert (both["mean"][0] != both["mean"][1]).all()


def test_picture_and_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    arguments = ["--replicas", "2", "--epochs", "1", "--out", str(tmp_path)]
    assert regression.main(arguments) == 0
    assert [path.name for path in tmp_path.glob("[!.]*")] == [regression.PICTURE]
    lines = capsys.readouterr().out.splitlines()
    for line, way in zip(lines[3:], WAYS):
        assert re.match(rf"{way.label} +[\d.]+ ± [\d.]+ %", line)
    assert lines[-1].endswith(regression.PICTURE)
    with pytest.raises(SystemExit):
        regression.main(["--epochs", "0"])
    assert "--epochs: '0' is not a whole number from 1 on" in capsys.readouterr().err


def test_the_picture_shows_the_first_replica():
    bands = [Band(way, SEEDS[:1], 1) for way in (MLP, BAYESIAN)]
    figure = picture(bands, [band.held() for band in bands])
    x, _ = curve.training_data(SEEDS[0])
    for axes, band in zip(figure.axes, bands):
        assert axes.get_title().startswith(band.way.label)
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), x[:, 0])
