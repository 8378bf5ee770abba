"""Rows of whole items that come in one unit, written together: a statement for many, not many for each."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from node.store import courier
from node.store.courier import CourierItem, StoredEnvelope


class Rows:
    """What is put here is in the store after `flush`, within the unit of `tx`; until then no statement sees it."""

    def __init__(self, tx: Connection, now: int) -> None:
        self.tx = tx
        self._now = now
        self._items: list[tuple[CourierItem, str]] = []
        self._envelopes: list[StoredEnvelope] = []
        self._inbox: list[tuple[bytes, CourierItem]] = []

    def put_item(self, item: CourierItem, state: str, *, is_new: bool) -> None:
        """Store an item in this state. `is_new`: the store knows nothing of it."""
        if is_new:
            self._items.append((item, state))
        else:
            courier.put_item(self.tx, item, state, self._now)

    def put_envelope(self, envelope: StoredEnvelope) -> None:
        """Remember an envelope; the same one twice is one."""
        self._envelopes.append(envelope)

    def deliver(self, terminal_ids: Iterable[bytes], item: CourierItem) -> None:
        """Put the item into the inboxes of these terminals, once."""
        self._inbox += [(one, item) for one in terminal_ids]

    def flush(self) -> None:
        """Write everything, inboxes in the order of arrival."""
        if self._items:
            courier.put_new_items(self.tx, self._items, self._now)
        if self._envelopes:
            courier.put_envelopes(self.tx, self._envelopes)
        if self._inbox:
            courier.deliver_all(self.tx, self._inbox, self._now)
        self._items, self._envelopes, self._inbox = [], [], []
