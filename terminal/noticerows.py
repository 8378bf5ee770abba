"""Rows of checked statements about cables that are no receipts, and of cables whose answers are waited for."""

from __future__ import annotations

from sqlalchemy import ColumnElement, delete, select

from terminal.records import Notice, Watch
from terminal.rows import Rows
from terminal.schema import notice, watch


class NoticeRows(Rows):
    """Of an envelope, a kind and a subject there is one notice."""

    def put_notice(self, one: Notice) -> None:
        """Store it in the place of an earlier one."""
        slot = self._notice_slot(one)
        content = self._sealer.seal(f"notice/{slot.hex()}", one.encode())
        tag = self._tag("envelope", one.envelope_id)
        self._put(notice, {"slot": slot}, {"envelope": tag, "kind": one.kind, "content": content})

    def notices(self, envelope_id: bytes) -> list[Notice]:
        """Those about one envelope, oldest first."""
        return self._notices(notice.c.envelope == self._tag("envelope", envelope_id))

    def drop_notice(self, one: Notice) -> None:
        self._connection.execute(delete(notice).where(notice.c.slot == self._notice_slot(one)))

    def notices_of(self, kind: str) -> list[Notice]:
        """Those of one kind, oldest first."""
        return self._notices(notice.c.kind == kind)

    def put_watch(self, one: Watch) -> None:
        """Store it in the place of an earlier one."""
        slot = self._tag("watch", one.envelope_id)
        self._put(watch, {"slot": slot}, {"content": self._sealer.seal(f"watch/{slot.hex()}", one.encode())})

    def drop_watch(self, envelope_id: bytes) -> None:
        self._connection.execute(delete(watch).where(watch.c.slot == self._tag("watch", envelope_id)))

    def watch(self, envelope_id: bytes) -> Watch | None:
        slot = self._tag("watch", envelope_id)
        found = self._connection.scalar(select(watch.c.content).where(watch.c.slot == slot))
        return None if found is None else Watch.decode(self._sealer.open(f"watch/{slot.hex()}", found))

    def watches(self) -> list[Watch]:
        """Oldest first."""
        rows = self._connection.execute(select(watch.c.slot, watch.c.content))
        found = (Watch.decode(self._sealer.open(f"watch/{slot.hex()}", content)) for slot, content in rows)
        return sorted(found, key=lambda one: one.at)

    def _notices(self, matches: ColumnElement[bool]) -> list[Notice]:
        rows = self._connection.execute(select(notice.c.slot, notice.c.content).where(matches))
        found = (Notice.decode(self._sealer.open(f"notice/{slot.hex()}", content)) for slot, content in rows)
        return sorted(found, key=lambda one: one.at)

    def _notice_slot(self, one: Notice) -> bytes:
        return self._tag("notice", one.kind, one.envelope_id, one.subject)
