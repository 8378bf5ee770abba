"""The log, its checkpoints, and what this node signed of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from sqlalchemy import Connection, Delete, Insert, Table, bindparam, delete, func, insert, select

from ledger.block import decode_record
from ledger.merkle import leaf_hash
from node.store.tables import BLOCKS, COSIGNATURES, EVIDENCE, LEAVES, META, NOTES, SIGN_STATE

FINAL = "final"
POLICY = "policy"
_NOTES_KEPT = 64
_OLD = "old_"

# Made once: to build a statement costs more than to run it.
_LEAVES = select(LEAVES.c.data).where(LEAVES.c.position >= bindparam("start"), LEAVES.c.position < bindparam("end"))
_LEAVES = _LEAVES.order_by(LEAVES.c.position)
_INDEX_OF = select(func.min(LEAVES.c.position)).where(LEAVES.c.hash == bindparam("hash"))


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block as a unit: `start` is the log index of its first leaf, `root` the log root after its last one."""

    start: int
    leaves: tuple[bytes, ...]
    root: bytes

    @property
    def size(self) -> int:
        """The log size after this block."""
        return self.start + len(self.leaves)


@dataclass(frozen=True, slots=True)
class SignState:
    """What one of this node's keys signed last. `frontier` encodes the compact range it was signed over."""

    size: int
    root: bytes
    frontier: bytes
    at: int
    note: bytes


@cache
def _replacing(table: Table) -> tuple[Delete, Insert]:
    keys = (column == bindparam(_OLD + column.name) for column in table.primary_key.columns)
    return delete(table).where(*keys), insert(table)


def replace(tx: Connection, table: Table, **values: object) -> None:
    """Write one row, whether or not its key exists: portable, inside the caller's transaction."""
    former, row = _replacing(table)
    tx.execute(former, {_OLD + column.name: values[column.name] for column in table.primary_key.columns})
    tx.execute(row, values)


def set_meta(tx: Connection, name: str, value: bytes) -> None:
    """Keep one named value."""
    replace(tx, META, name=name, value=value)


def meta(tx: Connection, name: str) -> bytes | None:
    """A named value, or None."""
    return tx.execute(select(META.c.value).where(META.c.name == name)).scalar()


def append_block(tx: Connection, block: StoredBlock) -> None:
    """Append a block that the machine applied."""
    rows = [{"position": block.start + i, "hash": leaf_hash(leaf), "data": leaf} for i, leaf in enumerate(block.leaves)]
    tx.execute(insert(LEAVES), rows)
    tx.execute(insert(BLOCKS).values(size=block.size, start=block.start, root=block.root))


def log_size(tx: Connection) -> int:
    """Leaves stored, in whole blocks."""
    return tx.execute(select(func.max(BLOCKS.c.size))).scalar() or 0


def blocks(tx: Connection, start: int, limit: int) -> list[StoredBlock]:
    """At most `limit` blocks from the one that starts at `start` on."""
    query = select(BLOCKS.c.start, BLOCKS.c.size, BLOCKS.c.root).where(BLOCKS.c.start >= start)
    rows = tx.execute(query.order_by(BLOCKS.c.start).limit(limit)).all()
    return [StoredBlock(row.start, leaves(tx, row.start, row.size), row.root) for row in rows]


def is_block_end(tx: Connection, size: int) -> bool:
    """Whether a block of the log ends at `size`."""
    return tx.execute(select(BLOCKS.c.size).where(BLOCKS.c.size == size)).scalar() is not None


def end_before(tx: Connection, time: int, size: int) -> int:
    """The end of the last block whose time is before `time`, of those that end at or below `size`; 0 if there is none.

    Block times never go back.
    """
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        end = _last_end(tx, middle)
        if end == 0 or decode_record(leaves(tx, end - 1, end)[0]).time < time:
            low = middle
        else:
            high = end - 1
    return _last_end(tx, low)


def _last_end(tx: Connection, size: int) -> int:
    return tx.execute(select(func.max(BLOCKS.c.size)).where(BLOCKS.c.size <= size)).scalar() or 0


def all_blocks(tx: Connection) -> Iterator[StoredBlock]:
    """The whole log, block by block."""
    start = 0
    while found := blocks(tx, start, 64):
        yield from found
        start = found[-1].size


def leaves(tx: Connection, start: int, end: int) -> tuple[bytes, ...]:
    """Leaf bytes of [start, end)."""
    return tuple(tx.execute(_LEAVES, {"start": start, "end": end}).scalars())


def index_of(tx: Connection, entry_hash: bytes) -> int | None:
    """The first log index of the leaf with this RFC 6962 leaf hash, or None."""
    found: int | None = tx.execute(_INDEX_OF, {"hash": entry_hash}).scalar()
    return found


def hashes(tx: Connection, start: int, end: int) -> tuple[bytes, ...]:
    """The stored hashes of the leaves of [start, end)."""
    query = select(LEAVES.c.hash).where(LEAVES.c.position >= start, LEAVES.c.position < end)
    return tuple(tx.execute(query.order_by(LEAVES.c.position)).scalars())


def truncate(tx: Connection, size: int) -> None:
    """Forget every block from `size` on."""
    tx.execute(delete(LEAVES).where(LEAVES.c.position >= size))
    tx.execute(delete(BLOCKS).where(BLOCKS.c.start >= size))


def save_note(tx: Connection, kind: str, size: int, note: bytes) -> None:
    """Keep a signed note of `kind` (FINAL or POLICY), and forget older ones but the newest few."""
    replace(tx, NOTES, kind=kind, size=size, note=note)
    older = select(NOTES.c.size).where(NOTES.c.kind == kind).order_by(NOTES.c.size.desc()).offset(_NOTES_KEPT)
    tx.execute(delete(NOTES).where(NOTES.c.kind == kind, NOTES.c.size.in_(tx.execute(older).scalars().all())))


def newest_note(tx: Connection, kind: str) -> tuple[int, bytes] | None:
    """(size, signed note) of the newest kept one of `kind`."""
    query = select(NOTES.c.size, NOTES.c.note).where(NOTES.c.kind == kind).order_by(NOTES.c.size.desc())
    row = tx.execute(query.limit(1)).first()
    return (row.size, row.note) if row else None


def save_cosignature(tx: Connection, post: str, size: int, root: bytes, line: bytes) -> None:
    """Keep another post's cosignature, durable before that post gets an answer."""
    replace(tx, COSIGNATURES, post=post, size=size, root=root, line=line)


def cosignatures(tx: Connection) -> list[tuple[str, int, bytes, bytes]]:
    """(post, size, root, line) of all that are kept, in rising size."""
    table = COSIGNATURES.c
    query = select(table.post, table.size, table.root, table.line).order_by(table.size, table.post)
    return [(row.post, row.size, row.root, row.line) for row in tx.execute(query)]


def newest_cosignature(tx: Connection, post: str) -> tuple[int, bytes] | None:
    """(size, root) of the newest one kept of a post: what it asks back after a restore."""
    query = select(COSIGNATURES.c.size, COSIGNATURES.c.root).where(COSIGNATURES.c.post == post)
    row = tx.execute(query.order_by(COSIGNATURES.c.size.desc()).limit(1)).first()
    return (row.size, row.root) if row else None


def forget_cosignatures(tx: Connection, up_to: int) -> None:
    """A policy checkpoint of size `up_to` is kept: of smaller cosignatures only each post's newest stays."""
    newest = select(COSIGNATURES.c.post, func.max(COSIGNATURES.c.size).label("size")).group_by(COSIGNATURES.c.post)
    for post, size in [(row.post, row.size) for row in tx.execute(newest)]:
        older = delete(COSIGNATURES).where(COSIGNATURES.c.post == post, COSIGNATURES.c.size <= up_to)
        tx.execute(older.where(COSIGNATURES.c.size < size))


def save_sign_state(tx: Connection, role: str, state: SignState) -> None:
    """Durable before the signature leaves the node. `role` is "cosigner" or "log"."""
    replace(
        tx,
        SIGN_STATE,
        role=role,
        size=state.size,
        root=state.root,
        frontier=state.frontier,
        at=state.at,
        note=state.note,
    )


def sign_state(tx: Connection, role: str) -> SignState | None:
    """What this key signed last, or None."""
    table = SIGN_STATE.c
    query = select(table.size, table.root, table.frontier, table.at, table.note).where(table.role == role)
    row = tx.execute(query).first()
    return SignState(*row) if row else None


def keep_evidence(tx: Connection, signer: str, kind: str, content: bytes, now: int) -> None:
    """Keep the first contradiction of each signer."""
    if tx.execute(select(EVIDENCE.c.signer).where(EVIDENCE.c.signer == signer)).scalar() is None:
        tx.execute(insert(EVIDENCE).values(signer=signer, kind=kind, content=content, at=now))


def accused(tx: Connection) -> list[str]:
    """The signers of whom evidence is kept."""
    return list(tx.execute(select(EVIDENCE.c.signer).order_by(EVIDENCE.c.signer)).scalars())
