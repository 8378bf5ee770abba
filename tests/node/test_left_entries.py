"""Entries left in the intake folder of a node that runs already, as a zeroized terminal leaves its last one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from node.sequence import ACCEPTED, EntryOutcome
from node.shell import intake
from node.shell.directory import Directory
from node.shell.entries import Entries


class Ledger:
    """Takes every entry but "bad"."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    async def submit(self, leaf: bytes) -> EntryOutcome:
        self.taken.append(leaf)
        return EntryOutcome("malformed", "") if leaf == b"bad" else EntryOutcome(ACCEPTED, "", len(self.taken))


def test_what_is_left_later_is_brought_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "LOOK_SECONDS", 0.01)
    ledger = Ledger()

    async def scenario() -> None:
        box = intake.Intake(tmp_path, cast(Entries, ledger), cast(Directory, None))
        (tmp_path / "1.entry").write_bytes(b"first")
        running = asyncio.create_task(box.run_for_ever())
        async with asyncio.timeout(5):
            while not box.is_settled(2):
                await asyncio.sleep(0.01)
            (tmp_path / "2.entry.new").write_bytes(b"half written")
            (tmp_path / "3.entry").write_bytes(b"bad")
            while not (tmp_path / "3.entry.refused").exists():
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(scenario())
    assert ledger.taken == [b"first", b"bad"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["2.entry.new", "3.entry.refused"]
