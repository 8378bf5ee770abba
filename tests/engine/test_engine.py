"""Real CometBFT processes over real ledgers: blocks, crashes, idleness, another engine, a joiner, a double vote."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.block import decode_record
from ledger.bodies import EngineChanged, ValidatorsChanged
from ledger.machine import Machine
from node.abci.messages import Proposal
from node.modules import MODULES
from support.engines import Validator, agree, built_engine, running, until, validators
from support.network import TestNetwork

pytestmark = pytest.mark.xdist_group("engine")  # the engine is built once, and its processes want the machine
COUNCIL = ("DEL", "DHA", "LON", "WAS")
POSTS = ("DHA", "DEL", "LON", "WAS", "PAR")


@pytest.fixture(scope="module")
def program() -> Path:
    return built_engine()


def network_of(*codes: str) -> TestNetwork:
    return TestNetwork.make(POSTS, seed=11, validators=codes)


async def enter(at: Validator, code: str, everyone: list[Validator]) -> None:
    """One batch of the post, handed in at one validator, until all have it."""
    leaf, size = at.network.batch(at.chain.machine, code), at.chain.size + 2
    assert at.submit(leaf).code == "pending"
    await until(lambda: agree(everyone, size), failed=at.words)
    assert at.outcome(leaf).code == "accepted"


def test_four_engines_lead_four_ledgers_to_equal_roots(tmp_path: Path, program: Path) -> None:
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone = list(nodes.values())

    async def work() -> None:
        for turn, code in enumerate(POSTS):
            await enter(nodes[COUNCIL[turn % 4]], code, everyone)
        assert len({one.chain.machine.state.root for one in everyone}) == 1

    asyncio.run(running(everyone, work))
    assert all(not one.alarms for one in everyone)


def test_an_idle_network_makes_no_block(tmp_path: Path, program: Path) -> None:
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone = list(nodes.values())

    async def work() -> None:
        await enter(nodes["DHA"], "DHA", everyone)
        await asyncio.sleep(1.5)  # the block after an entry, which carries its app hash
        heights = [one.application.info().height for one in everyone]
        await asyncio.sleep(3)
        assert [one.application.info().height for one in everyone] == heights

    asyncio.run(running(everyone, work))


def test_a_killed_engine_and_a_restarted_ledger_go_on(tmp_path: Path, program: Path) -> None:
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone, victim = list(nodes.values()), nodes["LON"]

    async def work() -> None:
        await enter(nodes["DHA"], "DHA", everyone)
        process = victim.engine.process_id
        assert process is not None
        os.kill(process, signal.SIGKILL)
        await enter(nodes["DHA"], "DEL", everyone)
        assert victim.engine.starts == 2
        await victim.stop()
        await enter(nodes["DHA"], "WAS", [nodes["DHA"], nodes["DEL"], nodes["WAS"]])
        await victim.start()
        await enter(nodes["DHA"], "LON", everyone)
        last = next(iter(victim.chain.log.leaves(victim.chain.size - 1, victim.chain.size)))
        assert decode_record(last).state_root == victim.chain.machine.state.root

    asyncio.run(running(everyone, work))


@pytest.mark.parametrize("index", range(20))
def test_an_engine_that_dies_at_each_of_its_fail_points_loses_nothing(
    tmp_path: Path, program: Path, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block passes ten of them; the first block is empty, the second one has the entry."""
    monkeypatch.setattr("node.comet.engine.FIRST_WAIT_SECONDS", 0.05)
    network, blocks = solo_then_comet(("DHA",))
    nodes = validators(tmp_path, network, ("DHA",), program)
    node = nodes["DHA"]
    node.preload(blocks)
    node.environment = {"FAIL_TEST_INDEX": str(index)}

    async def work() -> None:
        leaf, size = network.batch(node.chain.machine, "DHA"), node.chain.size + 2
        node.submit(leaf)
        await until(lambda: node.engine.starts == 1 and node.engine.process_id is None, failed=node.words)
        node.environment.clear()
        await until(lambda: node.chain.size == size, failed=node.words)
        assert node.outcome(leaf).code == "accepted"
        await enter(node, "DHA", [node])

    asyncio.run(running([node], work))
    heights = [one.position.height for one in node.commits]
    assert heights == sorted(set(heights))


def solo_then_comet(council: tuple[str, ...]) -> tuple[TestNetwork, list[tuple[bytes, ...]]]:
    """A network that lived under solo, and its blocks up to the one that puts it under comet."""
    network = network_of("DHA")
    machine = network.machine(MODULES)
    blocks = [network.run(machine, network.batch(machine, code)).leaves for code in ("DHA", "PAR")]
    body = EngineChanged("comet", machine.size, machine.root, machine.state.root, council)
    return network, [*blocks, network.run(machine, network.governance(machine, "engine-changed", body)).leaves]


def test_a_solo_network_goes_on_under_four_engines_with_log_and_origin_kept(tmp_path: Path, program: Path) -> None:
    network, blocks = solo_then_comet(COUNCIL)
    nodes = validators(tmp_path, network, COUNCIL, program)
    everyone = list(nodes.values())
    for one in everyone:
        one.preload(blocks)

    async def work() -> None:
        before = [*network.leaves, *(leaf for block in blocks for leaf in block)]
        for code in ("LON", "PAR"):
            await enter(nodes["WAS"], code, everyone)
        for one in everyone:
            assert list(one.chain.log.leaves(0, len(before))) == before
            assert one.chain.machine.origin == network.machine().origin
            assert one.application.info().height >= 2

    asyncio.run(running(everyone, work))


def test_a_follower_becomes_a_validator_from_its_own_log(tmp_path: Path, program: Path) -> None:
    network = network_of(*COUNCIL)
    nodes = validators(tmp_path, network, (*COUNCIL, "PAR"), program)
    council = [nodes[code] for code in COUNCIL]

    async def work() -> None:
        await enter(nodes["DHA"], "PAR", council)
        first = council[0].chain.machine
        change = ValidatorsChanged(("DEL", "DHA", "LON", "PAR"))
        size = first.size + 2
        nodes["DHA"].submit(network.governance(first, "validators-changed", change))
        await until(lambda: agree(council, size), failed=nodes["DHA"].words)
        nodes["PAR"].preload(blocks_of(nodes["DHA"], network.machine()))
        await nodes["PAR"].start()
        try:
            for code in ("DHA", "DEL", "LON"):
                await enter(nodes["PAR"], code, list(nodes.values()))
            await nodes["WAS"].stop()
            await enter(nodes["PAR"], "PAR", [nodes[code] for code in change.validators])
            await nodes["WAS"].start()
        finally:
            await nodes["PAR"].stop()

    asyncio.run(running(council, work))


def blocks_of(node: Validator, founded: Machine) -> list[tuple[bytes, ...]]:
    """The blocks of a log after its founding."""
    blocks, block = [], list[bytes]()
    for leaf in node.chain.log.leaves(founded.size, node.chain.size):
        block.append(leaf)
        if leaf[:1] == b"\x02":
            blocks.append(tuple(block))
            block.clear()
    return blocks


def test_a_proposer_of_garbage_gets_no_votes_and_the_others_go_on(tmp_path: Path, program: Path) -> None:
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone, honest = list(nodes.values()), nodes["DHA"]
    verdicts: list[tuple[tuple[bytes, ...], bool]] = []

    async def work() -> None:
        await enter(honest, "DHA", everyone)
        byzantine, process = nodes["LON"].application, honest.application.process
        byzantine.prepare = lambda proposal, max_bytes: (b"garbage", *proposal.txs)  # type: ignore[method-assign]

        def watched(proposal: Proposal) -> bool:
            verdicts.append((proposal.txs, process(proposal)))
            return verdicts[-1][1]

        honest.application.process = watched  # type: ignore[method-assign]
        for turn in range(20):
            await enter(honest, POSTS[turn % 5], everyone)
            if any(b"garbage" in txs for txs, _ in verdicts):
                break
        await enter(honest, "DEL", everyone)

    asyncio.run(running(everyone, work))
    assert {accepted for txs, accepted in verdicts if b"garbage" in txs} == {False}
    assert any(accepted for _, accepted in verdicts)


def test_half_of_the_validators_decide_nothing_and_together_they_go_on(tmp_path: Path, program: Path) -> None:
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone, honest = list(nodes.values()), nodes["DHA"]

    async def work() -> None:
        await enter(honest, "DHA", everyone)
        for code in ("LON", "WAS"):
            await nodes[code].stop()
        leaf, size = honest.network.batch(honest.chain.machine, "DEL"), honest.chain.size
        assert honest.submit(leaf).code == "pending"
        await asyncio.sleep(5)
        assert honest.chain.size == nodes["DEL"].chain.size == size
        for code in ("LON", "WAS"):
            await nodes[code].start()
        await until(lambda: agree(everyone, size + 2), failed=honest.words)
        assert honest.outcome(leaf).code == "accepted"

    asyncio.run(running(everyone, work))


def test_a_restored_validator_signs_again_only_after_a_newer_block(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.comet.restored.CLOCK_MARGIN_SECONDS", 0)
    nodes = validators(tmp_path, network_of(*COUNCIL), COUNCIL, program)
    everyone, victim = list(nodes.values()), nodes["LON"]

    async def work() -> None:
        await enter(nodes["DHA"], "DHA", everyone)
        await victim.stop()
        victim.home.sign_state.path.unlink()
        await victim.start()
        assert victim.engine.starts == 0 and not victim.home.sign_state.path.exists()
        for _ in range(20):
            await enter(nodes["DHA"], "DHA", everyone)
            if victim.home.sign_state.path.exists():
                break
        await until(lambda: victim.engine.starts == 2 and victim.engine.process_id is not None)
        await nodes["WAS"].stop()  # now the others need it
        await enter(nodes["DHA"], "DEL", [nodes["DHA"], nodes["DEL"], victim])
        await nodes["WAS"].start()
        assert offenders(nodes["DHA"]) == set()

    asyncio.run(running(everyone, work))


def test_a_validator_that_votes_twice_is_named_in_a_block_record(tmp_path: Path, program: Path) -> None:
    network = network_of(*COUNCIL)
    nodes = validators(tmp_path / "one", network, COUNCIL, program)
    twin = validators(tmp_path / "two", network, COUNCIL, program)["LON"]
    twin.ports = {**nodes["LON"].ports, "LON": twin.ports["LON"]}
    # The same consensus key on two machines; only the peer's key differs, or the others would refuse the second.
    twin.peer_signer = replace(network.posts["PAR"]).consensus
    everyone = [*nodes.values(), twin]

    async def work() -> None:
        honest = nodes["DHA"]
        for _ in range(60):
            leaf = network.batch(honest.chain.machine, "DHA")
            size = honest.chain.size
            honest.submit(leaf)
            await until(lambda size=size: honest.chain.size > size, failed=honest.words)  # type: ignore[misc]
            if offenders(honest):
                break
        assert offenders(honest) == {("LON", "duplicate-vote")}
        others = [honest, nodes["DEL"], nodes["WAS"]]
        await until(lambda: all(offenders(one) for one in others), failed=honest.words)
        size = min(one.chain.size for one in others)
        assert len({one.chain.machine.tree.root(size) for one in others}) == 1

    asyncio.run(running(everyone, work))


def offenders(node: Validator) -> set[tuple[str, str]]:
    """(post, offence) in all block records."""
    records = [decode_record(leaf) for leaf in node.chain.log.leaves(0, node.chain.size) if leaf[:1] == b"\x02"]
    return {(one.validator, one.offence) for record in records for one in record.misbehaviour}
