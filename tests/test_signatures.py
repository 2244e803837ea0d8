"""The pictures of what each architecture is known for: they draw, and their numbers are right."""

import math
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from architectures import list_architectures
from demos import signatures
from demos.comparison import drawn as drawn_tasks
from demos.pictures.palette import STYLE
from demos.signature import ann2snn, drawn, ebm, hopfield, mamba, mlp, retnet, tabnet, uncertainty
from demos.signature.common import entitled, points
from minigrad import Tensor, backend

TINY = {
    ann2snn: {"REPLICAS": 2, "TIMESTEPS": 16, "REPORTED": (1, 16)},
    drawn: {"LENGTHS": (12, 24), "ROWS": 20},
    drawn_tasks: {"steps_of": lambda task, recipe: 2, "TEST_ROWS": 40},
    mamba: {"LENGTHS": (12, 24), "SEQUENCES": 3},
    retnet: {"STEPS": (8, 16)},
    ebm: {"GRID": 21, "CHAINS": 20, "STEPS": 10, "SAMPLE_STEPS": 10},
    mlp: {"GRID": 31, "WIDTHS": (3, 2)},
    tabnet: {"ROWS": 200, "TEST_ROWS": 100},
    uncertainty: {"GRID": 11, "SAMPLES": 3},
}


@pytest.fixture
def tiny(monkeypatch):
    for module, constants in TINY.items():
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)


def test_every_architecture_has_a_picture():
    of_tasks = {*list_architectures("copy"), *list_architectures("digits")} - {"mlp", "mamba_lti"}
    assert list(signatures.PICTURES)[:8] == list_architectures()
    assert set(signatures.PICTURES) == {*list_architectures(), *of_tasks}


@pytest.mark.parametrize("name", [name for name in signatures.PICTURES if name != "hopfield"])
def test_picture_is_drawn_and_its_numbers_are_numbers(name, tiny, tmp_path):
    figure, numbers = signatures.PICTURES[name](epochs=1)
    figure.savefig(tmp_path / "picture.png", dpi=30)
    assert re.search(r"\d\.\d", numbers)
    assert not re.search(r"\b(nan|inf)\b", numbers)
    for axes in figure.axes:
        assert axes.has_data() or axes.texts, axes.get_title()
        for line in axes.get_lines():
            said = re.search(r": (\d+\.\d) %$", line.get_label())
            if said and len(set(line.get_ydata())) == 1:  # a level that its label names
                assert line.get_ydata()[0] == pytest.approx(float(said[1]), abs=0.051)


def test_every_point_is_shown():
    figure = entitled("points", (4, 4))
    axes = figure.subplots()
    x, y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 5
    points(axes, x, y)
    shown = np.concatenate([drawn.get_offsets() for drawn in axes.collections])
    assert sorted(map(tuple, np.asarray(shown))) == sorted(map(tuple, x))


def test_command_writes_what_was_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    assert signatures.main(["--only", "hopfield", "--out", str(tmp_path / "new")]) == 0
    assert pictures(tmp_path / "new") == {"hopfield.png"}
    line = capsys.readouterr().out.splitlines()[0]
    before, after = re.match(r"Hopfield: norm 8: error (\S+) -> (\S+) in one step", line).groups()
    assert float(before) > 3 > 1e-12 > float(after)


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


def test_log_partition_of_a_gaussian():
    class Gaussian:
        def energy(self, x):
            return Tensor((x.data**2).sum(axis=-1) / 2 + 3)

    assert ebm.log_partition(Gaussian()) == pytest.approx(math.log(2 * math.pi) - 3, abs=1e-5)
