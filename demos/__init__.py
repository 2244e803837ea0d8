"""What a person runs, and the rooms behind it. README.md shows each with what it prints.

compare.py       the architectures side by side; in a notebook: notebook.py      comparison/, page/
predict.py       new rows through a network that it has kept
sweep.py         all combinations of some values, of one architecture            sweeping/
signatures.py    the one thing for which each architecture is known              signature/
curvature.py     what second derivatives are good for                            curved/
regression.py    numbers in place of classes: bands over a gap in the data       gap/
benchmark.py     how fast, beside networks by hand                               bench/, by_hand/
show_program.py  a training step as a program

pictures/ draws for several of them, shell/ is what all share. lessons/ are run file by file, from
01 on; exercises/check.py looks at answers; examples/ are what one writes for problems of one's own.
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
