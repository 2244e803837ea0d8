"""Sweeps: which settings train together, that they are the runs alone, and the command."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import minigrad
from architectures import list_architectures, lookup, register
from architectures.feedforward.mlp import MLP
from demos import compare, sweep
from demos.comparison.progress import spelt
from demos.comparison.ranking import Estimate, estimate, t_975
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.training import Entry, Recipe, train
from demos.pictures.palette import STYLE
from demos.sweeping import grid, report
from demos.sweeping.grid import combinations, turns
from demos.sweeping.options import parse, value
from demos.sweeping.picture import picture
from demos.sweeping.report import Line
from minigrad import backend

SEEDS = (42, 43)
TASK = rings_and_clusters(SEEDS)
FIRST = replace(
    TASK,
    **{name: getattr(TASK, name)[:1] for name in ("x_train", "y_train", "x_test", "y_test")},
)
SMALL = ["--replicas", "2", "--epochs", "1", "--quiet"]


def run(folder, *arguments, status=0):
    """(the exit status is as expected) the JSON that a sweep has written."""
    assert sweep.main([*map(str, arguments), "--out", str(folder)]) == status
    return json.loads((folder / "sweep.json").read_text())


# --- the grid --------------------------------------------------------------------------------


def test_all_combinations():
    assert combinations({"a": (1, 2), "b": "xy"}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert combinations({}) == [{}]


AXES = {
    "lr": (1e-3, 1e-1),
    "weight_decay": (0.0, 0.1),
    "batch_size": (32,),
    "hidden_sizes": ((3,), (4, 2)),
}


def test_numbers_of_the_optimizer_share_a_stack_and_nothing_else_does():
    first, second = turns("mlp", AXES, TASK, Recipe(SEEDS))
    for turn, widths in ((first, (3,)), (second, (4, 2))):
        assert turn.entry.options == {"hidden_sizes": widths}
        assert turn.entry.recipe.seeds == SEEDS * 4
        assert turn.entry.recipe.learning_rate == (1e-3,) * 4 + (1e-1,) * 4
        assert turn.entry.recipe.weight_decay == (0.0, 0.0, 0.1, 0.1) * 2
        np.testing.assert_array_equal(turn.entry.task.x_test[-2:], TASK.x_test)
        assert turn.settings[1] == {
            "batch_size": 32,
            "hidden_sizes": widths,
            "lr": 1e-3,
            "weight_decay": 0.1,
        }
    together = [str(setting) for turn in (first, second) for setting in turn.settings]
    assert len(set(together)) == 8


def test_a_stack_is_not_larger_than_it_should_be(monkeypatch):
    monkeypatch.setitem(grid.MOST_AT_ONCE, "cpu", 5)
    some = turns("mlp", {"lr": (1, 2, 3, 4, 5)}, TASK, Recipe(SEEDS))
    assert [len(turn.settings) for turn in some] == [2, 2, 1]
    monkeypatch.setitem(grid.MOST_AT_ONCE, "cpu", 1)  # less than the replicas of one setting
    assert len(turns("mlp", {"lr": (1, 2)}, TASK, Recipe(SEEDS))) == 2


# --- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize("name, option", [("mlp", "hidden_sizes"), ("hopfield", "num_patterns")])
def test_a_setting_is_the_run_alone_bit_for_bit(name, option, tmp_path):
    values = {"mlp": ("3", "4x2"), "hopfield": ("4", "5")}[name]
    found = run(
        tmp_path,
        *(name, *SMALL, "--no-plots", "--lr", "1e-3,1e-1", "--weight-decay", "0,0.1"),
        *(f"--{option.replace('_', '-')}", ",".join(values), "--batch-size", "64"),
    )
    assert len(found["results"]) == 8
    for line in found["results"]:
        own = line["setting"]
        recipe = Recipe(
            SEEDS,
            epochs=1,
            batch_size=64,
            learning_rate=own["lr"],
            weight_decay=own["weight_decay"],
        )
        given = own[option]
        given = tuple(given) if isinstance(given, list) else given
        alone = train(Entry(name, TASK, recipe, options={option: given}))
        assert alone.accuracy == line["accuracy"]
        assert alone.loss_history[:, -1].tolist() == line["final_loss"]
        assert alone.parameters == line["parameters"]
        outcome = train(Entry(name, FIRST, replace(recipe, seeds=SEEDS[:1]), (), {option: given}))
        assert outcome.accuracy == line["accuracy"][:1]
        assert outcome.loss_history[0, -1] == line["final_loss"][0]


def test_what_it_prints_and_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    arguments = ["mlp", "--replicas", "2", "--lr", "1e-4,1e-2", "--hidden-sizes", "8,16x4"]
    found = run(tmp_path, *arguments, "--epochs", "2")
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["sweep.json", "sweep.png"]
    results = found.pop("results")
    assert found == {
        "schema": 1,
        "minigrad": minigrad.__version__,
        "device": "cpu",
        "architecture": "mlp",
        "protocol": "shared",
        "data": "rings and clusters",
        "notes": [],
        "seeds": [42, 43],
        "axes": {
            "lr": [1e-4, 1e-2],
            "weight_decay": [0],
            "epochs": [2],
            "batch_size": [32],
            "hidden_sizes": [[8], [16, 4]],
        },
        "interrupted": False,
        "failed": {},
    }
    text = capsys.readouterr().out
    assert text.startswith("4 settings, 2 replicas each: 8 runs, in 2 stacks\n")
    assert "[1/2] MLP (hidden_sizes=8): 4 runs (2 epochs, batches of 32) in " in text
    rows = re.findall(r"^ *(0\.\d+) +(8|16x4) +([\d.]+) ± [\d.]+ %", text, re.M)
    means = [float(mean) for *_, mean in rows]
    assert len(rows) == 4 and means == sorted(means, reverse=True)
    assert means == [round(100 * line["accuracy_mean"], 1) for line in results]
    assert "The best of 4 is chosen by these test rows" in text
    assert text.endswith(f"\nEverything is in {tmp_path}{os.sep}\n")


def test_the_table_marks_what_cannot_be_told_from_the_best(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    def line(width, *accuracy, loss=1.0):
        return Line({"width": width}, [*accuracy], [loss] * 3, 1234, estimate(accuracy))

    worst, best = line(2, 0.5, 0.5, 0.5, loss=np.inf), line(8, 0.9, 0.8, 0.85)
    near = line(4, 0.8, 0.85, 0.85)
    text = report.table([worst, near, best], replace(TASK, notes=("4 are missing.",)), ["width"])
    _, head, _, *rows, _, spread, equal, note, chosen = text.splitlines()
    assert head.split() == ["width", "accuracy", "parameters"]
    assert [" ".join(row.split()) for row in rows] == [
        "8 85.0 ± 12.4 % 1,234",
        "4 83.3 ± 7.2 % = 1,234",
        "2 50.0 ± 0.0 % 1,234 3 diverged",
    ]
    assert spread == "±  95 % confidence interval of the mean over 3 replicas"
    assert equal == "=  cannot be told from the best (paired over replicas, 95 %)"
    assert note == "4 are missing." and chosen.startswith("The best of 3 is chosen by these")
    text = report.table([best], replace(TASK, resampled=True), ["width"])
    corrected = ", corrected for splits of the same rows (Nadeau & Bengio 2003)"
    assert text.splitlines()[5:] == [spread + corrected]


@pytest.mark.skipif(not backend.why_no_gpu(), reason="there is a GPU")
def test_it_says_why_it_is_on_the_cpu(tmp_path, capsys):
    run(tmp_path, "mlp", "--replicas", "1", "--epochs", "1", "--device", "auto", "--no-plots")
    said = f"{backend.why_no_gpu()}: training on the CPU\n1 setting, 1 replica each: 1 run, in 1 s"
    assert capsys.readouterr().out.startswith(said)


def test_the_map_shows_each_setting_where_its_values_are():
    axes = {"width": ((8,), (16, 4)), "lr": (1e-4, 1e-3, 1e-2), "epochs": (2,), "tau": (1.0, 2)}
    means = [0.5, 0.6, 0.7, 0.8, 0.9, 0.955, 0.55, 0.65, 0.75, 0.85, 0.95]  # and the last failed
    lines, expected = [], {}
    for setting, mean in zip(combinations(axes), means):
        spread = -0.01 if mean == 0.95 else 0.01  # all others have the same sign: no ties
        losses = [1.0, np.nan if mean == 0.5 else 1.0]
        accuracy = [mean - spread, mean + spread]
        lines.append(Line(setting, accuracy, losses, 7, Estimate(mean, 0.1)))
        expected[spelt(setting["width"]), f"{setting['lr']}, {setting['tau']}"] = mean
    figure = picture(lines[::-1], TASK, axes, "MLP: rings")
    (chart, bar), [image] = figure.axes, figure.axes[0].images
    assert (chart.get_xlabel(), chart.get_ylabel()) == ("width", "lr, tau")
    assert chart.get_title().startswith("MLP: rings\n") and bar.get_ylabel() == "accuracy, %"
    columns, rows = ([t.get_text() for t in a.get_ticklabels()] for a in (chart.xaxis, chart.yaxis))
    for text in chart.texts:
        column, row = text.get_position()
        mean = expected.pop((columns[column], rows[row]))
        assert text.get_text() == f"{100 * mean:.1f} ± 10.0" + "\ndiverged" * (mean == 0.5)
        assert text.get_weight() == ("bold" if mean >= 0.95 else "normal")
        shade = image.get_array()[row, column]
        assert shade == pytest.approx(100 * mean)
        paper = image.cmap(image.norm(shade))[:3]
        assert abs(np.mean(to_rgb(text.get_color())) - np.mean(paper)) > 0.3  # it can be read
    assert not expected and np.ma.count_masked(image.get_array()) == 1


def test_one_setting_is_a_sweep_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    found = run(tmp_path, "mlp", "--replicas", "1", "--epochs", "1", "--quiet")
    assert len(found["results"]) == 1 and found["results"][0]["accuracy_ci95"] is None
    assert (tmp_path / "sweep.png").exists()
    printed = capsys.readouterr().out.strip()
    assert "±" not in printed and set(printed[:: len(printed) - 1]) == {"="}  # the table alone


def test_the_name_of_a_file_is_drawn_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    data = tmp_path / f"犬$\\frac${'n' * 99}.npz"
    np.savez(data, x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    assert not run(tmp_path / "out", "mlp", *SMALL, "--data", data)["failed"]
    assert (tmp_path / "out" / "sweep.png").exists()


def test_a_run_that_diverges_is_shown_as_such(tmp_path, capsys):
    found = run(tmp_path, "mlp", *SMALL, "--lr", "1e-2,1e30")
    assert found["results"][-1]["final_loss"] == [None, None]
    assert "2 diverged" in capsys.readouterr().out


class Fragile(MLP):
    """Fails while it trains, if it is narrow."""

    def forward(self, x):
        if self.training and self.output_size < 4:
            raise ArithmeticError("too narrow")
        return super().forward(x)


def test_what_fails_does_not_end_the_others(tmp_path, capsys):
    register("fragile", Fragile, label="Fragile", options={"dropout": 0.0})
    arguments = ["fragile", *SMALL, "--no-plots", "--hidden-sizes", "3,5"]
    found = run(tmp_path, *arguments, status=1)
    assert [line["setting"]["hidden_sizes"] for line in found["results"]] == [[5]]
    assert list(found["failed"]) == ["Fragile (hidden_sizes=3)"]
    assert "Fragile (hidden_sizes=3) failed: ArithmeticError: too narrow" in capsys.readouterr().err
    whole = run(tmp_path, *[a.replace("3,5", "5") for a in arguments])
    assert run_again_keeps(whole, tmp_path, arguments)


def run_again_keeps(whole, folder, arguments):
    """A run with a failure goes beside a whole one, not over it."""
    assert sweep.main([*arguments, "--out", str(folder)]) == 1
    assert json.loads((folder / "incomplete" / "sweep.json").read_text())["failed"]
    return json.loads((folder / "sweep.json").read_text()) == whole


def test_a_picture_that_fails_does_not_lose_the_numbers(tmp_path, capsys, monkeypatch):
    def full(path, *_):
        path.write_text("half a pictu")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sweep, "draw", full)
    found = run(tmp_path, "mlp", *SMALL, status=1)
    assert len(found["results"]) == 1 and "No space left" in found["failed"]["picture"]
    assert not (tmp_path / "sweep.png").exists()
    assert "picture failed: " in capsys.readouterr().err


def test_ctrl_c_keeps_what_had_finished(tmp_path, capsys, monkeypatch):
    def interrupted(entry, on_epoch=None):
        if entry.options["hidden_sizes"] == (5,):
            raise KeyboardInterrupt
        return train(entry, on_epoch)

    monkeypatch.setattr("demos.comparison.contest.train", interrupted)
    found = run(tmp_path, "mlp", *SMALL, "--hidden-sizes", "3,5", status=130)
    assert found["interrupted"] and len(found["results"]) == 1
    assert not (tmp_path / "sweep.png").exists()  # which nobody waits for
    kept = f"interrupted: what had finished is kept in {tmp_path}{os.sep}\n"
    assert capsys.readouterr().err == kept
    nothing = tmp_path / "nothing"
    assert sweep.main(["mlp", *SMALL, "--hidden-sizes", "5,3", "--out", str(nothing)]) == 130
    assert list(nothing.iterdir()) == []
    says = "interrupted: nothing had finished, nothing is written\n"
    assert capsys.readouterr() == ("", says)


def test_ctrl_c_while_drawing_keeps_the_numbers(tmp_path, monkeypatch):
    def interrupt(path, *_):
        path.write_text("half a pictu")
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "draw", interrupt)
    assert run(tmp_path, "mlp", *SMALL, status=130)["interrupted"]
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["sweep.json"]


def test_a_guest_and_own_data_here_and_in_other_processes(tmp_path, capsys):
    file = tmp_path / "wide.py"
    file.write_text(
        "import architectures\n"
        "from architectures.feedforward.mlp import MLP\n"
        "class Wide(MLP):\n"
        "    def __init__(self, input_size, width=4, *, rng=None):\n"
        "        super().__init__(input_size, (width,), dropout=0.0, rng=rng)\n"
        "architectures.register('wide', Wide)\n"
    )
    data = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 3))
    x[7, 2] = np.nan
    np.savez(data, x=x, y=rng.integers(2, size=60))
    arguments = ["wide", "--with", file, "--data", data, "--width", "2,6", *SMALL, "--no-plots"]
    arguments += ["--impute", "mean"]
    found = run(tmp_path / "out", *arguments)
    [note] = found["notes"]
    assert note.startswith("1 of 180 values are missing")
    assert note in " ".join(capsys.readouterr().out.split())
    assert {line["setting"]["width"] for line in found["results"]} == {2, 6}
    assert {line["parameters"] for line in found["results"]} == {
        3 * w + w + 2 * w + 2 for w in (2, 6)
    }
    assert run(tmp_path / "there", *arguments, "--jobs", "2") == found
    for line in found["results"]:  # splits of the same rows: Nadeau & Bengio's interval
        a, b = line["accuracy"]
        spread = abs(a - b) / 2**0.5
        expected = t_975(1) * spread * (1 / 2 + 12 / 48) ** 0.5
        assert line["accuracy_ci95"] == pytest.approx(expected)


# --- the command line ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, like, expected",
    [
        ("64x32", (1,), (64, 32)),
        ("16", (1, 2), (16,)),
        ("2", 1.5, 2.0),
        ("3", 5, 3),
        ("TRUE", False, True),
        ("none", None, None),
        ("none", 4, None),
        ("0.5", None, 0.5),
        ("7", None, 7),
        ("8x8x1", None, (8, 8, 1)),
        ("x8", None, "x8"),
        ("relu", None, "relu"),
        ("none", "relu", "none"),
    ],
)
def test_values(text, like, expected):
    found = value(text, like)
    assert found == expected and type(found) is type(expected)


def test_what_is_spelt_is_read_again():
    for name in list_architectures():
        for option, default in lookup(name).options.items():
            assert value(spelt(default), default) == default, (name, option)
    assert [spelt(one) for one in (True, False, None, 1)] == ["true", "false", "none", "1"]


def test_who_says_nothing_gets_the_recipe_of_the_comparison():
    ours, its = parse(["mlp"]), compare.parse([])
    assert ours.axes == {
        "lr": (its.lr,),
        "weight_decay": (Recipe.weight_decay,),
        "epochs": (its.epochs,),
        "batch_size": (its.batch_size,),
    }
    assert (ours.seeds, ours.protocol, ours.device) == (its.seeds, its.protocol, its.device)


def test_every_option_of_the_architecture_may_be_swept():
    options = parse([" SNN", "--tau", "1,2.5", "--surrogate", "arctan", "--lr", "0.1"])
    assert options.axes["tau"] == (1.0, 2.5)
    assert options.axes["surrogate"] == ("arctan",)
    assert options.axes["lr"] == (0.1,) and "slope" not in options.axes
    assert options.name == "snn"


def test_words_that_argparse_would_misread():
    options = parse(["bayesian", "--posterior-rho", "-3,-5.5", "--hidden_sizes=3", "--lr", "0.1"])
    assert options.axes["posterior_rho"] == (-3.0, -5.5)
    assert options.axes["hidden_sizes"] == ((3,),)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "the following arguments are required: NAME"),
        (["mpl"], "unknown architecture 'mpl'"),
        (["--lr", "0.1", "mlp"], "the architecture comes first"),
        (["mlp", "--lr", "0.1,-1"], "'-1' is not a number above 0"),
        (["mlp", "--lr", "0.1,0.10"], "'0.1,0.10' names a value twice"),
        (["mlp", "--lr", "1e-3,", "1e-2"], "'1e-3,' has an empty place: values are separated by"),
        (["mlp", "--lr", "1e-3, ,1e-2"], "'1e-3, ,1e-2' has an empty place"),
        (["mlp", "--wit", "none.py"], "unrecognized arguments: --wit none.py"),
        (["mlp", "--weight-decay", "x"], "'x' is not a number above 0"),
        (["mlp", "--hidden-sizes", "64,32y"], "'32y' is nothing like the default 64x32"),
        (["mlp", "--hidden-sizes", "8x1000001"], "'1000001' is more than 1,000,000"),
        (["mlp", "--tau", "3"], "unrecognized arguments: --tau 3"),
    ],
)
def test_what_is_no_sweep_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        sweep.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_option_that_makes_no_sense_is_refused_before_anything_is_trained(
    tmp_path, capsys, monkeypatch
):
    assert sweep.main(["mlp", "--activation", "relu,rleu", "--out", str(tmp_path / "out")]) == 2
    assert "sweep.py: mlp: unknown activation 'rleu'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert sweep.main(["hopfield", "--num-heads", "3", "--out", str(tmp_path / "out")]) == 2
    assert "num_heads=3 does not divide hidden_size=64" in capsys.readouterr().err
    for name, task in (("gru", "copy"), ("convnet", "digits")):
        assert sweep.main([name, "--out", str(tmp_path / "out")]) == 2
        says = f"sweep.py: {name} is for tasks such as {task} (compare.py --task {task}), and "
        assert capsys.readouterr().err.startswith(f"{says}cannot learn rings and clusters: ")
    monkeypatch.setattr("demos.shell.memory.room", lambda: 100_000)
    assert sweep.main(["mlp", "--hidden-sizes", "8,64x32", "--out", str(tmp_path / "out")]) == 2
    assert "mlp: 10 replicas of 69 parameters need" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_help_shows_the_options_of_an_architecture(capsys):
    for arguments, text in ((["--help"], "NAME"), (["tabnet", "--help"], "--relaxation-factor")):
        with pytest.raises(SystemExit) as stop:
            sweep.main(arguments)
        assert stop.value.code == 0 and text in capsys.readouterr().out


def test_help_names_whoever_learns_tables(capsys):
    with pytest.raises(SystemExit):
        sweep.main(["--help"])
    names = re.search(r"one of ([\w,\s]+?)\n\n", capsys.readouterr().out)[1].split()
    named = {name.rstrip(",") for name in names}
    assert named >= {*list_architectures()} and not named & {"gru", "mamba", "convnet", "vit"}
