"""Where items are laid down: in the inboxes of this post's terminals, or in the queue for another post."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from crypto_msg.addition import read_added_wrap
from crypto_msg.envelope import read_outer
from crypto_msg.escalation import read_sealed_escalation
from crypto_msg.expired import read_expired
from crypto_msg.nak import Reason, read_nak
from crypto_msg.receipt import read_receipt, read_sealed_receipt
from crypto_msg.rewrap import read_rewrap
from crypto_msg.wire import Head, Nak, Receipt
from node.courier import ItemKind, Parcel
from node.shell.itemchecks import envelope_from, read_head
from node.shell.ledger import LedgerShell
from node.shell.slots import CABLE, save_proof
from node.store import courier, deposits, log
from node.store.courier import DONE, QUEUED, CourierItem
from node.store.rows import Rows

OTHER_LOG = "receipt-other-log"


class Shelf:
    """Stores whole items, inside the caller's transaction. Numbers them in the order of their arrival."""

    def __init__(self, ledger: LedgerShell) -> None:
        self._ledger = ledger
        with ledger.database.read() as tx:
            self._arrival = courier.last_arrival(tx)

    def store_new(self, tx: Connection, item: CourierItem) -> Parcel | None:
        """Store an item that begins here, once. Its parcel, if it is to go to another post."""
        return None if courier.is_stored(tx, item.parcel.item_id) else self.store(tx, item)

    def store_again(self, tx: Connection, item: CourierItem) -> Parcel | None:
        """Store an item that a terminal hands in. One that has gone to another post goes again: it may be lost."""
        mine, queued = item.parcel.destination == self._ledger.post, courier.is_queued(tx, item.parcel.item_id)
        return self.store_new(tx, item) if mine or queued else self.store(tx, item)

    def store(self, tx: Connection, item: CourierItem) -> Parcel | None:
        """Store a whole item. Its parcel, if it is to go to another post."""
        rows = Rows(tx, self._ledger.clock())
        parcel = self.put(rows, item, is_new=False)
        rows.flush()
        return parcel

    def put(self, rows: Rows, item: CourierItem, *, is_new: bool) -> Parcel | None:
        """Store a whole item with others. `is_new`: the store has no row of it."""
        self._arrival += 1
        item = replace(item, parcel=replace(item.parcel, arrival=self._arrival))
        mine = item.parcel.destination == self._ledger.post
        rows.put_item(item, DONE if mine else QUEUED, is_new=is_new)
        head = read_head(item.head) if item.parcel.kind == ItemKind.ENVELOPE else None
        if head is not None:
            rows.put_envelope(envelope_from(head, read_outer(head)))
        if item.parcel.kind == ItemKind.DELIVERED:
            self._compare(rows.tx, read_receipt(item.head), item.head)
        if not mine:
            return item.parcel
        self._deliver(rows, item, head)
        return None

    def _compare(self, tx: Connection, receipt: Receipt, signed: bytes) -> None:
        """A receipt that names another root than the own log, where that is final, is evidence of its signer.

        It is carried all the same: its cable was delivered, and the originator shall see it (network.md §4).
        """
        final = min(self._ledger.follower.final, self._ledger.chain.size)
        if receipt.size > final or self._ledger.chain.machine.tree.root(receipt.size) == receipt.root:
            return
        signer, now = f"terminal/{receipt.terminal_id.hex()}", self._ledger.clock()
        text = f"a terminal of {receipt.post} has signed another history of the log at size {receipt.size}"
        log.keep_evidence(tx, signer, OTHER_LOG, signed, now)
        deposits.alarm(tx, OTHER_LOG, signer, text, now)

    def _deliver(self, rows: Rows, item: CourierItem, head: Head | None) -> None:
        match item.parcel.kind:
            case ItemKind.ENVELOPE if head is not None:
                rows.deliver([one.wrap.terminal_id for one in head.wraps], item)
            case ItemKind.SEALED_RECEIPT:
                rows.deliver([read_sealed_receipt(item.head).terminal_id], item)
            case ItemKind.ESCALATION:
                rows.deliver([read_sealed_escalation(item.head).terminal_id], item)
            case ItemKind.EXPIRED:
                gone = read_expired(item.head)
                courier.expire_hop(rows.tx, gone.envelope_id, gone.post, self._ledger.clock())
                rows.deliver(self._terminals(), item)
            case ItemKind.NAK:
                rows.deliver(self._asked(read_nak(item.head)), item)
            case ItemKind.REWRAP:
                rows.deliver([read_rewrap(item.head).terminal_id], item)
            case ItemKind.ADDED_WRAP:
                rows.deliver([read_added_wrap(item.head)[0].terminal_id], item)
            case _:
                rows.flush()  # its envelope may have come just before
                if item.parcel.kind == ItemKind.PROOF:
                    save_proof(rows.tx, item.envelope_id, CABLE, b"", item.head)
                rows.deliver(courier.readers(rows.tx, item.envelope_id), item)

    def _asked(self, nak: Nak) -> list[bytes]:
        """Who may answer: every terminal of this post holds the key; only the one that counted knows a number."""
        if nak.reason == Reason.NEVER_CAME:
            return [nak.origin_terminal_id]
        return [one for one in self._terminals() if one != nak.terminal_id]

    def _terminals(self) -> list[bytes]:
        """The terminals of this post in force."""
        state = self._ledger.chain.machine.state
        ids = state.roster(self._ledger.post).terminal_ids
        return [one for one in ids if (found := state.terminal(one)) and found.is_active]
