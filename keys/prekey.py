"""Epoch prekeys: HPKE to an X-Wing key (docs/protocol/hpke.md).

RFC 9180 base mode with draft-ietf-hpke-pq KEM 0x647a (ML-KEM-768 + X25519), HKDF-SHA256 and AES-256-GCM, one
message a context. An X-Wing secret is a 32-byte seed (draft-connolly-cfrg-xwing-kem).
"""

from __future__ import annotations

import secrets
from hashlib import shake_256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from protos.errors import Malformed, VerificationFailed

KEM_ID = 0x647A
SEED_BYTES = 32
PUBLIC_KEY_BYTES = 1184 + 32
OVERHEAD_BYTES = 1088 + 32 + 16
"""What sealing adds: the encapsulated key (ML-KEM ciphertext, X25519 point) and the AES-GCM tag."""

_MLKEM_KEY_BYTES = 1184
_MLKEM_SEED_BYTES = 64
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class Prekey:
    """An X-Wing key pair. Its repr never shows the seed."""

    __slots__ = ("_private_key", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Malformed("seed-length", f"a prekey's seed has {SEED_BYTES} bytes, not {len(seed)}")
        expanded = shake_256(seed).digest(_MLKEM_SEED_BYTES + 32)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
        self._private_key = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        self.seed = bytes(seed)
        self.public_key = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Prekey:
        """A new prekey from the system's randomness."""
        return cls(secrets.token_bytes(SEED_BYTES))

    @classmethod
    def from_seed(cls, seed: bytes) -> Prekey:
        """The prekey of a 32-byte seed. Raises `Malformed` for another length."""
        return cls(seed)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext. Raises `VerificationFailed` ("cannot-open") unless sealed to this key under this `info`."""
        try:
            return _SUITE.decrypt(sealed, self._private_key, info=info)
        except (InvalidTag, ValueError) as problem:
            raise VerificationFailed("cannot-open", "this was not sealed to this prekey, or was changed") from problem

    def __repr__(self) -> str:
        return f"<Prekey {self.public_key[-32:].hex()[:16]}>"


def seal(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal to a 1,216-byte public key: encapsulated key (1,120) || ciphertext (plaintext + 16).

    Raises `Malformed` ("prekey-malformed") for what is no X-Wing public key.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise Malformed("prekey-malformed", f"a prekey has {PUBLIC_KEY_BYTES} bytes, not {len(public_key)}")
    try:
        mlkem = MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_KEY_BYTES])
        x25519 = X25519PublicKey.from_public_bytes(public_key[_MLKEM_KEY_BYTES:])
        return _SUITE.encrypt(plaintext, hpke.MLKEM768X25519PublicKey(mlkem, x25519), info=info)
    except ValueError as problem:
        raise Malformed("prekey-malformed", "the prekey is no X-Wing public key") from problem
