"""The ledger's links: follows one peer's log, fetches blocks, delivers cosignatures, asks and submits."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import grpc

from node import actions as act
from node.actions import Action
from node.links import Backoff, Links
from node.shell.entries import Entries
from node.shell.frames import BlockReader
from node.shell.ledger import LedgerShell
from node.shell.tasks import Tasks
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed

_log = logging.getLogger(__name__)
SHUNNED_SECONDS = 30.0
PROBE_SECONDS = 10.0
TRIES_BEFORE_STANDBY = 3
FETCH_SECONDS = 600.0


class PeerLinks:
    """The Outbox of a LedgerShell."""

    def __init__(self, ledger: LedgerShell, links: Links, entries: Entries, tasks: Tasks) -> None:
        self._ledger = ledger
        self._links = links
        self._entries = entries
        self._tasks = tasks
        self._stream: tuple[str, asyncio.Task[Any]] | None = None
        self._fetching: set[str] = set()
        self._asking: set[str] = set()
        self._shunned: dict[str, float] = {}
        self.heights: dict[str, int] = {}

    def send(self, action: Action) -> None:
        """See Outbox."""
        match action:
            case act.FetchBlocks(peer, start, end):
                self._tasks.spawn(self.fetch(peer, start, end))
            case act.DropPeer(peer, code):
                self._drop(peer, code)
            case act.SendCosignature():
                self._tasks.spawn(self._deliver(action))
            case act.AskOwnNewest(post) if post not in self._asking:
                self._tasks.spawn(self._ask_own_newest(post))
            case act.AskOwnNewest():
                pass
            case act.SubmitEntry(leaf):
                self._tasks.spawn(self._submit(leaf))
            case _:
                raise TypeError(f"no link carries out {type(action).__name__}")

    def hello(self) -> pb.Hello:
        """What this side says when a stream opens."""
        return pb.Hello(post=self._ledger.post, checkpoint=self._ledger.newest_note, clock=self._ledger.clock())

    def hello_received(self, peer: str, hello: pb.Hello) -> None:
        """What the other side said."""
        self._ledger.has_heard = True
        now = self._ledger.clock()
        self._ledger.perform(self._ledger.witness.peer_clock(peer, hello.clock, now))
        self._ledger.perform(self._ledger.follower.note_received(peer, hello.checkpoint, now))

    # --- following ---------------------------------------------------------------------------------------------

    async def follow_for_ever(self) -> None:
        """Keep one stream open: to a validator while one answers, else to any other post."""
        backoff = Backoff(most=5.0)
        failures = 0
        while True:
            peer = self._candidate(failures)
            if not peer:
                await self._ledger.pulse.wait(5.0)
                continue
            heard = await self._follow_until_better(peer)
            self._ledger.follower.peer_lost(peer)
            failures = 0 if heard else failures + 1
            if heard:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _follow_until_better(self, peer: str) -> bool:
        """Follow `peer`; another than a validator only until a validator answers again.

        False if the peer had nothing to say.
        """
        task = self._tasks.spawn(self._follow(peer))
        self._stream = peer, task
        ends: set[asyncio.Task[Any]] = {task}
        if peer not in self._ledger.sequencers():
            ends.add(self._tasks.spawn(self._validator_answers()))
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in ends:
            one.cancel()
        return task not in done or (not task.cancelled() and bool(task.result()))

    async def _validator_answers(self) -> None:
        backoff = Backoff(most=PROBE_SECONDS)
        while True:
            await asyncio.sleep(backoff.next())
            for post in self._ledger.sequencers():
                try:
                    await self._links.call(post, lambda stub: stub.GetOwnNewest, pb.PostCode(code=self._ledger.post))
                except DutabartaError:
                    continue
                return

    def _candidate(self, failures: int) -> str:
        """Each validator a few times, then every other post in turn; empty if nobody is left."""
        first = self._ledger.sequencers()
        rest = [code for code in self._ledger.others() if code not in first]
        now = time.monotonic()
        tries = [code for code in first * TRIES_BEFORE_STANDBY + rest if self._shunned.get(code, 0.0) <= now]
        return tries[failures % len(tries)] if tries else ""

    async def _follow(self, peer: str) -> bool:
        """Take a peer's stream to its end. True if it had something to say."""
        heard = False
        try:
            request = pb.FollowRequest(hello=self.hello(), size=self._ledger.chain.size)
            reader = BlockReader()
            async for frame in self._links.stub(peer).Follow(request):
                self._links.reached[peer] = heard = True
                self._take(peer, frame, reader)
        except grpc.RpcError as problem:
            _log.info("following %s ended: %s", peer, self._links.failed(peer, problem).code)
        except DutabartaError as problem:
            _log.info("following %s ended: %s", peer, problem.code)
        return heard

    def _take(self, peer: str, frame: pb.FollowFrame, reader: BlockReader) -> None:
        follower, now = self._ledger.follower, self._ledger.clock()
        match frame.WhichOneof("frame"):
            case "hello":
                self.hello_received(peer, frame.hello)
            case "block":
                whole = reader.take(frame.block)
                if whole is not None:
                    self.heights[peer] = whole[0] + len(whole[1])
                    if not self._ledger.is_engine_running:
                        self._ledger.perform(follower.block_received(peer, *whole, now))
            case "checkpoint":
                self._ledger.perform(follower.note_received(peer, frame.checkpoint.note, now))
            case _:
                raise Malformed("bad-stream", "an empty frame")

    def _drop(self, peer: str, code: str) -> None:
        _log.warning("dropping %s: %s", peer, code)
        self._shunned[peer] = time.monotonic() + SHUNNED_SECONDS
        if self._stream is not None and self._stream[0] == peer:
            self._stream[1].cancel()

    async def fetch(self, peer: str, start: int, end: int) -> None:
        """Take blocks from any peer until `end`, and the checkpoint that holds them; the engine's are not fetched."""
        if peer in self._fetching or self._ledger.is_engine_running:
            return
        self._fetching.add(peer)
        try:
            reader = BlockReader()
            request = pb.BlocksRequest(start=start, end=end)
            async for frame in self._links.stub(peer).GetBlocks(request, timeout=FETCH_SECONDS):
                self._take(peer, frame, reader)
        except grpc.RpcError as problem:
            _log.info("fetching from %s failed: %s", peer, self._links.failed(peer, problem).code)
        except DutabartaError as problem:
            _log.info("fetching from %s failed: %s", peer, problem.code)
        finally:
            self._fetching.discard(peer)

    # --- single calls --------------------------------------------------------------------------------------------

    async def _deliver(self, action: act.SendCosignature) -> None:
        request = pb.CosignatureLine(post=self._ledger.post, size=action.size, root=action.root, line=action.line)
        try:
            await self._links.call(action.post, lambda stub: stub.SubmitCosignature, request)
        except DutabartaError as problem:
            _log.info("cosignature for %s waits: %s", action.post, problem.code)
        else:
            self._ledger.witness.delivered(action.post, action.size)

    async def _ask_own_newest(self, post: str) -> None:
        backoff = Backoff(most=15.0)
        self._asking.add(post)
        while not self._ledger.witness.is_ready:
            try:
                request = pb.PostCode(code=self._ledger.post)
                answer = await self._links.call(post, lambda stub: stub.GetOwnNewest, request)
            except DutabartaError:
                await asyncio.sleep(backoff.next())
                continue
            self._ledger.slots.adopt_sequence(answer.sequence)
            self._ledger.perform(self._ledger.witness.own_newest(post, answer.cosigned_size, answer.cosigned_root))
            return

    async def _submit(self, leaf: bytes) -> None:
        outcome = await self._entries.bring(leaf)
        self._ledger.perform(self._ledger.slots.answered(leaf, outcome.code, outcome.text))
