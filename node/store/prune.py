"""What the courier no longer needs is removed, a bounded number of rows in a unit (network.md §6: disk bounded)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, Select, delete, exists, func, insert, or_, select

from node.store.courier import DONE, INTAKE, WITH_BODY
from node.store.tables import (
    ALARMS,
    BODIES,
    CABLE_TRAFFIC,
    ENVELOPES,
    HOPS,
    INBOX,
    ITEMS,
    POSITIONS,
    PROOFS,
    TRANSCRIPTS,
)

ALARMS_KEPT = 1_000
ROWS = 500
"""At most so many of each kind go in one unit."""


def acknowledge(tx: Connection, positions: Mapping[bytes, int]) -> None:
    """These terminals have everything up to these positions of their inboxes."""
    tx.execute(delete(POSITIONS).where(POSITIONS.c.terminal_id.in_(list(positions))))
    tx.execute(insert(POSITIONS), [{"terminal_id": one, "position": at} for one, at in positions.items()])


def acknowledged(tx: Connection) -> dict[bytes, int]:
    """By terminal id, the position up to which it has its inbox."""
    return {row.terminal_id: row.position for row in tx.execute(select(POSITIONS.c.terminal_id, POSITIONS.c.position))}


def forget_uploads(tx: Connection) -> None:
    """Before anything runs: bodies that a stop cut short in the terminal's hands; it will bring them again."""
    begun = exists().where(ITEMS.c.envelope_id == BODIES.c.envelope_id, ITEMS.c.state == INTAKE)
    tx.execute(delete(BODIES).where(BODIES.c.whole.is_(False), ~begun))


def prune(tx: Connection, kept_since: int, known_since: int, live: Collection[bytes]) -> int:
    """Remove what nobody needs and what came before `kept_since`; ids and transcripts from before `known_since`. Rows.

    Never: what waits for a link, what is not whole, and inbox rows that a terminal of `live` has not acknowledged.
    """
    count = _prune_inbox(tx, kept_since, live) + _prune_bodies(tx, kept_since)
    old = select(ITEMS.c.item_id).where(ITEMS.c.state == DONE, ITEMS.c.at < known_since)
    count += _remove(tx, ITEMS.c.item_id, old)
    count += _remove(tx, TRANSCRIPTS.c.item_hash, select(TRANSCRIPTS.c.item_hash).where(TRANSCRIPTS.c.at < known_since))
    return count + _prune_envelopes(tx) + _prune_alarms(tx)


def usage(tx: Connection) -> dict[str, int]:
    """By originating post, the bytes that its items take."""
    of_envelope = select(ITEMS.c.envelope_id, ITEMS.c.origin).distinct().subquery()
    proofs = select(of_envelope.c.origin, func.sum(func.length(PROOFS.c.proof)))
    whole = select(of_envelope.c.origin, func.sum(BODIES.c.length))
    queries = (
        select(ITEMS.c.origin, func.sum(func.length(ITEMS.c.head))).group_by(ITEMS.c.origin),
        select(INBOX.c.origin, func.sum(func.length(INBOX.c.content))).group_by(INBOX.c.origin),
        proofs.where(PROOFS.c.envelope_id == of_envelope.c.envelope_id).group_by(of_envelope.c.origin),
        whole.where(BODIES.c.envelope_id == of_envelope.c.envelope_id).group_by(of_envelope.c.origin),
    )
    found: dict[str, int] = {}
    for query in queries:
        for origin, size in tx.execute(query):
            found[origin] = found.get(origin, 0) + int(size)
    return found


def _prune_inbox(tx: Connection, kept_since: int, live: Collection[bytes]) -> int:
    has_it = exists().where(POSITIONS.c.terminal_id == INBOX.c.terminal_id, POSITIONS.c.position >= INBOX.c.position)
    is_young = exists().where(ITEMS.c.item_id == INBOX.c.item_id, ITEMS.c.at >= kept_since)
    old = select(INBOX.c.position).where(~is_young, or_(has_it, INBOX.c.terminal_id.not_in(list(live))))
    return _remove(tx, INBOX.c.position, old)


def _prune_bodies(tx: Connection, kept_since: int) -> int:
    """A body is needed while an item with it is under way or young, or a terminal may still fetch it."""
    of_item = ITEMS.c.envelope_id == BODIES.c.envelope_id
    is_needed = exists().where(of_item, or_(ITEMS.c.state != DONE, ITEMS.c.at >= kept_since))
    is_read = exists().where(INBOX.c.envelope_id == BODIES.c.envelope_id, INBOX.c.kind.in_(WITH_BODY))
    return _remove(
        tx, BODIES.c.envelope_id, select(BODIES.c.envelope_id).where(BODIES.c.whole.is_(True), ~is_needed, ~is_read)
    )


def _prune_envelopes(tx: Connection) -> int:
    """An envelope without item, inbox row and body is history: with it go its hops, proofs and bytes.

    The proof of a transcript stands under its item hash, and stays as long as that is known.
    """
    count = 0
    for table in (ENVELOPES, PROOFS, HOPS, CABLE_TRAFFIC):
        column = table.c.envelope_id
        named = [exists().where(other.c.envelope_id == column) for other in (ITEMS, INBOX, BODIES)]
        named.append(exists().where(TRANSCRIPTS.c.item_hash == column))
        count += _remove(tx, column, select(column).where(*(~one for one in named)).distinct())
    return count


def _prune_alarms(tx: Connection) -> int:
    newest = select(ALARMS.c.at).order_by(ALARMS.c.at.desc()).offset(ALARMS_KEPT).limit(1)
    oldest_kept = tx.execute(newest).scalar()
    return 0 if oldest_kept is None else tx.execute(delete(ALARMS).where(ALARMS.c.at <= oldest_kept)).rowcount


def _remove(tx: Connection, key: object, found: Select[tuple[object]]) -> int:
    keys = tx.execute(found.limit(ROWS)).scalars().all()
    if keys:
        tx.execute(delete(key.table).where(key.in_(keys)))  # type: ignore[attr-defined]
    return len(keys)
