"""The stream before it is sealed: compressed content, signatures, padding (docs/protocol/cable.md §3).

u32 length || zstd(u32 inner length || inner || attachments in order) || signatures, 3,373 bytes each || zeros.
Integers are big-endian. The number of signatures follows from Inner.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, pairwise

import zstandard

from crypto_msg.cable import MAX_CONTENT, MAX_INNER, Attachment, check_content_size
from crypto_msg.hints import DO_NOT_RELY
from keys.public import SIGNATURE_BYTES, SUITE_DUAL
from protos.errors import Malformed, VerificationFailed

DUAL_BYTES = SIGNATURE_BYTES[SUITE_DUAL]
LEAST_PADDED = 4096
MAX_PADDED = 528 << 20
"""Padme of the longest stream: MAX_CONTENT incompressible bytes and every signature."""

_U32 = 4
_COMPRESSED_AT_ONCE = 1 << 20


def padme(length: int) -> int:
    """`length` rounded up so that only its leading bits tell (Padme, PETS 2019, Algorithm 1); at most 12 % more."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-length // step) * step


def padded_length(compressed_bytes: int, signatures: int) -> int:
    """Bytes of the stream: Padme of its content, at least 4,096."""
    return max(LEAST_PADDED, padme(_U32 + compressed_bytes + signatures * DUAL_BYTES))


def is_padded_length(length: int) -> bool:
    """Whether some stream has this length."""
    return LEAST_PADDED <= length <= MAX_PADDED and padme(length) == length


def compress(inner: bytes, attachments: Sequence[bytes]) -> bytearray:
    """One zstd frame that declares its size. Raises `Refused` ("attachment-too-large") beyond MAX_CONTENT."""
    size = _U32 + len(inner) + sum(map(len, attachments))
    check_content_size(size)
    compressor = zstandard.ZstdCompressor().compressobj(size=size)
    frame = bytearray()
    for piece in (len(inner).to_bytes(_U32, "big"), inner, *attachments):
        view = memoryview(piece)
        for start in range(0, len(view), _COMPRESSED_AT_ONCE):
            frame += compressor.compress(view[start : start + _COMPRESSED_AT_ONCE])
    frame += compressor.flush()
    return frame


def join_stream(compressed: bytes | bytearray, signatures: Iterable[bytes], length: int) -> bytearray:
    """The stream of `length` bytes."""
    stream = bytearray(len(compressed).to_bytes(_U32, "big"))
    for piece in (compressed, *signatures):
        stream += piece
    stream += bytes(length - len(stream))
    return stream


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """An opened stream, not yet judged: inner bytes, attachments end to end, and what follows the compressed part."""

    inner: bytes
    files: memoryview
    compressed_bytes: int
    tail: memoryview


def split_stream(stream: bytes | bytearray) -> Content:
    """Take a stream apart. Raises `Malformed` ("compression-bomb", "bad-content")."""
    view = memoryview(stream)
    size = int.from_bytes(view[:_U32], "big")
    if size > len(stream) - _U32:
        raise Malformed("bad-content", "the compressed content is longer than the stream", hint=DO_NOT_RELY)
    content = memoryview(_decompress(view[_U32 : _U32 + size]))
    inner_size = int.from_bytes(content[:_U32], "big")
    if len(content) < _U32 or inner_size > min(MAX_INNER, len(content) - _U32):
        raise Malformed("bad-content", "the inner message is longer than the content", hint=DO_NOT_RELY)
    inner_end = _U32 + inner_size
    return Content(bytes(content[_U32:inner_end]), content[inner_end:], size, view[_U32 + size :])


def split_signatures(content: Content, count: int) -> tuple[bytes, ...]:
    """Exactly `count` signatures. Raises `Malformed` ("bad-padding") unless zeros of the right length follow."""
    view, end = content.tail, count * DUAL_BYTES
    expected = padded_length(content.compressed_bytes, count) - _U32 - content.compressed_bytes
    if len(view) != expected or view[end:] != bytes(len(view) - end):
        raise Malformed(
            "bad-padding", f"{count} signatures and zeros up to the padded length do not follow", hint=DO_NOT_RELY
        )
    return tuple(bytes(view[at : at + DUAL_BYTES]) for at in range(0, end, DUAL_BYTES))


def split_files(files: memoryview, attachments: Sequence[Attachment]) -> tuple[bytes, ...]:
    """Each attachment's bytes. Raises `VerificationFailed` ("attachment-changed") unless sizes and hashes hold."""
    ends = list(accumulate((one.size for one in attachments), initial=0))
    if ends[-1] != len(files):
        raise VerificationFailed(
            "attachment-changed", "the content is not as long as the signed attachments", hint=DO_NOT_RELY
        )
    pieces = tuple(bytes(files[start:end]) for start, end in pairwise(ends))
    check_files(pieces, attachments)
    return pieces


def check_files(files: Sequence[bytes], attachments: Sequence[Attachment]) -> None:
    """Raise `VerificationFailed` ("attachment-changed") unless the files are those that the draft lists."""
    if len(files) != len(attachments):
        raise VerificationFailed(
            "attachment-changed", f"{len(files)} files for {len(attachments)} attachments", hint=DO_NOT_RELY
        )
    for data, attachment in zip(files, attachments, strict=True):
        if len(data) != attachment.size or sha256(data).digest() != attachment.hash:
            raise VerificationFailed(
                "attachment-changed", f"attachment {attachment.name!r} is not what was signed", hint=DO_NOT_RELY
            )


def _decompress(frame: memoryview) -> bytes:
    """One whole frame that declares its size and nothing behind it; memory is bounded by what it declares."""
    try:
        declared = zstandard.frame_content_size(frame)
        if declared > MAX_CONTENT:
            raise Malformed(
                "compression-bomb", f"the content says it has {declared} bytes, at most {MAX_CONTENT}", hint=DO_NOT_RELY
            )
        if declared < 0:
            raise Malformed("bad-content", "the compressed content does not say its size", hint=DO_NOT_RELY)
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as problem:
        raise Malformed(
            "bad-content", "the content is not what it says it is when decompressed", hint=DO_NOT_RELY
        ) from problem
