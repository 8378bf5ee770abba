"""Faults of one engine among four: death at each fail point, a wrong clock, a panic, a lost folder, old files."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger.block import decode_record, is_record
from support.engines import ROOT, Validator, agree, built_engine, running, until, validators
from support.network import TestNetwork

pytestmark = pytest.mark.xdist_group("engine")
COUNCIL = ("DEL", "DHA", "LON", "WAS")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
FAIL_POINTS = range(20) if DEEP else (0, 7)
OFF_SECONDS = 660
"""Over ten minutes: more than the engine lets a block be ahead of its clock."""


@pytest.fixture(scope="module")
def program() -> Path:
    return built_engine()


@pytest.fixture(scope="module")
def wrong_clock(program: Path) -> Path:
    """The engine with a clock that is off by COMETBFT_TEST_CLOCK seconds; skips where it cannot be built."""
    built = program.with_name("cometbft-clock")
    if not built.exists():
        command = ["sh", ROOT / "engine" / "build.sh", Path(sys.executable).parent, "clock"]
        done = subprocess.run(command, capture_output=True, timeout=1800)
        if done.returncode:
            pytest.skip(f"needs go and the engine's modules: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return built


def council(folder: Path, program: Path) -> dict[str, Validator]:
    return validators(folder, TestNetwork.make((*COUNCIL, "PAR"), seed=23, validators=COUNCIL), COUNCIL, program)


async def enter(at: Validator, everyone: list[Validator], seconds: float = 90.0) -> bytes:
    """One batch handed in at one validator, until all of `everyone` have it and agree; the entry."""
    leaf, size = at.network.batch(at.chain.machine, "PAR"), at.chain.size + 2
    assert at.submit(leaf).code == "pending"
    await until(lambda: agree(everyone, size), seconds, failed=at.words)
    assert at.outcome(leaf).code == "accepted"
    return leaf


def check(everyone: list[Validator], entered: list[bytes]) -> None:
    """Equal roots, each entry once, nobody accused, no height stored twice."""
    assert len({(one.chain.size, one.chain.machine.root) for one in everyone}) == 1
    for one in everyone:
        leaves = list(one.chain.log.leaves(0, one.chain.size))
        assert [leaves.count(leaf) for leaf in entered] == [1] * len(entered)
        assert not [leaf for leaf in leaves if is_record(leaf) and decode_record(leaf).misbehaviour]


@pytest.mark.parametrize("index", FAIL_POINTS)
def test_a_validator_that_dies_at_a_fail_point_comes_back_and_the_others_go_on(
    tmp_path: Path, program: Path, index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fail point passed while it votes or stores: its turn comes within some blocks."""
    monkeypatch.setattr("node.comet.engine.FIRST_WAIT_SECONDS", 0.05)
    nodes = council(tmp_path, program)
    everyone, victim = list(nodes.values()), nodes["LON"]
    others = [one for one in everyone if one is not victim]
    victim.environment = {"FAIL_TEST_INDEX": str(index)}
    entered: list[bytes] = []

    async def work() -> None:
        while victim.engine.starts < 2:
            entered.append(await enter(nodes["DHA"], others))
            if victim.engine.process_id is None:
                victim.environment.clear()
            assert len(entered) < 40, "it never died"
        victim.environment.clear()
        entered.append(await enter(nodes["DHA"], everyone))
        entered.append(await enter(victim, everyone))
        check(everyone, entered)

    asyncio.run(running(everyone, work))


def test_a_clock_ten_minutes_ahead_does_not_move_block_time(tmp_path: Path, program: Path, wrong_clock: Path) -> None:
    nodes = council(tmp_path, program)
    everyone, victim = list(nodes.values()), nodes["LON"]
    victim.program, victim.environment = wrong_clock, {"COMETBFT_TEST_CLOCK": str(OFF_SECONDS)}
    entered: list[bytes] = []

    async def work() -> None:
        for turn in range(8):  # everybody proposes once or twice
            entered.append(await enter(everyone[turn % 4], everyone))
        check(everyone, entered)

    begun = time.time()
    asyncio.run(running(everyone, work))
    assert all(begun - 60 < one.chain.machine.time < begun + 120 for one in everyone)
    assert victim.engine.starts == 1


def test_a_clock_ten_minutes_behind_stops_its_own_validator_until_it_is_right_again(
    tmp_path: Path, program: Path, wrong_clock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block seems to come from the future: it votes for none, says so, and comes back by itself."""
    monkeypatch.setattr("node.comet.engine.LAST_WAIT_SECONDS", 1.0)
    nodes = council(tmp_path, program)
    everyone, victim = list(nodes.values()), nodes["LON"]
    others = [one for one in everyone if one is not victim]
    victim.program, victim.environment = wrong_clock, {"COMETBFT_TEST_CLOCK": str(-OFF_SECONDS)}
    entered: list[bytes] = []

    async def work() -> None:
        while "engine-crash-loop" not in victim.alarms:
            entered.append(await enter(nodes["DHA"], others))
            assert len(entered) < 80, victim.words()
            await asyncio.sleep(0.3)
        assert victim.chain.size < nodes["DHA"].chain.size
        victim.environment["COMETBFT_TEST_CLOCK"] = "0"
        entered.append(await enter(nodes["DHA"], everyone))
        check(everyone, entered)

    asyncio.run(running(everyone, work))


def test_an_engine_whose_folder_was_lost_fetches_its_blocks_again_and_signs_only_newer_ones(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.comet.restored.CLOCK_MARGIN_SECONDS", 0)
    nodes = council(tmp_path, program)
    everyone, victim = list(nodes.values()), nodes["LON"]
    entered: list[bytes] = []

    async def work() -> None:
        for _ in range(3):
            entered.append(await enter(nodes["DHA"], everyone))
        await victim.stop()
        shutil.rmtree(victim.home.folder)
        await victim.start()
        await until(lambda: victim.engine.starts >= 1, failed=victim.words)
        while not victim.home.sign_state.path.exists():
            entered.append(await enter(nodes["DHA"], everyone))
            assert len(entered) < 30, victim.words()
        await until(lambda: victim.engine.starts == 2 and victim.engine.process_id is not None)
        await nodes["WAS"].stop()  # now the others need its votes
        entered.append(await enter(nodes["DHA"], [nodes["DHA"], nodes["DEL"], victim]))
        await nodes["WAS"].start()
        entered.append(await enter(nodes["DHA"], everyone))
        check(everyone, entered)

    asyncio.run(running(everyone, work))


def test_yesterdays_files_with_their_old_sign_state_sign_nothing_twice(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worst copy: database, engine and sign-state of one moment. The rollback check shows it (`is_restored`)."""
    monkeypatch.setattr("node.comet.restored.CLOCK_MARGIN_SECONDS", 0)
    nodes = council(tmp_path / "now", program)
    everyone, victim = list(nodes.values()), nodes["LON"]
    entered: list[bytes] = []

    async def work() -> None:
        entered.append(await enter(nodes["DHA"], everyone))
        await victim.stop()
        shutil.copytree(victim.folder, tmp_path / "yesterday", ignore=shutil.ignore_patterns("*.sock"))
        await victim.start()
        for _ in range(4):
            entered.append(await enter(nodes["DHA"], everyone))
        await victim.stop()
        shutil.rmtree(victim.folder)
        shutil.copytree(tmp_path / "yesterday", victim.folder)
        victim.is_restored = True
        await victim.start()
        for _ in range(30):
            entered.append(await enter(nodes["DHA"], everyone))
            if victim.engine.starts == 2:
                break
        await until(lambda: victim.engine.starts == 2 and victim.engine.process_id is not None)
        await nodes["WAS"].stop()
        entered.append(await enter(nodes["DHA"], [nodes["DHA"], nodes["DEL"], victim]))
        await nodes["WAS"].start()
        entered.append(await enter(victim, everyone))
        check(everyone, entered)

    asyncio.run(running(everyone, work))
