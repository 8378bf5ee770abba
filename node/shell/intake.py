"""Entries and bundles that were left in H/node/intake before the node ran: brought to the ledger at start."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from node.sequence import ACCEPTED
from node.shell.directory import Directory
from node.shell.entries import UNSETTLED, Entries
from protos.errors import DutabartaError

_log = logging.getLogger(__name__)
MAX_FILE_BYTES = 64 * 1024
AGAIN_SECONDS = 0.5


async def take_in(folder: Path, entries: Entries, directory: Directory) -> None:
    """Deposit every *.bundle, then bring every *.entry to the ledger in the order of their names.

    A file is removed when its content is settled; one that is refused is renamed to *.refused.
    """
    for path in sorted(folder.glob("*.bundle")):
        try:
            directory.take_in(_read(path))
        except DutabartaError as problem:
            _refuse(path, problem.code)
        else:
            path.unlink()
    for path in sorted(folder.glob("*.entry")):
        await _bring(path, entries)


async def _bring(path: Path, entries: Entries) -> None:
    leaf = _read(path)
    outcome = await entries.submit(leaf)
    while outcome.code in UNSETTLED:
        await asyncio.sleep(AGAIN_SECONDS)
        outcome = await entries.submit(leaf)
    if outcome.code == ACCEPTED:
        path.unlink()
    else:
        _refuse(path, outcome.code)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES)


def _refuse(path: Path, code: str) -> None:
    _log.error("%s was refused: %s", path.name, code)
    path.rename(path.with_suffix(path.suffix + ".refused"))
