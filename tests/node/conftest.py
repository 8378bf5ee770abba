"""One small network for all tests of the state machines."""

from __future__ import annotations

import pytest

from support.network import TestNetwork


@pytest.fixture(scope="session")
def network() -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=7)
