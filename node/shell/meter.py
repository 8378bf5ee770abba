"""Counts the bytes of the courier's and the hotline's frames, and writes the counts down now and then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from google.protobuf.message import Message
from sqlalchemy import Connection

from node.store import traffic
from node.store.traffic import Bytes

WRITE_SECONDS = 10
DAY_SECONDS = 86_400
ID_BYTES = 32


class Meter:
    """By day and post, and by envelope. What is not written yet is lost when the node is killed."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._written_at = clock()
        self._days: defaultdict[tuple[int, str], Bytes] = defaultdict(Bytes)
        self._cables: defaultdict[bytes, Bytes] = defaultdict(Bytes)

    def sent(self, peer: str, frame: Message, envelope_id: bytes = b"") -> None:
        """A frame goes to `peer`."""
        size = frame.ByteSize()
        self._days[self._clock() // DAY_SECONDS, peer].sent += size
        if envelope_id:
            self._cables[envelope_id].sent += size

    def received(self, peer: str, frame: Message, envelope_id: bytes = b"") -> None:
        """A frame has come from `peer`, of this envelope if one can believe it."""
        size = frame.ByteSize()
        self._days[self._clock() // DAY_SECONDS, peer].received += size
        if len(envelope_id) == ID_BYTES:
            self._cables[envelope_id].received += size

    @property
    def is_due(self) -> bool:
        """Whether there is something to write, and it is time."""
        return bool(self._days) and abs(self._clock() - self._written_at) >= WRITE_SECONDS

    def write(self, tx: Connection, begun: Iterable[bytes]) -> None:
        """Write what was counted. `begun`: envelopes whose bodies are under way to this node."""
        traffic.add_days(tx, self._days)
        traffic.add_cables(tx, self._cables, begun)
        self._written_at = self._clock()
        self._days.clear()
        self._cables.clear()
