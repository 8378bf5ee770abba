"""Blocks and checkpoints as frames of a stream, in both directions. A large block travels in several frames."""

from __future__ import annotations

from collections.abc import Iterator

from node.store.log import StoredBlock
from protos import node_pb2 as pb
from protos.errors import Malformed

FRAME_BYTES = 1024 * 1024
MAX_BLOCK_BYTES = 40 * 1024 * 1024
"""A block of 1,024 entries of 32 KiB and its record."""


def block_frames(block: StoredBlock) -> Iterator[pb.FollowFrame]:
    """The frames of one block; each but the last has `more` set."""
    first = 0
    while first < len(block.leaves):
        end, size = first, 0
        while end < len(block.leaves) and (end == first or size + len(block.leaves[end]) <= FRAME_BYTES):
            size += len(block.leaves[end])
            end += 1
        part = pb.Block(start=block.start + first, leaves=block.leaves[first:end], more=end < len(block.leaves))
        yield pb.FollowFrame(block=part)
        first = end


def note_frame(note: bytes) -> pb.FollowFrame:
    """The frame of a checkpoint."""
    return pb.FollowFrame(checkpoint=pb.CheckpointNote(note=note))


class BlockReader:
    """Puts the frames of a block together again, within bounds."""

    def __init__(self) -> None:
        self._start = 0
        self._leaves: list[bytes] = []
        self._size = 0

    def take(self, part: pb.Block) -> tuple[int, tuple[bytes, ...]] | None:
        """(start, leaves) when the block is whole, else None. Raises `Malformed`."""
        if not self._leaves:
            self._start, self._size = part.start, 0
        self._size += sum(map(len, part.leaves))
        if part.start != self._start + len(self._leaves) or not part.leaves or self._size > MAX_BLOCK_BYTES:
            raise Malformed("bad-stream", "a block arrives in order, whole and within bounds")
        self._leaves += part.leaves
        if part.more:
            return None
        leaves, self._leaves = tuple(self._leaves), []
        return self._start, leaves
