"""One unit of the courier's receiving side: what begins and ends in it is written once, at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from node.store import bodies, courier, log
from node.store.bodies import NewBody
from node.store.courier import INTAKE, CourierItem
from node.store.rows import Rows
from protos import node_pb2 as pb


class Arrivals:
    """Items and bodies that come together, over one transaction. Reads see what is not written yet."""

    def __init__(self, tx: Connection, now: int, frames: Iterable[pb.CarryFrame] = ()) -> None:
        """`frames` are those that the unit is to take: what the store knows of them is looked up at once."""
        self.tx = tx
        self.rows = Rows(tx, now)
        offers = [one.offer for one in frames if one.WhichOneof("frame") == "offer"]
        self._looked_up = {one.item_id for one in offers}
        self._stored = courier.stored_among(tx, self._looked_up) if offers else set()
        self._known = bodies.known_among(tx, {one.envelope_id for one in offers}) if offers else {}
        self._opened: dict[bytes, CourierItem] = {}
        self._begun: dict[bytes, NewBody] = {}
        self._block_ends: dict[int, bool] = {}

    # --- reading -------------------------------------------------------------------------------------------------

    def is_stored(self, item_id: bytes) -> bool:
        """Whether the item was ever stored whole."""
        if item_id in self._looked_up:
            return item_id in self._stored
        return item_id in self._stored or courier.is_stored(self.tx, item_id)

    def is_new(self, item_id: bytes) -> bool:
        """Whether the store has no row of an item that is not stored whole."""
        return item_id in self._opened or courier.item(self.tx, item_id) is None

    def has_body(self, envelope_id: bytes) -> bool:
        """Whether the verified body is here."""
        return self._known.get(envelope_id, False)

    def is_block_end(self, size: int) -> bool:
        """Whether a block of the log ends at `size`."""
        if size not in self._block_ends:
            self._block_ends[size] = log.is_block_end(self.tx, size)
        return self._block_ends[size]

    def item(self, item_id: bytes) -> CourierItem | None:
        """An item whose body is under way."""
        return self._opened.get(item_id) or courier.item(self.tx, item_id)

    def body(self, envelope_id: bytes) -> Iterator[bytes]:
        """The bytes of a body that are here, in pieces."""
        begun, offset = self._begun.get(envelope_id), 0
        if begun is not None:
            yield from (data for _, data in begun.parts)
            return
        while data := bodies.part_at(self.tx, envelope_id, offset):
            yield data
            offset += len(data)

    # --- writing -------------------------------------------------------------------------------------------------

    def open(self, item: CourierItem) -> None:
        """An item whose body is to come, or is here already."""
        self._opened[item.parcel.item_id] = item
        if item.envelope_id not in self._known:
            self._known[item.envelope_id] = False
            self._begun[item.envelope_id] = NewBody(item.envelope_id, item.parcel.length)

    def add_part(self, envelope_id: bytes, offset: int, data: bytes) -> None:
        """The next bytes of a body."""
        if envelope_id in self._begun:
            self._begun[envelope_id].parts.append((offset, data))
        else:
            bodies.append_part(self.tx, envelope_id, offset, data)

    def finish(self, item: CourierItem) -> None:
        """The item is whole: its body gives the signed root. Its row is written with `rows`."""
        if item.parcel.length:
            if item.envelope_id in self._begun:
                self._begun[item.envelope_id].whole = True
            elif not self.has_body(item.envelope_id):
                bodies.finish_body(self.tx, item.envelope_id)
            self._known[item.envelope_id] = True
        self._opened.pop(item.parcel.item_id, None)
        self._stored.add(item.parcel.item_id)

    def drop(self, item_id: bytes, envelope_id: bytes, *, with_body: bool) -> None:
        """Forget an item that never became whole."""
        if with_body:
            self._known.pop(envelope_id, None)
            if self._begun.pop(envelope_id, None) is None:
                bodies.drop_unfinished(self.tx, envelope_id)
        if self._opened.pop(item_id, None) is None:
            courier.drop_item(self.tx, item_id)

    def flush(self) -> None:
        """Write everything that is not written yet."""
        for item in self._opened.values():
            self.rows.put_item(item, INTAKE, is_new=True)
        if self._begun:
            bodies.put_new_bodies(self.tx, list(self._begun.values()))
        self.rows.flush()
