from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import (
    Frontier,
    Tree,
    empty_root,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from protos.errors import Malformed, Refused, VerificationFailed
from support.witnesses import bit_flips

# The eight leaves of the Certificate Transparency reference implementation (RFC 6962), and the root at each size.
LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
sizes = st.integers(0, 70)


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(b"%d" % at) for at in range(count)]


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else empty_root()
    k = largest_power_below(len(leaves))
    return node_hash(reference_root(leaves[:k]), reference_root(leaves[k:]))


def reference_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    if m < k:
        return [*reference_path(m, leaves[:k]), reference_root(leaves[k:])]
    return [*reference_path(m - k, leaves[k:]), reference_root(leaves[:k])]


def reference_proof(m: int, leaves: list[bytes], complete: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if complete else [reference_root(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*reference_proof(m, leaves[:k], complete), reference_root(leaves[k:])]
    return [*reference_proof(m - k, leaves[k:], False), reference_root(leaves[:k])]


def largest_power_below(count: int) -> int:
    return max(1 << bit for bit in range(count.bit_length()) if 1 << bit < count)


@pytest.mark.parametrize("size", range(9))
def test_the_known_roots_of_certificate_transparency(size: int) -> None:
    tree = Tree(leaf_hash(one) for one in LEAVES)
    assert tree.root(size).hex() == ROOTS[size]
    assert root_of([leaf_hash(one) for one in LEAVES[:size]]).hex() == ROOTS[size]


def test_the_known_proofs_of_certificate_transparency() -> None:
    tree = Tree(leaf_hash(one) for one in LEAVES)
    assert [one.hex()[:8] for one in tree.inclusion(5, 8)] == ["bc1a0643", "ca854ea1", "d37ee418"]
    assert [one.hex()[:8] for one in tree.inclusion(1, 5)] == ["6e340b9c", "5f083f0a", "bc1a0643"]
    assert [one.hex()[:8] for one in tree.consistency(1, 8)] == ["96a296d2", "5f083f0a", "6b47aaf2"]
    assert [one.hex()[:8] for one in tree.consistency(6, 8)] == ["0ebc5d34", "ca854ea1", "d37ee418"]


@given(sizes, st.data())
def test_proofs_are_those_of_the_rfc_and_verify(size: int, data: st.DataObject) -> None:
    leaves = hashes(70)
    tree = Tree(leaves)
    assert tree.root(size) == reference_root(leaves[:size]) == tree.frontier(size).root()
    old = data.draw(st.integers(0, size))
    proof = tree.consistency(old, size)
    assert list(proof) == (reference_proof(old, leaves[:size]) if old else [])
    verify_consistency(old, tree.root(old), size, tree.root(size), proof)
    if size:
        index = data.draw(st.integers(0, size - 1))
        path = tree.inclusion(index, size)
        assert list(path) == reference_path(index, leaves[:size])
        verify_inclusion(leaves[index], index, size, path, tree.root(size))


@given(st.integers(1, 70), st.integers(0, 69), st.integers(0, 69))
def test_an_inclusion_path_proves_its_own_index_only(size: int, index: int, other: int) -> None:
    index, other = index % size, other % size
    tree = Tree(hashes(size))
    if index != other:
        with pytest.raises(VerificationFailed):
            verify_inclusion(tree.leaf(index), other, size, tree.inclusion(index, size), tree.root())


def test_every_flipped_bit_of_an_inclusion_proof_is_refused() -> None:
    tree = Tree(hashes(13))
    path, root = b"".join(tree.inclusion(9, 13)), tree.root()
    for flipped in bit_flips(tree.leaf(9) + root + path):
        parts = [flipped[at : at + 32] for at in range(0, len(flipped), 32)]
        with pytest.raises(VerificationFailed):
            verify_inclusion(parts[0], 9, 13, parts[2:], parts[1])


@pytest.mark.parametrize(("old", "new"), [(6, 13), (8, 13), (1, 2), (12, 13)])
def test_every_flipped_bit_of_a_consistency_proof_is_refused(old: int, new: int) -> None:
    tree = Tree(hashes(13))
    proof = b"".join(tree.consistency(old, new))
    for flipped in bit_flips(tree.root(old) + tree.root(new) + proof):
        parts = [flipped[at : at + 32] for at in range(0, len(flipped), 32)]
        with pytest.raises(VerificationFailed):
            verify_consistency(old, parts[0], new, parts[1], parts[2:])


@pytest.mark.parametrize(
    "change", [lambda path: path[:-1], lambda path: (*path, path[0]), lambda path: (path[0][:31],)]
)
def test_a_path_of_another_length_is_refused(change) -> None:  # type: ignore[no-untyped-def]
    tree = Tree(hashes(7))
    with pytest.raises(VerificationFailed):
        verify_inclusion(tree.leaf(2), 2, 7, change(tree.inclusion(2, 7)), tree.root())
    with pytest.raises(VerificationFailed):
        verify_consistency(3, tree.root(3), 7, tree.root(), change(tree.consistency(3, 7)))


def test_from_nothing_and_to_itself_only_the_empty_path_is_a_proof() -> None:
    tree = Tree(hashes(3))
    verify_consistency(0, empty_root(), 3, tree.root(), ())
    for old, old_root in ((0, tree.root()), (3, tree.root(2))):
        with pytest.raises(VerificationFailed):
            verify_consistency(old, old_root, 3, tree.root(), ())
    with pytest.raises(VerificationFailed):
        verify_consistency(3, tree.root(), 3, tree.root(), (tree.root(),))


@given(sizes, sizes)
def test_truncating_gives_the_tree_as_it_was(size: int, kept: int) -> None:
    kept = min(size, kept)
    leaves = hashes(size)
    tree = Tree(leaves)
    other = tree.copy()
    tree.truncate(kept)
    assert (tree.size, tree.root()) == (kept, reference_root(leaves[:kept]))
    for leaf in leaves[kept:]:
        tree.append(leaf)
    assert tree.root() == other.root() == reference_root(leaves)


@given(sizes, sizes)
def test_a_frontier_goes_on_from_its_bytes(size: int, more: int) -> None:
    leaves = hashes(size + more)
    frontier = Frontier.decode(Tree(leaves[:size]).frontier().encode())
    copy = frontier.copy()
    for leaf in leaves[size:]:
        frontier.append(leaf)
    assert frontier.root() == reference_root(leaves)
    assert (copy.size, copy.root()) == (size, reference_root(leaves[:size]))


@pytest.mark.parametrize("data", [b"", bytes(7), bytes(7) + b"\x01", bytes(40), b"\xff" * (8 + 64 * 32)])
def test_bytes_that_are_no_frontier_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        Frontier.decode(data)


def test_what_lies_beyond_the_tree_is_refused() -> None:
    tree = Tree(hashes(3))
    requests = [
        lambda: tree.root(4),
        lambda: tree.root(-1),
        lambda: tree.inclusion(3, 3),
        lambda: tree.inclusion(0, 4),
        lambda: tree.consistency(3, 2),
        lambda: tree.truncate(4),
        lambda: tree.leaf(3),
        lambda: Tree().leaf(0),
        lambda: Tree().inclusion(0, 0),
    ]
    for request in requests:
        with pytest.raises(Refused, match="log"):
            request()


def test_a_leaf_hash_has_32_bytes() -> None:
    for log in (Tree(), Frontier()):
        with pytest.raises(Malformed):
            log.append(b"short")


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_copies_never_see_each_others_leaves(steps: list[tuple[int, bool]]) -> None:
    trees = [Tree()]
    leaves: list[list[bytes]] = [[]]
    for number, (which, is_copied) in enumerate(steps):
        at = which % len(trees)
        if is_copied:
            trees.append(trees[at].copy())
            leaves.append(list(leaves[at]))
        trees[at].append(leaf_hash(b"%d" % number))
        leaves[at].append(leaf_hash(b"%d" % number))
    for tree, own in zip(trees, leaves, strict=True):
        assert (tree.size, tree.root()) == (len(own), reference_root(own))
