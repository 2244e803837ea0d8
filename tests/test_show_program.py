"""show_program.py prints a step that NumPy can run, and draws a small one."""

import numpy as np
import pytest

from demos import show_program


def test_the_printed_step_runs(capsys):
    assert show_program.main(["hopfield", "--protocol", "native", "--replicas", "2"]) == 0
    scope = {}
    exec(capsys.readouterr().out, scope)
    assert "adam_values" in scope["step"].__code__.co_varnames
    assert scope["np"] is np


def test_a_blank_line_stands_before_each_part_of_the_step(capsys):
    show_program.main(["mlp"])
    lines = capsys.readouterr().out.splitlines()
    parts = [k for k, line in enumerate(lines) if line.startswith("    # ")]
    assert len(parts) > 4
    for k in parts:
        assert not lines[k - 1] or lines[k - 1].endswith(":")


def test_a_picture(tmp_path, capsys):
    picture = tmp_path / "mlp.png"
    assert show_program.main(["mlp", "--hidden", "4,4", "--picture", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "# vjp of relu" in capsys.readouterr().out


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
    ],
)
def test_what_does_not_work_is_said_in_a_line(arguments, words, capsys):
    assert show_program.main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["rnn"], ["mlp", "--hidden", "4,a"], [], ["mlp", "--picture", "x"], ["mlp", "--picture", ""]],
)
def test_wrong_options_are_refused(arguments):
    with pytest.raises(SystemExit, match="2"):
        show_program.main(arguments)
