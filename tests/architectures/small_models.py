"""What the tests of architectures share: a small classifier of each, data, known noise."""

import numpy as np

from architectures import classifier
from minigrad import backend

ROWS, FEATURES, CLASSES = 12, 3, 4

OPTIONS = {
    "mlp": {"hidden_sizes": (8, 6)},
    "tabnet": {"hidden_size": 4, "num_steps": 2, "virtual_batch_size": 5},
    "bayesian": {"hidden_sizes": (8,), "output_size": 6, "samples": 3},
    "mc_dropout": {"hidden_sizes": (8, 6), "output_size": 6, "samples": 3},
    "ebm": {"hidden_sizes": (8, 6)},
    "hopfield": {"num_patterns": 5, "hidden_size": 6, "num_heads": 2, "update_steps": 1},
    "associative_memory": {"num_patterns": 5, "hidden_size": 6, "num_heads": 2},
    "snn": {"hidden_sizes": (8, 6), "output_size": 6, "num_timesteps": 7},
    "ann2snn": {"hidden_sizes": (8, 6), "output_size": 6, "num_timesteps": 9},
}
EVERY = [(name, native) for name in OPTIONS for native in (False, True)]


def small_classifier(name, native=False, rng=0, **options):
    options = OPTIONS[name] | options
    return classifier(name, CLASSES, FEATURES, train_rows=50, native=native, rng=rng, **options)


def small_data(*lead, rows=ROWS, seed=0):
    """x (*lead, rows, FEATURES) in float64 and labels (*lead, rows)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*lead, rows, FEATURES))
    return x, rng.integers(CLASSES, size=(*lead, rows))


def normals(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def to_float64(module):
    """The same module, with parameters and buffers in double precision."""
    for parameter in module.parameters():
        parameter.data = parameter.data.astype("float64")
    for part in module.modules():
        for name, value in vars(part).items():
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                setattr(part, name, value.astype("float64"))
    return module


def set_generators(module, make):
    """Give every source of noise in the module the generator ``make(k)``, k = 0, 1, ..."""
    for k, (_, noise) in enumerate(module.named_noise()):
        noise.generator = make(k)
    return module


def reseed(module, seed=0):
    """From here on the module draws the same numbers again."""
    return set_generators(module, lambda k: backend.Noise(seed + k).generator)


class Recorder:
    """A generator that keeps what it has drawn."""

    def __init__(self, seed):
        self.rng, self.drawn = np.random.default_rng(seed), []

    def standard_normal(self, shape, dtype):
        self.drawn.append(self.rng.standard_normal(shape).astype(dtype))
        return self.drawn[-1]

    def random(self, shape, dtype):
        self.drawn.append(self.rng.random(shape).astype(dtype))
        return self.drawn[-1]


class SameNoise:
    """A generator whose noise is the same at each call and for all that leads: for replicas that
    are to be compared with single models."""

    def __init__(self, seed):
        self.seed = seed

    def _repeat(self, draw, shape, dtype):
        noise = getattr(np.random.default_rng(self.seed), draw)(shape[-2:])
        return np.broadcast_to(noise, shape).astype(dtype)

    def standard_normal(self, shape, dtype):
        return self._repeat("standard_normal", shape, dtype)

    def random(self, shape, dtype):
        return self._repeat("random", shape, dtype)
