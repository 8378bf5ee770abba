"""The files of format version 1 (tests/golden/ledger) stay readable, verifiable and byte for byte the same for ever."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from ledger.map import decode_map_proof, encode_map_proof, verify_map_proof
from ledger.merkle import Frontier
from ledger.note import SignedNote
from ledger.policy import parse_policy
from ledger.proof import TlogProof, verify_item

GOLDEN = Path(__file__).parents[1] / "golden" / "ledger"
NETWORK_ID = sha256(b"network").digest()
LOG_ROOT = bytes.fromhex("51194860ae9c48085908b925e3697f29c1c096df6b3de41a126ce4e73c667075")
STATE_ROOT = bytes.fromhex("492ab756ec7bfc97f24de0738016d6141d3566d059c9b1788ef8b5359d6523d4")


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_the_checkpoint_is_accepted_by_the_policy() -> None:
    verified = parse_policy(golden("policy")).verify(golden("checkpoint"))
    assert (verified.checkpoint.size, verified.checkpoint.root) == (7, LOG_ROOT)
    assert verified.times == dict.fromkeys(("DHA", "DEL", "LON", "WAS", "PAR", "ROM", "TYO"), 1_790_000_000)


def test_the_item_is_proved() -> None:
    policy, data = parse_policy(golden("policy")), golden("item.tlog-proof")
    item = verify_item(TlogProof.decode(data), sha256(b"item 7").digest(), NETWORK_ID, policy)
    assert (item.post, item.kind, item.entry_index, item.checkpoint.root) == ("DEL", "cable", 5, LOG_ROOT)
    assert TlogProof.decode(data).encode() == data


def test_the_proof_carries_the_minimal_note_of_the_checkpoint() -> None:
    minimal = parse_policy(golden("policy")).minimal(SignedNote.decode(golden("checkpoint")))
    assert minimal.encode() == TlogProof.decode(golden("item.tlog-proof")).checkpoint_note


def test_the_map_proofs_hold() -> None:
    for name, key, value in (("present", b"post/DEF", b"value 3"), ("absent", b"post/ZZZ", None)):
        data = golden(f"{name}.map-proof")
        proof = decode_map_proof(data)
        assert (proof.key, verify_map_proof(proof, STATE_ROOT)) == (key, value)
        assert encode_map_proof(proof) == data


def test_the_frontier_leads_to_the_root() -> None:
    frontier = Frontier.decode(golden("frontier"))
    assert (frontier.size, frontier.root(), frontier.encode()) == (7, LOG_ROOT, golden("frontier"))
