"""What the courier's frames cost, by day and post and by cable."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.config import CourierSettings, NodeConfig, format_config, parse_config
from node.shell.meter import WRITE_SECONDS, Meter
from node.store import courier, traffic
from node.store.courier import StoredEnvelope
from node.store.database import Database
from node.store.traffic import DAYS_KEPT, Bytes, DayBytes
from node.wire import DayTraffic, Status, status_from_message, status_to_message
from protos import node_pb2 as pb
from protos.errors import Malformed

KNOWN, BEGUN, STRANGE = b"k" * 32, b"b" * 32, b"s" * 32
DAY = 86_400
PART = pb.CarryFrame(part=pb.Part(item_id=bytes(32), offset=1, data=bytes(8192)))
SIZE = PART.ByteSize()


@pytest.fixture
def store(tmp_path: Path) -> Database:
    found = Database.open_file(tmp_path / "node.db")
    with found.write() as tx:
        courier.put_envelope(tx, StoredEnvelope(KNOWN, bytes(16), "DEL", bytes(32), bytes(32), 1, 0, False))
    return found


class Clock:
    now = 20_000 * DAY

    def __call__(self) -> int:
        return self.now


def test_bytes_add_up_by_day_and_by_cable(store: Database) -> None:
    clock = Clock()
    meter = Meter(clock)
    assert not meter.is_due
    for _ in range(2):
        for envelope_id in (KNOWN, BEGUN, STRANGE, b"", b"short"):
            meter.received("DEL", PART, envelope_id)
        meter.sent("LON", PART, KNOWN)
        assert not meter.is_due, "not every look writes"
        clock.now += WRITE_SECONDS
        assert meter.is_due
        with store.write() as tx:
            meter.write(tx, [BEGUN])
        assert not meter.is_due
    clock.now += DAY
    meter.sent("LON", PART)
    with store.write() as tx:
        meter.write(tx, [])
        assert traffic.of_cable(tx, KNOWN) == Bytes(2 * SIZE, 2 * SIZE)
        assert traffic.of_cable(tx, BEGUN) == Bytes(0, 2 * SIZE)
        assert traffic.of_cable(tx, STRANGE) == Bytes(), "an envelope that only a peer has named takes no row"
        assert traffic.newest_days(tx, 7) == [DayBytes(20_001, SIZE, 0), DayBytes(20_000, 2 * SIZE, 10 * SIZE)]


def test_days_long_past_are_forgotten(store: Database) -> None:
    with store.write() as tx:
        for day in (1, 2, DAYS_KEPT + 1):
            traffic.add_days(tx, {(day, "LON"): Bytes(1, 1)})
        assert [one.day for one in traffic.newest_days(tx, 9)] == [DAYS_KEPT + 1, 2]


def test_a_status_carries_budget_and_traffic() -> None:
    status = Status("DEL", "follower", True, 1, b"r", 0, (), (), (), b"n", 1, 1, 64, (DayTraffic(20_000, 5, 6),))
    assert status_from_message(status_to_message(status)) == status
    shown = status.to_json()
    assert (shown["link_kbit"], shown["traffic"]) == (64, [{"day": "2024-10-04", "sent": 5, "received": 6}])


def test_the_link_budget_stands_in_the_configuration() -> None:
    config = NodeConfig("DEL", "127.0.0.1:1", "127.0.0.1:1", courier=CourierSettings(64))
    assert "[courier]\nlink_kbit = 64\n" in format_config(config) and parse_config(format_config(config)) == config


@pytest.mark.parametrize("line", ["link_kbit = 0", "link_kbit = -1", 'link_kbit = "64"', "kbit = 64"])
def test_a_bad_link_budget_is_refused_by_name(line: str) -> None:
    with pytest.raises(Malformed, match="courier"):
        parse_config(f'post = "DEL"\nlisten = "127.0.0.1:1"\naddress = "127.0.0.1:1"\n[courier]\n{line}\n')
