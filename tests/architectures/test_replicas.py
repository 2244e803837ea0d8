"""A stack of replicas computes what the single models compute, in training and in prediction."""

import numpy as np
import pytest
from small_models import (
    CLASSES,
    EVERY,
    OPTIONS,
    SameNoise,
    set_generators,
    small_classifier,
    small_data,
    to_float64,
)

from minigrad import Tensor, nn, optim

REPLICAS, ROWS, STEPS = 3, 10, 5


def replica(name, native, seed):
    """In double precision, so that rounding stays small; noise as if from one source."""
    return set_generators(to_float64(small_classifier(name, native, seed)), SameNoise)


def train(model, x, y):
    """STEPS steps of Adam; the losses."""
    model.train()
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = model.loss(Tensor(x), y)
        loss.backward(np.ones_like(loss.data))
        optimizer.step()
        losses.append(loss.data.copy())
    return np.array(losses)


@pytest.mark.parametrize("name, native", EVERY)
def test_training_and_prediction(name, native):
    x, y = small_data(REPLICAS, rows=ROWS)
    singles = [replica(name, native, seed) for seed in range(REPLICAS)]
    together = nn.stack([replica(name, native, seed) for seed in range(REPLICAS)])
    before = together.state_dict()

    losses = train(together, x, y)
    proba = together.finish(x).predict_proba(x).numpy()
    state = together.state_dict()
    assert losses.shape == (STEPS, REPLICAS) and np.ptp(losses, axis=1).min() > 0
    for k, single in enumerate(singles):
        np.testing.assert_allclose(train(single, x[k], y[k]), losses[:, k], rtol=1e-9)
        for entry, array in single.state_dict().items():
            np.testing.assert_allclose(state[entry][k], array, rtol=1e-7, atol=1e-9, err_msg=entry)
        expected = single.finish(x[k]).predict_proba(x[k]).numpy()
        np.testing.assert_allclose(proba[k], expected, atol=1e-8)
    assert any(not np.array_equal(before[entry], state[entry]) for entry in state)


@pytest.mark.parametrize("name, native", EVERY)
def test_unstack_gives_the_single_model_back(name, native):
    x, y = small_data(REPLICAS, rows=ROWS)
    together = nn.stack([replica(name, native, seed) for seed in range(REPLICAS)])
    train(together, x, y)
    finished = together.finish(x)
    proba = finished.predict_proba(x).numpy()
    for k in range(REPLICAS):
        single = nn.unstack(finished, k)
        np.testing.assert_allclose(single.predict_proba(x[k]).numpy(), proba[k], atol=1e-8)


@pytest.mark.parametrize("name", OPTIONS)
def test_one_set_of_points_for_all_replicas(name):
    together = nn.stack([replica(name, False, seed) for seed in range(REPLICAS)])
    x, _ = small_data(rows=ROWS)
    finished = together.finish(x)
    proba = finished.predict_proba(x).numpy()
    assert proba.shape == (REPLICAS, ROWS, CLASSES)
    repeated = np.broadcast_to(x, (REPLICAS, *x.shape))
    np.testing.assert_allclose(proba, finished.predict_proba(repeated).numpy(), atol=1e-12)


@pytest.mark.parametrize("name", OPTIONS)
def test_replicas_of_different_options_do_not_stack(name):
    wider = {"hidden_sizes": (9,)} if "hidden_sizes" in OPTIONS[name] else {"hidden_size": 8}
    with pytest.raises(ValueError, match="module 1 differs"):
        nn.stack([small_classifier(name), small_classifier(name, **wider)])
