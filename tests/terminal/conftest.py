"""A ministry of three posts, shared by the tests of one module, and its officers' terminals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.ministry import Ministry, Officers


@pytest.fixture
def ministry(tmp_path_factory: pytest.TempPathFactory) -> Ministry:
    """DHA (headquarters), DEL and WAS, two supervisors each."""
    return Ministry(tmp_path_factory.mktemp("ministry"), ("DHA", "DEL", "WAS"))


@pytest.fixture
def officer(ministry: Ministry) -> Iterator[Officers]:
    """`officer("DEL", "first")` opens a terminal."""
    officers = Officers(ministry)
    yield officers
    officers.close()
