"""The log, its checkpoints, and what this node signed of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Table, delete, func, insert, select

from node.store.tables import BLOCKS, COSIGNATURES, EVIDENCE, LEAVES, META, NOTES, SIGN_STATE


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
    line: bytes


def replace(tx: Connection, table: Table, **values: object) -> None:
    """Write one row, whether or not its key exists: portable, inside the caller's transaction."""
    keys = list(table.primary_key.columns)
    tx.execute(delete(table).where(*(column == values[column.name] for column in keys)))
    tx.execute(insert(table).values(**values))


def set_meta(tx: Connection, name: str, value: bytes) -> None:
    """Keep one named value."""
    replace(tx, META, name=name, value=value)


def meta(tx: Connection, name: str) -> bytes | None:
    """A named value, or None."""
    return tx.execute(select(META.c.value).where(META.c.name == name)).scalar()


def append_block(tx: Connection, block: StoredBlock) -> None:
    """Append a block that the machine applied."""
    rows = [{"position": block.start + i, "data": leaf} for i, leaf in enumerate(block.leaves)]
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


def all_blocks(tx: Connection) -> Iterator[StoredBlock]:
    """The whole log, block by block."""
    start = 0
    while found := blocks(tx, start, 64):
        yield from found
        start = found[-1].size


def leaves(tx: Connection, start: int, end: int) -> tuple[bytes, ...]:
    """Leaf bytes of [start, end)."""
    query = select(LEAVES.c.data).where(LEAVES.c.position >= start, LEAVES.c.position < end)
    return tuple(tx.execute(query.order_by(LEAVES.c.position)).scalars())


def is_block_end(tx: Connection, size: int) -> bool:
    """Whether a block of the stored log ends at `size`."""
    return size == 0 or tx.execute(select(BLOCKS.c.size).where(BLOCKS.c.size == size)).scalar() is not None


def save_note(tx: Connection, size: int, note: bytes) -> None:
    """Keep a checkpoint under the policy, and forget older ones but the newest few."""
    replace(tx, NOTES, size=size, note=note)
    tx.execute(delete(NOTES).where(NOTES.c.size < size, NOTES.c.size.not_in(
        select(NOTES.c.size).order_by(NOTES.c.size.desc()).limit(_NOTES_KEPT).scalar_subquery())))


_NOTES_KEPT = 64


def newest_note(tx: Connection) -> tuple[int, bytes] | None:
    """(size, signed note) of the newest kept checkpoint."""
    row = tx.execute(select(NOTES.c.size, NOTES.c.note).order_by(NOTES.c.size.desc()).limit(1)).first()
    return (row.size, row.note) if row else None


def save_cosignature(tx: Connection, post: str, size: int, root: bytes, line: bytes) -> None:
    """Keep another post's cosignature until a larger policy checkpoint makes it needless."""
    replace(tx, COSIGNATURES, post=post, size=size, root=root, line=line)


def cosignatures(tx: Connection) -> Sequence[tuple[str, int, bytes, bytes]]:
    """All kept cosignatures as (post, size, root, line), in rising size."""
    query = select(COSIGNATURES.c.post, COSIGNATURES.c.size, COSIGNATURES.c.root, COSIGNATURES.c.line)
    return [tuple(row) for row in tx.execute(query.order_by(COSIGNATURES.c.size, COSIGNATURES.c.post))]


def forget_cosignatures(tx: Connection, below: int) -> None:
    """Drop the kept cosignatures of sizes below `below`, but each post's newest."""
    newest = select(COSIGNATURES.c.post, func.max(COSIGNATURES.c.size).label("size")).group_by(COSIGNATURES.c.post)
    keep = {(row.post, row.size) for row in tx.execute(newest)}
    for post, size in keep:
        tx.execute(delete(COSIGNATURES).where(COSIGNATURES.c.post == post, COSIGNATURES.c.size < min(below, size)))


def save_sign_state(tx: Connection, role: str, state: SignState) -> None:
    """Durable before the signature leaves the node. `role` is "cosigner" or "log"."""
    replace(tx, SIGN_STATE, role=role, size=state.size, root=state.root, frontier=state.frontier, at=state.at,
            line=state.line)


def sign_state(tx: Connection, role: str) -> SignState | None:
    """What this key signed last, or None."""
    table = SIGN_STATE.c
    query = select(table.size, table.root, table.frontier, table.at, table.line).where(table.role == role)
    row = tx.execute(query).first()
    return SignState(*row) if row else None


def keep_evidence(tx: Connection, signer: str, kind: str, content: bytes, now: int) -> None:
    """Keep the first contradiction of each signer."""
    if tx.execute(select(EVIDENCE.c.signer).where(EVIDENCE.c.signer == signer)).scalar() is None:
        tx.execute(insert(EVIDENCE).values(signer=signer, kind=kind, content=content, at=now))
