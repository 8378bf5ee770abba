"""The courier's sending side: a durable queue, strict precedence, resume, back-off for ever (docs/protocol/courier.md).

`now` is seconds of a monotonic clock here: no step of the machine's clock loses or delays an item. Expiry goes by
the block time of the newest final block. The receiving side is node/intake.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from node.actions import Action, Alarm, Handed, ItemExpired, ItemRefused, SendOffer, SendPart
from node.pace import LEAST_BYTES, PART_BYTES, Budget, Holds, Pace, Room
from node.parcel import ItemKind, Link, Order, Parcel, Sending, Verdict

__all__ = ["PART_BYTES", "ItemKind", "Parcel", "Sender", "Verdict"]
MAX_QUEUED = 100_000
ANSWER_SECONDS = 15
SLOWEST_BYTES = 1000
"""A second: an answer to more bytes is waited for longer."""
FRAME_BYTES = 64
"""What a frame is besides the bytes it carries, about."""
RELAY_AFTER_SECONDS = 30
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0


@dataclass(slots=True)
class Waiting:
    """Parcels for one destination that can be offered, best first. `away_since` counts while it is not linked."""

    away_since: float
    heap: list[Order] = field(default_factory=list)


class Sender:
    """Sends queued items over links: 2 unacknowledged frames on a link under 1 Mbit/s, on others `window` to `widest`.

    `kbit` is the post's link budget, 0 for none. `relays` names, by destination, the post that hands on what cannot go
    directly; without one, or while that is away, it is HQ. `random()` gives a number in [0, 1) for the jitter.
    `queued` are the stored items of before a start.
    """

    def __init__(
        self,
        post: str,
        headquarters: str,
        random: Callable[[], float],
        *,
        queued: Iterable[Parcel] = (),
        relays: Mapping[str, str] | None = None,
        window: int = 16,
        widest: int = 0,
        kbit: int = 0,
        now: float = 0.0,
    ) -> None:
        self._relays = dict(relays or {})
        self._post, self._headquarters, self._random, self._window = post, headquarters, random, window
        self._relaying = {headquarters, *self._relays.values()}
        self._widest, self._budget = widest or window, Budget(kbit, now)
        self._holds = Holds(is_shared=kbit > 0)
        self._queue: dict[bytes, Sending] = {}
        self._waiting: dict[str, Waiting] = {}
        self._resting: list[tuple[float, bytes]] = []
        self._links: dict[str, Link] = {}
        for parcel in queued:
            self._enter(parcel, now)

    @property
    def parcels(self) -> tuple[Parcel, ...]:
        """Everything queued, in order."""
        return tuple(sorted((one.parcel for one in self._queue.values()), key=lambda parcel: parcel.order))

    @property
    def is_full(self) -> bool:
        """No further item is taken."""
        return len(self._queue) >= MAX_QUEUED

    # --- events ----------------------------------------------------------------------------------------------

    def queued(self, parcel: Parcel, now: float) -> list[Action]:
        """A stored item is to go to its destination. The same item twice is one."""
        self._enter(parcel, now)
        return self._pump_all(now)

    def linked(self, peer: str, now: float) -> list[Action]:
        """The link to this peer is up."""
        self._links.setdefault(peer, Link(Room(Pace(self._window, self._widest, self._budget.kbit))))
        return self._pump(peer, now)

    def unlinked(self, peer: str, now: float) -> list[Action]:
        """The link is down: what was under way on it is offered again, here or by relay, and resumes."""
        link = self._links.pop(peer, None)
        for one in link.active.values() if link else ():
            self._wait(one, now)
        self._waiting.setdefault(peer, Waiting(now)).away_since = now
        return self._pump_all(now)

    def answered(self, peer: str, item_id: bytes, verdict: int, offset: int, code: str, now: float) -> list[Action]:
        """The next hop has answered. Late and unasked answers change nothing."""
        one = self._queue.get(item_id)
        if one is None or one.hop != peer:
            return []
        self._land(one, offset if verdict == Verdict.WANT else one.parcel.length, now)
        actions: list[Action] = []
        if verdict == Verdict.STORED:
            actions = [self._forget(one, Handed(item_id, peer))]
        elif verdict == Verdict.REFUSED:
            actions = [
                self._forget(one, ItemRefused(item_id, peer, code)),
                Alarm("item-refused", item_id.hex(), f"{peer} refuses an item: {code}"),
            ]
        elif verdict == Verdict.WANT and 0 <= offset < one.parcel.length:
            self._acknowledge(one, offset, now)
        elif verdict == Verdict.NOT_YET:
            self._back_off(one, now)
        return actions + self._pump(peer, now)

    def tick(self, now: float, block_time: int) -> list[Action]:
        """Offer again what got no answer, and give up what has expired. `block_time` 0: unknown, nothing expires."""
        while self._resting and self._resting[0][0] <= now:
            one = self._queue.get(heapq.heappop(self._resting)[1])
            if one is not None and not one.hop:
                self._wait(one, now)
        actions: list[Action] = []
        for one in list(self._queue.values()):
            if 0 < one.parcel.expires_at < block_time:
                actions.append(self._forget(one, ItemExpired(one.parcel.item_id)))
            elif one.flying and now - one.heard_at >= self._patience(one):
                self._back_off(one, now)
        return actions + self._pump_all(now)

    def hold(self, peer: str, size: int, now: float) -> None:
        """A hotline frame of `size` bytes goes over this link, ahead of everything here; `release` when it is there."""
        self._holds.hold(peer, now)
        self._budget.spend(size + FRAME_BYTES, now)

    def release(self, peer: str, now: float) -> list[Action]:
        """It was answered, or is given up."""
        self._holds.release(peer)
        return self._pump_all(now)

    def _land(self, one: Sending, offset: int, now: float) -> None:
        """Everything of it up to `offset` is answered."""
        room = self._links[one.hop].room
        for frame in (each for each in one.flying if each.end <= offset):
            room.free(frame, one.parcel.precedence)
            room.pace.answered(frame, now)
        one.flying = [each for each in one.flying if each.end > offset]

    def _patience(self, one: Sending) -> float:
        """Seconds to wait for an answer: longer behind much."""
        return ANSWER_SECONDS + self._links[one.hop].room.flying / SLOWEST_BYTES

    # --- where a parcel stands -----------------------------------------------------------------------------------

    def _enter(self, parcel: Parcel, now: float) -> None:
        if parcel.item_id not in self._queue:
            self._queue[parcel.item_id] = Sending(parcel)
            self._wait(self._queue[parcel.item_id], now)

    def _wait(self, one: Sending, now: float) -> None:
        """It can be offered at once."""
        one.hop, one.is_wanted, one.acknowledged, one.sent, one.flying = "", False, 0, 0, []
        waiting = self._waiting.setdefault(one.parcel.destination, Waiting(now))
        heapq.heappush(waiting.heap, one.parcel.order)

    def _back_off(self, one: Sending, now: float) -> None:
        """It is offered again after a while, that doubles up to a minute, with jitter."""
        self._leave(one)
        pause = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(one.attempts, 16))
        one.attempts += 1
        heapq.heappush(self._resting, (now + pause * (0.5 + self._random()), one.parcel.item_id))

    def _acknowledge(self, one: Sending, offset: int, now: float) -> None:
        """The next hop has the body up to `offset`, and wants what follows."""
        if not one.is_wanted:
            one.is_wanted, one.acknowledged, one.sent = True, offset, offset
        elif offset <= one.acknowledged:
            return  # late or repeated; if the hop has lost bytes, the next offer tells
        one.acknowledged, one.sent = offset, max(one.sent, offset)
        one.heard_at, one.attempts = now, 0

    def _leave(self, one: Sending) -> None:
        """It is under way no more."""
        if one.hop:
            link = self._links[one.hop]
            del link.active[one.parcel.item_id]
            for frame in one.flying:
                link.room.free(frame, one.parcel.precedence)
        one.hop, one.flying = "", []

    def _forget(self, one: Sending, action: Action) -> Action:
        self._leave(one)
        del self._queue[one.parcel.item_id]
        return action

    # --- the next frames -------------------------------------------------------------------------------------------

    def _pump_all(self, now: float) -> list[Action]:
        if self._budget.kbit:
            return self._fill(sorted(self._links), now)
        return [action for peer in sorted(self._links) for action in self._fill([peer], now)]

    def _pump(self, peer: str, now: float) -> list[Action]:
        """Links that share a budget are filled together: what the best parcel needs is not given to another."""
        return self._pump_all(now) if self._budget.kbit else self._fill([peer], now)

    def _fill(self, peers: list[str], now: float) -> list[Action]:
        """Fill the windows of these links: each frame belongs to the best parcel that can use one."""
        actions: list[Action] = []
        while True:
            found = [(one.parcel.order, peer) for peer in peers if (one := self._next(peer, now)) is not None]
            if not found:
                return actions
            order, peer = min(found)
            one = self._queue[order[2]]
            if not self._budget.take(one.next_bytes + FRAME_BYTES, one.parcel.precedence, now):
                return actions
            actions += [self._part(one, now)] if one.hop else self._offer(peer, one, now)

    def _next(self, peer: str, now: float) -> Sending | None:
        """The best parcel that can use a frame of this link, if that has room for it."""
        link = self._links.get(peer)
        if link is None or self._holds.is_held(peer, now):
            return None
        under_way = (each for each in link.active.values() if each.has_more)
        one = min(under_way, key=lambda each: each.parcel.order, default=None)
        heap = self._best_heap(peer, now)
        if heap is not None and (one is None or heap[0] < one.parcel.order):
            one = self._queue[heap[0][2]]
        if one is None:
            return None
        size, is_live = max(one.next_bytes, LEAST_BYTES), self._holds.is_live(peer, now)
        if not link.room.has(size, one.parcel.precedence, is_live):
            return None
        return one

    def _best_heap(self, peer: str, now: float) -> list[Order] | None:
        """The heap with the best parcel that may go over this link: its own, and by relay those of posts long away."""
        best: list[Order] | None = None
        for destination in self._reached_by(peer, now):
            heap = self._waiting[destination].heap
            while heap and not self._is_waiting(heap[0][2]):
                heapq.heappop(heap)
            if heap and (best is None or heap[0] < best[0]):
                best = heap
        return best

    def _reached_by(self, peer: str, now: float) -> list[str]:
        if peer not in self._relaying:
            return [peer] if peer in self._waiting else []
        return [
            one
            for one, waiting in self._waiting.items()
            if one == peer or (self._is_away(one, waiting, now) and self._relay_of(one) == peer)
        ]

    def _is_away(self, destination: str, waiting: Waiting, now: float) -> bool:
        return destination not in self._links and now - waiting.away_since >= RELAY_AFTER_SECONDS

    def _relay_of(self, destination: str) -> str:
        named = self._relays.get(destination, "")
        return named if named in self._links else self._headquarters

    def _is_waiting(self, item_id: bytes) -> bool:
        return item_id in self._queue and not self._queue[item_id].hop

    def _offer(self, peer: str, one: Sending, now: float) -> list[Action]:
        """The offer, and with it a body of one part at the first attempt. Its place in the heap is void from now on."""
        brings_body = one.brings_body
        one.hop, one.heard_at = peer, now
        link, parcel = self._links[peer], one.parcel
        link.active[parcel.item_id] = one
        taken = parcel.head_bytes if brings_body else max(parcel.head_bytes, LEAST_BYTES)
        one.flying.append(link.room.put(0, taken, parcel.precedence, now))
        one.is_wanted = brings_body
        offer = SendOffer(peer, parcel.item_id)
        return [offer, self._part(one, now)] if brings_body else [offer]

    def _part(self, one: Sending, now: float) -> SendPart:
        if not one.flying:
            one.heard_at = now
        offset, length = one.sent, one.part_bytes
        one.sent = offset + length
        room = self._links[one.hop].room
        one.flying.append(room.put(one.sent, max(length, LEAST_BYTES), one.parcel.precedence, now))
        return SendPart(one.hop, one.parcel.item_id, offset, length)
