"""The local store's bounds: what is refused never fills the disk, and what counts most stays."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from protos.errors import VerificationFailed
from support.ministry import Ministry, Officers
from terminal import asides, partrows
from terminal.askrows import SENT
from terminal.compose import Composition
from terminal.records import OPEN, Aside, Ask, CableRecord, Sealed, WrapNumber
from terminal.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db", bytes(32))
    yield made
    made.close()


def refused(number: int, content: bytes = b"") -> Aside:
    return Aside(number.to_bytes(8), "malformed", f"item {number}", "DEL", number, content, wire_kind=1)


def add(store: Store, *some: Aside) -> list[Aside]:
    with store.transaction() as transaction:
        for one in some:
            transaction.add_aside(one)
    with store.transaction() as transaction:
        return transaction.asides()


def test_of_one_reason_only_the_first_is_kept(store: Store) -> None:
    one = refused(1)
    assert add(store, one, Aside(one.key, one.code, "again", "WAS", 9)) == [one]


def test_a_flood_of_refused_items_drops_the_oldest_and_says_so(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asides, "MAX_ASIDES", 20)
    alarm = Aside(b"clone", "wrap-number-repeated", "a copy of a terminal", "WAS", 0)
    kept = add(store, alarm, *map(refused, range(1, 61)))
    assert len(kept) <= 20 and alarm in kept and refused(60) in kept and refused(1) not in kept
    (full,) = (one for one in kept if one.code == "asides-full")
    assert full.count == 61 - (len(kept) - 1) and str(full.count) in full.text


def test_large_items_are_bounded_by_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asides, "MAX_ASIDE_BYTES", 10_000)
    kept = add(store, *(refused(number, bytes(1000)) for number in range(1, 40)))
    assert sum(len(one.content) for one in kept) < 10_000 and refused(39, bytes(1000)) in kept


def test_of_several_proofs_the_earliest_entry_is_kept(ministry: Ministry, officer: Officers) -> None:
    sender = officer("DHA")
    sent = sender.send(Composition(("DEL",), 1, 1, "Trade", "Text."))
    ((_, post, item, salt),) = ministry.pending_items
    proofs = []
    for _ in range(2):
        ministry.pending_items = [(sent.envelope_id, post, item, salt)]
        ministry.close_slot()
        proofs.append(ministry.item_proofs[sent.envelope_id])
    for order in ((1, 0, 1), (0, 1)):
        for place in order:
            with sender.session.store.transaction() as transaction:
                transaction.add_proof(sent.envelope_id, proofs[place])
        with sender.session.store.transaction() as transaction:
            assert transaction.proof(sent.envelope_id) == proofs[0]


def test_a_store_of_version_1_gets_the_new_tables_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(path, bytes(32))
    with store.transaction() as transaction:
        transaction.set_setting("kept", 7)
    store.close()
    with sqlite3.connect(path) as connection:
        for statement in ("DROP TABLE wrap", "DROP TABLE ask", "PRAGMA user_version = 1"):
            connection.execute(statement)
    store = Store(path, bytes(32))
    with store.transaction() as transaction:
        transaction.put_ask(Ask(b"e" * 32, b"t" * 32, OPEN, 5))
        transaction.note_wrap(SENT, WrapNumber(b"t" * 32, 4, b"e" * 32, "DEL"))
        assert transaction.setting("kept") == 7
    with store.transaction() as transaction:
        assert [one.at for one in transaction.asks()] == [5]
        assert transaction.envelope_under(SENT, b"t" * 32, 4) == b"e" * 32
        assert transaction.wraps_of(SENT, b"e" * 32)[b"t" * 32].n == 4
    store.close()


# --- large contents ---------------------------------------------------------------------------------------------

ENVELOPE_ID = bytes(range(32))


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 1000])
def test_bodies_and_attachments_come_back_as_they_were(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(partrows, "PART_BYTES", 64)
    body, files = os.urandom(size), (b"", os.urandom(size), b"end")
    with store.transaction() as transaction:
        transaction.add_envelope(ENVELOPE_ID, Sealed(b"head", body))
        transaction.add_attachments(ENVELOPE_ID, files)
    with store.transaction() as transaction:
        kept = transaction.envelope(ENVELOPE_ID)
        assert kept is not None and (kept.head, bytes(kept.body)) == (b"head", body)
        assert transaction.attachments(ENVELOPE_ID, 3) == files
        assert transaction.attachments(ENVELOPE_ID, 0) == ()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM part WHERE number = (SELECT max(number) FROM part)",
        "DELETE FROM part WHERE number = 0",
        "UPDATE part SET number = 99 - number",
        "UPDATE part SET content = (SELECT content FROM part WHERE number = 1)",
        "UPDATE part SET content = substr(content, 2)",
    ],
)
def test_a_part_that_is_missing_or_moved_is_noticed(store: Store, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(partrows, "PART_BYTES", 64)
    with store.transaction() as transaction:
        transaction.add_envelope(ENVELOPE_ID, Sealed(b"head", os.urandom(200)))
    with store._engine.begin() as connection:
        connection.exec_driver_sql(damage)
    with store.transaction() as transaction, pytest.raises(VerificationFailed) as caught:
        transaction.envelope(ENVELOPE_ID)
    assert caught.value.code == "store-damaged"


def test_attachments_of_a_store_of_version_1_stand_in_the_record() -> None:
    old = CableRecord(box="in", state="new", kind=1, cable_id=bytes(16), draft=b"draft", attachments=(b"file",))
    assert CableRecord.decode(old.encode()).attachments == (b"file",)
