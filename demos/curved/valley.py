"""Rosenbrock's valley: gradient descent crosses it, Adam rolls along it, Newton sees its bend."""

import numpy as np

from demos.pictures.palette import CLASSES, INK
from demos.signature.common import entitled
from minigrad import Tensor, optim
from minigrad.higher import grad, hessian

START = (-1.2, 1.0)  # Rosenbrock's own
STEPS = 10_000
DESCENT_LR, ADAM_LR = 1e-3, 0.05
SOLVED = 1e-10
COLOURS = {"gradient descent": CLASSES[1], "Adam": CLASSES[0], "Newton": CLASSES[3]}


def rosenbrock(x):
    """(1 - x)^2 + 100 (y - x^2)^2, of points (..., 2); 0 at (1, 1) (Rosenbrock 1960)."""
    x, y = x[..., 0], x[..., 1]
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def picture():
    """The three paths on the map, and how fast they descend."""
    ways = {
        "gradient descent": follow(optim.SGD, DESCENT_LR),
        "Adam": follow(optim.Adam, ADAM_LR),
        "Newton": newton(),
    }
    figure = entitled("The second derivative knows where the valley bends", (15, 6))
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    x, y = np.meshgrid(np.linspace(-1.7, 1.5, 321), np.linspace(-0.7, 1.9, 261))
    values = heights(np.stack([x, y], axis=-1))
    left.contourf(x, y, np.log10(values + 1e-3), 24, cmap="Greys_r", alpha=0.55)
    for width, (name, way) in zip((6, 2.5, 2), ways.items()):
        style = {"color": COLOURS[name], "label": name}
        dots = {"marker": "o", "markersize": 5} if name == "Newton" else {}
        left.plot(*way.T, linewidth=width, **style, **dots)
        right.loglog(np.arange(len(way)) + 1, heights(way), **style)
    left.plot(*START, "o", color=INK, markersize=9)
    left.plot(1, 1, "*", color=INK, markersize=18)
    left.set(title="(1 - x)² + 100 (y - x²)²: from ● to ★", xlabel="x", ylabel="y")
    left.set(xlim=(-1.7, 1.5), ylim=(-0.7, 1.9), aspect="equal")
    right.set(title="How fast they descend", xlabel="step, + 1", ylabel="height above ★")
    right.set(ylim=(SOLVED / 100, 1e2))
    left.legend(loc="upper center")
    return figure, "; ".join(f"{name}: {reached(way)}" for name, way in ways.items())


def follow(optimizer, lr):
    """The points that an optimizer visits, until it is there or has made STEPS steps: (n, 2)."""
    x = Tensor(np.array(START), requires_grad=True)
    steps = optimizer([x], lr=lr)
    way = [x.numpy().copy()]
    while heights(way[-1]) > SOLVED and len(way) <= STEPS:
        steps.zero_grad()
        rosenbrock(x).backward()
        steps.step()
        way.append(x.numpy().copy())
    return np.stack(way)


def newton():
    """The same by Newton's method: to the minimum of the parabola that touches f at x.

    Far from the minimum that may lie uphill: then half of the way is tried, and so on.
    """
    way = [np.array(START)]
    while heights(way[-1]) > SOLVED:
        x = Tensor(way[-1])
        step = np.linalg.solve(hessian(rosenbrock, x).numpy(), -grad(rosenbrock)(x).numpy())
        while heights(way[-1] + step) > heights(way[-1]):
            step /= 2
        way.append(way[-1] + step)
    return np.stack(way)


def heights(points):
    return rosenbrock(Tensor(points)).numpy()


def reached(way):
    return f"{heights(way[-1]):.0e} after {len(way) - 1:,} steps"
