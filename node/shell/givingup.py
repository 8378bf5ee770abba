"""What a node says of an envelope that it gives up, because its expiry has passed (docs/protocol/expired.md)."""

from __future__ import annotations

from crypto_msg.expired import make_expired
from crypto_msg.wire import Expired
from keys.signing import Signer
from node.courier import ItemKind, Parcel
from node.shell.itemchecks import item_id
from node.shell.ledger import LedgerShell
from node.store.courier import CourierItem


class GivingUp:
    """Signs EXPIRED with the node's entry key, by the block time of the newest final block."""

    def __init__(self, ledger: LedgerShell, entry_key: Signer) -> None:
        self._ledger = ledger
        self._entry_key = entry_key

    def statement(self, parcel: Parcel) -> CourierItem:
        """The item that tells the originating post of an expired envelope; it has the envelope's precedence."""
        ledger, destination = self._ledger, parcel.origin
        size, time = ledger.follower.final, ledger.block_time
        expired = Expired(parcel.body_id, parcel.origin, parcel.destination, ledger.post, size, time)
        content = make_expired(expired, ledger.chain.machine.network_id, self._entry_key)
        name = item_id(ItemKind.EXPIRED, destination, content)
        way = Parcel(
            name, ItemKind.EXPIRED, ledger.post, destination, parcel.precedence, 0, size, head_bytes=len(content)
        )
        return CourierItem(way, parcel.body_id, content)
