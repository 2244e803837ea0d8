"""What second derivatives are good for, as pictures.

python demos/curvature.py                      # four pictures into out/curvature
python demos/curvature.py --only valley,scores

valley       Newton's method against gradient descent and Adam in Rosenbrock's valley
landscape    the loss of an MLP around its minimum, and the parabola that the Hessian draws of it
sharpness    the largest curvature along training: does flatness go with accuracy?
scores       an energy-based model by sliced score matching, without chains
"""

import os
import sys
from pathlib import Path

# Before NumPy is imported: the matrices are too small to be worth sharing among cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import begin, command, printable

if __name__ == "__main__":
    begin("curvature.py")  # now, since the imports below take their time

from demos.curved import landscape, scores, sharpness, valley
from demos.pictures.album import draw
from demos.shell.arguments import Parser, add_out, some_of
from demos.shell.memory import bound_memory

PICTURES = {
    "valley": ("Rosenbrock's valley", valley.picture),
    "landscape": ("MLP", landscape.picture),
    "sharpness": ("Largest eigenvalues", sharpness.picture),
    "scores": ("Energy-based model", scores.picture),
}


@command("curvature.py")
def main(arguments=None):
    """Draw the pictures; return the exit status."""
    options = parse(arguments)
    bound_memory()
    shown = draw({name: PICTURES[name] for name in options.only}, options.out)
    print(f"The pictures are in {printable(str(shown))}{os.sep}")
    return 0


def parse(arguments):
    parser = Parser(prog="curvature.py", description="Draw what second derivatives are good for.")
    parser.add_argument(
        "--only",
        type=some_of(PICTURES, "picture"),
        default=list(PICTURES),
        metavar="NAME,NAME",
        help=f"only these pictures (default: all: {', '.join(PICTURES)})",
    )
    add_out(parser, "out/curvature", "for the pictures")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
