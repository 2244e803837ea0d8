"""Examples are short, of documented names alone, and print what they say."""

import ast
import contextlib
import io
import json
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "demos/examples"
EXAMPLES = sorted(path for path in FOLDER.glob("*.py") if path.stem != "__init__")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def same_numbers(found, expected):
    """But for a little: what training ends at depends on how a machine rounds."""
    pairs = zip(map(float, NUMBER.findall(found)), map(float, NUMBER.findall(expected)))
    return all(a == pytest.approx(b, rel=0.1, abs=0.11) for a, b in pairs)


def same_words(found, expected):
    return NUMBER.sub("0", found).split() == NUMBER.sub("0", expected).split()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_it_says(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    printed, text = io.StringIO(), path.read_text()
    with contextlib.redirect_stdout(printed):
        scope = runpy.run_path(str(path), run_name="__main__")
    expected = "".join(f"{line[4:]}\n" for line in text.splitlines() if line.startswith("# >"))
    found = printed.getvalue()
    assert expected and same_words(found, expected) and same_numbers(found, expected), found
    if "axes" in scope:  # its bands of two standard deviations leave a few points on both sides
        mean, points = (line.get_xydata() for line in scope["axes"].lines)
        above = points[:, 1] > np.interp(points[:, 0], *mean.T)
        for band in scope["axes"].collections:
            outside = ~band.get_paths()[0].contains_points(points)
            assert 0 < (outside & above).mean() < 0.06 and 0 < (outside & ~above).mean() < 0.06


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_needs_nothing_private(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    assert not re.search(r"(?<!\w)_[a-z]", text)
    imported = re.findall(r"^from (\S+)|^import (\S+)", text, re.M)
    assert {a.split(".")[0] or b for a, b in imported} <= {
        *("numpy", "minigrad", "architectures", "matplotlib")
    }


def test_every_example_is_listed():
    files = {path.name for path in EXAMPLES} | {"live.ipynb"}
    assert set(re.findall(r"^(\w+\.\w+) ", (FOLDER / "__init__.py").read_text(), re.M)) == files
    readme = (ROOT / "demos/README.md").read_text()
    assert set(re.findall(r"\]\(examples/(\w+\.\w+)\)", readme)) == files


def test_the_notebook_shows_what_stands_in_it(monkeypatch, capsys):
    lines = []

    def display(data, raw, display_id):
        return SimpleNamespace(update=lambda data, raw: lines.append(data["text/plain"]))

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    module.display, ipython.get_ipython = display, lambda: None
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    cells = json.loads((FOLDER / "live.ipynb").read_text())["cells"]
    scope = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            *statements, last = ast.parse("".join(cell["source"])).body
            exec(compile(ast.Module(statements, []), "cell", "exec"), scope)
            shown = repr(eval(ast.unparse(last.value), scope))
            [output] = cell["outputs"]
            expected = "".join(output["data"]["text/plain"])
            assert same_words(shown, expected) and same_numbers(shown, expected)
    assert len(lines) == 30 and lines[-1].startswith("epoch 30 of 30: loss 0.")
