"""What an import brings along: NumPy, and nothing that is not in the standard library."""

import json
import subprocess
import sys
from pathlib import Path

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
