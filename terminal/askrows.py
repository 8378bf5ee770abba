"""Rows of numbered wraps, and of who asks again for what."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from terminal.records import Ask, WrapNumber
from terminal.rows import Rows
from terminal.schema import ask, cable, envelope, part, wrap

COUNTER_BYTES = 8
SENT, RECEIVED = b"sent", b"received"


class AskRows(Rows):
    """Of a number, the first envelope stands; of an envelope and terminal there is one Ask."""

    def note_wrap(self, direction: bytes, one: WrapNumber) -> None:
        """Remember for which envelope a number was used. `direction`: SENT or RECEIVED."""
        slot = self._wrap_slot(direction, one.terminal_id, one.n)
        tag = self._tag("wraps", direction, one.envelope_id)
        content = self._sealer.seal(f"wrap/{slot.hex()}", one.encode())
        values = {"slot": slot, "envelope": tag, "content": content}
        self._connection.execute(upsert(wrap).values(**values).on_conflict_do_nothing())

    def envelope_under(self, direction: bytes, terminal_id: bytes, n: int) -> bytes | None:
        """The envelope for which that number was used, None if not known."""
        slot = self._wrap_slot(direction, terminal_id, n)
        found = self._connection.scalar(select(wrap.c.content).where(wrap.c.slot == slot))
        return None if found is None else self._open_wrap(slot, found).envelope_id

    def wraps_of(self, direction: bytes, envelope_id: bytes) -> dict[bytes, WrapNumber]:
        """By the other terminal's id, the number used for this envelope."""
        tag = self._tag("wraps", direction, envelope_id)
        rows = self._connection.execute(select(wrap.c.slot, wrap.c.content).where(wrap.c.envelope == tag))
        found = (self._open_wrap(slot, content) for slot, content in rows)
        return {one.terminal_id: one for one in found}

    def ask(self, envelope_id: bytes, terminal_id: bytes) -> Ask | None:
        slot = self._tag("ask", envelope_id, terminal_id)
        found = self._connection.scalar(select(ask.c.content).where(ask.c.slot == slot))
        return None if found is None else Ask.decode(self._sealer.open(f"ask/{slot.hex()}", found))

    def put_ask(self, one: Ask) -> None:
        """Store it in the place of an earlier one."""
        slot = self._tag("ask", one.envelope_id, one.terminal_id)
        content = self._sealer.seal(f"ask/{slot.hex()}", one.encode())
        self._put(ask, {"slot": slot}, {"open": int(one.is_open), "content": content})

    def drop_ask(self, one: Ask) -> None:
        self._connection.execute(delete(ask).where(ask.c.slot == self._tag("ask", one.envelope_id, one.terminal_id)))

    def asks(self, *, only_open: bool = True) -> list[Ask]:
        """Those about which there is something to do, or all; the oldest first."""
        query = select(ask.c.slot, ask.c.content)
        rows = self._connection.execute(query.where(ask.c.open == 1) if only_open else query)
        found = [Ask.decode(self._sealer.open(f"ask/{slot.hex()}", content)) for slot, content in rows]
        return sorted(found, key=lambda one: one.at)

    def unopened_bytes(self) -> int:
        """Bytes of the kept bodies of envelopes that this terminal could not open."""
        opened = select(cable.c.envelope)
        whole = select(func.sum(func.length(envelope.c.body))).where(envelope.c.envelope.not_in(opened))
        parts = select(func.sum(func.length(part.c.content))).where(part.c.envelope.not_in(opened))
        return sum(int(self._connection.scalar(query) or 0) for query in (whole, parts))

    def _open_wrap(self, slot: bytes, content: bytes) -> WrapNumber:
        return WrapNumber.decode(self._sealer.open(f"wrap/{slot.hex()}", content))

    def _wrap_slot(self, direction: bytes, terminal_id: bytes, n: int) -> bytes:
        return self._tag("wrap", direction, terminal_id, n.to_bytes(COUNTER_BYTES))
