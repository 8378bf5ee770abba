from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.merkle import Tree, leaf_hash
from ledger.policy import parse_policy
from ledger.proof import (
    MAX_EXTRA_BYTES,
    MAX_PROOF_BYTES,
    ItemProof,
    TlogProof,
    batch_tree,
    item_leaf,
    make_item_proof,
    verify_item,
)
from protos import canonical, ledger_pb2
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.witnesses import COSIGNED_AT, AnchoredItem, Witnesses, batch_entry, bit_flips, seed

NETWORK = Witnesses()
ANCHORED = AnchoredItem(NETWORK)
PROOF = ANCHORED.proof()
ITEM = ItemProof.decode(PROOF.extra)

hashes = st.binary(min_size=32, max_size=32)
paths = st.lists(hashes, max_size=5).map(tuple)


def check(proof: TlogProof) -> None:
    verify_item(proof, ANCHORED.item_hash, NETWORK.network_id, NETWORK.policy)


def with_item(**changes: Any) -> TlogProof:
    return replace(PROOF, extra=replace(ITEM, **changes).encode())


def logged(entry: bytes) -> TlogProof:
    """An honest proof under the policy, but of this leaf in place of the batch entry."""
    tree = Tree([leaf_hash(entry)])
    note = NETWORK.policy.minimal(NETWORK.note(NETWORK.checkpoint(tree)))
    return make_item_proof(replace(ITEM, entry=entry), 0, (), note.encode())


def batch(post: str = "DEL", kind: str = "confidential", count: int = 64) -> bytes:
    body = ledger_pb2.Batch(post=post, kind=kind, root=ANCHORED.batch.root(), count=count)
    return batch_entry(canonical.encode(body))


# --- items --------------------------------------------------------------------------------------------


def test_an_item_proof_tells_post_kind_checkpoint_and_times() -> None:
    item = verify_item(TlogProof.decode(PROOF.encode()), ANCHORED.item_hash, NETWORK.network_id, NETWORK.policy)
    assert (item.post, item.kind, item.entry_index) == ("DEL", "cable", 5)
    assert item.checkpoint == NETWORK.checkpoint(ANCHORED.tree)
    assert item.times == dict.fromkeys(("DHA", "DEL", "LON"), COSIGNED_AT)


def test_every_item_of_a_batch_has_its_proof() -> None:
    for index in range(0, 64, 9):
        anchored = AnchoredItem(NETWORK, index)
        verify_item(anchored.proof(), anchored.item_hash, NETWORK.network_id, NETWORK.policy)


def test_every_flipped_bit_of_a_minimal_proof_is_refused() -> None:
    small = AnchoredItem(Witnesses(missions=()), index=1, count=2)
    data = small.proof().encode()
    network = small.witnesses
    verify_item(TlogProof.decode(data), small.item_hash, network.network_id, network.policy)
    start = data.index(b"\n\n") + 2
    head, note = data[:start], data[start:]
    flips = [one + note for one in bit_flips(head)]
    # test_policy flips every bit of such a note; here one in each byte.
    flips += [head + one for at, one in enumerate(bit_flips(note)) if at % 8 == at // 8 % 8]
    for flipped in flips:
        with pytest.raises(DutabartaError):
            verify_item(TlogProof.decode(flipped), small.item_hash, network.network_id, network.policy)


@pytest.mark.parametrize(
    "change",
    [
        lambda: with_item(index=ITEM.index + 1),
        lambda: with_item(count=63),
        lambda: with_item(kind="receipt"),
        lambda: with_item(kind="attestation"),
        lambda: with_item(salt=seed("another salt")),
        lambda: with_item(salt=b"short"),
        lambda: with_item(path=ITEM.path[:-1]),
        lambda: with_item(path=(*ITEM.path, ITEM.path[0])),
        lambda: with_item(entry=batch()[:-1]),
        lambda: with_item(entry=ITEM.entry + b"\x00"),
        lambda: replace(PROOF, extra=b""),
        lambda: replace(PROOF, index=4),
        lambda: replace(PROOF, path=PROOF.path[:-1]),
        lambda: replace(PROOF, path=()),
        lambda: replace(PROOF, checkpoint_note=NETWORK.note(NETWORK.checkpoint(Tree([seed("x")]))).encode()),
    ],
)
def test_a_changed_proof_is_refused(change: Callable[[], TlogProof]) -> None:
    with pytest.raises((VerificationFailed, Malformed)):
        check(change())


def test_the_proof_speaks_of_its_own_item_and_network_only() -> None:
    for item_hash, network_id in ((seed("item 8"), NETWORK.network_id), (ANCHORED.item_hash, seed("elsewhere"))):
        with pytest.raises(VerificationFailed):
            verify_item(PROOF, item_hash, network_id, NETWORK.policy)


def test_an_honest_proof_of_this_batch_alone_holds() -> None:
    check(logged(batch()))


@pytest.mark.parametrize(
    "entry",
    [
        batch(post="LON"),
        batch(count=65),
        batch(kind="attestation"),
        batch_entry(b"", kind="batch"),
        batch_entry(canonical.encode(ledger_pb2.PostRetired(code="DEL")), kind="post-retired"),
        b"\x02" + batch()[1:],
        b"",
    ],
)
def test_an_entry_that_is_no_batch_with_this_item_is_refused(entry: bytes) -> None:
    with pytest.raises((VerificationFailed, Malformed)):
        check(logged(entry))


def test_an_entry_cannot_pass_for_an_item_or_a_node_of_the_batch() -> None:
    inner = replace(ITEM, count=32, index=ITEM.index // 2, path=ITEM.path[1:])
    with pytest.raises(VerificationFailed):
        check(replace(PROOF, extra=inner.encode()))


def test_a_checkpoint_below_the_quorum_is_refused() -> None:
    note = NETWORK.note(NETWORK.checkpoint(ANCHORED.tree), posts=("DHA", "DEL"))
    with pytest.raises(VerificationFailed, match="quorum"):
        check(ANCHORED.proof(note))


def test_a_checkpoint_of_another_network_is_refused_though_its_policy_accepts_it() -> None:
    class Elsewhere(Witnesses):
        @property
        def origin(self) -> str:
            return "dutabarta.example/" + seed("elsewhere")[:16].hex()

    other = Elsewhere()
    note = other.policy.minimal(other.note(other.checkpoint(ANCHORED.tree)))
    with pytest.raises(VerificationFailed, match="another network"):
        verify_item(ANCHORED.proof(note), ANCHORED.item_hash, NETWORK.network_id, other.policy)


@pytest.mark.parametrize(
    ("post", "kind", "salt"),
    [("DE", "cable", bytes(32)), ("DELc", "able", bytes(32)), ("del", "cable", bytes(32)), ("DEL", "gift", bytes(32)),
     ("DEL", "cable", bytes(31))],
)  # fmt: skip
def test_an_item_leaf_has_one_reading(post: str, kind: str, salt: bytes) -> None:
    with pytest.raises(Malformed):
        item_leaf(NETWORK.network_id, post, kind, salt, bytes(32))


def test_item_leaves_of_different_items_differ() -> None:
    kinds = ("cable", "receipt", "archive", "hotline", "attestation")
    leaves = {
        item_leaf(seed(network), post, kind, seed(salt), seed(item))
        for network, salt, item in product("ab", repeat=3)
        for post in ("DHA", "DEL")
        for kind in kinds
    }
    assert len(leaves) == 80 and batch_tree(sorted(leaves)).size == 80


# --- the extra ----------------------------------------------------------------------------------------


@given(st.binary(max_size=60), st.integers(0, 2**63 - 2), paths, st.sampled_from(["cable", "attestation"]), hashes)
def test_an_item_proof_comes_back_from_its_bytes(entry: bytes, index: int, path: Any, kind: str, salt: bytes) -> None:
    item = ItemProof(entry, index, 2**63 - 1, path, kind, salt)
    assert ItemProof.decode(item.encode()) == item


FIELDS: dict[str, Any] = asdict(ITEM) | {"path": list(ITEM.path)}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        ITEM.encode() + b"\x00",
        ITEM.encode()[:-1],
        cbor2.dumps(dict(sorted(FIELDS.items(), reverse=True))),
        cbor2.dumps(FIELDS | {"more": 1}, canonical=True),
        cbor2.dumps({name: value for name, value in FIELDS.items() if name != "salt"}, canonical=True),
        cbor2.dumps(FIELDS | {"index": -1}, canonical=True),
        cbor2.dumps(FIELDS | {"index": 64}, canonical=True),
        cbor2.dumps(FIELDS | {"index": 2**64, "count": 2**65}, canonical=True),
        cbor2.dumps(FIELDS | {"index": 7.0}, canonical=True),
        cbor2.dumps(FIELDS | {"index": True}, canonical=True),
        cbor2.dumps(FIELDS | {"kind": "gift"}, canonical=True),
        cbor2.dumps(FIELDS | {"kind": ["cable"]}, canonical=True),
        cbor2.dumps(FIELDS | {"path": ["x"]}, canonical=True),
        cbor2.dumps(FIELDS | {"salt": "x"}, canonical=True),
        cbor2.dumps([1], canonical=True),
        ITEM.encode().replace(b"eindex\x07", b"eindex\x18\x07"),
        ITEM.encode().replace(b"dpath\x86", b"dpath\x9f", 1) + b"\xff",
        b"\xa1" * 500,
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xa1\xa0\x00",
        b"\xc1\x61x",
        bytes(MAX_EXTRA_BYTES + 1),
    ],
)
def test_an_extra_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        ItemProof.decode(data)


@given(st.binary(max_size=60) | st.integers(0xC0, 0xDF).flatmap(lambda tag: st.binary().map(bytes([tag]).__add__)))
def test_any_bytes_are_an_item_proof_or_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        ItemProof.decode(data)


# --- the text -----------------------------------------------------------------------------------------


@given(st.integers(0, 2**63 - 1), paths, st.binary(max_size=40), st.binary(max_size=60))
def test_a_proof_comes_back_from_its_text(index: int, path: Any, note: bytes, extra: bytes) -> None:
    proof = TlogProof(index, path, note, extra)
    assert TlogProof.decode(proof.encode()) == proof


HASH = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\r\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n\n",
        "c2sp.org/tlog-proof@v1\nindex  1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1 \n\n",
        "c2sp.org/tlog-proof@v1\nindex\n\n",
        f"c2sp.org/tlog-proof@v1\nindex {2**63}\n\n",
        "c2sp.org/tlog-proof@v1\nextra \nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nextra eA\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nextra eB==\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nextra eA==\nextra eA==\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nextra eA==\n\n",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-1]}\n\n",
        f"c2sp.org/tlog-proof@v1\nindex 1\n{HASH[:-2]}R=\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\neA==\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n\u00e9\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{HASH}\n" * 64 + "\n",
        "x" * (MAX_PROOF_BYTES + 1),
    ],
)
def test_a_proof_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        TlogProof.decode(text.encode())


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_a_proof_or_refused(head: bytes, tail: bytes) -> None:
    for data in (
        head,
        b"c2sp.org/tlog-proof@v1\n" + head,
        b"c2sp.org/tlog-proof@v1\nindex 1\n" + head + b"\n\n" + tail,
    ):
        try:
            assert TlogProof.decode(data).encode() == data
        except Malformed:
            continue


# --- what torchwood has made ----------------------------------------------------------------------------


def test_the_proof_that_torchwood_made_verifies() -> None:
    folder = Path(__file__).parents[1] / "vectors" / "torchwood"
    policy = parse_policy((folder / "policy").read_bytes())
    proof = TlogProof.decode((folder / "proof").read_bytes())
    verified = proof.verify((folder / "leaf").read_bytes(), policy)
    assert (verified.checkpoint.origin, verified.checkpoint.size, proof.extra) == ("log.example/interop", 13, b"extra")
    assert verified == policy.verify((folder / "checkpoint").read_bytes()) and verified.times["w1"] > 0
    assert proof.encode() == (folder / "proof").read_bytes()
    with pytest.raises(VerificationFailed):
        proof.verify(b"another leaf", policy)
