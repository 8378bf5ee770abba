"""Wrapped keystore bytes: secrets under the AES key of a token (docs/protocol/token-keystore.md).

AES-256-GCM inside the token. The checksum tells damage from another token or terminal; integrity comes from the AEAD,
whose associated data is the whole header and the context.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from keys.keystore import MAX_KEYSTORE_BYTES
from protos.errors import Malformed

MAGIC = b"dutabarta/v1/token-keystore\n"
SET_ID_BYTES = 16
NONCE_BYTES = 12
TAG_BYTES = 16

_HEADER = struct.Struct(f">{len(MAGIC)}sB{SET_ID_BYTES}s{NONCE_BYTES}s")
_VERSION = 1
_CHECKSUM_BYTES = 32
MAX_CONTENT_BYTES = MAX_KEYSTORE_BYTES - _HEADER.size - TAG_BYTES - _CHECKSUM_BYTES


class WrappingKey(Protocol):
    """An AES-256 key that can be used but not read. GCM with a 12-byte nonce and a 16-byte tag at the end."""

    def encrypt(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes: ...

    def decrypt(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """Raises a `DutabartaError` ("keystore-context") if the tag does not hold."""


@dataclass(frozen=True, slots=True)
class _Header:
    set_id: bytes
    nonce: bytes

    def encode(self) -> bytes:
        return _HEADER.pack(MAGIC, _VERSION, self.set_id, self.nonce)


def seal_wrapped(content: bytes, key: WrappingKey, set_id: bytes, context: bytes) -> bytes:
    """The file's bytes, at most 64 KiB. `set_id`: 16 bytes, which keys of the token. `context`: whose file it is.

    Raises `Malformed` ("too-large") and the key's errors.
    """
    if len(content) > MAX_CONTENT_BYTES:
        raise Malformed("too-large", f"a secret of {len(content)} bytes does not fit a keystore")
    header = _Header(set_id, secrets.token_bytes(NONCE_BYTES))
    body = header.encode() + key.encrypt(header.nonce, content, header.encode() + context)
    return body + sha256(body).digest()


def open_wrapped(data: bytes, key: WrappingKey, context: bytes) -> bytes:
    """The content. Raises as `set_of`, and the key's errors, "keystore-context" among them."""
    header = _read_header(data)
    sealed = data[_HEADER.size : -_CHECKSUM_BYTES]
    return key.decrypt(header.nonce, sealed, header.encode() + context)


def is_wrapped(data: bytes) -> bool:
    """Whether the file says that a token opens it."""
    return data.startswith(MAGIC)


def set_of(data: bytes) -> bytes:
    """Which keys of the token open the file: 16 bytes.

    Raises `Malformed` ("not-a-keystore", "keystore-damaged", "keystore-version").
    """
    return _read_header(data).set_id


def _read_header(data: bytes) -> _Header:
    if len(data) > MAX_KEYSTORE_BYTES or not is_wrapped(data):
        raise Malformed("not-a-keystore", "this file is no keystore", hint="check the path")
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < _HEADER.size + TAG_BYTES or sha256(body).digest() != checksum:
        raise Malformed("keystore-damaged", "the keystore file is damaged", hint="restore it from its backup copy")
    _, version, set_id, nonce = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise Malformed("keystore-version", "this keystore is of another version", hint="update this program")
    return _Header(set_id, nonce)
