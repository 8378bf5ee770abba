from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.possession import ProvenKey
from keys.public import PublicKey
from protos import ledger_pb2
from protos.codec import Codec
from protos.errors import Malformed

LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Enrolled:
    officer_id: bytes
    post: str
    key: ProvenKey | None
    roles: tuple[int, ...]
    clearance: int
    name_commitment: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    entry: bytes
    signatures: tuple[Signature, ...]


CODEC = Codec(
    {
        PublicKey: ledger_pb2.PublicKey,
        ProvenKey: ledger_pb2.ProvenKey,
        Enrolled: ledger_pb2.OfficerEnrolled,
        Signature: ledger_pb2.Signature,
        Signed: ledger_pb2.SignedEntry,
    }
)

short = st.binary(max_size=16)
uint32 = st.integers(0, 2**32 - 1)
proven = st.builds(ProvenKey, st.builds(PublicKey, uint32, short), short)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
enrolled = st.builds(Enrolled, short, text, st.none() | proven, st.lists(uint32, max_size=4).map(tuple), uint32, short)
signed = st.builds(Signed, short, st.lists(st.builds(Signature, short, short), max_size=3).map(tuple))

EXAMPLE = Enrolled(bytes(16), "DHA", None, (1, 2), 3, bytes(32))


@given(value=enrolled | signed)
def test_a_dataclass_round_trips(value: Enrolled | Signed) -> None:
    assert CODEC.decode(type(value), CODEC.encode(value), limit=LIMIT) == value


@given(first=enrolled, second=enrolled)
def test_two_values_never_share_their_bytes(first: Enrolled, second: Enrolled) -> None:
    assert (CODEC.encode(first) == CODEC.encode(second)) == (first == second)


def test_nothing_is_none_and_empty_is_empty() -> None:
    decoded = CODEC.decode(Enrolled, b"", limit=LIMIT)
    assert decoded == Enrolled(b"", "", None, (), 0, b"")
    present = replace(decoded, key=ProvenKey(PublicKey(0, b""), b""))
    assert CODEC.decode(Enrolled, CODEC.encode(present), limit=LIMIT) == present


@pytest.mark.parametrize(
    "value",
    [
        replace(EXAMPLE, clearance=-1),
        replace(EXAMPLE, clearance=2**32),
        replace(EXAMPLE, roles=(2**32,)),
        replace(EXAMPLE, post="\ud800"),
    ],
    ids=["negative", "beyond 32 bits", "repeated beyond 32 bits", "lone surrogate"],
)
def test_a_value_that_no_field_can_hold_is_refused_by_name(value: Enrolled) -> None:
    with pytest.raises(Malformed) as caught:
        CODEC.encode(value)
    assert caught.value.code == "not-encodable"


@given(data=st.binary(max_size=100))
def test_any_bytes_decode_or_are_malformed(data: bytes) -> None:
    for kind in (Enrolled, Signed):
        try:
            assert CODEC.encode(CODEC.decode(kind, data, limit=LIMIT)) == data
        except Malformed as problem:
            assert problem.code in {"malformed", "not-canonical"}


def test_a_required_sub_message_must_be_there() -> None:
    with pytest.raises(Malformed):
        CODEC.decode(ProvenKey, b"", limit=LIMIT)
