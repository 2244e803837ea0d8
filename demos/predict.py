"""New rows through a network that compare.py --save has kept.

    python demos/predict.py out/models/tabnet.npz new_rows.csv
    python demos/predict.py out/models/bayesian.npz new_rows.csv --out predicted.csv

For each row the most probable class and the probabilities of all; of a network that predicts by
sampling also the total, aleatoric and epistemic uncertainty in nats (see
architectures/uncertainty.py). The columns are found by their names, in any order.
"""

import csv
import io
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import Refusal, begin, command, say

if __name__ == "__main__":
    begin("predict.py")  # now, since the imports below take their time
    sys.stdout.reconfigure(encoding="utf-8")  # it is a table for other programs, as --out writes it

import numpy as np

from demos.comparison import keeping
from demos.comparison.data_files import new_rows
from demos.comparison.guests import guest
from demos.comparison.own_data import filled, standardised_as
from demos.comparison.prediction import predict_with_parts
from demos.shell.arguments import Parser, add_with, file_name, natural_number
from demos.shell.memory import bound_memory
from demos.shell.output import replace_file, require_replaceable


@command("predict.py")
def main(arguments=None):
    """Predict; return the exit status."""
    options = parse(arguments)
    bound_memory()
    for path in options.guests:
        guest(path).load()
    kept = keeping.read(options.model)
    replica = kept.shown if options.replica is None else options.replica
    if replica >= len(kept.seeds):
        raise Refusal(f"{options.model} has the replicas 0 to {len(kept.seeds) - 1}")
    if options.out:
        require_replaceable(options.out)
    network = kept.network(replica)
    rows = read(options.rows, kept, replica)
    x = standardised_as(rows, kept.mean[replica], kept.deviation[replica])
    seed = kept.seeds[0] if options.seed is None else options.seed
    with np.errstate(all="ignore"):  # what overflows is said below, in one line
        probabilities, uncertainties = predict_with_parts(network, x, seed)
    if not np.isfinite(probabilities).all():
        raise Refusal(
            f"{options.model} gives NaN for probabilities: its weights are infinite or too large, "
            "as those of training that has diverged"
        )
    text = as_csv(kept.classes, probabilities, uncertainties)
    if options.out:
        replace_file(options.out, text)
    else:
        print(text, end="")
    return 0


def parse(arguments):
    parser = Parser(
        prog="predict.py",
        description="Predict new rows with a network that compare.py --save has kept: class, "
        "probabilities, and of a network that samples its uncertainty in nats, as CSV.",
    )
    parser.add_argument(
        "model", type=file_name, metavar="MODEL.npz", help="such as out/models/mlp.npz"
    )
    parser.add_argument(
        "rows",
        type=file_name,
        metavar="ROWS",
        help="a .csv file whose header names the features, or an .npz file with an array x (N, D)",
    )
    add_with(parser, "the file that registers the architecture, if it is one of your own")
    parser.add_argument(
        "--replica",
        type=natural_number,
        metavar="K",
        help="predict with replica K, from 0 (default: the one whose accuracy is the median)",
    )
    parser.add_argument(
        "--seed",
        type=natural_number,
        metavar="SEED",
        help="of what a sampling network draws: the same rows and seed give the same numbers "
        "(default: that of the comparison)",
    )
    parser.add_argument(
        "--out", type=file_name, metavar="FILE", help="write there (default: to standard output)"
    )
    return parser.parse_args(arguments)


def read(path, kept, replica):
    """The rows (N, D); missing values are filled as those were that the network was trained on."""
    if kept.fill is None:
        return new_rows(path, kept.features, "the network was trained without --impute")
    rows = new_rows(path, kept.features, None)
    missing = int(np.isnan(rows).sum())
    if missing:
        how = f"the {kept.made_by['imputed']} of its column's training rows"
        say(f"{missing:,} of {rows.size:,} values are missing: {how} stands for each")
    return filled(rows.copy(), kept.fill[replica])


def as_csv(classes, probabilities, uncertainties):
    """A header, then one line for each row; numbers with six digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["class", *(f"p({name})" for name in classes), *uncertainties])
    numbers = np.column_stack([probabilities, *uncertainties.values()])
    for best, line in zip(probabilities.argmax(axis=-1), numbers):
        writer.writerow([classes[best], *(f"{value:.6g}" for value in line)])
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
