"""libsodium's secretstream (crypto_secretstream_xchacha20poly1305): messages of one direction, in order, none twice.

Each message depends on all before it. Plaintexts are padded (ISO/IEC 7816-4) to multiples of `PAD_BYTES`.
"""

from __future__ import annotations

from enum import IntEnum

from nacl import bindings as sodium
from nacl.exceptions import CryptoError

from protos.errors import VerificationFailed

KEY_BYTES = sodium.crypto_secretstream_xchacha20poly1305_KEYBYTES
HEADER_BYTES = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
OVERHEAD_BYTES = sodium.crypto_secretstream_xchacha20poly1305_ABYTES
PAD_BYTES = 64


class Tag(IntEnum):
    """What a message does to its stream. REKEY: the key behind it cannot be had from what is kept any more."""

    MESSAGE = 0
    REKEY = 2
    FINAL = 3


class Pusher:
    """The sealing end under a 32-byte key. `header` (24 random bytes) goes to the other end with the first message."""

    __slots__ = ("_state", "header")

    def __init__(self, key: bytes) -> None:
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        self.header = sodium.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)

    def push(self, plaintext: bytes, bound: bytes, tag: Tag) -> bytes:
        """The next message; `bound` is authenticated and not sent."""
        padded = sodium.sodium_pad(plaintext, PAD_BYTES)
        return sodium.crypto_secretstream_xchacha20poly1305_push(self._state, padded, bound, int(tag))


class Puller:
    """The opening end."""

    __slots__ = ("_state",)

    def __init__(self, key: bytes, header: bytes) -> None:
        """Raises `VerificationFailed` ("not-next") for a header of another length."""
        if len(header) != HEADER_BYTES:
            raise VerificationFailed("not-next", "a secretstream begins with a header of 24 bytes")
        self._state = sodium.crypto_secretstream_xchacha20poly1305_state()
        sodium.crypto_secretstream_xchacha20poly1305_init_pull(self._state, header, key)

    def pull(self, sealed: bytes, bound: bytes) -> tuple[bytes, int]:
        """(plaintext, tag) of the next message.

        Raises `VerificationFailed` ("not-next") for anything else than the next message; the stream stays where it
        was (libsodium changes a state only behind a good tag).
        """
        try:
            padded, tag = sodium.crypto_secretstream_xchacha20poly1305_pull(self._state, sealed, bound)
            return sodium.sodium_unpad(padded, PAD_BYTES), tag
        except (CryptoError, ValueError, RuntimeError) as problem:
            raise VerificationFailed("not-next", "this is not the next message of the stream") from problem
