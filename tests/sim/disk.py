"""What a simulated post has made durable: all that survives a crash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ledger.merkle import leaf_hash
from node.actions import Append, Item, SaveBatch, SaveCosignature, SaveSignState
from node.anchor import OpenBatch
from node.consensus import CommitBlock
from node.courier import Parcel
from node.engine import Position
from node.intake import Incoming


@dataclass
class StoredItem:
    """An item of the courier. `state`: "incoming", "queued", "here", "handed", "refused", "expired"."""

    parcel: Parcel
    head: bytes
    envelope_id: bytes
    state: str


@dataclass
class Disk:
    """One post's store. Every method is one transaction."""

    founding: tuple[bytes, ...]
    blocks: list[Append] = field(default_factory=list)
    final: tuple[int, bytes] = (0, b"")
    policy: tuple[int, bytes] = (0, b"")
    sign_state: SaveSignState | None = None
    lines: dict[str, SaveCosignature] = field(default_factory=dict)
    stopped: str = ""
    accused: set[str] = field(default_factory=set)
    waiting: dict[bytes, Item] = field(default_factory=dict)
    batches: dict[int, tuple[SaveBatch, int | None]] = field(default_factory=dict)
    proofs: dict[bytes, bytes] = field(default_factory=dict)
    items: dict[bytes, StoredItem] = field(default_factory=dict)
    bodies: dict[bytes, bytearray] = field(default_factory=dict)
    whole_bodies: set[bytes] = field(default_factory=set)
    alarms: list[tuple[str, str, str]] = field(default_factory=list)
    position: Position | None = None
    engine: dict[str, int] = field(default_factory=dict)
    """On the engine's own disk: how many blocks it has stored, by chain id."""
    _leaves: list[bytes] = field(default_factory=list)
    _index: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._extend(self.founding)

    # --- the log -----------------------------------------------------------------------------------------

    def leaves(self, start: int, end: int) -> Iterable[bytes]:
        """The log as the machines read it."""
        return self._leaves[start:end]

    def index_of(self, entry_hash: bytes) -> int | None:
        """Where a leaf stands."""
        return self._index.get(entry_hash)

    @property
    def size(self) -> int:
        return len(self._leaves)

    def append(self, block: Append) -> None:
        """Store a block."""
        if block.start != self.size:
            raise AssertionError(f"a block at {block.start} is appended to a log of {self.size} leaves")
        self.blocks.append(block)
        self._extend(block.leaves)

    def store_commit(self, commit: CommitBlock) -> None:
        """Store a block of the engine and its position."""
        if commit.append is not None:
            self.append(commit.append)
        self.position = commit.position

    def newest_leaves(self) -> list[bytes]:
        """The last few leaves."""
        return self._leaves[-8:]

    def truncate(self, size: int) -> None:
        """Forget the blocks from `size` on."""
        self.blocks = [block for block in self.blocks if block.size <= size]
        for leaf in self._leaves[size:]:
            del self._index[leaf_hash(leaf)]
        del self._leaves[size:]

    def _extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self._index[leaf_hash(leaf)] = len(self._leaves)
            self._leaves.append(leaf)

    # --- batches -------------------------------------------------------------------------------------------

    def save_batch(self, batch: SaveBatch) -> None:
        """Store a batch and take its items out of the queue."""
        self.batches[batch.sequence] = batch, None
        for item in batch.items.values():
            del self.waiting[item.item_hash]

    def open_batches(self) -> list[OpenBatch]:
        """Those that wait for their proofs."""
        return [OpenBatch(batch, index) for batch, index in self.batches.values()]

    # --- items -----------------------------------------------------------------------------------------------

    def store(self, parcel: Parcel, head: bytes, envelope_id: bytes, state: str) -> Parcel:
        """Store an item with its place in the order of arrival; one that is there stays as it is."""
        known = self.items.get(parcel.item_id)
        if known is None:
            parcel = replace(parcel, arrival=len(self.items) + 1)
            self.items[parcel.item_id] = StoredItem(parcel, head, envelope_id, state)
            return parcel
        if known.state == "incoming":
            known.state = state
        return known.parcel

    def deposit(self, items: Sequence[StoredItem], body: bytes, anchored: Item | None, here: str) -> list[Parcel]:
        """What a terminal hands in, perhaps again; answers with what is to be sent."""
        parcels = []
        for item in items:
            state = "here" if item.parcel.destination == here else "queued"
            parcels.append(self.store(item.parcel, item.head, item.envelope_id, state))
            if body:
                self.bodies[item.envelope_id] = bytearray(body)
                self.whole_bodies.add(item.envelope_id)
        if anchored is not None and not self._is_anchored(anchored):
            self.waiting[anchored.item_hash] = anchored
        return [parcel for parcel in parcels if self.items[parcel.item_id].state == "queued"]

    def _is_anchored(self, item: Item) -> bool:
        batches = (batch for batch, _ in self.batches.values())
        return item.item_hash in self.proofs or any(item in batch.items.values() for batch in batches)

    def open_body(self, envelope_id: bytes) -> None:
        """Make room for a body, unless it is here."""
        self.bodies.setdefault(envelope_id, bytearray())

    def has_body(self, envelope_id: bytes) -> bool:
        """Whether the body is here and was checked."""
        return envelope_id in self.whole_bodies

    def is_whole(self, item_id: bytes) -> bool:
        """Whether the item was ever stored whole."""
        return item_id in self.items and self.items[item_id].state != "incoming"

    def queued(self) -> list[Parcel]:
        """What waits to be sent."""
        return [one.parcel for one in self.items.values() if one.state == "queued"]

    def incoming(self) -> list[Incoming]:
        """What has come in part."""
        return [
            Incoming(one.parcel, len(self.bodies[one.envelope_id]), owns_body=not self.has_body(one.envelope_id))
            for one in self.items.values()
            if one.state == "incoming"
        ]

    def inbox(self) -> list[StoredItem]:
        """What has come for this post's terminals."""
        return [one for one in self.items.values() if one.state == "here"]
