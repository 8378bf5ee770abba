"""Whose answers a released cable still waits for: DELIVERED by every addressee, ACKNOWLEDGED by those for action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crypto_msg.cable import Draft, Expansion, posts_of
from crypto_msg.receipt import ReceiptKind
from terminal.records import CableRecord, Watch
from terminal.store import Transaction


@dataclass(frozen=True, slots=True)
class Awaited:
    """Posts without DELIVERED; posts that have DELIVERED and are still to ACKNOWLEDGE. Both ascending."""

    undelivered: tuple[str, ...]
    unacknowledged: tuple[str, ...]

    @property
    def posts(self) -> tuple[str, ...]:
        """All of them."""
        return self.undelivered + self.unacknowledged


def watch_of(record: CableRecord, draft: Draft, expansions: Sequence[Expansion]) -> Watch:
    """The watch over a cable that was just sealed. The own post answers only for a cable to nobody else."""
    meant = {one.collective: one.posts for one in expansions}
    action = {post for one in draft.action for post in meant.get(one.name, (one.name,))}
    others = tuple(one for one in posts_of(draft, expansions) if one != record.post) or record.posts
    to_acknowledge = tuple(sorted(action & set(others)))
    return Watch(record.envelope_id, record.cable_id, record.at, draft.precedence, others, to_acknowledge)


def awaited(transaction: Transaction, watch: Watch) -> Awaited:
    """Who has not answered and is not on the exception list. A post has answered when one of its terminals has."""
    receipts = transaction.receipts(watch.envelope_id)
    answered = {kind: {one.post for one in receipts if one.kind == kind} for kind in ReceiptKind}
    acknowledged = answered[ReceiptKind.ACKNOWLEDGED]
    waiting = [one for one in watch.posts if one not in watch.excepted and one not in acknowledged]
    delivered = answered[ReceiptKind.DELIVERED]
    return Awaited(
        tuple(one for one in waiting if one not in delivered),
        tuple(one for one in waiting if one in delivered and one in watch.action),
    )
