"""Merkle trees of RFC 6962 (the same in RFC 9162), SHA-256 (docs/protocol/merkle.md).

A hash is 32 bytes. Leaf = SHA-256(0x00 || data), inner node = SHA-256(0x01 || left || right), the empty tree is
SHA-256(""). Everything that verifies raises `VerificationFailed` and returns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Self

from protos.errors import Malformed, Refused, VerificationFailed

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1

Path = tuple[bytes, ...]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the inner node above two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def empty_root() -> bytes:
    """The root of the tree without leaves."""
    return sha256(b"").digest()


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes in order."""
    frontier = Frontier()
    for one in leaf_hashes:
        frontier.append(one)
    return frontier.root()


class Tree:
    """An append-only tree in memory: about 64 bytes a leaf, proofs for every size it has had.

    `_levels[k]` holds, end to end, the hash of every complete subtree of 2**k leaves. Copies share the levels: the
    first of them to append extends them in place, beyond what the others read; one that was overtaken takes levels
    of its own before it appends.
    """

    __slots__ = ("_levels", "_size")

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self._size = 0
        for one in leaf_hashes:
            self.append(one)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append a leaf by its hash (32 bytes)."""
        node, index, level = _hash32(leaf), self._size, 0
        if len(self._levels[0]) != index * HASH_BYTES:
            self._levels = [hashes[: (index >> at) * HASH_BYTES] for at, hashes in enumerate(self._levels)]
        while True:
            self._levels[level] += node
            if not index & 1:
                break
            node = node_hash(self._complete(level, index - 1), node)
            index, level = index >> 1, level + 1
            if level == len(self._levels):
                self._levels.append(bytearray())
        self._size += 1

    def leaf(self, index: int) -> bytes:
        """The hash of the leaf at `index`."""
        _within(index, self._size - 1)
        return self._complete(0, index)

    def root(self, size: int | None = None) -> bytes:
        """The root at `size` (default: now). Raises `Refused` beyond the tree."""
        size = self._size if size is None else size
        _within(size, self._size)
        return self._range(0, size) if size else empty_root()

    def inclusion(self, index: int, size: int) -> Path:
        """The path of leaf `index` in the tree of `size` leaves, from the leaf's sibling upwards (RFC 6962 2.1.1)."""
        _within(size, self._size)
        _within(index, size - 1)
        start, end, path = 0, size, []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, old: int, new: int) -> Path:
        """The proof that the tree of size `new` extends that of size `old` (RFC 6962 2.1.2); empty from 0 or `new`."""
        _within(new, self._size)
        _within(old, new)
        if old in (0, new):
            return ()
        start, end, path = 0, new, []
        while end != old:
            middle = start + _split(end - start)
            if old <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        if start > 0:  # else the last subtree is the old tree itself, whose root the verifier has
            path.append(self._range(start, end))
        return tuple(reversed(path))

    def frontier(self, size: int | None = None) -> Frontier:
        """The compact range of the first `size` leaves (default: all)."""
        size = self._size if size is None else size
        _within(size, self._size)
        return Frontier(size, [self._complete(level, (size >> level) - 1) for level in _levels_of(size)])

    def truncate(self, size: int) -> None:
        """Forget every leaf from index `size` on."""
        _within(size, self._size)
        self._size = size

    def copy(self) -> Tree:
        """An independent copy, at once."""
        other = Tree()
        other._levels, other._size = self._levels, self._size
        return other

    def _complete(self, level: int, index: int) -> bytes:
        return bytes(self._levels[level][index * HASH_BYTES : (index + 1) * HASH_BYTES])

    def _range(self, start: int, end: int) -> bytes:
        """The root over leaves [start, end), where `start` is a multiple of the next power of two."""
        count = end - start
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self._complete(level, start >> level)
        middle = start + _split(count)
        return node_hash(self._range(start, middle), self._range(middle, end))


class Frontier:
    """The complete subtrees on a tree's right edge: enough to append and to tell the root, in O(log n) memory."""

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self._size = size
        self._peaks = list(peaks)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Append a leaf by its hash (32 bytes)."""
        node, index = _hash32(leaf), self._size
        while index & 1:
            node, index = node_hash(self._peaks.pop(), node), index >> 1
        self._peaks.append(node)
        self._size += 1

    def root(self) -> bytes:
        """The root of the tree."""
        if not self._peaks:
            return empty_root()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Frontier:
        """An independent copy."""
        return Frontier(self._size, self._peaks)

    def encode(self) -> bytes:
        """u64 size (big-endian) || the subtree hashes, largest first."""
        return self._size.to_bytes(8, "big") + b"".join(self._peaks)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote. Raises `Malformed`."""
        size, rest = int.from_bytes(data[:8], "big"), data[8:]
        if len(data) < 8 or size > MAX_SIZE or len(rest) != HASH_BYTES * size.bit_count():
            raise Malformed("malformed", "not a log frontier", what="Frontier")
        return cls(size, [rest[at : at + HASH_BYTES] for at in range(0, len(rest), HASH_BYTES)])


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at `index` under `root` (RFC 9162 2.1.3.2). Raises `VerificationFailed`."""
    _require(0 <= index < size <= MAX_SIZE and _are_hashes([leaf, root, *path]), "inclusion")
    fn, sn, node = index, size - 1, leaf
    for sibling in path:
        _require(sn > 0, "inclusion")
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    _require(sn == 0 and node == root, "inclusion")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the new tree extends the old one (RFC 9162 2.1.4.2). Raises `VerificationFailed`.

    From size 0, and between equal sizes, only the empty path is accepted.
    """
    _require(0 <= old_size <= new_size <= MAX_SIZE and _are_hashes([old_root, new_root, *path]), "consistency")
    if old_size == 0 or old_size == new_size:
        _require(not path, "consistency")
        _require(old_size > 0 or old_root == empty_root(), "consistency")
        _require(old_size < new_size or old_root == new_root, "consistency")
        return
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    _require(bool(path), "consistency")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old_node = new_node = nodes[0]
    for sibling in nodes[1:]:
        _require(sn > 0, "consistency")
        if fn & 1 or fn == sn:
            old_node, new_node = node_hash(sibling, old_node), node_hash(sibling, new_node)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            new_node = node_hash(new_node, sibling)
        fn, sn = fn >> 1, sn >> 1
    _require(sn == 0 and old_node == old_root and new_node == new_root, "consistency")


def _split(count: int) -> int:
    """The largest power of two below `count` (at least 2)."""
    return 1 << (count - 1).bit_length() - 1


def _levels_of(size: int) -> list[int]:
    """The levels of the complete subtrees of a tree of `size` leaves, largest first."""
    return [level for level in reversed(range(size.bit_length())) if size >> level & 1]


def _within(value: int, most: int) -> None:
    if not 0 <= value <= most:
        raise Refused("beyond-log", f"{value} is not within the log (at most {most})", value=value, most=most)


def _hash32(value: bytes) -> bytes:
    if len(value) != HASH_BYTES:
        raise Malformed("malformed", f"a leaf hash has 32 bytes, not {len(value)}", what="leaf hash")
    return value


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(one) == HASH_BYTES for one in values)


def _require(holds: bool, what: str) -> None:
    if not holds:
        code = "bad-inclusion-proof" if what == "inclusion" else "bad-consistency-proof"
        text = f"the {what} proof does not lead to the root"
        raise VerificationFailed(code, text, hint="Do not rely on it; ask another post.")
