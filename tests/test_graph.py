"""A graph can be looked at: as words, as a picture, before backward and after it."""

import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, backend, detect_nan, functional, nn, op, strict
from minigrad.graph.nodes import Node, vjp_name
from minigrad.graph.picture import arrange, height, heights, ports

ROOT = Path(__file__).parents[1]


def leaf(*values):
    return Tensor(list(values), requires_grad=True)


def picture():
    a, b = leaf(2.0, -1.0), leaf(3.0, 4.0)
    return minigrad.draw((a * b + a).sum(), a=a, b=b)


def test_a_graph_in_words():
    words = """\
#5 sum []{}
    to #4 add by broadcast_to(g.reshap...{}
#4 add [2]{}
    to #3 multiply by g{}
    to #1 a by g{}
#3 multiply [2]{}
    to #1 a by g * y{}
    to #2 b by g * x{}"""
    graph = picture()
    assert str(graph) == words.format(*[""] * 8)
    assert graph.backward() is graph
    g, ones = "  g = [1. 1.]", ": [1. 1.]"
    assert str(graph) == words.format(
        *("  g = 1", ones, g, ones, ones, g, ": [3. 4.]", ": [2. -1.]")
    ) + ("\n#1 a.grad = [4. 5.]\n#2 b.grad = [2. -1.]")


def test_a_graph_for_graphviz():
    lines = picture().backward().dot().splitlines()
    assert lines[2] == '  n1 [label="#1 a\\n[2]\\n[2. -1.]\\ngrad [4. 5.]", fillcolor="#e2f0d9"];'
    assert '  n2 -> n3 [label="g * x\\n[2. -1.]"];' in lines
    assert len(lines) == 2 + 5 + 5 + 1 and lines[-1] == "}"


def test_backward_is_that_of_the_tensor_and_is_noted():
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.standard_normal((8, 3), "float32")), Tensor(np.arange(8) % 2)
    net = nn.Sequential(nn.Linear(3, 4, rng=1), functional.tanh, nn.Linear(4, 2, rng=2))

    def loss():
        return functional.cross_entropy(net(x), y)

    loss().backward()
    expected = [p.grad.copy() for p in net.parameters()]
    for p in net.parameters():
        p.grad = None
    value = loss()
    graph = minigrad.draw(value, **dict(net.named_parameters()))
    with detect_nan():  # which goes on watching
        graph.backward()
    for p, grad in zip(net.parameters(), expected):
        assert np.array_equal(p.grad, grad)
    named = {node.name: node for node in graph.nodes}
    assert np.array_equal(named["layers.0.weight"].arrived, expected[0])
    assert named["layers.0.weight"].gradient.startswith("rms ")
    assert named["soft_cross_entropy"].gradient == "1"
    with pytest.raises(RuntimeError, match="freed by backward"):
        minigrad.draw(value)


def test_a_gradient_to_start_from():
    a = leaf(1.0, 2.0)
    graph = minigrad.draw(a * 2).backward([1.0, 10.0])
    assert graph.nodes[-1].gradient == "[1. 10.]" and graph.nodes[0].gradient == "[2. 20.]"


def test_a_leaf_shows_its_gradient_whoever_called_backward():
    a = leaf(3.0)
    graph = minigrad.draw(a * a, a=a)
    graph.root.backward()
    assert "#1 a.grad = [6.]" in str(graph)
    assert str(minigrad.draw(a)) == "#1 leaf.grad = [6.]"


def test_a_gradient_that_was_there_before_is_added_to():
    a = leaf(3.0)
    (a * a).backward()
    graph = minigrad.draw(a * a, a=a).backward()
    assert str(graph).endswith("to #1 a by g * x: [3.]\n#1 a.grad = [12.]")
    a.grad = None
    assert graph.nodes[0].gradient == "[12.]"  # as it was


def test_results_have_names_too():
    a = leaf(1.0)
    h = a.tanh()
    assert [node.name for node in minigrad.draw(h * 2, a=a, h=h).nodes] == [
        "a",
        "h = tanh",
        "multiply",
    ]


def test_how_far_backward_came_is_noted():
    @op
    def fails_backward(x):
        def vjp(g):
            raise ZeroDivisionError

        return x + 1, vjp

    a = leaf(1.0)
    graph = minigrad.draw(fails_backward(a) * 2)
    with pytest.raises(ZeroDivisionError):
        graph.backward([1.0])
    assert [edge.child.name for edge in graph.steps] == ["multiply"]
    assert "#2 fails_backward [1]  g = [2.]\n    to #1 leaf by vjp\n" in f"{graph}\n"


def test_infinity_is_found_while_it_is_watched():
    a = leaf(0.0)
    with detect_nan(), pytest.raises(FloatingPointError, match="vjp of op sqrt"):
        minigrad.draw(a.sqrt()).backward([np.float32(np.inf)])


LAMBDAS = [
    lambda g: g * 2,
    lambda g: g if g else -g,
    lambda g: [
        g,
    ],
]


def test_the_name_of_a_vjp_is_what_it_computes():
    def vjp_left(g):
        return g

    assert [*map(vjp_name, LAMBDAS)] == ["g * 2", "g if g else -g", "vjp"]
    assert vjp_name(vjp_left) == "vjp_left" and vjp_name(print) == "print"
    assert vjp_name(eval("lambda g: g")) == "vjp"  # there is no file to look it up in


def tangled(seed, size=25):
    """A random graph of sums and products."""
    rng = np.random.default_rng(seed)
    found = [leaf(1.0), leaf(2.0)]
    for _ in range(size):
        a, b = (found[i] for i in rng.integers(len(found), size=2))
        found.append(a + b if rng.random() < 0.7 else a * b)
    return minigrad.draw(sum(found[1:], start=found[0]))


@pytest.mark.parametrize("seed", range(3))
def test_boxes_do_not_overlap_and_lead_from_left_to_right(seed):
    graph = tangled(seed)
    columns, paths = arrange(graph.nodes)
    column = {id(n): k for k, things in enumerate(columns) for n in things if isinstance(n, Node)}
    assert len(column) == len(graph.nodes)
    for node in graph.nodes:
        for edge in node.edges:
            assert column[id(edge.parent)] < column[id(node)]
    for path in paths:  # it meets something in every column on its way
        assert [k for k, _ in path] == list(range(path[0][0], path[-1][0] + 1))
        assert all(thing in columns[k] for k, thing in path)
    for things in columns:
        for (a, y), (b, z) in combinations(zip(things, heights(things)), 2):
            assert abs(y - z) > (height(a) + height(b)) / 2


def test_two_ways_are_two_arrows_and_a_leaf_is_near_its_use():
    a, b = leaf(1.0), leaf(2.0)
    graph = minigrad.draw((a * a).tanh() * b)
    columns, _ = arrange(graph.nodes)
    assert [[thing.number for thing in things] for things in columns] == [[1], [3], [2, 4], [5]]
    square = graph.nodes[2]
    begins, ends = ports(square.edges, {id(node): 0.0 for node in graph.nodes})
    assert [begins[id(e)] for e in square.edges] == [ends[id(e)] for e in square.edges]
    assert begins[id(square.edges[0])] - begins[id(square.edges[1])] > 0.2


def test_a_changed_leaf_is_drawn_too():
    a = leaf(1.0)
    b = a * 2
    a.data -= 0.5  # newer now than b
    assert [node.name for node in minigrad.draw(b, a=a).nodes] == ["multiply", "a"]
    minigrad.draw(b).figure()


def test_a_picture(tmp_path):
    graph = picture().backward()
    drawn = graph._repr_svg_()
    assert drawn.startswith("<?xml") and drawn == graph._repr_svg_() and len(drawn) < 60_000
    [axes] = graph.figure().axes
    texts = {text.get_text() for text in axes.texts}
    assert {"#3 multiply", "[6. -4.]", "g * y", "grad [4. 5.]", "[3. 4.]"} <= texts
    for name, start in (("graph.svg", b"<?xml"), ("graph.png", b"\x89PNG")):
        graph.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)


def test_a_graph_on_a_gpu_is_brought_to_the_host():
    before = str(picture().backward())
    backend.activate(strict, "strict")
    graph = picture().backward()
    assert str(graph) == before and "grad [4. 5.]" in graph.dot()


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match="but the first argument is a ndarray"):
        minigrad.draw(np.ones(2))
    with pytest.raises(TypeError, match="but w is a list"):
        minigrad.draw(leaf(1.0), w=[1.0])
    with pytest.raises(ValueError, match=r"87 nodes are too many .* dot\(\)"):
        tangled(0, 42).figure()


def test_matplotlib_is_imported_for_pictures_only():
    code = """
import json, sys, minigrad
graph = minigrad.draw(minigrad.Tensor([1.0], requires_grad=True) * 2).backward([1.0])
print(json.dumps([str(graph), graph.dot(), "matplotlib" in sys.modules, callable(minigrad.draw)]))
graph.figure()
print("matplotlib" in sys.modules)
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, last = run.stdout.splitlines()
    assert json.loads(first)[2:] == [False, True] and last == "True"


def test_the_readme_shows_the_graph_of_its_example():
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"\(demos/gallery/graph\.png\)\n\n +Drawn by `minigrad\.draw\(", readme)
