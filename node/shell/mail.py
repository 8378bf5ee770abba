"""The courier as this post's terminals use it: handing in, inbox, bodies, tracking, proofs."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

from sqlalchemy import Connection

from crypto_msg.anchor import cable_item_hash, receipt_item_hash
from crypto_msg.cable import Kind
from crypto_msg.envelope import BodyCheck, encode_head
from crypto_msg.receipt import read_receipt
from crypto_msg.segments import body_length
from crypto_msg.wire import Head, Outer
from crypto_msg.wraps import split_head
from ledger.merkle import HASH_BYTES
from ledger.state import State
from node.actions import Item
from node.api.limits import Bucket
from node.courier import ItemKind, Parcel
from node.shell.asking import Asking, asking_item
from node.shell.itemchecks import ItemChecks, envelope_from, make_item, posts_of
from node.shell.ledger import LedgerShell
from node.shell.sending import Sending
from node.shell.shelf import Shelf
from node.shell.slots import CABLE, HOTLINE, RECEIPT, add_item, add_transcript, cable_proof, hotline_proof
from node.shell.storage import Storage
from node.store import bodies, courier, log, traffic
from node.store.courier import CourierItem, StoredEnvelope
from node.store.database import Database
from protos import node_pb2 as pb
from protos.errors import Malformed, Refused, Unavailable

SALT_BYTES = 32
LAST_POSITION = 2**63 - 1
INBOX_ID_BYTES = 16
PIECE_BYTES = 64 * 1024
ANSWER_BYTES = 1024 * 1024
HASHES_PER_SECOND = 0.1
BURST_HASHES = 100.0
"""Of transcripts, which nobody can check: one terminal must not fill the slots."""
_INBOX = "inbox-id"
_RECEIPTS = {ItemKind.DELIVERED, ItemKind.SEALED_RECEIPT}


class Mail:
    """What the Desk asks of the courier."""

    def __init__(
        self, ledger: LedgerShell, shelf: Shelf, sending: Sending, checks: ItemChecks, storage: Storage
    ) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._shelf = shelf
        self._sending = sending
        self._checks = checks
        self._storage = storage
        self._uploading: set[bytes] = set()
        self._hashes: dict[bytes, Bucket] = {}
        self.inbox_id = _inbox_id(ledger.database)

    # --- handing in a cable ------------------------------------------------------------------------------------

    async def put_cable(self, head: bytes, body: AsyncIterator[bytes], salt: bytes, terminal_id: bytes) -> bytes:
        """Verify and store an envelope, queue it for every addressed post, and let its anchor wait for the next slot.

        Returns the envelope id when all of that is durable. The same envelope twice is one. Raises `Malformed`,
        `VerificationFailed`, `Refused("not-yours")`, `Unavailable("not-caught-up" | "busy" | "store-full")`.
        """
        opened, outer = self._checks.envelope(head, self._state)
        self._check_sender(outer, terminal_id, salt)
        if self._is_known(opened.envelope_id):
            return opened.envelope_id
        if opened.envelope_id in self._uploading:
            raise Unavailable("busy", "this cable is being handed in on another connection", hint="wait a moment")
        size = len(head) + body_length(outer.padded_length)
        self._storage.check(self._ledger.post, size)
        self._uploading.add(opened.envelope_id)
        try:
            await self._take_body(opened, outer, body)
            self._accept(opened, outer, salt)
            self._storage.took(self._ledger.post, size)
        finally:
            self._uploading.discard(opened.envelope_id)
        return opened.envelope_id

    @property
    def _state(self) -> State:
        return self._ledger.chain.machine.state

    def _check_sender(self, outer: Outer, terminal_id: bytes, salt: bytes) -> None:
        if outer.terminal_id != terminal_id:
            raise Refused("not-yours", "a terminal hands in only what it has sealed itself")
        if outer.size_seen > self._ledger.follower.final:
            raise Unavailable(
                "not-caught-up",
                f"this node has not reached size {outer.size_seen} yet",
                hint="try again in a moment",
                size=outer.size_seen,
            )
        if not self._ledger.chain.is_block_end(outer.size_seen):
            raise Refused(
                "no-such-size",
                f"no block of the ledger ends at {outer.size_seen}",
                hint="synchronise",
                size=outer.size_seen,
            )
        if len(salt) != (SALT_BYTES if outer.kind == Kind.CABLE else 0):
            raise Malformed(
                "bad-salt",
                "a cable comes with an anchor salt of 32 bytes, a draft with none",
                hint="update the terminal's program",
            )
        if self._sending.is_full or self._ledger.slots.is_full:
            raise Unavailable("queue-full", "the post's queue is full", hint="wait until the links are back")

    def _is_known(self, envelope_id: bytes) -> bool:
        with self._database.read() as tx:
            return courier.envelope_of(tx, envelope_id) is not None

    async def _take_body(self, head: Head, outer: Outer, body: AsyncIterator[bytes]) -> None:
        """Store the body in rows of at most 64 KiB, checked as it arrives; what is not whole leaves nothing."""
        envelope_id, check, offset = head.envelope_id, BodyCheck(head), 0
        with self._database.write() as tx:
            bodies.drop_unfinished(tx, envelope_id)
            bodies.begin_body(tx, envelope_id, body_length(outer.padded_length))
        try:
            async for piece in body:
                check.update(piece)
                with self._database.write() as tx:
                    bodies.append_part(tx, envelope_id, offset, piece)
                offset += len(piece)
            check.finish()
        except BaseException:
            with self._database.write() as tx:
                bodies.drop_unfinished(tx, envelope_id)
            raise

    def _accept(self, head: Head, outer: Outer, salt: bytes) -> None:
        envelope, state = envelope_from(head, outer), self._state
        anchor = Item(CABLE, cable_item_hash(head.envelope_id, head.body_root), salt)
        items = [self._for_post(head, outer, envelope, post, state) for post in sorted(posts_of(head, state))]
        with self._database.write() as tx:
            bodies.finish_body(tx, head.envelope_id)
            courier.put_envelope(tx, envelope)
            parcels = [self._store(tx, item) for item in items]
            if salt:
                add_item(tx, anchor, head.envelope_id)
        if salt:
            self._ledger.slots.add(anchor)
        self._sending.queued(parcels)
        self._ledger.pulse.beat()

    def _for_post(self, head: Head, outer: Outer, envelope: StoredEnvelope, post: str, state: State) -> CourierItem:
        """The envelope with this post's wraps alone."""
        wraps = [one.wrap.terminal_id for one in head.wraps]
        mine = [one for one in wraps if (found := state.terminal(one)) is not None and found.post == post]
        content = encode_head(split_head(head, mine))
        return make_item(
            ItemKind.ENVELOPE,
            post,
            envelope,
            content,
            self._ledger.post,
            outer.size_seen,
            body_length(outer.padded_length),
            outer.expires_at,
        )

    def _store(self, tx: Connection, item: CourierItem) -> Parcel | None:
        if item.parcel.destination != self._ledger.post:
            courier.set_hop(tx, item.envelope_id, item.parcel.destination, "queued", self._ledger.clock())
        return self._shelf.store_new(tx, item)

    # --- receipts ------------------------------------------------------------------------------------------------

    def put_receipt(self, content: bytes, kind: int, envelope_id: bytes, salt: bytes, terminal_id: bytes) -> bytes:
        """Store a terminal's receipt, queue it for the originating post, and anchor it; returns its item id.

        So with a NAK and a re-wrap, which go to the post of the terminal that they name, and are not anchored.
        """
        if kind in (ItemKind.NAK, ItemKind.REWRAP):
            return self._put_asking(asking_item(kind, content, self._ledger.post, self._state), terminal_id)
        if kind not in _RECEIPTS or len(salt) not in (0, SALT_BYTES):
            raise Malformed("bad-receipt", "a receipt is of kind 2 or 3, with a salt of 32 bytes")
        with self._database.read() as tx:
            envelope = courier.envelope_of(tx, envelope_id)
        if envelope is None:
            raise Refused("unknown-cable", "this node has no such cable")
        item = make_item(ItemKind(kind), envelope.origin, envelope, content, self._ledger.post)
        self._checks.check(item, self._state)
        if kind == ItemKind.DELIVERED and read_receipt(content).terminal_id != terminal_id:
            raise Refused("not-yours", "a terminal hands in only its own receipts")
        anchor = Item(RECEIPT, receipt_item_hash(content), salt)
        with self._database.write() as tx:
            parcel = self._shelf.store_new(tx, item)
            if salt:
                add_item(tx, anchor, envelope_id)
        if salt:
            self._ledger.slots.add(anchor)
        self._sending.queued([parcel])
        self._ledger.pulse.beat()
        return item.parcel.item_id

    def _put_asking(self, asking: Asking, terminal_id: bytes) -> bytes:
        if asking.signer_id != terminal_id:
            raise Refused("not-yours", "a terminal hands in only what it has signed itself")
        item = asking.item
        self._checks.check(item, self._state)
        with self._database.write() as tx:
            parcel = self._shelf.store_new(tx, item)
        self._sending.queued([parcel])
        self._ledger.pulse.beat()
        return item.parcel.item_id

    # --- reading ---------------------------------------------------------------------------------------------------

    def inbox(self, terminal_id: bytes, after: int, limit: int) -> list[pb.InboxItem]:
        """Items behind position `after`, oldest first, as many as fit one message."""
        after = min(after, LAST_POSITION)
        self._storage.acknowledged(terminal_id, after)
        items: list[pb.InboxItem] = []
        size = 0
        with self._database.read() as tx:
            for row in courier.inbox(tx, terminal_id, after, limit):
                size += len(row.content)
                if items and size > ANSWER_BYTES:
                    break
                items.append(
                    pb.InboxItem(
                        position=row.position,
                        kind=row.kind,
                        content=row.content,
                        body_length=row.body_length,
                        origin=row.origin,
                        envelope_id=row.envelope_id,
                    )
                )
        return items

    def body_part(self, envelope_id: bytes, offset: int, terminal_id: bytes) -> bytes:
        """The next bytes of a body, at most 64 KiB; empty at its end. Raises `Refused` if it is not this terminal's."""
        with self._database.read() as tx:
            if terminal_id not in courier.readers(tx, envelope_id) or not bodies.is_whole(tx, envelope_id):
                raise Refused("unknown-cable", "this terminal has no such cable here")
            return bodies.read_body(tx, envelope_id, offset, PIECE_BYTES)

    def track(self, envelope_id: bytes) -> pb.TrackAnswer:
        """How far an envelope of this post is."""
        with self._database.read() as tx:
            hops = courier.hops(tx, envelope_id)
            anchored = cable_proof(tx, envelope_id) is not None
            cost = traffic.of_cable(tx, envelope_id)
        return pb.TrackAnswer(
            hops=[pb.Hop(post=post, state=state, at=at) for post, state, at in hops],
            anchored=anchored,
            sent_bytes=cost.sent,
            received_bytes=cost.received,
        )

    def item_proof(self, envelope_id: bytes, kind: str = "") -> bytes:
        """The tlog-proof of a cable's anchor, or a transcript's by its item hash; empty while there is none."""
        with self._database.read() as tx:
            return (hotline_proof if kind == HOTLINE else cable_proof)(tx, envelope_id) or b""

    def put_transcript_hash(self, item_hash: bytes, salt: bytes, terminal_id: bytes) -> None:
        """Let the hash of a hotline's transcript wait for the next slot. Twice is once; it may be proved already."""
        bucket = self._hashes.setdefault(terminal_id, Bucket(HASHES_PER_SECOND, BURST_HASHES))
        if not bucket.take(time.monotonic()):
            raise Unavailable("too-many-calls", "this terminal anchors more than its share", hint="wait a moment")
        if len(item_hash) != HASH_BYTES or len(salt) != SALT_BYTES:
            raise Malformed("bad-salt", "a transcript's hash and its salt have 32 bytes", hint="update the terminal")
        if self._ledger.slots.is_full:
            raise Unavailable("queue-full", "the post's queue is full", hint="wait until the links are back")
        item = Item(HOTLINE, item_hash, salt)
        with self._database.write() as tx:
            is_new = add_transcript(tx, item_hash, self._ledger.block_time)
            if is_new:
                add_item(tx, item, item_hash)
        if is_new:
            self._ledger.slots.add(item)
            self._ledger.pulse.beat()


def _inbox_id(database: Database) -> bytes:
    """What positions in the inboxes of this store count within: 16 random bytes, made once."""
    with database.read() as tx:
        known = log.meta(tx, _INBOX)
    if known is None:
        known = os.urandom(INBOX_ID_BYTES)
        with database.write() as tx:
            log.set_meta(tx, _INBOX, known)
    return known
