"""The courier's durable side: items under way, envelopes, inboxes of the post's terminals, hops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from node.courier import Parcel
from node.store.bodies import received
from node.store.tables import ENVELOPES, HOPS, INBOX, ITEMS

INTAKE = "intake"
QUEUED = "queued"
DONE = "done"

# Built once: these run for every cable.
_ITEM = select(ITEMS).where(ITEMS.c.item_id == bindparam("of"))
_ITEMS_AMONG = select(ITEMS).where(ITEMS.c.item_id.in_(bindparam("of", expanding=True)))
_STATE = select(ITEMS.c.state).where(ITEMS.c.item_id == bindparam("of"))
_STORED_AMONG = select(ITEMS.c.item_id).where(
    ITEMS.c.item_id.in_(bindparam("of", expanding=True)), ITEMS.c.state.in_(bindparam("states", expanding=True))
)
_PUT_ITEM = insert(ITEMS)
_SET_STATE = (
    update(ITEMS)
    .where(ITEMS.c.item_id == bindparam("of"))
    .values(state=bindparam("to_state"), head=bindparam("to_head"), arrival=bindparam("to_arrival"))
)
_ENVELOPE = select(ENVELOPES).where(ENVELOPES.c.envelope_id == bindparam("of"))
_ENVELOPES_AMONG = select(ENVELOPES.c.envelope_id).where(ENVELOPES.c.envelope_id.in_(bindparam("of", expanding=True)))
_PUT_ENVELOPE = insert(ENVELOPES)
WITH_BODY = (1, 9)
"""Kinds of inbox rows whose terminal fetches a body: an envelope, an added wrap."""
_HOLDERS = select(INBOX.c.terminal_id, INBOX.c.item_id).where(INBOX.c.item_id.in_(bindparam("of", expanding=True)))
_PUT_INBOX = insert(INBOX)
_LAST_POSITION = select(func.max(INBOX.c.position))
_POSITIONS_PER_SECOND = 1_000_000
_SET_HOP = (
    update(HOPS)
    .where(HOPS.c.envelope_id == bindparam("of"), HOPS.c.post == bindparam("at_post"))
    .values(state=bindparam("to_state"), at=bindparam("to_at"))
)


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
    """Store an item, or bring a stored one into another state. Of one that is DONE only its id is remembered."""
    parcel, head = item.parcel, b"" if state == DONE else item.head
    change = {"of": parcel.item_id, "to_state": state, "to_head": head, "to_arrival": parcel.arrival}
    if tx.execute(_SET_STATE, change).rowcount == 0:
        tx.execute(_PUT_ITEM, _row(item, state, now))


def put_new_items(tx: Connection, items: list[tuple[CourierItem, str]], now: int) -> None:
    """Store items, each with its state, of which the store knows nothing."""
    tx.execute(_PUT_ITEM, [_row(item, state, now) for item, state in items])


def finish_items(tx: Connection, parcels: Iterable[Parcel]) -> None:
    """The way of these items ends here: only their ids are remembered, to know a duplicate."""
    tx.execute(
        _SET_STATE,
        [{"of": one.item_id, "to_state": DONE, "to_head": b"", "to_arrival": one.arrival} for one in parcels],
    )


def drop_item(tx: Connection, item_id: bytes) -> None:
    """Forget an item that never became whole."""
    tx.execute(delete(ITEMS).where(ITEMS.c.item_id == item_id))


def item(tx: Connection, item_id: bytes) -> CourierItem | None:
    """The stored item, in any state."""
    row = tx.execute(_ITEM, {"of": item_id}).first()
    return CourierItem(_parcel(row, len(row.head)), row.envelope_id, row.head) if row else None


def items_among(tx: Connection, item_ids: Iterable[bytes]) -> dict[bytes, CourierItem]:
    """The stored items, in any state, by their ids."""
    rows = tx.execute(_ITEMS_AMONG, {"of": list(item_ids)})
    return {row.item_id: CourierItem(_parcel(row, len(row.head)), row.envelope_id, row.head) for row in rows}


def stored_among(tx: Connection, item_ids: Iterable[bytes]) -> set[bytes]:
    """Those that were ever stored whole."""
    return set(tx.execute(_STORED_AMONG, {"of": list(item_ids), "states": [QUEUED, DONE]}).scalars())


def is_stored(tx: Connection, item_id: bytes) -> bool:
    """Whether the item was ever stored whole."""
    return tx.execute(_STATE, {"of": item_id}).scalar() in (QUEUED, DONE)


def is_queued(tx: Connection, item_id: bytes) -> bool:
    """Whether the item waits for a link."""
    return tx.execute(_STATE, {"of": item_id}).scalar() == QUEUED


def parcels(tx: Connection, state: str) -> list[Parcel]:
    """Every item in `state`, in order of arrival."""
    but_head = (column for column in ITEMS.c if column.name != "head")
    head_bytes = func.length(ITEMS.c.head).label("head_bytes")
    query = select(*but_head, head_bytes).where(ITEMS.c.state == state)
    return [_parcel(row, row.head_bytes) for row in tx.execute(query.order_by(ITEMS.c.arrival))]


def incoming(tx: Connection) -> list[tuple[Parcel, int]]:
    """Items whose body is not whole, with the bytes of it that are stored."""
    query = select(ITEMS).where(ITEMS.c.state == INTAKE)
    return [(_parcel(row, len(row.head)), received(tx, row.envelope_id)) for row in tx.execute(query).all()]


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
    put_envelopes(tx, [envelope])


def put_envelopes(tx: Connection, envelopes: Iterable[StoredEnvelope]) -> None:
    """Remember envelopes; the same one twice is one."""
    by_id = {one.envelope_id: one for one in envelopes}
    known = set(tx.execute(_ENVELOPES_AMONG, {"of": list(by_id)}).scalars())
    rows = [asdict(one) for envelope_id, one in by_id.items() if envelope_id not in known]
    if rows:
        tx.execute(_PUT_ENVELOPE, rows)


def envelope_of(tx: Connection, envelope_id: bytes) -> StoredEnvelope | None:
    """The envelope, or None."""
    row = tx.execute(_ENVELOPE, {"of": envelope_id}).first()
    return StoredEnvelope(*row) if row else None


def deliver(tx: Connection, terminal_ids: Iterable[bytes], item: CourierItem, now: int) -> None:
    """Put the item into the inboxes of these terminals, once."""
    deliver_all(tx, [(one, item) for one in terminal_ids], now)


def deliver_all(tx: Connection, pairs: Iterable[tuple[bytes, CourierItem]], now: int) -> None:
    """Put each item into the inbox of its terminal, once, in this order.

    Positions rise with the clock: a store restored from a backup gives none that its terminals have passed already.
    """
    wanted = {(terminal_id, item.parcel.item_id): item for terminal_id, item in pairs}
    holders = tx.execute(_HOLDERS, {"of": list({item_id for _, item_id in wanted})})
    have = {(row.terminal_id, row.item_id) for row in holders}
    first = max((tx.execute(_LAST_POSITION).scalar() or 0) + 1, now * _POSITIONS_PER_SECOND)
    fresh = ((key, item) for key, item in wanted.items() if key not in have)
    rows = [
        {
            "position": position,
            "terminal_id": key[0],
            "kind": item.parcel.kind,
            "content": item.head,
            "body_length": item.parcel.length,
            "origin": item.parcel.origin,
            "envelope_id": item.envelope_id,
            "item_id": key[1],
        }
        for position, (key, item) in enumerate(fresh, first)
    ]
    if rows:
        tx.execute(_PUT_INBOX, rows)


def inbox(tx: Connection, terminal_id: bytes, after: int, limit: int) -> list[Row[tuple[object, ...]]]:
    """At most `limit` inbox rows of a terminal behind `after`, in rising position."""
    query = select(INBOX).where(INBOX.c.terminal_id == terminal_id, INBOX.c.position > after)
    return list(tx.execute(query.order_by(INBOX.c.position).limit(limit)))


def readers(tx: Connection, envelope_id: bytes) -> list[bytes]:
    """The terminals of this post that have the envelope in their inbox."""
    query = select(INBOX.c.terminal_id).where(INBOX.c.envelope_id == envelope_id, INBOX.c.kind == 1)
    return list(tx.execute(query.distinct()).scalars())


def may_fetch(tx: Connection, envelope_id: bytes, terminal_id: bytes) -> bool:
    """Whether the body is for this terminal: it has the envelope, or a wrap that was added to it, in its inbox."""
    query = select(INBOX.c.position).where(INBOX.c.envelope_id == envelope_id, INBOX.c.terminal_id == terminal_id)
    return tx.execute(query.where(INBOX.c.kind.in_(WITH_BODY)).limit(1)).scalar() is not None


def set_hop(tx: Connection, envelope_id: bytes, post: str, state: str, now: int) -> None:
    """Note how far an envelope of this post has come on its way to `post`."""
    if tx.execute(_SET_HOP, {"of": envelope_id, "at_post": post, "to_state": state, "to_at": now}).rowcount == 0:
        tx.execute(insert(HOPS), {"envelope_id": envelope_id, "post": post, "state": state, "at": now})


def move_hops(tx: Connection, moved: Iterable[tuple[bytes, str, str]], now: int) -> None:
    """Note for (envelope id, post, state) how far an envelope has come on a way that is known."""
    tx.execute(
        _SET_HOP,
        [{"of": envelope_id, "at_post": post, "to_state": state, "to_at": now} for envelope_id, post, state in moved],
    )


def expire_hop(tx: Connection, envelope_id: bytes, post: str, now: int) -> None:
    """Note that an envelope was given up on its way to `post`, unless it is known to have come there."""
    way = update(HOPS).where(HOPS.c.envelope_id == envelope_id, HOPS.c.post == post)
    tx.execute(way.where(HOPS.c.state.in_(("queued", "relayed"))).values(state="expired", at=now))


def hops(tx: Connection, envelope_id: bytes) -> list[tuple[str, str, int]]:
    """(post, state, at) of an envelope of this post."""
    query = select(HOPS.c.post, HOPS.c.state, HOPS.c.at).where(HOPS.c.envelope_id == envelope_id)
    return [(row.post, row.state, row.at) for row in tx.execute(query.order_by(HOPS.c.post))]


def _row(item: CourierItem, state: str, now: int) -> dict[str, object]:
    parcel = item.parcel
    return {
        "item_id": parcel.item_id,
        "kind": parcel.kind,
        "origin": parcel.origin,
        "head": b"" if state == DONE else item.head,
        "destination": parcel.destination,
        "precedence": parcel.precedence,
        "expires_at": parcel.expires_at,
        "size_seen": parcel.size_seen,
        "body_length": parcel.length,
        "envelope_id": item.envelope_id,
        "state": state,
        "arrival": parcel.arrival,
        "at": now,
    }


def _parcel(row: Any, head_bytes: int) -> Parcel:
    body_id = row.envelope_id if row.body_length else b""
    return Parcel(
        row.item_id,
        row.kind,
        row.origin,
        row.destination,
        row.precedence,
        row.expires_at,
        row.size_seen,
        row.body_length,
        body_id,
        row.arrival,
        head_bytes,
    )
