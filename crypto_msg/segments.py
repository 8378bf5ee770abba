"""The body of an envelope: AES-256-GCM in segments of 64 KiB (docs/protocol/cable.md §4).

Nonce = 7 zero bytes || u32 big-endian number || last flag (1 in the last segment), so that no segment can be dropped,
moved or appended; associated data = envelope id. A content key (CEK) seals one body, once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto_msg.hints import DO_NOT_RELY
from ledger.merkle import Frontier, leaf_hash, root_of
from protos.errors import VerificationFailed

CEK_BYTES = 32
SEGMENT_BYTES = 64 << 10
TAG_BYTES = 16
SEALED_SEGMENT_BYTES = SEGMENT_BYTES + TAG_BYTES

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True, repr=False)
class ContentKeys:
    """What follows from a CEK by HKDF-SHA256 without salt, 32 bytes each.

    The commitment stands in the outer bytes: AES-GCM alone lets one ciphertext open differently under two keys.
    """

    body_key: bytes
    commitment: bytes

    @classmethod
    def from_cek(cls, cek: bytes) -> ContentKeys:
        """The body key and the commitment of a 32-byte CEK."""
        return cls(_derive(cek, b"dutabarta/v1/body"), _derive(cek, b"dutabarta/v1/cek-commit"))


def body_length(padded_length: int) -> int:
    """Bytes of the sealed body of a stream of `padded_length` bytes."""
    return padded_length + TAG_BYTES * -(-padded_length // SEGMENT_BYTES)


def seal_body(body_key: bytes, envelope_id: bytes, stream: Buffer) -> bytearray:
    """Seal a stream that is not empty."""
    cipher, body = AESGCM(body_key), bytearray()
    last = -(-len(stream) // SEGMENT_BYTES) - 1
    for number, piece in enumerate(_pieces(stream, SEGMENT_BYTES)):
        body += cipher.encrypt(_nonce(number, number == last), piece, envelope_id)
    return body


def open_body(body_key: bytes, envelope_id: bytes, body: Buffer) -> bytearray:
    """The stream. Raises `VerificationFailed` ("body-changed") unless every segment is in its place, unchanged."""
    cipher, stream = AESGCM(body_key), bytearray()
    last = -(-len(body) // SEALED_SEGMENT_BYTES) - 1
    try:
        for number, piece in enumerate(_pieces(body, SEALED_SEGMENT_BYTES)):
            stream += cipher.decrypt(_nonce(number, number == last), piece, envelope_id)
    except (InvalidTag, ValueError) as problem:
        raise VerificationFailed(
            "body-changed", "a segment does not open under the cable's key", hint=DO_NOT_RELY
        ) from problem
    return stream


class BodyRoot:
    """The RFC 6962 root over sealed segments, computed as bytes arrive; holds at most one segment."""

    __slots__ = ("_frontier", "_rest", "length")

    def __init__(self) -> None:
        self._frontier = Frontier()
        self._rest = bytearray()
        self.length = 0

    def update(self, data: Buffer) -> None:
        """Take the next bytes of the body."""
        self.length += len(data)
        for piece in _pieces(data, SEALED_SEGMENT_BYTES):
            room = SEALED_SEGMENT_BYTES - len(self._rest)
            self._rest += piece[:room]
            if len(self._rest) == SEALED_SEGMENT_BYTES:
                self._append()
                self._rest += piece[room:]

    def root(self) -> bytes:
        """The root over all the bytes taken; the last segment may be short. Take no more bytes afterwards."""
        if self._rest:
            self._append()
        return self._frontier.root()

    def _append(self) -> None:
        self._frontier.append(leaf_hash(bytes(self._rest)))
        self._rest.clear()


def body_root(body: Buffer) -> bytes:
    """The RFC 6962 root over the segments of a whole body."""
    return root_of(leaf_hash(bytes(piece)) for piece in _pieces(body, SEALED_SEGMENT_BYTES))


def _derive(cek: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(cek)


def _nonce(number: int, is_last: bool) -> bytes:
    return bytes(7) + number.to_bytes(4, "big") + bytes([is_last])


def _pieces(data: Buffer, size: int) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[at : at + size] for at in range(0, len(view), size))
