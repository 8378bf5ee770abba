"""The official vector of KEM 0x647a, KDF 0x0001 (tests/vectors/README.md).

It is published for ChaCha20-Poly1305. The key schedule of RFC 9180 §5.1, written out here and held against the
vector's own key and nonce, carries its shared secret over to AES-256-GCM, and our Prekey must open the result.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from keys.prekey import Prekey
from protos.errors import VerificationFailed

AES_256_GCM = 2
CHACHA20_POLY1305 = 3


@pytest.fixture(scope="module")
def vector(vectors: Callable[[str], Any]) -> Any:
    (vector,) = vectors("hpke_pq/mlkem768_x25519")["vectors"]
    return vector


def extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + ikm, sha256)


def expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, labelled + b"\x01", sha256)[:length]


def key_schedule(aead: int, shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce of RFC 9180 §5.1, base mode, for HKDF-SHA256."""
    suite = b"HPKE" + b"".join(part.to_bytes(2, "big") for part in (0x647A, 0x0001, aead))
    context = b"\x00" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared_secret, b"secret", b"")
    return expand(suite, secret, b"key", context, 32), expand(suite, secret, b"base_nonce", context, 12)


def test_the_seed_gives_the_vectors_public_key(vector: Any) -> None:
    assert Prekey.from_seed(bytes.fromhex(vector["skRm"])).public_key.hex() == vector["pkRm"]


def test_the_key_schedule_here_is_the_vectors(vector: Any) -> None:
    key, nonce = key_schedule(CHACHA20_POLY1305, bytes.fromhex(vector["shared_secret"]), bytes.fromhex(vector["info"]))
    assert (key.hex(), nonce.hex()) == (vector["key"], vector["base_nonce"])
    first = vector["encryptions"][0]
    plaintext = ChaCha20Poly1305(key).decrypt(nonce, bytes.fromhex(first["ct"]), bytes.fromhex(first["aad"]))
    assert plaintext.hex() == first["pt"]


def test_a_message_under_the_vectors_shared_secret_opens(vector: Any) -> None:
    info = bytes.fromhex(vector["info"])
    key, nonce = key_schedule(AES_256_GCM, bytes.fromhex(vector["shared_secret"]), info)
    sealed = bytes.fromhex(vector["enc"]) + AESGCM(key).encrypt(nonce, b"a message", b"")
    prekey = Prekey.from_seed(bytes.fromhex(vector["skRm"]))
    assert prekey.open(sealed, info) == b"a message"
    with pytest.raises(VerificationFailed):
        prekey.open(sealed, info + b"x")
