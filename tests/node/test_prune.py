"""What the store forgets, and what it never forgets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select

from node.api.limits import Limits
from node.courier import ItemKind, Parcel
from node.shell.slots import CABLE, cable_proof, save_proof
from node.shell.storage import DAY, MIB, Storage
from node.store import bodies, courier, deposits, prune
from node.store.courier import DONE, INTAKE, QUEUED, CourierItem, StoredEnvelope
from node.store.database import Database
from node.store.tables import ALARMS
from protos.errors import Unavailable

READER = b"t" * 32
OLD, NOW = 100, 1_000
BODY = 10


def put(store: Database, number: int, state: str = DONE, at: int = OLD, reader: bytes = READER) -> CourierItem:
    """An item with a whole body and a proof, in the inbox of `reader` if it is done."""
    name = bytes([number]) * 32
    item = CourierItem(Parcel(name, ItemKind.ENVELOPE, "DEL", "LON", 1, 0, 3, BODY, name, number), name, b"head")
    with store.write() as tx:
        courier.put_item(tx, item, state, at)
        courier.put_envelope(tx, StoredEnvelope(name, name, "DEL", READER, name, 1, 0, False))
        courier.set_hop(tx, name, "LON", "queued", at)
        save_proof(tx, name, CABLE, b"", b"proof")
        bodies.begin_body(tx, name, BODY)
        bodies.append_part(tx, name, 0, bytes(BODY))
        if state != INTAKE:
            bodies.finish_body(tx, name)
        if state == DONE:
            courier.deliver(tx, [reader], item, at)
    return item


def acknowledge(store: Database, terminal_id: bytes = READER) -> None:
    with store.write() as tx:
        prune.acknowledge(tx, {terminal_id: 2**62})


def clean(store: Database, kept_since: int = 500, known_since: int = 0, live: tuple[bytes, ...] = (READER,)) -> int:
    """Prune until nothing is left to do."""
    total = 0
    while True:
        with store.write() as tx:
            count = prune.prune(tx, kept_since, known_since, live)
        if not count:
            return total
        total += count


def kept(store: Database, item: CourierItem) -> tuple[bool, bool, bool, bool]:
    """Whether the body, the inbox row, the item's id and the envelope with its proof are still here."""
    name = item.envelope_id
    with store.read() as tx:
        return (
            bodies.part_at(tx, name, 0) != b"",
            bool(courier.inbox(tx, READER, 0, 10)),
            courier.item(tx, item.parcel.item_id) is not None,
            courier.envelope_of(tx, name) is not None and cable_proof(tx, name) is not None,
        )


def test_what_was_read_goes_after_its_time_and_its_id_later(store: Database) -> None:
    item = put(store, 1)
    acknowledge(store)
    assert clean(store, kept_since=OLD) == 0, "young"
    assert clean(store) > 0
    assert kept(store, item) == (False, False, True, True)
    assert clean(store, known_since=OLD) == 0
    assert clean(store, known_since=500) > 0
    assert kept(store, item) == (False, False, False, False)
    with store.read() as tx:
        assert courier.hops(tx, item.envelope_id) == []


def test_what_a_live_terminal_has_not_acknowledged_stays(store: Database) -> None:
    item = put(store, 1)
    clean(store, known_since=500)
    body, row, _, envelope = kept(store, item)
    assert body and row and envelope
    acknowledge(store, b"u" * 32)
    clean(store, known_since=500)
    assert kept(store, item)[:2] == (True, True)


def test_what_waits_for_a_retired_terminal_goes(store: Database) -> None:
    item = put(store, 1)
    clean(store, live=())
    assert kept(store, item)[:2] == (False, False)


@pytest.mark.parametrize("state", [QUEUED, INTAKE])
def test_what_is_under_way_stays_for_ever(store: Database, state: str) -> None:
    item = put(store, 1, state)
    assert clean(store, known_since=500) == 0
    assert kept(store, item) == (True, False, True, True)


def test_a_body_stays_for_the_item_that_still_needs_it(store: Database) -> None:
    item = put(store, 1)
    acknowledge(store)
    other = CourierItem(Parcel(b"o" * 32, 1, "DEL", "WAS", 1, 0, 3, BODY, item.envelope_id, 2), item.envelope_id, b"x")
    with store.write() as tx:
        courier.put_item(tx, other, QUEUED, OLD)
    clean(store, known_since=500)
    assert kept(store, item) == (True, False, False, True)


def test_proofs_that_belong_to_nothing_go(store: Database) -> None:
    with store.write() as tx:
        save_proof(tx, b"x" * 32, CABLE, b"", b"proof")
    clean(store)
    with store.read() as tx:
        assert cable_proof(tx, b"x" * 32) is None


def test_alarms_are_bounded(store: Database) -> None:
    with store.write() as tx:
        for number in range(prune.ALARMS_KEPT + 50):
            deposits.alarm(tx, "item-refused", str(number), "text", number)
    clean(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(ALARMS)).scalar() == prune.ALARMS_KEPT
        assert deposits.alarms(tx, 1)[0][2] == prune.ALARMS_KEPT + 49


def test_a_cut_upload_is_forgotten_at_the_start_and_what_a_link_brings_is_not(store: Database) -> None:
    begun = put(store, 1, INTAKE)
    with store.write() as tx:
        bodies.begin_body(tx, b"u" * 32, BODY)
        bodies.append_part(tx, b"u" * 32, 0, b"123")
        prune.forget_uploads(tx)
        assert bodies.received(tx, b"u" * 32) == 0
        assert bodies.received(tx, begun.envelope_id) == BODY


# --- the limit -------------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Any]:
    store = Database.open_file(tmp_path / "node.db")
    state = SimpleNamespace(
        roster=lambda post: SimpleNamespace(terminal_ids=(READER,)),
        terminal=lambda terminal_id: SimpleNamespace(is_active=True),
    )
    yield SimpleNamespace(
        database=store,
        post="LON",
        clock=lambda: NOW,
        block_time=40 * DAY,
        chain=SimpleNamespace(machine=SimpleNamespace(state=state)),
    )
    store.close()


def test_one_post_cannot_take_the_room_of_all(ledger: Any) -> None:
    storage = Storage(ledger, Limits(store_mib=3, store_mib_per_origin=2))
    storage.took("DEL", 2 * MIB)
    assert storage.is_full("DEL", 1) and not storage.is_full("WAS", MIB)
    assert storage.is_full("WAS", MIB + 1)
    with pytest.raises(Unavailable, match="store is full"):
        storage.check("DEL", 1)
    with ledger.database.read() as tx:
        assert [code for code, _, _ in deposits.alarms(tx)] == ["store-full"]


def test_what_is_stored_is_counted_at_the_start(ledger: Any) -> None:
    put(ledger.database, 1, QUEUED)
    with ledger.database.read() as tx:
        assert prune.usage(tx) == {"DEL": len(b"head") + BODY + len(b"proof")}
    assert Storage(ledger, Limits(store_mib=1)).is_full("DEL", MIB - BODY)


def test_pruning_goes_by_what_terminals_have_asked_for(ledger: Any) -> None:
    item = put(ledger.database, 1)
    storage = Storage(ledger, Limits())
    assert storage.prune_some() == 0
    storage.acknowledged(READER, 2**62)
    assert storage.prune_some() > 0
    assert kept(ledger.database, item)[:2] == (False, False)
    assert Storage(ledger, Limits()).prune_some() == 0
