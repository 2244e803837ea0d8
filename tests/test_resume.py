"""A run that goes on gives, bit by bit, what one run of all gives."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad
from architectures import list_architectures
from demos import compare
from demos.comparison import contest, resuming, training
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe
from demos.shell.ending import Refusal

ROOT = Path(compare.__file__).parents[1]
QUICK = ["--epochs", "1", "--no-plots", "--quiet", "--save"]


def small(entry, rows=40):
    task = entry.task
    parts = {name: getattr(task, name)[:, :rows] for name in ("x_train", "y_train")}
    return replace(entry, task=replace(task, **parts))


def without_time(outcome):
    return {name: value for name, value in vars(outcome).items() if name != "train_seconds"}


@pytest.mark.parametrize("name", list_architectures())
def test_replicas_that_come_later_are_those_of_one_run(name, monkeypatch):
    monkeypatch.setattr(training, "GRID", 6)
    monkeypatch.setattr(training, "FRAME", 3)
    monkeypatch.setattr(training, "WATCHED", 6)
    monkeypatch.setattr(resuming, "WATCHED", 6)
    seeds = tuple(range(8))
    recipe = Recipe(seeds, epochs=2, boundaries=True, keep=True, compiled=False)
    entry = small(Entry(name, rings_and_clusters(seeds), recipe))
    noisy = name in ("bayesian", "mc_dropout", "ebm")
    assert resuming.can_grow(entry) is not noisy
    if noisy:
        return
    whole = training.train(entry)
    medians = set()
    for n in (1, 5, 8) if name == "mlp" else (5,):
        first = training.train(resuming.some(entry, slice(n)))
        if n == 8:
            first.maps = {}  # as without pictures
        medians.add(first.shown)
        found = resuming.train(replace(entry, earlier=first))
        np.testing.assert_equal(without_time(found), without_time(whole))
    assert len(medians) > 1 or name != "mlp"  # it moved, so that one had to be filmed again


def test_it_says_where_it_goes_on():
    entry = Entry("mlp", rings_and_clusters((1,)), Recipe((1,)))
    whole = SimpleNamespace(label="Hopfield")
    growing, anew = replace(entry, earlier=whole), replace(entry, name="snn")
    start = resuming.Start([growing, anew], [whole], Path("out"))
    says = "Going on from out: trained already: Hopfield; only new replicas train of: MLP"
    assert str(start) == says
    assert str(replace(start, left=[anew], done=[])) == "Going on from out: all train anew"


def test_files_that_were_being_written_are_not_carried_over(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("mlp.npz", ".snn.npz.7.part"):
        (tmp_path / "models" / name).write_text(name)
    (tmp_path / "run").mkdir()
    resuming.Start([], folder=tmp_path / "models").carry(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == ["models"]
    assert os.listdir(tmp_path / "run" / "models") == ["mlp.npz"]


def test_what_all_replicas_share_does_not_grow():
    seeds = (1, 2)
    entry = small(Entry("mlp", rings_and_clusters(seeds), Recipe(seeds)))
    assert resuming.can_grow(entry)
    for recipe in ({"reshuffle": True}, {"device": "gpu"}):
        assert not resuming.can_grow(replace(entry, recipe=replace(entry.recipe, **recipe)))


def run(out, *arguments):
    return compare.main([*QUICK, "--out", str(out), *arguments])


def results(out):
    found = json.loads((out / "results.json").read_text())
    for line in found["results"]:
        del line["train_seconds"]
    return found


def networks(out):
    """{file: its arrays}, but for the time that it took."""
    found = {}
    for path in (out / "models").iterdir():
        kept = resuming.keeping.read(path)
        extras = {k: v for k, v in kept.extras.items() if k != "outcome.train_seconds"}
        found[path.name] = kept.state, extras
    return found


def trained(monkeypatch):
    """The (name, number of replicas) that train from now on."""
    seen, train = [], training.train

    def remember(entry, on_epoch=None):
        seen.append((entry.name, len(entry.recipe.seeds)))
        return train(entry, on_epoch)

    monkeypatch.setattr(training, "train", remember)
    return seen


def test_more_of_everything(tmp_path, monkeypatch):
    more = ["--only", "hopfield,mlp,bayesian,ebm", "--protocol", "both", "--replicas", "3"]
    assert run(tmp_path / "one", *more) == 0
    assert run(tmp_path / "two", "--only", "mlp,bayesian", "--replicas", "2") == 0
    grow = ["--only", "mlp,bayesian", "--replicas", "3", "--resume", "--jobs", "2"]
    assert run(tmp_path / "two", *grow) == 0
    seen = trained(monkeypatch)
    assert run(tmp_path / "two", *more, "--resume") == 0
    assert seen == [("hopfield", 3), ("ebm", 3), ("bayesian", 3), ("ebm", 3)]
    assert results(tmp_path / "one") == results(tmp_path / "two")
    np.testing.assert_equal(networks(tmp_path / "one"), networks(tmp_path / "two"))
    seen.clear()
    assert run(tmp_path / "two", *more, "--resume") == 0
    assert seen == [] and results(tmp_path / "one") == results(tmp_path / "two")


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, capsys):
    only = ["--only", "mlp,hopfield,snn", "--replicas", "2"]
    assert run(tmp_path / "one", *only) == 0
    two = tmp_path / "two"
    for stop, arguments in (("hopfield", []), ("hopfield", ["--resume"]), ("snn", ["--resume"])):
        with monkeypatch.context() as patch:
            patch.setattr(contest, "train", stopping(contest.train, stop))
            assert run(two, *only, *arguments) == 130
    assert sorted(os.listdir(two / "models")) == ["hopfield.npz", "mlp.npz"]
    seen = trained(monkeypatch)
    assert run(two, *only, "--resume") == 0
    assert seen == [("snn", 2)] and results(tmp_path / "one") == results(two)


def stopping(train, name):
    def replaced(entry, on_epoch=None):
        if entry.name == name:
            raise KeyboardInterrupt
        return train(entry, on_epoch)

    return replaced


KILLED = """
import os, sys
from demos import compare
from demos.comparison import contest, resuming

def train(entry, on_epoch=None):
    if entry.name == sys.argv[1]:
        os._exit(9)
    return resuming.train(entry, on_epoch)

contest.train = train
compare.main(sys.argv[2:])
"""


def test_a_run_that_was_killed_goes_on(tmp_path, monkeypatch):
    only = ["--only", "mlp,hopfield,snn", "--replicas", "2", "--out", str(tmp_path)]

    def kill(last, *arguments):
        command = [sys.executable, "-c", KILLED, last, *QUICK, *only, *arguments]
        assert subprocess.run(command, cwd=ROOT).returncode == 9

    def press_ctrl_c(name):
        with monkeypatch.context() as patch:
            patch.setattr(contest, "train", stopping(contest.train, name))
            assert run(tmp_path, *only, "--resume") == 130

    kill("hopfield", "--replicas", "1")
    assert not (tmp_path / "models").exists()
    seen = trained(monkeypatch)
    press_ctrl_c("mlp")  # before anything new has finished
    assert seen == [] and os.listdir(tmp_path / "models") == ["mlp.npz"]
    kill("snn", "--resume")
    press_ctrl_c("snn")
    assert seen == [] and sorted(os.listdir(tmp_path / "models")) == ["hopfield.npz", "mlp.npz"]
    assert run(tmp_path, *only, "--resume") == 0
    assert seen == [("snn", 2)]
    assert sorted(os.listdir(tmp_path / ".runs")) == ["5", "latest", "lock"]


def test_without_links_a_run_goes_on_as_well(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    only = ["--replicas", "1", "--resume", "--only"]
    assert run(tmp_path, *only, "mlp") == 0
    seen = trained(monkeypatch)
    assert run(tmp_path, *only, "mlp,hopfield") == run(tmp_path, *only, "mlp,hopfield") == 0
    assert seen == [("hopfield", 1)] and (tmp_path / "run-3" / "models" / "mlp.npz").exists()
    seen.clear()
    assert run(tmp_path, *only, "mlp,hopfield", "--replicas", "3") == 0
    assert seen == [("mlp", 2), ("hopfield", 2)]  # those that are new


def test_pictures_can_come_later(tmp_path, monkeypatch):
    for drawing in ("draw", "write_page"):
        monkeypatch.setattr(compare, drawing, lambda *_: None)
    only = ["--only", "mlp", "--replicas", "4", "--epochs", "1", "--quiet"]
    for name, *ways in (("one", ["--save"]), ("two", ["--save", "--no-plots"], ["--resume"])):
        for way in ways:
            assert compare.main([*only, *way, "--out", str(tmp_path / name)]) == 0
    found = networks(tmp_path / "two")
    parts = found["mlp.npz"][1]
    last = parts[f"maps.{parts['outcome.shown']}.1"]
    assert last.shape == (training.GRID, training.GRID, 5)
    np.testing.assert_equal(networks(tmp_path / "one"), found)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    out = tmp_path_factory.mktemp("kept")
    table = out / "own.csv"
    rows = [f"{k},{k * k % 7},{'ab'[k % 2]}" for k in range(40)]
    table.write_text("\n".join(["u,v,y", *rows]))
    own = ["--data", str(table), "--target", "y", "--only", "mlp", "--replicas", "2"]
    assert run(out / "out", *own) == 0
    return out / "out", table, own


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--epochs", "2"], "was trained otherwise: epochs 1, now 2: leave out --resume, or"),
        (["--lr", "0.1", "--reshuffle"], "learning rate 0.01, now 0.1; reshuffled False, now True"),
        (["--batch-size", "16"], "batch size 32, now 16"),
        (["--seed", "7"], "seeds 42 to 43, now 7 to 8"),
        (["--replicas", "1"], "seeds 42 to 43, now 42 to 42"),
        (["--only", "snn"], "also holds mlp.npz, which this run would leave out"),
        (["--protocol", "native"], "also holds mlp.npz, which this run would leave out"),
    ],
)
def test_another_recipe_is_refused(kept, capsys, arguments, complaint):
    out, _, own = kept
    before = (out / "results.json").read_bytes()
    assert run(out, *own, *arguments, "--resume") == 2
    said = capsys.readouterr().err
    assert complaint in said and said.count("\n") == 1
    assert (out / "results.json").read_bytes() == before


IDENTITY = [
    *("architecture", "protocol", "options", "code", "classes", "features", "imputed", "epochs"),
    *("learning rate", "weight decay", "batch size", "reshuffled", "device", "minigrad", "NumPy"),
]


def test_whatever_decides_what_a_replica_becomes_must_be_the_same(tmp_path):
    entry = small(Entry("mlp", rings_and_clusters((1,)), Recipe((1,), epochs=1, keep=True)))
    keeping = resuming.keeping
    keeping.keep(tmp_path, entry, training.train(entry))
    kept = keeping.read(keeping.path_of(tmp_path, "mlp", "shared"))
    resuming.require_same(kept, entry)
    for what in IDENTITY:
        other = replace(kept, made_by=kept.made_by | {what: "other"})
        with pytest.raises(Refusal, match=f"trained otherwise: {what} other, now "):
            resuming.require_same(other, entry)
    assert kept.made_by.keys() == set(IDENTITY)


def test_other_data_are_refused(kept, capsys):
    out, table, own = kept
    text = table.read_text()
    for old, new, complaint in (
        ("\n3,", "\n3.5,", "otherwise: other data"),
        ("u,v,y", "u,w,y", "features ['u', 'v'], now ['u', 'w']"),
    ):
        table.write_text(text.replace(old, new))
        assert run(out, *own, "--resume") == 2
        assert complaint in capsys.readouterr().err
    table.write_text(text)
    assert run(out, *own, "--resume") == 0


def test_without_an_earlier_run_all_train_and_broken_files_are_refused(tmp_path, capsys):
    arguments = ["--only", "mlp", "--replicas", "1", "--epochs", "1", "--no-plots", "--resume"]
    arguments += ["--out", str(tmp_path)]
    assert compare.main(arguments) == 0
    assert "Nothing is there to go on with: all architectures train." in capsys.readouterr().out
    assert compare.main(arguments) == 0
    assert "trained already: MLP" in " ".join(capsys.readouterr().out.split())
    path = (tmp_path / "models" / "mlp.npz").resolve()
    kept = resuming.keeping.read(path)
    minigrad.save(path, kept.state, **kept.extras, **{"outcome.luck": 7})
    assert compare.main(arguments) == 2
    assert re.search(r"mlp\.npz is of another version: .* 'luck'\n", capsys.readouterr().err)
    path.write_bytes(path.read_bytes()[:-100])
    assert compare.main(arguments) == 2
    assert "mlp.npz is no .npz file, or a broken one" in capsys.readouterr().err
