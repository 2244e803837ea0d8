"""The benchmark: what it compares is the same, what it measures is what it says."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from legible import assert_says, faults, ticks

from architectures import list_architectures, lookup
from demos import benchmark, by_hand
from demos.bench import clock, duel, peers, process, scaling, tables
from demos.bench.duel import NETWORKS
from demos.pictures import benchmark as drawn
from demos.pictures.palette import STYLE
from minigrad import Tensor, backend, functional, ops, optim, strict


@pytest.mark.parametrize("name", ["mlp", "snn", "hopfield", "tabnet", "gru", "mamba"])
def test_the_hand_written_step_computes_what_minigrad_computes(name):
    sides = duel.opponents(replace(NETWORKS[name], batch_size=8), np.float64)
    assert duel.require_agreement(name, ("by hand", "minigrad", "compiled"), sides) < 1e-8


@pytest.mark.parametrize("name", ["mlp", "snn", "hopfield", "tabnet", "gru", "mamba"])
def test_a_step_stays_in_float32(name):
    (step, batches), *_ = duel.opponents(NETWORKS[name])
    network = step.__self__
    assert step(*batches[0]).dtype == np.float32
    assert network.flat.dtype == network.flat_grad.dtype == network.mean.dtype == np.float32


class WrongMLP(by_hand.MLP):
    """Its first bias goes the wrong way."""

    def backpropagate(self, x, y):
        loss = super().backpropagate(x, y)
        self.grads[1] *= -1
        return loss


def test_a_disagreement_is_refused_by_name_step_and_losses(monkeypatch, capsys):
    monkeypatch.setitem(NETWORKS, "mlp", replace(NETWORKS["mlp"], by_hand=WrongMLP))
    assert benchmark.main(["--only", "mlp", "--quick", "--no-plots"]) == 1
    output = capsys.readouterr()
    assert "MLP, step 2: the loss is" in output.err
    assert "minigrad" in output.err
    assert "us" not in output.out  # no time is reported


def test_a_run_leaves_table_pictures_and_json(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(STYLE, "savefig.dpi", 30)
    out, figures = tmp_path / "pictures", tmp_path / "new" / "figures.json"
    arguments = ["--only", "mlp,recorder", "--quick", "--out", str(out), "--json", str(figures)]
    assert benchmark.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "MLP " in printed
    assert f"wrote {out / 'ratios.png'}\nwrote {figures}\n" in printed
    assert [path.name for path in out.glob("[!.]*")] == ["ratios.png"]
    results = json.loads(figures.read_text())
    machine = results["machine"]
    assert machine["numpy"] == np.__version__ and machine["cores"] == os.cpu_count()
    assert machine["python"] in sys.version and machine["blas_threads"] == 1
    assert machine.keys() == {"minigrad", "numpy", "python", "platform", "cores", "blas_threads"}
    assert results.keys() == {"machine", "duels", "recorder"}
    assert len(results["duels"]["mlp"]["ratios"]) == 3


# A launch takes ten microseconds of the host's time, whatever it does.
MOST_LAUNCHES = {"tabnet": 327, "bayesian": 61, "snn": 55}


def test_launches_of_all_architectures_without_a_synchronisation(capsys):
    assert benchmark.main(["--launches"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == list_architectures()
    for row in rows:
        name, launches, waits, compiled, graphed = row.split()
        assert int(launches) <= MOST_LAUNCHES.get(name, 50)
        assert 0 < int(compiled) < int(launches) and 0 < int(graphed) < int(launches)
        assert waits == "0"
    assert backend.device() == "cpu"


def test_steps_on_devices(monkeypatch, capsys):
    """With the stand-in as the GPU: a row of each architecture and table; "-" where there is no
    room, and behind a step that took too long."""
    monkeypatch.setattr(scaling, "list_architectures", lambda: ["mlp", "snn"])
    monkeypatch.setattr(benchmark, "PATIENCE", 1e-9)
    monkeypatch.setattr(backend, "use", lambda device: backend.activate(*LIBRARIES[device]))
    step = scaling.training_step

    def with_little_room(name, *args, replicas, **options):
        if name == "snn" and backend.device() == "strict":
            raise MemoryError("Out of memory")
        return step(name, *args, replicas=replicas, **options)

    monkeypatch.setattr(scaling, "training_step", with_little_room)
    backend.activate(*LIBRARIES["strict"])
    results = benchmark.on_devices((1, 2), 1e-4)
    assert results["device"] == "the GPU (stand-in, 8 GiB)"
    assert results["replica_counts"] == [1, 2]
    for device in ("cpu", "strict"):
        for kind in ("eager", "compiled"):
            first, second = results[f"{device}_{kind}_step_seconds"]["mlp"]
            assert first > 0 and second is None
    assert results["strict_eager_step_seconds"]["snn"] == [None, None]
    assert results["pays_off_from"]["snn"] is None
    printed = capsys.readouterr().out
    assert printed.count("on the CPU") == printed.count("on the GPU (stand-in, 8 GiB)") == 2
    assert "snn          none of these" in printed
    json.dumps(results)


LIBRARIES = {"cpu": (np, "cpu"), "strict": (strict, "strict")}


def test_from_how_many_replicas_the_gpu_is_faster():
    cpu, gpu = {"a": [1, 2, None], "b": [1, 2, 3]}, {"a": [2, 3, 4], "b": [2, 2, None]}
    assert scaling.pays_off_from((1, 10, 64), cpu, gpu) == {"a": 64, "b": None}


@pytest.mark.parametrize(
    "arguments", [["--only", "mlp,rnn"], ["--rounds", "0"], ["--rounds", "1" + "0" * 30]]
)
def test_wrong_options_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        benchmark.main(arguments)
    assert arguments[1].split(",")[-1] in capsys.readouterr().err


def test_where_it_cannot_write_it_does_not_measure(tmp_path, capsys):
    (tmp_path / "ratios.png").write_text("mine")
    assert benchmark.main(["--out", str(tmp_path)]) == 2
    assert benchmark.main(["--no-plots", "--json", str(tmp_path)]) == 2
    assert benchmark.main(["--no-plots", "--json", "/dev/null"]) == 2
    says = capsys.readouterr()
    assert says.out == "" and says.err.count("\n") == 3
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_no_gpu_is_one_line_and_status_2(monkeypatch, capsys):
    monkeypatch.setattr(backend, "why_no_gpu", lambda: "no GPU: none was plugged in")
    assert benchmark.main(["--device", "gpu"]) == 2
    assert capsys.readouterr().err == "benchmark.py: no GPU: none was plugged in\n"


def test_sides_take_turns_and_every_round_starts_anew():
    calls, starts = [], []

    def start():
        starts.append(len(calls))
        return [
            (lambda x, y: calls.append("a"), [(0, 0)]),
            (lambda x, y: calls.append("b"), [(0, 0)]),
        ]

    times = clock.race(start, rounds=3, seconds=1e-9)
    assert len(times) == len(starts) == 3
    assert calls == ["a", "b"] * (len(calls) // 2)
    assert all(b - a >= 4 for a, b in pairwise([*starts, len(calls)]))  # one pass is not timed


def stand_in():
    """As much of JAX or autograd as a peer's step needs, on minigrad."""

    def value_and_grad(loss_of):
        def both(parameters, *data):
            leaves = [Tensor(p, requires_grad=True) for p in parameters]
            loss = loss_of(leaves, *data)
            loss.backward()
            return Number(loss.item()), [leaf.grad for leaf in leaves]

        return both

    class Number(float):
        def block_until_ready(self):
            return self

    numpy = {
        "maximum": lambda x, zero: functional.relu(x),
        "take_along_axis": lambda x, places, axis: x[np.arange(len(places)), places[:, 0]],
        **{name: getattr(np, name) for name in ("sqrt", "array", "asarray", "zeros_like")},
        **{name: getattr(ops, name) for name in ("sum", "max", "mean", "exp", "log")},
    }
    return SimpleNamespace(
        numpy=SimpleNamespace(**numpy),
        nn=SimpleNamespace(log_softmax=functional.log_softmax),
        value_and_grad=value_and_grad,
        jit=lambda function: function,
    )


def stand_in_for_torch():
    """The same of PyTorch, whose linear() takes a transposed matrix."""

    class Leaf(Tensor):
        def requires_grad_(self):
            self.requires_grad = True

    threads = []
    functional_ = SimpleNamespace(
        relu=functional.relu,
        linear=lambda x, weight, bias: x @ weight.mT + bias,
        cross_entropy=lambda logits, y: functional.cross_entropy(logits, y),
    )
    torch = SimpleNamespace(
        tensor=lambda array: Leaf(array.copy()),
        from_numpy=np.asarray,
        set_num_threads=threads.append,
        optim=SimpleNamespace(Adam=lambda parameters, lr: optim.Adam(parameters, lr=lr)),
        nn=SimpleNamespace(functional=functional_),
    )
    modules = {"torch": torch, "torch.nn": torch.nn, "torch.nn.functional": functional_}
    return modules, lambda: threads == [1]


def stand_in_for_mygrad():
    """The same of MyGrad, whose tensors may share an array, and forget the gradients of before."""
    leaves = []

    def tensor(array, copy):
        leaves.append(Tensor(array.copy() if copy else array, requires_grad=True))
        return leaves[-1]

    def softmax_crossentropy(logits, y):
        for leaf in leaves:
            leaf.grad = None
        return functional.cross_entropy(logits, y)

    modules = {
        "mygrad": SimpleNamespace(tensor=tensor),
        "mygrad.nnet": SimpleNamespace(),
        "mygrad.nnet.activations": SimpleNamespace(relu=functional.relu),
        "mygrad.nnet.losses": SimpleNamespace(softmax_crossentropy=softmax_crossentropy),
    }
    return modules, lambda: True


STAND_INS = {
    "torch": stand_in_for_torch,
    "jax": lambda: ({"jax": stand_in()}, lambda: "threads=1" in os.environ["XLA_FLAGS"]),
    "mygrad": stand_in_for_mygrad,
    "autograd": lambda: ({"autograd": stand_in()}, lambda: True),
}


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_is_trained_as_the_others_are(name, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    modules, in_one_thread = STAND_INS[name]()
    for path, module in modules.items():
        monkeypatch.setitem(sys.modules, path, module)
    label, make = peers.PEERS[name]
    sides = duel.opponents(replace(NETWORKS["mlp"], batch_size=8), np.float64)[:1]
    hand, batches = sides[0]
    step, own = make([w.copy() for w in hand.__self__.weights])
    sides.append((step, [(own(x), own(y)) for x, y in batches]))
    assert duel.require_agreement("MLP", ("by hand", label), sides) < 1e-12
    assert in_one_thread()


def test_times_of_peers_and_their_ratios(monkeypatch):
    monkeypatch.setattr(peers, "PEERS", {"json": ("JSON", lambda weights: (weights, np.asarray))})
    monkeypatch.setattr(peers, "require_agreement", lambda *_: None)
    monkeypatch.setattr(peers, "race", lambda *_: [[1.0, 2.0, 1.5, 4.0], [2.0, 3.0, 2.0, 4.0]] * 2)
    found = peers.peers(2, 0.1)
    assert found["minigrad compiled"] == {"seconds": 1.75, "ratio": 1.25}
    assert found["JSON"] == {"seconds": 4.0, "ratio": 3.0} and peers.missing() == []
    assert list(found) == ["by hand", "minigrad", "minigrad compiled", "JSON"]


def test_peers_that_are_not_installed_are_named(monkeypatch, capsys):
    monkeypatch.setattr(peers, "PEERS", {"no_such_framework": ("Fictitious", None)})
    result = peers.peers(rounds=1, seconds=0.0001)
    assert list(result) == ["by hand", "minigrad", "minigrad compiled"]
    tables.peers(result, peers.missing())
    assert "Fictitious         not installed: skipped" in capsys.readouterr().out


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on only when somebody works: work(seconds)."""
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    def work(seconds):
        now[0] += seconds

    return work


def test_a_step_is_timed_without_its_first_calls(ticking):
    calls = []

    def call():
        calls.append(0)
        ticking(9.0 if len(calls) == 1 else 0.01)

    assert clock.seconds_per_call(call, 0.5) == pytest.approx(0.01)
    assert len(calls) == 1 + 1 + 5 * 10  # for the caches, for the count, and five samples of 0.1 s


def test_a_race_gives_seconds_of_a_step(ticking):
    def side(seconds, batches):
        return lambda x, y: ticking(seconds), [(0, 0)] * batches

    times = clock.race(lambda: [side(0.25, 4), side(0.5, 4)], 3, 10.0, clock.time.perf_counter)
    assert times == [[0.25, 0.5]] * 3


def test_the_recorder_is_timed_per_operation(monkeypatch):
    """And both compute the same."""
    found = {}

    def once(call, seconds, samples):
        found[call.__name__] = call()
        return {"recorded": 5.0, "raw": 3.0}[call.__name__]

    monkeypatch.setattr(scaling, "seconds_per_call", once)
    made = []
    monkeypatch.setattr(scaling, "Tensor", lambda *a, **o: made.append(Tensor(*a, **o)) or made[-1])
    assert scaling.recorder(1.0, operations=10) == {"recorded_seconds": 0.5, "raw_seconds": 0.3}
    for leaf, gradient in zip(made, found["raw"], strict=True):
        np.testing.assert_allclose(leaf.grad, gradient, rtol=1e-6)


def test_a_curve_is_a_step_of_each_size(monkeypatch):
    """What grows is what the curve says: layers, units, rows, timesteps, replicas."""
    steps = []

    def kept(model):
        steps.append(model)
        return lambda x, y: (model, x)

    monkeypatch.setattr(scaling, "minigrad_step", kept)
    for name, curve in scaling.CURVES.items():
        assert list(curve.sizes) == sorted(curve.sizes)
        model, x = curve.step(3)()
        weights = [p.shape for p in model.parameters() if p.shape[-2] > 1]
        rows = x.shape[-2]
        assert x.dtype == np.float32 and rows == (3 if name == "batch" else scaling.BATCH)
        if name == "depth":
            assert weights == [(2, 64), (64, 64), (64, 64), (64, 5)]
        elif name == "width":
            assert weights == [(2, 3), (3, 5)]
        elif name == "timesteps":
            assert model.backbone.num_timesteps == 3
        else:
            lead = (3,) if name == "replicas" else ()
            assert weights == [(*lead, 2, 64), (*lead, 64, 32), (*lead, 32, 5)]
            assert x.shape == (*lead, rows, 2)


def test_the_sizes_of_a_curve_are_evenly_spaced():
    """But for the smallest: so that each point weighs the same in the straight line."""
    ends = {name: (curve.sizes[0], curve.sizes[-1]) for name, curve in scaling.CURVES.items()}
    assert ends == {
        "depth": (1, 32),
        "width": (64, 2048),
        "batch": (32, 1024),
        "timesteps": (5, 100),
        "replicas": (1, 32),
    }
    for curve in scaling.CURVES.values():
        assert [*curve.sizes[1:]] == [k * curve.sizes[-1] // 4 for k in range(1, 5)]


def test_memory_grows_with_the_batch():
    found = scaling.memory(sizes=(64, 512))
    assert found["sizes"] == [64, 512]
    for side in ("minigrad_bytes", "by_hand_bytes", "compiled_bytes"):
        small, large = found[side]
        assert 2 * 4 * 64 * (64 + 32) < small < large < 100 * 4 * 512 * (64 + 32)
    assert found["each"] * 448 == pytest.approx(np.diff(found["minigrad_bytes"])[0])


def test_straight_line():
    line = scaling.straight_line([0, 1, 2, 3], [1.0, 3.0, 5.0, 7.0])
    assert line == pytest.approx({"fixed": 1.0, "each": 2.0, "deviation": 0.0})
    assert scaling.straight_line([0, 1, 2], [0.0, 0.0, 3.0])["deviation"] == pytest.approx(1 / 3)


def test_peak_is_what_was_held_at_once():
    def step(x, y):
        np.ones(500_000, np.uint8)  # gone before the next
        a, b = np.ones(300_000, np.uint8), np.ones(400_000, np.uint8)
        return a, b

    assert scaling.peak(step, None, None) == pytest.approx(700_000, abs=20_000)


def test_recorder_and_curve_give_positive_times():
    assert all(seconds > 0 for seconds in scaling.recorder(1e-3).values())
    result = scaling.curve("replicas", 1e-3, sweeps=1)
    assert len(result["seconds"]) == len(result["sizes"]) == 5


def test_fresh_processes_run_and_by_hand_needs_no_minigrad():
    process.run(process.MINIGRAD)
    process.run(process.BY_HAND + "\nimport sys\nassert 'minigrad' not in sys.modules\n")
    with pytest.raises(subprocess.CalledProcessError):
        process.run("raise SystemExit(3)")
    alone = "import os, time; assert os.getsid(0) == os.getpid(); time.sleep(0.01)"
    assert process.run(alone) > 0.01  # seconds


def test_tables_say_what_was_measured(capsys, monkeypatch):
    """And return it, as it goes into the JSON file."""
    monkeypatch.setattr(backend, "device_name", lambda: "the CPU")
    tables.duel_heading(3)
    tables.curve_heading()
    sides = zip(("by_hand", "minigrad", "compiled"), (1, 2, 3))
    duel = {
        **{f"{side}_seconds": t for side, t in sides},
        "ratios": [2.5, 1.5, 2.0],
        "compiled_ratios": [3.5, 2.5, 3.0],
        "largest_loss_difference": 2e-12,
    }
    line = {"sizes": [1, 8, 32], "fixed": 1e-3, "each": 2e-6, "deviation": 0.034}
    bytes_ = {"by_hand_bytes": [2048], "minigrad_bytes": [4096], "compiled_bytes": [0]}
    for table, *what, result in (
        (tables.duel, "MLP", duel),
        (tables.recorder, {"raw_seconds": 1e-6, "recorded_seconds": 3e-6}),
        (tables.curve, scaling.CURVES["depth"], line),
        (tables.memory, {"sizes": [1024], **bytes_}),
        (tables.training, {"mlp": (2.0, 1.0), "snn": (4.0, 3.5)}),
        (tables.process, {"by hand": 0.25}),
        (tables.pays_off, {"mlp": 64, "snn": None}),
    ):
        assert table(*what, result) is result
    peers = {"by hand": {"seconds": 2e-3, "ratio": 1.0}}
    assert tables.peers(peers, ["MyGrad"]) is peers
    times = {"mlp": [1e-3, 4e-3], "snn": [1e-3, None]}
    assert tables.replicas((1, 16), times, compiled=True) is times
    assert tables.launches({"mlp": (40, 0, 20, 18)})["mlp"] == {
        "launches": 40,
        "synchronisations": 0,
        "compiled_launches": 20,
        "graphed_kernels": 18,
    }
    printed = re.sub("  +", " | ", capsys.readouterr().out)
    assert [line.removeprefix(" | ") for line in printed.splitlines() if line] == [
        "One training step (forward, backward, Adam); one BLAS thread, medians of 3",
        "by hand | minigrad | compiled | losses",
        "network | ratio, min - max | ratio, min - max | agree to",
        "A step against | from | to | straight line | worst point off it",
        "MLP | 1.00 s | 2.00 s | 2.00, 1.50 - 2.50 | 3.00 s | 3.00, 2.50 - 3.50 | 2e-12",
        "A chain of 100 products of two (32, 64) arrays, both tracked: forward and backward",
        "raw NumPy | 1.00 us per operation",
        "minigrad | 3.00 us per operation",
        "MLP: depth | 1 | 32 | 1.00 ms + 2.00 us per layer | 3.4 %",
        "Peak memory of a step of the MLP against the batch",
        "batch | 1,024",
        "by hand | 2 KiB",
        "minigrad | 4 KiB",
        "compiled | 0 KiB",
        "Training by the comparison's recipe: ten epochs, one replica; recording included",
        "minigrad | compiled | ratio",
        "mlp | 2.00 s | 1.00 s | 0.50",
        "snn | 4.00 s | 3.50 s | 0.88",
        "all | 6.00 s | 4.50 s | 0.75",
        "A fresh process that trains the MLP for ten epochs",
        "by hand | 250 ms",
        "The GPU is faster from so many replicas on, both compiled",
        "mlp | 64",
        "snn | none of these",
        "The MLP's training step; one thread",
        "by hand | 2.00 ms | 1.00",
        "MyGrad | not installed: skipped",
        "A compiled training step of R replicas at once, on the CPU",
        "R | 1 | 16 | last / first",
        "mlp | 1.00 ms | 4.00 ms | 4.0",
        "snn | 1.00 ms | - | -",
        "One training step on a GPU, counted by the stand-in for CuPy",
        "kernel launches | synchronisations | compiled | kernels in graphs",
        "mlp | 40 | 0 | 20 | 18",
    ]


def test_every_part_is_measured_and_kept(monkeypatch, capsys):
    """Each in its place, with the seconds and rounds that were asked for."""
    monkeypatch.setattr(benchmark, "duel", lambda network, *how: (network, how))
    monkeypatch.setattr(benchmark, "fresh_process", lambda rounds: {"process of rounds": rounds})
    for part in ("recorder", "curve", "memory", "replicas", "training", "launches"):
        monkeypatch.setattr(scaling, part, lambda *how, part=part: (part, *how))
        monkeypatch.setattr(tables, part, lambda *what: what[-1])
    monkeypatch.setattr(tables, "duel", lambda label, result: (label, *result[1]))
    monkeypatch.setattr(tables, "process", lambda times: times)
    results = benchmark.measure(benchmark.parse(["--rounds", "5"]))
    assert results == {
        "duels": {name: (network.label, 5, 0.15) for name, network in NETWORKS.items()},
        "recorder": ("recorder", 0.15),
        "curves": {name: ("curve", name, 0.15) for name in scaling.CURVES},
        "memory": ("memory",),
        "replica_counts": [1, 16],
        "replica_step_seconds": ("replicas", (1, 16), 0.15),
        "training": ("training",),
        "process": {"process of rounds": 5},
    }
    quick = benchmark.measure(benchmark.parse(["--quick", "--only", "mlp,process"]))
    assert quick == {"duels": {"mlp": ("MLP", 3, 0.02)}, "process": {"process of rounds": 3}}
    assert "medians of 3" in capsys.readouterr().out
    for function in ("peers", "on_devices"):
        monkeypatch.setattr(benchmark, function, lambda *how, function=function: (function, *how))
    monkeypatch.setattr(tables, "peers", lambda results, missing: results)
    for arguments, expected in (
        (["--peers"], {"peers": ("peers", 9, 0.15)}),
        (["--launches"], {"launches": ("launches",)}),
        (["--device", "cpu"], ("on_devices", (1, 10, 64, 256, 1024, 4096), 0.15)),
        (["--device", "cpu", "--quick"], ("on_devices", (1, 10), 0.02)),
    ):
        assert benchmark.measure(benchmark.parse(arguments)) == expected


@pytest.mark.parametrize(
    "arguments, drawn",
    [
        ([], True),
        (["--only", "curves"], True),
        (["--only", "wide"], True),
        (["--only", "recorder,process"], False),
        (["--no-plots"], False),
        (["--peers"], False),
        (["--launches"], False),
        (["--device", "gpu"], False),
    ],
)
def test_pictures_are_drawn_of_networks_and_curves(arguments, drawn):
    assert benchmark.draws(benchmark.parse(arguments)) == drawn


def test_the_medians_of_a_duel(monkeypatch):
    times = [[1.0, 2.0, 1.5], [2.0, 3.0, 2.0], [4.0, 9.0, 5.0]]
    monkeypatch.setattr(duel, "require_agreement", lambda label, names, sides: (label, *names))
    monkeypatch.setattr(duel, "race", lambda start, *how: times if how[:2] == (3, 0.1) else None)
    assert duel.duel(NETWORKS["mlp"], 3, 0.1) == {
        "by_hand_seconds": 2.0,
        "minigrad_seconds": 3.0,
        "compiled_seconds": 2.0,
        "ratio": 2.0,
        "ratios": [2.0, 1.5, 2.25],
        "compiled_ratio": 1.25,
        "compiled_ratios": [1.5, 1.0, 1.25],
        "largest_loss_difference": ("MLP", "by hand", "minigrad", "compiled"),
    }


def test_each_network_is_the_one_that_is_compared():
    for name in ("mlp", "snn", "hopfield", "tabnet", "mamba"):
        assert NETWORKS[name].architecture == name
        assert NETWORKS[name].options == lookup(name).options
    assert {name: network.batch_size for name, network in NETWORKS.items()} == {
        **dict.fromkeys(NETWORKS, 32),
        "wide": 512,
    }
    assert NETWORKS["wide"].options == {"hidden_sizes": (1024, 1024), "dropout": 0.0}
    assert NETWORKS["gru"].input_size == NETWORKS["mamba"].input_size == 10  # tokens of the task
    labels = [network.label for network in NETWORKS.values()]
    assert labels == ["MLP", "SNN", "Hopfield", "TabNet", "GRU", "Mamba", "wide MLP"]


def test_a_wide_network_sees_clusters_that_overlap():
    x, y = duel.wide_task()
    assert x.shape == (2048, 256) and x.dtype == np.float32 and {*y} == {*range(10)}
    means = np.stack([x[y == c].mean(axis=0) for c in range(10)])
    # Centres a tenth apart, and the error of a mean of 205 rows.
    assert means.std() == pytest.approx((0.1**2 + 1 / 205) ** 0.5, rel=0.05)
    x, y = duel.copying()
    assert x.shape == (320, 28) and y.shape == (320, 4) and x.dtype == np.float32


def test_training_takes_ten_epochs_eager_and_compiled(monkeypatch):
    recipes = []

    def fit(model, x, y, loss, adam, **recipe):
        recipes.append(recipe)
        assert loss is type(model).loss and adam.lr == 1e-2 and x.shape == (800, 2)
        return SimpleNamespace(seconds=[1.0, 2.0 + recipe["compiled"]])

    monkeypatch.setattr(scaling, "fit", fit)
    monkeypatch.setattr(scaling, "list_architectures", lambda: ["mlp", "hopfield"])
    assert scaling.training() == {"mlp": [3.0, 4.0], "hopfield": [3.0, 4.0]}
    shared = {"epochs": 10, "batch_size": 32}
    assert recipes == [shared | {"compiled": compiled} for compiled in (False, True)] * 2


def test_fresh_processes_take_turns(monkeypatch):
    seconds, programs = iter([1, 2, 3, 4, 6, 5, 7, 9, 8]), []
    monkeypatch.setattr(process, "run", lambda program: programs.append(program) or next(seconds))
    assert process.fresh_process(3) == {"NumPy's import alone": 4, "by hand": 6, "minigrad": 5}
    assert programs == [process.NUMPY, process.BY_HAND, process.MINIGRAD] * 3


def test_bars_and_dots_of_the_ratios():
    duels = {
        name: {
            "ratio": 1.5 + k,
            "ratios": [1.4 + k, 1.5 + k, 1.9 + k],
            "minigrad_seconds": 1e-3 * k,
        }
        for k, name in enumerate(("mlp", "snn", "wide"), 1)
    }
    figure = drawn.ratios(duels)
    assert faults(figure) == []
    assert_says(figure, "ratios")
    [axes] = figure.axes
    bars, *dots, level = axes.patches, *axes.get_lines()
    assert [*level.get_xdata()] == [1, 1] and len(dots) == len(bars) == 3
    assert list(ticks(axes.yaxis)) == ["MLP", "SNN", "wide MLP"]
    for row, (bar, some, text, one) in enumerate(zip(bars, dots, axes.texts, duels.values())):
        assert (bar.get_x(), bar.get_width()) == (0, one["ratio"])
        assert bar.get_y() + bar.get_height() / 2 == row == text.get_position()[1]
        np.testing.assert_array_equal(some.get_xydata(), [(x, row) for x in one["ratios"]])
        assert text.get_text() == f"{one['ratio']:.2f}   ({row + 1}.00 ms)"
    top, bottom = axes.get_ylim()
    assert top > 2.35 and bottom < -0.35
    assert bars[0].get_facecolor() == bars[2].get_facecolor() != bars[1].get_facecolor()


def test_points_on_straight_lines():
    sizes = [1, 8, 32]
    line = {"sizes": sizes, "fixed": 2e-3, "each": 1e-4, "seconds": [2.1e-3, 2.8e-3, 5.2e-3]}
    results = {"depth": line, "batch": line}
    memory = {"sizes": sizes, "fixed": 2048, "each": 1024, "minigrad_bytes": [3072, 10240, 34816]}
    figure = drawn.curves(results, memory)
    assert faults(figure) == []
    titles = [(axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert titles == [
        ("MLP: depth", "hidden layers of 64", "ms per step"),
        ("MLP: batch", "rows", "ms per step"),
        ("MLP: peak memory", "rows", "KiB"),
    ]
    for axes, values in zip(figure.axes, ([2.1, 2.8, 5.2], [2.1, 2.8, 5.2], [3, 10, 34])):
        straight, points = axes.get_lines()
        np.testing.assert_allclose(points.get_data(), [sizes, values])
        assert not points.get_clip_on()  # a point on the edge is a whole one
        np.testing.assert_allclose(np.interp(sizes, *straight.get_data()), values)
        assert straight.get_xdata()[0] == axes.get_xlim()[0] == axes.get_ylim()[0] == 0
        assert axes.get_xlim()[1] >= 32
    assert [axes.get_title() for axes in drawn.curves(results, None).axes] == [
        *("MLP: depth", "MLP: batch")
    ]


def test_time_has_three_figures_and_a_unit():
    assert [tables.time(t) for t in (63.14e-6, 1.456e-3, 2.3, 71.3e-9, 123e-6)] == [
        "63.1 us",
        "1.46 ms",
        "2.30 s",
        "71.3 ns",
        "123 us",
    ]
