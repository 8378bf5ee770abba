"""The hotline over this node: streams to listening terminals, frames to other posts, ahead of the courier's."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import AsyncIterator

from node.hotline import Switchboard
from node.links import Links
from node.shell.ledger import LedgerShell
from node.shell.meter import Meter
from node.shell.pulse import Pulse
from node.shell.sending import Sending
from node.shell.tasks import Tasks
from node.wire import HotlineFrame, Present
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Refused, Unavailable

_log = logging.getLogger(__name__)
UNDER_WAY = 8
"""Frames that may be unanswered on the way to one post."""
PASS_SECONDS = 10.0
ASK_SECONDS = 10.0
SHUNNED_SECONDS = 60.0
"""How long a post that did not answer directly is reached through HQ first."""
SHOW_SECONDS = 15.0
"""How often a listening terminal is shown that the node is there."""


class HotlineShell:
    """Carries frames from terminal to terminal. All methods run in the event loop's thread."""

    def __init__(self, ledger: LedgerShell, links: Links, tasks: Tasks, sending: Sending, meter: Meter) -> None:
        self._ledger, self._links, self._tasks, self._sending, self._meter = ledger, links, tasks, sending, meter
        self._headquarters = ledger.chain.machine.state.headquarters()
        self._board = Switchboard(ledger.post, self._headquarters)
        self._pulse = Pulse()
        self._under_way: Counter[str] = Counter()
        self._shunned: dict[str, float] = {}

    async def listen(self, terminal_id: bytes) -> AsyncIterator[pb.HotlineFrame]:
        """Frames for a terminal, until it goes or listens anew; an empty one at once and now and then."""
        ticket = self._board.sit(terminal_id, self._ledger.clock(), time.monotonic())
        try:
            yield pb.HotlineFrame()
            while self._board.holds(terminal_id, ticket):
                frame = self._board.take(terminal_id, ticket)
                if frame is not None:
                    yield frame.to_message()
                elif await self._is_quiet():
                    yield pb.HotlineFrame()
        finally:
            self._board.leave(terminal_id, ticket, time.monotonic())

    async def _is_quiet(self) -> bool:
        """Wait for any frame; True if for so long there was none."""
        before = time.monotonic()
        await self._pulse.wait(SHOW_SECONDS)
        return time.monotonic() - before >= SHOW_SECONDS

    def put(self, frame: HotlineFrame, terminal_id: bytes) -> None:
        """A terminal of this post hands a frame in. Raises as `Switchboard.put`, `Unavailable` ("unknown-post")."""
        if frame.destination != self._ledger.post:
            self._links.stub(frame.destination)
        self._board.put(frame, terminal_id, time.monotonic())
        self._go_on(frame.destination)

    def passed(self, frame: HotlineFrame, peer: str) -> None:
        """Another node passes a frame on. Raises as `Switchboard.passed`, `Unavailable` ("unknown-post")."""
        self._meter.received(peer, frame.to_message())
        if frame.destination != self._ledger.post:
            self._links.stub(frame.destination)
        self._board.passed(frame, peer, time.monotonic())
        self._go_on(frame.destination)

    # --- who is there ----------------------------------------------------------------------------------------

    async def present(self, post: str, *, may_relay: bool = True) -> tuple[Present, ...]:
        """Who is at the hotline of `post`, as its node says. Raises `Unavailable` if that is not reached.

        `may_relay` False: another node asks, so that this one, if it is HQ, asks nobody but the post itself.
        """
        if post == self._ledger.post:
            return self._board.present(time.monotonic())
        if not may_relay and not self._ledger.is_headquarters:
            raise Refused("no-relay", "only headquarters relays")
        problem: DutabartaError | None = None
        for hop in self._ways(post) if may_relay else [post]:
            try:
                request = pb.PostCode(code=post)
                answer = await self._links.call(hop, lambda stub: stub.GetPresent, request, ASK_SECONDS)
                return tuple(Present(one.terminal_id, one.since) for one in answer.present)
            except Unavailable as unreached:
                problem = unreached
                self._shun(post, hop)
        raise problem or Unavailable("unreachable", f"{post} is not reached", hint="wait for its line", address=post)

    # --- on the way ------------------------------------------------------------------------------------------

    def _go_on(self, destination: str) -> None:
        if destination == self._ledger.post:
            self._pulse.beat()
            return
        while self._under_way[destination] < UNDER_WAY and (frame := self._board.next_for(destination)) is not None:
            self._under_way[destination] += 1
            self._tasks.spawn(self._carry(frame))

    async def _carry(self, frame: HotlineFrame) -> None:
        """Directly, else through HQ. What arrives nowhere is lost: its terminal sends it again."""
        destination = frame.destination
        try:
            for hop in self._ways(destination):
                if await self._pass(frame, hop):
                    return
                self._shun(destination, hop)
        finally:
            self._under_way[destination] -= 1
            self._go_on(destination)

    async def _pass(self, frame: HotlineFrame, hop: str) -> bool:
        """False if the next hop was not reached. What it refuses is lost as well."""
        message = frame.to_message()
        self._meter.sent(hop, message)
        self._sending.hold(hop, message.ByteSize())
        try:
            await self._links.call(hop, lambda stub: stub.PassHotline, message, PASS_SECONDS)
        except DutabartaError as problem:
            _log.info("a hotline frame to %s by %s: %s", frame.destination, hop, problem.code)
            return not isinstance(problem, Unavailable) or problem.code in _LOST
        finally:
            self._sending.release(hop)
        return True

    def _ways(self, post: str) -> list[str]:
        """The hops to try in turn."""
        if self._ledger.is_headquarters or post == self._headquarters:
            return [post]
        is_shunned = self._shunned.get(post, 0.0) > time.monotonic()
        return [self._headquarters, post] if is_shunned else [post, self._headquarters]

    def _shun(self, post: str, hop: str) -> None:
        if hop == post:
            self._shunned[post] = time.monotonic() + SHUNNED_SECONDS


_LOST = frozenset(("not-at-hotline", "hotline-busy"))
"""What a reached post answers: there is no sense in another way."""
