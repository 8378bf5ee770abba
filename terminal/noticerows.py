"""Rows of checked statements about cables that are no receipts."""

from __future__ import annotations

from sqlalchemy import ColumnElement, select

from terminal.records import Notice
from terminal.rows import Rows
from terminal.schema import notice


class NoticeRows(Rows):
    """Of an envelope, a kind and a subject there is one notice: the first."""

    def add_notice(self, one: Notice) -> bool:
        """Store it. False if there is one in its place."""
        slot = self._notice_slot(one)
        if self._connection.scalar(select(notice.c.slot).where(notice.c.slot == slot)) is not None:
            return False
        content = self._sealer.seal(f"notice/{slot.hex()}", one.encode())
        tag = self._tag("envelope", one.envelope_id)
        self._put(notice, {"slot": slot}, {"envelope": tag, "kind": one.kind, "content": content})
        return True

    def notices(self, envelope_id: bytes) -> list[Notice]:
        """Those about one envelope, oldest first."""
        return self._notices(notice.c.envelope == self._tag("envelope", envelope_id))

    def _notices(self, matches: ColumnElement[bool]) -> list[Notice]:
        rows = self._connection.execute(select(notice.c.slot, notice.c.content).where(matches))
        found = (Notice.decode(self._sealer.open(f"notice/{slot.hex()}", content)) for slot, content in rows)
        return sorted(found, key=lambda one: one.at)

    def _notice_slot(self, one: Notice) -> bytes:
        return self._tag("notice", one.kind, one.envelope_id, one.subject)
