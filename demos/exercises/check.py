"""Is my answer right? What is, what is not, and one hint.

python demos/exercises/check.py 7          # exercise 7
python demos/exercises/check.py            # all of them, in a line each
python demos/exercises/check.py 7 --file my_answer.py
"""

import sys
import traceback
from pathlib import Path
from types import SimpleNamespace

if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from demos.shell.ending import begin, command

if __name__ == "__main__":
    begin("check.py")  # now, since the imports below take their time

from demos.comparison.guests import source
from demos.exercises.checks import CHECKS, HINTS, Wrong
from demos.shell.arguments import Parser, file_name

FOLDER = Path(__file__).resolve().parent
BLANK = "____"


@command("check.py")
def main(arguments=None):
    """Check, and print; return the exit status, 0 if all is right."""
    parser = Parser(
        prog="check.py",
        description="Say what is right in an answer and what is not, with a hint.",
        allow_abbrev=False,
    )
    parser.add_argument("number", type=int, nargs="?", choices=sorted(CHECKS), metavar="NUMBER")
    parser.add_argument("--file", type=file_name, help="the answer, if it is in another file")
    options = parser.parse_args(arguments)
    if options.number is None:
        if options.file:
            parser.error("--file is the answer to one exercise: give its number")
        return max([in_a_line(number) for number in sorted(CHECKS)])
    path = options.file or file_of(options.number)
    found = examine(options.number, source(path), path)
    print(title(file_of(options.number)))
    for claim, problem in found:
        print(f"  {'WRONG' if problem else 'right'}  {claim}")
        if problem:
            print(f"         {problem}")
    if wrong := any(problem for _, problem in found):
        print(f"  hint   {HINTS[options.number]}")
    return int(wrong)


def in_a_line(number):
    path = file_of(number)
    found = examine(number, source(path), path)
    right = sum(not problem for _, problem in found)
    print(f"{right:2} of {len(found)} right   {title(path)}")
    return int(right < len(found))


def file_of(number):
    [path] = FOLDER.glob(f"{number:02}_*.py")
    return path


def title(path):
    """The first line of the file, without its quotes."""
    return path.read_text(encoding="utf-8").partition("\n")[0].strip('"')


def examine(number, text, path):
    """[(claim, None or what is wrong)] of an answer, the text of a file."""
    scope = {"__name__": f"exercise_{number:02}", "__file__": str(path)}
    try:
        exec(compile(text, path, "exec"), scope)
    except (Exception, SystemExit) as error:
        problem = in_words(error, text, path)
        return [(claim, problem) for claim, _ in CHECKS[number]]
    found = []
    for claim, check in CHECKS[number]:
        try:
            check(SimpleNamespace(**scope))
        except (Exception, SystemExit) as error:
            found.append((claim, in_words(error, text, path)))
        else:
            found.append((claim, None))
    return found


def in_words(error, text, path):
    """What went wrong, and in which line of the answer."""
    lines = [line for file, line in places(error) if file == str(path)]
    where = f" (line {lines[-1]})" if lines else ""
    if isinstance(error, NameError) and error.name == BLANK:
        return f"there is still a blank{where}"
    if isinstance(error, Wrong):
        return str(error)
    return f"{type(error).__name__}: {error}{where}"


def places(error):
    """(file, line) of each call that was under way."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((error.filename, error.lineno))
    return frames


if __name__ == "__main__":
    sys.exit(main())
