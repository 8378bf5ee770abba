"""What the store keeps for courier, slots and terminals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.actions import BatchSettled, Item, SaveBatch, SaveProofs
from node.courier import ItemKind, Parcel
from node.shell.slots import CABLE, RECEIPT, StoredSlots, add_item, cable_proof
from node.store import bodies, courier, deposits
from node.store.courier import DONE, INTAKE, QUEUED, CourierItem
from node.store.database import Database, StoreFailed, sqlite_url

ENVELOPE = b"e" * 32


def item(number: int, *, destination: str = "LON", length: int = 10) -> CourierItem:
    parcel = Parcel(bytes([number]) * 32, ItemKind.ENVELOPE, "DEL", destination, 1, 0, 3, length, ENVELOPE, number, 4)
    return CourierItem(parcel, ENVELOPE, b"head")


def test_an_item_goes_from_intake_to_queue_to_done_and_its_id_is_remembered(store: Database) -> None:
    one = item(1)
    with store.write() as tx:
        courier.put_item(tx, one, INTAKE, 1)
        bodies.begin_body(tx, ENVELOPE, 10)
        bodies.append_part(tx, ENVELOPE, 0, b"1234")
        assert courier.incoming(tx) == [(one.parcel, 4)]
        assert not courier.is_stored(tx, one.parcel.item_id)
        courier.put_item(tx, one, QUEUED, 2)
        assert courier.parcels(tx, QUEUED) == [one.parcel]
        assert courier.queue_sizes(tx) == [("LON", 1, 14)]
        courier.finish_items(tx, [one.parcel])
        assert courier.is_stored(tx, one.parcel.item_id)
        assert courier.parcels(tx, QUEUED) == []
        assert courier.parcels(tx, DONE) == [replace(one.parcel, head_bytes=0)]
        assert courier.last_arrival(tx) == 1


def test_items_and_first_rows_of_bodies_are_found_together_and_others_left_out(store: Database) -> None:
    one, two = item(1), item(2, length=0)
    with store.write() as tx:
        courier.put_new_items(tx, [(one, QUEUED), (two, DONE)], 1)
        bodies.begin_body(tx, ENVELOPE, 10)
        bodies.append_part(tx, ENVELOPE, 0, b"1234")
        bodies.append_part(tx, ENVELOPE, 4, b"567890")
        ids = [one.parcel.item_id, b"?" * 32, two.parcel.item_id]
        done = courier.item(tx, two.parcel.item_id)
        assert courier.items_among(tx, ids) == {one.parcel.item_id: one, two.parcel.item_id: done}
        assert bodies.first_parts(tx, [b"?" * 32, ENVELOPE]) == {ENVELOPE: b"1234"}


def test_an_inbox_gives_each_terminal_its_items_once_in_rising_positions(store: Database) -> None:
    with store.write() as tx:
        for number in (3, 1, 2):
            courier.deliver(tx, [b"t" * 32, b"u" * 32], item(number), 1)
            courier.deliver(tx, [b"t" * 32], item(number), 1)
        rows = courier.inbox(tx, b"t" * 32, 0, 10)
        assert [row.item_id[0] for row in rows] == [3, 1, 2]
        assert [row.item_id[0] for row in courier.inbox(tx, b"t" * 32, rows[0].position, 1)] == [1]
        assert courier.readers(tx, ENVELOPE) == [b"t" * 32, b"u" * 32]


def test_a_store_restored_from_a_backup_gives_no_position_that_was_passed(store: Database, tmp_path: Path) -> None:
    """The backup does not hold the first item; positions rise with the clock, and by one where that stands still."""
    terminal, backup = b"t" * 32, Database.open_file(tmp_path / "backup.db")
    with store.write() as lost, backup.write() as tx:
        courier.deliver(lost, [terminal], item(1), 100)
        for number, now in ((2, 101), (3, 101), (4, 50)):
            courier.deliver(tx, [terminal], item(number), now)
        passed = courier.inbox(lost, terminal, 0, 1)[0].position
        assert [row.item_id[0] for row in courier.inbox(tx, terminal, passed, 10)] == [2, 3, 4]
    backup.close()


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=8), st.data())
def test_a_body_reads_back_from_any_offset(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    store = Database(sqlite_url(tmp_path_factory.mktemp("body") / "node.db"))
    whole, offset = b"".join(pieces), 0
    with store.write() as tx:
        bodies.begin_body(tx, ENVELOPE, len(whole))
        for piece in pieces:
            bodies.append_part(tx, ENVELOPE, offset, piece)
            offset += len(piece)
        assert bodies.received(tx, ENVELOPE) == len(whole)
        start, length = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 500))
        assert bodies.read_body(tx, ENVELOPE, start, length) == whole[start : start + length]
    store.close()


def test_only_an_unfinished_body_can_be_dropped(store: Database) -> None:
    with store.write() as tx:
        bodies.begin_body(tx, ENVELOPE, 4)
        bodies.append_part(tx, ENVELOPE, 0, b"12")
        bodies.drop_unfinished(tx, ENVELOPE)
        assert bodies.received(tx, ENVELOPE) == 0
        bodies.begin_body(tx, ENVELOPE, 4)
        bodies.append_part(tx, ENVELOPE, 0, b"1234")
        bodies.finish_body(tx, ENVELOPE)
        bodies.drop_unfinished(tx, ENVELOPE)
        assert bodies.is_whole(tx, ENVELOPE) and bodies.received(tx, ENVELOPE) == 4


def test_a_part_without_its_body_is_no_state_the_store_takes(store: Database) -> None:
    with pytest.raises(StoreFailed), store.write() as tx:
        bodies.append_part(tx, ENVELOPE, 0, b"12")


def test_a_batch_keeps_its_items_until_their_proofs_are_stored(store: Database) -> None:
    cable, receipt = Item(CABLE, b"c" * 32, b"s" * 32), Item(RECEIPT, b"r" * 32, b"t" * 32)
    with store.write() as tx:
        for _ in range(2):
            add_item(tx, cable, ENVELOPE)
            add_item(tx, receipt, ENVELOPE)
    slots = StoredSlots(store)
    assert slots.waiting() == [cable, receipt]
    batch = SaveBatch(7, b"leaf", (b"1" * 32, b"2" * 32), {0: receipt, 1: cable})
    assert slots.carry_out(batch) == []
    assert slots.waiting() == []
    assert [(one.batch, one.index) for one in slots.batches()] == [(batch, None)]
    slots.carry_out(BatchSettled(7, 41))
    assert [one.index for one in slots.batches()] == [41]
    assert slots.carry_out(SaveProofs(7, {b"c" * 32: b"proof", b"r" * 32: b"other"})) == [ENVELOPE]
    assert slots.batches() == [] and slots.waiting() == []
    with store.read() as tx:
        assert cable_proof(tx, ENVELOPE) == b"proof"
        assert cable_proof(tx, b"x" * 32) is None


def test_entries_wait_until_the_log_or_a_refusal_settles_them(store: Database) -> None:
    with store.write() as tx:
        for leaf in (b"one", b"two", b"three"):
            deposits.submit(tx, leaf, 1)
            deposits.submit(tx, leaf, 1)
        deposits.settle_accepted(tx, [b"one", b"never seen"])
        deposits.settle_refused(tx, b"two", "wrong-sequence", "used", 2)
        assert [one.leaf for one in deposits.unsettled(tx)] == [b"three"]
        refused = deposits.submitted(tx, b"two")
        assert refused is not None and refused.code == "wrong-sequence"
        assert deposits.submitted(tx, b"one") is None
        deposits.settle_refused(tx, b"three", "no", "late", 2 + 8 * 86_400)
        assert deposits.submitted(tx, b"two") is None


def test_a_terminals_newest_bundles_are_kept_and_no_others(store: Database) -> None:
    with store.write() as tx:
        for number in range(6):
            deposits.put_bundle(tx, b"t" * 32, bytes([number]) * 32, b"bundle %d" % number, number)
        kept = [number for number in range(6) if deposits.bundle(tx, bytes([number]) * 32)]
    assert kept == [3, 4, 5]


def test_serials_are_consecutive_within_a_year(store: Database) -> None:
    with store.write() as tx:
        taken = [deposits.take_serial(tx, bytes([n]) * 16, 2026) for n in (1, 2, 1, 3)]
        assert taken == [1, 2, 1, 3]
        assert deposits.take_serial(tx, b"\x01" * 16, 2027) == 1


def test_an_alarm_is_raised_once_per_subject(store: Database) -> None:
    with store.write() as tx:
        for _ in range(2):
            deposits.alarm(tx, "split-view", "DEL", "first", 1)
        deposits.alarm(tx, "split-view", "LON", "second", 2)
        assert deposits.alarms(tx) == [("split-view", "second", 2), ("split-view", "first", 1)]
