"""The command: its files, its pictures, its exit status."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minigrad
from architectures import list_architectures
from demos import (
    benchmark,
    compare,
    curvature,
    predict,
    regression,
    show_program,
    signatures,
    sweep,
)
from demos.comparison import contest, keeping, own_data
from demos.comparison.options import place, recipe_of
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Recipe
from demos.exercises import check
from demos.shell.arguments import Parser
from demos.shell.ending import Refusal
from minigrad import backend, strict

ROOT = Path(compare.__file__).parents[1]
QUICK = ["--only", "mlp", "--replicas", "2", "--epochs", "1", "--no-plots"]


def run(tmp_path, *arguments):
    status = compare.main([*QUICK, "--out", str(tmp_path), *arguments])
    return status, json.loads((tmp_path / "results.json").read_text())


def without_times(found):
    for line in found["results"]:
        del line["train_seconds"]
    return found


def test_a_run(tmp_path, capsys):
    status, found = run(tmp_path / "new" / "folder", "--seed", "3")
    assert status == 0
    assert found["seeds"] == [3, 4] and found["epochs"] == 1 and not found["interrupted"]
    assert [line["name"] for line in found["results"]] == ["mlp"]
    said = capsys.readouterr().out
    for part in (
        "800 train / 200 test, 5 classes, 25 batches",
        "1 architecture from 1 family",
        "[1/1] MLP: ",
        "#1    MLP",
        "Key takeaways",
    ):
        assert part in said
    assert said.endswith(f"\nEverything is in {tmp_path / 'new' / 'folder'}{os.sep}\n")
    assert (tmp_path / "new" / "folder" / "results.csv").exists()


def test_a_seed_names_the_result_bit_by_bit_also_in_processes(tmp_path):
    arguments = ["--only", "mlp,mc_dropout"]
    _, once = run(tmp_path, *arguments)
    _, twice = run(tmp_path, *arguments)
    _, processes = run(tmp_path, *arguments, "--jobs", "2")
    _, other = run(tmp_path, *arguments, "--seed", "7")
    assert without_times(once) == without_times(twice) == without_times(processes)
    assert without_times(other)["results"] != once["results"]


def test_both_protocols(tmp_path, capsys):
    status, found = run(tmp_path, "--protocol", "both")
    assert status == 0
    assert [line["protocol"] for line in found["results"]] == ["shared", "native"]
    said = capsys.readouterr().out
    assert "shared protocol" in said and "native protocol" in said and "same objective" in said
    assert "[1/1] MLP: " in said  # trained once


def test_quiet_prints_the_table_and_nothing_else(tmp_path, capsys):
    assert run(tmp_path, "--quiet")[0] == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith("====") and "takeaways" not in said and "[1/1]" not in said


def test_your_own_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [f"{a},{b},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(60, 2))]
    (tmp_path / "own.csv").write_text("\n".join(["a,b,answer", *rows]))
    status, found = run(tmp_path, "--data", str(tmp_path / "own.csv"), "--target", "answer")
    assert status == 0
    assert found["data"]["name"] == "own.csv" and found["data"]["classes"] == 2
    assert found["bayes_accuracy"] is None
    said = capsys.readouterr().out
    assert "Bayes" not in said
    # Two splits, 48 rows to train on and 12 to test on; t = 12.7062, s^2 = (a - b)^2 / 2.
    a, b = found["results"][0]["accuracy"]
    half_width = 12.7062 * (((a - b) ** 2 / 2) * (1 / 2 + 12 / 48)) ** 0.5
    assert a != b and found["results"][0]["accuracy_ci95"] == pytest.approx(half_width)
    assert f"± {100 * half_width:.1f} %" in said and said.count(f"± {100 * half_width:.1f} %") == 3
    logistic = found["baselines"]["Logistic regression"]
    assert min(logistic) > 0.9 and len(found["baselines"]["Majority class"]) == 2
    assert re.search(r"\n +Logistic regression +baseline +\d", said)
    assert re.search(r"- Logistic regression reaches .* it is simpler\.", " ".join(said.split()))
    assert "over 2 splits of the same rows (corrected by Nadeau & Bengio 2003)" in " ".join(
        said.split()
    )


@pytest.mark.slow
def test_data_that_are_made_when_they_are_used_give_the_same_bits(tmp_path, monkeypatch):
    """Of a large file no replica has a copy: whatever reads a Task gets the same numbers."""
    x = np.random.default_rng(0).normal(size=(90, 2))
    np.savez(tmp_path / "own.npz", x=x, y=(x[:, 0] > x[:, 1]) * 1)
    own = ["--data", str(tmp_path / "own.npz")]

    def found(out):
        names = ["--only", "mlp,tabnet,ann2snn,mc_dropout", "--reshuffle", "--save"]
        results = without_times(run(tmp_path / out, *own, *names)[1])
        kept = [keeping.read(path) for path in sorted((tmp_path / out / "models").glob("*.npz"))]
        return results, [one.extras["rows"] for one in kept], [one.state for one in kept]

    whole = found("whole")
    monkeypatch.setattr(own_data, "LITTLE", 0)
    np.testing.assert_equal(found("lazy"), whole)
    with_pictures = [*QUICK[:-1], *own, "--out", str(tmp_path / "drawn"), "--animate"]
    assert compare.main(with_pictures) == 0


def test_what_is_missing_is_never_filled_silently(tmp_path, capsys):
    table = tmp_path / "own.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},{i if i > 3 else ''},{i % 2}\n" for i in range(40)))
    own = ["--data", str(table), "--target", "y"]
    says = refused(capsys, *QUICK, *own, "--out", str(tmp_path / "out"))
    assert "line 2, column 'b': the value is missing: --impute mean or --impute median" in says
    assert run(tmp_path / "out", *own, "--impute", "median")[0] == 0
    note = "4 of 80 values are missing: the median of their column's training rows stands for them."
    assert " ".join(capsys.readouterr().out.split()).count(note) == 2  # before, and under the table
    assert run(tmp_path / "out", *own, "--impute", "mean", "--quiet")[1]["data"]["notes"] == [
        note.replace("median", "mean")
    ]
    assert "4 of 80 values are missing" in capsys.readouterr().out


def test_names_are_not_particular(tmp_path):
    assert run(tmp_path, "--only", " MLP, mlp")[1]["results"][0]["name"] == "mlp"


def refused(capsys, *arguments):
    """What stderr says when the program refuses its options or its data."""
    try:
        status = compare.main(list(arguments))
    except SystemExit as end:  # argparse
        status = end.code
    assert status == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "mlp,gpt"], f"choose one of {', '.join(list_architectures())}"),
        (["--epochs", "0"], "'0' is not a whole number from 1 on"),
        (["--replicas", "1.5"], "'1.5' is not a whole number from 1 on"),
        (["--batch-size", "-1"], "'-1' is not a whole number from 1 on"),
        (["--jobs", "all"], "'all' is not a whole number from 1 on"),
        (["--seed", "-1"], "'-1' is not a whole number from 0 on"),
        (["--epochs", "1000001"], "'1000001' is more than 1,000,000"),
        (["--replicas", "100001"], "'100001' is more than 100,000"),
        (["--seed", "9" * 5000], "9' is not a whole number from 0 on"),  # Python reads 4300 digits
        (["--lr", "0"], "'0' is not a number above 0"),
        (["--lr", "inf"], "'inf' is not a number above 0"),
        (["--lr", "nan"], "'nan' is not a number above 0"),
        (["--lr", "1_0"], "'1_0' is not a number above 0"),
        (["--only", "mlp,gru"], "gru is for tasks such as copy (compare.py --task copy)"),
        (["--device", "tpu"], "'auto', 'cpu', 'gpu'"),
        (["--protocol", "own"], "'shared', 'native', 'both'"),
        (["--target", "y"], "--target needs --data"),
        (["--impute", "mean"], "--impute is for missing values of --data FILE"),
        (["--animate", "--no-plots"], "leave out --no-plots"),
        (["--scheduler", "tcp://host:1", "--jobs", "2"], "leave it out with --scheduler"),
        (["--fast"], "unrecognized arguments: --fast"),
    ],
)
def test_wrong_options_are_refused_with_what_is_right(capsys, arguments, complaint):
    says = refused(capsys, *arguments)
    assert complaint in says and len(says.splitlines()[-1]) < 300


def test_the_most_that_may_be_asked_for():
    options = compare.parse(["--epochs", "1000000", "--replicas", "100000", "--lr", "1e-300"])
    assert (options.epochs, options.replicas, options.lr) == (1_000_000, 100_000, 1e-300)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("--only gru --data own.npz", "gru is for tasks such as copy (compare.py --task copy)"),
        ("--only mlp,convnet --data own.npz", "cannot learn own.npz: 2 convolutions halve"),
        ("--only vit", "cannot learn rings and clusters: 2 numbers are no image of 1 x 1 x 1"),
        ("--task copy --only convnet", "cannot learn selective copying: 280 numbers are no image"),
        ("--task digits --only mamba_lti", "cannot learn digits: expected features (..., B, T, D)"),
        ("--with flat.py --only flat", "flat: of 2 rows it predicts probabilities of shape (1, 2"),
        ("--with deaf.py", "deaf: it hears nothing"),
    ],
)
@pytest.mark.parametrize("replicas", ["1", "2"])
def test_who_cannot_take_the_rows_is_refused_before_anything_is_trained(
    arguments, complaint, replicas, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contest, "train", None)
    rng = np.random.default_rng(0)
    np.savez("own.npz", x=rng.standard_normal((20, 4)), y=np.arange(20) % 2)
    guest = "import architectures\nfrom architectures.feedforward.mlp import MLP\n"
    guest += "class Guest(MLP):\n    def forward(self, x):\n        {}\n"
    guest += "architectures.register({!r}, Guest)\n"
    Path("flat.py").write_text(guest.format("return super().forward(x.reshape(1, 2, -1))", "flat"))
    Path("deaf.py").write_text(guest.format("raise ValueError('it hears nothing')", "deaf"))
    says = refused(capsys, *arguments.split(), "--replicas", replicas)
    assert complaint in says and says.startswith("compare.py: ") and says.count("\n") == 1
    assert not Path("out").exists()


def test_images_of_your_own_are_for_those_who_see_them(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", x=rng.standard_normal((20, 16)), y=np.arange(20) % 2)
    own = ["--data", str(tmp_path / "own.npz"), "--only", "convnet,vit,associative_memory"]
    assert run(tmp_path / "out", *own)[0] == 0


def test_what_the_machine_has_no_room_for_is_refused_before_it_is_drawn(monkeypatch, capsys):
    def draw(seeds):
        if len(seeds) > 1:
            raise Refusal("drawn")
        return rings_and_clusters(seeds)

    monkeypatch.setattr("demos.comparison.options.rings_and_clusters", draw)
    enough = 20_000 * (4 * 4 * 2437 + 1000 * (2 * 4 + 8))  # weights; points and labels
    arguments = ["--only", "mlp", "--replicas", "20000", "--quiet"]
    monkeypatch.setattr("demos.shell.memory.room", lambda: enough - 1)
    says = refused(capsys, *arguments)
    assert says.startswith("compare.py: mlp: 20,000 replicas of 2,437 parameters need 1.0 GiB ")
    assert says.endswith(": lower --replicas or --batch-size\n")
    monkeypatch.setattr("demos.shell.memory.room", lambda: enough)
    says = refused(capsys, *arguments)  # a word on what takes long
    assert says == (
        "mlp: 20,000 replicas of 2,437 parameters need 1.0 GiB, which takes a while ...\n"
        "compare.py: drawn\n"
    )


def test_minibatches_that_are_drawn_together_need_room_together(monkeypatch, capsys):
    monkeypatch.setattr("demos.shell.memory.room", lambda: 10 * 2**30)
    large = ["--batch-size", "1000000", "--replicas", "1"]
    says = refused(capsys, "--task", "copy", "--only", "gru", *large)
    assert "44,232 parameters need 13.4 GiB" in says


def test_wrong_data_are_refused_in_one_line(tmp_path, capsys):
    table = tmp_path / "data.csv"
    table.write_text("a,b,c,y\n1,2,3,u\n1,2,x,u\n")
    says = refused(capsys, "--data", str(table), "--target", "y")
    assert says == f"compare.py: {table}, line 3, column 'c': 'x' is not a number\n"
    table.write_text("a,b,c,y\n" + "1,2,3,u\n3,4,5,v\n" * 4)
    says = refused(capsys, "--data", str(table), "--target", "y", "--animate")
    assert says == f"compare.py: --animate needs two features, {table} has 3\n"
    says = refused(capsys, "--out", str(table))
    assert says.startswith(f"compare.py: cannot write to {table}: ")


@pytest.mark.skipif(not backend.why_no_gpu(), reason="there is a GPU")
def test_without_a_gpu(tmp_path, capsys):
    assert refused(capsys, "--device", "gpu") == f"compare.py: {backend.why_no_gpu()}\n"
    assert run(tmp_path, "--device", "auto")[1]["device"] == "cpu"
    assert f"{backend.why_no_gpu()}: training on the CPU\n" in capsys.readouterr().out


def test_a_scheduler_without_dask_is_refused(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    says = refused(capsys, *QUICK, "--scheduler", "tcp://127.0.0.1:8786")
    assert says == "compare.py: --scheduler needs Dask: pip install -e '.[distributed]'\n"


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        *((compare, [name], name) for name in ("--out", "--data", "--target", "--scheduler")),
        *((compare, ["--with"], "--with"), (sweep, ["mlp", "--with"], "--with")),
        *((predict, [], "MODEL.npz"), (predict, ["mlp.npz"], "ROWS")),
        (predict, ["mlp.npz", "rows.csv", "--out"], "--out"),
        *((benchmark, ["--json"], "--json"), (check, ["1", "--file"], "--file")),
    ],
)
def test_an_empty_name_is_refused_by_the_option_that_got_it(capsys, command, arguments, name):
    for empty in ("", " "):
        with pytest.raises(SystemExit) as end:
            command.main([*arguments, empty])
        says = f"error: argument {name}: {empty!r} is not the name of a"
        assert end.value.code == 2 and says in capsys.readouterr().err


COMMANDS = [compare, sweep, predict, regression, benchmark, signatures, curvature]


@pytest.mark.parametrize("command", COMMANDS)
def test_version(command, capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"minigrad {minigrad.__version__}\n"


NEEDED = {sweep: ["mlp"], show_program: ["mlp"], predict: ["mlp.npz", "rows.csv"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_of_every_option_what_it_takes_and_does_and_its_default(command, monkeypatch):
    """All that help says is the default is what is done unless somebody says otherwise."""
    parsers, parse_args = [], Parser.parse_args

    def remember(parser, arguments):
        parsers.append(parser)
        return parse_args(parser, arguments)

    monkeypatch.setattr(Parser, "parse_args", remember)
    options = command.parse(NEEDED.get(command, []))
    told = parsers[0].format_help()
    for text in (parsers[0].description, parsers[0].epilog or ""):
        assert text.rstrip() in told or "\n" not in text  # what has lines keeps them
    for action in parsers[0]._actions:
        name = action.option_strings or action.dest
        assert action.help, name
        if action.nargs == 0:
            continue
        assert action.metavar or action.choices, name
        value = getattr(options, action.dest)
        says = re.search(r"default: ([\w./]+)", action.help)
        if says and (says[1][0].isdigit() or isinstance(value, int | float | str | Path)):
            told = (action.type or str)(says[1])
            assert told == value or isinstance(told, tuple), name  # a sweep's option: a list


@pytest.mark.parametrize("command", [*COMMANDS, show_program])
def test_memory_is_bounded_before_it_is_used(command, tmp_path, monkeypatch, capsys):
    def bound():
        raise Refusal("bounded")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("demos.shell.arguments.bound_memory", bound)  # of those with --device
    monkeypatch.setattr(command, "bound_memory", bound, raising=False)
    assert command.main(NEEDED.get(command, [])) == 2
    name = command.__name__.removeprefix("demos.")
    assert capsys.readouterr().err == f"{name}.py: bounded\n" and not list(tmp_path.iterdir())


def test_the_recipe_is_what_the_options_say():
    task = rings_and_clusters((0,))

    def asked_for(*arguments, task=task):
        return recipe_of(compare.parse(list(arguments)), task)

    plain = Recipe(seeds=tuple(range(42, 52)), boundaries=True)
    assert asked_for() == plain
    for arguments, change in (
        ("--replicas 2 --seed 5", {"seeds": (5, 6)}),
        ("--epochs 3", {"epochs": 3}),
        ("--lr 0.5", {"learning_rate": 0.5}),
        ("--batch-size 7", {"batch_size": 7}),
        ("--reshuffle", {"reshuffle": True}),
        ("--eager", {"compiled": False}),
        ("--no-plots", {"boundaries": False}),
        ("--save", {"keep": True}),
        ("--resume", {"keep": True}),
    ):
        assert asked_for(*arguments.split()) == replace(plain, **change)
    three = replace(task, feature_names=("a", "b", "c"))
    assert asked_for(task=three) == replace(plain, boundaries=False)
    said = compare.parse(["--data", "\x1b[2J\u202e.csv"]).command
    assert said == r"python demos/compare.py --data '\x1b[2J\u202e.csv'"
    backend.activate(strict, "strict")  # where steps are not replayed
    assert asked_for() == replace(plain, compiled=False, device="strict")


def test_tasks_that_are_drawn_have_other_defaults():
    options = compare.parse(["--task", "copy"])
    assert (options.replicas, options.lr, options.jobs) == (3, 3e-3, os.cpu_count())
    assert options.only == list_architectures("copy")[::-1]  # the slow ones first
    for arguments in ([], ["--task", "rings"]):
        options = compare.parse(arguments)
        assert (options.replicas, options.lr, options.jobs) == (10, 1e-2, 1)
        assert options.only == list_architectures()


def test_no_options_are_those_of_the_shell(monkeypatch):
    """Which the page shows, so that they can be pasted."""
    monkeypatch.setattr(sys, "argv", ["compare.py", "--out", "my run", "--epochs", "3"])
    options = compare.parse(None)
    assert options.command == "python demos/compare.py --out 'my run' --epochs 3"
    assert (options.out, options.epochs) == (Path("my run"), 3)
    monkeypatch.setattr(sys, "argv", ["sweep.py", "mlp", "--lr", "0.5"])
    assert sweep.parse(None).axes["lr"] == (0.5,)


def test_there_are_no_more_processes_than_there_is_to_train(monkeypatch):
    monkeypatch.setattr("demos.comparison.options.workers", lambda n: n)
    options = compare.parse(["--jobs", "4"])
    assert [place(options, entries) for entries in (1, 3, 8)] == [1, 3, 4]
    monkeypatch.setattr("demos.comparison.options.cluster", lambda address: address)
    there = compare.parse(["--scheduler", "tcp://there:1", "--jobs", "1"])
    assert place(there, 8) == "tcp://there:1"


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], "results.json results.csv report.html training.gif"),
        ([], "accuracy.png bayes.png boundaries.png confusion.png curves.png data.png summary.png"),
        (["--format", "svg"], "accuracy.svg summary.svg"),
        (["--protocol", "both"], "shared native protocols.png"),
        (["--save", "--no-plots"], "models"),
    ],
)
def test_somebody_elses_file_is_refused_before_anything_is_trained(
    tmp_path, capsys, arguments, names
):
    for name in names.split():
        mine = tmp_path / name
        mine.write_text("mine")
        says = refused(capsys, *arguments, "--out", str(tmp_path))
        assert says.startswith(f"compare.py: {mine} is not from an earlier run: move it away")
        assert mine.read_text() == "mine" and os.listdir(tmp_path) == [name]
        mine.unlink()


def train_but(name, error, monkeypatch):
    train = contest.train

    def replaced(entry, on_epoch=None):
        if entry.name == name:
            raise error
        return train(entry, on_epoch)

    monkeypatch.setattr(contest, "train", replaced)


def test_a_failure_is_reported_at_the_end_and_replaces_no_whole_run(tmp_path, capsys, monkeypatch):
    train_but("hopfield", RuntimeError("it forgot"), monkeypatch)
    arguments = ["--only", "hopfield,mlp"]
    status, found = run(tmp_path, *arguments)
    assert status == 1
    assert found["failed"] == {"Hopfield": "RuntimeError: it forgot"}
    assert [line["name"] for line in found["results"]] == ["mlp"]
    failed = "Hopfield failed: RuntimeError: it forgot\n"
    assert capsys.readouterr().err == failed
    _, whole = run(tmp_path)
    assert run(tmp_path, *arguments) == (1, whole)
    beside = tmp_path / "incomplete"
    kept = f"what had finished is kept in {beside}{os.sep}\n"
    assert capsys.readouterr().err == failed + kept
    assert json.loads((beside / "results.json").read_text())["failed"] == found["failed"]


def test_an_architecture_that_ends_the_program_has_failed(tmp_path, monkeypatch):
    def leave(entry, on_epoch):
        sys.exit(0)

    monkeypatch.setattr(contest.resuming, "train", leave)
    status, found = run(tmp_path)
    assert status == 1 and "exit(0)" in found["failed"]["MLP"]


def test_ctrl_c_keeps_what_is_finished(tmp_path, capsys, monkeypatch):
    train_but("hopfield", KeyboardInterrupt(), monkeypatch)
    status, found = run(tmp_path, "--only", "mlp,hopfield,snn")
    assert status == 130
    assert found["interrupted"]
    assert [line["name"] for line in found["results"]] == ["mlp"]
    said = capsys.readouterr()
    assert "#1    MLP" in said.out
    assert said.err == "interrupted: what had finished is kept\n"


def test_ctrl_c_before_anything_finished_writes_nothing(tmp_path, capsys, monkeypatch):
    train_but("mlp", KeyboardInterrupt(), monkeypatch)
    assert compare.main([*QUICK, "--out", str(tmp_path)]) == 130
    assert list(tmp_path.iterdir()) == []
    says = capsys.readouterr().err
    assert says == "interrupted: nothing had finished, nothing is written\n"


def test_ctrl_c_while_drawing_keeps_the_numbers(tmp_path, capsys, monkeypatch):
    def interrupt(rankings, task, options, out, progress):
        (out / "data.png").write_text("half a pictu")
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "draw", interrupt)
    assert compare.main([*QUICK[:-1], "--out", str(tmp_path)]) == 130
    assert seen(tmp_path) == {"results.json", "results.csv"}
    assert json.loads((tmp_path / "results.json").read_text())["interrupted"]
    assert capsys.readouterr().err == "interrupted: what had finished is kept\n"


def seen(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_matplotlib_is_imported_for_pictures_only():
    code = "import demos.compare, sys; print(*sys.modules)"
    found = run_python("-c", code, cwd=ROOT).stdout.split()
    assert "numpy" in found and "matplotlib" not in found


NAMES = [command.__name__.removeprefix("demos.") for command in COMMANDS]
NAMES += ["show_program", "exercises/check"]


@pytest.fixture(scope="module")
def as_modules():
    """{command: what it prints as a module, asked for help}: a child imports for all of them.

    It has no docstrings and no asserts (-OO), which nothing may need.
    """
    code = f"""
import contextlib, runpy, sys
sys.argv = ["-m", "--help"]
for command in {NAMES}:
    with contextlib.suppress(SystemExit):
        runpy.run_module("demos." + command.replace("/", "."), run_name="__main__", alter_sys=True)
    print(end="\\0")
"""
    *said, rest = run_python("-OO", "-c", code, cwd=ROOT).stdout.split("\0")
    assert rest == ""
    return dict(zip(NAMES, said, strict=True))


@pytest.mark.parametrize("command", NAMES)
def test_a_command_runs_from_any_folder_and_as_a_module(tmp_path, as_modules, command):
    """As a file it needs no path; nothing in the folder of the caller gets in its way."""
    for name in ("minigrad", "architectures", "demos", "comparison", "pictures"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not this one')")
    as_file = run_python(str(ROOT / "demos" / f"{command}.py"), "--help", cwd=tmp_path)
    assert as_file.stdout == as_modules[command]
    assert as_file.stdout.startswith(f"usage: {Path(command).name}.py")


def run_python(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=True
    )
