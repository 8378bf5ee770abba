"""The courier's receiving side: check, store, and only then answer (docs/protocol/courier.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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

MAX_OPEN_PER_ORIGIN = 16
"""Bodies under way from one post in one precedence: a peer cannot fill the store with beginnings."""


@dataclass(slots=True)
class Incoming:
    """An item whose body is not whole: `stored` bytes of it are durable."""

    parcel: Parcel
    stored: int = 0
    is_checking: bool = False
    owns_body: bool = True


class Receiver:
    """Takes items for this post, and as HQ for every other one, too.

    `is_stored` looks an item id up among everything ever stored whole, `has_body` an envelope id among the bodies that
    were checked. `incoming` is what the store holds at start.
    """

    def __init__(
        self, post: str, is_stored: Callable[[bytes], bool], has_body: Callable[[bytes], bool], *,
        is_relay: bool, incoming: Iterable[Incoming] = (),
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
        if self._is_busy(parcel):
            return [SendAnswer(peer, item_id, Verdict.NOT_YET, code="busy")]
        is_here = self._has_body(parcel.body_id)  # once for all destinations; checked against each head
        self._incoming[item_id] = Incoming(parcel, parcel.length if is_here else 0, owns_body=not is_here)
        return [OpenIntake(item_id), *self._continue(peer, self._incoming[item_id])]

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
        one.stored += len(data)
        return [StorePart(item_id, offset, data), *self._continue(peer, one)]

    def body_checked(self, peer: str, item_id: bytes, code: str) -> list[Action]:
        """The whole body was checked against its head: `code` names what is wrong, or is empty."""
        one = self._incoming.pop(item_id, None)
        if one is None:
            return []
        if code:
            text = f"{peer} sent a body that does not belong to its envelope: {code}"
            return [DropIntake(item_id, one.owns_body), SendAnswer(peer, item_id, Verdict.REFUSED, code=code),
                    Alarm("bad-body", item_id.hex(), text)]
        return [StoreItem(item_id), SendAnswer(peer, item_id, Verdict.STORED)]

    def expired(self, block_time: int) -> list[Action]:
        """Forget beginnings of items whose expiry has passed."""
        old = [one for one in self._incoming.values() if 0 < one.parcel.expires_at < block_time and not one.is_checking]
        for one in old:
            del self._incoming[one.parcel.item_id]
        return [DropIntake(one.parcel.item_id, one.owns_body) for one in old]

    def _continue(self, peer: str, one: Incoming) -> list[Action]:
        item_id = one.parcel.item_id
        if one.stored < one.parcel.length:
            return [SendAnswer(peer, item_id, Verdict.WANT, one.stored)]
        if one.is_checking:
            return []
        one.is_checking = True
        return [CheckBody(peer, item_id)]

    def _is_busy(self, parcel: Parcel) -> bool:
        """Whether the same body is under way already, or too many from this post are."""
        others = [one.parcel for one in self._incoming.values() if one.parcel.origin == parcel.origin]
        alike = sum(one.precedence == parcel.precedence for one in others)
        return alike >= MAX_OPEN_PER_ORIGIN or any(one.body_id == parcel.body_id for one in others)
