"""A terminal's connection to the node of its post: the Desk service, blocking, with pinned certificates.

Every method raises a `DutabartaError`: what the node refused keeps its code; `Unavailable` when the node cannot be
reached or does not answer in time. The node is not trusted: answers are bytes for the caller to verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

import grpc

from node.api.errors import from_status
from node.api.limits import MAX_PART_BYTES, Limits, client_options
from node.api.tls import TlsIdentity, channel_credentials, channel_options, fetch_certificate, make_identity, pin_of
from node.wire import (
    EntryResult,
    Hop,
    HotlineFrame,
    Inbox,
    InboxItem,
    Opening,
    Present,
    Status,
    Track,
    status_from_message,
)
from protos import node_pb2 as pb
from protos.node_pb2_grpc import DeskStub

__all__ = ["NodeClient", "TlsIdentity", "fetch_certificate", "make_identity", "pin_of"]

UNARY_SECONDS = 30.0
TRANSFER_SECONDS = 3600.0
HOTLINE_SECONDS = 5.0
"""Nobody waits longer to hand a frame in: it goes again."""

A = TypeVar("A")


class NodeClient:
    """One connection, opened lazily and kept; safe for use from several threads."""

    def __init__(
        self, address: str, certificate: bytes, identity: TlsIdentity, unary_seconds: float = UNARY_SECONDS
    ) -> None:
        """`address` host:port, `certificate` the node's pinned DER certificate, `identity` the caller's own."""
        self._address = address
        self._seconds = unary_seconds
        options: Sequence[tuple[str, Any]] = [*client_options(Limits()), *channel_options(certificate)]
        self._channel = grpc.secure_channel(address, channel_credentials(identity, certificate), options=options)
        self._desk = DeskStub(self._channel)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def __enter__(self) -> NodeClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def status(self) -> Status:
        """The node's state."""
        return status_from_message(self._call(self._desk.GetStatus, pb.Nothing()))

    def submit_entry(self, leaf: bytes) -> EntryResult:
        """Hand in a signed entry (leaf bytes). "pending": ask `entry_result` until it is settled."""
        return _entry_result(self._call(self._desk.SubmitEntry, pb.EntryBytes(leaf=leaf)))

    def entry_result(self, leaf: bytes) -> EntryResult:
        """What became of the entry with these leaf bytes; "unknown" if the node never saw it."""
        return _entry_result(self._call(self._desk.GetEntryResult, pb.EntryBytes(leaf=leaf)))

    def checkpoint(self, at_least: int = 0) -> bytes:
        """The newest checkpoint under the policy, as a signed note; waits for one of at least that size."""
        return self._call(self._desk.GetCheckpoint, pb.CheckpointRequest(at_least=at_least)).note

    def state(self, keys: Iterable[bytes], at_least: int = 0, exactly: int = 0) -> bytes:
        """Canonical StateProof of these state keys under the newest policy checkpoint of at least that size.

        The values are the checkpoint's own, or those after `exactly` leaves, where a block must end.
        """
        request = pb.StateRequest(at_least=at_least, keys=list(keys), exactly=exactly)
        return self._call(self._desk.GetState, request).state_proof

    def block_before(self, time: int, at_least: int = 0) -> bytes:
        """Canonical StateProof, without values, of the last block whose time is before `time` (POSIX seconds)."""
        request = pb.BlockBeforeRequest(time=time, at_least=at_least)
        return self._call(self._desk.GetBlockBefore, request).state_proof

    def consistency(self, old_size: int, new_size: int) -> tuple[bytes, ...]:
        """RFC 6962 consistency proof between two sizes of the node's log."""
        request = pb.ConsistencyRequest(old_size=old_size, new_size=new_size)
        return tuple(self._call(self._desk.GetConsistency, request).hashes)

    def bundles(self, terminal_ids: Iterable[bytes]) -> tuple[bytes, ...]:
        """The newest SignedBundles of these terminals; those the node cannot find are left out."""
        request = pb.BundleRequest(terminal_ids=list(terminal_ids))
        return tuple(self._call(self._desk.GetBundles, request).signed_bundles)

    def put_bundle(self, signed_bundle: bytes) -> None:
        """Deposit this terminal's SignedBundle for whoever wants to write to it."""
        self._call(self._desk.PutBundle, pb.BundleList(signed_bundles=[signed_bundle]))

    def openings(self, officer_ids: Iterable[bytes]) -> tuple[Opening, ...]:
        """The names of these officers, as far as their posts opened them; check them against the commitments."""
        answer = self._call(self._desk.GetOpenings, pb.OpeningRequest(officer_ids=list(officer_ids)))
        return tuple(Opening(o.officer_id, o.salt, o.name) for o in answer.openings)

    def put_opening(self, officer_id: bytes, salt: bytes, name: str) -> None:
        """Open an officer's name in the posts' directory."""
        self._call(self._desk.PutOpening, pb.Opening(officer_id=officer_id, salt=salt, name=name))

    def take_serial(self, cable_id: bytes, year: int) -> int:
        """The post's next serial in `year`; the same cable gets the same number again."""
        return self._call(self._desk.TakeSerial, pb.SerialRequest(cable_id=cable_id, year=year)).serial

    def put_cable(
        self,
        head: bytes,
        body: Iterable[bytes],
        body_length: int,
        anchor_salt: bytes,
        again: Iterable[bytes] = (),
    ) -> bytes:
        """Hand in a sealed envelope; returns its envelope id when the node has stored it durably.

        `head` is the canonical Head with all wraps; `body` the sealed segments, each at most 64 KiB;
        `anchor_salt` 32 bytes, empty for a draft, which is not anchored. `again`: terminals to which it goes once more.
        """
        parts = _parts(head, body, body_length, anchor_salt, again)
        return self._call(self._desk.PutCable, parts, TRANSFER_SECONDS).id

    def inbox(self, after: int = 0, limit: int = 100) -> Inbox:
        """Items for this terminal behind position `after`, oldest first."""
        answer = self._call(self._desk.GetInbox, pb.InboxRequest(after=after, limit=limit))
        items = tuple(
            InboxItem(i.position, i.kind, i.content, i.body_length, i.origin, i.envelope_id) for i in answer.items
        )
        return Inbox(answer.inbox_id, items)

    def body(self, envelope_id: bytes, offset: int = 0) -> Iterator[bytes]:
        """The sealed body from `offset` on, in pieces of at most 64 KiB."""
        request = pb.BodyRequest(envelope_id=envelope_id, offset=offset)
        try:
            for part in self._desk.GetBody(request, timeout=TRANSFER_SECONDS):
                yield part.data
        except grpc.RpcError as problem:
            raise from_status(problem, self._address) from problem

    def put_receipt(self, content: bytes, kind: int, envelope_id: bytes, salt: bytes) -> bytes:
        """Hand in a receipt: kind 2 SignedReceipt (DELIVERED), kind 3 SealedReceipt. `salt` 32 bytes for its anchor."""
        request = pb.ReceiptContent(content=content, kind=kind, envelope_id=envelope_id, salt=salt)
        return self._call(self._desk.PutReceipt, request).id

    def track(self, envelope_id: bytes) -> Track:
        """How far the node has carried a cable."""
        answer = self._call(self._desk.Track, pb.TrackRequest(envelope_id=envelope_id))
        hops = tuple(Hop(h.post, h.state, h.at) for h in answer.hops)
        return Track(hops, answer.anchored, answer.sent_bytes, answer.received_bytes)

    def item_proof(self, envelope_id: bytes, kind: str = "") -> bytes | None:
        """The tlog-proof of a cable's anchor; None while it is not yet anchored. `kind` "hotline": by the item hash."""
        request = pb.ItemProofRequest(envelope_id=envelope_id, kind=kind)
        return self._call(self._desk.GetItemProof, request).proof or None

    def put_transcript_hash(self, item_hash: bytes, salt: bytes) -> None:
        """Have a hotline transcript's hash anchored."""
        self._call(self._desk.PutTranscriptHash, pb.TranscriptHash(item_hash=item_hash, salt=salt))

    def present(self, post: str) -> tuple[Present, ...]:
        """Who is at the hotline of a post, as its node says."""
        answer = self._call(self._desk.GetPresent, pb.PostCode(code=post))
        return tuple(Present(one.terminal_id, one.since) for one in answer.present)

    def put_hotline(self, frame: HotlineFrame) -> None:
        """Hand a frame in; it may be lost on its way."""
        self._call(self._desk.PutHotline, frame.to_message(), HOTLINE_SECONDS)

    def listen_hotline(self, seconds: float) -> Iterator[HotlineFrame]:
        """Frames for this terminal, for at most so long; one of kind 0 when the node listens and now and then."""
        try:
            for message in self._desk.ListenHotline(pb.Nothing(), timeout=seconds):
                yield HotlineFrame.from_message(message)
        except grpc.RpcError as problem:
            raise from_status(problem, self._address) from problem

    def trust_file(self) -> bytes:
        """Canonical TrustFile of the network."""
        try:
            return b"".join(chunk.data for chunk in self._desk.GetTrustFile(pb.Nothing(), timeout=self._seconds))
        except grpc.RpcError as problem:
            raise from_status(problem, self._address) from problem

    def _call(self, method: Callable[..., A], request: object, seconds: float | None = None) -> A:
        try:
            return method(request, timeout=seconds or self._seconds, wait_for_ready=False)
        except grpc.RpcError as problem:
            raise from_status(problem, self._address) from problem


def _parts(
    head: bytes, body: Iterable[bytes], body_length: int, anchor_salt: bytes, again: Iterable[bytes]
) -> Iterator[pb.CablePart]:
    manifest = pb.Manifest(head=head, body_length=body_length, anchor_salt=anchor_salt, again=again)
    yield pb.CablePart(manifest=manifest)
    for piece in body:
        for start in range(0, len(piece), MAX_PART_BYTES):
            yield pb.CablePart(data=piece[start : start + MAX_PART_BYTES])


def _entry_result(message: pb.EntryResult) -> EntryResult:
    return EntryResult(message.code, message.text, message.index)
