"""Rows of what cables say about earlier ones, and of the officer's distribution lists."""

from __future__ import annotations

from sqlalchemy import delete, select

from terminal.records import DistributionList, Link
from terminal.rows import Rows
from terminal.schema import distribution, link


class LinkRows(Rows):
    """Of (kind, earlier, later) there is one link; of a name, one distribution list."""

    def add_link(self, one: Link) -> None:
        """Remember it; the same one again changes nothing."""
        slot = self._tag("link", bytes([one.kind]), one.earlier, one.later)
        content = self._sealer.seal(f"link/{slot.hex()}", one.encode())
        self._put(link, {"slot": slot}, {"earlier": self._tag("linked", one.earlier), "content": content})

    def links_to(self, earlier: bytes) -> list[Link]:
        """What is said of this envelope, by kind and then by the id of the envelope that says it."""
        query = select(link.c.slot, link.c.content).where(link.c.earlier == self._tag("linked", earlier))
        rows = self._connection.execute(query)
        found = [Link.decode(self._sealer.open(f"link/{slot.hex()}", content)) for slot, content in rows]
        return sorted(found, key=lambda one: (one.kind, one.later))

    def put_list(self, one: DistributionList) -> None:
        """Store it in the place of an earlier one of its name."""
        slot = self._tag("distribution", one.name)
        self._put(distribution, {"slot": slot}, {"content": self._sealer.seal(_list_place(slot), one.encode())})

    def drop_list(self, name: str) -> None:
        self._connection.execute(delete(distribution).where(distribution.c.slot == self._tag("distribution", name)))

    def lists(self) -> list[DistributionList]:
        """By name."""
        rows = self._connection.execute(select(distribution.c.slot, distribution.c.content))
        found = [DistributionList.decode(self._sealer.open(_list_place(slot), content)) for slot, content in rows]
        return sorted(found, key=lambda one: one.name)


def _list_place(slot: bytes) -> str:
    return f"distribution/{slot.hex()}"
