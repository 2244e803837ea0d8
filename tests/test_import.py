"""What an import brings along: NumPy, and nothing that is not in the standard library."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigrad import functional, nn

ROOT = Path(__file__).parents[1]

REPORT = """
import json, sys
import numpy
before = set(sys.modules)
import architectures, minigrad
print(json.dumps(sorted({name.partition(".")[0] for name in set(sys.modules) - before})))
"""


def test_import_brings_numpy_and_the_standard_library_only():
    output = subprocess.run(
        [sys.executable, "-c", REPORT], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert set(json.loads(output)) - sys.stdlib_module_names == {"architectures", "minigrad"}


def run_demo_in(folder):
    command = [sys.executable, "-m", "demos.compare", "--help"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_users_package_that_hides_ours_is_named(tmp_path):
    assert run_demo_in(tmp_path).returncode == 0
    for hiding in ("architectures/__init__.py", "minigrad.py"):
        path = tmp_path / hiding
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        run = run_demo_in(tmp_path)
        last = run.stderr.strip().splitlines()[-1]
        assert run.returncode == 1 and "rename it" in last
        name = hiding.partition("/")[0].removesuffix(".py")
        assert last.startswith(
            f"ImportError: `{name}` is {tmp_path / hiding}".removesuffix("/__init__.py")
        )
        path.unlink()


@pytest.mark.parametrize("package", [nn, functional])
def test_all_that_a_package_gathers_is_exported(package):
    gathered = {
        name
        for name, value in vars(package).items()
        if getattr(value, "__module__", "").startswith("minigrad.") and not name.startswith("_")
    }
    assert gathered == {name for name in package.__all__ if name.upper() != name}  # no constants
