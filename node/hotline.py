"""The hotline's switchboard: who listens at this post, and frames on their way, in memory only. No I/O, no clock.

Frames of the hotline may be lost anywhere: the terminals number, confirm and repeat them (docs/protocol/hotline.md).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from node.api.limits import Bucket
from node.wire import HotlineFrame, Present
from protos.errors import Malformed, Refused, Unavailable

CALL_ID_BYTES = 16
TERMINAL_ID_BYTES = 32
MAX_CONTENT = 4096
MAX_KIND = 15
MAX_SEATS = 256
SEAT_FRAMES = 64
QUEUE_FRAMES = 128
GRACE_SECONDS = 5.0
"""How long a terminal that has just stopped listening counts as present: it may be listening again already."""
FRAMES_PER_SECOND = 10.0
BURST_FRAMES = 80.0
MAX_SOURCES = 1024


@dataclass(slots=True)
class _Seat:
    """`ticket` tells a terminal's newest stream from the ones before. `left_at` None while it listens."""

    since: int
    ticket: int
    left_at: float | None = None
    frames: deque[HotlineFrame] = field(default_factory=deque)


class Switchboard:
    """`now` is seconds of a monotonic clock. Everything is bounded: seats, frames for each, frames by source."""

    def __init__(self, post: str, headquarters: str) -> None:
        self._post, self._headquarters = post, headquarters
        self._seats: dict[bytes, _Seat] = {}
        self._queues: dict[str, deque[HotlineFrame]] = {}
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()
        self._tickets = 0

    # --- who listens -----------------------------------------------------------------------------------------

    def sit(self, terminal_id: bytes, since: int, now: float) -> int:
        """A terminal listens; its earlier stream gets nothing more. Raises `Unavailable` ("hotline-full")."""
        self._age(now)
        seat = self._seats.get(terminal_id)
        if seat is None and len(self._seats) >= MAX_SEATS:
            raise Unavailable("hotline-full", "too many terminals are at this hotline", hint="try again in a moment")
        self._tickets += 1
        if seat is None:
            self._seats[terminal_id] = _Seat(since, self._tickets)
        else:
            seat.ticket, seat.left_at = self._tickets, None
        return self._tickets

    def leave(self, terminal_id: bytes, ticket: int, now: float) -> None:
        """The stream with this ticket has ended."""
        seat = self._seats.get(terminal_id)
        if seat is not None and seat.ticket == ticket:
            seat.left_at = now

    def present(self, now: float) -> tuple[Present, ...]:
        """Who is at the hotline of this post."""
        self._age(now)
        return tuple(Present(terminal_id, seat.since) for terminal_id, seat in self._seats.items())

    def take(self, terminal_id: bytes, ticket: int) -> HotlineFrame | None:
        """The next frame for the stream with this ticket; None if there is none now."""
        seat = self._seats.get(terminal_id)
        return seat.frames.popleft() if seat is not None and seat.ticket == ticket and seat.frames else None

    def holds(self, terminal_id: bytes, ticket: int) -> bool:
        """Whether this is still the terminal's newest stream."""
        seat = self._seats.get(terminal_id)
        return seat is not None and seat.ticket == ticket

    # --- frames ----------------------------------------------------------------------------------------------

    def put(self, frame: HotlineFrame, terminal_id: bytes, now: float) -> None:
        """A terminal of this post hands a frame in. Raises as `_accept`, `Refused` ("not-yours")."""
        if (frame.origin, frame.origin_terminal_id) != (self._post, terminal_id):
            raise Refused("not-yours", "a terminal speaks for itself only")
        self._accept(frame, terminal_id, now)

    def passed(self, frame: HotlineFrame, peer: str, now: float) -> None:
        """Another node passes a frame on. Only HQ does so for others, and only HQ is asked to.

        Raises as `_accept`, `Refused` ("not-yours", "no-relay").
        """
        if frame.origin == self._post or peer not in (frame.origin, self._headquarters):
            raise Refused("not-yours", "a post passes on its own frames, headquarters everybody's")
        if frame.destination != self._post and self._post != self._headquarters:
            raise Refused("no-relay", "only headquarters relays")
        self._accept(frame, frame.origin, now)

    def next_for(self, post: str) -> HotlineFrame | None:
        """The next frame on its way to that post."""
        queue = self._queues.get(post)
        if not queue:
            self._queues.pop(post, None)
            return None
        return queue.popleft()

    def _accept(self, frame: HotlineFrame, source: Hashable, now: float) -> None:
        """Raises `Malformed` ("bad-frame"), `Unavailable` ("hotline-busy", "not-at-hotline")."""
        _check(frame)
        self._age(now)
        if not self._bucket(source).take(now):
            raise _busy()
        if frame.destination != self._post:
            queue, most = self._queues.setdefault(frame.destination, deque()), QUEUE_FRAMES
        elif (seat := self._seats.get(frame.terminal_id)) is not None:
            queue, most = seat.frames, SEAT_FRAMES
        else:
            raise Unavailable(
                "not-at-hotline", "that terminal is not at the hotline", hint="see `dutabarta hotline present`"
            )
        if len(queue) >= most:
            raise _busy()
        queue.append(frame)

    def _bucket(self, source: Hashable) -> Bucket:
        found = self._buckets.setdefault(source, Bucket(FRAMES_PER_SECOND, BURST_FRAMES))
        self._buckets.move_to_end(source)
        if len(self._buckets) > MAX_SOURCES:
            self._buckets.popitem(last=False)
        return found

    def _age(self, now: float) -> None:
        gone = [
            terminal_id
            for terminal_id, seat in self._seats.items()
            if seat.left_at is not None and now - seat.left_at >= GRACE_SECONDS
        ]
        for terminal_id in gone:
            del self._seats[terminal_id]


def _check(frame: HotlineFrame) -> None:
    ids = (frame.terminal_id, frame.origin_terminal_id)
    is_formed = len(frame.call_id) == CALL_ID_BYTES and all(len(one) == TERMINAL_ID_BYTES for one in ids)
    if not is_formed or not 0 < len(frame.content) <= MAX_CONTENT or not 0 < frame.kind <= MAX_KIND:
        raise Malformed("bad-frame", "a hotline frame has a call, two terminals, a kind and at most 4 KiB")


def _busy() -> Unavailable:
    return Unavailable("hotline-busy", "too many frames of the hotline wait", hint="wait a moment")
