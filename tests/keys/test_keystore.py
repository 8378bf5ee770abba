from __future__ import annotations

import struct
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.keystore import MAGIC, MAX_KEYSTORE_BYTES, Cost, is_exercise_keystore, open_keystore, seal_keystore
from protos.errors import DutabartaError, Malformed, Refused

SECRET = bytes(range(96))
PASSPHRASE = "ছয়টি শব্দ".encode()
DATA = seal_keystore(SECRET, PASSPHRASE, Cost.EXERCISE)
COST_AT = len(MAGIC) + 2


def refusal(data: bytes, passphrase: bytes = PASSPHRASE) -> str:
    with pytest.raises(DutabartaError) as caught:
        open_keystore(data, passphrase)
    return caught.value.code


def with_checksum(body: bytes) -> bytes:
    return body + sha256(body).digest()


def with_cost(memory_kib: int, passes: int) -> bytes:
    return with_checksum(DATA[:COST_AT] + struct.pack(">II", memory_kib, passes) + DATA[COST_AT + 8 : -32])


@given(secret=st.binary(max_size=512), passphrase=st.binary(min_size=1, max_size=64))
def test_what_is_sealed_opens(secret: bytes, passphrase: bytes) -> None:
    assert open_keystore(seal_keystore(secret, passphrase, Cost.EXERCISE), passphrase) == secret


def test_the_full_cost_opens_and_is_not_marked() -> None:
    data = seal_keystore(SECRET, PASSPHRASE, Cost.FULL)
    assert struct.unpack(">II", data[COST_AT : COST_AT + 8]) == (262_144, 3)
    assert not is_exercise_keystore(data)
    assert is_exercise_keystore(DATA)
    assert open_keystore(data, PASSPHRASE) == SECRET


def test_sealing_twice_shares_no_salt_or_nonce() -> None:
    again = seal_keystore(SECRET, PASSPHRASE, Cost.EXERCISE)
    assert again[COST_AT + 8 : COST_AT + 24] != DATA[COST_AT + 8 : COST_AT + 24]
    assert again[COST_AT + 24 : COST_AT + 48] != DATA[COST_AT + 24 : COST_AT + 48]


def test_the_secret_is_not_in_the_file() -> None:
    assert all(SECRET[at : at + 8] not in DATA for at in range(len(SECRET) - 7))


@pytest.mark.parametrize("passphrase", [b"", b"x", PASSPHRASE + b" ", PASSPHRASE[:-1]])
def test_a_wrong_passphrase_is_named(passphrase: bytes) -> None:
    with pytest.raises(Refused) as caught:
        open_keystore(DATA, passphrase)
    assert caught.value.code == "wrong-passphrase"
    assert caught.value.hint


def test_every_flipped_bit_is_told_from_a_wrong_passphrase() -> None:
    for bit in range(8 * len(DATA)):
        flipped = bytearray(DATA)
        flipped[bit // 8] ^= 1 << bit % 8
        expected = "not-a-keystore" if bit < 8 * len(MAGIC) else "keystore-damaged"
        assert refusal(bytes(flipped)) == expected


def test_every_truncation_is_refused() -> None:
    for size in range(len(DATA)):
        assert refusal(DATA[:size]) in {"not-a-keystore", "keystore-damaged"}


def test_every_flipped_byte_under_a_new_checksum_is_refused() -> None:
    for at in range(len(DATA) - 32):
        body = bytearray(DATA[:-32])
        body[at] ^= 1
        assert refusal(with_checksum(bytes(body))) in {
            "not-a-keystore",
            "keystore-version",
            "keystore-cost",
            "wrong-passphrase",
        }


@pytest.mark.parametrize(
    ("memory_kib", "passes"), [(0, 1), (7, 1), (2**20 + 1, 1), (2**32 - 1, 1), (64, 0), (64, 11), (64, 2**32 - 1)]
)
def test_a_hostile_cost_is_refused_unspent(memory_kib: int, passes: int) -> None:
    assert refusal(with_cost(memory_kib, passes)) == "keystore-cost"


def test_another_version_is_refused() -> None:
    body = DATA[: len(MAGIC)] + b"\x02" + DATA[len(MAGIC) + 1 : -32]
    assert refusal(with_checksum(body)) == "keystore-version"


@given(data=st.binary(max_size=300))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    assert refusal(data) == ("keystore-damaged" if data.startswith(MAGIC) else "not-a-keystore")
    assert refusal(MAGIC + data) == "keystore-damaged"


def test_sizes_are_bounded() -> None:
    assert refusal(DATA + bytes(MAX_KEYSTORE_BYTES)) == "not-a-keystore"
    largest = MAX_KEYSTORE_BYTES - (len(DATA) - len(SECRET))
    assert len(seal_keystore(bytes(largest), PASSPHRASE, Cost.EXERCISE)) == MAX_KEYSTORE_BYTES
    with pytest.raises(Malformed):
        seal_keystore(bytes(largest + 1), PASSPHRASE, Cost.EXERCISE)


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        seal_keystore(SECRET, b"", Cost.EXERCISE)
    assert caught.value.code == "empty-passphrase"
