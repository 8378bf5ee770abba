"""Once a day the stored log is read again: bytes that have changed under the node end its signing (network.md §4)."""

from __future__ import annotations

import asyncio
import logging

from node import actions as act
from node.shell.ledger import LedgerShell
from node.shell.recovery import COSIGNER, LogCheck
from node.store import log
from node.store.log import StoredBlock
from protos.errors import VerificationFailed

_log = logging.getLogger(__name__)
INTERVAL_SECONDS = 86_400.0
PIECE_BLOCKS = 16
PAUSE_SECONDS = 0.01

Piece = list[tuple[StoredBlock, tuple[bytes, ...]]]


class Rereading:
    """Reads in pieces between other work, and hashes each piece in a thread."""

    def __init__(self, ledger: LedgerShell) -> None:
        self._ledger = ledger

    async def run_for_ever(self) -> None:
        """Every 24 hours by the monotonic clock; the start has read everything once."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            await self.run()

    async def run(self) -> None:
        """Read the log up to the size that this node has signed; stop signing if it is not what was signed."""
        with self._ledger.database.read() as tx:
            signed = log.sign_state(tx, COSIGNER)
        if signed is None:
            return
        check = LogCheck(signed)
        try:
            while check.size < signed.size and (piece := self._piece(check.size, signed.size)):
                await asyncio.to_thread(_take, check, piece)
                await asyncio.sleep(PAUSE_SECONDS)
            check.finish()
        except VerificationFailed as problem:
            _log.error("%s", problem.text)
            self._ledger.perform(
                [act.StopSigning(problem.code), act.Alarm(problem.code, self._ledger.post, problem.text)]
            )

    def _piece(self, start: int, end: int) -> Piece:
        with self._ledger.database.read() as tx:
            blocks = [block for block in log.blocks(tx, start, PIECE_BLOCKS) if block.size <= end]
            return [(block, log.hashes(tx, block.start, block.size)) for block in blocks]


def _take(check: LogCheck, piece: Piece) -> None:
    for block, hashes in piece:
        check.take(block, hashes)
