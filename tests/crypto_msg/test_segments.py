"""The sealed body: every segment in its place, and a root that relays can compute."""

from __future__ import annotations

from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.segments import (
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    BodyRoot,
    ContentKeys,
    body_length,
    body_root,
    open_body,
    seal_body,
)
from ledger.merkle import leaf_hash, root_of
from protos.errors import VerificationFailed

KEY = bytes(range(32))
ENVELOPE_ID = b"e" * 32
STREAM = bytes(range(256)) * 1024  # four segments exactly
BODY = seal_body(KEY, ENVELOPE_ID, STREAM)
SEGMENTS = [BODY[at : at + SEALED_SEGMENT_BYTES] for at in range(0, len(BODY), SEALED_SEGMENT_BYTES)]


@pytest.mark.parametrize("size", [1, 4096, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES])
def test_a_body_opens_as_it_was_sealed(size: int) -> None:
    body = seal_body(KEY, ENVELOPE_ID, STREAM[:size])
    assert len(body) == body_length(size)
    assert open_body(KEY, ENVELOPE_ID, memoryview(body)) == STREAM[:size]


def test_the_nonce_is_number_and_last_flag() -> None:
    cipher = AESGCM(KEY)
    assert cipher.decrypt(bytes(7) + b"\x00\x00\x00\x00\x00", SEGMENTS[0], ENVELOPE_ID) == STREAM[:SEGMENT_BYTES]
    assert cipher.decrypt(bytes(7) + b"\x00\x00\x00\x03\x01", SEGMENTS[3], ENVELOPE_ID) == STREAM[-SEGMENT_BYTES:]


def test_key_and_commitment_follow_from_the_content_key() -> None:
    keys = ContentKeys.from_cek(bytes(32))
    assert keys.body_key.hex() == "ce8f61458f093c6abe4236ba1d5abdbebdcdbd73c3ed62e6b32b867850a9882a"
    assert keys.commitment.hex() == "d9465bc584cbba2419e5546cb2eb6748545036b24bc015d59da096622d9ad75d"


@pytest.mark.parametrize(
    "segments",
    [
        SEGMENTS[:3],
        SEGMENTS[1:],
        [SEGMENTS[1], SEGMENTS[0], *SEGMENTS[2:]],
        [*SEGMENTS, SEGMENTS[3]],
        [*SEGMENTS[:3], SEGMENTS[3][:-1]],
        [*SEGMENTS, b"x"],
        [*SEGMENTS, b"x" * 16],
        [],
    ],
    ids=["dropped", "first-dropped", "swapped", "repeated", "cut", "appended", "tag-appended", "empty"],
)
def test_segments_cannot_be_moved(segments: list[bytes]) -> None:
    if not segments:
        assert open_body(KEY, ENVELOPE_ID, b"") == b""  # the padded length, never 0, is checked before
        return
    with pytest.raises(VerificationFailed) as caught:
        open_body(KEY, ENVELOPE_ID, b"".join(segments))
    assert caught.value.code == "body-changed"


def test_a_body_belongs_to_its_key_and_its_envelope() -> None:
    for key, envelope_id in ((bytes(32), ENVELOPE_ID), (KEY, bytes(32))):
        with pytest.raises(VerificationFailed):
            open_body(key, envelope_id, BODY)


@given(st.lists(st.integers(0, len(BODY)), max_size=8))
def test_the_root_does_not_depend_on_how_bytes_arrive(cuts: list[int]) -> None:
    root = BodyRoot()
    places = [0, *sorted(cuts), len(BODY)]
    for start, end in pairwise(places):
        root.update(BODY[start:end])
    assert root.root() == body_root(BODY) == root_of(map(leaf_hash, SEGMENTS))
    assert root.length == len(BODY)
