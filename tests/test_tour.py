"""The tour: its cells run, and give the outputs that are kept in the notebook.

PYTHONPATH=. python tests/test_tour.py    runs them, and keeps the outputs, where cells have changed
"""

import ast
import base64
import contextlib
import io
import json
import re
import sys
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "demos/tour.ipynb"


def outputs_of(source, scope):
    """What a cell prints, and what its last line is, as a notebook keeps it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), scope)
        value = last and eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)
    outputs = []
    if text := printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(text)})
    if value is not None:
        data: dict = {"text/plain": f"<{type(value).__name__}>"}
        if hasattr(value, "_repr_svg_"):
            data["image/svg+xml"] = lines(value._repr_svg_())
        if hasattr(value, "_repr_png_"):
            data["image/png"] = base64.b64encode(value._repr_png_()).decode()
        outputs.append({"data": data, "metadata": {}, "output_type": "display_data"})
    return outputs


def lines(text):
    return text.splitlines(keepends=True)


def run(notebook):
    """The outputs of each code cell, one after the other in one scope."""
    scope, path = {"__name__": "__main__"}, list(sys.path)
    with contextlib.chdir(PATH.parent):
        found = [
            outputs_of("".join(cell["source"]), scope)
            for cell in notebook["cells"]
            if cell["cell_type"] == "code"
        ]
    sys.path[:] = path
    return found


@pytest.fixture(scope="module")
def notebook():
    return json.loads(PATH.read_text())


@pytest.mark.slow
def test_the_cells_give_the_outputs_that_are_kept(notebook):
    kept = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for found, expected in zip(run(notebook), kept, strict=True):
        assert [part["output_type"] for part in found] == [p["output_type"] for p in expected]
        for part, other in zip(found, expected):
            assert part.get("text") == other.get("text")
            data, kept_data = part.get("data", {}), other.get("data", {})
            assert data.keys() == kept_data.keys()
            assert drawn(data) == drawn(kept_data)


def drawn(data):
    """The words in a picture, which every version of Matplotlib writes beside their outlines."""
    return [line for line in data.get("image/svg+xml", ()) if "<!--" in line]


def test_it_has_fifteen_cells_and_a_picture_of_each_of_the_eight(notebook):
    assert len(notebook["cells"]) == 15 and len(PATH.read_bytes()) < 400_000
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == 15
    numbered = [cell for cell in notebook["cells"] if re.match(r"# \d\. ", cell["source"][0])]
    assert len(numbered) == 8
    for cell in numbered:
        assert "image/png" in cell["outputs"][-1]["data"]


if __name__ == "__main__":
    found = json.loads(PATH.read_text())
    code = [cell for cell in found["cells"] if cell["cell_type"] == "code"]
    for count, (cell, outputs) in enumerate(zip(code, run(found)), 1):
        cell["outputs"], cell["execution_count"] = outputs, count
    PATH.write_text(json.dumps(found, indent=1) + "\n")
