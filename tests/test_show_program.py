"""show_program.py prints a step that NumPy can run, and draws a small one."""

import re
from itertools import pairwise

import numpy as np
import pytest
from legible import faults
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from demos import show_program
from demos.pictures import program


def test_the_printed_step_runs(capsys):
    assert show_program.main(["hopfield", "--protocol", "native", "--replicas", "2"]) == 0
    scope = {}
    exec(capsys.readouterr().out, scope)
    assert "adam_values" in scope["step"].__code__.co_varnames
    assert scope["np"] is np


def test_it_is_a_step_of_the_comparison(capsys):
    """32 points in the plane, five classes."""
    show_program.main(["mlp", "--hidden", "7"])
    printed = capsys.readouterr().out
    assert "layers_0_weight = adam_values[0:14].reshape(2, 7)" in printed
    assert "head_bias = adam_values[56:61].reshape(1, 5)" in printed
    assert re.search(r"h1 = x @ layers_0_weight +# 32, 7\n", printed)


def test_a_blank_line_stands_before_each_part_of_the_step(capsys):
    show_program.main(["mlp"])
    lines = capsys.readouterr().out.splitlines()
    parts = [k for k, line in enumerate(lines) if line.startswith("    # ")]
    assert len(parts) > 4
    for k in parts:
        assert not lines[k - 1] or lines[k - 1].endswith(":")


def in_boxes(graph):
    """{what a box says: [(what is written below it, its corners)], in the order of drawing}."""
    labels = [text for text in graph.texts if text.get_position()[1] < 2]
    boxes = {}
    for box in (patch for patch in graph.patches if isinstance(patch, FancyBboxPatch)):
        place = box.get_window_extent()
        inside = [text for text in labels if place.contains(*text.get_window_extent().min)]
        assert all(place.padded(-3).contains(*text.get_window_extent().max) for text in inside)
        left, bottom = box.get_x(), box.get_y()
        says = " ".join(text.get_text() for text in inside)
        [calls] = (
            text.get_text()
            for text in labels
            if left < text.get_position()[0] < left + box.get_width()
            and -0.3 < text.get_position()[1] - bottom < 0
        )
        corners = np.array([[left, bottom], [left + box.get_width(), bottom + box.get_height()]])
        boxes.setdefault(says, []).append((calls, corners))
    return boxes


def test_a_picture_has_ops_above_vjps_and_the_optimizer_below(tmp_path, capsys, monkeypatch):
    figures, picture = [], tmp_path / "mlp.png"
    monkeypatch.setattr(
        program, "draw", lambda *what, draw=program.draw: figures.append(draw(*what)) or figures[0]
    )
    assert show_program.main(["mlp", "--hidden", "4,4", "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert faults(figures[0]) == []
    graph, listing = figures[0].axes
    [listing] = listing.texts
    assert listing.get_fontfamily() == ["monospace"]  # what is aligned stays so
    assert "A training step of MLP" in [text.get_text() for text in graph.texts]
    assert "\n".join(capsys.readouterr().out.splitlines()[3:]) == listing.get_text()
    sections = [line[6:] for line in listing.get_text().splitlines() if line.startswith("    # ")]
    boxes = in_boxes(graph)
    order = sorted(  # ops from left to right, vjps back, and then the optimizer
        (-bottom, -left if says.startswith("vjp") else left, says)
        for says, some in boxes.items()
        for _, ((left, bottom), _) in some
    )
    assert [says for _, _, says in order] == sections
    assert sections == [
        *("linear", "relu", "linear", "relu", "linear", "soft_cross_entropy"),
        *("vjp of soft_cross_entropy", "vjp of linear", "vjp of relu", "vjp of linear"),
        *("vjp of relu", "vjp of linear", "Adam"),
    ]
    assert {calls for calls, _ in boxes["linear"]} == {"2 array calls"}  # the product, + the bias
    assert {calls for calls, _ in boxes["relu"]} == {"1 array call"}
    # An arrow leads from each box, or from its words below, to the next one.
    corners = [boxes[says].pop(0)[1] for says in sections]
    arrows = [patch for patch in graph.patches if isinstance(patch, FancyArrowPatch)]
    for here, there in pairwise(corners):
        away = {arrow: distance(arrow.get_path().vertices[0], here) for arrow in arrows}
        arrow = min(away, key=away.get)
        assert away[arrow] < 0.4
        assert 0 <= min(distance(place, there) for place in arrow.get_path().vertices) < 0.05
        arrows.remove(arrow)
    assert not arrows


def distance(place, corners):
    """Of a place from a box, in inches."""
    return np.linalg.norm(np.maximum(0, [corners[0] - place, place - corners[1]]))


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_printed(tmp_path, capsys):
    (tmp_path / "folder.png").mkdir()
    assert show_program.main(["mlp", "--picture", str(tmp_path / "folder.png")]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "it is a folder" in said.err


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["tabnet", "--picture", "x.png"], "too many for a picture"),
        (["hopfield", "--hidden", "4"], "its options are"),
        (["tabnet", "--replicas", "3"], "tabnet: 3 replicas of 78,453 parameters need 0.0 GiB"),
    ],
)
def test_what_does_not_work_is_said_in_a_line(arguments, words, capsys, monkeypatch):
    monkeypatch.setattr("demos.shell.memory.room", lambda: 2 * 4 * 4 * 78_453)  # of two TabNets
    assert show_program.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["rnn"],
        ["mlp", "--hidden", "4,a"],
        ["mlp", "--replicas", "100001"],
        [],
        ["mlp", "--picture", "x"],
        ["mlp", "--picture", ""],
    ],
)
def test_wrong_options_are_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        show_program.main(arguments)
