"""What is there to be read: the lessons, which print what stands in them behind "# >", and the
order of the sources."""

import contextlib
import gc
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad
from architectures import ARCHITECTURES, list_architectures

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "demos/lessons").glob("*.py"))
README = (ROOT / "README.md").read_text()


def expected(text):
    """What the text says that it prints."""
    return "".join(f"{line[4:]}\n" for line in text.splitlines() if line.startswith("# >"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_prints_what_its_text_says(path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    sys.path.insert(0, "elsewhere")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(path), run_name="__main__")
    text = path.read_text()
    assert printed.getvalue() == expected(text)
    assert printed.getvalue() and gc.isenabled()
    imports_ours = re.search(r"^(from|import) (minigrad|architectures|demos)\b", text, re.M)
    assert sys.path[0] == (str(ROOT) if imports_ours else "elsewhere")  # this checkout goes first
    # Python writes that much at once: "| head -1" never leaves a lesson that has more to say.
    assert len(printed.getvalue()) < io.DEFAULT_BUFFER_SIZE


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_short_numbered_and_leads_on(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 100
    assert text.startswith(f'"""Lesson {LESSONS.index(path) + 1}. ')
    leads_to = re.findall(r"[\w/]+\.py", text.partition("# Now you can read ")[2])
    assert leads_to and all((ROOT / file).is_file() for file in leads_to)


def test_the_readme_lists_every_lesson():
    assert re.findall(r"\| \[\d+\]\((demos/lessons/\w+\.py)\)", README) == [
        str(path.relative_to(ROOT)) for path in LESSONS
    ]


def test_the_lessons_lead_to_all_exercises():
    ends = [path.read_text().partition("# Now you can solve exercise")[2] for path in LESSONS]
    named = sorted(int(number) for end in ends for number in re.findall(r"\d+", end))
    files = [path.stem[:2] for path in (ROOT / "demos/exercises").glob("[0-9]*.py")]
    assert named == sorted(map(int, files))


def test_a_lesson_runs_as_a_file_from_any_folder(tmp_path):
    [path] = [path for path in LESSONS if path.stem == "08_one_step"]
    command = [sys.executable, "-W", "error", path]  # -W: what pytest would make an error
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={})
    assert run.stdout == expected(path.read_text()) and not run.stderr


# --- the glossary ----------------------------------------------------------------------------

GLOSSARY = (ROOT / "demos/lessons/GLOSSARY.md").read_text()
ENTRIES = re.findall(
    r"^\| \*\*(.+?)\*\* \| (.+?) \| \[`(.+?)`\]\((.+?)\) `(.+)` \|$", GLOSSARY, re.M
)


def test_every_word_of_the_glossary_lives_where_it_says():
    words = [word.lower() for word, *_ in ENTRIES]
    assert words == sorted(set(words)) and len(words) == GLOSSARY.count("\n| **") > 70
    for word, meaning, file, link, code in ENTRIES:
        assert link == f"../../{file}" and not meaning.endswith("."), word
        code = code.replace("\\|", "|")  # a bar would end the cell
        assert code in (ROOT / file).read_text(), f"{word}: {file} has no `{code}`"


def test_the_words_that_a_reader_meets_first_are_in_it():
    known = {word for word, *_ in ENTRIES}
    assert known >= {"logits", "nats", "epoch", "minibatch", "vjp", "leaf", "spike", "energy"}
    assert known >= {"membrane potential", "KL divergence", "surrogate", "replica", "parameter"}


# --- the sources -----------------------------------------------------------------------------


def test_there_is_one_reading_order_and_nothing_is_left_out():
    told = minigrad.__doc__.partition("Reading order:")[2].partition(" in architectures.")[0]
    order = re.findall(r"\w+", told.partition(";")[0])
    folder = ROOT / "minigrad"
    modules = {path.stem for path in folder.glob("*.py")}
    modules |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert sorted(order) == sorted(modules - {"__init__"})
    assert "then base and one of the eight" in told

    table = README.partition("**Read it**")[2].partition("\n\n## ")[0]
    listed = re.findall(r"\[`(\w+)(?:\.py|/)`\]", table)
    assert listed == [*order, "base", "architectures"]


def test_the_heart_is_one_sitting():
    assert len((ROOT / "minigrad/engine.py").read_text().splitlines()) <= 250


LISTED = re.findall(r"\]\((architectures/\w+/\w+\.py)\) \|", README)


def test_the_readme_lists_the_eight_and_only_what_there_is():
    files = {
        name: f"{entry.backbone.__module__.replace('.', '/')}.py"
        for name, entry in ARCHITECTURES.items()
    }
    assert {files[name] for name in list_architectures()} <= {*LISTED} <= {*files.values()}


@pytest.mark.parametrize("path", LISTED)
def test_an_architecture_says_what_it_is_for_before_its_first_equation(path):
    opening = (ROOT / path).read_text().partition("    symbol")[0]
    _, problem, _ = opening.split("\n\n", 2)
    sentences = re.split(r"(?<=\.) ", problem.replace("\n", " "))
    assert len(sentences) == 2 and sentences[1].startswith("It shows where "), problem
    assert " = " not in problem
