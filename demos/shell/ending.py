"""How a command ends: in one line, and with the status that a shell expects.

0: done. 1: something failed. 2: refused, and nothing was begun. 128 + n: signal n asked it to end
(130: Ctrl-C), or told it that nobody reads its output any more (141, as in "| head").
"""

import contextlib
import functools
import os
import signal
import sys
import unicodedata

SIGPIPE = 13  # which Python turns into BrokenPipeError, and Windows does not know


class Refusal(Exception):
    """What was asked for cannot be done; the message says why, in one line."""

    def __init__(self, message):
        super().__init__(one_line(message))


class Stopped(KeyboardInterrupt):
    """A signal that asks a program to end, other than Ctrl-C's: it is treated as Ctrl-C is."""

    def __init__(self, number):
        super().__init__()
        self.number = number


def begin(name):
    """For a file that is run, before its slow imports: from here on it ends as this module says."""
    for descriptor, stream in enumerate(("stdin", "stdout", "stderr")):
        # One that is closed, as by ">&-", gets the null device: a file that is opened later would
        # otherwise take its number, and what is printed would end up in there.
        if getattr(sys, stream) is None:
            mode = "w" if descriptor else "r"
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115
    sys.stdout.reconfigure(errors="replace")  # a terminal without "±" gets "?"
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is signal.SIG_DFL:  # under nohup it is to be ignored
            signal.signal(number, stop)

    def hook(kind, error, traceback):
        status = explain(name, error)
        if status is None:
            sys.__excepthook__(kind, error, traceback)
        else:
            sys.exit(status)

    sys.excepthook = hook


def stop(number, frame):
    raise Stopped(number)


def command(name):
    """Decorates a command's main(arguments), which returns its exit status."""

    def decorate(main):
        @functools.wraps(main)
        def run(arguments=None):
            try:
                status = main(arguments)
                sys.stdout.flush()  # what is only noticed here could not be said later
            except BaseException as error:
                status = explain(name, error)
                if status is None:
                    raise
            return status

        return run

    return decorate


def explain(name, error):
    """Say in one line why command `name` ends; return its exit status.

    None, and not a word: the exception is a mistake in the program, and deserves a traceback.
    """
    if isinstance(error, Refusal):
        say(f"{name}: {error}")
        return 2
    if isinstance(error, KeyboardInterrupt | OSError):
        return farewell(error)
    if isinstance(error, MemoryError):
        say(f"{name}: out of memory: {str(error) or 'use fewer replicas or less data'}")
        return 1
    return None


def farewell(error, *kept):
    """Say what made the command stop before its end, and what is kept; return the exit status."""
    if isinstance(error, Stopped):
        why, status = f"ended by {signal.Signals(error.number).name}", 128 + error.number
    elif isinstance(error, KeyboardInterrupt):
        why, status = "interrupted", 128 + signal.SIGINT
    elif isinstance(error, BrokenPipeError):
        why, status = "nobody reads the output any more", 128 + SIGPIPE
    else:
        why, status = f"cannot go on: {error}", 1
    if isinstance(error, OSError):
        mute()
    say(": ".join([why, *kept]))
    return status


def mute():
    """Let standard output lead nowhere: what it could not take must not fail again at the end."""
    with contextlib.suppress(OSError):  # no file: a test captures it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(line):
    """Print to standard error, where the last words of a command go."""
    print(one_line(line), file=sys.stderr, flush=True)


# --- text from outside ----------------------------------------------------------------------------


def one_line(text, most=300):
    """At most so many characters, none of which moves the cursor: the middle is left out."""
    text = printable(str(text))
    if len(text) <= most:
        return text
    return f"{text[: most // 2 - 2]} ... {text[-(most // 2 - 3) :]}"


def printable(text):
    """Control characters, which could rewrite what a terminal shows, as their escapes."""
    return "".join(
        c.encode("unicode_escape").decode() if unicodedata.category(c)[0] == "C" else c
        for c in text.replace("\u2028", " ").replace("\u2029", " ")
    )
