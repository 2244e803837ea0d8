"""What a person runs: compare (in a notebook: notebook), predict, benchmark, signatures, curvature,
regression, sweep.

What is behind them stands in the folders; lessons/ is run file by file, from 01 on, and
examples/ show how to solve problems of one's own.
"""

from importlib.util import find_spec
from pathlib import Path


def require_own_packages():
    """A folder of the same name in the current directory would be taken instead, without a word.

    Raises:
        ImportError: `minigrad` or `architectures` is not the one beside this folder.
    """
    for name in ("minigrad", "architectures"):
        own = Path(__file__).resolve().parents[1] / name
        spec = find_spec(name)
        found = [
            Path(place).resolve() for place in spec.submodule_search_locations or [spec.origin]
        ]
        if own not in found[:1]:
            raise ImportError(
                f"`{name}` is {found[0]}, not {own}: a folder or package of that name comes first "
                "on Python's path; rename it, or run the demo as a file: python demos/compare.py"
            )


require_own_packages()
