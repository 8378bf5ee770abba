"""Bounds and answers that both services share."""

from __future__ import annotations

from collections.abc import Iterable

from node.sequence import EntryOutcome
from node.wire import Present
from protos import node_pb2 as pb
from protos.errors import Malformed

MAX_IDS = 1024


def bounded(size: int, limit: int, what: str) -> None:
    """Raise `Malformed("too-large")` if `size` exceeds `limit`."""
    if size > limit:
        raise Malformed("too-large", f"{size} is more than {limit} for {what}", size=size, limit=limit)


def present_list(present: Iterable[Present]) -> pb.PresentList:
    """The wire form of who is at a hotline."""
    return pb.PresentList(present=[pb.Present(terminal_id=one.terminal_id, since=one.since) for one in present])


def entry_result(outcome: EntryOutcome, size: int) -> pb.EntryResult:
    """The wire form of an outcome, by a log of `size` leaves."""
    return pb.EntryResult(code=outcome.code, text=outcome.text, index=outcome.index or 0, size=size)
