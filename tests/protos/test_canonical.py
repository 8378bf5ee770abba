from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from protos import cable_pb2, ledger_pb2
from protos.canonical import decode, encode
from protos.errors import Malformed
from protos.ledger_pb2 import Entry, OfficerEnrolled, Roster, SignedEntry

LIMIT = 65_536
MESSAGES: list[type[Message]] = [
    getattr(module, name)
    for module in (ledger_pb2, cable_pb2)
    for name in sorted(module.DESCRIPTOR.message_types_by_name)
]

SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: st.integers(0, 2**64 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=40),
    FieldDescriptor.TYPE_STRING: st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
}


@st.composite
def messages(draw: st.DrawFn, kind: type[Message]) -> Message:
    """A message with any fields of `kind` set to any values."""
    message = kind()
    _fill(draw, message)
    return message


def _fill(draw: st.DrawFn, message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if not draw(st.booleans()):
            continue
        target = getattr(message, field.name)
        nested = field.type == FieldDescriptor.TYPE_MESSAGE
        if field.is_repeated:
            for _ in range(draw(st.integers(1, 3))):
                _fill(draw, target.add()) if nested else target.append(draw(SCALARS[field.type]))
        elif nested:
            target.SetInParent()
            _fill(draw, target)
        else:
            setattr(message, field.name, draw(SCALARS[field.type]))


def refusal(kind: type[Message], data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(Malformed) as caught:
        decode(kind, data, limit=limit)
    return caught.value.code


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.DESCRIPTOR.name)
@given(data=st.data())
def test_every_message_round_trips(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    canonical = encode(message)
    assert encode(decode(kind, canonical, limit=len(canonical))) == canonical
    assert decode(kind, canonical, limit=len(canonical)) == message


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.DESCRIPTOR.name)
@given(data=st.data())
def test_what_decodes_has_no_second_encoding(kind: type[Message], data: st.DataObject) -> None:
    changed = bytearray(encode(data.draw(messages(kind))))
    at = data.draw(st.integers(0, len(changed)))
    changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        message = decode(kind, bytes(changed), limit=LIMIT)
    except Malformed as problem:
        assert problem.code in {"malformed", "not-canonical"}
    else:
        assert encode(message) == changed


@given(data=st.binary(max_size=200))
def test_any_bytes_are_canonical_or_malformed(data: bytes) -> None:
    for kind in (SignedEntry, OfficerEnrolled, cable_pb2.Draft):
        try:
            assert encode(decode(kind, data, limit=LIMIT)) == data
        except Malformed as problem:
            assert problem.code in {"malformed", "not-canonical"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Entry, b"\x10\x01" + field(1, b"kind")),
        (Entry, b"\x10\x00"),
        (Entry, field(1, b"")),
        (Entry, b"\x20\x01"),
        (Entry, field(9, b"x")),
        (Entry, b"\x10\x81\x00"),
        (Entry, b"\x90\x00\x01"),
        (Entry, field(1, b"a") + field(1, b"b")),
        (Entry, b"\x0b\x0c"),
        (OfficerEnrolled, b"\x20\x01\x20\x02"),
        (OfficerEnrolled, field(4, b"\x01") + field(4, b"\x02")),
        (OfficerEnrolled, field(4, b"\x81\x00")),
        (OfficerEnrolled, field(4, b"")),
        (OfficerEnrolled, b"\x28" + b"\x80\x80\x80\x80\x10"),
        (OfficerEnrolled, b"\x28" + b"\x81\x80\x80\x80\x10"),
        (OfficerEnrolled, field(3, b"") + field(3, b"")),
        (ledger_pb2.PostRetired, field(1, b"A") + b"\x1a\x00"),
        (ledger_pb2.OfficerSuspended, b"\x10\x02"),
    ],
    ids=[
        "fields out of order",
        "default number written",
        "default string written",
        "unknown number",
        "unknown bytes",
        "varint not minimal",
        "tag not minimal",
        "field twice",
        "group",
        "repeated numbers unpacked",
        "packed twice",
        "packed varint not minimal",
        "packed empty",
        "uint32 beyond 32 bits, rest zero",
        "uint32 beyond 32 bits",
        "sub-message twice",
        "unknown field after a known one",
        "true written as 2",
    ],
)
def test_other_bytes_of_the_same_meaning_are_refused(kind: type[Message], data: bytes) -> None:
    kind().MergeFromString(data)
    assert refusal(kind, data) == "not-canonical"


@pytest.mark.parametrize(
    "data",
    [b"\x08", b"\x12", b"\x0a\x05abc", field(1, b"\xff"), b"\x00\x00", b"\x10" + b"\xff" * 11, b"\x0c", b"\x0b" * 300],
    ids=[
        "tag only",
        "length missing",
        "cut",
        "not UTF-8",
        "field 0",
        "varint of 11 bytes",
        "lone end group",
        "nested groups",
    ],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    assert refusal(Entry, data) == "malformed"


def test_the_limit_is_exact() -> None:
    data = encode(Roster(officer_ids=[bytes(16)]))
    decode(Roster, data, limit=len(data))
    assert refusal(Roster, data, limit=len(data) - 1) == "too-large"


def test_an_absent_and_an_empty_sub_message_are_told_apart() -> None:
    absent, empty = OfficerEnrolled(), OfficerEnrolled()
    empty.key.SetInParent()
    assert encode(absent) != encode(empty)
    assert decode(OfficerEnrolled, encode(empty), limit=LIMIT).HasField("key")


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.DESCRIPTOR.name)
def test_no_message_has_a_feature_with_two_encodings(kind: type[Message]) -> None:
    assert not kind.DESCRIPTOR.oneofs
    for one in kind.DESCRIPTOR.fields:
        assert one.type in SCALARS or one.type == FieldDescriptor.TYPE_MESSAGE
        assert not (one.message_type and one.message_type.GetOptions().map_entry)
