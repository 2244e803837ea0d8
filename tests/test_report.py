"""Words, numbers and files of a contest, from invented outcomes."""

import io
import json
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from architectures import lookup
from demos.comparison import results
from demos.comparison import table as tables
from demos.comparison import takeaways as sentences
from demos.comparison.board import Board
from demos.comparison.prediction import confusion
from demos.comparison.progress import Progress, describe, duration, opening
from demos.comparison.ranking import rank
from demos.comparison.rings_and_clusters import rings_and_clusters
from demos.comparison.takeaways import listed
from demos.comparison.training import Entry, Outcome, Recipe
from demos.shell.terminal import has_colours as terminal_has_colours
from demos.shell.terminal import wrapped

TASK = rings_and_clusters((0, 1, 2))
RECIPE = Recipe(seeds=(0, 1, 2), epochs=4)
FAMILIES = {"mlp": "feedforward", "ebm": "energy", "hopfield": "energy", "snn": "neuromorphic"}


def outcome(name, wrong, *, seconds=1.0, parameters=100, rise=0.0, task=TASK):
    """An Outcome whose replica k takes class 4 for class 1 in `wrong[k]` rows."""
    predictions = task.y_test.copy()
    for row, n in zip(predictions, wrong):
        row[np.flatnonzero(row == 4)[:n]] = 1
    accuracy = 1 - np.array(wrong)[:, None] / task.y_test.shape[1]
    return Outcome(
        name=name,
        label=name.upper(),
        family=FAMILIES[name],
        protocol="shared",
        parameters=parameters,
        loss_history=np.repeat([[0.9, 0.5, 0.3, 0.2]], len(wrong), axis=0),
        accuracy=accuracy[:, 0].tolist(),
        accuracy_history=accuracy + np.array([-3 * rise, -2 * rise, -rise, 0]) / 100,
        predictions=predictions,
        confusion=confusion(np.eye(5)[predictions], task.y_test),
        has_own_objective=lookup(name).has_own_objective,
        train_seconds=seconds,
    )


FOUR = [
    outcome("ebm", [30, 20, 25], seconds=3.0, parameters=50),
    outcome("mlp", [5, 6, 4], seconds=0.5, parameters=2437),
    outcome("hopfield", [5, 5, 6], rise=0.5),
    outcome("snn", [9, 9, 10]),
]


def table(outcomes, task):
    return tables.table(rank(outcomes, task.bayes_accuracy), task)


def takeaways(outcomes, task):
    return sentences.takeaways(rank(outcomes, task.bayes_accuracy), task)


def protocol_table(shared, native, overlap=0.0):
    return tables.protocol_table(rank(shared), rank(native), overlap)


def test_the_opening():
    lines = opening(TASK, RECIPE, ["mlp", "ebm"]).splitlines()
    assert lines[0] == "800 train / 200 test, 5 classes, 25 batches"
    assert "seeds 0 to 2" in lines[1]
    assert lines[2] == "2 architectures from 2 families"
    alone = opening(TASK, replace(RECIPE, seeds=(4,)), ["ebm"]).splitlines()
    assert alone[1] == "1 architecture from 1 family" and len(alone) == 2


def test_the_table_is_ranked_and_marks_ties():
    lines = table(FOUR, TASK).splitlines()
    rows = [line.split() for line in lines if line.startswith("#")]
    assert [row[:3] for row in rows] == [
        ["#1", "MLP", "feedforward"],
        ["#2", "=", "HOPFIELD"],
        ["#3", "SNN", "neuromorphic"],
        ["#4", "EBM", "energy"],
    ]
    assert rows[0][3:6] == ["97.5", "±", "1.2"]
    assert rows[3][7:] == ["10.2", "3.00", "s", "50"]
    assert any(line.split()[:4] == ["Bayes", "the", "ceiling", "97.7"] for line in lines)
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    rules = [line for line in lines if set(line) <= {"=", "-"}]
    across = max(len(line) for line in lines if line.startswith("#"))
    assert rules == ["=" * across, "-" * across, "=" * across]


def test_footnotes_tell_what_the_table_does_not_show():
    odd = outcome("snn", [1, 2, 3])
    odd.extra["accuracy_before_conversion"] = [0.5, 0.5, 0.5]
    odd.loss_history[1, -1] = np.nan
    text = table([odd], TASK)
    assert "SNN: 50.0 ± 0.0 % before its conversion." in text
    assert "SNN: the loss of 1 of 3 replicas diverged" in text


def test_takeaways_follow_the_numbers():
    said = "\n".join(takeaways(FOUR, TASK))
    assert "MLP reaches 97.5 ± 1.2 %, 0.2 points below the 97.7 %" in said
    assert "; HOPFIELD cannot be told from it" in said
    assert "Of 3 single runs, 2 would have put MLP first" in said
    assert "\nInside the energy family accuracies differ by 9.8 points, between" in said
    assert "EBM trains 6.0 times as long as MLP and ranks #4 against #1" in said
    assert "; the largest, MLP (2,437 parameters), ranks #1, the smallest, EBM (50), #4." in said
    assert "100 % of all mistakes take class 1 and class 4 for each other" in said
    assert "HOPFIELD (+1.0). Try more --epochs" in said

    other = [outcome("snn", [0, 0, 0]), outcome("mlp", [8, 9, 10]), outcome("ebm", [9, 8, 10])]
    said = "\n".join(takeaways(other, TASK))
    assert "SNN reaches 100.0 ± 0.0 %, at the level of the 97.7 %" in said
    assert "no other comes close" in said
    assert "All 3 single runs would have put SNN first" in said and "luck" not in said
    assert "Nobody gained half a point" in said

    other = [
        outcome("hopfield", [1, 2, 1]),
        outcome("ebm", [2, 2, 1]),
        outcome("mlp", [30, 31, 29]),
    ]
    assert "Family matters more than architecture: inside the energy" in takeaways(other, TASK)[2]
    other[1] = outcome("ebm", [60, 61, 62])
    assert "Architecture matters more than family: inside the energy" in takeaways(other, TASK)[2]


def test_who_still_learns_is_told_by_three_epochs_and_not_by_two():
    for epochs, told in ((3, "Gained over the last two epochs, in points: MLP (+0.6)."), (2, "")):
        one = outcome("mlp", [5, 6, 4], rise=0.3)
        one.loss_history = one.loss_history[:, -epochs:]
        one.accuracy_history = one.accuracy_history[:, -epochs:]
        said = " ".join(takeaways([one], TASK))
        assert told in said and ("epochs" in said) == bool(told)


def test_gaps_are_those_of_the_printed_numbers():
    task = replace(TASK, bayes_accuracy=0.97745)  # is printed as 97.7, and 97.667 as well
    said = takeaways([outcome("mlp", [5, 5, 4])], task)[0]
    assert said == "MLP reaches 97.7 ± 0.7 %, at the level of the 97.7 % that are possible."


def test_what_diverged_is_left_out_of_the_takeaways():
    lost = outcome("snn", [0, 0, 0], seconds=100.0)
    lost.loss_history[1, -1] = np.nan
    said = "\n".join(takeaways([*FOUR[:3], lost], TASK))
    assert said.startswith("MLP reaches") and "SNN" not in said
    assert "ranks #4 against #2" in said  # as in the table
    assert takeaways([lost], TASK) == ["Every loss diverged: this run shows nothing else."]


def test_your_own_data_have_splits_and_no_ceiling():
    own = replace(TASK, posterior=None, bayes_accuracy=None, class_names=tuple("abcde"))
    own = replace(own, y_test=own.y_test[:, :16], resampled=True)
    lines = opening(own, RECIPE, ["mlp"]).splitlines()
    assert "its own split" in lines[1]
    assert lines[2] == "Only 16 test rows: one row more right is 6 points."
    assert "ceiling" not in table([outcome("mlp", [1, 2, 1], task=own)], own)
    said = takeaways([outcome("mlp", [1, 2, 1], task=own)], own)
    assert "100 % of all mistakes take class b and class e for each other." in said


def test_of_two_classes_nobody_asks_which_are_taken_for_each_other():
    two = outcome("mlp", [5, 6, 4])
    two.confusion = two.confusion[np.ix_([1, 4], [1, 4])]
    assert two.confusion[1, 0] == 15
    assert not any("each other" in sentence for sentence in takeaways([two], TASK))


def test_takeaways_of_one_replica_and_of_one_architecture():
    task = rings_and_clusters((0,))
    pair = [outcome("mlp", [4], task=task), outcome("snn", [6], task=task)]
    said = "\n".join(takeaways(pair, task))
    assert "one standard error is 1.0 points: 1 of the other 1 lie within two of MLP" in said
    assert "95.5 %" not in said and "cannot be told" not in said and "no other" not in said
    pair[1] = outcome("snn", [4], task=task)
    assert "; SNN equals it on these 200 points." in takeaways(pair, task)[0]
    assert "=  equal to the line above on these 200 points" in table(pair, task)
    perfect = outcome("mlp", [0], task=task)
    assert "Nobody makes a mistake." in takeaways([perfect], task)


def test_protocol_table():
    native = [outcome("mlp", [5, 6, 4]), outcome("ebm", [3, 4, 4])]
    rows = [line for line in protocol_table(FOUR, native).splitlines() if "±" in line]
    assert rows[0].split()[0] == "EBM" and rows[0].endswith("+10.7 ± 6.8")
    assert rows[1].split()[0] == "MLP" and rows[1].endswith("same objective")
    assert len(rows) == 2
    assert "+10.7 ± 13.7 =" in protocol_table(FOUR, native, overlap=1.0)  # sqrt(1/3 + 1) for 1/3
    same = outcome("ebm", [30, 20, 25])
    assert "+0.0 ± 0.0 =" in protocol_table(FOUR, [same])
    one = outcome("ebm", [30])
    assert "replicas" not in protocol_table([one], [one])


def test_confusion_counts_true_classes_down():
    counts = FOUR[0].confusion
    assert counts.sum() == 600
    assert counts[4, 1] == 75 and counts[1, 4] == 0


def test_listed():
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"


# --- as data ---------------------------------------------------------------------------------


def collect(outcomes=FOUR, **state):
    state = {"failed": {}, "interrupted": False} | state
    return results.collect({"shared": rank(outcomes)}, TASK, RECIPE, "shared", **state)


def test_the_schema():
    found = json.loads(json.dumps(collect()))
    assert list(found) == [
        *("schema", "minigrad", "device", "array_module", "dtype", "protocol", "epochs"),
        *("batch_size", "learning_rate", "reshuffle", "seeds", "data", "bayes_accuracy"),
        *("baselines", "interrupted", "failed", "results"),
    ]
    assert found["schema"] == 1 and found["array_module"] == "numpy" and found["seeds"] == [0, 1, 2]
    told = ("device", "dtype", "protocol", "epochs", "batch_size", "learning_rate", "reshuffle")
    assert [found[key] for key in told] == ["cpu", "float32", "shared", 4, 32, 0.01, False]
    assert (found["bayes_accuracy"], found["baselines"]) == (TASK.bayes_accuracy, {})
    assert found["data"] == {
        "name": "rings and clusters",
        "train": 800,
        "test": 200,
        "classes": 5,
        "features": 2,
        "batches": 25,
        "notes": [],
    }
    first, second, *_ = found["results"]
    assert (first["name"], first["rank"], first["tied_with_above"]) == ("mlp", 1, False)
    assert (second["name"], second["rank"], second["tied_with_above"]) == ("hopfield", 2, True)
    assert first["accuracy"] == [0.975, 0.97, 0.98]
    assert first["accuracy_mean"] == pytest.approx(0.975)
    assert first["accuracy_ci95"] == pytest.approx(4.3027 * 0.005 / 3**0.5)
    assert first["final_loss"] == [0.2] * 3 and len(first["loss_history"][0]) == 4
    assert first["parameters"] == 2437 and first["train_seconds"] == 0.5 and first["extra"] == {}


def test_a_diverged_loss_is_null_in_json(tmp_path):
    odd = outcome("mlp", [1, 2, 3])
    odd.loss_history[1] = [1, np.inf, np.nan, np.nan]
    results.write_json(tmp_path / "results.json", collect([odd]))
    text = (tmp_path / "results.json").read_text()
    assert len(text.splitlines()) > 50  # to be read, and compared line by line
    [line] = json.loads(text)["results"]
    assert line["final_loss"] == [0.2, None, 0.2]
    assert line["loss_history"][1] == [1, None, None, None]


def test_what_no_json_can_hold_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        results.write_json(tmp_path / "results.json", {"accuracy": np.nan})


def test_csv(tmp_path):
    results.write_csv(tmp_path / "results.csv", collect())
    head, first, *others = (tmp_path / "results.csv").read_text().splitlines()
    assert head.startswith("rank,tied_with_above,name,label,family,protocol,accuracy_mean")
    assert first.startswith("1,False,mlp,MLP,feedforward,shared,0.975")
    assert len(others) == 3
    results.write_csv(tmp_path / "none.csv", collect([]))
    assert (tmp_path / "none.csv").read_text() == ""


# --- progress --------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Its one item is the time."""
    now = [0.0]
    monkeypatch.setattr("demos.comparison.progress.time.perf_counter", lambda: now[0])
    return now


def run_progress(stream, clock):
    progress = Progress(2, stream)
    entry = Entry("mlp", TASK, RECIPE)
    for epoch in (1, 2):
        clock[0] += 5
        progress.epoch(entry, epoch, 0.5 / epoch, 0.9)
    progress.finished(entry, FOUR[1])
    progress.finished(replace(entry, recipe=replace(RECIPE, protocol="native")), ValueError("oh"))
    return stream.getvalue()


def test_progress_elsewhere_is_plain_lines(clock):
    assert run_progress(io.StringIO(), clock).splitlines() == [
        "[1/2] MLP: 97.5 ± 1.2 % accuracy in 0.50 s",
        "[2/2] MLP (native): failed: ValueError: oh",
    ]


def test_progress_on_a_terminal_is_one_line_that_updates(monkeypatch, clock):
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("TERM", "xterm")
    live, *lines = run_progress(Terminal(), clock).split("\n")
    updates = [update.rstrip() for update in live.split("\r")[1::2]]
    assert updates == [
        "[0/2] starting ...",
        "[0/2] MLP: epoch 1/4, loss 0.500, accuracy 90.0 %; about 35 s left",
        "[0/2] MLP: epoch 2/4, loss 0.250, accuracy 90.0 %; about 30 s left",
        "",  # wiped
    ]
    assert live.endswith("\r[1/2] MLP: 97.5 ± 1.2 % accuracy in 0.50 s")
    assert len(lines) == 2
    monkeypatch.setenv("TERM", "dumb")
    assert "\r" not in run_progress(Terminal(), clock)


def test_progress_of_several_at_once(clock):
    stream = io.StringIO()
    progress = Progress(4, stream, live=True)
    clock[0] = 60
    progress.epoch(Entry("mlp", TASK, RECIPE), 2, 0.5, 0.9)
    progress.epoch(Entry("ebm", TASK, RECIPE), 3, 0.5, 0.9)
    progress.drawing("data.png")
    says = [update.rstrip() for update in stream.getvalue().split("\r")[-4::2]]
    assert says == ["[0/4] MLP 2/4, EBM 3/4; about 2 min left", "drawing data.png ..."]


def test_times_in_the_table_stay_narrow():
    found = [tables.seconds(t) for t in (0.061, 9.996, 23.75, 99.96, 1234.5)]
    assert found == ["0.06 s", "10.0 s", "23.8 s", "100 s", "1234 s"]


def test_durations():
    assert [duration(s) for s in (0.4, 99, 100, 7500)] == ["0 s", "99 s", "2 min", "2 h 5 min"]


def test_a_board_tells_what_is_new(tmp_path):
    board = Board(tmp_path / "epochs", 3)
    first, last = (pickle.loads(pickle.dumps(board.line(k))) for k in (0, 2))
    first(None, 1, 0.5, 0.75)
    assert board.news() == [(0, 1, 0.5, 0.75)]
    last(None, 4, 0.25, np.float32(0.5))
    assert board.news() == [(2, 4, 0.25, 0.5)] and board.news() == []
    (tmp_path / "epochs").unlink()
    first(None, 2, 0.5, 0.5)  # as from another machine: nothing is seen, nothing goes wrong


# --- the terminal ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("set_to", "terminal", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),  # as if it were not set
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colours_are_for_terminals_that_have_them(monkeypatch, set_to, terminal, expected):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    assert terminal_has_colours(stream) == expected
    assert ("\033[" in table(FOUR, TASK)) == expected


def test_colours_tell_what_competes_from_what_does_not(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    unknown = replace(TASK, bayes_accuracy=None, posterior=None, baselines={"Majority": [0.2] * 3})
    for task in (TASK, unknown):
        styles = {}
        for line in table(FOUR, task).splitlines():
            code, words = re.fullmatch(r"(?:\033\[(\d+)m)?([^\033]*)(?:\033\[0m)?", line).groups()
            styles.setdefault(code, []).append(" ".join(words.split()[:2]))
        assert styles["32"] == ["#1 MLP"] and styles["1"] == ["Rank Architecture"]
        assert styles[None] == ["#2 =", "#3 SNN", "#4 EBM"]
        assert ("Bayes the" in styles["2"], "Majority baseline" in styles["2"]) == (
            task.bayes_accuracy is not None,
            bool(task.baselines),
        )


def test_what_failed_is_red(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = io.StringIO()
    Progress(1, stream).finished(Entry("mlp", TASK, RECIPE), ValueError("oh"))
    assert stream.getvalue() == "[1/1] MLP: \033[31mfailed: ValueError: oh\033[0m\n"


def test_a_path_stays_whole_so_that_it_can_be_copied(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    path = "out/a-folder-with-a-long-name"
    assert wrapped(f"it is in {path}", "- ", "  ") == f"- it is in\n  {path}"


def test_what_is_said_fits_the_terminal(monkeypatch):
    for columns in (80, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        lines = [wrapped(says, "- ", "  ") for says in takeaways(FOUR, TASK)]
        lines += [opening(TASK, RECIPE, ["mlp"]), *table(FOUR, TASK).split("\n")[-4:]]
        assert max(len(line) for says in lines for line in says.split("\n")) <= columns


def test_an_error_is_one_line_with_its_notes():
    error = ValueError("shapes differ")
    error.add_note("in op linear")
    assert describe(error) == "ValueError: shapes differ; in op linear"


# --- in a console ----------------------------------------------------------------------------


def test_reprs_are_short():
    found = rank(FOUR)
    assert repr(FOUR[1]) == "Outcome(MLP, shared: 97.5 %, 3 replicas)"
    assert repr(found[1]) == "#2 = HOPFIELD: 97.3 ± 0.7 %"
