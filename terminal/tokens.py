"""A terminal's keys in a PKCS #11 token (docs/protocol/token-keystore.md).

The Ed25519 keys and one AES key are made in the token and cannot be read out of it; everything else of the keyring is
sealed by that AES key into the terminal's folder.
"""

from __future__ import annotations

import secrets

from keys.algorithms import SEED_BYTES
from keys.keystore import Cost
from keys.public import ED25519_KEY_BYTES, SUITE_DUAL, SUITE_ED25519
from keys.split import SplitSigner
from keys.wrapped import SET_ID_BYTES, open_wrapped, seal_wrapped, set_of
from protos.errors import Malformed
from terminal.cryptoki import Token
from terminal.holder import TokenPlace

KEY_ID_BYTES = 16
_KEPT_BYTES = {
    SUITE_ED25519: KEY_ID_BYTES + ED25519_KEY_BYTES,
    SUITE_DUAL: KEY_ID_BYTES + ED25519_KEY_BYTES + SEED_BYTES,
}


class TokenKeys:
    """The keys of one terminal in an open token: a KeyHolder.

    A keyring keeps of a key: its id in the token (16 bytes) || Ed25519 public key (32) || ML-DSA-65 seed (32, if dual).
    """

    def __init__(self, token: Token, set_id: bytes, context: bytes) -> None:
        """`set_id`: the id of the AES key, and in every key's label. `context`: whose terminal it is."""
        self._token = token
        self._set_id = set_id
        self._context = context
        self._label = f"dutabarta/{set_id.hex()}"

    @classmethod
    def create(cls, place: TokenPlace, pin: bytes, context: bytes) -> TokenKeys:
        """A new set of keys, which begins with its AES key."""
        keys = cls(Token(place, pin), secrets.token_bytes(SET_ID_BYTES), context)
        try:
            keys._token.make_aes(keys._set_id, keys._label)
        except BaseException:
            keys.close()
            raise
        return keys

    @classmethod
    def existing(cls, place: TokenPlace, pin: bytes, data: bytes, context: bytes) -> TokenKeys:
        """The set that the wrapped keystore `data` names."""
        set_id = set_of(data)
        return cls(Token(place, pin), set_id, context)

    @property
    def place(self) -> TokenPlace:
        """The token, with its label."""
        return self._token.place

    def generate(self, suite: int) -> bytes:
        """Make an Ed25519 key in the token and, for a dual key, an ML-DSA-65 seed here. Raises "token-full"."""
        if suite not in _KEPT_BYTES:
            raise Malformed("unknown-suite", f"a token makes no key of suite {suite}", suite=suite)
        key_id = secrets.token_bytes(KEY_ID_BYTES)
        public_key = self._token.make_ed25519(key_id, self._label)
        return key_id + public_key + (secrets.token_bytes(SEED_BYTES) if suite == SUITE_DUAL else b"")

    def signer(self, suite: int, kept: bytes) -> SplitSigner:
        if len(kept) != _KEPT_BYTES.get(suite):
            raise Malformed("secret-length", f"no key of suite {suite} in a token has {len(kept)} bytes", suite=suite)
        end = KEY_ID_BYTES + ED25519_KEY_BYTES
        return SplitSigner(_Half(self._token, kept[:KEY_ID_BYTES], kept[KEY_ID_BYTES:end]), kept[end:])

    def seal(self, content: bytes, passphrase: bytes, cost: Cost) -> bytes:
        """The wrapped keystore. Who has the PIN has the AES key: passphrase and cost play no part."""
        return seal_wrapped(content, self._wrapping, self._set_id, self._context)

    def open(self, data: bytes) -> bytes:
        """What `seal` has sealed. Raises the wrapped keystore's errors."""
        return open_wrapped(data, self._wrapping, self._context)

    def change_pin(self, old: bytes, new: bytes) -> None:
        """Change the token's PIN, for every terminal that it holds keys of."""
        self._token.change_pin(old, new)

    def destroy(self, kept: bytes) -> None:
        self._token.destroy_key(kept[:KEY_ID_BYTES])

    def destroy_all(self) -> None:
        self._token.destroy_labelled(self._label)

    def close(self) -> None:
        self._token.close()

    @property
    def _wrapping(self) -> _Wrapping:
        return _Wrapping(self._token, self._set_id)


class _Half:
    """An Ed25519 key of the token."""

    __slots__ = ("_key_id", "_token", "public_key")

    def __init__(self, token: Token, key_id: bytes, public_key: bytes) -> None:
        self._token, self._key_id, self.public_key = token, key_id, public_key

    def sign(self, message: bytes) -> bytes:
        return self._token.sign(self._key_id, message)


class _Wrapping:
    """The AES key of the set."""

    __slots__ = ("_key_id", "_token")

    def __init__(self, token: Token, key_id: bytes) -> None:
        self._token, self._key_id = token, key_id

    def encrypt(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        return self._token.encrypt(self._key_id, nonce, plaintext, associated)

    def decrypt(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        return self._token.decrypt(self._key_id, nonce, ciphertext, associated)
