"""The benchmark: what it compares is the same, what it measures is what it says."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from architectures import list_architectures
from demos import benchmark, by_hand
from demos.bench import clock, duel, peers, process, scaling, tables
from demos.bench.duel import NETWORKS
from demos.pictures.palette import STYLE
from minigrad import backend, strict


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
    assert "MLP " in capsys.readouterr().out
    assert [path.name for path in out.glob("[!.]*")] == ["ratios.png"]
    results = json.loads(figures.read_text())
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


def test_peers_that_are_not_installed_are_named(monkeypatch, capsys):
    monkeypatch.setattr(peers, "PEERS", {"no_such_framework": ("Fictitious", None)})
    result = peers.peers(rounds=1, seconds=0.0001)
    assert list(result) == ["by hand", "minigrad", "minigrad compiled"]
    tables.peers(result, peers.missing())
    assert "Fictitious         not installed: skipped" in capsys.readouterr().out


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


def test_time_has_three_figures_and_a_unit():
    assert [tables.time(t) for t in (63.14e-6, 1.456e-3, 2.3, 71.3e-9, 123e-6)] == [
        "63.1 us",
        "1.46 ms",
        "2.30 s",
        "71.3 ns",
        "123 us",
    ]
