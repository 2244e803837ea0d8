"""The command line of compare.py, and what it asks for: a task, a recipe, a place to train."""

import argparse
import os
import shlex
import sys
from functools import partial

from architectures import list_architectures, list_families, lookup
from demos.comparison.cluster import cluster
from demos.comparison.contest import entries, require_fit
from demos.comparison.data_files import DataError
from demos.comparison.digits import digits
from demos.comparison.guests import guest
from demos.comparison.own_data import task_from_file
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.sequences import adding, copy, recall
from demos.comparison.training import Recipe
from demos.shell.arguments import (
    Parser,
    add_device,
    add_out,
    add_seed,
    add_with,
    file_name,
    named,
    natural_number,
    number_of_replicas,
    positive_integer,
    positive_number,
    split_names,
)
from demos.shell.ending import printable
from demos.shell.workers import workers
from minigrad import backend

# The tasks that are drawn while training: what the command line calls them, and what makes them.
DRAWN = {
    "copy": copy,
    "recall": recall,
    "adding": adding,
    "digits": digits,
    "permuted": partial(digits, permuted=True),
}

EXAMPLES = """\
examples:
  python demos/compare.py                          the comparison: rings and clusters
  python demos/compare.py --replicas 1             one run of each, as quick as it gets
  python demos/compare.py --only mlp,tabnet --epochs 50 --jobs 2
  python demos/compare.py --protocol both          one recipe for all, then each by its own paper
  python demos/compare.py --data iris.csv --target species
  python demos/compare.py --with my_model.py       and an architecture of your own
  python demos/compare.py --task copy --jobs 2     sequence models (or recall, adding; digits)
"""


def parse(arguments):
    """The options; whatever is wrong with them ends the program with status 2."""
    parser = command_line()
    options = parser.parse_args(arguments)
    check_data(parser, options)
    check_others(parser, options)
    drawn = options.task in DRAWN
    options.replicas = options.replicas or (3 if drawn else 10)
    options.lr = options.lr or (3e-3 if drawn else 1e-2)
    options.jobs = options.jobs or (os.cpu_count() if drawn else 1)
    options.guests = tuple(guest(path) for path in options.guests)
    for file in options.guests:
        file.load()
    if options.only is None:
        # The slow ones first, so that no process is left with one of them at the end.
        options.only = list_architectures(options.task)[::-1] if drawn else list_architectures()
    else:
        try:
            options.only = architecture_names(options.only)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --only: {error}")
    options.save |= options.resume
    options.seeds = tuple(range(options.seed, options.seed + options.replicas))
    both = options.protocol == "both"
    options.protocols = ("shared", "native") if both else (options.protocol,)
    given = sys.argv[1:] if arguments is None else map(str, arguments)
    options.command = printable(shlex.join(["python", "demos/compare.py", *given]))
    return options


def check_others(parser, options):
    """End the program if options do not go together."""
    if options.scheduler is not None and options.jobs and options.jobs > 1:
        parser.error("--jobs are processes of this machine: leave it out with --scheduler")
    if options.task in DRAWN:
        unfit = {
            "--data": options.data,
            "--protocol": options.protocol != "shared",
            "--reshuffle": options.reshuffle,
            "--save": options.save,
            "--resume": options.resume,
            "--animate": options.animate,
        }
        for name in (name for name, given in unfit.items() if given):
            parser.error(f"--task {options.task} draws its rows while training: leave out {name}")
    if options.animate and options.no_plots:
        parser.error("--animate draws pictures: leave out --no-plots")
    if options.open and options.no_plots:
        parser.error("--open shows what is drawn: leave out --no-plots")


def command_line():
    families = "; ".join(
        f"{family}: {', '.join(names)}" for family, names in list_families().items()
    )
    parser = Parser(
        prog="compare.py",
        description="Train architectures on one task by one recipe and rank them.\n"
        f"They are, by family: {families}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_contest(parser)
    add_data(parser)
    add_output(parser)
    return parser


def add_contest(parser):
    group = parser.add_argument_group("who competes, and how")
    group.add_argument(
        "--only",
        metavar="NAME,NAME",
        help="only these architectures (default: all)",
    )
    add_with(
        group,
        "run this file first, which registers architectures of your own: they compete, too, and "
        "--only knows them (may be given several times)",
    )
    group.add_argument(
        "--task",
        choices=("rings", *DRAWN),
        default="rings",
        help="what is learnt; those other than rings draw fresh minibatches all the time, and have "
        "contenders of their own: sequences (copy: selective copying, recall: associative recall, "
        "adding) or images (digits; permuted: the same with exchanged pixels) (default: rings)",
    )
    group.add_argument(
        "--protocol",
        choices=("shared", "native", "both"),
        default="shared",
        help="shared: the same objective, cross-entropy, for all; native: each the objective of "
        "its own paper; both: one after the other, and the difference (default: shared)",
    )
    group.add_argument(
        "--replicas",
        type=number_of_replicas,
        default=None,
        metavar="R",
        help="train R of each at once, with seeds SEED, SEED+1, ...; replica k is what a run with "
        "--replicas 1 and its seed gives, to rounding (where noise is drawn while training, or "
        "with --reshuffle, a run of the same distribution) (default: 10; of --task copy ...: 3)",
    )
    group.add_argument(
        "--epochs",
        type=positive_integer,
        default=10,
        metavar="N",
        help="how often each sees all training rows; of a task that is drawn, tenths of its steps "
        "(default: 10)",
    )
    group.add_argument(
        "--lr",
        type=positive_number,
        default=None,
        metavar="X",
        help="the learning rate of Adam (default: 0.01; of --task copy ...: 0.003 after a warm-up, "
        "then down along a cosine)",
    )
    group.add_argument(
        "--batch-size",
        type=positive_integer,
        default=32,
        metavar="N",
        help="rows of a minibatch, one step each (default: 32)",
    )
    group.add_argument(
        "--reshuffle",
        action="store_true",
        help="cut new minibatches in every epoch (default: keep those of the first)",
    )
    add_seed(group)


def add_data(parser):
    """The options of `load`."""
    group = parser.add_argument_group("your own data, instead of rings and clusters")
    group.add_argument(
        "--data",
        type=file_name,
        metavar="FILE",
        help="a .csv file with a header, or an .npz file with arrays x (N, D) and y (N,)",
    )
    group.add_argument(
        "--target",
        type=named("a column", str),
        metavar="COLUMN",
        help="the column of the CSV with the classes",
    )
    group.add_argument(
        "--impute",
        choices=("mean", "median"),
        help="replace missing values by that of their column's training rows (default: they are "
        "refused)",
    )


def add_output(parser):
    group = parser.add_argument_group("where it runs, and what comes out")
    add_device(group)
    group.add_argument(
        "--eager",
        action="store_true",
        help="train without recording and replaying the training steps: the same results, slower "
        "(on a GPU always, as long as the replay there is untried)",
    )
    group.add_argument(
        "--jobs",
        type=positive_integer,
        metavar="N",
        help="train in N processes; the results are the same (default: 1; of --task copy ...: as "
        "many as there are cores)",
    )
    group.add_argument(
        "--scheduler",
        type=named("a scheduler: tcp://10.0.0.5:8786 is one", str),
        metavar="ADDRESS",
        help="train on the workers of a Dask cluster, such as tcp://10.0.0.5:8786; the results are "
        "the same",
    )
    add_out(group, "out", "for all files; those of an earlier run are replaced")
    group.add_argument(
        "--save",
        action="store_true",
        help="keep every trained network, in DIR/models: predict.py goes on with them",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with the networks that an earlier run in DIR has kept, stopped or not: train "
        "only the architectures and replicas that are new (implies --save; bit by bit what one "
        "run of all gives)",
    )
    group.add_argument("--no-plots", action="store_true", help="numbers only, no pictures, no page")
    group.add_argument(
        "--boundaries",
        type=natural_number,
        metavar="N",
        help="draw the decision boundaries of the best N; 0: of none (default: of all)",
    )
    group.add_argument(
        "--format",
        choices=("png", "svg"),
        default="png",
        help="of the pictures; SVG stays sharp at any size (default: png)",
    )
    group.add_argument(
        "--animate", action="store_true", help="and a GIF of all boundaries forming, epoch by epoch"
    )
    group.add_argument(
        "--open", action="store_true", help="show report.html in the browser when it is written"
    )
    group.add_argument("--quiet", action="store_true", help="print the table, nothing else")


def check_data(parser, options):
    if options.target is not None and options.data is None:
        parser.error("--target needs --data FILE.csv")
    if options.impute is not None and options.data is None:
        parser.error("--impute is for missing values of --data FILE")


def task_of(options):
    """The Task: that of --task, or that of --data, if all who compete can learn it.

    Raises:
        Refusal: one cannot.
    """

    def contenders(task):
        recipe = recipe_of(options, task)
        return entries(options.only, options.protocols, task, recipe, options.guests)

    return fitting_task(options, contenders)


def fitting_task(options, contenders):
    """The Task, if all Entries contenders(task) can learn it.

    Rows that are drawn are drawn for one replica first, to refuse early what is too large.
    """
    few = options.seeds if options.data is not None else options.seeds[:1]
    task = load(options, few)
    require_fit(contenders(task))
    return task if few == options.seeds else load(options, options.seeds)


def load(options, seeds):
    """The Task of so many replicas: that of --task, or that of --data."""
    if options.data is None:
        return DRAWN.get(options.task, rings_and_clusters)(seeds)
    task = task_from_file(options.data, options.target, seeds, options.impute)
    if options.animate and len(task.feature_names) != 2:
        raise DataError(
            f"--animate needs two features, {options.data} has {len(task.feature_names)}"
        )
    return task


def recipe_of(options, task):
    """The Recipe, for the device in use."""
    return Recipe(
        seeds=options.seeds,
        epochs=options.epochs,
        learning_rate=options.lr,
        batch_size=options.batch_size,
        reshuffle=options.reshuffle,
        compiled=not options.eager and backend.device() == "cpu",
        device=backend.device(),
        boundaries=not options.no_plots and len(task.feature_names) == 2,
        keep=options.save,
    )


def place(options, most):
    """Where to train: a context manager that gives an executor, or None for this process."""
    if options.scheduler is not None:
        return cluster(options.scheduler)
    return workers(min(options.jobs, most))


def architecture_names(text):
    names = split_names(text)
    try:
        for name in names:
            lookup(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None
    return names
