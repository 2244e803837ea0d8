"""The exercises: solutions are right, every blank counts, and plausible mistakes are seen."""

import ast
import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from demos.exercises import check, checks
from demos.exercises.checks import CHECKS, HINTS
from minigrad import Tensor

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "demos/exercises"
EXERCISES = {int(path.stem[:2]): path for path in sorted(FOLDER.glob("[0-9]*.py"))}


def answers(number):
    """What the solution has in the place of each blank; it is the same file in all else."""
    path = EXERCISES[number]
    pattern = re.escape(path.read_text()).replace(re.escape(check.BLANK), "(.+?)")
    found = re.fullmatch(pattern, (FOLDER / "solutions" / path.name).read_text(), re.S)
    assert found, f"the solution of {path.name} is another file"
    return list(found.groups())


def filled(number, fillings):
    parts = EXERCISES[number].read_text().split(check.BLANK)
    return "".join(a + b for a, b in zip(parts, [*fillings, ""], strict=True))


def problems(number, fillings):
    """{claim: what is wrong with it}."""
    found = check.examine(number, filled(number, fillings), EXERCISES[number])
    return {claim: problem for claim, problem in found if problem}


def test_they_are_numbered_and_each_has_a_hint():
    assert list(EXERCISES) == list(range(1, 22)) == sorted(CHECKS) == sorted(HINTS)
    for number, path in EXERCISES.items():
        text = path.read_text()
        assert text.startswith(f'"""Exercise {number}. ') and len(text.splitlines()) <= 60
        assert all((ROOT / file).is_file() for file in re.findall(r"\w+/[\w/]+\.py", text))
    assert len(list((FOLDER / "solutions").iterdir())) == len(EXERCISES)


def test_the_readme_lists_every_exercise():
    listed = re.findall(r"\((demos/exercises/\w+\.py)\)", (ROOT / "README.md").read_text())
    assert sorted(listed) == [str(path.relative_to(ROOT)) for path in EXERCISES.values()]


@pytest.mark.parametrize("number", EXERCISES)
def test_the_solution_is_right(number):
    assert problems(number, answers(number)) == {}


@pytest.mark.parametrize("number", EXERCISES)
def test_every_blank_counts(number):
    right = answers(number)
    for k in range(len(right)):
        fillings = [*right[:k], check.BLANK, *right[k + 1 :]]
        line = filled(number, fillings).partition(check.BLANK)[0].count("\n") + 1
        assert f"there is still a blank (line {line})" in problems(number, fillings).values()


# (number, which blank, what one may well write there)
MISTAKES = [
    (1, 0, "(f(x + nudge) - f(x)) / nudge"),
    (1, 0, "(f(x + nudge) - f(x - nudge)) / nudge"),
    (2, 0, "1.0"),
    (2, 1, "y * y"),
    (2, 1, "1 - self.data * self.data"),
    (3, 0, "2"),
    (3, 1, "4"),
    (3, 2, '["p", "q", "loss"]'),
    (3, 3, "12.0"),
    (3, 4, "2.0"),
    (4, 0, "1 - y * y"),
    (4, 0, "g * (1 - x * x)"),
    (4, 0, "g"),
    (5, 0, "g * y / z"),
    (5, 1, "g / z"),
    (5, 0, "x / z"),
    (6, 0, "0"),
    (6, 0, "tuple(range(g.ndim))"),
    (6, 1, "n == 1 and False"),
    (6, 2, "False"),
    (7, 0, "b + double(a)"),
    (7, 0, "double(a)"),
    (7, 0, "b * double(a)"),
    (7, 1, '"a"'),
    (8, 0, "-g"),
    (8, 1, "g"),
    (8, 1, "0"),
    (9, 0, "0"),
    (9, 1, "g * p"),
    (9, 1, "g * p * (1 - p)"),
    (9, 0, "x"),
    (10, 0, "(xp.cumsum(descending, axis=-1) / k).max(axis=-1, keepdims=True)"),
    (10, 1, "x - tau"),
    (10, 2, "g.mean(axis=-1, keepdims=True)"),
    (10, 2, "0"),
    (11, 0, "xp.exp(shifted).sum(axis=-1, keepdims=True)"),
    (11, 1, "target - xp.exp(log_p)"),
    (11, 1, "log_p - target"),
    (11, 2, "1"),
    (11, 2, "logits.size"),
    (12, 0, "0"),
    (12, 1, "0"),
    (12, 1, "(g * normal).mean(axis=-1, keepdims=True)"),
    (12, 2, "1"),
    (13, 0, "g"),
    (13, 1, "g @ weight.mT"),
    (13, 2, "x.T @ before_relu(g)"),
    (13, 3, "g"),
    (14, 0, "g * g"),
    (14, 0, "(1 - self.decay) * g"),
    (14, 1, "self.lr * g / (self.square + self.eps)"),
    (14, 1, "self.lr * g"),
    (15, 0, "(scores.argmax(axis=-1) == labels).mean()"),
    (15, 1, "(x - y) ** 2"),
    (15, 0, "(scores.argmax(axis=1) == labels).mean(axis=0)"),
    (15, 0, "(scores.argmax(axis=-1) == labels).sum(axis=-1)"),
    (15, 1, "x[..., :, None, :] - y[..., None, :, :]"),
    (15, 1, "(x[:, None, :] - y[None, :, :]) ** 2"),
    (15, 1, "(x[:, :, None] - y[:, None]) ** 2"),
    (16, 0, "(3, 4)"),
    (16, 1, "(5, 4)"),
    (16, 2, "(8, 4)"),
    (16, 3, "(5, 5, 8, 4)"),
    (16, 4, "(5, 7, 8, 4)"),
    (16, 5, "()"),
    (16, 6, "False"),
    (17, 0, "mu + rho * eps"),
    (17, 0, "mu + functional.softplus(rho)"),
    (17, 0, "mu + functional.softplus(rho).detach() * eps"),
    (17, 1, "(sigma * sigma + mu * mu) / (2 * s * s) - log(sigma)"),
    (17, 1, "0 * mu"),
    (18, 0, "energy(points)"),
    (18, 1, "size * points.grad"),
    (18, 1, "-size / 2 * points.grad"),
    (18, 2, "size"),
    (19, 0, "nullcontext"),
    (19, 0, "nn.evaluating"),
    (19, 1, "1"),
    (19, 1, "10"),
    (19, 2, '"high"'),
    (20, 0, "u > 0"),
    (20, 0, "xp.sign(u)"),
    (20, 1, "g"),
    (20, 1, "g / (1 + slope * xp.abs(u))"),
    (20, 2, "potential + current"),
    (20, 2, "beta * (potential - reset) + current"),
    (20, 3, "potential"),
    (20, 3, "potential - threshold, slope=1.0"),
    (21, 0, "Tensor(centres)"),
    (21, 1, "input_size"),
    (21, 2, "x @ self.centres.mT / 2"),
    (21, 3, "squares"),
    (21, 3, "(squares * self.log_a.exp() / 2).exp()"),
]


ERROR = re.compile(r"\w+Error: ")


@pytest.mark.parametrize("number", EXERCISES)
def test_what_one_may_well_write_is_seen_to_be_wrong(number, monkeypatch):
    wanted, same = [], checks.same

    def watched(found, expected, what="it"):
        wanted.append(expected.numpy() if isinstance(expected, Tensor) else np.asarray(expected))
        same(found, expected, what)

    monkeypatch.setattr(checks, "same", watched)
    right = answers(number)
    problems(number, right)
    right_ones = [*wanted]
    mistakes = [(k, mistake) for n, k, mistake in MISTAKES if n == number]
    told = set()
    for k, mistake in mistakes:
        wanted.clear()
        found = problems(number, [*right[:k], mistake, *right[k + 1 :]])
        assert found, f"{mistake} passes for {right[k]}"
        assert not any("blank" in problem for problem in found.values())
        told |= {claim for claim, problem in found.items() if not ERROR.match(problem)}
        for expected in wanted:  # "it is 3, not 4": 4 whatever the mistake
            assert any(
                one.shape == expected.shape and np.allclose(one, expected) for one in right_ones
            )
        for problem in found.values():
            if said := re.fullmatch(r"[^,]* is not (.*)", problem):  # it names the answer
                with contextlib.suppress(ValueError):  # some are no words or numbers
                    assert repr(ast.literal_eval(mistake)) in said[1]
    assert told == {claim for claim, _ in CHECKS[number]}, "a claim that tells of no mistake"


def test_a_network_that_does_not_beat_the_mlp_is_told_so():
    text = (FOLDER / "solutions/21_ninth_architecture.py").read_text()
    text += '\narchitectures.ARCHITECTURES.pop("ninth")\n'
    text += 'architectures.register("ninth", architectures.lookup("mlp").backbone,'
    text += ' options={"hidden_sizes": (2,)})\n'
    found = check.examine(21, text, Path("answer.py"))
    assert re.fullmatch(r"it gets \d+\.\d % of the points right, the MLP 96\.\d %", found[-1][1])


def test_what_is_right_what_is_wrong_and_one_hint(tmp_path, capsys):
    answer = tmp_path / "answer.py"
    answer.write_text(filled(2, ["1.0", "1 - y * y"]))
    assert check.main(["2", "--file", str(answer)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "Exercise 2. A subtraction and a tanh for the scalar engine (lesson 2).",
        "  WRONG  a - b sends 1 to a and -1 to b",
        "         the pair of gradients is [1. 1.], not [ 1. -1.]",
        "  WRONG  a - a depends on nothing",
        "         the gradient is 2., not 0.",
        "  right  tanh has the slope 1 - tanh^2",
        "  WRONG  and both chain with *",
        "         the gradient of tanh(a b) - a is 1.8399, not -0.1601",
        "  hint   if the second number of a - b rises by 1, what does a - b do?",
    ]
    answer.write_text(filled(2, answers(2)))
    assert check.main(["2", "--file", str(answer)]) == 0
    assert "hint" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong, words",
    [
        ("1 +", r"SyntaxError: invalid syntax .*\(line 21\)"),
        ("y + 'a'", r"TypeError.*\(line 21\)"),
        ("exit(0)", r"SystemExit: 0 \(line 21\)"),
    ],
)
def test_an_error_in_the_answer_is_told_with_its_line(wrong, words, tmp_path, capsys):
    answer = tmp_path / "answer.py"
    answer.write_text(filled(2, ["-1.0", wrong]))
    assert check.main(["2", "--file", str(answer)]) == 1
    assert re.search(words, capsys.readouterr().out)


def test_an_answer_that_cannot_be_read_is_refused_in_one_line(tmp_path, capsys):
    (tmp_path / "latin.py").write_bytes(b"\xe9")
    os.mkfifo(tmp_path / "pipe.py")
    for name, words in (
        ("none.py", "No such file"),
        ("pipe.py", "it is a folder, a pipe"),
        ("latin.py", "is no Python file"),
    ):
        assert check.main(["2", "--file", str(tmp_path / name)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and words in said.err and said.err.count("\n") == 1
    (tmp_path / "marked.py").write_text(filled(2, answers(2)), encoding="utf-8-sig")
    assert check.main(["2", "--file", str(tmp_path / "marked.py")]) == 0


def test_all_at_once_from_any_folder(tmp_path):
    command = [sys.executable, FOLDER / "check.py"]
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=alone)
    assert run.returncode == 1 and not run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == len(EXERCISES)
    assert lines[3] == " 0 of 1 right   Exercise 4. The vjp of tanh (lesson 6, minigrad/ops.py)."


@pytest.mark.parametrize("arguments", [["0"], ["99"], ["tanh"], ["--file", "x.py"]])
def test_wrong_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        check.main(arguments)
    assert "check.py: error: " in capsys.readouterr().err
