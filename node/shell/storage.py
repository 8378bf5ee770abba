"""The courier's share of the disk: counted by originating post, bounded, and pruned once an hour."""

from __future__ import annotations

import asyncio

from node.api.limits import Limits
from node.shell.ledger import LedgerShell
from node.store import deposits, prune
from protos.errors import Unavailable

INTERVAL_SECONDS = 3_600.0
PAUSE_SECONDS = 0.05
DAY = 86_400
MIB = 1024 * 1024
STORE_FULL = "store-full"


class Storage:
    """What each post's items take, and who has what. An upper estimate between two counts."""

    def __init__(self, ledger: LedgerShell, limits: Limits) -> None:
        self._ledger = ledger
        self._limits = limits
        self._positions: dict[bytes, int] = {}
        with ledger.database.write() as tx:
            prune.forget_uploads(tx)
            self._used = prune.usage(tx)
            self._known = prune.acknowledged(tx)

    def is_full(self, origin: str, size: int) -> bool:
        """Whether `size` bytes more of this post exceed its share, or the whole."""
        most, most_of_one = self._limits.store_mib * MIB, self._limits.store_mib_per_origin * MIB
        return self._used.get(origin, 0) + size > most_of_one or sum(self._used.values()) + size > most

    def took(self, origin: str, size: int) -> None:
        """So many bytes more of this post are stored now, or promised to be; fewer if negative."""
        self._used[origin] = self._used.get(origin, 0) + size

    def check(self, origin: str, size: int) -> None:
        """Raises `Unavailable("store-full")` if there is no room."""
        if self.is_full(origin, size):
            with self._ledger.database.write() as tx:
                deposits.alarm(tx, STORE_FULL, origin, full_text(origin), self._ledger.clock())
            raise Unavailable(
                STORE_FULL,
                "this node's store is full",
                hint="read and acknowledge what waits, or raise store_mib in the node's config.toml",
            )

    def acknowledged(self, terminal_id: bytes, position: int) -> None:
        """The terminal has its inbox up to here: it asked for what follows."""
        if position > self._known.get(terminal_id, 0):
            self._known[terminal_id] = self._positions[terminal_id] = position

    async def run_for_ever(self) -> None:
        """Prune at the start and then once an hour, in small units between other work."""
        while True:
            while self.prune_some():
                await asyncio.sleep(PAUSE_SECONDS)
            with self._ledger.database.read() as tx:
                self._used = prune.usage(tx)
            await asyncio.sleep(INTERVAL_SECONDS)

    def prune_some(self) -> int:
        """One unit. Ages go by the block time of the newest final block. Returns the rows removed."""
        now, state = self._ledger.block_time, self._ledger.chain.machine.state
        live = {
            one
            for one in state.roster(self._ledger.post).terminal_ids
            if (found := state.terminal(one)) is not None and found.is_active
        }
        with self._ledger.database.write() as tx:
            if self._positions:
                prune.acknowledge(tx, self._positions)
            count = prune.prune(
                tx, now - self._limits.retention_days * DAY, now - self._limits.item_id_days * DAY, live
            )
        self._positions.clear()
        return count


def full_text(origin: str) -> str:
    """What the alarm says."""
    return f"the store has no more room for items of {origin}"
