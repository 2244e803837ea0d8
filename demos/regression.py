"""A curve with a gap in its data: which networks know that they do not know?

    python demos/regression.py                     # a table, and a picture in out/regression
    python demos/regression.py --replicas 20

Four ways to predict a number and its uncertainty are trained on measurements that leave out the
middle of a curve: an MLP, an ensemble of MLPs, Bayes by Backprop and MC Dropout. What is behind it:
gap/ (its __init__ gives the reading order) and architectures/regression.py.
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
    begin("regression.py")  # now, since the imports below take their time

import numpy as np
from matplotlib import rc_context

from demos.comparison.ranking import estimate
from demos.comparison.table import laid_out, seconds
from demos.gap.bands import MEMBERS, WAYS, Band
from demos.gap.picture import picture
from demos.pictures.palette import STYLE
from demos.shell.arguments import (
    Parser,
    add_out,
    add_seed,
    number_of_replicas,
    positive_integer,
)
from demos.shell.memory import bound_memory, require_room
from demos.shell.output import Output
from demos.shell.terminal import dim, wrapped

PICTURE = "regression.png"


@command("regression.py")
def main(arguments=None):
    """Train, print the table, draw; return the exit status."""
    options = parse(arguments)
    bound_memory()
    seeds = range(options.seed, options.seed + options.replicas)
    networks = [network for way in WAYS for network in way.networks(options.seed)]
    require_room("all networks", options.replicas, *networks, lower="--replicas")
    with Output(options.out, [PICTURE]) as output:
        bands = [Band(way, seeds, options.epochs) for way in WAYS]
        results = [band.evaluate() for band in bands]
        print(table(bands, results))
        with rc_context(STYLE):
            picture(bands, results).savefig(output.folder / PICTURE)
        shown = output.publish()
    print(f"\nThe picture of replica 1 is {printable(str(shown / PICTURE))}")
    return 0


def table(bands, results):
    """What the bands hold, and what the samples disagree about: means over the replicas."""
    head = ["", "Inside: data", "gap", "Epistemic: data", "gap", "Time"]
    rows = []
    for band, found in zip(bands, results):
        cells = [estimate(found["coverage", where]) for where in ("data", "gap")]
        rows.append([band.way.label, *(f"{cell} %" for cell in cells)])
        for where in ("data", "gap"):
            rows[-1].append(f"{np.mean(found['epistemic', where]):.3f}")
        rows[-1].append(seconds(band.seconds))
    replicas = len(results[0]["coverage", "gap"])
    spread = f"±  95 % confidence interval of the mean over {replicas} replicas"
    notes = [
        *[spread] * (replicas > 1),
        "Inside: the share of new measurements in the 95 % band, where there are data and in the "
        "gap.",
        "Epistemic: the standard deviation of what the samples (weights, masks, or the "
        f"{MEMBERS} MLPs) predict. A single MLP has one opinion.",
    ]
    return "\n".join([*laid_out(head, rows, left=1), *(dim(wrapped(note)) for note in notes)])


def parse(arguments):
    parser = Parser(
        prog="regression.py",
        description="Train four kinds of networks on a noisy curve with a gap in its data, and see "
        "which of them know that they do not know.",
    )
    parser.add_argument(
        "--replicas",
        type=number_of_replicas,
        default=5,
        metavar="R",
        help="train R of each at once, with data and initial weights of their own (default: 5)",
    )
    parser.add_argument(
        "--epochs",
        type=positive_integer,
        default=500,
        metavar="N",
        help="how often each sees all measurements (default: 500)",
    )
    add_seed(parser)
    add_out(parser, "out/regression", "for the picture")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
