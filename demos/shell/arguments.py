"""The options that commands share, and what the values of options may be: one line for what not."""

import argparse
import math
from pathlib import Path

import minigrad
from demos.shell.ending import Refusal, one_line
from demos.shell.memory import bound_memory
from minigrad import backend

MOST = 1_000_000  # a larger whole number is a typing error: no command would ever be done
MOST_REPLICAS = 100_000


class Parser(argparse.ArgumentParser):
    """It knows --version, and its complaints stay short, whatever they quote."""

    def __init__(self, **options):
        super().__init__(**options)
        self.add_argument("--version", action="version", version=f"minigrad {minigrad.__version__}")

    def error(self, message):
        super().error(one_line(message, 270))  # it begins with the command's name


# --- options of several commands ------------------------------------------------------------------


def add_seed(group):
    group.add_argument(
        "--seed",
        type=natural_number,
        default=42,
        metavar="SEED",
        help="of the data and the initial weights (default: 42)",
    )


def add_with(group, says):
    group.add_argument(
        "--with",
        dest="guests",
        type=file_name,
        action="append",
        default=[],
        metavar="FILE.py",
        help=says,
    )


def add_out(group, default, says):
    group.add_argument(
        "--out",
        type=folder_name,
        default=Path(default),
        metavar="DIR",
        help=f"{says} (default: {default})",
    )


def add_device(group):
    group.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="cpu",
        help="auto: the GPU if there is one (default: cpu)",
    )


def use_device(name):
    """Compute on what --device names, or refuse."""
    try:
        if backend.use(name) == "cpu":
            bound_memory()
    except backend.DeviceError as error:
        raise Refusal(error) from None


# --- values ---------------------------------------------------------------------------------------


def natural_number(text):
    return whole_number(text, 0)


def positive_integer(text):
    return whole_number(text, 1, MOST)


def number_of_replicas(text):
    return whole_number(text, 1, MOST_REPLICAS)


def whole_number(text, least, most=None):
    try:
        value = int(text) if text.isdecimal() else -1
    except ValueError:  # thousands of digits
        value = -1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    if most is not None and value > most:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {most:,}")
    return value


def positive_number(text):
    try:
        value = float(text.replace("_", "?"))  # Python's float takes 1_0 for 10
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def some_of(known, kind):
    """The type of an option: names that are `known`, separated by commas."""

    def names(text):
        chosen = split_names(text)
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(
                    f"unknown {kind} {name!r}: choose from {', '.join(known)}"
                )
        return chosen

    return names


def split_names(text):
    """Each once, in lower case."""
    return list(dict.fromkeys(name.strip().lower() for name in text.split(",")))


def named(what, kind=Path):
    """The type of an option: text that is not empty, since no file, column or address is ''."""

    def name(text):
        if not text.strip():
            raise argparse.ArgumentTypeError(f"{text!r} is not the name of {what}")
        return kind(text)

    return name


file_name, folder_name = named("a file"), named("a folder: '.' is the current one")
