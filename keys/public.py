"""Public keys and their ids (docs/protocol/keys.md).

A suite names the algorithms behind a key; a dual key is two public keys, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from nacl.bindings import crypto_core_ed25519_is_valid_point

from protos.errors import Malformed

SUITE_ED25519 = 1
SUITE_DUAL = 2
"""Ed25519 (RFC 8032) and ML-DSA-65 (FIPS 204): a signature holds only if both halves do."""
SUITE_MLDSA44 = 3

ED25519_KEY_BYTES = 32
ED25519_SIGNATURE_BYTES = 64

KEY_BYTES = {SUITE_ED25519: 32, SUITE_DUAL: 32 + 1952, SUITE_MLDSA44: 1312}
SIGNATURE_BYTES = {SUITE_ED25519: 64, SUITE_DUAL: 64 + 3309, SUITE_MLDSA44: 2420}

SUITE_NAMES = {SUITE_ED25519: "Ed25519", SUITE_DUAL: "Ed25519 + ML-DSA-65", SUITE_MLDSA44: "ML-DSA-44"}

_KEYS_CACHED = 4096


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A suite and the key bytes as they came from outside; `check_key` says whether they are a key."""

    suite: int
    key: bytes

    @property
    def key_id(self) -> bytes:
        """SHA-256(suite byte || key), 32 bytes. Raises `Malformed` for an unknown suite."""
        return _key_id(self.suite, self.key)


def check_key(key: PublicKey) -> None:
    """Raise `Malformed` unless `key` has its suite's length and an Ed25519 part that every library reads alike.

    The Ed25519 part must be a canonically encoded point of the prime-order group: RFC 8032 implementations
    disagree on small-order, mixed-order and non-canonical keys.
    """
    _check(key.suite, key.key)


@lru_cache(maxsize=_KEYS_CACHED)
def _key_id(suite: int, key: bytes) -> bytes:
    _known(suite)
    return sha256(bytes([suite]) + key).digest()


@lru_cache(maxsize=_KEYS_CACHED)
def _check(suite: int, key: bytes) -> None:
    expected = _known(suite)
    if len(key) != expected:
        raise Malformed(
            "key-length", f"a {SUITE_NAMES[suite]} key has {expected} bytes, not {len(key)}", suite=suite, size=len(key)
        )
    if suite != SUITE_MLDSA44 and not crypto_core_ed25519_is_valid_point(key[:ED25519_KEY_BYTES]):
        raise Malformed(
            "key-point",
            "the Ed25519 key is not a canonical point of the prime-order group",
            hint="make a new key: a generated one is never refused",
        )


def _known(suite: int) -> int:
    if suite not in KEY_BYTES:
        raise Malformed("unknown-suite", f"no key suite has number {suite}", suite=suite)
    return KEY_BYTES[suite]
