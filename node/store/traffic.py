"""What the courier's frames cost: bytes by day and post, and by envelope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, delete, func, insert, select, update

from node.store.tables import CABLE_TRAFFIC, ENVELOPES, TRAFFIC

DAYS_KEPT = 400


@dataclass(slots=True)
class Bytes:
    """Frames as encoded, without what TLS, TCP and IP add."""

    sent: int = 0
    received: int = 0


@dataclass(frozen=True, slots=True)
class DayBytes:
    """`day` counts from 1970-01-01 UTC."""

    day: int
    sent: int
    received: int


def add_days(tx: Connection, counted: Mapping[tuple[int, str], Bytes]) -> None:
    """Add what was counted by (day, post); days long past are forgotten."""
    _add(tx, TRAFFIC, (TRAFFIC.c.day, TRAFFIC.c.post), counted)
    if counted:
        tx.execute(delete(TRAFFIC).where(TRAFFIC.c.day <= max(day for day, _ in counted) - DAYS_KEPT))


def add_cables(tx: Connection, counted: Mapping[bytes, Bytes], begun: Iterable[bytes]) -> None:
    """Add what was counted by envelope, if the node has it or its body has begun: others are only a peer's word."""
    known = set(tx.execute(select(ENVELOPES.c.envelope_id).where(ENVELOPES.c.envelope_id.in_(counted))).scalars())
    known.update(begun)
    mine = {(one,): found for one, found in counted.items() if one in known}
    _add(tx, CABLE_TRAFFIC, (CABLE_TRAFFIC.c.envelope_id,), mine)


def of_cable(tx: Connection, envelope_id: bytes) -> Bytes:
    """What an envelope, its receipts and proofs have cost this node so far."""
    query = select(CABLE_TRAFFIC.c.sent, CABLE_TRAFFIC.c.received).where(CABLE_TRAFFIC.c.envelope_id == envelope_id)
    row = tx.execute(query).first()
    return Bytes(*row) if row else Bytes()


def newest_days(tx: Connection, count: int) -> list[DayBytes]:
    """The last days with traffic, newest first."""
    query = select(TRAFFIC.c.day, func.sum(TRAFFIC.c.sent), func.sum(TRAFFIC.c.received)).group_by(TRAFFIC.c.day)
    return [
        DayBytes(row[0], int(row[1]), int(row[2]))
        for row in tx.execute(query.order_by(TRAFFIC.c.day.desc()).limit(count))
    ]


def _add(tx: Connection, table: Table, key: tuple[Column[Any], ...], counted: Mapping[Any, Bytes]) -> None:
    """Add to rows, or make them."""
    is_row = [column == bindparam(f"of_{column.name}") for column in key]
    added = (
        update(table)
        .where(*is_row)
        .values(sent=table.c.sent + bindparam("more_sent"), received=table.c.received + bindparam("more_received"))
    )
    for names, found in counted.items():
        of = {f"of_{column.name}": name for column, name in zip(key, names, strict=True)}
        if tx.execute(added, {**of, "more_sent": found.sent, "more_received": found.received}).rowcount == 0:
            row = {column.name: name for column, name in zip(key, names, strict=True)}
            tx.execute(insert(table), {**row, "sent": found.sent, "received": found.received})
