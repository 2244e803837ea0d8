"""The house: arrows point one way, and nothing is imported by a name that a user might have."""

import ast
import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("minigrad", "architectures", "demos")

# A module imports from its own line and from those above it, never from those below.
ROOMS = [
    *("minigrad.files", "minigrad.elsewhere"),
    *("minigrad.backend", "minigrad.contract", "minigrad.modes", "minigrad.engine"),
    "minigrad.graph",
    *("minigrad.exchanges", "minigrad.checks", "minigrad.ops", "minigrad.methods"),
    *("minigrad.functional", "minigrad.spiking", "minigrad.recurrent", "minigrad.images"),
    *("minigrad.init", "minigrad.nn"),
    *("minigrad.optim", "minigrad.schedules"),
    *("minigrad.checkpoint", "minigrad.data", "minigrad.strict", "minigrad.program"),
    *("minigrad.training", "minigrad.higher", "minigrad.gradcheck", "minigrad"),
    "architectures.base",
    "architectures.uncertainty",
    "architectures.regression",
    "architectures.feedforward",
    "architectures",
    "demos.lessons",
    "demos.by_hand",
    "demos.shell",
    "demos.comparison",
    "demos.bench",
    "demos.pictures",
    "demos.page",
    "demos.signature",
    "demos.curved",
    "demos.gap",
    "demos.sweeping",
    "demos",
]


@functools.cache
def modules():
    """{dotted name: path} of all that is no test."""
    paths = [path for room in PACKAGES for path in ROOT.glob(f"{room}/**/*.py")]
    return {dotted(path): path for path in sorted(paths)}


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@functools.cache
def imports():
    """{module: those of this repository that it imports, wherever in its text}."""
    known = modules()
    return {name: set(imports_of(name, path, known)) for name, path in known.items()}


def imports_of(name, path, known):
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) + 1 - node.level]
            source = ".".join([*(up if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                inside = f"{source}.{alias.name}"
                if inside in known or source in known:
                    yield inside if inside in known else source


def walk(node):
    """All statements, but for what only a type checker reads: that is never imported."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            child.body = []
        yield from walk(child)


def floor(name):
    """The place of the most particular room that holds a module."""
    rooms = [room for room in ROOMS if name == room or name.startswith(room + ".")]
    return ROOMS.index(max(rooms, key=len))


def test_arrows_point_one_way():
    wrong = [
        f"{name} imports {other}"
        for name, others in imports().items()
        for other in others
        if floor(other) > floor(name)
    ]
    assert not wrong


def test_nothing_imports_in_a_circle():
    graph = {name: others - {name} for name, others in imports().items()}
    while free := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in free}
    assert not graph


def test_only_the_backend_knows_cupy():
    known = modules()
    texts = {name: path.read_text() for name, path in known.items()}
    assert [name for name, text in texts.items() if "import cupy" in text] == ["minigrad.backend"]


def test_a_package_that_lists_its_files_lists_all_of_them():
    line = re.compile(r"^ *(?:\w[\w ]* {2,})?(\w+\.py) {2,}\S", re.M)  # name.py  what it is
    lists = 0
    for path in (path for path in modules().values() if path.name == "__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text()))
        files = {beside.name for beside in path.parent.glob("*.py")} - {path.name}
        if listed := set(line.findall(text)):
            lists += 1
            assert listed <= files <= set(re.findall(r"\w+\.py", text)), path
    assert lists >= 8
