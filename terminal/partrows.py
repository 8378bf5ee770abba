"""Large contents in parts: the bodies of envelopes and the attachments of cables, 8 MiB a row.

A list of cables is read without them, a change of state writes none of them again, and none is held twice in memory.
"""

from __future__ import annotations

from sqlalchemy import insert, select

from terminal.records import Buffer, Sealed
from terminal.rows import Rows
from terminal.schema import envelope, part

PART_BYTES = 8 << 20
BODY, FILE = b"body", b"file"


class PartRows(Rows):
    """Sealed envelopes, kept as sent or received and never sealed again, and what a cable carries besides its text."""

    def add_envelope(self, envelope_id: bytes, sealed: Sealed) -> None:
        tag = self._tag("envelope", envelope_id)
        place, is_large = f"envelope/{tag.hex()}", len(sealed.body) > PART_BYTES
        body = b"" if is_large else bytes(sealed.body)
        values = {"head": self._sealer.seal(place, sealed.head), "body": self._sealer.seal(place, body)}
        self._put(envelope, {"envelope": tag}, values)
        if is_large:
            self._add_parts(tag, self._owner(BODY, envelope_id), sealed.body)

    def envelope(self, envelope_id: bytes) -> Sealed | None:
        tag = self._tag("envelope", envelope_id)
        columns = select(envelope.c.head, envelope.c.body).where(envelope.c.envelope == tag)
        row = self._connection.execute(columns).first()
        if row is None:
            return None
        place = f"envelope/{tag.hex()}"
        body = self._sealer.open(place, row[1]) or self._parts(self._owner(BODY, envelope_id))
        return Sealed(self._sealer.open(place, row[0]), body)

    def add_attachments(self, envelope_id: bytes, attachments: tuple[bytes, ...]) -> None:
        """Keep a cable's attachments, in their order. Those of an envelope that has some already stay."""
        tag = self._tag("envelope", envelope_id)
        if self._parts_of(self._owner(FILE, envelope_id, 0)):
            return
        for place, content in enumerate(attachments):
            self._add_parts(tag, self._owner(FILE, envelope_id, place), content)

    def attachments(self, envelope_id: bytes, count: int) -> tuple[bytes, ...]:
        """The `count` attachments of a cable."""
        return tuple(bytes(self._parts(self._owner(FILE, envelope_id, place))) for place in range(count))

    def _owner(self, kind: bytes, envelope_id: bytes, place: int = 0) -> bytes:
        return self._tag("part", kind, envelope_id, place.to_bytes(4))

    def _add_parts(self, tag: bytes, owner: bytes, content: Buffer) -> None:
        view = memoryview(content)
        starts = range(0, max(1, len(view)), PART_BYTES)
        self._connection.execute(part.delete().where(part.c.owner == owner))
        for number, start in enumerate(starts):
            sealed = self._sealer.seal(
                _place(owner, number, start == starts[-1]), bytes(view[start : start + PART_BYTES])
            )
            self._connection.execute(insert(part).values(owner=owner, number=number, envelope=tag, content=sealed))

    def _parts(self, owner: bytes) -> bytearray:
        """All of it: a part that is missing is noticed, since each knows its number, and the last that it is."""
        content, count = bytearray(), self._parts_of(owner)
        for number in range(max(1, count)):
            row = select(part.c.content).where(part.c.owner == owner, part.c.number == number)
            sealed = self._connection.scalar(row) or b""
            content += self._sealer.open(_place(owner, number, number == count - 1), sealed)
        return content

    def _parts_of(self, owner: bytes) -> int:
        return len(self._connection.execute(select(part.c.number).where(part.c.owner == owner)).all())


def _place(owner: bytes, number: int, is_last: bool) -> str:
    return f"part/{owner.hex()}/{number}/{'last' if is_last else 'more'}"
