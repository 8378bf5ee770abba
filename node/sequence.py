"""The solo sequencer: one validator that makes at most one block each interval (network.md section 1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ledger.block import BlockResult
from ledger.machine import Machine
from ledger.merkle import leaf_hash
from ledger.wire import MAX_LEAF_BYTES
from node.actions import Append
from node.chain import Chain

ACCEPTED = "accepted"
PENDING = "pending"
UNKNOWN = "unknown"
BUSY = "busy"
UNSETTLED = frozenset({PENDING, UNKNOWN, BUSY})

MAX_POOL_ENTRIES = 4096
MAX_POOL_BYTES = 8 * 1024 * 1024
MAX_BLOCK_ENTRIES = 1024
MAX_BLOCK_BYTES = 4 * 1024 * 1024
MAX_REMEMBERED = 8192


@dataclass(frozen=True, slots=True)
class EntryOutcome:
    """What became of an entry: ACCEPTED with its log index, PENDING, UNKNOWN, or a named refusal."""

    code: str
    text: str
    index: int | None = None


def is_credible(code: str, size: int, least: int) -> bool:
    """Whether an answer about an entry counts: a refusal only of a log, `size` leaves long, that is not behind `least`.

    What has come to one node's log may be on its way to another's; there, a good entry looks like a bad one.
    """
    return code == ACCEPTED or code in UNSETTLED or size >= least


class Solo:
    """Orders entries into blocks. Nothing is visible before the shell has stored the block and called `committed`.

    `index_of` looks a leaf hash up in the stored log.
    """

    def __init__(self, chain: Chain, index_of: Callable[[bytes], int | None], *, block_seconds: int = 1) -> None:
        self._chain = chain
        self._index_of = index_of
        self._block_seconds = block_seconds
        self._pool: OrderedDict[bytes, bytes] = OrderedDict()
        self._pool_bytes = 0
        self._refused: OrderedDict[bytes, EntryOutcome] = OrderedDict()
        self._next: tuple[Machine, BlockResult, list[bytes]] | None = None
        self._last_block_at: int | None = None

    def submit(self, leaf: bytes, now: int) -> EntryOutcome:
        """Take an entry's leaf into the pool. The same bytes may come any number of times, from anywhere."""
        if len(leaf) > MAX_LEAF_BYTES:
            return EntryOutcome("entry-too-large", f"an entry of {len(leaf)} bytes exceeds {MAX_LEAF_BYTES}")
        known = self.outcome(leaf_hash(leaf))
        if known.code in (ACCEPTED, PENDING):
            return known
        if len(self._pool) >= MAX_POOL_ENTRIES or self._pool_bytes + len(leaf) > MAX_POOL_BYTES:
            return EntryOutcome(BUSY, "the pool of entries is full; send the same bytes again later")
        result = self._chain.machine.check_result(leaf)
        if not result.is_accepted:
            return self._remember(leaf_hash(leaf), EntryOutcome(result.code, result.text))
        self._pool[leaf_hash(leaf)] = leaf
        self._pool_bytes += len(leaf)
        return EntryOutcome(PENDING, "waits for the next block")

    def outcome(self, entry_hash: bytes) -> EntryOutcome:
        """What became of the entry with this leaf hash."""
        if entry_hash in self._pool:
            return EntryOutcome(PENDING, "waits for the next block")
        index = self._index_of(entry_hash)
        if index is not None:
            return EntryOutcome(ACCEPTED, "on the ledger", index)
        return self._refused.get(entry_hash, EntryOutcome(UNKNOWN, "no such entry has come"))

    @property
    def has_entries(self) -> bool:
        """Whether any entry waits for the next block."""
        return bool(self._pool)

    def tick(self, now: int) -> list[Append]:
        """Make the next block, when there are entries and the interval has passed. One block at a time."""
        if self._next is not None or not self._pool or not self._is_due(now):
            return []
        self._last_block_at = now
        taken = _that_fit(self._pool.values())
        machine = self._chain.machine.fork()
        start, time = machine.size, max(machine.time, now)  # block time never goes back, whatever the clock does
        result = machine.apply_block(taken, time)
        self._next = machine, result, taken
        if not result.leaves:
            self.committed()
            return []
        return [Append(start, result.leaves, result.size, result.root, time)]

    def committed(self) -> None:
        """The block of the last `tick` is durable: show it, and forget its entries."""
        if self._next is None:
            return
        machine, result, taken = self._next
        self._chain.machine, self._next = machine, None
        for leaf, one in zip(taken, result.results, strict=True):
            self._pool_bytes -= len(self._pool.pop(leaf_hash(leaf)))
            if one.code != ACCEPTED:
                self._remember(leaf_hash(leaf), EntryOutcome(one.code, one.text))

    def _is_due(self, now: int) -> bool:
        last = self._last_block_at
        return last is None or not last <= now < last + self._block_seconds

    def _remember(self, entry_hash: bytes, outcome: EntryOutcome) -> EntryOutcome:
        self._refused[entry_hash] = outcome
        if len(self._refused) > MAX_REMEMBERED:
            self._refused.popitem(last=False)
        return outcome


def _that_fit(leaves: Iterable[bytes]) -> list[bytes]:
    """The first leaves, within both bounds of a block. An entry of 32 KiB fits any."""
    taken: list[bytes] = []
    room = MAX_BLOCK_BYTES
    for leaf in leaves:
        room -= len(leaf)
        if room < 0 or len(taken) == MAX_BLOCK_ENTRIES:
            break
        taken.append(leaf)
    return taken
