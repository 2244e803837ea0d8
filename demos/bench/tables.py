"""The figures as text: each function prints its part and returns what goes into the JSON file."""

from statistics import median

from minigrad import backend


def duel_heading(rounds):
    print(f"One training step (forward, backward, Adam); one BLAS thread, medians of {rounds}")
    print(f"{'':<10}{'by hand':>9}{'minigrad':>11}{'':>22}{'compiled':>11}{'':>22}  losses")
    print(f"{'network':<10}{'':>9}{'':>11}{'ratio, min - max':>22}", end="")
    print(f"{'':>11}{'ratio, min - max':>22}  agree to")


def duel(label, result):
    print(f"{label:<10}{time(result['by_hand_seconds']):>9}", end="")
    for seconds, ratios in (("minigrad", "ratios"), ("compiled", "compiled_ratios")):
        low, middle, high = (f(result[ratios]) for f in (min, median, max))
        spread = f"{middle:.2f}, {low:.2f} - {high:.2f}"
        print(f"{time(result[f'{seconds}_seconds']):>11}{spread:>22}", end="")
    print(f"{result['largest_loss_difference']:>10.0e}", flush=True)
    return result


def peers(results, missing):
    print("The MLP's training step; one thread")
    for label, result in results.items():
        print(f"{label:<18}{time(result['seconds']):>12}{result['ratio']:>8.2f}")
    for label in missing:
        print(f"{label:<18} not installed: skipped")
    return results


def recorder(result):
    print("\nA chain of 100 products of two (32, 64) arrays, both tracked: forward and backward")
    print(f"{'raw NumPy':<12}{time(result['raw_seconds']):>12} per operation")
    print(f"{'minigrad':<12}{time(result['recorded_seconds']):>12} per operation")
    return result


def curve_heading():
    print(f"\n{'A step against':<16}{'from':>6}{'to':>6}  {'straight line':<36}worst point off it")


def curve(description, result):
    sizes = result["sizes"]
    line = f"{time(result['fixed'])} + {time(result['each'])} per {description.each}"
    off = 100 * result["deviation"]
    print(f"{description.title:<16}{sizes[0]:>6}{sizes[-1]:>6}  {line:<36}{off:.1f} %", flush=True)
    return result


def memory(result):
    print("\nPeak memory of a step of the MLP against the batch")
    print(f"{'batch':<12}" + "".join(f"{n:>12,}" for n in result["sizes"]))
    for side in ("by_hand", "minigrad", "compiled"):
        row = "".join(f"{n / 1024:>8,.0f} KiB" for n in result[f"{side}_bytes"])
        print(f"{side.replace('_', ' '):<12}{row}")
    return result


def replicas(counts, times, compiled=False):
    """One row for each architecture, one column for each number of replicas."""
    kind = "compiled training step" if compiled else "training step"
    print(f"\nA {kind} of R replicas at once, on {backend.device_name()}")
    print(f"{'R':<12}" + "".join(f"{n:>12,}" for n in counts) + f"{'last / first':>14}")
    for name, seconds in times.items():
        row = "".join(f"{time(t):>12}" for t in seconds)
        whole = None not in seconds
        ratio = f"{seconds[-1] / seconds[0]:.1f}" if whole else "-"
        print(f"{name:<12}{row}{ratio:>14}", flush=True)
    return times


def pays_off(counts):
    """From how many replicas on."""
    print("\nThe GPU is faster from so many replicas on, both compiled")
    for name, count in counts.items():
        print(f"{name:<12}{count or 'none of these':>14}")
    return counts


def training(times):
    print("\nTraining by the comparison's recipe: ten epochs, one replica; recording included")
    print(f"{'':<12}{'minigrad':>12}{'compiled':>12}{'ratio':>8}")
    everything = {"all": [sum(column) for column in zip(*times.values())]}
    for name, (eager, compiled) in (times | everything).items():
        print(f"{name:<12}{time(eager):>12}{time(compiled):>12}{compiled / eager:>8.2f}")
    return times


def process(times):
    print("\nA fresh process that trains the MLP for ten epochs")
    for job, seconds in times.items():
        print(f"{job:<22}{time(seconds):>12}")
    return times


def launches(counts):
    print("One training step on a GPU, counted by the stand-in for CuPy")
    print(f"{'':<14}{'kernel launches':>16}{'synchronisations':>18}", end="")
    print(f"{'compiled':>10}{'kernels in graphs':>20}")
    for name, (kernels, synchronisations, compiled, graphed) in counts.items():
        print(f"{name:<14}{kernels:>16}{synchronisations:>18}{compiled:>10}{graphed:>20}")
    keys = ("launches", "synchronisations", "compiled_launches", "graphed_kernels")
    return {name: dict(zip(keys, counted)) for name, counted in counts.items()}


def time(seconds):
    """Three figures and the unit that fits: 63.1 us, 1.46 ms, 2.30 s; None, "-"."""
    if seconds is None:
        return "-"
    units = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
    unit = next((u for u, scale in units.items() if abs(seconds) >= scale), "ns")
    number = seconds / units[unit]
    return f"{number:.{2 if abs(number) < 10 else 1 if abs(number) < 100 else 0}f} {unit}"
