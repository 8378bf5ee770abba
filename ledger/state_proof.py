"""What the ledger says, now or after a given block, proved offline (docs/protocol/state.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ledger.block import decode_record
from ledger.checkpoint import Checkpoint
from ledger.map import verify_map_proof
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.policy import Policy
from ledger.state import MAX_VALUE_BYTES
from ledger.wire import CODEC, MAX_STATE_PROOF_BYTES, BlockRecord, StateProof
from protos.codec import Codec
from protos.errors import Malformed, Unavailable, VerificationFailed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProvenState:
    """Values after the first `size` leaves, under a checkpoint of at least that size.

    `values[key]` is None where the key is proved absent; `record.time` is the block time; `times` when each witness
    cosigned the checkpoint, POSIX seconds by policy name.
    """

    checkpoint: Checkpoint
    size: int
    record: BlockRecord
    values: dict[bytes, bytes | None]
    times: dict[str, int]

    def get(self, key: bytes) -> bytes | None:
        """The proved value, or None if absence is proved. Raises `Unavailable("not-proved")` if nothing is."""
        if key not in self.values:
            hint = "Ask again, or ask another post: this one has not answered."
            raise Unavailable("not-proved", f"the proof says nothing about {key.decode('ascii', 'replace')}", hint=hint)
        return self.values[key]

    def read(self, key: bytes, kind: type[T], codec: Codec = CODEC) -> T | None:
        """The proved record, or None if its absence is proved. Raises as `get`."""
        value = self.get(key)
        return None if value is None else codec.decode(kind, value, limit=MAX_VALUE_BYTES)


def encode_state_proof(proof: StateProof) -> bytes:
    """The canonical bytes of a proof."""
    return CODEC.encode(proof)


def decode_state_proof(data: bytes) -> StateProof:
    """A proof, unverified. Raises `Malformed`."""
    return CODEC.decode(StateProof, data, limit=MAX_STATE_PROOF_BYTES)


def verify_state_proof(proof: StateProof | bytes, policy: Policy) -> ProvenState:
    """Check a proof of what is current as of its checkpoint. Raises `Malformed` or `VerificationFailed`.

    As `_verify`, and the block record is the checkpoint's last leaf.
    """
    proven = _verify(proof, policy)
    if proven.size != proven.checkpoint.size:
        text = f"the state is that after {proven.size} leaves, the checkpoint's size {proven.checkpoint.size}"
        raise VerificationFailed("not-current", text, hint="Do not rely on it; ask another post.")
    return proven


def verify_state_proof_at(proof: StateProof | bytes, policy: Policy, size: int) -> ProvenState:
    """Check a proof of what held after exactly `size` leaves. Raises `Malformed` or `VerificationFailed`.

    As `_verify`, and the block record is leaf `size` - 1, under a checkpoint of that size or a larger one.
    """
    proven = _verify(proof, policy)
    if proven.size != size:
        text = f"the state is that after {proven.size} leaves, not after {size}"
        raise VerificationFailed("wrong-size", text, hint="Do not rely on it; ask another post.", size=size)
    return proven


def _verify(proof: StateProof | bytes, policy: Policy) -> ProvenState:
    """1. The policy accepts the checkpoint.
    2. The block record stands at its index under the checkpoint.
    3. Every value, or absence, is proved under the record's state root; no key stands twice.
    """
    if isinstance(proof, bytes):
        proof = decode_state_proof(proof)
    # 1
    verified = policy.verify(proof.checkpoint)
    checkpoint = verified.checkpoint
    # 2
    record = decode_record(proof.record)
    verify_inclusion(leaf_hash(proof.record), proof.index, checkpoint.size, proof.path, checkpoint.root)
    # 3
    values = {one.key: verify_map_proof(one, record.state_root) for one in proof.values}
    if len(values) != len(proof.values):
        raise Malformed("repeated-key", "a state proof answers for a key twice", what="state proof")
    return ProvenState(checkpoint, proof.index + 1, record, values, verified.times)
