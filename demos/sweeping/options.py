"""The command line of sweep.py: the numbers of the recipe and the options of one architecture, each
of which may be a list."""

import argparse
import inspect
import re
import sys

from architectures import ARCHITECTURES, lookup
from demos.comparison.guests import guest
from demos.comparison.options import add_data, check_data
from demos.comparison.progress import spelt
from demos.comparison.training import Entry, Recipe
from demos.shell.arguments import (
    MOST,
    Parser,
    add_device,
    add_out,
    add_seed,
    add_with,
    number_of_replicas,
    positive_integer,
    positive_number,
)
from demos.sweeping.grid import OWN, RECIPE, combinations
from minigrad import backend

USAGE = "sweep.py NAME [--lr X,Y ...] [--OPTION VALUE,VALUE ...] [--replicas R] ..."
EXAMPLES = """\
examples:
  python demos/sweep.py mlp --lr 1e-3,1e-2,1e-1 --hidden-sizes 16,64x32
  python demos/sweep.py snn --tau 1,2,4 --num-timesteps 10,25 --jobs 2
  python demos/sweep.py tabnet --help            its options
  python demos/sweep.py mlp --lr 1e-3,1e-2 --data iris.csv --target species
"""
NOT_SWEPT = ("input_size", "rng")  # the data's business, and the seed's


def parse(arguments):
    """The options, with `axes`, {name: values}; whatever is wrong with them ends the program with
    status 2."""
    given = as_argparse_likes_it(sys.argv[1:] if arguments is None else arguments)
    guests = Parser(prog="sweep.py", usage=USAGE, add_help=False, allow_abbrev=False)
    add_with(guests, None)
    guests = tuple(guest(path) for path in guests.parse_known_args(given)[0].guests)
    for file in guests:
        file.load()

    parser = Parser(
        prog="sweep.py",
        usage=USAGE,
        description="Train one architecture with all combinations of some values, and show which\n"
        "is best. Values of a list are separated by commas, widths by x: 16,64x32.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # as above: "--wit" would be a --with whose file is not run
    )
    tables = [key for key, entry in ARCHITECTURES.items() if entry.compared or not entry.tasks]
    parser.add_argument("name", metavar="NAME", help=f"one of {', '.join(tables)}")
    group = parser.add_argument_group("what may have several values")
    add_list(group, "lr", positive_number, (1e-2,), "X,Y", "learning rates of Adam")
    add_list(group, "weight_decay", not_negative, (0.0,), "X,Y", "of AdamW")
    add_list(group, "epochs", positive_integer, (10,), "N,M", "how often it sees all training rows")
    add_list(group, "batch_size", positive_integer, (32,), "N,M", "rows of a minibatch")
    name = given[0].strip().lower() if given else ""
    swept = [*OWN, *RECIPE]
    if name in ARCHITECTURES:
        swept += add_options(parser, name)
    add_the_rest(parser)

    options = parser.parse_args(given)
    check_data(parser, options)
    options.name = options.name.strip().lower()
    if options.name != name:
        parser.error("the architecture comes first: sweep.py NAME --lr 1e-3,1e-2 ...")
    try:
        lookup(name)
    except ValueError as error:
        parser.error(str(error))
    options.guests = guests
    options.axes = {key: values for key in swept if (values := getattr(options, key)) is not None}
    options.seeds = tuple(range(options.seed, options.seed + options.replicas))
    options.animate, options.task = False, "rings"  # what a task asks for, too
    return options


def as_argparse_likes_it(given):
    """`--hidden_sizes 3` as `--hidden-sizes 3`, and `--rho -3,-5`, which begins like an option, as
    `--rho=-3,-5`."""
    words = []
    for word in map(str, given):
        if re.match(r"-[\d.]", word) and words and words[-1].startswith("--"):
            words[-1] += f"={word}"
        elif word.startswith("--"):
            name, *value = word.split("=", 1)
            words.append("=".join([name.replace("_", "-"), *value]))
        else:
            words.append(word)
    return words


def add_options(parser, name):
    """An option for each one of the architecture; their names."""
    group = parser.add_argument_group(f"options of {name}, which may have several values, too")
    ours, names = lookup(name).options, []
    for parameter in inspect.signature(lookup(name).backbone).parameters.values():
        key = parameter.name
        if key in (*NOT_SWEPT, *OWN, *RECIPE) or "*" in str(parameter):  # *args, **options
            continue
        default = ours.get(key, parameter.default)
        says = "" if default is parameter.empty else f"default: {spelt(default)}"
        add_list(group, key, lambda text, like=default: value(text, like), None, "A,B", says)
        names.append(key)
    return names


def add_list(group, key, one, default, metavar, says):
    def several(text):
        if not all(part.strip() for part in text.split(",")):
            raise argparse.ArgumentTypeError(
                f"{text!r} has an empty place: values are separated by commas alone, as in 1,2,3"
            )
        values = tuple(one(part.strip()) for part in text.split(","))
        if len(set(values)) < len(values):
            raise argparse.ArgumentTypeError(f"{text!r} names a value twice")
        return values

    if default is not None:
        says = f"{says} (default: {spelt(default[0])})"
    flag = f"--{key.replace('_', '-')}"
    group.add_argument(flag, type=several, default=default, metavar=metavar, help=says)


WORDS = {"none": None, "true": True, "false": False}


def value(text, like):
    """The value of an option whose default is `like`."""
    if isinstance(like, str):
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        if isinstance(like, tuple):
            return tuple(whole(width) for width in text.split("x"))
        return float(text) if isinstance(like, float) else whole(text)
    except ValueError:
        if isinstance(like, tuple | int | float):
            raise argparse.ArgumentTypeError(
                f"{text!r} is nothing like the default {spelt(like)}"
            ) from None
    try:
        return float(text)
    except ValueError:
        sizes = re.fullmatch(r"\d+(x\d+)+", text)  # as of an image: the default may be None
        return tuple(map(whole, text.split("x"))) if sizes else text


def whole(text):
    """A number as `positive_integer` would take it, or a negative one."""
    if int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {MOST:,}")
    return int(text)


def not_negative(text):
    return 0.0 if text.strip("0.") == "" and "0" in text else positive_number(text)


def add_the_rest(parser):
    group = parser.add_argument_group("how it trains")
    group.add_argument(
        "--replicas",
        type=number_of_replicas,
        default=10,
        metavar="R",
        help="of each setting, with seeds SEED, SEED+1, ...: the same data and initial weights for "
        "all settings (default: 10)",
    )
    add_seed(group)
    group.add_argument(
        "--protocol",
        choices=("shared", "native"),
        default="shared",
        help="shared: cross-entropy; native: the objective of its own paper (default: shared)",
    )
    add_with(group, "run this file first, which registers an architecture of your own")
    add_data(parser)
    group = parser.add_argument_group("where it runs, and what comes out")
    add_device(group)
    group.add_argument(
        "--jobs",
        type=positive_integer,
        default=1,
        metavar="N",
        help="train in N processes; the results are the same (default: 1)",
    )
    add_out(group, "out/sweep", "for sweep.png and sweep.json")
    group.add_argument("--no-plots", action="store_true", help="numbers only, no picture")
    group.add_argument("--quiet", action="store_true", help="print the table, nothing else")


def recipe_of(options):
    """The Recipe of one setting, less what the settings differ in."""
    return Recipe(
        seeds=options.seeds,
        protocol=options.protocol,
        compiled=backend.device() == "cpu",
        device=backend.device(),
    )


def contenders(options, task):
    """An Entry for each combination of the architecture's own options."""
    own = {name: values for name, values in options.axes.items() if name not in (*OWN, *RECIPE)}
    recipe = recipe_of(options)
    return [Entry(options.name, task, recipe, options.guests, some) for some in combinations(own)]
