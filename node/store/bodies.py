"""Sealed bodies in rows of at most 64 KiB: written and read piece by piece, resumed at their byte offset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from node.store.tables import BODIES, BODY_PARTS

# Built once: these run for every cable.
_PUT_PART = insert(BODY_PARTS)
_WHOLE = select(BODIES.c.whole).where(BODIES.c.envelope_id == bindparam("of"))
_KNOWN_AMONG = select(BODIES.c.envelope_id, BODIES.c.whole).where(
    BODIES.c.envelope_id.in_(bindparam("of", expanding=True))
)
_FIRST_PARTS = select(BODY_PARTS.c.envelope_id, BODY_PARTS.c.data).where(
    BODY_PARTS.c.envelope_id.in_(bindparam("of", expanding=True)), BODY_PARTS.c.offset == 0
)
_PUT_BODY = insert(BODIES)
_FINISH = update(BODIES).where(BODIES.c.envelope_id == bindparam("of")).values(whole=True)
_PARTS = (
    select(BODY_PARTS.c.offset, BODY_PARTS.c.data)
    .where(BODY_PARTS.c.envelope_id == bindparam("of"), BODY_PARTS.c.offset <= bindparam("from_offset"))
    .order_by(BODY_PARTS.c.offset.desc())
    .limit(1)
)


@dataclass(slots=True)
class NewBody:
    """A body that began in the running unit: (offset, data) of its parts in order."""

    envelope_id: bytes
    length: int
    parts: list[tuple[int, bytes]] = field(default_factory=list)
    whole: bool = False


def begin_body(tx: Connection, envelope_id: bytes, length: int) -> None:
    """Make room for a body that has not come yet; a body that has begun stays as it is."""
    if tx.execute(_WHOLE, {"of": envelope_id}).scalar() is None:
        tx.execute(insert(BODIES).values(envelope_id=envelope_id, length=length, whole=False))


def append_part(tx: Connection, envelope_id: bytes, offset: int, data: bytes) -> None:
    """Keep the next bytes of a body."""
    tx.execute(_PUT_PART, {"envelope_id": envelope_id, "offset": offset, "data": data, "length": len(data)})


def received(tx: Connection, envelope_id: bytes) -> int:
    """Bytes kept so far: where to resume."""
    parts = BODY_PARTS.c
    query = select(func.max(parts.offset + parts.length)).where(parts.envelope_id == envelope_id)
    return tx.execute(query).scalar() or 0


def finish_body(tx: Connection, envelope_id: bytes) -> None:
    """Mark a body whole: all bytes are here and give the signed root."""
    tx.execute(_FINISH, {"of": envelope_id})


def is_whole(tx: Connection, envelope_id: bytes) -> bool:
    """Whether the verified body is here."""
    return bool(tx.execute(_WHOLE, {"of": envelope_id}).scalar())


def known_among(tx: Connection, envelope_ids: Iterable[bytes]) -> dict[bytes, bool]:
    """Those that have begun, and whether they are whole."""
    return {row.envelope_id: row.whole for row in tx.execute(_KNOWN_AMONG, {"of": list(envelope_ids)})}


def put_new_bodies(tx: Connection, new: list[NewBody]) -> None:
    """Keep bodies of which the store knows nothing, with the parts that are here already."""
    rows = [{"envelope_id": one.envelope_id, "length": one.length, "whole": one.whole} for one in new]
    tx.execute(_PUT_BODY, rows)
    parts = [
        {"envelope_id": one.envelope_id, "offset": offset, "data": data, "length": len(data)}
        for one in new
        for offset, data in one.parts
    ]
    if parts:
        tx.execute(_PUT_PART, parts)


def drop_unfinished(tx: Connection, envelope_id: bytes) -> None:
    """Forget a body that is not whole."""
    tx.execute(delete(BODIES).where(BODIES.c.envelope_id == envelope_id, BODIES.c.whole.is_(False)))


def part_at(tx: Connection, envelope_id: bytes, offset: int) -> bytes:
    """The bytes from `offset` to the end of the row that holds it; empty at the end."""
    row = tx.execute(_PARTS, {"of": envelope_id, "from_offset": offset}).first()
    return row.data[offset - row.offset :] if row else b""


def first_parts(tx: Connection, envelope_ids: Iterable[bytes]) -> dict[bytes, bytes]:
    """The first row of each body: all of it, if it came in one piece."""
    return {row.envelope_id: row.data for row in tx.execute(_FIRST_PARTS, {"of": list(envelope_ids)})}


def read_body(tx: Connection, envelope_id: bytes, offset: int, length: int) -> bytes:
    """Bytes [offset, offset + length) of a body, fewer at its end."""
    pieces: list[bytes] = []
    while length and (piece := part_at(tx, envelope_id, offset)[:length]):
        pieces.append(piece)
        offset, length = offset + len(piece), length - len(piece)
    return b"".join(pieces)
