"""Keystore bytes: a secret under a passphrase (docs/protocol/keystore.md).

argon2id (RFC 9106, one lane) and XChaCha20-Poly1305, both by PyNaCl. The checksum tells damage from a wrong passphrase;
integrity comes from the AEAD, whose associated data is the whole header.
"""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_pwhash_alg,
)
from nacl.exceptions import CryptoError
from nacl.pwhash.argon2id import ALG

from protos.errors import Malformed, Refused, Unavailable

MAGIC = b"dutabarta/v1/keystore\n"
MAX_KEYSTORE_BYTES = 65_536
MAX_MEMORY_KIB = 1_048_576
MAX_PASSES = 10

_HEADER = struct.Struct(f">{len(MAGIC)}sBBII16s24s")
_VERSION = 1
_KEY_BYTES = 32
_TAG_BYTES = 16
_CHECKSUM_BYTES = 32
_MIN_MEMORY_KIB = 8


class Cost(Enum):
    """What one guess at a passphrase costs: (exercise mark, memory in KiB, passes)."""

    FULL = (0, 262_144, 3)
    EXERCISE = (1, 64, 1)
    """For demo and tests only; the mark stands in the file."""


@dataclass(frozen=True, slots=True)
class _Header:
    mark: int
    memory_kib: int
    passes: int
    salt: bytes
    nonce: bytes

    def encode(self) -> bytes:
        return _HEADER.pack(MAGIC, _VERSION, self.mark, self.memory_kib, self.passes, self.salt, self.nonce)


def seal_keystore(secret: bytes, passphrase: bytes, cost: Cost) -> bytes:
    """The file's bytes, at most 64 KiB.

    Raises `Refused` ("empty-passphrase"), `Malformed` ("too-large"), `Unavailable` ("keystore-memory").
    """
    if not passphrase:
        raise Refused("empty-passphrase", "a keystore needs a passphrase", hint="choose six or more random words")
    if len(secret) > MAX_KEYSTORE_BYTES - _HEADER.size - _TAG_BYTES - _CHECKSUM_BYTES:
        raise Malformed("too-large", f"a secret of {len(secret)} bytes does not fit a keystore")
    mark, memory_kib, passes = cost.value
    header = _Header(mark, memory_kib, passes, secrets.token_bytes(16), secrets.token_bytes(24))
    aad = header.encode()
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(secret, aad, header.nonce, _stretch(passphrase, header))
    return aad + sealed + sha256(aad + sealed).digest()


def open_keystore(data: bytes, passphrase: bytes) -> bytes:
    """The secret. Never spends more than 1 GiB and 10 passes, whatever the file asks for.

    Raises `Malformed` ("not-a-keystore", "keystore-damaged", "keystore-version", "keystore-cost"), `Refused`
    ("wrong-passphrase"), `Unavailable` ("keystore-memory").
    """
    header = _read_header(data)
    sealed = data[_HEADER.size : -_CHECKSUM_BYTES]
    key = _stretch(passphrase, header)
    try:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, header.encode(), header.nonce, key)
    except CryptoError as problem:
        hint = "type it again; mind the keyboard layout"
        raise Refused("wrong-passphrase", "the passphrase does not open this keystore", hint=hint) from problem


def is_exercise_keystore(data: bytes) -> bool:
    """Whether the file is marked as cheap, for exercise networks only. Raises `Malformed` as `open_keystore` does."""
    return _read_header(data).mark == 1


def _read_header(data: bytes) -> _Header:
    if len(data) > MAX_KEYSTORE_BYTES or not data.startswith(MAGIC):
        raise Malformed("not-a-keystore", "this file is no keystore", hint="check the path")
    body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
    if len(body) < _HEADER.size + _TAG_BYTES or sha256(body).digest() != checksum:
        raise Malformed("keystore-damaged", "the keystore file is damaged", hint="restore it from its backup copy")
    _, version, mark, memory_kib, passes, salt, nonce = _HEADER.unpack_from(data)
    if version != _VERSION or mark > 1:
        raise Malformed("keystore-version", "this keystore is of another version", hint="update this program")
    if not (_MIN_MEMORY_KIB <= memory_kib <= MAX_MEMORY_KIB and 1 <= passes <= MAX_PASSES):
        raise Malformed("keystore-cost", f"this keystore asks for {memory_kib} KiB and {passes} passes")
    return _Header(mark, memory_kib, passes, salt, nonce)


def _stretch(passphrase: bytes, header: _Header) -> bytes:
    try:
        return crypto_pwhash_alg(_KEY_BYTES, passphrase, header.salt, header.passes, header.memory_kib * 1024, ALG)
    except (CryptoError, MemoryError) as problem:
        raise Unavailable(
            "keystore-memory",
            f"opening the keystore takes {header.memory_kib // 1024} MiB of memory, which this machine has not free",
            hint="close other programs and try again",
        ) from problem
