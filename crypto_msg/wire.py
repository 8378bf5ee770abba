"""The messages of protos/cable.proto as frozen dataclasses, and their canonical bytes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from crypto_msg import cable
from crypto_msg.bounds import check_draft, check_inner
from crypto_msg.cable import MAX_DRAFT, MAX_INNER, Draft, Inner, Kind
from ledger.wire import Signature
from protos import cable_pb2, ledger_pb2
from protos.codec import Codec
from protos.errors import Malformed


@dataclass(frozen=True, slots=True)
class Outer:
    """What relays see of a cable. Envelope id = SHA-256 of its canonical bytes."""

    version: int
    kind: int
    network_id: bytes
    cable_id: bytes
    post: str
    terminal_id: bytes
    precedence: int
    expires_at: int
    size_seen: int
    padded_length: int
    cek_commit: bytes
    terminal_count: int


@dataclass(frozen=True, slots=True)
class Wrap:
    """A terminal's sealed content key, 1,176 bytes, or what looks like one."""

    terminal_id: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class PlacedWrap:
    """A wrap, its place in the list sorted by terminal id, and the path from there to the wraps root."""

    wrap: Wrap
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Everything of an envelope but the body: all wraps without paths, or one post's wraps with theirs."""

    outer: bytes
    body_root: bytes
    wraps_root: bytes
    signature: bytes
    wraps: tuple[PlacedWrap, ...]

    @property
    def envelope_id(self) -> bytes:
        """SHA-256 of the outer bytes: the cable's name everywhere."""
        return sha256(self.outer).digest()


@dataclass(frozen=True, slots=True)
class SignedParts:
    """What the envelope signature covers."""

    envelope_id: bytes
    body_root: bytes
    wraps_root: bytes


@dataclass(frozen=True, slots=True)
class ReleasedParts:
    """What the release signature covers; `posts` is every post that gets wraps, ascending."""

    envelope_id: bytes
    inner_hash: bytes
    posts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A terminal's prekey for one epoch."""

    network_id: bytes
    terminal_id: bytes
    epoch: int
    kem: int
    public_key: bytes


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """The canonical Bundle with its officer's and its terminal's signature. Bundle hash = SHA-256 of its bytes."""

    bundle: bytes
    officer: Signature | None
    terminal: Signature | None


@dataclass(frozen=True, slots=True)
class Prekey:
    """Ledger entry "prekey", and the state record at `prekey/<hex terminal id>`."""

    terminal_id: bytes
    epoch: int
    bundle_hash: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a terminal says about a cable it has opened; {size, root} is the newest checkpoint it has verified."""

    kind: int
    envelope_id: bytes
    body_root: bytes
    inner_hash: bytes
    post: str
    terminal_id: bytes
    size: int
    root: bytes
    at: int


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """The canonical Receipt and its terminal's signature."""

    receipt: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class SealedReceipt:
    """A signed receipt that only the originating terminal can read."""

    envelope_id: bytes
    terminal_id: bytes
    bundle_hash: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Nak:
    """What a terminal asks for again: a cable by its envelope id, or by the number `n` of a wrap that never came."""

    envelope_id: bytes
    terminal_id: bytes
    reason: int
    bundle_hash: bytes
    size: int
    origin_terminal_id: bytes
    n: int


@dataclass(frozen=True, slots=True)
class SignedNak:
    """The canonical Nak and its terminal's signature."""

    nak: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Rewrap:
    """A content key sealed again for one terminal, by a terminal of the originating post."""

    envelope_id: bytes
    terminal_id: bytes
    bundle_hash: bytes
    by_terminal_id: bytes
    size: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SignedRewrap:
    """The canonical Rewrap and the re-wrapping terminal's signature."""

    rewrap: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Expired:
    """A node gave up bringing an envelope to `post`: at its newest final `size` the block time was past the expiry."""

    envelope_id: bytes
    origin: str
    post: str
    by: str
    size: int
    time: int


@dataclass(frozen=True, slots=True)
class SignedExpired:
    """The canonical Expired and its node's signature."""

    expired: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class Escalation:
    """Which posts have not answered a cable in time. Both lists are empty when all have answered since."""

    envelope_id: bytes
    post: str
    terminal_id: bytes
    precedence: int
    released_at: int
    undelivered: tuple[str, ...]
    unacknowledged: tuple[str, ...]
    size: int

    @property
    def is_over(self) -> bool:
        """Whether nobody is waited for any more."""
        return not (self.undelivered or self.unacknowledged)


@dataclass(frozen=True, slots=True)
class SignedEscalation:
    """The canonical Escalation and its terminal's signature."""

    escalation: bytes
    signature: Signature | None


@dataclass(frozen=True, slots=True)
class SealedEscalation:
    """A SignedEscalation, padded and sealed to a terminal of headquarters."""

    terminal_id: bytes
    bundle_hash: bytes
    sealed: bytes


CODEC = Codec(
    {
        Outer: cable_pb2.Outer,
        Wrap: cable_pb2.Wrap,
        PlacedWrap: cable_pb2.PlacedWrap,
        Head: cable_pb2.Head,
        SignedParts: cable_pb2.SignedParts,
        ReleasedParts: cable_pb2.ReleasedParts,
        cable.Addressee: cable_pb2.Addressee,
        cable.Attachment: cable_pb2.Attachment,
        cable.Relation: cable_pb2.Relation,
        cable.Draft: cable_pb2.Draft,
        cable.Expansion: cable_pb2.Expansion,
        cable.Inner: cable_pb2.Inner,
        Bundle: cable_pb2.Bundle,
        SignedBundle: cable_pb2.SignedBundle,
        Prekey: cable_pb2.Prekey,
        Receipt: cable_pb2.Receipt,
        SignedReceipt: cable_pb2.SignedReceipt,
        SealedReceipt: cable_pb2.SealedReceipt,
        Nak: cable_pb2.Nak,
        SignedNak: cable_pb2.SignedNak,
        Rewrap: cable_pb2.Rewrap,
        SignedRewrap: cable_pb2.SignedRewrap,
        Expired: cable_pb2.Expired,
        SignedExpired: cable_pb2.SignedExpired,
        Escalation: cable_pb2.Escalation,
        SignedEscalation: cable_pb2.SignedEscalation,
        SealedEscalation: cable_pb2.SealedEscalation,
        Signature: ledger_pb2.Signature,
    }
)


def encode_draft(draft: Draft) -> bytes:
    """The draft bytes. Raises as `check_draft`, and `Malformed` ("too-long") beyond MAX_DRAFT bytes."""
    check_draft(draft)
    data = CODEC.encode(draft)
    if len(data) > MAX_DRAFT:
        hint = "Move the longest part into an attachment."
        raise Malformed("too-long", f"the text has {len(data)} bytes", hint=hint, what="text", limit=MAX_DRAFT)
    return data


def decode_draft(data: bytes) -> Draft:
    """A checked draft from its canonical bytes. Raises `Malformed` or `Refused`."""
    draft = CODEC.decode(Draft, data, limit=MAX_DRAFT)
    check_draft(draft)
    return draft


def encode_inner(inner: Inner, kind: Kind, draft: Draft) -> bytes:
    """The inner bytes of an envelope of `kind`; `draft` is what `inner.draft` says. Raises as `check_inner`."""
    check_inner(inner, kind, draft)
    return CODEC.encode(inner)


def decode_inner(data: bytes, kind: Kind) -> tuple[Inner, Draft]:
    """A checked inner and its draft from canonical bytes. Raises `Malformed` or `Refused`."""
    inner = CODEC.decode(Inner, data, limit=MAX_INNER)
    draft = decode_draft(inner.draft)
    check_inner(inner, kind, draft)
    return inner, draft
