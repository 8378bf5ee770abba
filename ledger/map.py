"""The authenticated map of the state: a compact sparse Merkle tree with proofs of presence and absence.

A key's place is SHA-256(key), bits most significant first: 0 goes left, 1 goes right. Under SHA-256 a leaf is
0x00 || SHA-256(key) || SHA-256(value) and an inner node 0x01 || left || right; the empty subtree is 32 zero bytes.
A leaf stands at the least depth where it is alone, so that a set of pairs has one root and every fact about it has
one proof (docs/protocol/map-proof.md). Keys and values are never empty; a key is never removed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Self

from protos import ledger_pb2
from protos.codec import Codec
from protos.errors import Malformed, VerificationFailed

EMPTY = bytes(32)
MAX_DEPTH = 256
MAX_PROOF_BYTES = 64 * 1024

_PLACES_CACHED = 16_384
_PLACE = attrgetter("place")


class _Leaf:
    """One pair. `place` is SHA-256(key) as an integer. Never changed."""

    __slots__ = ("hash", "place", "value")

    def __init__(self, place: int, value: bytes) -> None:
        self.place = place
        self.value = value
        self.hash = _leaf_hash(place.to_bytes(32, "big"), sha256(value).digest())


class _Inner:
    """At least two leaves. Never changed."""

    __slots__ = ("hash", "left", "right")

    def __init__(self, left: _Node, right: _Node) -> None:
        self.left = left
        self.right = right
        self.hash: bytes = _inner_hash(left.hash if left else EMPTY, right.hash if right else EMPTY)


_Node = _Leaf | _Inner | None


@dataclass(frozen=True, slots=True)
class MapProof:
    """That `key` holds `value`, or (empty value) holds none, under a state root: the message MapProof."""

    key: bytes
    value: bytes
    depth: int
    bitmap: bytes
    siblings: tuple[bytes, ...]
    other_key_hash: bytes
    other_value_hash: bytes


_CODEC = Codec({MapProof: ledger_pb2.MapProof})


class Map:
    """A persistent map: `set` returns a new map that shares all it can."""

    __slots__ = ("_top",)

    def __init__(self, top: _Node = None) -> None:
        self._top = top

    @classmethod
    def empty(cls) -> Self:
        """The map without keys; its root is 32 zero bytes."""
        return cls()

    @property
    def root(self) -> bytes:
        """The state root, 32 bytes."""
        return _hash(self._top)

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        place, node, shift = _place(key), self._top, 255
        while isinstance(node, _Inner):
            node = node.right if place >> shift & 1 else node.left
            shift -= 1
        return node.value if node is not None and node.place == place else None

    def set(self, key: bytes, value: bytes) -> Map:
        """The map in which `key` holds `value` (both not empty)."""
        if not key or not value:
            raise Malformed("malformed", "keys and values of the state are never empty", what="state value")
        return Map(_insert(self._top, _Leaf(_place(key), value), 255))

    def set_many(self, pairs: Mapping[bytes, bytes]) -> Map:
        """As `set` for each pair, every node on their common ways made once."""
        if not all(key and value for key, value in pairs.items()):
            raise Malformed("malformed", "keys and values of the state are never empty", what="state value")
        leaves = sorted([_Leaf(_place(key), value) for key, value in pairs.items()], key=_PLACE)
        return Map(_insert_all(self._top, leaves, 255))

    def prove(self, key: bytes) -> MapProof:
        """The proof of what this map says about `key`."""
        place, node = _place(key), self._top
        siblings: list[bytes] = []
        while isinstance(node, _Inner):
            right = place >> 255 - len(siblings) & 1
            siblings.append(_hash(node.left if right else node.right))
            node = node.right if right else node.left
        is_present = node is not None and node.place == place
        is_other = node is not None and not is_present
        return MapProof(
            key=key,
            value=node.value if node is not None and is_present else b"",
            depth=len(siblings),
            bitmap=_bitmap([one != EMPTY for one in siblings]),
            siblings=tuple(one for one in siblings if one != EMPTY),
            other_key_hash=node.place.to_bytes(32, "big") if node is not None and is_other else b"",
            other_value_hash=sha256(node.value).digest() if node is not None and is_other else b"",
        )


def verify_map_proof(proof: MapProof, root: bytes) -> bytes | None:
    """What the state under `root` holds for `proof.key`: its value, or None if it is absent.

    The caller compares `proof.key` with the key he asked for. Raises `VerificationFailed` for anything but the one
    proof that `Map.prove` makes.
    """
    steps = _steps(proof)
    node = _end_hash(proof)
    if proof.depth:
        # An inner node has at least two leaves below it: whatever ends the path cannot be alone.
        _require(steps[-1] != EMPTY)
    place = _place(proof.key)
    for step in reversed(range(proof.depth)):
        right = place >> 255 - step & 1
        node = _inner_hash(steps[step], node) if right else _inner_hash(node, steps[step])
    _require(node == root)
    return proof.value or None


def encode_map_proof(proof: MapProof) -> bytes:
    """The canonical bytes of the message MapProof."""
    return _CODEC.encode(proof)


def decode_map_proof(data: bytes) -> MapProof:
    """A proof from canonical bytes, unverified. Raises `Malformed`."""
    return _CODEC.decode(MapProof, data, limit=MAX_PROOF_BYTES)


@lru_cache(maxsize=_PLACES_CACHED)
def _place(key: bytes) -> int:
    return int.from_bytes(sha256(key).digest(), "big")


def _insert(node: _Node, leaf: _Leaf, shift: int) -> _Leaf | _Inner:
    if node is None or (isinstance(node, _Leaf) and node.place == leaf.place):
        return leaf
    if isinstance(node, _Leaf):
        return _part(node, leaf, shift)
    if leaf.place >> shift & 1:
        return _Inner(node.left, _insert(node.right, leaf, shift - 1))
    return _Inner(_insert(node.left, leaf, shift - 1), node.right)


def _insert_all(node: _Node, leaves: list[_Leaf], shift: int) -> _Node:
    """The subtree with these leaves, which all belong below it and are sorted by place."""
    if not leaves:
        return node
    if len(leaves) == 1:
        return _insert(node, leaves[0], shift)
    left = right = None
    if isinstance(node, _Inner):
        left, right = node.left, node.right
    elif node is not None and all(leaf.place != node.place for leaf in leaves):
        leaves = sorted([*leaves, node], key=_PLACE)
    first_right = (leaves[0].place >> shift | 1) << shift  # of all places below this node the first to the right
    middle = bisect_left(leaves, first_right, key=_PLACE)
    return _Inner(_insert_all(left, leaves[:middle], shift - 1), _insert_all(right, leaves[middle:], shift - 1))


def _part(one: _Leaf, two: _Leaf, shift: int) -> _Inner:
    """The subtree of two leaves: a chain down to the first bit in which their places differ."""
    at = (one.place ^ two.place).bit_length() - 1
    node = _Inner(one, two) if two.place >> at & 1 else _Inner(two, one)
    for above in range(at + 1, shift + 1):
        node = _Inner(None, node) if one.place >> above & 1 else _Inner(node, None)
    return node


def _hash(node: _Node) -> bytes:
    return EMPTY if node is None else node.hash


def _leaf_hash(key_hash: bytes, value_hash: bytes) -> bytes:
    return sha256(b"\x00" + key_hash + value_hash).digest()


def _inner_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _bitmap(bits: list[bool]) -> bytes:
    value = 0
    for bit in bits:
        value = value << 1 | bit
    return (value << -len(bits) % 8).to_bytes((len(bits) + 7) // 8, "big")


def _steps(proof: MapProof) -> list[bytes]:
    """The sibling of every step from the root down; EMPTY where the bitmap says so."""
    depth, bitmap, siblings = proof.depth, proof.bitmap, proof.siblings
    _require(0 <= depth <= MAX_DEPTH and len(bitmap) == (depth + 7) // 8)
    value = int.from_bytes(bitmap, "big")
    padding = -depth % 8
    _require(value & (1 << padding) - 1 == 0 and value.bit_count() == len(siblings))
    _require(all(len(one) == 32 and one != EMPTY for one in siblings))
    rest = iter(siblings)
    return [next(rest) if value >> padding + depth - 1 - step & 1 else EMPTY for step in range(depth)]


def _end_hash(proof: MapProof) -> bytes:
    """The hash of what stands where the path ends: the key's leaf, another leaf, or nothing."""
    key_hash = sha256(proof.key).digest()
    if proof.value:
        _require(bool(proof.key) and not proof.other_key_hash and not proof.other_value_hash)
        return _leaf_hash(key_hash, sha256(proof.value).digest())
    _require(bool(proof.key))
    if not proof.other_key_hash and not proof.other_value_hash:
        return EMPTY
    _require(len(proof.other_key_hash) == 32 and len(proof.other_value_hash) == 32)
    differs = int.from_bytes(key_hash, "big") ^ int.from_bytes(proof.other_key_hash, "big")
    # The other leaf is another key's, and it stands on this path: equal in the first `depth` bits.
    _require(differs != 0 and differs.bit_length() <= 256 - proof.depth)
    return _leaf_hash(proof.other_key_hash, proof.other_value_hash)


def _require(holds: bool) -> None:
    if not holds:
        text = "the state proof does not lead to the state root"
        raise VerificationFailed("bad-map-proof", text, hint="Do not rely on it; ask another post.")
