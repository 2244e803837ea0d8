"""The one thing for which each architecture is known, as a picture.

python demos/signatures.py                     # eight pictures into out/signatures
python demos/signatures.py --only snn,ebm
"""

import argparse
import os
import sys
from pathlib import Path

# Before NumPy is imported: the matrices are too small to be worth sharing among cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from matplotlib import rc_context

import minigrad
from architectures import list_architectures, lookup
from demos.comparison.options import architecture_names
from demos.pictures.palette import STYLE
from demos.signature import ann2snn, ebm, hopfield, mlp, snn, tabnet, uncertainty
from minigrad import backend

PICTURES = {
    "mlp": mlp.picture,
    "tabnet": tabnet.picture,
    "bayesian": uncertainty.bayesian,
    "mc_dropout": uncertainty.mc_dropout,
    "ebm": ebm.picture,
    "hopfield": hopfield.picture,
    "snn": snn.picture,
    "ann2snn": ann2snn.picture,
}


def main(arguments=None):
    """Draw the pictures; return the exit status."""
    options = parse(arguments)
    try:
        backend.use(options.device)
        options.out.mkdir(parents=True, exist_ok=True)
    except backend.DeviceError as error:
        return refuse(error)
    except OSError as error:
        return refuse(f"cannot write to {options.out}: {error.strerror}")
    for name in options.only:
        with rc_context(STYLE):
            figure, numbers = PICTURES[name]()
            figure.savefig(options.out / f"{name}.png")
        print(f"{lookup(name).label}: {numbers}", flush=True)
    print(f"The pictures are in {options.out}{os.sep}")
    return 0


def refuse(problem):
    """Say in one line why there is nothing to draw; return the exit status."""
    print(f"signatures.py: {problem}", file=sys.stderr)
    return 2


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="signatures.py",
        description="Train each architecture briefly and draw what it is known for.",
    )
    parser.add_argument("--version", action="version", version=f"minigrad {minigrad.__version__}")
    parser.add_argument(
        "--only",
        type=architecture_names,
        default=list_architectures(),
        metavar="NAME,NAME",
        help=f"only these architectures (default: all: {', '.join(PICTURES)})",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/signatures"),
        metavar="DIR",
        help="for the pictures (default: out/signatures)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="cpu",
        help="auto: the GPU if there is one (default: cpu)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="replace")  # a terminal without "²" gets "?"
    sys.exit(main())
