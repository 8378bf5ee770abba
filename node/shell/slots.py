"""The store's side of the slots: items that wait, batches under way, proofs."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from ledger.merkle import HASH_BYTES
from node import actions as act
from node.actions import Item
from node.anchor import OpenBatch
from node.store.database import Database
from node.store.log import replace
from node.store.tables import BATCHES, PROOFS, SLOT_ITEMS, TRANSCRIPTS

CABLE = "cable"
RECEIPT = "receipt"
HOTLINE = "hotline"
ADDED_WRAP = "added-wrap"
_CABLE_PROOF = select(PROOFS.c.proof).where(PROOFS.c.envelope_id == bindparam("of"), PROOFS.c.kind == CABLE)
_HOTLINE_PROOF = select(PROOFS.c.proof).where(PROOFS.c.item_hash == bindparam("of"), PROOFS.c.kind == HOTLINE)
_PROVED_AMONG = select(PROOFS.c.envelope_id).where(
    PROOFS.c.envelope_id.in_(bindparam("among", expanding=True)), PROOFS.c.kind == CABLE
)


class StoredSlots:
    """Reads what node.anchor.Slots needs at start, and carries out its storing actions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self) -> list[Item]:
        """Items in no batch yet, oldest first."""
        table = SLOT_ITEMS.c
        query = select(table.kind, table.item_hash, table.salt).where(table.sequence.is_(None)).order_by(table.number)
        with self._database.read() as tx:
            return [Item(*row) for row in tx.execute(query)]

    def batches(self) -> list[OpenBatch]:
        """Batches whose proofs are not stored yet."""
        with self._database.read() as tx:
            return [
                OpenBatch(
                    act.SaveBatch(row.sequence, row.leaf, _split(row.hashes), _items(tx, row.sequence)),
                    row.position or None,
                )
                for row in tx.execute(select(BATCHES).order_by(BATCHES.c.sequence))
            ]

    def carry_out(self, action: act.SaveBatch | act.BatchSettled | act.SaveProofs) -> list[bytes]:
        """One transaction. Returns the ids of the envelopes whose anchors can be proved now."""
        with self._database.write() as tx:
            match action:
                case act.SaveBatch():
                    _save_batch(tx, action)
                case act.BatchSettled(sequence, index):
                    tx.execute(update(BATCHES).where(BATCHES.c.sequence == sequence).values(position=index))
                case act.SaveProofs(sequence, proofs):
                    return _save_proofs(tx, sequence, proofs)
        return []


def add_item(tx: Connection, item: Item, envelope_id: bytes) -> None:
    """Let an item wait for the next slot; the same item twice is one."""
    if tx.execute(select(SLOT_ITEMS.c.number).where(SLOT_ITEMS.c.item_hash == item.item_hash)).scalar() is None:
        tx.execute(
            insert(SLOT_ITEMS).values(
                item_hash=item.item_hash,
                kind=item.kind,
                salt=item.salt,
                envelope_id=envelope_id,
                sequence=None,
                place=0,
            )
        )


def save_proof(tx: Connection, envelope_id: bytes, kind: str, item_hash: bytes, proof: bytes) -> None:
    """Keep a tlog-proof. An envelope has one of kind "cable", whoever computed its hash."""
    key = b"" if kind == CABLE else item_hash
    replace(tx, PROOFS, envelope_id=envelope_id, kind=kind, item_hash=key, proof=proof)


def cable_proof(tx: Connection, envelope_id: bytes) -> bytes | None:
    """The tlog-proof of a cable, or None."""
    return tx.execute(_CABLE_PROOF, {"of": envelope_id}).scalar()


def hotline_proof(tx: Connection, item_hash: bytes) -> bytes | None:
    """The tlog-proof of a hotline's transcript, or None."""
    return tx.execute(_HOTLINE_PROOF, {"of": item_hash}).scalar()


def add_transcript(tx: Connection, item_hash: bytes, at: int) -> bool:
    """Remember the hash of a transcript, whose proof is to be kept. False if it was known."""
    if tx.execute(select(TRANSCRIPTS.c.at).where(TRANSCRIPTS.c.item_hash == item_hash)).scalar() is not None:
        return False
    tx.execute(insert(TRANSCRIPTS).values(item_hash=item_hash, at=at))
    return True


def proved_among(tx: Connection, envelope_ids: Iterable[bytes]) -> set[bytes]:
    """Those whose tlog-proof is here."""
    return set(tx.execute(_PROVED_AMONG, {"among": list(envelope_ids)}).scalars())


def _save_batch(tx: Connection, batch: act.SaveBatch) -> None:
    tx.execute(
        insert(BATCHES).values(sequence=batch.sequence, leaf=batch.leaf, hashes=b"".join(batch.hashes), position=0)
    )
    for place, item in batch.items.items():
        mine = update(SLOT_ITEMS).where(SLOT_ITEMS.c.item_hash == item.item_hash)
        tx.execute(mine.values(sequence=batch.sequence, place=place))


def _save_proofs(tx: Connection, sequence: int, proofs: dict[bytes, bytes]) -> list[bytes]:
    table = SLOT_ITEMS.c
    query = select(table.envelope_id, table.kind, table.item_hash).where(table.sequence == sequence)
    rows = tx.execute(query).all()
    for envelope_id, kind, item_hash in rows:
        save_proof(tx, envelope_id, kind, item_hash, proofs[item_hash])
    tx.execute(delete(SLOT_ITEMS).where(SLOT_ITEMS.c.sequence == sequence))
    tx.execute(delete(BATCHES).where(BATCHES.c.sequence == sequence))
    return [envelope_id for envelope_id, kind, _ in rows if kind == CABLE]


def _items(tx: Connection, sequence: int) -> dict[int, Item]:
    table = SLOT_ITEMS.c
    query = select(table.place, table.kind, table.item_hash, table.salt).where(table.sequence == sequence)
    return {row.place: Item(row.kind, row.item_hash, row.salt) for row in tx.execute(query.order_by(table.place))}


def _split(hashes: bytes) -> tuple[bytes, ...]:
    return tuple(hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
