"""What was refused or contradicts, kept aside with its reason: the first of a kind, within bounds."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from terminal.records import Aside
from terminal.rows import Rows
from terminal.schema import aside

MAX_ASIDES = 1000
MAX_ASIDE_BYTES = 64 << 20
ROOM = 0.9
"""To which part of the bounds a full store is cleared, so that not every addition clears again."""
FULL = "asides-full"


class AsideRows(Rows):
    """The asides of a transaction. Of a code and key only the first is kept."""

    def add_aside(self, one: Aside) -> None:
        """Keep it; where there is no room the oldest refused items go, then the oldest of all, and an alarm stays."""
        slot = self._aside_slot(one)
        content = self._sealer.seal(f"aside/{slot.hex()}", one.encode())
        self._connection.execute(upsert(aside).values(slot=slot, content=content).on_conflict_do_nothing())
        self._keep_within_bounds(one.at)

    def change_aside(self, one: Aside, changed: Aside) -> None:
        """Put another in its place, as the newest."""
        self.drop_aside(one)
        self.add_aside(changed)

    def drop_aside(self, one: Aside) -> None:
        """Forget it: its reason holds no more."""
        self._connection.execute(delete(aside).where(aside.c.slot == self._aside_slot(one)))

    def asides(self) -> list[Aside]:
        """Oldest first."""
        return sorted((one for _, one in self._asides()), key=lambda one: one.at)

    def _keep_within_bounds(self, at: int) -> None:
        count, size = self._connection.execute(select(func.count(), func.sum(func.length(aside.c.content)))).one()
        if count <= MAX_ASIDES and size <= MAX_ASIDE_BYTES:
            return
        dropped = 0
        for row_bytes, one in sorted(self._asides(), key=lambda row: (not row[1].is_item, row[1].at)):
            if count <= MAX_ASIDES * ROOM and size <= MAX_ASIDE_BYTES * ROOM:
                break
            if one.code != FULL:
                self.drop_aside(one)
                count, size, dropped = count - 1, size - row_bytes, dropped + 1
        self._tell_dropped(dropped, at)

    def _tell_dropped(self, dropped: int, at: int) -> None:
        before = next((one for _, one in self._asides() if one.code == FULL), Aside(b"", FULL, "", "", at))
        total = before.count + dropped
        text = f"too much was refused to keep all of it: {total} of the oldest items were dropped"
        changed = replace(before, count=total, text=text, at=at)
        slot = self._aside_slot(changed)
        self._put(aside, {"slot": slot}, {"content": self._sealer.seal(f"aside/{slot.hex()}", changed.encode())})

    def _asides(self) -> list[tuple[int, Aside]]:
        """(bytes of the row, aside)."""
        rows = self._connection.execute(select(aside.c.slot, aside.c.content))
        return [(len(content), self._open_aside(slot, content)) for slot, content in rows]

    def _open_aside(self, slot: bytes, content: bytes) -> Aside:
        return Aside.decode(self._sealer.open(f"aside/{slot.hex()}", content))

    def _aside_slot(self, one: Aside) -> bytes:
        return self._tag("aside", one.code.encode(), one.key)
