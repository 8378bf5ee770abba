"""Every message has one encoding: other bytes that mean the same are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg import cable, wire
from crypto_msg.wire import CODEC
from ledger.wire import Signature
from protos import cable_pb2
from protos.errors import DutabartaError, Malformed

HASH = bytes(range(32))
WRAP = wire.Wrap(HASH, b"s" * 5)
DRAFT = cable.Draft(
    HASH[:16],
    "DHA",
    (cable.Addressee("DEL", 1),),
    (),
    1,
    2,
    ("c",),
    "s",
    ("t",),
    ("r",),
    ("p", ""),
    (cable.Attachment("a", "t", 300, HASH),),
    (cable.Relation(1, HASH),),
)
SIGNATURE = Signature(HASH, b"s")
SAMPLES: list[Any] = [
    wire.Outer(1, 1, HASH, HASH[:16], "DHA", HASH, 1, 300, 300, 4096, HASH, 300),
    WRAP,
    wire.PlacedWrap(WRAP, 300, (HASH, HASH)),
    wire.Head(b"o", HASH, HASH, b"s", (wire.PlacedWrap(WRAP, 1, ()),)),
    wire.SignedParts(HASH, HASH, HASH),
    wire.ReleasedParts(HASH, HASH, ("DEL", "DHA")),
    cable.Addressee("DEL", 300),
    cable.Attachment("a", "t", 300, HASH),
    cable.Relation(300, HASH),
    DRAFT,
    cable.Expansion("ALL-POSTS", ("DEL",)),
    cable.Inner(
        CODEC.encode(DRAFT), 300, 2026, "d", (cable.Expansion("A", ("B",)),), HASH, (HASH,), (HASH,), HASH, HASH
    ),
    wire.Bundle(HASH, HASH, 300, 0x647A, b"k"),
    wire.SignedBundle(b"b", SIGNATURE, SIGNATURE),
    wire.Prekey(HASH, 300, HASH),
    wire.Receipt(300, HASH, HASH, HASH, "DEL", HASH, 300, HASH, 300),
    wire.SignedReceipt(b"r", SIGNATURE),
    wire.SealedReceipt(HASH, HASH, HASH, b"s"),
    wire.Nak(HASH, HASH, 300, HASH, 300, HASH, 300),
    wire.SignedNak(b"n", SIGNATURE),
    wire.Rewrap(HASH, HASH, HASH, HASH, 300, b"s"),
    wire.SignedRewrap(b"r", SIGNATURE),
    wire.Expired(HASH, "DEL", "WAS", "DHA", 300, 300),
    wire.SignedExpired(b"e", SIGNATURE),
    wire.Escalation(HASH, "DEL", HASH, 300, 300, ("LON",), ("WAS",), 300),
    wire.SignedEscalation(b"e", SIGNATURE),
    wire.SealedEscalation(HASH, HASH, b"s"),
]


def test_every_message_of_the_format_is_tried() -> None:
    assert {type(one).__name__ for one in SAMPLES} == set(cable_pb2.DESCRIPTOR.message_types_by_name)


@pytest.mark.parametrize("value", SAMPLES, ids=lambda one: type(one).__name__)
def test_other_bytes_with_the_same_meaning_are_refused(value: Any) -> None:
    kind, data = type(value), CODEC.encode(value)
    assert CODEC.decode(kind, data, limit=len(data)) == value
    others = {
        "unknown field": data + b"\xf8\x01\x01",
        "empty unknown field": data + b"\xfa\x01\x00",
        "twice the same": data + data,
        "longer varint": data[:1] + _longer_varint(data[1:]),
        "longer tag": _longer_varint(data),
    }
    for why, other in others.items():
        with pytest.raises(Malformed):
            pytest.fail(f"{why}: {CODEC.decode(kind, other, limit=1 << 20)}")
    with pytest.raises(Malformed) as caught:
        CODEC.decode(kind, data, limit=len(data) - 1)
    assert caught.value.code == "too-large"


@pytest.mark.parametrize("value", SAMPLES, ids=lambda one: type(one).__name__)
def test_every_cut_is_refused_or_is_another_message(value: Any) -> None:
    data = CODEC.encode(value)
    for end in range(len(data)):
        try:
            assert CODEC.encode(CODEC.decode(type(value), data[:end], limit=1 << 20)) == data[:end] != data
        except DutabartaError:
            continue


@given(st.sampled_from([type(one) for one in SAMPLES]), st.binary(max_size=120))
def test_arbitrary_bytes_are_canonical_or_refused(kind: type[Any], data: bytes) -> None:
    try:
        assert CODEC.encode(CODEC.decode(kind, data, limit=1 << 20)) == data
    except DutabartaError:
        return


@pytest.mark.parametrize("value", SAMPLES, ids=lambda one: type(one).__name__)
def test_a_default_written_out_is_refused(value: Any) -> None:
    fields = cable_pb2.DESCRIPTOR.message_types_by_name[type(value).__name__].fields
    for field in fields:
        if field.is_repeated or field.message_type is not None:
            continue
        wire_type = 2 if field.type in (field.TYPE_BYTES, field.TYPE_STRING) else 0
        with pytest.raises(Malformed) as caught:
            CODEC.decode(type(value), bytes([field.number << 3 | wire_type, 0]), limit=2)
        assert caught.value.code == "not-canonical"


def _longer_varint(data: bytes) -> bytes:
    """`data` with the varint that it begins with written in one byte more."""
    end = next(at for at, byte in enumerate(data) if byte < 0x80)
    return data[:end] + bytes([data[end] | 0x80, 0]) + data[end + 1 :]
