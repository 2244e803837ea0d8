"""Reading the clock fairly."""

import time
from statistics import median

from minigrad import backend


def race(start, rounds, seconds, clock=time.perf_counter):
    """[rounds][sides]: seconds per step of several training steps that are to be compared.

    ``start()`` gives [(step, minibatches)], one of each side, everything at its initial state. In a
    round, which begins there, the sides take turns, a pass over the data each, so that whatever
    else the machine does meets all of them, until each has had its `seconds`. Sides that compute in
    this thread alone are timed by ``time.thread_time``: what others get of the core does not count.
    """
    times = []
    for _ in range(rounds):
        sides = start()
        for step, batches in sides:  # not timed: a first pass, for the caches
            one_pass(step, batches, clock)
        total = [0.0] * len(sides)
        steps = 0
        while min(total) < seconds:
            steps += len(sides[0][1])
            for i, (step, batches) in enumerate(sides):
                total[i] += one_pass(step, batches, clock)
        times.append([t / steps for t in total])
    return times


def one_pass(step, batches, clock):
    """The seconds that a pass over the data takes."""
    begin = clock()
    for x, y in batches:
        step(x, y)
    return clock() - begin


def seconds_per_call(call, seconds, samples=5):
    """The median of several samples, which take about `seconds` together."""
    call()  # not timed: caches, and on a GPU the kernels' compilation
    count = max(1, round(seconds / samples / sample(call, 1)))
    return median(sample(call, count) for _ in range(samples))


def sample(call, count):
    backend.synchronize()
    begin = time.perf_counter()
    for _ in range(count):
        call()
    backend.synchronize()  # a GPU is told what to do long before it has done it
    return (time.perf_counter() - begin) / count
