"""Entries and bundles that were left in H/node/intake: brought to the ledger at start; entries also later."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from node.sequence import ACCEPTED, UNSETTLED
from node.shell.directory import Directory
from node.shell.entries import Entries
from protos.errors import DutabartaError

_log = logging.getLogger(__name__)
MAX_FILE_BYTES = 64 * 1024
AGAIN_SECONDS = 0.5
LOOK_SECONDS = 5.0


class Intake:
    """Deposits every *.bundle, then brings every *.entry to the ledger in the order of their names.

    A file is removed when its content is settled; one that is refused is renamed to *.refused.
    """

    def __init__(self, folder: Path, entries: Entries, directory: Directory) -> None:
        self._folder = folder
        self._entries = entries
        self._directory = directory
        self._needed_size: int | None = None

    def is_settled(self, policy_size: int) -> bool:
        """Whether everything is on the ledger below `policy_size`: terminals can be served."""
        return self._needed_size is not None and self._needed_size <= policy_size

    async def run_for_ever(self) -> None:
        """Take in what is there now, then every entry that is left later, as a zeroized terminal leaves its last."""
        await self.run()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for path in sorted(self._folder.glob("*.entry")):
                await self._bring(path)

    async def run(self) -> None:
        """Take in what is there now."""
        for path in sorted(self._folder.glob("*.bundle")):
            self._deposit(path)
        needed = 0
        for path in sorted(self._folder.glob("*.entry")):
            needed = max(needed, await self._bring(path))
        self._needed_size = needed

    def _deposit(self, path: Path) -> None:
        try:
            self._directory.take_in(_read(path))
        except DutabartaError as problem:
            _refuse(path, problem.code)
        else:
            path.unlink()

    async def _bring(self, path: Path) -> int:
        """The log size that holds the entry; 0 if it was refused."""
        leaf = _read(path)
        outcome = await self._entries.submit(leaf)
        while outcome.code in UNSETTLED:
            await asyncio.sleep(AGAIN_SECONDS)
            outcome = await self._entries.submit(leaf)
        if outcome.code != ACCEPTED:
            _refuse(path, outcome.code)
            return 0
        path.unlink()
        return (outcome.index or 0) + 1


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES)


def _refuse(path: Path, code: str) -> None:
    _log.error("%s was refused: %s", path.name, code)
    path.rename(path.with_suffix(path.suffix + ".refused"))
