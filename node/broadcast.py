"""Bringing entries into a block of the consensus engine: the same bytes, until they are on the log or refused.

The counterpart of `Solo` under the comet engine. What the engine answers decides nothing: an entry is waiting until the
own log has it or the own machine refuses it. No event of the engine is relied on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ledger.merkle import leaf_hash
from ledger.wire import MAX_LEAF_BYTES
from node.chain import Chain
from node.sequence import (
    ACCEPTED,
    BUSY,
    MAX_POOL_BYTES,
    MAX_POOL_ENTRIES,
    MAX_REMEMBERED,
    PENDING,
    UNKNOWN,
    EntryOutcome,
)

FIRST_AGAIN_SECONDS = 4
LAST_AGAIN_SECONDS = 64


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Hand these bytes to the own engine (broadcast_tx_sync). Its answer is only logged."""

    leaf: bytes


@dataclass(slots=True)
class _Waiting:
    leaf: bytes
    next_at: int
    wait: int = 2 * FIRST_AGAIN_SECONDS


class Broadcaster:
    """Entries that wait for a block. `index_of` looks a leaf hash up in the stored log. Times are POSIX seconds."""

    def __init__(self, chain: Chain, index_of: Callable[[bytes], int | None]) -> None:
        self._chain = chain
        self._index_of = index_of
        self._pool: OrderedDict[bytes, _Waiting] = OrderedDict()
        self._new: list[bytes] = []
        self._looked_at: int | None = None
        self._pool_bytes = 0
        self._refused: OrderedDict[bytes, EntryOutcome] = OrderedDict()

    def submit(self, leaf: bytes, now: int) -> EntryOutcome:
        """Take an entry's leaf; `tick` broadcasts it. The same bytes may come any number of times, from anywhere."""
        if len(leaf) > MAX_LEAF_BYTES:
            return EntryOutcome("entry-too-large", f"an entry of {len(leaf)} bytes exceeds {MAX_LEAF_BYTES}")
        entry_hash = leaf_hash(leaf)
        if entry_hash in self._pool:
            return EntryOutcome(PENDING, "waits for a block")
        refusal = self._refusal(leaf)  # what is on the log already is refused too: its number is used
        if refusal is not None:
            known = self.outcome(entry_hash)
            return known if known.code == ACCEPTED else self._remember(entry_hash, refusal)
        if len(self._pool) >= MAX_POOL_ENTRIES or self._pool_bytes + len(leaf) > MAX_POOL_BYTES:
            return EntryOutcome(BUSY, "the pool of entries is full; send the same bytes again later")
        self._pool[entry_hash] = _Waiting(leaf, now + FIRST_AGAIN_SECONDS)
        self._new.append(entry_hash)
        self._pool_bytes += len(leaf)
        return EntryOutcome(PENDING, "waits for a block")

    def outcome(self, entry_hash: bytes) -> EntryOutcome:
        """What became of the entry with this leaf hash."""
        if entry_hash in self._pool:
            return EntryOutcome(PENDING, "waits for a block")
        index = self._index_of(entry_hash)
        if index is not None:
            return EntryOutcome(ACCEPTED, "on the ledger", index)
        return self._refused.get(entry_hash, EntryOutcome(UNKNOWN, "no such entry has come"))

    def tick(self, now: int) -> list[Broadcast]:
        """What to hand to the engine now: new entries at once, others again, less and less often."""
        new = [Broadcast(self._pool[entry_hash].leaf) for entry_hash in self._new if entry_hash in self._pool]
        self._new.clear()
        return self._again(now) + new

    def _again(self, now: int) -> list[Broadcast]:
        """What has waited long enough; looked for once a second."""
        if now == self._looked_at:
            return []
        self._looked_at = now
        due = [one for one in self._pool.items() if not one[1].next_at - LAST_AGAIN_SECONDS <= now < one[1].next_at]
        return [Broadcast(waiting.leaf) for entry_hash, waiting in due if self._is_still_due(entry_hash, waiting, now)]

    def appended(self, leaves: tuple[bytes, ...]) -> None:
        """These leaves are on the log: none of them waits any more."""
        for leaf in leaves:
            self._drop(leaf_hash(leaf))

    def _is_still_due(self, entry_hash: bytes, waiting: _Waiting, now: int) -> bool:
        if self._index_of(entry_hash) is not None:
            self._drop(entry_hash)
            return False
        refusal = self._refusal(waiting.leaf)
        if refusal is not None:
            self._drop(entry_hash)
            self._remember(entry_hash, refusal)
            return False
        waiting.next_at = now + waiting.wait
        waiting.wait = min(LAST_AGAIN_SECONDS, 2 * waiting.wait)
        return True

    def _refusal(self, leaf: bytes) -> EntryOutcome | None:
        result = self._chain.machine.check_result(leaf)
        return None if result.is_accepted else EntryOutcome(result.code, result.text)

    def _drop(self, entry_hash: bytes) -> None:
        waiting = self._pool.pop(entry_hash, None)
        if waiting is not None:
            self._pool_bytes -= len(waiting.leaf)

    def _remember(self, entry_hash: bytes, outcome: EntryOutcome) -> EntryOutcome:
        self._refused[entry_hash] = outcome
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)
        return outcome
