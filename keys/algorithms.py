"""The signature algorithms themselves, on plain messages: nothing here knows a purpose.

Ed25519 comes from libsodium (PyNaCl), for signing and verifying alike, so that all nodes agree on every byte string:
it refuses S >= L, non-canonical and small-order A and R (OpenSSL takes a small-order R), checks [S]B = R + [k]A without
the cofactor, and verifies in half OpenSSL's time. tests/keys/test_ed25519_edges.py holds later versions to this.
ML-DSA (FIPS 204, pure, empty context) comes from `cryptography`.
"""

from __future__ import annotations

import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from keys.public import (
    ED25519_KEY_BYTES,
    ED25519_SIGNATURE_BYTES,
    SIGNATURE_BYTES,
    SUITE_DUAL,
    SUITE_ED25519,
    SUITE_MLDSA44,
    PublicKey,
    check_key,
)
from protos.errors import Malformed, VerificationFailed

SEED_BYTES = 32
SECRET_BYTES = {SUITE_ED25519: 32, SUITE_DUAL: 64, SUITE_MLDSA44: 32}
"""A secret is a 32-byte seed for each algorithm of the suite, Ed25519 first."""

_PARSED_KEYS = 1024


class SecretKey:
    """The secret of one suite. Its repr never shows it."""

    __slots__ = ("_ed25519", "_mldsa", "public_key", "secret")

    def __init__(self, suite: int, secret: bytes) -> None:
        """Raises `Malformed` for an unknown suite or a secret of another length than SECRET_BYTES."""
        if len(secret) != SECRET_BYTES.get(suite):
            raise Malformed("secret-length", f"no secret of suite {suite} has {len(secret)} bytes", suite=suite)
        self.secret = bytes(secret)
        self._ed25519 = b""
        self._mldsa: MLDSA44PrivateKey | MLDSA65PrivateKey | None = None
        public = b""
        if suite != SUITE_MLDSA44:
            public, self._ed25519 = crypto_sign_seed_keypair(self.secret[:SEED_BYTES])
        if suite == SUITE_DUAL:
            self._mldsa = MLDSA65PrivateKey.from_seed_bytes(self.secret[SEED_BYTES:])
        elif suite == SUITE_MLDSA44:
            self._mldsa = MLDSA44PrivateKey.from_seed_bytes(self.secret)
        if self._mldsa is not None:
            public += self._mldsa.public_key().public_bytes_raw()
        self.public_key = PublicKey(suite, public)

    @classmethod
    def generate(cls, suite: int) -> SecretKey:
        """A new secret from the system's randomness."""
        return cls(suite, secrets.token_bytes(SECRET_BYTES.get(suite, 0)))

    def sign(self, message: bytes) -> bytes:
        """SIGNATURE_BYTES[suite] bytes: the Ed25519 signature, the ML-DSA signature, or one after the other."""
        signature = crypto_sign(message, self._ed25519)[:ED25519_SIGNATURE_BYTES] if self._ed25519 else b""
        return signature + self._mldsa.sign(message) if self._mldsa is not None else signature

    def __repr__(self) -> str:
        return f"<SecretKey of suite {self.public_key.suite}, key id {self.public_key.key_id.hex()[:16]}>"


class MLDSA65Half:
    """The ML-DSA-65 half of a dual key whose Ed25519 half is elsewhere. Its repr never shows the seed."""

    __slots__ = ("_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        """Raises `Malformed` for another length than 32 bytes."""
        if len(seed) != SEED_BYTES:
            raise Malformed("secret-length", f"no ML-DSA-65 seed has {len(seed)} bytes", suite=SUITE_DUAL)
        self._key = MLDSA65PrivateKey.from_seed_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """3,309 bytes."""
        return self._key.sign(message)


def verify_ed25519(key: bytes, message: bytes, signature: bytes) -> None:
    """Raise `VerificationFailed` ("bad-signature") unless these 64 bytes are the 32-byte key's over `message`."""
    verify(PublicKey(SUITE_ED25519, key), message, signature)


def verify(key: PublicKey, message: bytes, signature: bytes) -> None:
    """Raise `VerificationFailed` unless `signature` is exactly what the suite demands over `message`.

    Codes: "bad-key" (the key itself is refused), "signature-length", "bad-signature".
    """
    try:
        check_key(key)
    except Malformed as problem:
        raise VerificationFailed("bad-key", problem.text, hint=problem.hint) from problem
    if len(signature) != SIGNATURE_BYTES[key.suite]:
        raise VerificationFailed("signature-length", f"no signature of suite {key.suite} has {len(signature)} bytes")
    try:
        _verify_parts(key, message, signature)
    except (BadSignatureError, InvalidSignature) as problem:
        key_id = key.key_id.hex()
        raise VerificationFailed("bad-signature", f"key {key_id} did not sign this", key=key_id) from problem


def _verify_parts(key: PublicKey, message: bytes, signature: bytes) -> None:
    if key.suite == SUITE_MLDSA44:
        _mldsa44(key.key).verify(signature, message)
        return
    crypto_sign_open(signature[:ED25519_SIGNATURE_BYTES] + message, key.key[:ED25519_KEY_BYTES])
    if key.suite == SUITE_DUAL:
        _mldsa65(key.key[ED25519_KEY_BYTES:]).verify(signature[ED25519_SIGNATURE_BYTES:], message)


@lru_cache(maxsize=_PARSED_KEYS)
def _mldsa65(key: bytes) -> MLDSA65PublicKey:
    return MLDSA65PublicKey.from_public_bytes(key)


@lru_cache(maxsize=_PARSED_KEYS)
def _mldsa44(key: bytes) -> MLDSA44PublicKey:
    return MLDSA44PublicKey.from_public_bytes(key)
