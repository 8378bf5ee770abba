"""The courier as this post's terminals read it: inboxes, bodies, tracking, proofs."""

from __future__ import annotations

import os

from node.shell.ledger import LedgerShell
from node.shell.slots import HOTLINE, cable_proof, hotline_proof
from node.shell.storage import Storage
from node.store import bodies, courier, log, traffic
from node.store.database import Database
from protos import node_pb2 as pb
from protos.errors import Refused

LAST_POSITION = 2**63 - 1
INBOX_ID_BYTES = 16
PIECE_BYTES = 64 * 1024
ANSWER_BYTES = 1024 * 1024
_INBOX = "inbox-id"


class Mail:
    """What the Desk asks of the courier's store."""

    def __init__(self, ledger: LedgerShell, storage: Storage) -> None:
        self._database = ledger.database
        self._storage = storage
        self.inbox_id = _inbox_id(ledger.database)

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
            if not courier.may_fetch(tx, envelope_id, terminal_id) or not bodies.is_whole(tx, envelope_id):
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


def _inbox_id(database: Database) -> bytes:
    """What positions in the inboxes of this store count within: 16 random bytes, made once."""
    with database.read() as tx:
        known = log.meta(tx, _INBOX)
    if known is None:
        known = os.urandom(INBOX_ID_BYTES)
        with database.write() as tx:
            log.set_meta(tx, _INBOX, known)
    return known
