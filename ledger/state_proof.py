"""What the ledger says now, proved offline: checkpoint, block record, map proofs (docs/protocol/state.md)."""

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
from protos.errors import Malformed, Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProvenState:
    """Values as of a checkpoint: `values[key]` is None where the key is proved absent.

    `record.time` is the block time; `times` when each witness cosigned, POSIX seconds by policy name.
    """

    checkpoint: Checkpoint
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
    """Check a proof of state values. Raises `Malformed` or `VerificationFailed`.

    1. The policy accepts the checkpoint.
    2. The block record is the checkpoint's last leaf.
    3. Every value, or absence, is proved under the record's state root; no key stands twice.
    """
    if isinstance(proof, bytes):
        proof = decode_state_proof(proof)
    # 1
    verified = policy.verify(proof.checkpoint)
    checkpoint = verified.checkpoint
    # 2
    record = decode_record(proof.record)
    verify_inclusion(leaf_hash(proof.record), checkpoint.size - 1, checkpoint.size, proof.path, checkpoint.root)
    # 3
    values = {one.key: verify_map_proof(one, record.state_root) for one in proof.values}
    if len(values) != len(proof.values):
        raise Malformed("repeated-key", "a state proof answers for a key twice", what="state proof")
    return ProvenState(checkpoint, record, values, verified.times)
