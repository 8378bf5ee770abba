"""Slots: what a post does goes on the ledger as one filled batch each slot (docs/protocol/batch.md)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keys.purpose import Purpose
from keys.signing import Signer
from ledger.batch import CONFIDENTIAL, CONFIDENTIAL_COUNTS
from ledger.bodies import Batch
from ledger.entry import EntryLeaf, decode_leaf, encode_entry, make_leaf, sign_entry
from ledger.merkle import leaf_hash
from ledger.proof import ItemProof, batch_tree, item_leaf, make_item_proof
from node.actions import (
    Action,
    Alarm,
    BatchSettled,
    Item,
    KeepEvidence,
    SaveBatch,
    SaveProofs,
    SubmitEntry,
)
from node.chain import Chain
from protos.errors import Malformed

KIND = "clone"
SUBMIT_AGAIN_SECONDS = 5
MAX_WAITING = 65_536


@dataclass(slots=True)
class OpenBatch:
    """A batch without its proofs yet. `index` is None until its entry stands on the ledger."""

    batch: SaveBatch
    index: int | None = None


class Slots:
    """The post's confidential items and its node's own entries: one entry unsettled at a time.

    `random(n)` gives n random bytes. `waiting` and `batches` are what the store holds at start; `index_of` looks a
    leaf hash up in the stored log, which alone says what is settled.
    """

    def __init__(
        self,
        chain: Chain,
        post: str,
        signer: Signer,
        random: Callable[[int], bytes],
        *,
        index_of: Callable[[bytes], int | None],
        waiting: Sequence[Item] = (),
        batches: Sequence[OpenBatch] = (),
    ) -> None:
        self._chain, self._post, self._signer, self._random = chain, post, signer, random
        self._key_id = signer.public_key.key_id
        self._waiting = OrderedDict((item.item_hash, item) for item in waiting)
        self._batches = {one.batch.sequence: one for one in batches}
        for one in self._batches.values():
            one.index = index_of(leaf_hash(one.batch.leaf))
        self._slot: int | None = None
        self._submitted_at: int | None = None
        self._least_sequence = max(chain.machine.state.sequence(self._key_id), *self._batches, 0)
        self._halted = False

    @property
    def is_halted(self) -> bool:
        """Another node signs entries with this key: nothing more is signed here."""
        return self._halted

    @property
    def is_full(self) -> bool:
        """No further item is taken: the ledger has been away for long."""
        return len(self._waiting) >= MAX_WAITING

    def add(self, item: Item) -> None:
        """An item that the shell has stored waits for the next slot. The same item twice is one."""
        self._waiting.setdefault(item.item_hash, item)

    def adopt_sequence(self, sequence: int) -> None:
        """Another post has an entry of this node with this sequence: never use it again."""
        self._least_sequence = max(self._least_sequence, sequence)

    # --- events ----------------------------------------------------------------------------------------------

    def tick(self, now: int) -> list[Action]:
        """Close the slot when it is over, and submit again what is not settled. `now` is POSIX seconds."""
        if self._halted:
            return []
        pending = self._unsettled()
        if pending is not None:
            return self._submit(pending, now)
        slot = now // self._chain.machine.state.parameters().slot_seconds
        if self._slot is None:
            self._slot = slot
        if slot == self._slot or not (self._waiting or self._chain.machine.state.parameters().filled_slots):
            return []
        if self._chain.machine.state.sequence(self._key_id) < self._least_sequence:
            return []  # the own log is behind what this key has signed already
        self._slot = slot
        batch = self._make_batch()
        self._batches[batch.sequence] = OpenBatch(batch)
        self._least_sequence = batch.sequence
        for item in batch.items.values():
            del self._waiting[item.item_hash]
        return [batch, *self._submit(batch, now)]

    def answered(self, leaf: bytes, code: str, text: str) -> list[Action]:
        """What a validator said of a submitted entry. Only the own log settles it; a refusal is shown."""
        pending = self._unsettled()
        if code in ("accepted", "pending", "busy") or pending is None or pending.leaf != leaf:
            return []
        return [Alarm("entry-refused", self._post, f"the batch entry {pending.sequence} is refused: {text}")]

    def appended(self, start: int, leaves: Sequence[bytes]) -> list[Action]:
        """A block is durable: look for the own entries in it."""
        actions: list[Action] = []
        for index, leaf in enumerate(leaves, start):
            entry = self._own_entry(leaf)
            if entry is not None:
                actions += self._settle(entry, index, leaf)
        return actions

    def truncated(self, size: int) -> None:
        """The log was cut back to `size`: what stood behind it is not settled any more."""
        for one in self._batches.values():
            if one.index is not None and one.index >= size:
                one.index = None

    def policy_note(self, size: int, note: bytes) -> list[Action]:
        """A checkpoint has its quorum: every batch entry below it can be proved."""
        actions: list[Action] = []
        for sequence, one in sorted(self._batches.items()):
            if one.index is not None and one.index < size:
                actions.append(SaveProofs(sequence, self._prove(one, one.index, size, note)))
                del self._batches[sequence]
        return actions

    # --- batches -----------------------------------------------------------------------------------------------

    def _unsettled(self) -> SaveBatch | None:
        return next((one.batch for one in self._batches.values() if one.index is None), None)

    def _make_batch(self) -> SaveBatch:
        """Items at random places among random leaves, so that nothing tells how many there are."""
        taken = [item for _, item in zip(range(CONFIDENTIAL_COUNTS[-1]), self._waiting.values(), strict=False)]
        count = next(one for one in CONFIDENTIAL_COUNTS if len(taken) <= one)
        places = self._shuffled(count)[: len(taken)]
        items = dict(sorted(zip(places, taken, strict=True)))
        hashes = tuple(self._item_leaf(items[at]) if at in items else self._random(32) for at in range(count))
        sequence = self._chain.machine.state.sequence(self._key_id) + 1
        body = Batch(self._post, CONFIDENTIAL, batch_tree(hashes).root(), count)
        entry = encode_entry("batch", sequence, body)
        signature = sign_entry(entry, self._signer, self._chain.machine.network_id, Purpose.ENTRY)
        return SaveBatch(sequence, make_leaf(entry, [signature], self._key_id), hashes, items)

    def _shuffled(self, count: int) -> list[int]:
        return sorted(range(count), key=lambda _: self._random(8))

    def _item_leaf(self, item: Item) -> bytes:
        return item_leaf(self._chain.machine.network_id, self._post, item.kind, item.salt, item.item_hash)

    def _submit(self, batch: SaveBatch, now: int) -> list[Action]:
        last = self._submitted_at
        if last is not None and 0 <= now - last < SUBMIT_AGAIN_SECONDS:
            return []
        self._submitted_at = now
        return [SubmitEntry(batch.leaf)]

    def _prove(self, one: OpenBatch, index: int, size: int, note: bytes) -> dict[bytes, bytes]:
        tree = batch_tree(one.batch.hashes)
        path = self._chain.machine.tree.inclusion(index, size)
        proofs = {}
        for place, item in one.batch.items.items():
            extra = ItemProof.make(one.batch.leaf, tree, place, item.kind, item.salt)
            proofs[item.item_hash] = make_item_proof(extra, index, path, note).encode()
        return proofs

    # --- own entries ---------------------------------------------------------------------------------------------

    def _own_entry(self, leaf: bytes) -> EntryLeaf | None:
        """The entry, if this node's key is its author."""
        try:
            entry = decode_leaf(leaf)
        except Malformed:
            return None
        if not isinstance(entry, EntryLeaf) or not entry.signatures:
            return None
        return entry if entry.signatures[0].key_id == self._key_id else None

    def _settle(self, entry: EntryLeaf, index: int, leaf: bytes) -> list[Action]:
        sequence, pending = entry.entry.sequence, self._unsettled()
        is_new = sequence > self._least_sequence
        self._least_sequence = max(self._least_sequence, sequence)
        if pending is not None and pending.leaf == leaf:
            self._batches[sequence].index, self._submitted_at = index, None
            return [BatchSettled(sequence, index)]
        if pending is not None and pending.sequence == sequence:
            self._halted = True
        elif not is_new or entry.entry.kind != "batch":
            return []  # an entry of before a restore or rebuild, or one that is not made here
        text = f"an entry {sequence} that this node did not make has its key's signature: the key is in use elsewhere"
        return [KeepEvidence(self._post, KIND, leaf), Alarm(KIND, self._post, text)]
