"""A signer whose Ed25519 key lives elsewhere, in a token that never gives it away (docs/protocol/token-keystore.md)."""

from __future__ import annotations

from typing import Protocol

from keys.algorithms import MLDSA65Half, verify_ed25519
from keys.public import SUITE_DUAL, SUITE_ED25519, PublicKey, check_key
from keys.purpose import Purpose
from keys.signing import bytes_to_sign
from protos.errors import VerificationFailed


class Ed25519Half(Protocol):
    """An Ed25519 key that can be used but not read."""

    @property
    def public_key(self) -> bytes:
        """32 bytes (RFC 8032)."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes: pure Ed25519 over `message` as it is, never Ed25519ph or ctx."""


class SplitSigner:
    """A Signer of an Ed25519 half elsewhere and, for a dual key, an ML-DSA-65 half in this process's memory."""

    __slots__ = ("_ed25519", "_mldsa", "public_key")

    def __init__(self, ed25519: Ed25519Half, mldsa_seed: bytes = b"") -> None:
        """`mldsa_seed`: 32 bytes, or none for an Ed25519 key. Raises `Malformed` for what is no key."""
        self._ed25519 = ed25519
        self._mldsa = MLDSA65Half(mldsa_seed) if mldsa_seed else None
        suite = SUITE_DUAL if self._mldsa else SUITE_ED25519
        self.public_key = PublicKey(suite, ed25519.public_key + (self._mldsa.public_key if self._mldsa else b""))
        check_key(self.public_key)

    def sign(self, purpose: Purpose, network_id: bytes, payload: bytes) -> bytes:
        """Sign `payload` for `purpose`. Raises `Refused` if the purpose demands another suite.

        What the token answers goes out only if it holds: `VerificationFailed` ("token-signature") otherwise.
        """
        message = bytes_to_sign(self.public_key, purpose, network_id, payload)
        signature = self._ed25519.sign(message)
        try:
            verify_ed25519(self._ed25519.public_key, message, signature)
        except VerificationFailed as problem:
            raise VerificationFailed(
                "token-signature",
                "the token's signature does not hold",
                hint="the token is failing, or signs something else than pure Ed25519: do not use it",
            ) from problem
        return signature + self._mldsa.sign(message) if self._mldsa else signature

    def __repr__(self) -> str:
        return f"<SplitSigner, key id {self.public_key.key_id.hex()[:16]}>"
