"""Seals the content columns of the local store, and makes the tags by which rows are found."""

from __future__ import annotations

import hmac
from hashlib import sha256

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError
from nacl.utils import random

from protos.errors import VerificationFailed

NONCE_BYTES = 24


class Sealer:
    """XChaCha20-Poly1305 and HMAC-SHA256 under two keys derived from the terminal's store key (32 bytes)."""

    def __init__(self, store_key: bytes) -> None:
        self._content_key = hmac.digest(store_key, b"dutabarta/v1/store/content", "sha256")
        self._tag_key = hmac.digest(store_key, b"dutabarta/v1/store/tag", "sha256")

    def seal(self, place: str, content: bytes) -> bytes:
        """nonce (24) || ciphertext; `place` (table, and the row's tag where it has one) is the associated data."""
        nonce = random(NONCE_BYTES)
        return nonce + crypto_aead_xchacha20poly1305_ietf_encrypt(content, place.encode(), nonce, self._content_key)

    def open(self, place: str, sealed: bytes) -> bytes:
        """Raises `VerificationFailed("store-damaged")` if the row was changed, moved or sealed under another key."""
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[NONCE_BYTES:], place.encode(), sealed[:NONCE_BYTES], self._content_key
            )
        except (CryptoError, ValueError, TypeError) as problem:
            raise VerificationFailed(
                "store-damaged",
                f"a row of {place.partition('/')[0]} in the terminal's store does not open",
                hint="restore the terminal's folder from its backup",
            ) from problem

    def tag(self, *parts: bytes) -> bytes:
        """HMAC-SHA256 over the length-prefixed parts, 32 bytes: equal ids give equal tags, and nothing else shows."""
        framed = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.new(self._tag_key, framed, sha256).digest()
