"""Rows of hotline calls and of their lines."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as upsert

from terminal.callrecords import CallRecord, LineRecord
from terminal.rows import Rows
from terminal.schema import call, talk

NUMBER_BYTES = 8


class CallRows(Rows):
    """The calls of a transaction."""

    def put_call(self, one: CallRecord) -> None:
        """Store it in the place of an earlier record of the same call."""
        slot = self._tag("call", one.call_id)
        self._put(call, {"slot": slot}, {"content": self._sealer.seal(f"call/{slot.hex()}", one.encode())})

    def call(self, call_id: bytes) -> CallRecord | None:
        slot = self._tag("call", call_id)
        found = self._connection.scalar(select(call.c.content).where(call.c.slot == slot))
        return None if found is None else CallRecord.decode(self._sealer.open(f"call/{slot.hex()}", found))

    def calls(self) -> list[CallRecord]:
        """Oldest first."""
        rows = self._connection.execute(select(call.c.slot, call.c.content).order_by(call.c.number))
        return [CallRecord.decode(self._sealer.open(f"call/{slot.hex()}", content)) for slot, content in rows]

    def add_line(self, call_id: bytes, one: LineRecord) -> None:
        """Store a line; under a number of its side the first one stands."""
        slot = self._tag("talk", call_id, bytes([one.is_own]), one.number.to_bytes(NUMBER_BYTES))
        values = {
            "slot": slot,
            "call": self._tag("call", call_id),
            "content": self._sealer.seal(f"talk/{slot.hex()}", one.encode()),
        }
        self._connection.execute(upsert(talk).values(**values).on_conflict_do_nothing())

    def lines(self, call_id: bytes) -> list[LineRecord]:
        """In the order in which they were said and heard here."""
        query = select(talk.c.slot, talk.c.content).where(talk.c.call == self._tag("call", call_id))
        rows = self._connection.execute(query.order_by(talk.c.number))
        return [LineRecord.decode(self._sealer.open(f"talk/{slot.hex()}", content)) for slot, content in rows]
