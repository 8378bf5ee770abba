from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.map import (
    EMPTY,
    MAX_PROOF_BYTES,
    Map,
    MapProof,
    decode_map_proof,
    encode_map_proof,
    verify_map_proof,
)
from protos.errors import Malformed, VerificationFailed
from support.witnesses import bit_flips

keys = st.binary(min_size=1, max_size=3)
pairs = st.dictionaries(keys, st.binary(min_size=1, max_size=5), max_size=40)


def made(contents: dict[bytes, bytes]) -> Map:
    state = Map.empty()
    for key, value in contents.items():
        state = state.set(key, value)
    return state


def reference_root(contents: dict[bytes, bytes]) -> bytes:
    """The root, computed top down from all pairs at once."""
    return _subtree([(sha256(key).digest(), sha256(value).digest()) for key, value in contents.items()], 0)


def _subtree(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0][0] + leaves[0][1]).digest()
    right = [one for one in leaves if one[0][depth // 8] >> (7 - depth % 8) & 1]
    left = [one for one in leaves if one not in right]
    return sha256(b"\x01" + _subtree(left, depth + 1) + _subtree(right, depth + 1)).digest()


def with_places(*starts: str) -> list[bytes]:
    """Keys whose SHA-256 begins with these bits."""
    found: list[bytes] = []
    for start in starts:
        candidates = (b"key %d" % at for at in range(1 << 20))
        found.append(next(one for one in candidates if _bits(one).startswith(start) and one not in found))
    return found


def _bits(key: bytes) -> str:
    return f"{int.from_bytes(sha256(key).digest(), 'big'):0256b}"


@given(pairs, st.randoms())
def test_the_root_depends_on_the_pairs_alone(contents: dict[bytes, bytes], random) -> None:  # type: ignore[no-untyped-def]
    order = list(contents.items())
    random.shuffle(order)
    assert made(contents).root == made(dict(order)).root == reference_root(contents)


@given(pairs, keys, st.binary(min_size=1, max_size=5))
def test_setting_gives_a_new_map_and_leaves_the_old(contents: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    old = made(contents)
    new = old.set(key, value)
    assert new.get(key) == value and new.root == reference_root(contents | {key: value})
    assert old.get(key) == contents.get(key) and old.root == reference_root(contents)


@given(pairs, keys)
def test_a_proof_says_what_the_map_holds(contents: dict[bytes, bytes], key: bytes) -> None:
    state = made(contents)
    proof = decode_map_proof(encode_map_proof(state.prove(key)))
    assert proof.key == key
    assert verify_map_proof(proof, state.root) == state.get(key) == contents.get(key)


@given(pairs, pairs, keys)
def test_a_proof_holds_under_its_own_root_only(one: dict[bytes, bytes], two: dict[bytes, bytes], key: bytes) -> None:
    if one != two:
        with pytest.raises(VerificationFailed):
            verify_map_proof(made(one).prove(key), made(two).root)


@pytest.mark.parametrize("key", [b"post/3", b"post/77", b"absent", b"absent too"])
def test_every_flipped_bit_is_refused_or_says_nothing_false(key: bytes) -> None:
    contents = {b"post/%d" % at: b"value %d" % at for at in range(20)}
    state = made(contents)
    for flipped in bit_flips(encode_map_proof(state.prove(key))):
        try:
            proof = decode_map_proof(flipped)
            value = verify_map_proof(proof, state.root)
        except (Malformed, VerificationFailed):
            continue
        # Another absent key with the same place in the tree: true, and of no use for the key asked for.
        assert proof.key != key and value is None and proof.key not in contents


@pytest.mark.parametrize("key", [b"post/3", b"absent"])
def test_no_other_proof_says_the_same(key: bytes) -> None:
    state = made({b"post/%d" % at: b"value" for at in range(20)})
    proof = state.prove(key)
    others = [
        replace(proof, depth=proof.depth + 1),
        replace(proof, depth=proof.depth - 1),
        replace(proof, depth=257),
        replace(proof, bitmap=proof.bitmap + b"\x00"),
        replace(proof, bitmap=bytes([proof.bitmap[0] | 1])),
        replace(proof, siblings=(*proof.siblings, EMPTY)),
        replace(proof, siblings=(*proof.siblings, proof.siblings[0])),
        replace(proof, siblings=proof.siblings[:-1]),
        replace(proof, siblings=()),
        replace(proof, siblings=tuple(one[:31] for one in proof.siblings)),
        replace(proof, other_key_hash=sha256(key).digest(), other_value_hash=sha256(b"value").digest()),
        replace(proof, other_key_hash=bytes(32)),
        replace(proof, other_value_hash=bytes(32)),
        replace(proof, key=b""),
    ]
    for other in others:
        with pytest.raises(VerificationFailed):
            verify_map_proof(other, state.root)


def test_a_lone_leaf_is_never_shown_below_an_inner_node() -> None:
    key = with_places("0")[0]
    leaf = sha256(b"\x00" + sha256(key).digest() + sha256(b"value").digest()).digest()
    root = sha256(b"\x01" + leaf + EMPTY).digest()
    proof = MapProof(key, b"value", 1, b"\x00", (), b"", b"")
    with pytest.raises(VerificationFailed):
        verify_map_proof(proof, root)


def test_nothing_is_never_shown_beside_nothing() -> None:
    root = sha256(b"\x01" + EMPTY + EMPTY).digest()
    with pytest.raises(VerificationFailed):
        verify_map_proof(MapProof(b"key", b"", 1, b"\x00", (), b"", b""), root)


def test_absence_is_proved_by_an_empty_place_and_by_another_leaf() -> None:
    one, two, absent, beside = with_places("000", "001", "1", "000")
    state = made({one: b"1", two: b"2"})
    empty = state.prove(absent)
    assert (empty.depth, empty.bitmap, empty.other_key_hash) == (1, b"\x80", b"")
    other = state.prove(beside)
    assert (other.depth, other.bitmap, other.other_key_hash) == (3, b"\x20", sha256(one).digest())
    for proof in (empty, other):
        assert verify_map_proof(proof, state.root) is None


def test_another_leaf_must_stand_on_the_path() -> None:
    one, two, absent = with_places("000", "001", "1")
    state = made({one: b"1", two: b"2"})
    proof = replace(state.prove(one), key=absent, value=b"", other_key_hash=sha256(one).digest())
    with pytest.raises(VerificationFailed):
        verify_map_proof(replace(proof, other_value_hash=sha256(b"1").digest()), state.root)


def test_a_present_key_is_never_shown_absent_by_its_own_leaf() -> None:
    state = made({b"key": b"value"})
    own = MapProof(b"key", b"", 0, b"", (), sha256(b"key").digest(), sha256(b"value").digest())
    with pytest.raises(VerificationFailed):
        verify_map_proof(own, state.root)


def test_in_the_empty_map_everything_is_absent() -> None:
    assert Map.empty().root == EMPTY
    assert verify_map_proof(Map.empty().prove(b"key"), EMPTY) is None


def test_empty_keys_and_values_are_refused() -> None:
    for key, value in ((b"", b"value"), (b"key", b"")):
        with pytest.raises(Malformed):
            Map.empty().set(key, value)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_proof_or_refused(data: bytes) -> None:
    try:
        proof = decode_map_proof(data)
    except Malformed:
        return
    assert encode_map_proof(proof) == data


def test_a_proof_beyond_the_limit_is_refused() -> None:
    with pytest.raises(Malformed, match="exceeds"):
        decode_map_proof(bytes(MAX_PROOF_BYTES + 1))
