"""Cables that this post's terminals hand in, and hand in again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence

from sqlalchemy import Connection

from crypto_msg.anchor import cable_item_hash
from crypto_msg.cable import Kind
from crypto_msg.envelope import BodyCheck, encode_head
from crypto_msg.segments import body_length
from crypto_msg.wire import Head, Outer
from crypto_msg.wraps import split_head
from ledger.state import State
from node.actions import Item
from node.courier import ItemKind, Parcel
from node.shell.itemchecks import ItemChecks, envelope_from, make_item, posts_of
from node.shell.ledger import LedgerShell
from node.shell.sending import Sending
from node.shell.shelf import Shelf
from node.shell.slots import CABLE, add_item
from node.shell.storage import Storage
from node.store import bodies, courier
from node.store.courier import CourierItem, StoredEnvelope
from protos.errors import Malformed, Refused, Unavailable

SALT_BYTES = 32


class Uploads:
    """Takes sealed envelopes: all of one in a single transaction, its body piece by piece before."""

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

    async def put_cable(
        self,
        head: bytes,
        body: AsyncIterator[bytes],
        salt: bytes,
        terminal_id: bytes,
        again: Collection[bytes] = (),
    ) -> bytes:
        """Verify and store an envelope, queue it for every addressed post, and let its anchor wait for the next slot.

        Returns the envelope id when all of that is durable. The same envelope twice is one; but to each terminal of
        `again` it goes once more, and what this store has lost of it is stored again. Raises `Malformed`,
        `VerificationFailed`, `Refused("not-yours")`, `Unavailable("not-caught-up" | "busy" | "store-full")`.
        """
        opened, outer = self._checks.envelope(head, self._state)
        self._check_sender(outer, terminal_id, salt)
        envelope_id = opened.envelope_id
        is_known, has_body = self._is_known(envelope_id)
        if is_known and (has_body or not again):
            self._accept(opened, outer, again=again)
            return envelope_id
        if envelope_id in self._uploading:
            raise Unavailable("busy", "this cable is being handed in on another connection", hint="wait a moment")
        size = len(head) + body_length(outer.padded_length)
        self._storage.check(self._ledger.post, size)
        self._uploading.add(envelope_id)
        try:
            await self._take_body(opened, outer, body)
            self._accept(opened, outer, b"" if is_known else salt, is_new=not is_known, again=again)
            self._storage.took(self._ledger.post, size)
        finally:
            self._uploading.discard(envelope_id)
        return envelope_id

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

    def _is_known(self, envelope_id: bytes) -> tuple[bool, bool]:
        """Whether the envelope is known, and whether its body is here."""
        with self._database.read() as tx:
            return courier.envelope_of(tx, envelope_id) is not None, bodies.is_whole(tx, envelope_id)

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

    def _accept(
        self, head: Head, outer: Outer, salt: bytes = b"", *, is_new: bool = False, again: Collection[bytes] = ()
    ) -> None:
        """The body is here: for every post if the cable is new, and for each terminal that is to have it again."""
        envelope, state = envelope_from(head, outer), self._state
        anchor = Item(CABLE, cable_item_hash(head.envelope_id, head.body_root), salt)
        posts = _by_post(head, state)
        groups = list(posts.items()) if is_new else []
        groups += [(post, [one]) for post, ids in posts.items() for one in ids if one in again]
        items = [self._item(head, outer, envelope, post, ids) for post, ids in groups]
        if not items:
            return
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

    def _item(
        self, head: Head, outer: Outer, envelope: StoredEnvelope, post: str, terminal_ids: Sequence[bytes]
    ) -> CourierItem:
        """The envelope with the wraps of these terminals of a post alone."""
        return make_item(
            ItemKind.ENVELOPE,
            post,
            envelope,
            encode_head(split_head(head, terminal_ids)),
            self._ledger.post,
            outer.size_seen,
            body_length(outer.padded_length),
            outer.expires_at,
        )

    def _store(self, tx: Connection, item: CourierItem) -> Parcel | None:
        if item.parcel.destination != self._ledger.post:
            courier.set_hop(tx, item.envelope_id, item.parcel.destination, "queued", self._ledger.clock())
        return self._shelf.store_again(tx, item)


def _by_post(head: Head, state: State) -> dict[str, list[bytes]]:
    """The terminals with a wrap, by post, both ascending. Raises `Refused` as `posts_of`."""
    by_post: dict[str, list[bytes]] = {post: [] for post in sorted(posts_of(head, state))}
    for one in head.wraps:
        if (terminal := state.terminal(one.wrap.terminal_id)) is not None:
            by_post[terminal.post].append(terminal.terminal_id)
    return by_post
