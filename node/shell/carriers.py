"""The courier's streams: outgoing ones to the posts that something waits for, incoming ones from the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import TypeVar

import grpc

from node.links import Backoff, Links
from node.shell.receiving import Frames, Receiving
from node.shell.sending import Sending
from node.shell.tasks import Tasks
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed

_log = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
IDLE_SECONDS = 60.0
MAX_TOGETHER = 256
LINGER_SECONDS = 0.001
QUEUE_FRAMES = 256

F = TypeVar("F")


class Carriers:
    """Keeps a Carry stream to every post with waiting items, and to `relays` (HQ, named ones) while anything waits."""

    def __init__(
        self,
        sending: Sending,
        receiving: Receiving,
        links: Links,
        tasks: Tasks,
        relays: frozenset[str],
        hello: Callable[[], pb.Hello],
        heard: Callable[[str, pb.Hello], None],
    ) -> None:
        self._sending = sending
        self._receiving = receiving
        self._links = links
        self._tasks = tasks
        self._relays = relays
        self._hello = hello
        self._heard = heard
        self._running: set[str] = set()
        self._is_running = False

    async def run_for_ever(self) -> None:
        """Tick the machine and open what is needed."""
        self._is_running = True
        while True:
            self._sending.tick()
            self._receiving.tick()
            self._open_wanted()
            await asyncio.sleep(LOOK_SECONDS)

    @property
    def is_busy(self) -> bool:
        """Whether anything waits for another post."""
        return self._sending.is_busy

    def wake(self) -> None:
        """Something was queued: open its stream without waiting for the next look."""
        if self._is_running:
            self._open_wanted()

    def _open_wanted(self) -> None:
        for post in self._wanted() - self._running:
            self._running.add(post)
            self._tasks.spawn(self._carry(post))

    def _wanted(self) -> set[str]:
        waiting = self._sending.destinations()
        return waiting | self._relays if waiting else waiting

    async def _carry(self, post: str) -> None:
        """Hold a stream to `post` until nothing has waited for it for a while."""
        backoff = Backoff()
        try:
            while post in self._wanted():
                if await self._one_stream(post):
                    backoff.reset()
                else:
                    await asyncio.sleep(backoff.next())
        finally:
            self._running.discard(post)

    async def _one_stream(self, post: str) -> bool:
        """One stream to its end. True if the peer answered on it."""
        outgoing: asyncio.Queue[pb.CarryFrame | None] = asyncio.Queue()
        outgoing.put_nowait(pb.CarryFrame(hello=self._hello()))
        linked = False
        try:
            stream: AsyncIterable[pb.CarryFrame] = self._links.stub(post).Carry(_drain(outgoing))
            async for frames in together(stream):
                if not linked:
                    self._open(post, frames, outgoing)
                    linked = True
                self._sending.answered(post, [one.answer for one in frames if one.WhichOneof("frame") == "answer"])
        except grpc.RpcError as problem:
            _log.info("carrying to %s ended: %s", post, self._links.failed(post, problem).code)
        except DutabartaError as problem:
            _log.info("carrying to %s ended: %s", post, problem.code)
        finally:
            outgoing.put_nowait(None)
            if linked:
                self._sending.unlinked(post)
        return linked

    def _open(self, post: str, frames: Frames, outgoing: asyncio.Queue[pb.CarryFrame | None]) -> None:
        if frames[0].WhichOneof("frame") != "hello":
            raise Malformed("bad-stream", "a stream opens with a hello")
        self._links.reached[post] = True
        self._heard(post, frames[0].hello)
        self._sending.linked(post, outgoing.put_nowait)

    async def receive(self, peer: str, requests: AsyncIterator[pb.CarryFrame]) -> AsyncIterator[pb.CarryFrame]:
        """The incoming side of a stream: store what comes, then answer."""
        async for frames in together(requests):
            for answer in self._receiving.received(peer, frames):
                yield answer


async def together(stream: AsyncIterable[F]) -> AsyncIterator[list[F]]:
    """The items of a stream in lists of those that have come already, so that they can share one transaction."""
    queue: asyncio.Queue[F | None] = asyncio.Queue(QUEUE_FRAMES)

    async def read() -> None:
        try:
            async for item in stream:
                await queue.put(item)
        finally:
            await queue.put(None)

    reader = asyncio.create_task(read())
    try:
        ended = False
        while not ended:
            found = [await queue.get()]
            await asyncio.sleep(LINGER_SECONDS)
            while len(found) < MAX_TOGETHER and not queue.empty():
                found.append(queue.get_nowait())
            items = [item for item in found if item is not None]
            ended = len(items) < len(found)
            if items:
                yield items
        await reader
    finally:
        reader.cancel()


async def _drain(outgoing: asyncio.Queue[pb.CarryFrame | None]) -> AsyncIterator[pb.CarryFrame]:
    while (frame := await outgoing.get()) is not None:
        yield frame
