"""Real CometBFT processes over real ledgers: blocks, crashes, a joiner, a proposer of garbage refused."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from ledger.block import decode_record
from support.engines import Validator, built_engine, running, until, validators
from support.network import TestNetwork

pytestmark = pytest.mark.xdist_group("engine")  # the engine is built once, and its processes want the machine
COUNCIL = ("DEL", "DHA", "LON", "WAS")


@pytest.fixture(scope="module")
def program() -> Path:
    return built_engine()


def network_of(codes: tuple[str, ...]) -> TestNetwork:
    return TestNetwork.make(("DHA", "DEL", "LON", "WAS", "PAR"), seed=11, validators=codes)


def agree(nodes: list[Validator], size: int) -> bool:
    """Whether all stand at this size with one root, in their machines and in their stores."""
    return all(one.chain.size == size for one in nodes) and len({one.chain.machine.root for one in nodes}) == 1


def test_four_engines_lead_four_ledgers_to_equal_roots(tmp_path: Path, program: Path) -> None:
    network = network_of(COUNCIL)
    nodes = validators(tmp_path, network, COUNCIL, program)

    async def work() -> None:
        machine = network.machine()
        everyone = list(nodes.values())
        size = machine.size
        for turn, code in enumerate(("DHA", "DEL", "LON", "WAS", "PAR")):
            leaf = network.batch(nodes["DHA"].chain.machine, code)
            at = nodes[COUNCIL[turn % 4]]
            assert at.submit(leaf).code == "pending"
            size += 2
            await until(lambda size=size: agree(everyone, size), failed=lambda: list(at.engine.last_words)[-5:])  # type: ignore[misc]
            assert at.outcome(leaf).code == "accepted"
        roots = {one.chain.machine.state.root for one in everyone}
        assert len(roots) == 1

    asyncio.run(running(list(nodes.values()), work))
    assert all(not one.alarms for one in nodes.values())


def test_a_killed_engine_and_a_restarted_ledger_go_on(tmp_path: Path, program: Path) -> None:
    network = network_of(COUNCIL)
    nodes = validators(tmp_path, network, COUNCIL, program)

    async def work() -> None:
        everyone, victim = list(nodes.values()), nodes["LON"]
        size = network.machine().size
        for turn in range(4):
            nodes["DHA"].submit(network.batch(nodes["DHA"].chain.machine, "DHA"))
            if turn == 1:
                process = victim.engine.process_id
                assert process is not None
                os.kill(process, signal.SIGKILL)
            if turn == 2:
                await victim.stop()
                await victim.start()
            size += 2
            await until(lambda size=size: agree(everyone, size), failed=lambda: list(victim.engine.last_words)[-5:])  # type: ignore[misc]
        last = next(iter(victim.chain.log.leaves(size - 1, size)))
        assert decode_record(last).state_root == victim.chain.machine.state.root

    asyncio.run(running(list(nodes.values()), work))
