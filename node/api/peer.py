"""The Peer service: what the other posts' nodes ask this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from ledger.merkle import HASH_BYTES
from ledger.wire import MAX_LEAF_BYTES
from node.api.checks import MAX_IDS, bounded, entry_result, present_list
from node.api.guard import current_caller
from node.collect import MAX_LINE_BYTES
from node.shell.node import Node
from node.wire import HotlineFrame
from protos import node_pb2 as pb
from protos.errors import Malformed, Refused
from protos.node_pb2_grpc import PeerServicer


class Peer(PeerServicer):
    """Translates messages to calls on the node's parts and back; the guard has admitted the caller as a live post."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def Follow(self, request: pb.FollowRequest, context: Any) -> AsyncIterator[pb.FollowFrame]:
        context.set_compression(grpc.Compression.Gzip)
        _check_hello(request.hello)
        self._node.peers.hello_received(current_caller().post, request.hello)
        yield pb.FollowFrame(hello=self._node.peers.hello())
        async for frame in self._node.answers.follow(request.size):
            yield frame

    async def GetBlocks(self, request: pb.BlocksRequest, context: Any) -> AsyncIterator[pb.FollowFrame]:
        context.set_compression(grpc.Compression.Gzip)
        async for frame in self._node.answers.blocks(request.start, request.end):
            yield frame

    async def GetCheckpoint(self, request: pb.CheckpointRequest, _context: Any) -> pb.CheckpointNote:
        return pb.CheckpointNote(note=await self._node.answers.checkpoint(request.at_least))

    async def SubmitEntry(self, request: pb.EntryBytes, _context: Any) -> pb.EntryResult:
        bounded(len(request.leaf), MAX_LEAF_BYTES, "entry")
        return entry_result(await self._node.entries.order(request.leaf), self._node.ledger.chain.size)

    async def SubmitCosignature(self, request: pb.CosignatureLine, _context: Any) -> pb.Nothing:
        post = current_caller().post
        bounded(len(request.line), MAX_LINE_BYTES, "line")
        if request.post != post or len(request.root) != HASH_BYTES:
            raise Refused("not-yours", "a post hands in its own cosignatures")
        ledger = self._node.ledger
        await ledger.has_decided(request.size)
        ledger.perform(ledger.collector.line_received(post, request.size, request.root, request.line))
        return pb.Nothing()

    async def GetOwnNewest(self, request: pb.PostCode, _context: Any) -> pb.OwnNewest:
        return self._node.answers.own_newest(request.code)

    async def GetBundles(self, request: pb.BundleRequest, _context: Any) -> pb.BundleList:
        bounded(len(request.terminal_ids), MAX_IDS, "terminals")
        return pb.BundleList(signed_bundles=self._node.directory.own_bundles(request.terminal_ids)[0])

    async def GetOpenings(self, request: pb.OpeningRequest, _context: Any) -> pb.OpeningList:
        bounded(len(request.officer_ids), MAX_IDS, "officers")
        found = self._node.directory.own_openings(request.officer_ids)
        return pb.OpeningList(openings=[pb.Opening(officer_id=i, salt=salt, name=name) for i, salt, name in found])

    async def Carry(self, requests: AsyncIterator[pb.CarryFrame], _context: Any) -> AsyncIterator[pb.CarryFrame]:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("frame") != "hello":
            raise Malformed("bad-stream", "a stream opens with a hello")
        _check_hello(first.hello)
        peer = current_caller().post
        self._node.peers.hello_received(peer, first.hello)
        yield pb.CarryFrame(hello=self._node.peers.hello())
        async for answer in self._node.courier.receive(peer, requests):
            yield answer

    async def PassHotline(self, request: pb.HotlineFrame, _context: Any) -> pb.Nothing:
        self._node.hotline.passed(HotlineFrame.from_message(request), current_caller().post)
        return pb.Nothing()

    async def GetPresent(self, request: pb.PostCode, _context: Any) -> pb.PresentList:
        return present_list(await self._node.hotline.present(request.code, may_relay=False))


def _check_hello(hello: pb.Hello) -> None:
    if hello.post != current_caller().post:
        raise Refused("not-yours", "a hello names its own post")
