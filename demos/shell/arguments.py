"""The values of options: what they may be, and one line for what they may not."""

import argparse
import math
from pathlib import Path

from demos.shell.ending import one_line

MOST = 1_000_000  # a larger whole number is a typing error: no command would ever be done
MOST_REPLICAS = 100_000


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose complaints stay short, whatever they quote."""

    def error(self, message):
        super().error(one_line(message, 270))  # it begins with the command's name


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


def folder(text):
    if not text.strip():
        raise argparse.ArgumentTypeError("a folder has a name: '.' is the current one")
    return Path(text)
