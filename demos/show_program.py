"""What a training step is: the array calls of one, as a NumPy function.

python demos/show_program.py mlp
python demos/show_program.py bayesian --protocol native --replicas 2
python demos/show_program.py mlp --hidden 8,8 --picture program.png
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import Refusal, begin, command, printable

if __name__ == "__main__":
    begin("show_program.py")

import numpy as np

from architectures import classifier, list_architectures, lookup
from demos.shell.arguments import Parser, number_of_replicas, positive_integer
from demos.shell.memory import bound_memory, require_room
from demos.shell.output import require_replaceable
from minigrad import compile, nn, optim
from minigrad.files import replacing
from minigrad.training import training_step

ROWS, FEATURES, CLASSES = 32, 2, 5
FORMATS = (".png", ".svg", ".pdf")


@command("show_program.py")
def main(arguments=None):
    """Print the program; return the exit status."""
    options = parse(arguments)
    bound_memory()
    if options.picture:
        require_replaceable(options.picture)
    step = recorded(options)
    print(step.source, end="")
    if options.picture:
        from demos.pictures.program import Crowded, draw  # here: Matplotlib takes its time

        try:
            figure = draw(step.last, lookup(options.name).label)
        except Crowded as error:
            raise Refusal(error) from None
        with replacing(options.picture) as file:
            figure.savefig(file, format=options.picture.suffix[1:].lower())
        print(f"\nwrote {printable(str(options.picture))}", file=sys.stderr)
    return 0


def recorded(options):
    """A compiled training step of the architecture, done once."""
    widths = {"hidden_sizes": options.hidden} if options.hidden else {}
    native = options.protocol == "native"

    def model(seed):
        known = lookup(options.name).options | widths
        return classifier(
            *(options.name, CLASSES, FEATURES), train_rows=800, native=native, rng=seed, **known
        )

    lead = () if options.replicas is None else (options.replicas,)
    try:
        whole = model(0)
    except TypeError as error:  # an option that it does not have
        raise Refusal(error) from None
    require_room(options.name, options.replicas or 1, whole, lower="--replicas or --hidden")
    if lead:
        whole = nn.stack(map(model, range(options.replicas)))
    optimizer = optim.Adam(whole.train().parameters(), lr=1e-2)
    step = compile(training_step(whole, type(whole).loss, optimizer))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*lead, ROWS, FEATURES), dtype=np.float32)
    step(x, rng.integers(CLASSES, size=(*lead, ROWS)))
    return step


def parse(arguments):
    parser = Parser(
        prog="show_program.py",
        description="Record a training step of an architecture and print it as a NumPy function.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", choices=list_architectures(), metavar="NAME", help="which one: %(choices)s"
    )
    parser.add_argument(
        "--protocol",
        choices=("shared", "native"),
        default="shared",
        help="cross-entropy, or the objective of its own paper (default: shared)",
    )
    parser.add_argument("--replicas", type=number_of_replicas, metavar="R", help="so many at once")
    parser.add_argument(
        "--hidden", type=widths, metavar="N,N", help="the widths of the hidden layers"
    )
    parser.add_argument(
        "--picture", type=picture, metavar="FILE", help="draw its graph, too: ops above, vjps below"
    )
    return parser.parse_args(arguments)


def widths(text):
    return tuple(positive_integer(part) for part in text.split(","))


def picture(text):
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(FORMATS)}")
    return path


if __name__ == "__main__":
    sys.exit(main())
