"""The courier's receiving side: check, store, and only then answer (docs/protocol/courier.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from node.actions import (
    Action,
    Alarm,
    CatchUp,
    CheckBody,
    DropIntake,
    DropPeer,
    OpenIntake,
    SendAnswer,
    StoreItem,
    StorePart,
)
from node.courier import PART_BYTES, Parcel, Verdict

MAX_OPEN = 64
"""Beginnings from one post in one precedence, far more than a sender's window: the stalest gives way to a new one."""
MAX_BEGUN_BYTES = 2 * 1024**3
"""Bytes of one post's beginnings, all precedences together: the stalest gives way to what goes on."""
STALE_SECONDS = 30 * 86_400
"""Of block time without a byte: a beginning is forgotten, and starts again from 0 if it is ever offered."""

PATIENCE = 3
"""How often an item whose body is under way for another one is put off, before it takes over."""


@dataclass(slots=True)
class Incoming:
    """An item whose body is not whole: `stored` bytes of it are durable.

    `source` is the peer that all of them came from; empty before the first, after a start, and if there were several.
    `owns_body`: the bytes came for this item. `denied` counts the offers of other items with the same body.
    `still_since`: block time of the first look after the last bytes, 0 before that.
    """

    parcel: Parcel
    stored: int = 0
    owns_body: bool = True
    source: str = ""
    is_checking: bool = False
    denied: dict[bytes, int] = field(default_factory=dict)
    still_since: int = 0

    def take(self, peer: str, count: int) -> None:
        """`count` bytes more have come."""
        self.source = peer if not self.stored or self.source == peer else ""
        self.stored += count
        self.denied.clear()
        self.still_since = 0

    def is_over(self, block_time: int) -> bool:
        """Whether it has expired, or stood still for too long."""
        self.still_since = self.still_since or block_time
        has_expired = 0 < self.parcel.expires_at < block_time
        return not self.is_checking and (has_expired or block_time - self.still_since > STALE_SECONDS)


class Receiver:
    """Takes items for this post, and as HQ for every other one, too.

    `is_stored` looks an item id up among everything ever stored whole, `has_body` an envelope id among the bodies that
    were checked. `incoming` is what the store holds at start.
    """

    def __init__(
        self,
        post: str,
        is_stored: Callable[[bytes], bool],
        has_body: Callable[[bytes], bool],
        *,
        is_relay: bool,
        incoming: Iterable[Incoming] = (),
    ) -> None:
        self._post, self._is_stored, self._has_body, self._is_relay = post, is_stored, has_body, is_relay
        self._incoming = {one.parcel.item_id: one for one in incoming}

    def offered(self, peer: str, parcel: Parcel, final: int, check: Callable[[], str]) -> list[Action]:
        """A peer offers an item. `final` is the own final size; `check()` gives the code of a refusal, or "".

        `check` is called only when the state at the item's S is known here; nothing is stored before it agrees.
        """
        item_id = parcel.item_id
        if self._is_stored(item_id):
            return [SendAnswer(peer, item_id, Verdict.STORED)]
        if item_id in self._incoming:
            return self._continue(peer, self._incoming[item_id])
        if parcel.size_seen > final:
            return [CatchUp(peer, parcel.size_seen), SendAnswer(peer, item_id, Verdict.NOT_YET, code="not-caught-up")]
        code = check() if parcel.destination == self._post or self._is_relay else "not-for-this-post"
        if code:
            return [SendAnswer(peer, item_id, Verdict.REFUSED, code=code)]
        if not parcel.length:
            return [StoreItem(item_id), SendAnswer(peer, item_id, Verdict.STORED)]
        rival = next((one for one in self._incoming.values() if one.parcel.body_id == parcel.body_id), None)
        if rival is not None and not self._gives_way(rival, item_id):
            return [SendAnswer(peer, item_id, Verdict.NOT_YET, code="body-under-way")]
        return self._begin(peer, parcel, rival)

    def part_received(self, peer: str, item_id: bytes, offset: int, data: bytes) -> list[Action]:
        """Body bytes. Stored only in order; anything else is answered with what is stored."""
        one = self._incoming.get(item_id)
        if one is None:
            verdict = Verdict.STORED if self._is_stored(item_id) else Verdict.NOT_YET
            return [SendAnswer(peer, item_id, verdict, code="not-offered")]
        if one.is_checking:
            return []
        if not 0 < len(data) <= PART_BYTES or offset + len(data) > one.parcel.length:
            return [DropPeer(peer, "bad-part")]
        if offset != one.stored:
            return [SendAnswer(peer, item_id, Verdict.WANT, one.stored)]
        one.take(peer, len(data))
        self._incoming[item_id] = self._incoming.pop(item_id)  # the freshest stands last
        return [*self._make_way(one), StorePart(item_id, offset, data), *self._continue(peer, one)]

    def body_checked(self, peer: str, item_id: bytes, code: str) -> list[Action]:
        """The whole body was checked against its head: `code` names what is wrong, or is empty."""
        one = self._incoming.pop(item_id, None)
        if one is None:
            return []
        if not code:
            return [StoreItem(item_id), SendAnswer(peer, item_id, Verdict.STORED)]
        text = f"the body of an item from {one.parcel.origin} does not belong to its envelope: {code}"
        is_certain = one.source == peer or not one.owns_body  # else another peer may have spoilt it: start again
        verdict = Verdict.REFUSED if is_certain else Verdict.NOT_YET
        return [
            DropIntake(item_id, one.owns_body),
            SendAnswer(peer, item_id, verdict, code=code),
            Alarm("bad-body", item_id.hex(), text),
        ]

    def expired(self, block_time: int) -> list[Action]:
        """Forget beginnings of items whose expiry has passed, and those that nothing came for in a long time.

        To be called now and then with the block time of the newest final block; 0: unknown, nothing is forgotten.
        """
        return [self._drop(one) for one in list(self._incoming.values()) if block_time and one.is_over(block_time)]

    def _continue(self, peer: str, one: Incoming) -> list[Action]:
        item_id = one.parcel.item_id
        if one.stored < one.parcel.length:
            return [SendAnswer(peer, item_id, Verdict.WANT, one.stored)]
        if one.is_checking:
            return []
        one.is_checking = True
        return [CheckBody(peer, item_id)]

    def _begin(self, peer: str, parcel: Parcel, rival: Incoming | None) -> list[Action]:
        """A body is taken once for all destinations, and checked against each head."""
        item_id = parcel.item_id
        if rival is not None:
            del self._incoming[rival.parcel.item_id]
            one = Incoming(parcel, rival.stored, rival.owns_body, rival.source)
            freed: list[Action] = [DropIntake(rival.parcel.item_id, with_body=False)]
        else:
            is_here = self._has_body(parcel.body_id)
            one = Incoming(parcel, parcel.length if is_here else 0, owns_body=not is_here)
            freed = self._make_room(parcel)
        self._incoming[item_id] = one
        return [*freed, OpenIntake(item_id), *self._continue(peer, one)]

    def _gives_way(self, rival: Incoming, item_id: bytes) -> bool:
        """Whether nothing has come for the item that this one has been waiting for."""
        if len(rival.denied) > MAX_OPEN:
            rival.denied.clear()
        rival.denied[item_id] = rival.denied.get(item_id, 0) + 1
        return rival.denied[item_id] > PATIENCE and not rival.is_checking

    def _make_room(self, parcel: Parcel) -> list[Action]:
        """Forget the stalest beginning of this kind, when there are too many: it may have come by another way."""
        kind = parcel.origin, parcel.precedence
        alike = [one for one in self._incoming.values() if (one.parcel.origin, one.parcel.precedence) == kind]
        stale = next((one for one in alike if not one.is_checking), None)
        if len(alike) < MAX_OPEN or stale is None:
            return []
        return [self._drop(stale)]

    def _make_way(self, one: Incoming) -> list[Action]:
        """Forget the stalest beginnings of its post, when all of them together have become too large."""
        origin, dropped = one.parcel.origin, list[Action]()
        begun = [each for each in self._incoming.values() if each.parcel.origin == origin and each.owns_body]
        size = sum(each.stored for each in begun)
        for stale in begun:
            if size <= MAX_BEGUN_BYTES:
                break
            if stale is not one and not stale.is_checking:
                dropped.append(self._drop(stale))
                size -= stale.stored
        return dropped

    def _drop(self, one: Incoming) -> Action:
        del self._incoming[one.parcel.item_id]
        return DropIntake(one.parcel.item_id, one.owns_body)
