"""The READMEs show what really happens."""

import contextlib
import csv
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from demos import compare
from demos.comparison import training
from demos.pictures.palette import STYLE

ROOT = Path(__file__).parents[1]
COMMANDS = (ROOT / "demos/README.md").read_text()
PAGES = "README.md", "demos/README.md", "CONTRIBUTING.md", "demos/lessons/GLOSSARY.md"


@pytest.mark.parametrize("page", PAGES[:2])
def test_the_code_prints_what_the_readme_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    text = (ROOT / page).read_text()
    blocks = re.findall(r"```python\n([^`]*)```\n```text\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    for k, (code, expected) in enumerate(blocks):
        # As a file, so that where its functions stand is known; it is no module of this process.
        printed, scope = io.StringIO(), {"__name__": f"readme_{k}"}
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert printed.getvalue() == expected


@pytest.mark.parametrize("page", PAGES)
def test_every_place_that_it_points_to_exists(page):
    links = re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", (ROOT / page).read_text())
    for file, heading in links:
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists()
        if heading:
            titles = re.findall(r"^#+ (.*)", path.read_text(), re.M)
            assert heading in [re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles]


def test_a_csv_is_learnt_kept_and_predicted_in_another_process(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    learn, predict = re.search(r"(python .* --save)\n(python .*predict.py .*)\n", COMMANDS).groups()
    rng = np.random.default_rng(0)
    lines = [f"{a},{b},{'rose' if a > b else 'tulip'}" for a, b in rng.normal(size=(60, 2))]
    Path("flowers.csv").write_text("\n".join(["width,height,species", *lines]))
    Path("new_flowers.csv").write_text("height,width\n-1,1\n2,-1\n")
    _, command, *arguments = shlex.split(learn)
    assert command == "demos/compare.py"
    quick = ["--only", "bayesian", "--replicas", "3", "--epochs", "20", "--no-plots"]
    assert compare.main([*arguments, *quick]) == 0
    _, command, *arguments = shlex.split(predict)
    found = subprocess.run(
        [sys.executable, ROOT / command, *arguments], capture_output=True, text=True, check=True
    )
    header, first, second = csv.reader(found.stdout.splitlines())
    assert header == ["class", "p(rose)", "p(tulip)", "total", "aleatoric", "epistemic"]
    assert (first[0], second[0]) == ("rose", "tulip")


@pytest.mark.slow
def test_its_guest_competes(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    monkeypatch.setattr(training, "GRID", 12)
    code = next(c for c in re.findall(r"```python\n(.*?)```", COMMANDS, re.S) if "register(" in c)
    file = tmp_path / "my_model.py"
    file.write_text(code)
    arguments = ["--with", str(file), "--only", "mlp,residual", "--protocol", "both"]
    arguments += ["--replicas", "2", "--epochs", "1", "--boundaries", "2"]

    def losses(name, *more):
        assert compare.main([*arguments, *more, "--out", str(tmp_path / name)]) == 0
        found = json.loads((tmp_path / name / "results.json").read_text())["results"]
        assert [(line["label"], line["family"]) for line in found if line["name"] != "mlp"] == [
            ("Residual", "guests")
        ] * 2
        return {(line["name"], line["protocol"]): line["loss_history"] for line in found}

    here = losses("here")
    assert here["residual", "shared"] != here["residual", "native"]
    assert "Residual" in capsys.readouterr().out
    assert (tmp_path / "here" / "native" / "summary.png").exists()
    # A worker, like another machine, has not seen the file.
    assert losses("workers", "--jobs", "2", "--no-plots") == here
