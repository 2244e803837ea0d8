"""Fifty compiled training steps of each architecture are its fifty eager ones, bit for bit."""

import numpy as np
import pytest
from small_models import EVERY, small_classifier, small_data

import minigrad
from minigrad import nn, optim
from minigrad.training import training_step

STEPS = 50


def make(name, native, replicas):
    """(model, optimizer, training step) of a small classifier, or of a stack of them."""
    if replicas is None:
        model = small_classifier(name, native)
    else:
        model = nn.stack(small_classifier(name, native, k) for k in range(replicas))
    optimizer = optim.Adam(model.train().parameters(), lr=1e-2)
    return model, optimizer, training_step(model, type(model).loss, optimizer)


def state(model, optimizer):
    """{name: bytes} of all that training changes."""
    found = {name: array.tobytes() for name, array in model.state_dict().items()}
    for name, noise in model.named_noise():
        found[name] = str(noise.generator.bit_generator.state)
    found |= {"steps": optimizer.steps, "mean": optimizer.mean.tobytes()}
    return found | {"square": optimizer.square.tobytes()}


@pytest.mark.parametrize("replicas", [None, 2])
@pytest.mark.parametrize("name, native", EVERY)
def test_twenty_steps_and_the_text_alone(name, native, replicas):
    lead = () if replicas is None else (replicas,)
    batches = [small_data(*lead, seed=k) for k in range(3)]
    batches = [(x.astype(np.float32), y) for x, y in batches]
    *eager, step = make(name, native, replicas)
    *other, same_step = make(name, native, replicas)
    compiled = minigrad.compile(same_step)
    alone = None
    for k in range(STEPS):
        loss, same_loss = step(*batches[k % 3]), compiled(*batches[k % 3])
        assert loss.tobytes() == same_loss.tobytes(), f"step {k}"
        if alone is not None:
            result, steps = alone(*batches[k % 3])
            assert np.array_equal(result, loss) and steps == k + 1
        alone = program_alone(compiled) if k == 2 else None
    assert state(*eager) == state(*other)
    assert len(compiled.programs) == 1


@pytest.mark.parametrize("name, native", EVERY)
def test_a_stack_of_one(name, native):
    x, y = small_data(1)
    *_, step = make(name, native, 1)
    *_, same_step = make(name, native, 1)
    compiled = minigrad.compile(same_step)
    for _ in range(3):
        loss, same_loss = step(x.astype(np.float32), y), compiled(x.astype(np.float32), y)
        assert loss.shape == same_loss.shape == (1,) and loss == same_loss


def program_alone(compiled):
    """The program's text as a function of the inputs, on copies of what it changes."""
    scope = {}
    exec(compiled.source, scope)
    state = {}
    for name, content in compiled.state.items():
        if isinstance(content, np.random.Generator):
            state[name] = np.random.Generator(np.random.PCG64())
            state[name].bit_generator.state = content.bit_generator.state
        else:
            state[name] = content.copy() if hasattr(content, "copy") else content
    return lambda x, y: scope["step"](x, y, **state)
