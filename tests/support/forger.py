"""A dishonest terminal: it builds envelopes step by step as the product does, and each step can be given otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from crypto_msg.cable import Draft, Inner, Kind, posts_of
from crypto_msg.content import DUAL_BYTES, compress, join_stream, padded_length
from crypto_msg.segments import ContentKeys, body_root, seal_body
from crypto_msg.signatures import expected_signatures, released_bytes
from crypto_msg.wire import CODEC, Head, Outer, SignedParts
from crypto_msg.wraps import Recipient, WrapContext, make_wraps, place_wraps, wraps_root
from keys.purpose import Purpose
from support.cables import NETWORK_ID, SIZE, World


@dataclass
class Forgery:
    """An envelope of `draft` by the officer `by`, honest except for what is set."""

    world: World
    draft: Draft
    by: str = "dha1"
    kind: Kind = Kind.CABLE
    files: tuple[bytes, ...] = ()
    outer: dict[str, Any] = field(default_factory=dict)
    inner: dict[str, Any] = field(default_factory=dict)
    inner_bytes: Callable[[bytes], bytes] = lambda data: data
    compress: Callable[[bytes, Sequence[bytes]], bytes] = compress
    signatures: Callable[[list[bytes]], list[bytes]] = lambda block: block
    stream: Callable[[bytes], bytes] = lambda data: data
    wrapped_cek: Callable[[bytes], bytes] = lambda cek: cek
    recipients: Sequence[Recipient] | None = None

    def make(self) -> tuple[Head, bytes]:
        """The head with all wraps, and the body."""
        inner = self._inner()
        inner_bytes = self.inner_bytes(CODEC.encode(inner))
        compressed = self.compress(inner_bytes, self.files)
        count = len(self.signatures([bytes(DUAL_BYTES)] * len(expected_signatures(inner))))
        cek = self.world.random(32)
        keys = ContentKeys.from_cek(cek)
        recipients = self.recipients or self.world.recipients([self.draft.post, "DEL", "LON"], 1)
        outer = self._outer(padded_length(len(compressed), count), keys.commitment, len(recipients))
        head = Head(CODEC.encode(outer), b"", b"", b"", ())
        block = self.signatures(self._block(inner, head.envelope_id, sha256(inner_bytes).digest()))
        stream = self.stream(join_stream(compressed, block, outer.padded_length))
        body = seal_body(keys.body_key, head.envelope_id, stream)
        context = WrapContext(head.envelope_id, outer.terminal_id)
        wraps = make_wraps(recipients, self.wrapped_cek(cek), context, self.world.random)
        head = replace(head, body_root=body_root(body), wraps_root=wraps_root(wraps), wraps=place_wraps(wraps))
        return resign(self.world, head, self.by), body

    def _inner(self) -> Inner:
        key_id = self.world.seats[self.by].key_id
        inner = Inner(
            CODEC.encode(self.draft), 1, 2026, "231430ZNOV26", (), key_id, (), (), key_id, self.world.random(32)
        )
        return replace(inner, **self.inner)

    def _outer(self, length: int, commitment: bytes, count: int) -> Outer:
        seat = self.world.seats[self.by]
        outer = Outer(
            version=1,
            kind=self.kind,
            network_id=NETWORK_ID,
            cable_id=self.draft.cable_id,
            post=seat.terminal.post,
            terminal_id=seat.terminal.terminal_id,
            precedence=self.draft.precedence,
            expires_at=0,
            size_seen=SIZE,
            padded_length=length,
            cek_commit=commitment,
            terminal_count=count,
        )
        return replace(outer, **self.outer)

    def _block(self, inner: Inner, envelope_id: bytes, inner_hash: bytes) -> list[bytes]:
        seats = {one.key_id: one for one in self.world.seats.values()}
        released = released_bytes(envelope_id, inner_hash, posts_of(self.draft, inner.expansions))
        return [
            seats[key_id].officer_signer.sign(purpose, NETWORK_ID, released if purpose == "release" else inner.draft)
            for purpose, key_id in expected_signatures(inner)
        ]


def resign(world: World, head: Head, by: str) -> Head:
    """The head with an envelope signature over what it says now."""
    parts = CODEC.encode(SignedParts(head.envelope_id, head.body_root, head.wraps_root))
    return replace(head, signature=world.seats[by].terminal_signer.sign(Purpose.ENVELOPE, NETWORK_ID, parts))


def flip(data: bytes, bit: int) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
