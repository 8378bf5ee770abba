"""The ledger's messages as bytes: canonical encoding only, nothing required left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import DecodeError

from keys.possession import ProvenKey
from keys.public import PublicKey
from ledger import bodies, records
from ledger.bodies import Parameters
from ledger.map import MapProof
from protos import ledger_pb2 as pb
from protos.codec import Codec

MAX_LEAF_BYTES = 32 * 1024
MAX_GENESIS_BYTES = 64 * 1024
MAX_RECORD_BYTES = 1024 * 1024
MAX_STATE_PROOF_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature over an entry's bytes, by the key with this id (32 bytes)."""

    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """The canonical bytes of an `Entry` and the signatures over exactly them, the author's first."""

    entry: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is signed: the kind, the author's last sequence + 1, and the canonical payload of that kind."""

    kind: str
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Genesis:
    """Leaf 0. `posts_root` is the RFC 6962 root of the `post_count` leaves after it; `founded_at` POSIX seconds."""

    version: int
    name: str
    exercise: bool
    founded_at: int
    parameters: Parameters
    roots: tuple[ProvenKey, ...]
    validators: tuple[str, ...]
    post_count: int
    posts_root: bytes


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What the consensus engine proved against a validator."""

    validator: str
    offence: str
    height: int
    time: int


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """The last leaf of a block: its time (POSIX seconds) and the state root after it (32 bytes)."""

    time: int
    misbehaviour: tuple[Misbehaviour, ...]
    state_root: bytes


@dataclass(frozen=True, slots=True)
class StateProof:
    """State values after the block whose record stands at log index `index`, under a checkpoint that covers it."""

    checkpoint: bytes
    record: bytes
    path: tuple[bytes, ...]
    values: tuple[MapProof, ...]
    index: int


@dataclass(frozen=True, slots=True)
class TrustChange:
    """A governance entry; or, with an empty leaf, that pending validators came into force at log size `index`."""

    leaf: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TrustFile:
    """From the network id alone to the policy in force at any size (docs/protocol/trust-file.md)."""

    genesis: bytes
    posts: tuple[bytes, ...]
    changes: tuple[TrustChange, ...]
    current: StateProof


class Peeked(NamedTuple):
    """What an entry's leaf seems to hold. Nothing is checked but its size: for looking ahead only."""

    kind: bytes
    signed: bytes
    signatures: list[tuple[bytes, bytes]]


def peek_entry(leaf: bytes) -> Peeked | None:
    """The kind, the signed bytes, and (key id, signature) of each signature; None if this cannot be an entry's leaf."""
    if len(leaf) > MAX_LEAF_BYTES:
        return None
    try:
        message = pb.SignedEntry.FromString(leaf[1:])
    except DecodeError:
        return None
    # A canonical Entry begins with its kind: field 1, one byte of length.
    signed = message.entry
    kind = signed[2 : 2 + signed[1]] if len(signed) > 1 else b""
    return Peeked(kind, signed, [(one.key_id, one.signature) for one in message.signatures])


CODEC = Codec(
    {
        PublicKey: pb.PublicKey,
        ProvenKey: pb.ProvenKey,
        Signature: pb.Signature,
        SignedEntry: pb.SignedEntry,
        Entry: pb.Entry,
        Genesis: pb.Genesis,
        Parameters: pb.Parameters,
        BlockRecord: pb.BlockRecord,
        Misbehaviour: pb.Misbehaviour,
        bodies.PostAdmitted: pb.PostAdmitted,
        bodies.Supervisor: pb.Supervisor,
        bodies.PostRetired: pb.PostRetired,
        bodies.ValidatorsChanged: pb.ValidatorsChanged,
        bodies.RootChanged: pb.RootChanged,
        bodies.NodeKeyChanged: pb.NodeKeyChanged,
        bodies.ParametersChanged: pb.ParametersChanged,
        bodies.EngineChanged: pb.EngineChanged,
        bodies.PostChanged: pb.PostChanged,
        bodies.OfficerEnrolled: pb.OfficerEnrolled,
        bodies.OfficerChanged: pb.OfficerChanged,
        bodies.OfficerSuspended: pb.OfficerSuspended,
        bodies.OfficerRevoked: pb.OfficerRevoked,
        bodies.OfficerRotated: pb.OfficerRotated,
        bodies.TerminalEnrolled: pb.TerminalEnrolled,
        bodies.TerminalRetired: pb.TerminalRetired,
        bodies.ShiftChanged: pb.ShiftChanged,
        bodies.Batch: pb.Batch,
        records.Network: pb.Network,
        records.PendingValidators: pb.PendingValidators,
        records.Post: pb.Post,
        records.Officer: pb.Officer,
        records.Terminal: pb.Terminal,
        records.Shift: pb.Shift,
        records.Roster: pb.Roster,
        MapProof: pb.MapProof,
        StateProof: pb.StateProof,
        TrustFile: pb.TrustFile,
        TrustChange: pb.TrustChange,
    }
)
