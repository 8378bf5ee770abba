from __future__ import annotations

import pytest

from support.cables import World, small_world


@pytest.fixture
def world() -> World:
    return small_world()
