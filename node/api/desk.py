"""The Desk service: what the terminals of this post ask their node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ledger.wire import MAX_LEAF_BYTES
from node.api.checks import MAX_IDS, bounded, entry_result, present_list
from node.api.guard import current_caller
from node.api.limits import MAX_PART_BYTES
from node.shell.node import Node
from node.wire import HotlineFrame, status_to_message
from protos import node_pb2 as pb
from protos.errors import Malformed
from protos.node_pb2_grpc import DeskServicer

MAX_KEYS = 512
MAX_INBOX = 256


class Desk(DeskServicer):
    """Translates messages to calls on the node's parts and back; the guard has admitted the caller."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def GetStatus(self, _request: pb.Nothing, _context: Any) -> pb.Status:
        return status_to_message(self._node.health.status())

    async def SubmitEntry(self, request: pb.EntryBytes, _context: Any) -> pb.EntryResult:
        bounded(len(request.leaf), MAX_LEAF_BYTES, "entry")
        return entry_result(await self._node.entries.submit(request.leaf), self._node.ledger.chain.size)

    async def GetEntryResult(self, request: pb.EntryBytes, _context: Any) -> pb.EntryResult:
        bounded(len(request.leaf), MAX_LEAF_BYTES, "entry")
        return entry_result(self._node.entries.result(request.leaf), self._node.ledger.chain.size)

    async def GetCheckpoint(self, request: pb.CheckpointRequest, _context: Any) -> pb.CheckpointNote:
        return pb.CheckpointNote(note=await self._node.answers.checkpoint(request.at_least))

    async def GetState(self, request: pb.StateRequest, _context: Any) -> pb.StateAnswer:
        bounded(len(request.keys), MAX_KEYS, "keys")
        answers = self._node.answers
        proof = await answers.prove_state(tuple(request.keys), request.at_least, request.exactly)
        return pb.StateAnswer(state_proof=proof)

    async def GetBlockBefore(self, request: pb.BlockBeforeRequest, _context: Any) -> pb.StateAnswer:
        proof = await self._node.answers.block_before(request.time, request.at_least)
        return pb.StateAnswer(state_proof=proof)

    async def GetConsistency(self, request: pb.ConsistencyRequest, _context: Any) -> pb.HashList:
        return pb.HashList(hashes=self._node.answers.consistency(request.old_size, request.new_size))

    async def GetTrustFile(self, _request: pb.Nothing, _context: Any) -> AsyncIterator[pb.Chunk]:
        data = await self._node.answers.trust_file()
        for start in range(0, len(data), MAX_PART_BYTES):
            yield pb.Chunk(data=data[start : start + MAX_PART_BYTES])

    async def GetBundles(self, request: pb.BundleRequest, _context: Any) -> pb.BundleList:
        bounded(len(request.terminal_ids), MAX_IDS, "terminals")
        return pb.BundleList(signed_bundles=await self._node.directory.bundles(tuple(request.terminal_ids)))

    async def PutBundle(self, request: pb.BundleList, _context: Any) -> pb.Nothing:
        bounded(len(request.signed_bundles), 1, "bundles")
        for signed_bundle in request.signed_bundles:
            self._node.directory.put_bundle(signed_bundle, current_caller().terminal_id)
        return pb.Nothing()

    async def GetOpenings(self, request: pb.OpeningRequest, _context: Any) -> pb.OpeningList:
        bounded(len(request.officer_ids), MAX_IDS, "officers")
        found = await self._node.directory.openings(tuple(request.officer_ids))
        return pb.OpeningList(openings=[pb.Opening(officer_id=i, salt=salt, name=name) for i, salt, name in found])

    async def PutOpening(self, request: pb.Opening, _context: Any) -> pb.Nothing:
        self._node.directory.put_opening(request.officer_id, request.salt, request.name)
        return pb.Nothing()

    async def TakeSerial(self, request: pb.SerialRequest, _context: Any) -> pb.Serial:
        return pb.Serial(serial=self._node.directory.take_serial(request.cable_id, request.year), year=request.year)

    async def PutCable(self, requests: AsyncIterator[pb.CablePart], _context: Any) -> pb.Stored:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("part") != "manifest":
            raise Malformed("no-manifest", "an upload begins with its manifest")
        manifest = first.manifest
        body = _data(requests)
        terminal_id = current_caller().terminal_id
        bounded(len(manifest.again), MAX_IDS, "terminals")
        again = frozenset(manifest.again)
        uploads = self._node.uploads
        stored = await uploads.put_cable(manifest.head, body, manifest.anchor_salt, terminal_id, again)
        return pb.Stored(id=stored)

    async def GetInbox(self, request: pb.InboxRequest, _context: Any) -> pb.InboxList:
        limit = min(request.limit or MAX_INBOX, MAX_INBOX)
        mail = self._node.mail
        items = mail.inbox(current_caller().terminal_id, request.after, limit)
        return pb.InboxList(items=items, inbox_id=mail.inbox_id)

    async def GetBody(self, request: pb.BodyRequest, _context: Any) -> AsyncIterator[pb.CablePart]:
        offset = request.offset
        while data := self._node.mail.body_part(request.envelope_id, offset, current_caller().terminal_id):
            yield pb.CablePart(data=data)
            offset += len(data)

    async def PutReceipt(self, request: pb.ReceiptContent, _context: Any) -> pb.Stored:
        bounded(len(request.content), MAX_PART_BYTES, "receipt")
        terminal_id = current_caller().terminal_id
        item_id = self._node.slips.put(request.content, request.kind, request.envelope_id, request.salt, terminal_id)
        return pb.Stored(id=item_id)

    async def Track(self, request: pb.TrackRequest, _context: Any) -> pb.TrackAnswer:
        return self._node.mail.track(request.envelope_id)

    async def GetItemProof(self, request: pb.ItemProofRequest, _context: Any) -> pb.ItemProofAnswer:
        return pb.ItemProofAnswer(proof=self._node.mail.item_proof(request.envelope_id, request.kind))

    async def ListenHotline(self, _request: pb.Nothing, _context: Any) -> AsyncIterator[pb.HotlineFrame]:
        async for frame in self._node.hotline.listen(current_caller().terminal_id):
            yield frame

    async def PutHotline(self, request: pb.HotlineFrame, _context: Any) -> pb.Nothing:
        self._node.hotline.put(HotlineFrame.from_message(request), current_caller().terminal_id)
        return pb.Nothing()

    async def GetPresent(self, request: pb.PostCode, _context: Any) -> pb.PresentList:
        return present_list(await self._node.hotline.present(request.code))

    async def PutTranscriptHash(self, request: pb.TranscriptHash, _context: Any) -> pb.Nothing:
        self._node.transcripts.put(request.item_hash, request.salt, current_caller().terminal_id)
        return pb.Nothing()


async def _data(requests: AsyncIterator[pb.CablePart]) -> AsyncIterator[bytes]:
    async for part in requests:
        bounded(len(part.data), MAX_PART_BYTES, "part")
        if part.WhichOneof("part") != "data":
            raise Malformed("bad-upload", "after the manifest come only data")
        yield part.data
