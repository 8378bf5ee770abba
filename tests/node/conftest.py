"""One small network for all tests of the state machines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.network import TestNetwork
from support.postgresql import Missing, PostgreSQL


@pytest.fixture(scope="session")
def network() -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=7)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server of one's own; a test that asks for it is skipped where the machine has none."""
    try:
        server = PostgreSQL()
    except Missing as problem:
        pytest.skip(str(problem))
    yield server
    server.stop()
