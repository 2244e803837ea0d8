"""The README shows what really happens."""

import contextlib
import io
import json
import re
from pathlib import Path

from demos import compare

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_code_prints_what_the_readme_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    blocks = re.findall(r"```python\n([^`]*)```\n```text\n(.*?)```", README, re.S)
    assert len(blocks) >= 3
    for k, (code, expected) in enumerate(blocks):
        # As a file, so that where its functions stand is known; it is no module of this process.
        printed, scope = io.StringIO(), {"__name__": f"readme_{k}"}
        with contextlib.redirect_stdout(printed):
            exec(code, scope)
        assert printed.getvalue() == expected


def test_every_file_that_it_points_to_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_its_guest_competes(tmp_path, capsys):
    code = next(c for c in re.findall(r"```python\n(.*?)```", README, re.S) if "register(" in c)
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
