"""The log as a file: every leaf and the signed checkpoints, engine-neutral (docs/protocol/log-file.md).

"dutabarta/v1/log" and a newline, then records: kind byte, length (4 bytes, big-endian), bytes. A checkpoint stands
directly after the block that it closes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ledger.note import MAX_NOTE_BYTES
from ledger.wire import MAX_RECORD_BYTES
from protos.errors import Malformed

HEADER = b"dutabarta/v1/log\n"
LEAF = 1
CHECKPOINT = 2

_LIMITS = {LEAF: MAX_RECORD_BYTES + 1, CHECKPOINT: MAX_NOTE_BYTES}
_HEAD_BYTES = 5


@dataclass(frozen=True, slots=True)
class LogItem:
    """A leaf's bytes (`kind` LEAF) or a signed note (`kind` CHECKPOINT)."""

    kind: int
    data: bytes


def write_log(stream: BinaryIO, items: Iterable[LogItem]) -> None:
    """Write a log file."""
    stream.write(HEADER)
    for item in items:
        stream.write(bytes([item.kind]) + len(item.data).to_bytes(4, "big") + item.data)


def read_log(stream: BinaryIO) -> Iterator[LogItem]:
    """The items of a log file, one at a time in bounded memory.

    Raises `Malformed`: "not-a-log", "unknown-item", "too-large", "truncated" (`offset` says where).
    """
    check_header(stream.read(len(HEADER)))
    offset = len(HEADER)
    while head := stream.read(_HEAD_BYTES):
        item = _read_item(stream, head, offset)
        offset += _HEAD_BYTES + len(item.data)
        yield item


def check_header(start: bytes) -> None:
    """Raise `Malformed("not-a-log")` unless a file with these first bytes is a log file."""
    if not start.startswith(HEADER):
        raise Malformed("not-a-log", "this is no log file", hint="Give a file that `ledger export` wrote.")


def leaves_of(items: Iterable[LogItem]) -> Iterator[bytes]:
    """Only the leaves."""
    return (item.data for item in items if item.kind == LEAF)


def _read_item(stream: BinaryIO, head: bytes, offset: int) -> LogItem:
    if len(head) < _HEAD_BYTES:
        raise _truncated(offset)
    kind, length = head[0], int.from_bytes(head[1:], "big")
    limit = _LIMITS.get(kind)
    if limit is None:
        raise Malformed("unknown-item", f"no item of a log file has kind {kind} (byte {offset})", offset=offset)
    if length > limit:
        text = f"item of {length} bytes exceeds {limit} (byte {offset})"
        raise Malformed("too-large", text, size=length, limit=limit)
    data = stream.read(length)
    if len(data) < length:
        raise _truncated(offset)
    return LogItem(kind, data)


def _truncated(offset: int) -> Malformed:
    hint = "Export or copy it again."
    return Malformed("truncated", f"the log file ends within an item (byte {offset})", hint=hint, offset=offset)
