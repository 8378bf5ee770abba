"""The courier's sending side: a durable queue, strict precedence, resume, back-off for ever (docs/protocol/courier.md).

`now` is seconds of a monotonic clock here: no step of the machine's clock loses or delays an item. Expiry goes by
the block time of the newest final block. The receiving side is node/intake.py.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from node.actions import Action, Alarm, Handed, ItemExpired, ItemRefused, SendOffer, SendPart

PART_BYTES = 8192
MAX_QUEUED = 100_000
ANSWER_SECONDS = 15
RELAY_AFTER_SECONDS = 30
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0
QUICK_SECONDS = 0.25
SLOW_SECONDS = 2.0
NARROWEST = 2

Order = tuple[int, int, bytes]


class ItemKind(IntEnum):
    """What an item carries."""

    ENVELOPE = 1
    DELIVERED = 2
    SEALED_RECEIPT = 3
    PROOF = 4
    NAK = 5
    REWRAP = 6


class Verdict(IntEnum):
    """The answer to an offer or a part. WANT also acknowledges every body byte before its offset."""

    WANT = 1
    STORED = 2
    NOT_YET = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the courier knows of a stored item; its bytes stay in the store.

    `body_id` (the envelope id) names a body of `length` bytes, which items to several destinations share; an item
    without one has b"" and 0. `arrival` rises with every item that this node stores.
    """

    item_id: bytes
    kind: int
    origin: str
    destination: str
    precedence: int
    expires_at: int
    size_seen: int
    length: int = 0
    body_id: bytes = b""
    arrival: int = 0

    @property
    def order(self) -> Order:
        """Highest precedence first, then first come."""
        return -self.precedence, self.arrival, self.item_id


@dataclass(slots=True)
class Sending:
    """A queued parcel; `hop` is the link it is under way on. Offsets count body bytes."""

    parcel: Parcel
    hop: str = ""
    is_wanted: bool = False
    acknowledged: int = 0
    sent: int = 0
    heard_at: float = 0.0
    attempts: int = 0

    @property
    def frames(self) -> int:
        """Unacknowledged frames on the link."""
        if not self.hop:
            return 0
        return -(-(self.sent - self.acknowledged) // PART_BYTES) if self.is_wanted else 1

    @property
    def has_more(self) -> bool:
        """Whether a part can be sent now."""
        return self.is_wanted and self.sent < self.parcel.length


@dataclass(slots=True)
class Waiting:
    """Parcels for one destination that can be offered, best first. `away_since` counts while it is not linked."""

    away_since: float
    heap: list[Order] = field(default_factory=list)


class Sender:
    """Sends queued items over links, at first at most `window` unacknowledged frames on each.

    A quick link gets more, up to `widest` (default: `window`), a slow one fewer: what a FLASH waits for is a matter of
    time, not of frames. `random()` gives a number in [0, 1) for the jitter. `queued` are the stored items of before a
    start.
    """

    def __init__(
        self,
        post: str,
        headquarters: str,
        random: Callable[[], float],
        *,
        queued: Iterable[Parcel] = (),
        window: int = 16,
        widest: int = 0,
        now: float = 0.0,
    ) -> None:
        self._post, self._headquarters, self._random, self._window = post, headquarters, random, window
        self._widest = widest or window
        self._windows: dict[str, int] = {}
        self._queue: dict[bytes, Sending] = {}
        self._waiting: dict[str, Waiting] = {}
        self._resting: list[tuple[float, bytes]] = []
        self._links: dict[str, dict[bytes, Sending]] = {}
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
        self._links.setdefault(peer, {})
        self._windows[peer] = self._window
        return self._pump(peer, now)

    def unlinked(self, peer: str, now: float) -> list[Action]:
        """The link is down: what was under way on it is offered again, here or by relay, and resumes."""
        for one in self._links.pop(peer, {}).values():
            self._wait(one, now)
        self._waiting.setdefault(peer, Waiting(now)).away_since = now
        return self._pump_all(now)

    def answered(self, peer: str, item_id: bytes, verdict: int, offset: int, code: str, now: float) -> list[Action]:
        """The next hop has answered. Late and unasked answers change nothing."""
        one = self._queue.get(item_id)
        if one is None or one.hop != peer:
            return []
        self._learn(peer, now - one.heard_at)
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
            elif one.frames and now - one.heard_at >= ANSWER_SECONDS:
                self._back_off(one, now)
        return actions + self._pump_all(now)

    def _learn(self, peer: str, seconds: float) -> None:
        """The link took so long to answer: widen or narrow its window."""
        if seconds <= QUICK_SECONDS:
            self._windows[peer] = min(self._windows[peer] + 1, self._widest)
        elif seconds >= SLOW_SECONDS:
            self._windows[peer] = max(self._windows[peer] // 2, min(NARROWEST, self._window))

    # --- where a parcel stands -----------------------------------------------------------------------------------

    def _enter(self, parcel: Parcel, now: float) -> None:
        if parcel.item_id not in self._queue:
            self._queue[parcel.item_id] = Sending(parcel)
            self._wait(self._queue[parcel.item_id], now)

    def _wait(self, one: Sending, now: float) -> None:
        """It can be offered at once."""
        one.hop, one.is_wanted, one.acknowledged, one.sent = "", False, 0, 0
        waiting = self._waiting.setdefault(one.parcel.destination, Waiting(now))
        heapq.heappush(waiting.heap, one.parcel.order)

    def _back_off(self, one: Sending, now: float) -> None:
        """It is offered again after a while, that doubles up to a minute, with jitter."""
        self._links.get(one.hop, {}).pop(one.parcel.item_id, None)
        one.hop = ""
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

    def _forget(self, one: Sending, action: Action) -> Action:
        self._links.get(one.hop, {}).pop(one.parcel.item_id, None)
        del self._queue[one.parcel.item_id]
        return action

    # --- the next frames -------------------------------------------------------------------------------------------

    def _pump_all(self, now: float) -> list[Action]:
        return [action for peer in sorted(self._links) for action in self._pump(peer, now)]

    def _pump(self, peer: str, now: float) -> list[Action]:
        """Fill the link's window: each frame belongs to the best parcel that can use one."""
        active = self._links.get(peer)
        actions: list[Action] = []
        if active is None:
            return actions
        room = self._windows[peer] - sum(one.frames for one in active.values())
        while room > 0:
            under_way = (each for each in active.values() if each.has_more)
            one = min(under_way, key=lambda each: each.parcel.order, default=None)
            heap = self._best_heap(peer, now)
            if heap is not None and (one is None or heap[0] < one.parcel.order):
                actions += self._offer(peer, self._queue[heapq.heappop(heap)[2]], now)
            elif one is not None:
                actions.append(self._part(peer, one, now))
            else:
                break
            room -= 1
        return actions

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
        if peer != self._headquarters:
            return [peer] if peer in self._waiting else []
        return [
            one
            for one, waiting in self._waiting.items()
            if one == peer or (one not in self._links and now - waiting.away_since >= RELAY_AFTER_SECONDS)
        ]

    def _is_waiting(self, item_id: bytes) -> bool:
        return item_id in self._queue and not self._queue[item_id].hop

    def _offer(self, peer: str, one: Sending, now: float) -> list[Action]:
        """The offer; at the first attempt a body of one part follows at once, and both count as one frame."""
        one.hop, one.heard_at = peer, now
        self._links[peer][one.parcel.item_id] = one
        offer = SendOffer(peer, one.parcel.item_id)
        if one.attempts or not 0 < one.parcel.length <= PART_BYTES:
            return [offer]
        one.is_wanted = True
        return [offer, self._part(peer, one, now)]

    def _part(self, peer: str, one: Sending, now: float) -> SendPart:
        if not one.frames:
            one.heard_at = now
        offset = one.sent
        one.sent = min(one.parcel.length, offset + PART_BYTES)
        return SendPart(peer, one.parcel.item_id, offset, one.sent - offset)
