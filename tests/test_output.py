"""Nothing is lost: wherever a run is stopped, people see all of the old one or all of the new."""

import contextlib
import fcntl
import functools
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from demos import compare
from demos.comparison import contest
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.pictures.palette import STYLE
from demos.shell.ending import Refusal
from demos.shell.output import Output, replace_file, require_replaceable

ROOT = Path(__file__).parents[1]
NAMES = ("results.json", "data.png", "boundaries.png", "shared")


def seen(out):
    """{path: content} of what people find in a folder: through links, without what is hidden."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for name in os.listdir(out)
        if not name.startswith(".")
        for path in (out / name, *(out / name).rglob("*"))
        if path.is_file()
    }


def write(out, names=("results.json", "data.png"), text="new", **publish):
    with Output(out, NAMES) as output:
        for name in names:
            (output.folder / name).parent.mkdir(exist_ok=True)
            (output.folder / name).write_text(text)
        return output.publish(**publish)


def test_a_run_replaces_the_whole_earlier_run_and_nothing_else(tmp_path):
    (tmp_path / "holiday.png").write_text("mine")
    (tmp_path / "mine").mkdir()
    write(tmp_path, ["results.json", "boundaries.png", "shared/data.png"], "old")
    assert set(seen(tmp_path)) == {
        *("results.json", "boundaries.png", "shared/data.png", "holiday.png")
    }
    assert write(tmp_path) == tmp_path
    assert seen(tmp_path) == {"results.json": b"new", "data.png": b"new", "holiday.png": b"mine"}
    assert sorted(os.listdir(tmp_path)) == [
        *(".runs", "data.png", "holiday.png", "mine", "results.json")
    ]
    assert sorted(os.listdir(tmp_path / ".runs")) == ["2", "latest", "lock"]
    shutil.copytree(tmp_path, tmp_path / "copy")  # links are followed: plain files
    shutil.move(tmp_path / "copy", tmp_path / "mine")
    assert not (tmp_path / "mine" / "copy" / "data.png").is_symlink()


def test_somebody_elses_file_is_refused_before_and_survives(tmp_path):
    for name in ("data.png", "incomplete", "results.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(Refusal, match=f"{name} is not from an earlier run"):
            write(tmp_path)
        assert seen(tmp_path) == {name: b"mine"}
        assert os.listdir(tmp_path) == [name]
        (tmp_path / name).unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".runs").symlink_to("elsewhere")
    with pytest.raises(Refusal, match=r"\.runs is not from"):
        write(tmp_path)
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_file_that_appears_meanwhile_survives_and_so_does_the_run(tmp_path):
    write(tmp_path, ["results.json"], "old")
    with Output(tmp_path, NAMES) as output:
        (output.folder / "data.png").write_text("new")
        (tmp_path / "data.png").write_text("mine")
        assert output.publish() == tmp_path / "run-1"
    found = {"results.json": b"old", "data.png": b"mine", "run-1/data.png": b"new"}
    assert seen(tmp_path) == found


def test_without_links_every_run_has_its_own_folder(tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert write(tmp_path, text="1") == tmp_path / "run-1"
    assert write(tmp_path, text="2", complete=False) == tmp_path / "run-2"
    assert seen(tmp_path)["run-1/data.png"] == b"1" and seen(tmp_path)["run-2/data.png"] == b"2"
    assert sorted(os.listdir(tmp_path)) == ["run-1", "run-2"]


def test_what_is_incomplete_never_replaces_what_is_complete(tmp_path):
    assert write(tmp_path, text="a part", complete=False) == tmp_path
    assert write(tmp_path, text="less", complete=False) == tmp_path
    assert seen(tmp_path)["data.png"] == b"less"
    assert write(tmp_path) == tmp_path
    for text in ("a part", "less"):
        assert write(tmp_path, ["results.json"], text, complete=False) == tmp_path / "incomplete"
        assert seen(tmp_path) == {
            "results.json": b"new",
            "data.png": b"new",
            "incomplete/results.json": text.encode(),
        }
    write(tmp_path, text="newest")
    assert seen(tmp_path)["data.png"] == b"newest"
    assert seen(tmp_path)["incomplete/results.json"] == b"less"
    assert sorted(os.listdir(tmp_path / ".runs")) == ["5.incomplete", "6", "latest", "lock"]


def test_a_run_is_on_the_disk_before_it_is_seen(tmp_path, monkeypatch):
    """Or a power cut would leave links to files that are empty."""
    synced, fsync, replace = set(), os.fsync, os.replace

    def note(descriptor):
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def seen_now(new, link):
        run = (tmp_path / ".runs" / os.readlink(new)).resolve()
        parts = {path.stat().st_ino for path in (run, *run.rglob("*"))}
        assert len(parts) == 4 and parts <= synced
        replace(new, link)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", seen_now)
    write(tmp_path, ["results.json", "shared/data.png"])


def test_others_may_stay(tmp_path):
    write(tmp_path, text="old")
    with Output(tmp_path, NAMES, keep_others=True) as output:
        (output.folder / "data.png").write_text("new")
        output.publish()
    assert seen(tmp_path) == {"results.json": b"old", "data.png": b"new"}


def test_what_is_not_published_leaves_no_trace(tmp_path):
    with pytest.raises(RuntimeError), Output(tmp_path, NAMES) as output:
        (output.folder / "data.png").write_text("half")
        raise RuntimeError
    assert os.listdir(tmp_path) == []


def test_two_runs_do_not_share_a_folder(tmp_path):
    with Output(tmp_path, NAMES) as output:
        with pytest.raises(Refusal, match="another run is writing to"):
            write(tmp_path)
        (output.folder / "data.png").write_text("first")
        output.publish()
    write(tmp_path)


def test_a_lock_that_its_owner_deletes_is_no_lock(tmp_path, monkeypatch):
    """As the last run does when it leaves nothing, between the other's opening and locking it."""

    def flock(file, how):
        path = tmp_path / ".runs" / "lock"
        path.rename(tmp_path / "deleted")
        path.write_text("")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(Refusal, match="another run is writing to"):
        write(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("../mine", path)])
def test_a_lock_that_is_no_file_is_neither_waited_for_nor_followed(tmp_path, make):
    (tmp_path / ".runs").mkdir()
    make(tmp_path / ".runs" / "lock")
    with pytest.raises(Refusal, match=r"\.runs/lock is not from an earlier run"):
        write(tmp_path)
    assert os.listdir(tmp_path) == [".runs"] and os.listdir(tmp_path / ".runs") == ["lock"]


@pytest.mark.parametrize("mine", ["3/x", "latest/x", "notes"])
def test_a_folder_in_which_no_run_has_been_is_somebody_elses(tmp_path, mine):
    path = tmp_path / ".runs" / mine
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(Refusal, match=r"\.runs is not from an earlier run"):
        write(tmp_path)
    assert path.read_text() == "mine"


def test_a_folder_that_takes_no_files_is_found_before(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(Refusal, match=r"cannot write to .*file: it is no folder"):
        write(tmp_path / "file")
    with pytest.raises(Refusal, match=r"cannot write to .*: File name too long"):
        write(tmp_path / ("x" * 300))
    with pytest.raises(Refusal, match=r"cannot write to .*deeper: Not a directory"):
        write(tmp_path / "file" / "deeper")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(Refusal, match="link: it is a link that leads to nothing"):
        require_replaceable(tmp_path / "link")
    with pytest.raises(Refusal, match="it is a folder"):
        require_replaceable(tmp_path)
    with pytest.raises(Refusal, match=r"cannot write to .*deeper: .*file is no folder"):
        require_replaceable(tmp_path / "file" / "deeper")

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Refusal, match=r"cannot write to .*out: No space left on device"):
        write(tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_a_single_file_is_replaced_at_once_and_not_through_a_link(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    path = tmp_path / "figures.json"
    replace_file(path, "old")
    (tmp_path / f".figures.json.{os.getpid()}.part").symlink_to(mine)
    with pytest.raises(FileExistsError):
        replace_file(path, "new")
    assert (path.read_text(), mine.read_text()) == ("old", "mine")


def test_what_a_killed_process_has_left_of_a_single_file_is_deleted_by_the_next(tmp_path):
    left, fresh, alive, mine = (tmp_path / f".figures.json.{k}.part" for k in range(4))
    other = tmp_path / ".figures.json.part"
    for path in (left, fresh, alive, other):
        path.write_text("half")
    for path in (left, alive, other):
        os.utime(path, (0, 0))
    mine.symlink_to(other)
    with open(alive) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        replace_file(tmp_path / "figures.json", "new")
    names = {path.name for path in (fresh, alive, mine, other)}
    assert set(os.listdir(tmp_path)) == {"figures.json", *names}


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(tmp_path):
    """As /dev/stdout is one, which root could replace."""
    (tmp_path / "far").mkdir()
    path = tmp_path / "figures.json"
    path.symlink_to("far/figures.json")
    for text in ("old", "new"):
        replace_file(path, text)
        assert path.is_symlink() and (tmp_path / "far" / "figures.json").read_text() == text
    assert os.listdir(tmp_path / "far") == ["figures.json"]


# --- a kill at every file operation, a disk that is full at many sizes -----------------------

OPERATIONS = {
    *("open", "os.mkdir", "os.symlink", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
}


ONLY = ["--only", "mlp", "--replicas", "1", "--epochs", "1", "--quiet"]


def run(out, seed, pictures):
    """compare.py without its work: one architecture that was trained before, two pictures."""

    def draw(rankings, task, options, folder, progress):
        for name in pictures:
            (folder / name).write_bytes(f"{name} of {seed}".encode() * 200)

    compare.draw = draw
    return compare.main([*ONLY, "--seed", str(seed), "--out", str(out)])


def old(out):
    return run(out, 1, ["data.png", "boundaries.png"])


def new(out):
    return run(out, 2, ["data.png", "training.gif"])


def in_another_process(task, *arguments):
    """The exit status of task(*arguments) in a fork of this process; -9 if it was killed."""
    child = os.fork()
    if not child:
        status = 99
        try:
            with open(os.devnull, "w") as nowhere:
                sys.stdout = sys.stderr = nowhere
                status = task(*arguments)
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(operation, out):
    numbers = count(1)

    def hook(event, arguments):
        if event in OPERATIONS and next(numbers) == operation:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return new(out)


def full_at(size, out):
    """No file can grow beyond `size` bytes, from the end of the training on."""
    train = contest.train

    def trained(entry, on_epoch):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        return train(entry, on_epoch)

    contest.train = trained
    return new(out)


def train_once():
    """Let each run be trained only once."""
    train, trained = contest.train, {}

    def once(entry, on_epoch=None):
        if entry.recipe.seeds not in trained:
            trained[entry.recipe.seeds] = train(entry)
        return trained[entry.recipe.seeds]

    contest.train = once
    rings = functools.cache(rings_and_clusters)
    compare.load = lambda options: rings(options.seeds)
    # The page names its own folder, and is drawn slowly: here it is a line of text.
    compare.write_page = lambda path, rankings, task, recipe, *rest: path.write_text(
        f"the page of {recipe.seeds}"
    )
    os.fsync = lambda descriptor: None  # what a power cut leaves is not tested here


def harness(folder):
    """In a process of its own, which forks one for every fault; prints how many there were."""
    train_once()
    before, after, out = folder / "before", folder / "after", folder / "out"
    with contextlib.redirect_stdout(io.StringIO()):
        assert old(before) == new(after) == 0
    whole = [seen(before), seen(after)]
    tables = {"results.json", "results.csv", "report.html"}
    assert whole[0].keys() == {*tables, "data.png", "boundaries.png"}
    assert whole[1].keys() == {*tables, "data.png", "training.gif"}

    faults = 0
    for start in (before, None):
        allowed = whole if start else [{}, whole[1]]
        for operation in count(1):
            prepare(start, out)
            status = in_another_process(killed_at, operation, out)
            assert (seen(out) if out.exists() else {}) in allowed, operation
            if status == 0:
                break
            faults += 1
            assert status == -9
            assert in_another_process(new, out) == 0  # and the next run goes as if nothing was
            assert seen(out) == whole[1]
            assert len(os.listdir(out / ".runs")) == 3
        assert seen(out) == whole[1]

    sizes = [0, 1, 10, 100, 300, 1000, 2000, 2500, 3000, 10**6]
    statuses = []
    for size in sizes:
        prepare(before, out)
        statuses.append(in_another_process(full_at, size, out))
        found = seen(out)
        part = {name: found.pop(name) for name in list(found) if name.startswith("incomplete")}
        assert found in whole and (found == whole[1]) == (statuses[-1] == 0)
        assert not part or json.loads(part["incomplete/results.json"])["failed"]
        assert "incomplete/data.png" not in part
    assert statuses == sorted(statuses, reverse=True) and {*statuses} == {0, 1}
    print(faults)


def prepare(start, out):
    shutil.rmtree(out, ignore_errors=True)
    if start:
        shutil.copytree(start, out, symlinks=True)


def random_moments(folder):
    """The same with all pictures, killed 60 times, whenever it comes."""
    train_once()
    STYLE["savefig.dpi"] = 30  # many more kills while files are written than while they are drawn
    before, after, out = folder / "before", folder / "after", folder / "out"
    with contextlib.redirect_stdout(io.StringIO()):
        assert compare.main([*ONLY, "--seed", "1", "--out", str(before)]) == 0
        begin = time.perf_counter()
        assert compare.main([*ONLY, "--seed", "2", "--out", str(after)]) == 0
        duration = time.perf_counter() - begin
    whole, rng, kills = [seen(before), seen(after)], random.Random(0), 0
    while kills < 60:
        prepare(before, out)
        moment = rng.uniform(0, duration)
        if in_another_process(killed_after, moment, out) == -signal.SIGALRM:
            kills += 1
        else:  # it was done before: the machine has become faster since the run that was timed
            duration = moment
        assert seen(out) in whole
    print(kills)


def killed_after(seconds, out):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a process as SIGKILL does
    signal.setitimer(signal.ITIMER_REAL, seconds)
    return compare.main([*ONLY, "--seed", "2", "--out", str(out)])


def harnessed(name, folder):
    """What a harness prints."""
    done = subprocess.run(
        [sys.executable, __file__, name, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_every_kill_and_every_full_disk_leaves_a_whole_run(tmp_path):
    assert harnessed("harness", tmp_path) > 40


@pytest.mark.slow
def test_kills_at_random_moments_leave_a_whole_run(tmp_path):
    assert harnessed("random_moments", tmp_path) == 60


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
