"""Wrapped keystore bytes, with a key in memory in the token's place."""

from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys.keystore import MAX_KEYSTORE_BYTES, open_keystore
from keys.wrapped import MAGIC, MAX_CONTENT_BYTES, is_wrapped, open_wrapped, seal_wrapped, set_of
from protos.errors import DutabartaError, Malformed, Refused

SET_ID, CONTEXT, CONTENT = b"S" * 16, b"whose" * 8, bytes(range(96))
GOLDEN = (
    "6475746162617274612f76312f746f6b656e2d6b657973746f72650a 01 53535353535353535353535353535353"
    " 6e6e6e6e6e6e6e6e6e6e6e6e"
)


class Key:
    """AES-256-GCM by `cryptography`."""

    def __init__(self, secret: bytes = b"k" * 32) -> None:
        self._aead = AESGCM(secret)

    def encrypt(self, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
        return self._aead.encrypt(nonce, plaintext, associated)

    def decrypt(self, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        try:
            return self._aead.decrypt(nonce, ciphertext, associated)
        except InvalidTag as problem:
            raise Refused("keystore-context", "no", hint="no") from problem


KEY = Key()
DATA = seal_wrapped(CONTENT, KEY, SET_ID, CONTEXT)


def refusal(data: bytes, key: Key = KEY, context: bytes = CONTEXT) -> str:
    with pytest.raises(DutabartaError) as caught:
        open_wrapped(data, key, context)
    return caught.value.code


@given(content=st.binary(max_size=512), set_id=st.binary(min_size=16, max_size=16), context=st.binary(max_size=64))
def test_what_is_sealed_opens(content: bytes, set_id: bytes, context: bytes) -> None:
    data = seal_wrapped(content, KEY, set_id, context)
    assert open_wrapped(data, KEY, context) == content
    assert set_of(data) == set_id and is_wrapped(data)


def test_the_bytes_are_those_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keys.wrapped.secrets.token_bytes", lambda size: b"n" * size)
    data = seal_wrapped(CONTENT, KEY, SET_ID, CONTEXT)
    header = bytes.fromhex(GOLDEN)
    sealed = AESGCM(b"k" * 32).encrypt(b"n" * 12, CONTENT, header + CONTEXT)
    assert data == header + sealed + sha256(header + sealed).digest()


def test_another_key_or_context_does_not_open_it() -> None:
    assert refusal(DATA, Key(b"o" * 32)) == "keystore-context"
    assert refusal(DATA, context=CONTEXT[:-1]) == "keystore-context"


def test_every_flipped_bit_is_damage() -> None:
    for bit in range(8 * len(DATA)):
        flipped = bytearray(DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(flipped)) == ("not-a-keystore" if bit < 8 * len(MAGIC) else "keystore-damaged")


def test_every_flipped_byte_under_a_new_checksum_is_refused() -> None:
    for at in range(len(DATA) - 32):
        body = bytearray(DATA[:-32])
        body[at] ^= 1
        expected = "not-a-keystore" if at < len(MAGIC) else "keystore-context"
        found = refusal(bytes(body) + sha256(body).digest())
        assert found == ("keystore-version" if at == len(MAGIC) else expected)


def test_every_truncation_is_refused() -> None:
    for size in range(len(DATA)):
        assert refusal(DATA[:size]) == ("not-a-keystore" if size < len(MAGIC) else "keystore-damaged")


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    assert refusal(data) == ("keystore-damaged" if is_wrapped(data) else "not-a-keystore")
    assert refusal(MAGIC + data) == "keystore-damaged"


def test_sizes_are_bounded() -> None:
    assert refusal(DATA + bytes(MAX_KEYSTORE_BYTES)) == "not-a-keystore"
    assert len(seal_wrapped(bytes(MAX_CONTENT_BYTES), KEY, SET_ID, CONTEXT)) == MAX_KEYSTORE_BYTES
    with pytest.raises(Malformed):
        seal_wrapped(bytes(MAX_CONTENT_BYTES + 1), KEY, SET_ID, CONTEXT)


def test_no_passphrase_opens_it() -> None:
    with pytest.raises(Malformed) as caught:
        open_keystore(DATA, b"passphrase")
    assert caught.value.code == "not-a-keystore"
