"""One small network for all tests of the state machines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.store.database import Database
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


@pytest.fixture(params=["sqlite", "postgresql"])
def store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A store of its own, of each kind."""
    if request.param == "sqlite":
        found = Database.open_file(tmp_path / "node.db")
    else:
        found = Database(request.getfixturevalue("postgresql").new_database())
    yield found
    found.close()
