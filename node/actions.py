"""What the state machines ask the shell to do. Actions are carried out in order, each durable before the next.

A machine never does these things itself: it has no clock, socket, file or database.
"""

from __future__ import annotations

from dataclasses import dataclass

# --- any machine ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person must look at. `subject` (a post code, an id) keeps one alarm per code and subject."""

    code: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    """Keep what contradicts the own log: the first of each signer (a post code), as a signed note or a leaf."""

    signer: str
    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class StopSigning:
    """Note durably that this node signs no more; then call `Witness.stop`."""

    reason: str


# --- sequence and follow ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Store this block in one transaction, then call `committed()` or `appended()`: nothing shows before."""

    start: int
    leaves: tuple[bytes, ...]
    size: int
    root: bytes
    time: int


@dataclass(frozen=True, slots=True)
class FetchBlocks:
    """Ask this peer for the blocks of leaves [start, end)."""

    peer: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DropPeer:
    """The peer sent what cannot be: close its stream and follow another one."""

    peer: str
    code: str


@dataclass(frozen=True, slots=True)
class Truncate:
    """Forget the blocks from `size` (the final size) on, rebuild the machine, then call `truncated(machine)`."""

    size: int


@dataclass(frozen=True, slots=True)
class Final:
    """The log up to `size` is final here. Store size and note, then pass the note to followers and the witness."""

    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class PolicyNote:
    """A checkpoint with the signatures its policy needs. Store it, then pass it to followers and the slots."""

    size: int
    note: bytes


# --- witness -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaveSignState:
    """What this node's cosigner key signs last: durable before the line leaves the node.

    `frontier` encodes the compact range at `size`; `note` is the signed note (a validator's log line included).
    """

    size: int
    root: bytes
    frontier: bytes
    at: int
    note: bytes


@dataclass(frozen=True, slots=True)
class SendCosignature:
    """Send the own cosignature line to this post; when it has answered, call `Witness.delivered`."""

    post: str
    size: int
    root: bytes
    line: bytes


@dataclass(frozen=True, slots=True)
class OwnNote:
    """A validator's own checkpoint, log line and cosignature: give it to the own collector and follower."""

    size: int
    note: bytes


@dataclass(frozen=True, slots=True)
class SaveCosignature:
    """Keep another post's line, before that post gets an answer, until a policy note of this size or larger."""

    post: str
    size: int
    root: bytes
    line: bytes


@dataclass(frozen=True, slots=True)
class AskOwnNewest:
    """Ask this post for the newest cosignature and sequence that it has from us, then call `own_newest`."""

    post: str


# --- slots ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """What stands behind one leaf of a batch: `kind` "cable" or "receipt", hash and salt of 32 bytes."""

    kind: str
    item_hash: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class SaveBatch:
    """Store the batch in one transaction and take its items out of the queue.

    `items` maps a place in the batch to its item; `hashes` are all item leaves in order, the random ones too.
    """

    sequence: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    items: dict[int, Item]


@dataclass(frozen=True, slots=True)
class SubmitEntry:
    """Send this leaf to a validator; when it answers, call `Slots.answered`."""

    leaf: bytes


@dataclass(frozen=True, slots=True)
class BatchSettled:
    """Note that the batch entry of this sequence stands at this log index."""

    sequence: int
    index: int


@dataclass(frozen=True, slots=True)
class SaveProofs:
    """Store the proofs (tlog-proof bytes by item hash) and forget the batch of this sequence, in one transaction."""

    sequence: int
    proofs: dict[bytes, bytes]


# --- courier -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendOffer:
    """Offer the item to the linked peer."""

    peer: str
    item_id: bytes


@dataclass(frozen=True, slots=True)
class SendPart:
    """Send body bytes [offset, offset + length) of the item to the linked peer."""

    peer: str
    item_id: bytes
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """Answer an offer or a part: `verdict` is a courier.Verdict, `offset` what is stored of the body."""

    peer: str
    item_id: bytes
    verdict: int
    offset: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class OpenIntake:
    """Store the offered item as incomplete. Its body may be here already; else room is made for it."""

    item_id: bytes


@dataclass(frozen=True, slots=True)
class StorePart:
    """Append these bytes to the incomplete body."""

    item_id: bytes
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CheckBody:
    """Check the complete body against its head, then call `body_checked`."""

    peer: str
    item_id: bytes


@dataclass(frozen=True, slots=True)
class StoreItem:
    """The item is whole: in one transaction into the inbox if it is for this post, else into the queue."""

    item_id: bytes


@dataclass(frozen=True, slots=True)
class DropIntake:
    """Forget an incomplete item; `with_body`: and the bytes that came for it."""

    item_id: bytes
    with_body: bool


@dataclass(frozen=True, slots=True)
class Handed:
    """The next hop has stored the item: note it, take it out of the queue. `peer` may be a relay."""

    item_id: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class ItemRefused:
    """The next hop refuses the item for good: note it, take it out of the queue, show it."""

    item_id: bytes
    peer: str
    code: str


@dataclass(frozen=True, slots=True)
class ItemExpired:
    """The item's expiry has passed: note it, take it out of the queue, tell its originator."""

    item_id: bytes


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Fetch entries and checkpoints up to `size` from this peer."""

    peer: str
    size: int


Action = (
    Alarm
    | KeepEvidence
    | StopSigning
    | Append
    | FetchBlocks
    | DropPeer
    | Truncate
    | Final
    | PolicyNote
    | SaveSignState
    | SendCosignature
    | OwnNote
    | SaveCosignature
    | AskOwnNewest
    | SaveBatch
    | SubmitEntry
    | BatchSettled
    | SaveProofs
    | SendOffer
    | SendPart
    | SendAnswer
    | OpenIntake
    | StorePart
    | CheckBody
    | StoreItem
    | DropIntake
    | Handed
    | ItemRefused
    | ItemExpired
    | CatchUp
)
