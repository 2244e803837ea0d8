"""A seed names all that a model draws, and no two draws are the same numbers."""

import inspect
from itertools import combinations

import numpy as np
import pytest
from small_models import EVERY, OPTIONS, small_classifier

from architectures import ARCHITECTURES, build
from architectures.energy.ebm import EnergyModel

# Options that make a model draw more than it does by default.
MORE = {
    "mlp": {"hidden_sizes": (8, 8, 6), "dropout": 0.2, "residual": True},
    "tabnet": {"num_steps": 3, "dropout": 0.2},
    "bayesian": {"hidden_sizes": (6, 6)},
    "mc_dropout": {"hidden_sizes": (6, 6), "input_dropout": 0.1},
    "ebm": {"hidden_sizes": (8, 8, 8), "dropout": 0.1},
    "hopfield": {"num_heads": 1},
    "associative_memory": {"num_layers": 3},
    "snn": {"hidden_sizes": (6, 6, 6)},
    "ann2snn": {"hidden_sizes": (6, 6, 6), "output_size": 6},
}
CASES = [(name, native, {}) for name, native in EVERY]
CASES += [(name, native, MORE[name]) for name, native in EVERY]


def drawn(model):
    """{name: array or number}: all of the model's state that was drawn and not filled in."""
    state = {name: array for name, array in model.state_dict().items() if np.ptp(array) > 0}
    noise = {name: np.array([noise.seed]) for name, noise in model.named_noise()}
    return state, noise


@pytest.mark.parametrize("name, native, options", CASES)
def test_everything_drawn_differs_between_seeds_and_within_a_model(name, native, options):
    one, again, other = (
        drawn(small_classifier(name, native, seed, **options)) for seed in (0, 0, 1)
    )
    for kind in (0, 1):
        assert one[kind].keys() == other[kind].keys()
        for entry, array in one[kind].items():
            assert np.array_equal(array, again[kind][entry]), entry
            assert (array != other[kind][entry]).all(), entry
        for (a, first), (b, second) in combinations(one[kind].items(), 2):
            if first.shape == second.shape:
                assert not np.isin(first, second).any(), f"{a} and {b}"
    weights = [name for name in one[0] if not name.endswith(("bias", "chains"))]
    assert len(weights) > 1


def test_tabnets_own_last_layer_follows_the_seed():
    weights = [build("tabnet", 3, num_classes=4, rng=seed).final.weight.data for seed in (0, 1)]
    assert (weights[0] != weights[1]).all()


@pytest.mark.parametrize("name", OPTIONS)
def test_one_generator_makes_different_models_one_after_the_other(name):
    rng = np.random.default_rng(0)
    first, second = (small_classifier(name, rng=rng) for _ in range(2))
    for entry, array in drawn(first)[0].items():
        assert (array != drawn(second)[0][entry]).all()


# --- defaults --------------------------------------------------------------------------------

SIGNATURES = """
MLP(input_size, hidden_sizes=(512, 512), activation='relu', dropout=0.1, layer_norm=False,
    residual=False, *, rng=None)
TabNet(input_size, hidden_size=64, num_steps=3, relaxation_factor=1.5, num_shared=2,
    num_independent=2, virtual_batch_size=128, momentum=0.1, sparsity=0.001, num_classes=None,
    dropout=0.0, attention_size=None, *, rng=None)
Bayesian(input_size, hidden_sizes=(256, 128), output_size=64, activation='relu', prior_sigma=1.0,
    posterior_rho=-3.0, samples=32, temperature=1.0, log_prior=None, *, rng=None)
MCDropout(input_size, hidden_sizes=(256, 128), output_size=64, dropout=0.2, activation='relu',
    samples=50, length_scale=0.1, input_dropout=0.0, *, rng=None)
EBM(input_size, hidden_sizes=(256, 128), activation='silu', dropout=0.0, weight=0.1, penalty=0.01,
    *, rng=None)
Hopfield(input_size, num_patterns=64, hidden_size=64, beta=None, update_steps=0, tied=False,
    num_heads=1, layer_norm=False, learn_beta=False, *, rng=None)
SNN(input_size, hidden_sizes=(256, 128), output_size=64, num_timesteps=25, tau=2.0, threshold=1.0,
    surrogate='fast_sigmoid', slope=10.0, detach_reset=True, soft=False,
    constant_input=True, reset='subtract', delayed_reset=True, readout='rates', *, rng=None)
ANN2SNN(input_size, hidden_sizes=(256, 128), output_size=None, num_timesteps=64, threshold=1.0,
    percentile=99.9, initial_potential=0.5, *, rng=None)
AssociativeMemory(input_size, num_layers=2, num_patterns=64, hidden_size=64, beta=None,
    num_heads=4, dropout=0.1, *, rng=None)
GRU(input_size, hidden_size=64, width=32, num_layers=2, tokens=True, *, rng=None)
Transformer(input_size, width=32, num_layers=2, num_heads=4, tokens=True, *, rng=None)
RetNet(input_size, width=32, num_layers=2, num_heads=4, base=10000.0, tokens=True, *, rng=None)
Mamba(input_size, width=32, num_layers=2, num_states=16, kernel_size=4, selective=True, tokens=True,
    *, rng=None)
TimeInvariantMamba(input_size, width=32, num_layers=2, num_states=16, kernel_size=4, tokens=True,
    *, rng=None)
ConvNet(input_size, channels=(16, 32), output_size=64, kernel_size=3, shape=None, *, rng=None)
ViT(input_size, width=32, num_layers=2, num_heads=4, patch_size=2, shape=None, *, rng=None)
"""


def test_the_options_and_their_defaults():
    found = [
        f"{entry.backbone.__name__}{inspect.signature(entry.backbone)}"
        for entry in ARCHITECTURES.values()
    ]
    assert " ".join(SIGNATURES.split()) == " ".join(found)


def test_defaults_of_langevin_dynamics():
    chains = build("ebm", 3, rng=0).chains
    assert chains.chains.shape == (2000, 3)
    assert (chains.steps, chains.step_size, chains.restart) == (30, 0.02, 0.05)
    assert chains.box == (-6.0, 6.0)
    sample = inspect.signature(EnergyModel.sample).parameters
    assert (sample["steps"].default, sample["step_size"].default) == (1000, 0.02)
