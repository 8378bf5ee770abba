from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.bodies import Batch
from ledger.entry import EntryLeaf, decode_entry_leaf, decode_leaf, encode_entry, encode_leaf, make_leaf
from ledger.wire import CODEC, BlockRecord, Entry, Misbehaviour, Signature, SignedEntry
from protos.errors import DutabartaError, Malformed, Refused
from support.network import TestNetwork

ids = st.binary(min_size=32, max_size=32)
signatures = st.lists(st.builds(Signature, ids, st.binary(max_size=100)), max_size=16, unique_by=lambda one: one.key_id)
records = st.builds(
    BlockRecord,
    st.integers(0, 2**62),
    st.lists(
        st.builds(Misbehaviour, st.text(max_size=5), st.text(max_size=9), st.integers(0, 2**63), st.integers(0, 2**62)),
        max_size=3,
    ).map(tuple),
    ids,
)


@given(st.text(max_size=20), st.integers(1, 2**63 - 1), st.binary(max_size=300), signatures)
def test_an_entry_round_trips(kind: str, sequence: int, payload: bytes, signed: list[Signature]) -> None:
    data = CODEC.encode(Entry(kind, sequence, payload))
    leaf = make_leaf(data, signed)
    read = decode_leaf(leaf)
    assert isinstance(read, EntryLeaf)
    assert read.signed == data
    assert read.entry == Entry(kind, sequence, payload)
    assert encode_leaf(read) == leaf


@given(records)
def test_a_block_record_round_trips(record: BlockRecord) -> None:
    assert decode_leaf(encode_leaf(record)) == record


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_a_leaf_or_malformed(data: bytes) -> None:
    try:
        leaf = decode_leaf(data)
    except DutabartaError as problem:
        assert isinstance(problem, Malformed)
    else:
        assert encode_leaf(leaf) == data


@given(signatures)
def test_the_author_stands_first_and_the_others_by_key_id(signed: list[Signature]) -> None:
    data = encode_entry("batch", 1, Batch("DHA", "attestation", bytes(32), 1))
    for author in [None, *(one.key_id for one in signed)]:
        found = [one.key_id for one in decode_entry_leaf(make_leaf(data, signed, author)).signatures]
        rest = found if author is None else found[1:]
        assert author is None or found[0] == author
        assert rest == sorted(rest)


def test_a_genesis_round_trips(net: TestNetwork) -> None:
    assert encode_leaf(decode_leaf(net.leaves[0])) == net.leaves[0]


@pytest.mark.parametrize("prefix", [b"", b"\x03", b"\xff"])
def test_another_first_byte_is_no_leaf(prefix: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        decode_leaf(prefix + b"\x0a\x00")
    assert caught.value.code == "unknown-leaf"


def leaf_of(sequence: int, signed: tuple[Signature, ...]) -> bytes:
    return b"\x01" + CODEC.encode(SignedEntry(CODEC.encode(Entry("batch", sequence, b"x")), signed))


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        (b"\x02", "not-an-entry"),
        (leaf_of(0, ()), "bad-sequence"),
        (leaf_of(2**63, ()), "bad-sequence"),
        (leaf_of(1, (Signature(bytes(32), b"a"), Signature(bytes(32), b"b"))), "repeated-signature"),
        (leaf_of(1, tuple(Signature(bytes([n]), b"a") for n in range(17))), "too-many-signatures"),
        (leaf_of(1, ()) + b"\x1a\x00", "not-canonical"),
        (leaf_of(1, ())[:-1], "malformed"),
        (b"\x01" + bytes(40_000), "too-large"),
    ],
)
def test_a_bad_entry_leaf_is_refused_by_name(leaf: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        decode_entry_leaf(leaf)
    assert caught.value.code == code


def test_an_entry_over_32_kib_cannot_be_made() -> None:
    with pytest.raises(Refused) as caught:
        make_leaf(CODEC.encode(Entry("batch", 1, bytes(32 * 1024))), ())
    assert caught.value.code == "entry-too-large"
