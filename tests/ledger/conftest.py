from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.machine import Machine
from support.network import TestNetwork

Refuses = Callable[[Machine, bytes, str], None]


@pytest.fixture(scope="module")
def net() -> TestNetwork:
    """DHA (HQ, the validator), DEL, LON, WAS."""
    return TestNetwork.make()


@pytest.fixture(scope="module")
def council() -> TestNetwork:
    """Six posts of which four are validators, under the comet engine."""
    return TestNetwork.make(["DHA", "DEL", "LON", "WAS", "PAR", "ROM"], seed=2, validators=["DEL", "DHA", "LON", "WAS"])


@pytest.fixture
def machine(net: TestNetwork) -> Machine:
    return net.machine()


@pytest.fixture
def refuses() -> Refuses:
    """Asserts that the machine refuses a leaf by this name, both times it is asked, and changes nothing."""

    def assert_refused(machine: Machine, leaf: bytes, code: str) -> None:
        before = (machine.size, machine.root, machine.state.root, machine.time)
        assert machine.check(leaf) == code
        result = machine.apply_block([leaf], machine.time + 1)
        assert [one.code for one in result.results] == [code]
        assert result.leaves == ()
        assert (machine.size, machine.root, machine.state.root, machine.time) == before

    return assert_refused
