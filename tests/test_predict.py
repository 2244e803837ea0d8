"""Trained networks in files, and new rows through them."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import minigrad
from architectures import list_architectures, lookup
from architectures.neuromorphic.ann2snn import SpikingNetwork
from demos import compare, predict
from demos.comparison import contest, keeping
from demos.comparison.own_data import standardised_as, task_from_file
from demos.comparison.prediction import predict_rows
from demos.comparison.training import Entry, Recipe, train

ROOT = Path(predict.__file__).parents[1]
PARTS = ["total", "aleatoric", "epistemic"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three classes; the features are in odd units."""

    def kind(a, b, c):
        return '"c, really"' if c > 1 else "ab"[int(a > b)]

    rng = np.random.default_rng(0)
    rows = [
        f"{1e6 * a + 5e6!r},{1e-3 * b!r},{c!r},{kind(a, b, c)}"
        for a, b, c in rng.normal(size=(120, 3)).tolist()
    ]
    path = tmp_path_factory.mktemp("data") / "own.csv"
    path.write_text("\n".join(["width,height,c,kind", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def task(table):
    return task_from_file(table, "kind", (3, 4))


@pytest.fixture(scope="module")
def models(tmp_path_factory, table):
    """The folder that a comparison has left."""
    out = tmp_path_factory.mktemp("out")
    arguments = ["--data", table, "--target", "kind", "--replicas", "3", "--epochs", "2"]
    arguments += ["--only", "mlp,bayesian,ann2snn", "--no-plots", "--save", "--quiet"]
    assert compare.main([*map(str, arguments), "--out", str(out)]) == 0
    return out / "models"


@pytest.fixture
def new_rows(table, tmp_path):
    """The rows of the table without their classes, columns in another order."""
    lines = [line.split(",") for line in table.read_text().splitlines()]
    path = tmp_path / "new.csv"
    path.write_text("".join(f"{c},{width},{height}\n" for width, height, c, *_ in lines))
    return path


@pytest.mark.parametrize("protocol", ["shared", "native"])
@pytest.mark.parametrize("name", list_architectures())
def test_what_is_read_predicts_as_what_was_trained(tmp_path, task, name, protocol):
    entry = Entry(name, task, Recipe(seeds=(3, 4), epochs=1, protocol=protocol, keep=True))
    outcome = train(entry)
    keeping.keep(tmp_path, entry, outcome)
    kept = keeping.read(keeping.path_of(tmp_path, name, protocol))
    assert kept.shown == outcome.shown
    for k in (0, 1):
        found = predict_rows(kept.network(k), task.x_test[k], 3).argmax(axis=-1)
        same = found == outcome.predictions[k]
        assert same.all() or name in ("bayesian", "mc_dropout")  # which draw other samples alone
        assert same.mean() > 0.7
    assert isinstance(kept.network(0).backbone, SpikingNetwork) == (name == "ann2snn")
    assert not outcome.state.keys() ^ kept.network(0).state_dict().keys()


def test_all_of_an_outcome_is_read_again(tmp_path, task):
    recipe = Recipe(seeds=(0, 4), epochs=2, keep=True)
    entry = Entry("ann2snn", task, recipe)
    outcome = train(entry)
    outcome.shown = 1
    outcome.maps = {(1, 2): np.zeros((2, 2, 3)), (0, 10): np.ones((2, 2, 3)), (1, 10): np.ones(3)}
    outcome.doubts = {(1, 10): np.ones((2, 2))}
    keeping.keep(tmp_path, entry, outcome)
    again = keeping.read(keeping.path_of(tmp_path, "ann2snn", "shared")).outcome()
    assert list(again.frames) == [2, 10]
    for part, value in vars(outcome).items():
        np.testing.assert_equal(getattr(again, part), value)


def test_processes_keep_the_same_and_both_protocols_are_kept(tmp_path, table):
    arguments = ["--data", str(table), "--target", "kind", "--only", "mlp,bayesian", "--save"]
    arguments += ["--no-plots", "--quiet", "--epochs", "1", "--replicas", "2", "--protocol", "both"]
    for jobs in ("1", "2"):
        assert compare.main([*arguments, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    names = ["bayesian.native.npz", "bayesian.npz", "mlp.npz"]
    assert sorted(os.listdir(tmp_path / "1" / "models")) == names
    for name in names:
        one, other = (keeping.read(tmp_path / jobs / "models" / name) for jobs in "12")
        np.testing.assert_equal(one.state, other.state)
        assert one.made_by == other.made_by


def test_what_had_finished_is_kept(tmp_path, monkeypatch, capsys):
    arguments = ["--only", "mlp,hopfield", "--replicas", "1", "--epochs", "1", "--save"]
    arguments += ["--out", str(tmp_path)]
    learn = contest.train

    def interrupted(entry, on_epoch=None):
        if entry.name == "hopfield":
            raise KeyboardInterrupt
        return learn(entry, on_epoch)

    with monkeypatch.context() as patch:
        patch.setattr(contest, "train", interrupted)
        assert compare.main(arguments) == 130
    assert os.listdir(tmp_path / "models") == ["mlp.npz"]

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(compare, "draw", fail)
        assert compare.main(arguments) == 1
    assert sorted(os.listdir(tmp_path / "models")) == ["hopfield.npz", "mlp.npz"]
    assert not (tmp_path / "data.png").exists()

    monkeypatch.setattr(minigrad.checkpoint, "write_npz", fail)
    assert compare.main([*arguments, "--no-plots"]) == 1
    found = json.loads((tmp_path / "results.json").read_text())
    assert len(found["results"]) == 2 and "No space left" in found["failed"]["keeping MLP"]


# --- predict.py ------------------------------------------------------------------------------


def run(capsys, *arguments):
    assert predict.main(list(map(str, arguments))) == 0
    header, *lines = csv.reader(capsys.readouterr().out.splitlines())
    return header, lines


def test_rows_get_their_class_whatever_the_order_of_columns(models, table, new_rows, capsys):
    header, lines = run(capsys, models / "mlp.npz", new_rows)
    assert header == ["class", "p(a)", "p(b)", "p(c, really)"]
    _, *rows = csv.reader(table.read_text().splitlines())
    for _, *probabilities in lines:
        assert sum(map(float, probabilities)) == pytest.approx(1, abs=1e-5)
    right = [line[0] == row[-1] for line, row in zip(lines, rows, strict=True)]
    assert np.mean(right) > 0.7
    task = task_from_file(table, "kind", (42, 43, 44))
    x = np.array([row[:3] for row in rows], float)
    for k in range(3):
        network = keeping.read(models / "mlp.npz").network(k)
        expected = predict_rows(network, standardised_as(x, *task.scale(k)), 42)
        found = run(capsys, models / "mlp.npz", new_rows, "--replica", k)[1]
        np.testing.assert_allclose([[*map(float, p)] for _, *p in found], expected, rtol=1e-4)
    of_replicas = [run(capsys, models / "mlp.npz", new_rows, "--replica", k)[1] for k in range(3)]
    assert of_replicas[keeping.read(models / "mlp.npz").shown] == lines
    assert of_replicas[0] != of_replicas[1]


def test_a_sampling_network_says_how_unsure_it_is(models, new_rows, tmp_path, capsys):
    header, lines = run(capsys, models / "bayesian.npz", new_rows)
    assert header[-3:] == PARTS
    for line in lines:
        total, aleatoric, epistemic = map(float, line[-3:])
        assert total == pytest.approx(aleatoric + epistemic, rel=1e-4, abs=1e-6)
        assert 0 <= epistemic <= total <= np.log(3)
    assert run(capsys, models / "bayesian.npz", new_rows)[1] == lines
    assert run(capsys, models / "bayesian.npz", new_rows, "--seed", "9")[1] != lines
    out = tmp_path / "new" / "predicted.csv"
    command = [sys.executable, ROOT / "demos" / "predict.py", models / "bayesian.npz", new_rows]
    done = subprocess.run([*command, "--out", out], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(csv.reader(out.read_text().splitlines()))[1:] == lines


def test_what_is_missing_is_filled_as_while_training(table, tmp_path, capsys):
    arguments = ["--data", table, "--target", "kind", "--only", "mlp", "--replicas", "2"]
    arguments += ["--epochs", "1", "--no-plots", "--quiet", "--save", "--out", tmp_path]
    assert compare.main([*map(str, arguments), "--impute", "median"]) == 0
    capsys.readouterr()
    kept = keeping.read(tmp_path / "models" / "mlp.npz")
    fill = kept.fill[1].tolist()
    path = tmp_path / "new.csv"
    path.write_text(
        f"width,height,c\n1,?,3\n1,{fill[1]!r},3\n,,\n{fill[0]!r},{fill[1]!r},{fill[2]!r}"
    )
    predicted = predict.main([str(tmp_path / "models" / "mlp.npz"), str(path), "--replica", "1"])
    said = capsys.readouterr()
    _, first, same, empty, filled = said.out.splitlines()
    assert predicted == 0 and first == same and empty == filled != first
    assert said.err == (
        "4 of 12 values are missing: the median of its column's training rows stands for each\n"
    )


def test_long_names_that_differ_at_their_end_stay_different(tmp_path, capsys):
    long = "How satisfied are you all in all with what this shop has on its shelves: "
    header, rows = f"{long}bread,{long}milk", [f"{i},{i * i % 7}" for i in range(20)]
    answers = [f"{row},{long}{'não' if i % 2 else 'já'}" for i, row in enumerate(rows)]
    (tmp_path / "own.csv").write_text("\n".join([f"{header},kind", *answers]), encoding="utf-8")
    (tmp_path / "new.csv").write_text("\n".join([header, *rows]))
    arguments = ["--data", tmp_path / "own.csv", "--target", "kind", "--only", "mlp", "--save"]
    arguments += ["--replicas", "1", "--epochs", "1", "--no-plots", "--quiet", "--out", tmp_path]
    assert compare.main(list(map(str, arguments))) == 0
    capsys.readouterr()
    files = [tmp_path / "models" / "mlp.npz", tmp_path / "new.csv"]
    header, lines = run(capsys, *files)
    assert len(lines) == 20 and header[1].endswith("shelves: já)") and header[2].endswith(": não)")
    command = [sys.executable, ROOT / "demos" / "predict.py", *files]
    ascii_alone = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=ascii_alone, check=True)
    assert [*csv.reader(done.stdout.decode().splitlines())] == [header, *lines]


def test_an_npz_of_new_rows(models, table, tmp_path, capsys, new_rows):
    lines = run(capsys, models / "ann2snn.npz", new_rows)[1]
    x = [list(map(float, line.split(",")[:3])) for line in table.read_text().splitlines()[1:]]
    np.savez(tmp_path / "new.npz", x=x)
    assert run(capsys, models / "ann2snn.npz", tmp_path / "new.npz")[1] == lines


def refused(capsys, *arguments):
    assert predict.main(list(map(str, arguments))) == 2
    said = capsys.readouterr().err
    assert said.startswith("predict.py: ") and said.count("\n") == 1 and len(said) < 330
    return said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("width,c\n1,2\n", "lacks height"),
        (",width,height,c\n0,1,2,3\n", "does not know: ''"),
        ("width,height,c,kind\n1,2,3,a\n", "has columns that the network does not know: kind"),
        ("wide,height,c\n1,2,3\n", "lacks width, and has columns .* not know: wide"),
        ("width,height,c,c\n1,2,3,3\n", "two columns are called 'c'"),
        ("width,height,c\n", "has a header, but no rows"),
        ("width,height,c\n1,2\n", "line 2: 2 cells, but the header has 3"),
        (
            "c,width,height\n1,2,\n",
            "line 2, column 'height': the value is missing: .* trained without --impute",
        ),
        ("c,width,height\n1,x,3\n", "line 2, column 'width': 'x' is not a number"),
        ("", "is empty"),
    ],
)
def test_rows_that_do_not_fit_are_refused(models, tmp_path, capsys, text, complaint):
    path = tmp_path / "new.csv"
    path.write_text(text)
    assert re.search(complaint, refused(capsys, models / "mlp.npz", path))


def test_arrays_that_do_not_fit_are_refused(models, tmp_path, capsys):
    path = tmp_path / "new.npz"
    np.savez(path, x=np.zeros((4, 2)))
    assert "x has 2 columns, the network knows 3" in refused(capsys, models / "mlp.npz", path)
    assert "has the replicas 0 to 2" in refused(capsys, models / "mlp.npz", path, "--replica", 3)
    says = refused(capsys, models / "mlp.npz", path, "--out", tmp_path)
    assert "it is a folder" in says


GUEST = """
import architectures
from minigrad import functional, nn

class Mine(nn.Sequential):
    def __init__(self, input_size, width=3, activation=None, *, rng=None):
        super().__init__(nn.Linear(input_size, width, rng=rng), activation)
        self.output_size = width

architectures.register("my/own", Mine, options={"width": 5, "activation": functional.tanh})
"""


def test_a_guest_needs_its_file(tmp_path, table, new_rows, capsys, monkeypatch):
    file = tmp_path / "my_model.py"
    file.write_text(GUEST)
    arguments = ["--with", file, "--only", "my/own", "--data", table, "--target", "kind"]
    arguments += ["--epochs", "1", "--replicas", "2", "--no-plots", "--save"]
    assert compare.main([*map(str, arguments), "--out", str(tmp_path / "out")]) == 0
    kept = tmp_path / "out" / "models" / "my%2Fown.npz"
    step = f"For new rows: python demos/predict.py {kept} ROWS.csv --with {file}"
    assert shlex.split(capsys.readouterr().out.splitlines()[-1]) == step.split()
    assert len(run(capsys, kept, new_rows, "--with", file)[1]) == 120
    monkeypatch.delitem(predict.keeping.ARCHITECTURES, "my/own")
    assert "nobody has registered 'my/own'" in refused(capsys, kept, new_rows)
    file.write_text(GUEST.replace("5", "6"))
    says = refused(capsys, kept, new_rows, "--with", file)
    assert "had the options {'width': 5, 'activation': 'tanh'}, and has {'width': 6" in says


# --- files that nobody should trust ----------------------------------------------------------


def test_foreign_files_are_refused(models, tmp_path, new_rows, capsys):
    assert "No such file" in refused(capsys, tmp_path / "none.npz", new_rows)
    assert "it is a folder" in refused(capsys, tmp_path, new_rows)
    assert "no .npz file" in refused(capsys, new_rows, new_rows)
    path = tmp_path / "model.npz"
    minigrad.save(path, {"weight": np.zeros(3)}, epoch=3)
    assert "no network of compare.py --save" in refused(capsys, path, new_rows)
    whole = (models / "mlp.npz").read_bytes()
    for end in range(0, len(whole), len(whole) // 7):
        path.write_bytes(whole[:end])
        refused(capsys, path, new_rows)


HOSTILE = [
    {"made_by": 3},
    {"made_by": {}},
    {"features": None},
    {"features": [1, 2, 3]},
    {"features": ["c", "c", "c"]},
    {"features": ["a", "b"]},
    {"features": {"width": 1}},
    {"classes": "abc"},
    {"classes": ["a"]},
    {"classes": ["a", "b", "c\x1b[2J"]},
    {"classes": [["a"]] * 3},
    {"architecture": ["mlp"]},
    {"architecture": "no\x1b[2Jne"},
    {"architecture": "tabnet"},
    {"protocol": "both"},
    {"options": {"hidden_sizes": [10**9, 10**9]}},
    {"seeds": [1, 2]},
    {"seeds": 3},
    {"seeds": [1, 2, "3"]},
    {"seeds": list(range(100_000))},
    {"train_rows": "many"},
    {"train_rows": -1},
    {"mean": np.zeros((3, 2))},
    {"mean": np.full((3, 3), np.nan)},
    {"mean": 0.0},
    {"deviation": np.zeros((3, 3))},
    {"deviation": np.array([["1"] * 3] * 3)},
    {"fill": np.zeros((3, 2))},
    {"fill": "none"},
    {"outcome.shown": 7},
    {"outcome.shown": True},
    {"state": {}},
    {"state": {"backbone.layers.0.weight": np.zeros((3, 3, 10**4), "float32")}},
    {"state": {"a": np.zeros(())}},
    {"state": None},
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: str(change)[:40])
def test_hostile_files_are_refused(models, tmp_path, new_rows, capsys, change):
    kept = keeping.read(models / "mlp.npz")
    extras = dict(kept.extras)
    state = dict(kept.state)
    for key, value in change.items():
        if key == "state":
            state = value or {name: array * np.nan for name, array in state.items()}
        elif key in kept.made_by:
            extras["made_by"] = kept.made_by | {key: value}
        else:
            extras[key] = value
    path = tmp_path / "model.npz"
    minigrad.save(path, state, **extras)
    tracemalloc.start()
    refused(capsys, path, new_rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5e6


@pytest.mark.parametrize("name", ["mlp", "bayesian", "ann2snn"])
def test_a_network_that_gives_no_probabilities_is_refused(models, tmp_path, new_rows, capsys, name):
    kept = keeping.read(models / f"{name}.npz")
    path = tmp_path / "model.npz"
    infinite = {key: np.full_like(a, np.inf) for key, a in kept.state.items() if "weight" in key}
    minigrad.save(path, kept.state | infinite, **kept.extras)
    assert "gives NaN for probabilities" in refused(capsys, path, new_rows)


def test_more_names_than_numbers_build_no_network(models, tmp_path, new_rows, capsys):
    kept = keeping.read(models / "mlp.npz")
    names = [f"c{k}" for k in range(30_000)]
    wide = {"mean": np.zeros((3, 30_000)), "deviation": np.ones((3, 30_000))}
    path = tmp_path / "model.npz"
    made_by = kept.made_by | {"features": names}
    minigrad.save(path, kept.state, **kept.extras | wide | {"made_by": made_by})
    tracemalloc.start()
    refused(capsys, path, new_rows)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 15 * os.path.getsize(path)
    assert lookup("mlp").options["hidden_sizes"][0] == 64
