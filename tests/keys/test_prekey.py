from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.prekey import OVERHEAD_BYTES, PUBLIC_KEY_BYTES, Prekey, seal
from protos.errors import Malformed, VerificationFailed

PREKEY = Prekey.from_seed(bytes(range(32)))
INFO = b"dutabarta/v1/wrap\x00"
SEALED = seal(PREKEY.public_key, b"k" * 40, INFO)


def refusal(sealed: bytes, info: bytes = INFO, prekey: Prekey = PREKEY) -> str:
    with pytest.raises(VerificationFailed) as caught:
        prekey.open(sealed, info)
    return caught.value.code


@given(plaintext=st.binary(max_size=4096), info=st.binary(max_size=300))
def test_what_is_sealed_opens(plaintext: bytes, info: bytes) -> None:
    sealed = seal(PREKEY.public_key, plaintext, info)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert PREKEY.open(sealed, info) == plaintext


def test_a_wrap_has_1176_bytes_and_is_new_each_time() -> None:
    again = seal(PREKEY.public_key, b"k" * 40, INFO)
    assert len(SEALED) == len(again) == 1176
    assert SEALED[:1120] != again[:1120]


def test_a_seed_gives_one_key_pair() -> None:
    new = Prekey.generate()
    assert Prekey.from_seed(new.seed).public_key == new.public_key
    assert len(new.public_key) == PUBLIC_KEY_BYTES
    assert Prekey.from_seed(new.seed).open(seal(new.public_key, b"x", INFO), INFO) == b"x"


@given(bit=st.integers(0, 8 * len(SEALED) - 1))
@settings(max_examples=200)
def test_a_flipped_bit_does_not_open(bit: int) -> None:
    flipped = bytearray(SEALED)
    flipped[bit // 8] ^= 1 << bit % 8
    assert refusal(bytes(flipped)) == "cannot-open"


def test_the_top_bit_of_the_x25519_point_counts() -> None:
    """RFC 7748 §5 ignores it; X-Wing hashes the point as it came."""
    changed = bytearray(SEALED)
    changed[1119] ^= 0x80
    assert refusal(bytes(changed)) == "cannot-open"


@given(sealed=st.binary(max_size=1300))
def test_garbage_does_not_open(sealed: bytes) -> None:
    assert refusal(sealed) == "cannot-open"


def test_another_key_or_info_does_not_open() -> None:
    assert refusal(SEALED, info=INFO + b"x") == "cannot-open"
    assert refusal(SEALED, prekey=Prekey.generate()) == "cannot-open"


@pytest.mark.parametrize("point", [bytes(32), (1).to_bytes(32, "little")])
def test_low_order_points_are_refused_on_both_sides(point: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        seal(PREKEY.public_key[:1184] + point, b"x", INFO)
    assert caught.value.code == "prekey-malformed"
    assert refusal(SEALED[:1088] + point + SEALED[1120:]) == "cannot-open"


@pytest.mark.parametrize(
    "public_key",
    [b"", PREKEY.public_key[:-1], PREKEY.public_key + b"\x00", b"\xff" * 1184 + PREKEY.public_key[1184:]],
    ids=["empty", "short", "long", "coefficients above the modulus"],
)
def test_a_malformed_public_key_is_refused(public_key: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        seal(public_key, b"x", INFO)
    assert caught.value.code == "prekey-malformed"


@given(public_key=st.binary(min_size=PUBLIC_KEY_BYTES, max_size=PUBLIC_KEY_BYTES))
def test_random_bytes_are_a_key_or_malformed(public_key: bytes) -> None:
    try:
        assert len(seal(public_key, b"x", INFO)) == 1 + OVERHEAD_BYTES
    except Malformed as problem:
        assert problem.code == "prekey-malformed"


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(Malformed) as caught:
        Prekey.from_seed(bytes(size))
    assert caught.value.code == "seed-length"


def test_the_repr_never_shows_the_seed() -> None:
    assert PREKEY.seed.hex()[:8] not in repr(PREKEY)
