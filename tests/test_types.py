"""What an editor finds, by Pyright and mypy: in minigrad, in the README's example, in mistakes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
CHECKERS = ("pyright", "mypy")

MISTAKES = """
import numpy as np
from minigrad import Tensor, functional as F, nn, op, ops, optim
from minigrad.backend import xp

x = Tensor(np.ones((3, 4), "float32"), requires_grad=True)
(x * 2).softmax()  # wrong: no such method
(2 - x).T.sum(keep_dims=True)  # wrong: keepdims
F.cross_entropy(x)  # wrong: no labels
nn.Linear(4, 2, bias=False, seed=0)  # wrong: rng
optim.Adam([x], learning_rate=0.1)  # wrong: lr
ops.stack([x, x], axis=0).shape.append(1)  # wrong: a tuple
Tensor([1.0], require_grad=True)  # wrong: requires_grad
size: int = x.mean()  # wrong: a Tensor
x[0] @ x.mT + x.reshape(4, 3).transpose(1, 0).mean(axis=(0, 1))

@op
def cube(x, scale=1.0):
    return scale * x**3, lambda g: g * 3 * scale * x**2

cube(x, scale=2.0).backward(xp.ones((3, 4)))
cube(x, factor=2.0)  # wrong: scale
cube(x).backwards()  # wrong: backward
"""


def readme_example():
    return re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]


def errors(checker, folder, *paths):
    """{(file name, line)} of the errors that a checker finds; it knows minigrad as installed."""
    commands = {
        "pyright": ["--outputjson", "--pythonpath", sys.executable],
        "mypy": ["--no-color-output", "--cache-dir", str(folder / "cache")],
    }
    (folder / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    output = subprocess.run(
        [checker, *commands[checker], *paths],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    ).stdout
    if checker == "pyright":
        found = json.loads(output)["generalDiagnostics"]
        return {
            (Path(e["file"]).name, e["range"]["start"]["line"] + 1)
            for e in found
            if e["severity"] == "error"
        }
    return {(Path(f).name, int(n)) for f, n in re.findall(r"^(.+?):(\d+): error", output, re.M)}


@pytest.fixture(params=CHECKERS)
def checker(request):
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed: pip install -e '.[test-types]'")
    return request.param


def test_a_user_sees_his_mistakes_and_nothing_else(checker, tmp_path):
    (tmp_path / "example.py").write_text(readme_example())
    (tmp_path / "mistakes.py").write_text(MISTAKES)
    planted = [n for n, line in enumerate(MISTAKES.split("\n"), 1) if "# wrong" in line]
    found = errors(checker, tmp_path, "example.py", "mistakes.py")
    assert found == {("mistakes.py", n) for n in planted}


def test_minigrad_itself(checker):
    run = subprocess.run([checker], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
