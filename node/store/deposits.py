"""What the post's terminals deposit: prekey bundles, opened names, serials, entries to be submitted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, delete, func, insert, select

from node.store.log import replace
from node.store.tables import ALARMS, BUNDLES, OPENINGS, PENDING, SERIALS

_BUNDLES_KEPT = 3
_REFUSALS_KEPT_SECONDS = 7 * 86_400

PENDING_CODE = "pending"


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry handed in here that is not on the ledger: `code` is "pending" or the name of its refusal."""

    leaf: bytes
    code: str
    text: str


def put_bundle(tx: Connection, terminal_id: bytes, bundle_hash: bytes, signed_bundle: bytes, arrival: int) -> None:
    """Keep a terminal's bundle, and only its newest few."""
    replace(tx, BUNDLES, bundle_hash=bundle_hash, terminal_id=terminal_id, signed_bundle=signed_bundle, arrival=arrival)
    kept = select(BUNDLES.c.bundle_hash).where(BUNDLES.c.terminal_id == terminal_id)
    rows = tx.execute(kept.order_by(BUNDLES.c.arrival.desc()).offset(_BUNDLES_KEPT)).scalars().all()
    tx.execute(delete(BUNDLES).where(BUNDLES.c.bundle_hash.in_(rows)))


def bundle(tx: Connection, bundle_hash: bytes) -> bytes | None:
    """The SignedBundle with this bundle hash, or None."""
    return tx.execute(select(BUNDLES.c.signed_bundle).where(BUNDLES.c.bundle_hash == bundle_hash)).scalar()


def put_opening(tx: Connection, officer_id: bytes, salt: bytes, name: str) -> None:
    """Open an officer's name."""
    replace(tx, OPENINGS, officer_id=officer_id, salt=salt, name=name)


def openings(tx: Connection, officer_ids: Iterable[bytes]) -> list[tuple[bytes, bytes, str]]:
    """(officer id, salt, name) of those that are opened here."""
    query = select(OPENINGS.c.officer_id, OPENINGS.c.salt, OPENINGS.c.name)
    return [tuple(row) for row in tx.execute(query.where(OPENINGS.c.officer_id.in_(list(officer_ids))))]


def take_serial(tx: Connection, cable_id: bytes, year: int) -> int:
    """The next serial of `year`, consecutive from 1; the same cable gets its own number again."""
    mine = select(SERIALS.c.serial).where(SERIALS.c.cable_id == cable_id, SERIALS.c.year == year)
    taken: int | None = tx.execute(mine).scalar()
    if taken is not None:
        return taken
    last: int = tx.execute(select(func.max(SERIALS.c.serial)).where(SERIALS.c.year == year)).scalar() or 0
    tx.execute(insert(SERIALS).values(year=year, serial=last + 1, cable_id=cable_id))
    return last + 1


def submit(tx: Connection, leaf: bytes, now: int) -> None:
    """Keep an entry until it is settled, to resubmit the same bytes."""
    if submitted(tx, leaf) is None:
        tx.execute(
            insert(PENDING).values(leaf_hash=sha256(leaf).digest(), leaf=leaf, code=PENDING_CODE, text="", at=now)
        )


def settle_accepted(tx: Connection, leaves: Iterable[bytes]) -> None:
    """These leaves stand in a stored block: the log itself says so from now on."""
    hashes = [sha256(leaf).digest() for leaf in leaves]
    tx.execute(delete(PENDING).where(PENDING.c.leaf_hash.in_(hashes)))


def settle_refused(tx: Connection, leaf: bytes, code: str, text: str, now: int) -> None:
    """Keep the refusal of an entry that was handed in here, for a while."""
    tx.execute(delete(PENDING).where(PENDING.c.code != PENDING_CODE, PENDING.c.at < now - _REFUSALS_KEPT_SECONDS))
    replace(tx, PENDING, leaf_hash=sha256(leaf).digest(), leaf=leaf, code=code, text=text, at=now)


def submitted(tx: Connection, leaf: bytes) -> Submitted | None:
    """What is known of this entry."""
    table = PENDING.c
    query = select(table.leaf, table.code, table.text)
    row = tx.execute(query.where(table.leaf_hash == sha256(leaf).digest())).first()
    return Submitted(*row) if row else None


def unsettled(tx: Connection) -> list[Submitted]:
    """Entries still to be brought into a block, oldest first."""
    table = PENDING.c
    query = select(table.leaf, table.code, table.text)
    return [Submitted(*row) for row in tx.execute(query.where(table.code == PENDING_CODE).order_by(table.at))]


def alarm(tx: Connection, code: str, subject: str, text: str, now: int) -> None:
    """Raise an alarm, once per code and subject."""
    known = select(ALARMS.c.at).where(ALARMS.c.code == code, ALARMS.c.subject == subject)
    if tx.execute(known).scalar() is None:
        tx.execute(insert(ALARMS).values(code=code, subject=subject, text=text, at=now))


def alarms(tx: Connection, limit: int = 100) -> list[tuple[str, str, int]]:
    """(code, text, at) of the newest alarms, newest first."""
    query = select(ALARMS.c.code, ALARMS.c.text, ALARMS.c.at).order_by(ALARMS.c.at.desc()).limit(limit)
    return [tuple(row) for row in tx.execute(query)]
