"""The one thing for which each architecture is known, as a picture.

python demos/signatures.py                     # eight pictures into out/signatures
python demos/signatures.py --only snn,ebm
python demos/signatures.py --only mamba        # of those for sequences and images
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
    begin("signatures.py")  # now, since the imports below take their time

from architectures import list_architectures, lookup
from demos.comparison.options import architecture_names
from demos.pictures.album import draw
from demos.shell.arguments import Parser, add_device, add_out, use_device
from demos.signature import (
    ann2snn,
    ebm,
    gru,
    hopfield,
    mamba,
    mlp,
    retnet,
    snn,
    tabnet,
    transformer,
    uncertainty,
    vision,
)
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
    # Those for sequences and images, when they are asked for: each trains for a while.
    "gru": gru.picture,
    "transformer": transformer.picture,
    "retnet": retnet.picture,
    "mamba": mamba.picture,
    "convnet": vision.convnet,
    "vit": vision.vit,
}


@command("signatures.py")
def main(arguments=None):
    """Draw the pictures; return the exit status."""
    options = parse(arguments)
    use_device(options.device)
    if options.device != "cpu":
        print(backend.why_this_device())
    shown = draw({name: (lookup(name).label, PICTURES[name]) for name in options.only}, options.out)
    print(f"The pictures are in {printable(str(shown))}{os.sep}")
    return 0


def parse(arguments):
    parser = Parser(
        prog="signatures.py",
        description="Train each architecture briefly and draw what it is known for.",
    )
    parser.add_argument(
        "--only",
        type=architecture_names,
        default=list_architectures(),
        metavar="NAME,NAME",
        help=f"only these of {', '.join(PICTURES)} (default: the first eight)",
    )
    add_out(parser, "out/signatures", "for the pictures")
    add_device(parser)
    options = parser.parse_args(arguments)
    for name in options.only:
        if name not in PICTURES:
            parser.error(f"there is no picture of {name}: choose from {', '.join(PICTURES)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
