"""A whole fresh process: from `python` to a trained MLP."""

import os
import subprocess
import sys
import time
from statistics import median

NUMPY = "import numpy"

MINIGRAD = """
from demos.comparison.rings_and_clusters import draw
from architectures import classifier
from minigrad import fit, optim

x, y = draw(0)
model = classifier("mlp", 5, 2, train_rows=800, hidden_sizes=(64, 32), dropout=0.0, rng=0)
optimizer = optim.Adam(model.parameters(), lr=1e-2)
fit(model, x[:800], y[:800], type(model).loss, optimizer, epochs=10, batch_size=32)
"""

BY_HAND = """
import numpy as np
from demos.comparison.rings_and_clusters import draw
from demos.by_hand import MLP

x, y = draw(0)
rng = np.random.default_rng(0)
weights = []
for inputs, outputs in ((2, 64), (64, 32), (32, 5)):
    limit = (6 / (inputs + outputs)) ** 0.5
    weights.append(rng.uniform(-limit, limit, (inputs, outputs)).astype(np.float32))
    weights.append(np.zeros((1, outputs), np.float32))
network = MLP(weights)
for epoch in range(10):
    for i in range(0, 800, 32):
        network.step(x[i : i + 32], y[i : i + 32])
"""

JOBS = {"NumPy's import alone": NUMPY, "by hand": BY_HAND, "minigrad": MINIGRAD}


def fresh_process(rounds):
    """{job: median seconds}, in interleaved rounds; ten epochs of training."""
    times = {job: [] for job in JOBS}
    for _ in range(rounds):
        for job, program in JOBS.items():
            times[job].append(run(program))
    return {job: median(seconds) for job, seconds in times.items()}


def run(program):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    begin = time.perf_counter()
    # A session of its own: Ctrl-C is for this process, which then ends that one.
    command = [sys.executable, "-c", program]
    subprocess.run(command, env=environment, check=True, start_new_session=True)
    return time.perf_counter() - begin
