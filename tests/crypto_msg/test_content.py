"""The stream before it is sealed: compression with bounds, the signature block, padding."""

from __future__ import annotations

from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg import content
from crypto_msg.content import (
    DUAL_BYTES,
    compress,
    is_padded_length,
    join_stream,
    padded_length,
    padme,
    split_files,
    split_signatures,
    split_stream,
)
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed
from support.cables import attach


@given(st.binary(max_size=300), st.lists(st.binary(max_size=300), max_size=4), st.integers(0, 3))
def test_a_stream_comes_apart_as_it_was_joined(inner: bytes, files: list[bytes], count: int) -> None:
    compressed = compress(inner, files)
    signatures = [bytes([n + 1]) * DUAL_BYTES for n in range(count)]
    length = padded_length(len(compressed), count)
    opened = split_stream(join_stream(compressed, signatures, length))
    assert opened.inner == inner
    assert split_signatures(opened, count) == tuple(signatures)
    assert split_files(opened.files, [attach(str(n), one) for n, one in enumerate(files)]) == tuple(files)


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 1), (2, 2), (9, 10), (4096, 4096), (4097, 4352), (10_000, 10_240), (10**6, 1_015_808)]
)
def test_padme(length: int, padded: int) -> None:
    assert padme(length) == padded


@given(st.integers(1, 1 << 40))
def test_padme_hides_all_but_the_leading_bits(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded


def test_the_longest_stream_is_within_the_limit() -> None:
    blocks = (content.MAX_CONTENT >> 17) + 2  # of 128 KiB, three bytes before each (RFC 8878 §3.1.1.2)
    longest = padded_length(content.MAX_CONTENT + 3 * blocks + 32, 22)
    assert is_padded_length(longest) and longest == content.MAX_PADDED
    assert not is_padded_length(longest + 1) and not is_padded_length(4095) and not is_padded_length(4097)


def stream_of(frame: bytes, signatures: int = 0) -> bytes:
    block = [bytes(DUAL_BYTES)] * signatures
    return join_stream(frame, block, padded_length(len(frame), signatures))


def bomb(declared: bool) -> bytes:
    size = content.MAX_CONTENT + 1
    compressor = zstandard.ZstdCompressor().compressobj(size=size if declared else -1)
    pieces = [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, compressor.compress(bytes(size & (1 << 20) - 1)), compressor.flush()])


def lying(declared: int) -> bytes:
    """A frame of 1 MiB of zeros whose header says another size (single segment, 4-byte size field)."""
    frame = bytearray(zstandard.ZstdCompressor().compress(bytes(1 << 20)))
    assert zstandard.frame_content_size(bytes(frame)) == 1 << 20 and frame[4] >> 6 == 2
    at = 5 if frame[4] & 0x20 else 6
    frame[at : at + 4] = declared.to_bytes(4, "little")
    return bytes(frame)


FRAME = compress(b"inner", [b"file"])


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (stream_of(bomb(declared=True)), "compression-bomb"),
        (stream_of(bomb(declared=False)), "bad-content"),
        (stream_of(lying(100)), "bad-content"),
        (stream_of(lying(2 << 20)), "bad-content"),
        (stream_of(FRAME + b"\x00"), "bad-content"),
        (stream_of(FRAME + FRAME), "bad-content"),
        (stream_of(FRAME[:-1]), "bad-content"),
        (stream_of(b""), "bad-content"),
        (stream_of(b"text"), "bad-content"),
        (stream_of(zstandard.compress(b"\x00\x00")), "bad-content"),
        (stream_of(zstandard.compress(b"\x00\x00\x00\x02a")), "bad-content"),
        (b"\xff" * 4096, "bad-content"),
    ],
    ids=range(12),
)
def test_content_that_is_not_what_it_says_is_refused(stream: bytes, code: str) -> None:
    with pytest.raises(Malformed) as caught:
        split_stream(stream)
    assert caught.value.code == code


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_signatures_is_refused(count: int) -> None:
    opened = split_stream(stream_of(FRAME, signatures=2))
    with pytest.raises(Malformed) as caught:
        split_signatures(opened, count)
    assert caught.value.code == "bad-padding"


def test_padding_is_zeros_and_no_longer_than_it_must_be() -> None:
    for stream in (stream_of(FRAME)[:-1] + b"\x01", stream_of(FRAME) + bytes(256)):
        with pytest.raises(Malformed) as caught:
            split_signatures(split_stream(stream), 0)
        assert caught.value.code == "bad-padding"


@pytest.mark.parametrize("signed", [b"", b"file2", b"filE"])
def test_a_changed_attachment_is_refused(signed: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        split_files(memoryview(b"file"), [attach("a", signed)])
    assert caught.value.code == "attachment-changed"


def test_too_much_content_is_refused_before_it_is_compressed() -> None:
    with pytest.raises(Refused) as caught:
        compress(b"", [bytes(content.MAX_CONTENT)])
    assert caught.value.code == "attachment-too-large"


@given(st.binary(max_size=200))
def test_arbitrary_streams_raise_nothing_but_named_errors(data: bytes) -> None:
    for stream in (data.ljust(4096, b"\x00"), stream_of(data), stream_of(FRAME[:13] + data)):
        with suppress(DutabartaError):
            split_signatures(split_stream(stream), 1)
