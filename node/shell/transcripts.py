"""Hashes of hotline transcripts: taken from this post's terminals, anchored with the next slot."""

from __future__ import annotations

import time

from ledger.merkle import HASH_BYTES
from node.actions import Item
from node.api.limits import Bucket
from node.shell.ledger import LedgerShell
from node.shell.slots import HOTLINE, add_item, add_transcript
from protos.errors import Malformed, Unavailable

SALT_BYTES = 32
HASHES_PER_SECOND = 0.1
BURST_HASHES = 100.0
"""Nobody but its terminals can check a hash: one of them must not fill the slots."""


class Transcripts:
    """What the Desk takes at the end of a call."""

    def __init__(self, ledger: LedgerShell) -> None:
        self._ledger = ledger
        self._buckets: dict[bytes, Bucket] = {}

    def put(self, item_hash: bytes, salt: bytes, terminal_id: bytes) -> None:
        """Let a hash wait for the next slot. Twice is once; it may be proved already.

        Raises `Malformed` ("bad-salt"), `Unavailable` ("too-many-calls", "queue-full").
        """
        bucket = self._buckets.setdefault(terminal_id, Bucket(HASHES_PER_SECOND, BURST_HASHES))
        if not bucket.take(time.monotonic()):
            raise Unavailable("too-many-calls", "this terminal anchors more than its share", hint="wait a moment")
        if len(item_hash) != HASH_BYTES or len(salt) != SALT_BYTES:
            raise Malformed("bad-salt", "a transcript's hash and its salt have 32 bytes", hint="update the terminal")
        if self._ledger.slots.is_full:
            raise Unavailable("queue-full", "the post's queue is full", hint="wait until the links are back")
        item = Item(HOTLINE, item_hash, salt)
        with self._ledger.database.write() as tx:
            is_new = add_transcript(tx, item_hash, self._ledger.block_time)
            if is_new:
                add_item(tx, item, item_hash)
        if is_new:
            self._ledger.slots.add(item)
            self._ledger.pulse.beat()
