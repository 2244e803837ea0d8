"""How commands end: signals, readers that leave, parents that die. Real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demos.shell.ending import one_line, printable

ROOT = Path(__file__).parents[1]
SHORT = ["--only", "mlp", "--replicas", "1", "--epochs", "1", "--no-plots"]
ENDLESS = ["--only", "mlp,snn", "--replicas", "1", "--epochs", "1000000", "--no-plots"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and descriptors of POSIX")


def start(*arguments, command="compare", **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    options["env"] = buffered()
    program = [sys.executable, str(ROOT / "demos" / f"{command}.py")]
    return subprocess.Popen([*program, *map(str, arguments)], text=True, **options)


def buffered():
    return {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}


def until(condition, seconds=60):
    """Wait for it; the tests' only patience, so that they end also where it never comes."""
    for _ in range(20 * seconds):
        if condition():
            return True
        time.sleep(0.05)
    return False


def training(out):
    """Whether a run has begun to write: its workers, if any, start next."""
    return lambda: list(out.glob(".runs/*.incomplete"))


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_signal_ends_it_in_one_line_with_its_status(tmp_path, number, status, says):
    process = start(*ENDLESS, "--out", tmp_path)
    assert until(training(tmp_path))
    process.send_signal(number)
    _, err = process.communicate()
    assert err.startswith(says) and err.count("\n") == 1
    assert process.returncode == status
    assert os.listdir(tmp_path) == []


# All files at the top of demos/ that are run: the others are imported alone.
COMMANDS = [path.stem for path in sorted(ROOT.glob("demos/*.py")) if "@command" in path.read_text()]


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_while_importing_is_one_line(command):
    """NumPy's import takes long enough for people to change their mind, and much memory."""
    code = f"""
import os, runpy, sys
class Slow:
    def find_spec(self, name, path, target=None):
        if name == "numpy":
            raise error
sys.meta_path.insert(0, Slow())
sys.argv = ["{command}.py"]
os.environ.pop("OPENBLAS_NUM_THREADS", None)
for error in (MemoryError("9 bytes"), KeyboardInterrupt()):
    try:
        runpy.run_path({str(ROOT / "demos" / command) + ".py"!r}, run_name="__main__")
    except BaseException as raised:
        last = raised
        if error.args:  # as the interpreter does at the end
            try:
                sys.excepthook(type(last), last, None)
            except SystemExit as end:
                assert end.code == 1
print("BLAS has", os.environ["OPENBLAS_NUM_THREADS"])  # NumPy asks when it is imported
raise last
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = f"{command}.py: out of memory: 9 bytes\ninterrupted\n"
    assert (done.returncode, done.stdout, done.stderr) == (130, "BLAS has 1\n", said)


TOOL = """
import os, signal, sys
from demos.shell.ending import Refusal, begin, command
begin("tool.py")
@command("tool.py")
def main(arguments=None):
    print("begun ±")
    {}
    return 0
sys.exit(main())
"""


def tool(does, program=TOOL, encoding="utf-8", **options):
    """(exit status, standard output, standard error) of a command that does this."""
    options["env"] = buffered() | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding}
    program = program.format(does)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, **options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("program", [TOOL, TOOL.replace('@command("tool.py")', "")])
@pytest.mark.parametrize(
    ("does", "status", "says"),
    [
        ("pass", 0, ""),
        ("raise Refusal('not this')", 2, "tool.py: not this\n"),
        ("raise OSError('the disk is full')", 1, "cannot go on: the disk is full\n"),
        ("raise MemoryError('9 bytes')", 1, "tool.py: out of memory: 9 bytes\n"),
        ("raise MemoryError", 1, "tool.py: out of memory: use fewer replicas or less data\n"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "ended by SIGTERM\n"),
        ("raise BrokenPipeError", 141, "nobody reads the output any more\n"),
    ],
)
def test_how_it_ends_also_where_it_is_no_command_yet(does, status, says, program):
    """While it imports only begin() is there to say so."""
    said = "" if "OSError" in does or "Pipe" in does else "begun ±\n"  # nobody could read it
    assert tool(does, program) == (status, said, says)


def test_a_mistake_in_the_program_has_its_traceback():
    status, said, says = tool("1 / 0")
    assert status == 1 and said == "begun ±\n"
    assert says.startswith("Traceback") and says.endswith("ZeroDivisionError: division by zero\n")


def test_a_terminal_without_a_sign_gets_a_question_mark():
    assert tool("pass", encoding="ascii") == (0, "begun ?\n", "")


def test_under_nohup_it_goes_on():
    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    hang_up = "os.kill(os.getpid(), signal.SIGHUP)"
    assert tool(hang_up, preexec_fn=nohup) == (0, "begun ±\n", "")


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_descriptor_that_is_closed_is_no_file_of_ours(closed, tmp_path):
    does = "open('mine', 'w').close(); sys.stdin.read(); print('said', file=sys.stderr)"
    status, said, says = tool(does, preexec_fn=lambda: os.close(closed), cwd=tmp_path)
    assert status == 0 and (tmp_path / "mine").read_bytes() == b""
    assert said == ("" if closed == 1 else "begun ±\n")
    assert says == ("" if closed == 2 else "said\n")


def test_a_reader_that_leaves_ends_it_and_a_closed_output_does_not(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(*SHORT, "--out", tmp_path, stdout=writing)
    os.close(writing)
    _, err = process.communicate()
    assert err.startswith("nobody reads the output any more") and err.count("\n") == 1
    assert process.returncode == 141

    def close():
        os.close(1)

    process = start(*SHORT, "--out", tmp_path, stdout=None, preexec_fn=close)
    assert process.communicate()[1] == "" and process.returncode == 0
    assert json.loads((tmp_path / "results.json").read_text())["interrupted"] is False


def test_workers_end_with_their_parent_and_the_folder_is_free(tmp_path):
    null = subprocess.DEVNULL
    process = start(*ENDLESS, "--jobs", "2", "--out", tmp_path, stdout=null, stderr=null)
    assert until(lambda: len(children(process.pid)) >= 3)  # two, and what counts their semaphores
    workers = children(process.pid)
    process.kill()
    process.wait()
    ended = until(lambda: not any(map(alive, workers)), seconds=20)
    for worker in filter(alive, workers):
        os.kill(worker, signal.SIGKILL)
    assert ended
    process = start(*SHORT, "--out", tmp_path)
    process.communicate()
    assert process.returncode == 0 and (tmp_path / "results.json").exists()


def children(pid):
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(child) for child, parent in pairs if parent == str(pid)]


def alive(pid):
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")


def test_ctrl_c_with_workers_is_one_line(tmp_path):
    """Also while they start: the terminal tells all of them."""
    process = start(*ENDLESS, "--jobs", "2", "--out", tmp_path, start_new_session=True)
    assert until(lambda: len(children(process.pid)) >= 3)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert err == "interrupted: nothing had finished, nothing is written\n"
    assert process.returncode == 130


def test_more_memory_than_the_machine_has_is_an_error_and_not_its_end():
    code = """
import os, resource
import numpy as np
from demos.shell.memory import bound_memory
resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
bound_memory()
try:
    promised = [np.empty(half, "uint8") for _ in range(3)]  # nothing is used
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("refused\n", "")


def test_text_from_outside_is_one_line_that_moves_no_cursor():
    assert printable("Ä°\x1b[2J\u202e\udcff\n") == "Ä°\\x1b[2J\\u202e\\udcff\\n"
    line = one_line("first " + "x" * 1000 + " last")
    assert len(line) == 300 and line.startswith("first x") and line.endswith("x last")
    assert one_line("as it is") == "as it is"
