from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add

from keys.public import KEY_BYTES, SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44, PublicKey, check_key
from keys.signing import SoftwareSigner
from protos.errors import Malformed

P = 2**255 - 19

SMALL_ORDER = {
    "order 1": (1).to_bytes(32, "little"),
    "order 2": (P - 1).to_bytes(32, "little"),
    "order 4, x positive": bytes(32),
    "order 4, x negative": bytes(31) + b"\x80",
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "order 8, other sign": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    "order 8, other y": bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}

NON_CANONICAL = {
    "y = p, order 4": P.to_bytes(32, "little"),
    "y = p + 1, order 1": (P + 1).to_bytes(32, "little"),
    "y = p + 3": (P + 3).to_bytes(32, "little"),
    "y = 2^255 - 1": b"\xff" * 31 + b"\x7f",
    "x = 0 with its sign set": (1 + 2**255).to_bytes(32, "little"),
}


def test_key_id_is_the_hash_of_suite_and_key(signers: dict[int, SoftwareSigner]) -> None:
    for suite, signer in signers.items():
        key = signer.public_key
        assert key.key_id == sha256(bytes([suite]) + key.key).digest()
        check_key(key)


def test_the_same_bytes_under_another_suite_are_another_key() -> None:
    assert PublicKey(SUITE_ED25519, b"k").key_id != PublicKey(SUITE_MLDSA44, b"k").key_id


@pytest.mark.parametrize("point", [*SMALL_ORDER.values(), *NON_CANONICAL.values()], ids=[*SMALL_ORDER, *NON_CANONICAL])
@pytest.mark.parametrize("suite", [SUITE_ED25519, SUITE_DUAL])
def test_ambiguous_ed25519_points_are_refused(point: bytes, suite: int, signers: dict[int, SoftwareSigner]) -> None:
    key = PublicKey(suite, point + signers[suite].public_key.key[32:])
    with pytest.raises(Malformed) as caught:
        check_key(key)
    assert caught.value.code == "key-point"


def test_a_point_with_a_small_order_part_is_refused(signers: dict[int, SoftwareSigner]) -> None:
    honest = signers[SUITE_ED25519].public_key.key
    mixed = crypto_core_ed25519_add(honest, SMALL_ORDER["order 8"])
    with pytest.raises(Malformed) as caught:
        check_key(PublicKey(SUITE_ED25519, mixed))
    assert caught.value.code == "key-point"


def test_a_point_off_the_curve_is_refused() -> None:
    with pytest.raises(Malformed):
        check_key(PublicKey(SUITE_ED25519, (2).to_bytes(32, "little")))


@pytest.mark.parametrize("suite", KEY_BYTES)
@pytest.mark.parametrize("change", [-1, 1])
def test_a_key_of_another_length_is_refused(suite: int, change: int, signers: dict[int, SoftwareSigner]) -> None:
    key = (signers[suite].public_key.key + b"\x00")[: KEY_BYTES[suite] + change]
    with pytest.raises(Malformed) as caught:
        check_key(PublicKey(suite, key))
    assert caught.value.code == "key-length"


@given(suite=st.integers(0, 2**32 - 1), key=st.binary(max_size=64))
def test_whatever_comes_is_a_key_or_malformed(suite: int, key: bytes) -> None:
    try:
        check_key(PublicKey(suite, key))
    except Malformed as refusal:
        assert refusal.code in {"unknown-suite", "key-length", "key-point"}
    else:
        assert suite == SUITE_ED25519 and len(key) == 32


@pytest.mark.parametrize("suite", [0, 4, 256, 2**32 - 1])
def test_an_unknown_suite_has_no_key_id(suite: int) -> None:
    with pytest.raises(Malformed) as caught:
        _ = PublicKey(suite, bytes(32)).key_id
    assert caught.value.code == "unknown-suite"
