"""How far minigrad is from training steps written by hand in NumPy, and how its cost grows.

    python demos/benchmark.py                       # everything, in about a minute
    python demos/benchmark.py --only mlp,recorder --quick
    python demos/benchmark.py --peers               # PyTorch, JAX, MyGrad, autograd, if installed
    python demos/benchmark.py --launches            # GPU kernels per training step, without a GPU
    python demos/benchmark.py --device gpu          # a step's time at 1 to 4,096 replicas

The hand-written steps are in by_hand/: reading one beside its architecture, whose backward pass is
the one line ``loss.backward()``, is the other half of the lesson. The measurements are in bench/.
"""

import json
import os
import platform
import sys
from contextlib import nullcontext
from pathlib import Path

# Before NumPy is imported: one BLAS thread, so that what is compared is the work.
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
if not __package__:  # run as a file: this checkout goes first, wherever it is run from
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from demos.shell.ending import begin, command, printable, say

if __name__ == "__main__":
    begin("benchmark.py")  # now, since the imports below take their time

import numpy as np

import minigrad
from demos.bench import scaling, tables
from demos.bench.duel import NETWORKS, Disagreement, duel
from demos.bench.peers import missing, peers
from demos.bench.process import fresh_process
from demos.shell.arguments import (
    Parser,
    add_out,
    file_name,
    positive_integer,
    some_of,
    use_device,
)
from demos.shell.output import Output, replace_file, require_replaceable
from minigrad import backend

PARTS = ("recorder", "curves", "memory", "replicas", "training", "process")
PICTURES = ("ratios.png", "curves.png")
REPLICAS = (1, 10, 64, 256, 1024, 4096)
PATIENCE = 1.0  # seconds: behind a step that takes longer than that there is no larger one


@command("benchmark.py")
def main(arguments=None):
    """Measure, print, draw; return the exit status."""
    options = parse(arguments)
    use_device(options.device or "cpu")
    if options.json:
        require_replaceable(options.json)
    with Output(options.out, PICTURES) if draws(options) else nullcontext() as output:
        try:
            results = measure(options)
        except Disagreement as error:
            say(f"benchmark.py: {error}")
            return 1
        if output:
            # Here, since Matplotlib takes its time to import.
            from demos.pictures.benchmark import draw_all

            written = [path.name for path in draw_all(results, output.folder)]
            shown = output.publish()
            for name in written:
                print(f"wrote {printable(str(shown / name))}")
    if options.json:
        replace_file(options.json, json.dumps({"machine": machine(), **results}, indent=1) + "\n")
        print(f"wrote {printable(str(options.json))}")
    return 0


def draws(options):
    """Whether anything is measured that there is a picture of."""
    instead = options.launches or options.device or options.peers
    return not (options.no_plots or instead or {"curves", *NETWORKS}.isdisjoint(options.only))


def measure(options):
    """Everything that the options ask for, printed as it comes: {part: result}."""
    seconds, rounds = (0.02, 3) if options.quick else (0.15, options.rounds)
    if options.launches:
        return {"launches": tables.launches(scaling.launches())}
    if options.device:
        return on_devices(REPLICAS[:2] if options.quick else REPLICAS, seconds)
    if options.peers:
        return {"peers": tables.peers(peers(rounds, seconds), missing())}

    results = {}
    networks = [name for name in NETWORKS if name in options.only]
    if networks:
        tables.duel_heading(rounds)
        results["duels"] = {
            name: tables.duel(NETWORKS[name].label, duel(NETWORKS[name], rounds, seconds))
            for name in networks
        }
    if "recorder" in options.only:
        results["recorder"] = tables.recorder(scaling.recorder(seconds))
    if "curves" in options.only:
        tables.curve_heading()
        results["curves"] = {
            name: tables.curve(scaling.CURVES[name], scaling.curve(name, seconds))
            for name in scaling.CURVES
        }
    if "memory" in options.only:
        results["memory"] = tables.memory(scaling.memory())
    if "replicas" in options.only:
        counts = (1, 16)
        results["replica_counts"] = list(counts)
        times = tables.replicas(counts, scaling.replicas(counts, seconds))
        results["replica_step_seconds"] = times
    if "training" in options.only:
        results["training"] = tables.training(scaling.training())
    if "process" in options.only:
        results["process"] = tables.process(fresh_process(rounds))
    return results


def on_devices(counts, seconds):
    """Steps on the device in use, eager and compiled, and on the CPU before that."""
    chosen, name = backend.device(), backend.device_name()
    results: dict = {"device": name, "replica_counts": list(counts)}
    for device in dict.fromkeys(("cpu", chosen)):
        backend.use(device)
        for compiled in (False, True):
            times = scaling.replicas(counts, seconds, compiled, PATIENCE)
            key = f"{device}_{'compiled' if compiled else 'eager'}_step_seconds"
            results[key] = tables.replicas(counts, times, compiled)
    if chosen != "cpu":
        both = results["cpu_compiled_step_seconds"], results[f"{chosen}_compiled_step_seconds"]
        results["pays_off_from"] = tables.pays_off(scaling.pays_off_from(counts, *both))
    return results


def machine():
    """What the figures depend on."""
    return {
        "minigrad": minigrad.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "blas_threads": 1,
    }


def parse(arguments):
    parser = Parser(
        prog="benchmark.py",
        description="Measure how far minigrad is from training steps written by hand in NumPy, and "
        "how its cost grows.",
        epilog=f"networks: {', '.join(NETWORKS)}; other parts: {', '.join(PARTS)}",
    )
    parser.add_argument(
        "--only",
        type=some_of((*NETWORKS, *PARTS), "name"),
        default=(*NETWORKS, *PARTS),
        metavar="NAME,NAME",
        help="only these networks and parts (default: all)",
    )
    parser.add_argument(
        "--rounds",
        type=positive_integer,
        default=9,
        metavar="N",
        help="of which the medians are reported (default: 9)",
    )
    parser.add_argument("--quick", action="store_true", help="short and imprecise: to see it work")
    instead = parser.add_argument_group("instead of all that").add_mutually_exclusive_group()
    instead.add_argument(
        "--peers", action="store_true", help="the MLP's step in other frameworks that are installed"
    )
    instead.add_argument(
        "--launches",
        action="store_true",
        help="kernel launches and host synchronisations of a step, counted without a GPU",
    )
    instead.add_argument(
        "--device",
        choices=("cpu", "gpu"),
        help=f"a step's time there and on the CPU, eager and compiled, of "
        f"{', '.join(map(str, REPLICAS))} replicas at once",
    )
    group = parser.add_argument_group("output")
    add_out(group, "out/benchmark", "for the pictures")
    group.add_argument("--no-plots", action="store_true", help="no pictures")
    group.add_argument("--json", type=file_name, metavar="FILE", help="write all figures there")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
