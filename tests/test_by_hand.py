"""The eight networks by hand compute what the eight on minigrad do, to twelve digits.

So does each gradient, in the first steps of training; noise comes from equal generators.
"""

import ast
import copy
import inspect
import sys
from pathlib import Path

import numpy as np
import pytest

from architectures import classifier, list_architectures, lookup
from demos import by_hand
from demos.comparison.rings_and_clusters import draw
from minigrad import Tensor, nn, optim

FOLDER = Path(by_hand.__file__).parent
X, Y = draw(seed=0)
X = X.astype(np.float64)
ROWS, BATCH, STEPS, RATE = 800, 32, 4, 1e-2
TIGHT = {"rtol": 1e-12, "atol": 1e-12}


def network(name, native=True, dtype=np.float64, **options):
    """One of the eight as in the comparison, but for `options`; in float64 unless told not to."""
    options = lookup(name).options | options
    net = classifier(name, 5, 2, train_rows=ROWS, native=native, rng=0, **options)
    for parameter in net.parameters():
        parameter.data = parameter.data.astype(dtype)
    for part in net.modules():
        for buffer, array in list(vars(part).items()):
            if isinstance(array, np.ndarray) and array.dtype == np.float32:
                setattr(part, buffer, array.astype(dtype))
    return net.train()


def twin(name, net):
    """The same by hand, from the same start and with copies of the generators."""
    weights = [p.data for p in net.parameters()]
    noise = [copy.deepcopy(source.generator) for _, source in net.named_noise()]
    if name == "bayesian":
        return by_hand.Bayesian(weights, noise, ROWS)
    if name == "mc_dropout":
        return by_hand.MCDropout(weights, *noise, ROWS)
    if name == "ebm":
        return by_hand.EBM(weights, net.chains.chains, *noise)
    return getattr(by_hand, lookup(name).label)(weights)


def minibatches():
    return [(X[i : i + BATCH], Y[i : i + BATCH]) for i in range(0, BATCH * STEPS, BATCH)]


def train(net, hand):
    """Train both; check losses and gradients in every step."""
    adam = optim.Adam(net.parameters(), lr=RATE)
    for x, y in minibatches():
        adam.zero_grad()
        loss = net.loss(Tensor(x), Tensor(y))
        loss.backward()
        expected = hand.backpropagate(x, y)
        np.testing.assert_allclose(loss.item(), expected, **TIGHT)
        for (name, parameter), grad in zip(net.named_parameters(), hand.grads, strict=True):
            np.testing.assert_allclose(parameter.grad, grad, err_msg=name, **TIGHT)
        adam.step()
        hand.adam()


# Those whose own objective is what makes them; the others meet under the shared protocol.
NATIVE = {"bayesian", "mc_dropout", "ebm"}


@pytest.mark.parametrize("name", list_architectures())
def test_losses_and_gradients_by_hand(name):
    net = network(name, native=name in NATIVE)
    train(net, twin(name, net))


class Watched:
    """NumPy for a module of by_hand/: what its functions return is noted by its dtype."""

    def __init__(self, found):
        self.found = found

    def __getattr__(self, name):
        function = getattr(np, name)
        if isinstance(function, type) or not callable(function):
            return function

        def watched(*args, **options):
            result = function(*args, **options)
            for array in result if isinstance(result, tuple) else (result,):
                if np.ndim(array):
                    self.found.setdefault(str(np.asarray(array).dtype), set()).add(name)
            return result

        return watched


@pytest.mark.parametrize("name", list_architectures())
def test_float32_stays_float32(name, monkeypatch):
    net = network(name, native=name in NATIVE, dtype=np.float32)
    hand, found = twin(name, net), {}
    for module in (sys.modules[f"demos.by_hand.{place}"] for place in (name, "common")):
        monkeypatch.setattr(module, "np", Watched(found))
    x = X.astype(np.float32)
    assert hand.step(x[:BATCH], Y[:BATCH]).dtype == np.float32
    if name == "mc_dropout":
        assert hand.predict_proba(x[:9]).dtype == np.float32
    assert "float32" in found and "float64" not in found, found


def test_bayesian_with_another_prior(monkeypatch):
    monkeypatch.setattr(sys.modules["demos.by_hand.bayesian"].Posterior, "s", 0.4)
    net = network("bayesian", prior_sigma=0.4)
    train(net, twin("bayesian", net))


def test_mc_dropout_predicts_by_sampling():
    net = network("mc_dropout")
    hand = twin("mc_dropout", net)
    train(net, hand)
    np.testing.assert_allclose(net.predict_proba(X[:9]).data, hand.predict_proba(X[:9]), **TIGHT)


def test_the_energys_slope_and_its_chains():
    net = network("ebm")
    hand = twin("ebm", net)
    train(net, hand)
    np.testing.assert_allclose(net.chains.chains, hand.chains, **TIGHT)
    assert net.chains.turn == hand.turn == BATCH * STEPS
    x = Tensor(X[:9], requires_grad=True)
    with nn.frozen(net):
        net.energy(x).sum().backward()
    np.testing.assert_allclose(hand.slope(X[:9]), x.grad, **TIGHT)
    hand.advance(10**6)  # all of them, and then it is the first one's turn again
    assert hand.turn == 0


def test_the_converted_network_spikes_alike():
    net = network("ann2snn", native=False)
    hand = twin("ann2snn", net)
    train(net, hand)
    spiking = net.finish(X[:ROWS]).eval()
    logits = hand.spiking_logits(X[ROWS:], *hand.convert(X[:ROWS]))
    np.testing.assert_allclose(spiking(Tensor(X[ROWS:])).data, logits, **TIGHT)


@pytest.mark.parametrize("name", by_hand.__all__)
def test_they_learn_at_one_rate_unless_told(name):
    assert inspect.signature(getattr(by_hand, name)).parameters["lr"].default == RATE


def test_every_architecture_has_its_twin_and_none_knows_minigrad():
    files = {path.stem for path in FOLDER.glob("[!_]*.py")}
    assert files == {*list_architectures(), "gru", "mamba", "common"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert node.module in ("itertools",), path
            elif isinstance(node, ast.Import):
                assert {alias.name for alias in node.names} <= {"math", "numpy"}, path
