"""The courier's durable side: items under way, envelopes, inboxes of the post's terminals, hops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from node.courier import Parcel
from node.store.bodies import received
from node.store.log import replace
from node.store.tables import ENVELOPES, HOPS, INBOX, ITEMS

INTAKE = "intake"
QUEUED = "queued"
DONE = "done"


@dataclass(frozen=True, slots=True)
class CourierItem:
    """An item with its content: `head` is an envelope's head for its destination, else the whole content."""

    parcel: Parcel
    envelope_id: bytes
    head: bytes


@dataclass(frozen=True, slots=True)
class StoredEnvelope:
    """What the node remembers of an envelope that it has stored."""

    envelope_id: bytes
    cable_id: bytes
    origin: str
    terminal_id: bytes
    body_root: bytes
    precedence: int
    expires_at: int
    draft: bool


def put_item(tx: Connection, item: CourierItem, state: str, now: int) -> None:
    """Store an item, or bring a stored one into another state."""
    parcel = item.parcel
    replace(
        tx, ITEMS, item_id=parcel.item_id, kind=parcel.kind, origin=parcel.origin, destination=parcel.destination,
        precedence=parcel.precedence, expires_at=parcel.expires_at, size_seen=parcel.size_seen, head=item.head,
        body_length=parcel.length, envelope_id=item.envelope_id, state=state, arrival=parcel.arrival, at=now,
    )


def finish_item(tx: Connection, item_id: bytes) -> None:
    """The item's way ends here: only its id is remembered, to know a duplicate."""
    tx.execute(update(ITEMS).where(ITEMS.c.item_id == item_id).values(state=DONE, head=b""))


def drop_item(tx: Connection, item_id: bytes) -> None:
    """Forget an item that never became whole."""
    tx.execute(delete(ITEMS).where(ITEMS.c.item_id == item_id))


def item(tx: Connection, item_id: bytes) -> CourierItem | None:
    """The stored item, in any state."""
    row = tx.execute(select(ITEMS).where(ITEMS.c.item_id == item_id)).first()
    return CourierItem(_parcel(row), row.envelope_id, row.head) if row else None


def is_stored(tx: Connection, item_id: bytes) -> bool:
    """Whether the item was ever stored whole."""
    return tx.execute(select(ITEMS.c.state).where(ITEMS.c.item_id == item_id)).scalar() in (QUEUED, DONE)


def parcels(tx: Connection, state: str) -> list[Parcel]:
    """Every item in `state`, in order of arrival."""
    query = select(*(column for column in ITEMS.c if column.name != "head")).where(ITEMS.c.state == state)
    return [_parcel(row) for row in tx.execute(query.order_by(ITEMS.c.arrival))]


def incoming(tx: Connection) -> list[tuple[Parcel, int]]:
    """Items whose body is not whole, with the bytes of it that are stored."""
    query = select(ITEMS).where(ITEMS.c.state == INTAKE)
    return [(_parcel(row), received(tx, row.envelope_id)) for row in tx.execute(query).all()]


def last_arrival(tx: Connection) -> int:
    """The largest arrival number in use."""
    return tx.execute(select(func.max(ITEMS.c.arrival))).scalar() or 0


def queue_sizes(tx: Connection) -> list[tuple[str, int, int]]:
    """(destination, items, bytes) of what waits."""
    size = func.sum(ITEMS.c.body_length + func.length(ITEMS.c.head))
    query = select(ITEMS.c.destination, func.count(), size).where(ITEMS.c.state == QUEUED)
    return [(row[0], row[1], int(row[2])) for row in tx.execute(query.group_by(ITEMS.c.destination))]


def put_envelope(tx: Connection, envelope: StoredEnvelope) -> None:
    """Remember an envelope; the same one twice is one."""
    if envelope_of(tx, envelope.envelope_id) is None:
        tx.execute(insert(ENVELOPES).values(
            envelope_id=envelope.envelope_id, cable_id=envelope.cable_id, origin=envelope.origin,
            terminal_id=envelope.terminal_id, body_root=envelope.body_root, precedence=envelope.precedence,
            expires_at=envelope.expires_at, draft=envelope.draft,
        ))


def envelope_of(tx: Connection, envelope_id: bytes) -> StoredEnvelope | None:
    """The envelope, or None."""
    row = tx.execute(select(ENVELOPES).where(ENVELOPES.c.envelope_id == envelope_id)).first()
    return StoredEnvelope(*row) if row else None


def deliver(tx: Connection, terminal_ids: Iterable[bytes], item: CourierItem) -> None:
    """Put the item into the inboxes of these terminals, once."""
    parcel = item.parcel
    taken = select(INBOX.c.terminal_id).where(INBOX.c.item_id == parcel.item_id)
    have = set(tx.execute(taken).scalars())
    rows = [
        {"terminal_id": one, "kind": parcel.kind, "content": item.head, "body_length": parcel.length,
         "origin": parcel.origin, "envelope_id": item.envelope_id, "item_id": parcel.item_id}
        for one in terminal_ids if one not in have
    ]
    if rows:
        tx.execute(insert(INBOX), rows)


def inbox(tx: Connection, terminal_id: bytes, after: int, limit: int) -> list[Row[tuple[object, ...]]]:
    """At most `limit` inbox rows of a terminal behind `after`, in rising position."""
    query = select(INBOX).where(INBOX.c.terminal_id == terminal_id, INBOX.c.position > after)
    return list(tx.execute(query.order_by(INBOX.c.position).limit(limit)))


def readers(tx: Connection, envelope_id: bytes) -> list[bytes]:
    """The terminals of this post that have the envelope in their inbox."""
    query = select(INBOX.c.terminal_id).where(INBOX.c.envelope_id == envelope_id, INBOX.c.kind == 1)
    return list(tx.execute(query.distinct()).scalars())


def set_hop(tx: Connection, envelope_id: bytes, post: str, state: str, now: int) -> None:
    """Note how far an envelope of this post has come on its way to `post`."""
    replace(tx, HOPS, envelope_id=envelope_id, post=post, state=state, at=now)


def hops(tx: Connection, envelope_id: bytes) -> list[tuple[str, str, int]]:
    """(post, state, at) of an envelope of this post."""
    query = select(HOPS.c.post, HOPS.c.state, HOPS.c.at).where(HOPS.c.envelope_id == envelope_id)
    return [(row.post, row.state, row.at) for row in tx.execute(query.order_by(HOPS.c.post))]


def _parcel(row: Row[tuple[object, ...]]) -> Parcel:
    body_id = row.envelope_id if row.body_length else b""
    return Parcel(row.item_id, row.kind, row.origin, row.destination, row.precedence, row.expires_at, row.size_seen,
                  row.body_length, body_id, row.arrival)
