"""Frames of the ABCI socket: the length of a message as a protobuf varint, then the message."""

from __future__ import annotations

from asyncio import IncompleteReadError, StreamReader

from protos.errors import Malformed

MAX_FRAME_BYTES = 8 * 1024 * 1024
"""A block has at most 1 MiB (node/comet/genesis.py); the largest request is that block once, with some header."""

_MAX_LENGTH_BYTES = 5


async def read_frame(reader: StreamReader, limit: int = MAX_FRAME_BYTES) -> bytes | None:
    """The next message, or None where the stream ends between messages.

    Raises `Malformed("bad-engine-frame")` for a length over `limit` or an overlong one, and where a frame is cut.
    """
    length = await _read_length(reader)
    if length is None:
        return None
    if length > limit:
        raise Malformed("bad-engine-frame", f"a frame of {length} bytes exceeds {limit}")
    try:
        return await reader.readexactly(length)
    except IncompleteReadError as problem:
        raise _cut() from problem


async def _read_length(reader: StreamReader) -> int | None:
    length = 0
    for at in range(_MAX_LENGTH_BYTES):
        byte = await reader.read(1)
        if not byte and at == 0:
            return None
        if not byte:
            raise _cut()
        length |= (byte[0] & 0x7F) << (7 * at)
        if byte[0] < 0x80:
            return length
    raise Malformed("bad-engine-frame", f"the length of a frame has more than {_MAX_LENGTH_BYTES} bytes")


def encode_frame(message: bytes) -> bytes:
    """The message with its length before it."""
    length, prefix = len(message), bytearray()
    while length > 0x7F:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + message


def _cut() -> Malformed:
    return Malformed("bad-engine-frame", "the stream ends within a frame")
