"""The curve with a gap: who knows that it does not know, and the command that shows it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

from demos import regression
from demos.gap import bands, curve
from demos.gap.bands import WAYS, Band
from demos.gap.picture import picture
from demos.pictures.palette import STYLE
from minigrad import fit, nn

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
    found = Band(way, SEEDS, 300).evaluate()
    assert min(found["coverage", "data"]) > 0.85
    for near, far in zip(found["epistemic", "data"], found["epistemic", "gap"]):
        assert far > 1.3 * near > 0


def test_one_network_does_not_know():
    found = Band(MLP, SEEDS, 300).evaluate()
    assert found["epistemic", "data"] == found["epistemic", "gap"] == [0, 0]
    assert max(found["coverage", "gap"]) < 0.7 < 0.85 < min(found["coverage", "data"])


BANDS = {  # mean, total and epistemic variance at -2, 0 and 3, of seed 43 after two epochs
    "MLP": [[0.0037, -0.0172, -0.0621], [0.6004, 0.6078, 0.6239], [0, 0, 0]],
    "5 MLPs": [[-0.2193, 0.0393, 0.3063], [0.5265, 0.5858, 0.8382], [0.0291, 0.0034, 0.0744]],
    "Bayesian": [[-0.1660, 0.1037, 0.2824], [0.4542, 0.5321, 0.7988], [0.0009, 0.0002, 0.0010]],
    "MC Dropout": [[-0.1068, 0.0031, 0.2609], [0.4223, 0.7238, 0.8333], [0.0033, 0, 0.0061]],
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.label)
def test_a_seed_names_the_same_bands_for_ever(way):
    """Or what has been published cannot be had again."""
    x = np.tile(np.array([[-2], [0], [3]], "float32"), (2, 1, 1))
    parts = Band(way, SEEDS, 2).at(x)
    found = [parts[name][1, :, 0] for name in ("mean", "total", "epistemic")]
    np.testing.assert_allclose(found, BANDS[way.label], atol=1e-4)


def test_an_ensemble_of_each_replica_is_its_own(monkeypatch):
    """Its members have the replica's data, and the band of a replica is that of its members."""
    trained_on = []

    def noted(model, x, y, *arguments, **options):
        trained_on.append((x, y))
        rates = [options["schedule"](step) for step in (0, 4)]  # 400 points are 4 minibatches
        assert rates == pytest.approx([1e-2, 1e-4])
        return fit(model, x, y, *arguments, **options)

    monkeypatch.setattr(bands, "fit", noted)
    band, members = Band(ENSEMBLE, SEEDS, 1), ENSEMBLE.members
    for k, seed in enumerate(SEEDS):
        for given, own in zip(trained_on[0], curve.training_data(seed)):
            for array in given[k * members : (k + 1) * members]:
                np.testing.assert_array_equal(array, own)

    x = np.linspace(-1, 1, 10, dtype="float32").reshape(2, 5, 1)
    parts = band.at(x)
    for k in range(2):
        nets = [nn.unstack(band.model, k * members + m) for m in range(members)]
        means = np.stack([net.predict(x[k]).numpy() for net in nets])
        np.testing.assert_allclose(parts["mean"][k], means.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(parts["epistemic"][k], means.var(axis=0), rtol=1e-3)


def test_the_command_has_the_replicas_and_epochs_that_it_is_told(tmp_path, monkeypatch):
    asked_for = []

    def noted(way, seeds, epochs):
        asked_for.append((way, tuple(seeds), epochs))
        return Band(MLP, seeds, 1)

    monkeypatch.setattr(regression, "Band", noted)
    monkeypatch.setattr(regression, "picture", lambda *_: Figure())
    arguments = ["--replicas", "2", "--epochs", "7", "--seed", "5", "--out", str(tmp_path)]
    assert regression.main(arguments) == 0
    assert asked_for == [(way, (5, 6), 7) for way in WAYS]


def test_picture_and_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    arguments = ["--replicas", "2", "--epochs", "1", "--out", str(tmp_path)]
    assert regression.main(arguments) == 0
    assert [path.name for path in tmp_path.glob("[!.]*")] == [regression.PICTURE]
    lines = capsys.readouterr().out.splitlines()
    for line, way in zip(lines[3:], WAYS):
        assert re.match(rf"{way.label} +[\d.]+ ± [\d.]+ %", line)
    assert len(lines) > 3 + len(WAYS) and lines[-1].endswith(str(tmp_path / regression.PICTURE))
    with pytest.raises(SystemExit):
        regression.main(["--epochs", "0"])
    assert "--epochs: '0' is not a whole number from 1 on" in capsys.readouterr().err


def test_passes_of_few_replicas_predict_the_same(monkeypatch):
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(2, 6, 1)
    for way in (MLP, ENSEMBLE):
        band = Band(way, SEEDS, 1)
        whole = band.at(x)
        monkeypatch.setattr(bands, "AT_ONCE", 1)
        for name, part in band.at(x).items():
            np.testing.assert_allclose(part, whole[name], rtol=1e-4)
        monkeypatch.undo()


def test_what_the_machine_has_no_room_for_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("demos.shell.memory.room", lambda: 16 * 16_610 * 2)
    arguments = ["--replicas", "3", "--out", str(tmp_path / "out")]
    assert regression.main(arguments) == 2
    says = "regression.py: all networks: 3 replicas of 16,610 parameters need 0.0 GiB"
    assert capsys.readouterr().err.startswith(says) and not (tmp_path / "out").exists()


def test_the_table_has_means_over_replicas(monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    found = {
        ("coverage", "data"): [0.9, 0.8],
        ("coverage", "gap"): [0.4, 0.5],
        ("epistemic", "data"): [0.1, 0.3],
        ("epistemic", "gap"): [1.0, 2.0],
    }
    bands = [SimpleNamespace(way=MLP, seconds=3.0), SimpleNamespace(way=ENSEMBLE, seconds=4.0)]
    other = {key: values[::-1] for key, values in found.items()}
    text = regression.table(bands, [found, other])
    _, head, _, line, last, _, spread, *notes = text.splitlines()
    assert " ".join(head.split()) == "Inside: data gap Epistemic: data gap Time"
    expected = "MLP 85.0 ± 63.5 % 45.0 ± 63.5 % 0.200 1.500 3.00 s"
    assert " ".join(line.split()) == expected
    assert " ".join(last.split()) == expected.replace("MLP", "5 MLPs").replace("3.00", "4.00")
    assert spread.endswith("over 2 replicas") and len(notes) == 2
    one = {key: values[:1] for key, values in found.items()}
    assert "±" not in regression.table(bands, [one, one])


def test_the_picture_shows_the_first_replica_and_says_how_all_did():
    some = [Band(way, SEEDS, 1) for way in (MLP, BAYESIAN)]
    found = [{key: [k / 10 for k in range(3)] for key in band.evaluate()} for band in some]
    found[1]["coverage", "gap"] = [0.25, 0.35]
    figure = picture(some, found)
    assert [axes.get_title() for axes in figure.axes] == [
        "MLP\ninside: 10 % near data, 10 % in the gap",
        "Bayesian\ninside: 10 % near data, 30 % in the gap",
    ]
    (left, right), legend = figure.axes, figure.legends[0]
    assert left.get_position().x1 < right.get_position().x0
    assert left.get_position().y0 == right.get_position().y0
    for axes, band in zip(figure.axes, some):
        measured, true, mean, *edges = axes.lines
        np.testing.assert_array_equal(
            measured.get_xydata(), np.column_stack(curve.training_data(SEEDS[0]))
        )
        x = mean.get_xdata()
        np.testing.assert_array_equal(true.get_xdata(), x)
        np.testing.assert_array_equal(true.get_ydata(), curve.truth(x))
        parts = band.at(np.stack([x[:, None]] * len(SEEDS)))
        np.testing.assert_array_equal(mean.get_ydata(), parts["mean"][0, :, 0])
        assert {place for edge in edges for place in edge.get_xdata()} == {-curve.GAP, curve.GAP}
        assert axes.get_xlim() == (x[0], x[-1]) and x[0] < -curve.REACH
        edges = [curve.GAP, curve.REACH]  # of where there are data
        np.testing.assert_array_equal(np.abs(axes.get_xticks()), [*edges[::-1], *edges])
        assert (np.diff(axes.get_xticks()) > 0).all()
        assert axes.get_yticks().tolist() == [-2, 0, 2] and axes.get_ylim() == (-3, 3)
        for fill, kind in zip(axes.collections, ("total", "epistemic"), strict=True):
            outline = fill.get_paths()[0].vertices
            for at in range(0, len(x), 50):
                inside = outline[outline[:, 0] == x[at], 1]
                low, high = (
                    parts["mean"][0, at, 0] + sign * 1.96 * parts[kind][0, at, 0] ** 0.5
                    for sign in (-1, 1)
                )
                assert (inside.min(), inside.max()) == pytest.approx((low, high), abs=1e-5)
        # What the legend explains looks as it does in the panels.
        names = [text.get_text() for text in legend.get_texts()]
        assert all(names) and len(set(names)) == len(legend.legend_handles) == 5
        for shown, line in zip(legend.legend_handles, (measured, true, mean)):
            for look in ("get_color", "get_linestyle", "get_marker"):
                assert getattr(shown, look)() == getattr(line, look)()
        for shown, fill in zip(legend.legend_handles[3:], axes.collections):
            np.testing.assert_array_equal(shown.get_facecolor(), fill.get_facecolor()[0])
