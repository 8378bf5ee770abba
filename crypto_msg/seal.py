"""Sealing a cable, a draft or a countersignature at an officer's terminal (docs/protocol/cable.md §7).

The inputs are everything: randomness is handed in, there is no clock, and a Signer may be a token. Only the HPKE
encapsulations draw their own randomness. Whether the officers may do it is for rules.py, before anything is sealed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from crypto_msg.cable import SALT_BYTES, Draft, Expansion, Inner, Kind, posts_of
from crypto_msg.content import check_files, compress, join_stream, padded_length
from crypto_msg.envelope import VERSION, Envelope, encode_head
from crypto_msg.segments import CEK_BYTES, ContentKeys, body_root, seal_body
from crypto_msg.signatures import DraftSignature, arrange, expected_signatures, released_bytes
from crypto_msg.wire import CODEC, Head, Outer, SignedParts, encode_draft, encode_inner
from crypto_msg.wraps import Random, Recipient, WrapContext, check_recipients, make_wraps, place_wraps, wraps_root
from keys.purpose import Purpose
from keys.signing import Signer


@dataclass(frozen=True, slots=True)
class Station:
    """The terminal that seals, its post, and S: the newest final size that it has verified."""

    network_id: bytes
    post: str
    terminal: Signer
    size_seen: int


@dataclass(frozen=True, slots=True)
class Message:
    """A draft, the bytes of its attachments in order, and when relays may drop it (POSIX seconds, 0: never)."""

    draft: Draft
    attachments: tuple[bytes, ...]
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Release:
    """What release adds: the post's serial number in its year, the DTG, the collectives as expanded at S."""

    serial: int
    year: int
    dtg: str
    expansions: tuple[Expansion, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Sealed:
    """A sealed envelope and what its maker keeps: the CEK for later wraps, and what receipts will be compared with."""

    envelope: Envelope
    head: Head
    inner: Inner
    inner_hash: bytes
    cek: bytes


def seal_cable(
    station: Station,
    message: Message,
    release: Release,
    signatures: Sequence[DraftSignature],
    releaser: Signer,
    recipients: Sequence[Recipient],
    random: Random,
) -> Sealed:
    """Release and seal. Who drafted, cleared and co-released follows from `signatures`; none of drafting: the releaser.

    Raises `Malformed` for a field, `Refused` ("attachment-too-large", "bad-recipients").
    """
    key_id = releaser.public_key.key_id
    given = [one for one in signatures if (one.purpose, one.key_id) != (Purpose.DRAFT, key_id)]
    inner = Inner(
        draft=encode_draft(message.draft),
        serial=release.serial,
        year=release.year,
        dtg=release.dtg,
        expansions=release.expansions,
        drafter=next(iter(_signed(given, Purpose.DRAFT)), key_id),
        clearers=_signed(given, Purpose.CLEAR),
        co_releasers=_signed(given, Purpose.CO_RELEASE),
        releaser=key_id,
        anchor_salt=random(SALT_BYTES),
    )
    arranged = arrange(inner, given)

    def sign(envelope_id: bytes, inner_hash: bytes) -> tuple[bytes, ...]:
        released = released_bytes(envelope_id, inner_hash, posts_of(message.draft, inner.expansions))
        return (*arranged, releaser.sign(Purpose.RELEASE, station.network_id, released))

    return _seal(station, Kind.CABLE, message, inner, sign, recipients, random)


def seal_draft(
    station: Station, message: Message, signature: DraftSignature, recipients: Sequence[Recipient], random: Random
) -> Sealed:
    """Seal a draft for those who may release it, or, with another signature than the drafter's, a countersignature.

    A countersignature carries no attachments: their hashes stand in the draft. Raises as `seal_cable`.
    """
    given = [signature]
    inner = Inner(
        draft=encode_draft(message.draft),
        serial=0,
        year=0,
        dtg="",
        expansions=(),
        drafter=next(iter(_signed(given, Purpose.DRAFT)), b""),
        clearers=_signed(given, Purpose.CLEAR),
        co_releasers=_signed(given, Purpose.CO_RELEASE),
        releaser=b"",
        anchor_salt=b"",
    )
    kind = Kind.DRAFT if inner.drafter else Kind.COUNTERSIGNATURE
    arranged = arrange(inner, given)
    return _seal(station, kind, message, inner, lambda _envelope_id, _inner_hash: arranged, recipients, random)


def _seal(
    station: Station,
    kind: Kind,
    message: Message,
    inner: Inner,
    sign: Callable[[bytes, bytes], tuple[bytes, ...]],
    recipients: Sequence[Recipient],
    random: Random,
) -> Sealed:
    check_recipients(recipients)
    check_files(message.attachments, message.draft.attachments if kind != Kind.COUNTERSIGNATURE else ())
    inner_bytes = encode_inner(inner, kind, message.draft)
    inner_hash = sha256(inner_bytes).digest()
    compressed = compress(inner_bytes, message.attachments)
    length = padded_length(len(compressed), len(expected_signatures(inner)))
    cek = random(CEK_BYTES)
    keys = ContentKeys.from_cek(cek)
    outer = Outer(
        version=VERSION,
        kind=kind,
        network_id=station.network_id,
        cable_id=message.draft.cable_id,
        post=station.post,
        terminal_id=station.terminal.public_key.key_id,
        precedence=message.draft.precedence,
        expires_at=message.expires_at,
        size_seen=station.size_seen,
        padded_length=length,
        cek_commit=keys.commitment,
        terminal_count=len(recipients),
    )
    outer_bytes = CODEC.encode(outer)
    envelope_id = sha256(outer_bytes).digest()
    stream = join_stream(compressed, sign(envelope_id, inner_hash), length)
    del compressed  # it may be as large as all attachments
    body = seal_body(keys.body_key, envelope_id, stream)
    del stream
    wraps = make_wraps(recipients, cek, WrapContext(envelope_id, outer.terminal_id), random)
    parts = SignedParts(envelope_id, body_root(body), wraps_root(wraps))
    signature = station.terminal.sign(Purpose.ENVELOPE, station.network_id, CODEC.encode(parts))
    head = Head(outer_bytes, parts.body_root, parts.wraps_root, signature, place_wraps(wraps))
    return Sealed(Envelope(encode_head(head), body), head, inner, inner_hash, cek)


def _signed(signatures: Sequence[DraftSignature], purpose: Purpose) -> tuple[bytes, ...]:
    return tuple(sorted(one.key_id for one in signatures if one.purpose == purpose))
