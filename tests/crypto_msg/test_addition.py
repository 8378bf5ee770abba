"""Added wraps: one encoding, and what is none. Who may is tested in tests/terminal/test_additions.py."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.addition import CODEC, SEALED_BYTES, AddedWrap, SignedAddedWrap, added_item_hash, read_added_wrap
from ledger.wire import Signature
from protos.errors import DutabartaError, Malformed

ID = bytes(range(32))
ADDED = AddedWrap(b"head", ID, ID[::-1], ID, 7, bytes(SEALED_BYTES))


def signed(added: AddedWrap) -> bytes:
    return CODEC.encode(SignedAddedWrap(CODEC.encode(added), Signature(ID, b"signature")))


def test_the_golden_encoding_keeps_its_hash() -> None:
    assert added_item_hash(signed(ADDED)).hex() == "11f5e9d3d029ed98278e8265c90ef2ef3e68afda4553b24334990540e8ebb9ce"
    assert added_item_hash(signed(ADDED)) == sha256(signed(ADDED)).digest()


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(DutabartaError):
        read_added_wrap(data)


@pytest.mark.parametrize(
    "change",
    [
        {"terminal_id": b"short"},
        {"bundle_hash": b""},
        {"by_terminal_id": ID + b"x"},
        {"size": 0},
        {"sealed": b"x" * (SEALED_BYTES - 1)},
    ],
)
def test_a_field_out_of_bounds_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Malformed) as problem:
        read_added_wrap(signed(replace(ADDED, **change)))  # type: ignore[arg-type]
    assert problem.value.code == "bad-added-wrap"


def test_an_unsigned_one_is_refused() -> None:
    with pytest.raises(Malformed):
        read_added_wrap(CODEC.encode(SignedAddedWrap(CODEC.encode(ADDED), None)))
