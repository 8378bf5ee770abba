"""What terminals hand in without a body: receipts, NAKs, re-wraps, escalations, added wraps."""

from __future__ import annotations

from crypto_msg.addition import added_item_hash
from crypto_msg.anchor import receipt_item_hash
from crypto_msg.receipt import read_receipt
from ledger.state import State
from node.actions import Item
from node.courier import ItemKind
from node.shell.asking import Asking, asking_item
from node.shell.itemchecks import ItemChecks, make_item
from node.shell.ledger import LedgerShell
from node.shell.sending import Sending
from node.shell.shelf import Shelf
from node.shell.slots import ADDED_WRAP, RECEIPT, add_item
from node.store import courier
from node.store.courier import CourierItem
from protos.errors import Malformed, Refused

SALT_BYTES = 32
_RECEIPTS = {ItemKind.DELIVERED, ItemKind.SEALED_RECEIPT}
_ASKING = {ItemKind.NAK, ItemKind.REWRAP, ItemKind.ESCALATION, ItemKind.ADDED_WRAP}


class Slips:
    """What the Desk takes besides cables."""

    def __init__(self, ledger: LedgerShell, shelf: Shelf, sending: Sending, checks: ItemChecks) -> None:
        self._ledger = ledger
        self._database = ledger.database
        self._shelf = shelf
        self._sending = sending
        self._checks = checks

    @property
    def _state(self) -> State:
        return self._ledger.chain.machine.state

    def put(self, content: bytes, kind: int, envelope_id: bytes, salt: bytes, terminal_id: bytes) -> bytes:
        """Store a terminal's receipt, queue it for the originating post, and anchor it; returns its item id.

        So with a NAK, a re-wrap, an escalation and an added wrap, which go to the post of the terminal that they name;
        only the last of them is anchored.
        """
        if kind in _ASKING:
            return self._put_asking(asking_item(kind, content, self._ledger.post, self._state), terminal_id, salt)
        if kind not in _RECEIPTS or len(salt) not in (0, SALT_BYTES):
            raise Malformed("bad-receipt", "a receipt is of kind 2 or 3, with a salt of 32 bytes")
        with self._database.read() as tx:
            envelope = courier.envelope_of(tx, envelope_id)
        if envelope is None:
            raise Refused("unknown-cable", "this node has no such cable")
        item = make_item(ItemKind(kind), envelope.origin, envelope, content, self._ledger.post)
        self._checks.check(item, self._state)
        if kind == ItemKind.DELIVERED and read_receipt(content).terminal_id != terminal_id:
            raise Refused("not-yours", "a terminal hands in only its own receipts")
        return self._keep(item, Item(RECEIPT, receipt_item_hash(content), salt) if salt else None)

    def _put_asking(self, asking: Asking, terminal_id: bytes, salt: bytes) -> bytes:
        if asking.signer_id not in (b"", terminal_id):
            raise Refused("not-yours", "a terminal hands in only what it has signed itself")
        self._checks.check(asking.item, self._state)
        return self._keep(asking.item, _anchor_of(asking.item, salt))

    def _keep(self, item: CourierItem, anchor: Item | None = None) -> bytes:
        with self._database.write() as tx:
            parcel = self._shelf.store_again(tx, item)
            if anchor is not None:
                add_item(tx, anchor, item.envelope_id)
        if anchor is not None:
            self._ledger.slots.add(anchor)
        self._sending.queued([parcel])
        self._ledger.pulse.beat()
        return item.parcel.item_id


def _anchor_of(item: CourierItem, salt: bytes) -> Item | None:
    """An added wrap is anchored, what it mends is not. Raises `Malformed("bad-receipt")`."""
    if item.parcel.kind != ItemKind.ADDED_WRAP:
        return None
    if len(salt) != SALT_BYTES:
        raise Malformed("bad-receipt", "an added wrap comes with a salt of 32 bytes")
    return Item(ADDED_WRAP, added_item_hash(item.head), salt)
