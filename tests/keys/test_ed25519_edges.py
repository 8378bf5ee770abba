"""Signatures that only a holder of the secret can make, and on which Ed25519 libraries disagree.

What this suite says is consensus: a library version that answers otherwise would split the network.
"""

from __future__ import annotations

from hashlib import sha512

import pytest
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from keys import algorithms
from keys.algorithms import SecretKey
from keys.public import SUITE_ED25519
from protos.errors import VerificationFailed

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
TORSION = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
SECRET = SecretKey(SUITE_ED25519, bytes(range(32)))
NONCE = 12345678901234567890
MESSAGE = b"message"


def scalar(value: int) -> bytes:
    return (value % ORDER).to_bytes(32, "little")


def sign(nonce: int, encoded_r: bytes) -> bytes:
    """RFC 8032 §5.1.6 from a chosen nonce and a chosen encoding of R."""
    hashed = int.from_bytes(sha512(SECRET.secret).digest()[:32], "little")
    private = hashed & ((1 << 254) - 8) | 1 << 254
    challenge = int.from_bytes(sha512(encoded_r + SECRET.public_key.key + MESSAGE).digest(), "little")
    return encoded_r + scalar(nonce + challenge * private)


R = crypto_scalarmult_ed25519_base_noclamp(scalar(NONCE))
NEUTRAL = (1).to_bytes(32, "little")


def test_the_construction_here_signs() -> None:
    algorithms.verify(SECRET.public_key, MESSAGE, sign(NONCE, R))


@pytest.mark.parametrize(
    "signature",
    [
        sign(NONCE, crypto_core_ed25519_add(R, TORSION)),
        sign(0, NEUTRAL),
        sign(0, (P + 1).to_bytes(32, "little")),
        sign(0, (1 + 2**255).to_bytes(32, "little")),
        R + (int.from_bytes(sign(NONCE, R)[32:], "little") + ORDER).to_bytes(32, "little"),
    ],
    ids=[
        "holds only with the cofactor",
        "R of small order",
        "R not canonical, y = p + 1",
        "R not canonical, sign of zero",
        "S = S + L",
    ],
)
def test_what_libraries_disagree_on_is_refused(signature: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        algorithms.verify(SECRET.public_key, MESSAGE, signature)
    assert caught.value.code == "bad-signature"
