"""The boundaries of all architectures forming, epoch by epoch, as a GIF."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # comes with Matplotlib

from demos.pictures.boundaries import regions, shades
from demos.pictures.data import scatter

MILLISECONDS = 500  # for a frame; the last one stays five times as long


def write_gif(ranked, task, path):
    """One panel for each architecture, one frame for each epoch that has one."""
    outcomes = [one.outcome for one in ranked]
    columns = min(len(outcomes), 4)
    rows = -(-len(outcomes) // columns)
    height = 2.75 * rows + 0.5
    figure = Figure(figsize=(2.6 * columns, height), dpi=80)
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.75 / height, 0.04, 0.12)
    for axes in grid:
        axes.set_axis_off()
    for axes, outcome in zip(grid, outcomes):
        axes.set_title(outcome.label)
        regions(axes, outcome.grid, task.extent, lines=False)
        shown = outcome.shown
        points = np.asarray(task.x_test[shown])
        scatter(axes, points, task.y_test[shown], len(task.class_names), size=6)
        axes.set(xlim=task.extent[:2], ylim=task.extent[2:])
    frames = []
    for epoch in outcomes[0].frames:
        figure.suptitle(f"epoch {epoch}" if epoch else "untrained")
        for axes, outcome in zip(grid, outcomes):
            axes.images[0].set_data(shades(outcome.frames[epoch]))
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        # A GIF has 256 colours; an octree gives some of them to the few points, too.
        frames.append(picture.quantize(method=Image.Quantize.FASTOCTREE))
    duration = [MILLISECONDS] * (len(frames) - 1) + [5 * MILLISECONDS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration, loop=0)
