"""What a terminal can do: its width, and colours where it has them."""

import os
import shutil
import sys
import textwrap


def width():
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


def wrapped(text, first="", then=""):
    """`text` in lines that fit; `first` stands before the first of them, `then` before the others.

    A word longer than a line stays whole.
    """
    return textwrap.fill(
        text,
        width(),
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def has_colours(stream):
    """NO_COLOR (no-color.org) and FORCE_COLOR decide if they are set, in this order."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def bold(text):
    return painted(text, 1)


def dim(text):
    return painted(text, 2)


def green(text):
    return painted(text, 32)


def red(text):
    return painted(text, 31)


def painted(text, code):
    """`text` in the style of an ANSI code, for standard output."""
    return f"\033[{code}m{text}\033[0m" if text and has_colours(sys.stdout) else text
