"""What every test shares."""

import pytest

from minigrad import backend, engine


@pytest.fixture(autouse=True)
def registry_stays_as_it_is():
    """Ops that a test defines are forgotten after it."""
    before = dict(engine.OPS)
    yield
    engine.OPS.clear()
    engine.OPS.update(before)


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and (problem := backend.why_no_gpu()):
        pytest.skip(problem)
