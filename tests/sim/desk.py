"""Simulated terminals: they seal and open real cables, and give receipts. Terminals do not crash here; nodes do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Protocol

from crypto_msg.anchor import cable_item_hash, receipt_item_hash
from crypto_msg.cable import Addressee, Classification, Draft, Precedence
from crypto_msg.envelope import decode_head, encode_head, read_outer
from crypto_msg.nak import Reason, make_nak, read_nak, verify_nak
from crypto_msg.opening import Reader, open_cable
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.receipt import ReceiptKind, make_receipt, read_receipt
from crypto_msg.rewrap import Content, make_rewrap, open_rewrap, read_rewrap, verify_rewrap
from crypto_msg.rules import is_reader
from crypto_msg.seal import Message, Release, Sealed, Station, seal_cable
from crypto_msg.signatures import sign_draft
from crypto_msg.wire import Nak, Receipt, encode_draft
from crypto_msg.wraps import Recipient, split_head
from keys.prekey import Prekey
from keys.purpose import Purpose
from keys.signing import Verifier
from ledger.state import State
from node.actions import Item
from node.courier import ItemKind, Parcel
from protos.errors import VerificationFailed
from sim.base import Base
from sim.disk import Disk, StoredItem


@dataclass(frozen=True)
class Deposit:
    """What a terminal hands in: items for other posts, their common body, and what is anchored."""

    items: tuple[StoredItem, ...]
    body: bytes
    anchored: Item | None


@dataclass(frozen=True)
class SentCable:
    """A released cable, as its terminal remembers it."""

    origin: str
    envelope_id: bytes
    item_hash: bytes
    inner_hash: bytes
    addressees: tuple[str, ...]
    cek: bytes


class States(Protocol):
    """The states that a terminal can be shown, by size."""

    def __contains__(self, size: int) -> bool: ...

    def __getitem__(self, size: int) -> State: ...


@dataclass
class Terminal:
    """One post's officer at work. What he has seen is kept apart from the node's disk.

    `forgetful`: its first prekey is lost; what comes is opened by re-wraps to the next one.
    """

    code: str
    base: Base
    random: Random
    verifier: Verifier
    forgetful: bool = False
    lost: dict[bytes, StoredItem] = field(default_factory=dict)
    sent: dict[bytes, SentCable] = field(default_factory=dict)
    opened: dict[bytes, bytes] = field(default_factory=dict)
    receipts: dict[bytes, set[str]] = field(default_factory=dict)
    proofs: dict[bytes, bytes] = field(default_factory=dict)
    seen: set[bytes] = field(default_factory=set)

    def release(self, state: State, size: int, addressees: Sequence[str], precedence: int, text: str) -> Deposit:
        """Draft, release and seal a cable at S = `size`."""
        desk = self.base.desks[self.code]
        draft = Draft(
            self.random.randbytes(16),
            self.code,
            tuple(Addressee(one, precedence) for one in addressees),
            (),
            precedence,
            Classification.RESTRICTED,
            (),
            "Seeded",
            (),
            (),
            (text,),
            (),
            (),
        )
        network = self.base.network
        drafter = network.posts[self.code].supervisors[1].signer  # a FLASH needs two officers
        drafted = sign_draft(encode_draft(draft), Purpose.DRAFT, network.network_id, drafter)
        posts = sorted({self.code, *addressees})
        sealed = seal_cable(
            Station(network.network_id, self.code, desk.terminal.signer, size),
            Message(draft, ()),
            Release(1 + len(self.sent), 2026, "231430ZNOV26", ()),
            (drafted,) if precedence == Precedence.FLASH else (),
            desk.officer.signer,
            [self._recipient(state, code) for code in posts],
            self.random.randbytes,
        )
        item_hash = cable_item_hash(sealed.head.envelope_id, sealed.head.body_root)
        cable = SentCable(
            self.code, sealed.head.envelope_id, item_hash, sealed.inner_hash, tuple(addressees), sealed.cek
        )
        self.sent[cable.envelope_id] = cable
        items = tuple(self._envelope_for(sealed, one) for one in addressees)
        return Deposit(items, sealed.envelope.body, Item("cable", item_hash, sealed.inner.anchor_salt))

    def look(self, disk: Disk, state_at: States, size: int, root: bytes) -> list[Deposit]:
        """Take what is new in the inbox: open cables, note receipts and proofs. Answers with receipts."""
        deposits = []
        for item in disk.inbox():
            if item.parcel.item_id in self.seen or item.parcel.size_seen not in state_at:
                continue
            view = state_at[item.parcel.size_seen]
            if item.parcel.kind == ItemKind.ENVELOPE and self.forgetful:
                deposits.append(self._ask(item, disk, view, size))
            elif item.parcel.kind == ItemKind.ENVELOPE:
                deposits.append(self._open(item, disk, view, size, root))
            elif item.parcel.kind == ItemKind.NAK:
                deposits.append(self._rewrap(item, view, size))
            elif item.parcel.kind == ItemKind.REWRAP:
                lost, content = self.lost.pop(item.envelope_id), self._unwrap(item, view)
                deposits.append(self._open(lost, disk, state_at[lost.parcel.size_seen], size, root, content))
            elif item.parcel.kind == ItemKind.DELIVERED:
                self.receipts.setdefault(item.envelope_id, set()).add(read_receipt(item.head).post)
            elif item.parcel.kind == ItemKind.PROOF:
                self.proofs[item.envelope_id] = item.head
            self.seen.add(item.parcel.item_id)
        return deposits

    def _ask(self, item: StoredItem, disk: Disk, view: State, size: int) -> Deposit:
        """The wrap does not open: a NAK to the originator, under the next bundle."""
        network_id, own = self.base.network.network_id, self.base.desks[self.code].terminal
        head = decode_head(item.head)
        with suppress(VerificationFailed):
            open_cable(head, bytes(disk.bodies[item.envelope_id]), self._reader(view, {}))
            raise AssertionError(f"{self.code} opens a cable without a prekey")
        self.lost[item.envelope_id] = item
        outer, bundle = read_outer(head), next_bundle(own.terminal_id)
        reason = Reason.PREKEY_GONE
        nak = Nak(item.envelope_id, own.terminal_id, reason, bundle.bundle_hash, size, outer.terminal_id, 0)
        return self._small(item, ItemKind.NAK, make_nak(nak, network_id, own.signer), outer.post)

    def _rewrap(self, item: StoredItem, view: State, size: int) -> Deposit:
        """The key of a cable sent here, once more, for who asks."""
        network_id, own = self.base.network.network_id, self.base.desks[self.code].terminal
        asking = view.terminal(read_nak(item.head).terminal_id)
        nak = verify_nak(item.head, network_id, asking, self.verifier)
        content = Content(self.sent[nak.envelope_id].cek, 1, own.terminal_id, 1)
        bundle = next_bundle(nak.terminal_id)
        signed = make_rewrap(nak.envelope_id, content, bundle, size, network_id, own.signer)
        return self._small(item, ItemKind.REWRAP, signed, item.parcel.origin)

    def _unwrap(self, item: StoredItem, view: State) -> Content:
        by = view.terminal(read_rewrap(item.head).by_terminal_id)
        rewrap = verify_rewrap(item.head, self.base.network.network_id, by, self.verifier)
        bundle = next_bundle(rewrap.terminal_id)
        return open_rewrap(rewrap, {bundle.bundle_hash: next_prekey(rewrap.terminal_id)})

    def _small(self, item: StoredItem, kind: ItemKind, content: bytes, destination: str) -> Deposit:
        """An item without body, about the same envelope."""
        parcel = parcel_of(kind, content, self.code, destination, Precedence.IMMEDIATE, item.parcel.size_seen)
        return Deposit((StoredItem(parcel, content, item.envelope_id, "queued"),), b"", None)

    def _reader(self, view: State, prekeys: Mapping[bytes, Prekey]) -> Reader:
        own = self.base.desks[self.code].terminal.terminal_id
        return Reader(self.base.network.network_id, own, prekeys, view, self.verifier)

    def _open(
        self, item: StoredItem, disk: Disk, view: State, size: int, root: bytes, content: Content | None = None
    ) -> Deposit:
        desk, network_id = self.base.desks[self.code], self.base.network.network_id
        terminal = desk.terminal
        reader = self._reader(view, {desk.bundle.bundle_hash: desk.prekey})
        opened = open_cable(decode_head(item.head), bytes(disk.bodies[item.envelope_id]), reader, content)
        if opened.envelope_id in self.opened:
            raise AssertionError(f"{self.code} was given the same cable twice")
        self.opened[opened.envelope_id] = opened.inner_hash
        receipt = Receipt(
            ReceiptKind.DELIVERED,
            opened.envelope_id,
            opened.body_root,
            opened.inner_hash,
            self.code,
            terminal.terminal_id,
            size,
            root,
            0,
        )
        signed = make_receipt(receipt, network_id, terminal.signer)
        parcel = parcel_of(
            ItemKind.DELIVERED, signed, self.code, opened.outer.post, opened.outer.precedence, item.parcel.size_seen
        )
        anchored = Item("receipt", receipt_item_hash(signed), self.random.randbytes(32))
        return Deposit((StoredItem(parcel, signed, opened.envelope_id, "queued"),), b"", anchored)

    def _recipient(self, state: State, code: str) -> Recipient:
        desk = self.base.desks[code]
        record = state.terminal(desk.terminal.terminal_id)
        cleared = record is not None and is_reader(state, record, Classification.RESTRICTED)
        if not cleared:
            raise AssertionError(f"the terminal of {code} is not cleared")
        return Recipient(desk.terminal.terminal_id, desk.bundle, True, 1)

    def _envelope_for(self, sealed: Sealed, code: str) -> StoredItem:
        head = encode_head(split_head(sealed.head, [self.base.desks[code].terminal.terminal_id]))
        outer = read_outer(sealed.head)
        parcel = parcel_of(
            ItemKind.ENVELOPE,
            head,
            self.code,
            code,
            outer.precedence,
            outer.size_seen,
            length=len(sealed.envelope.body),
            body_id=sealed.head.envelope_id,
        )
        return StoredItem(parcel, head, sealed.head.envelope_id, "queued")


def next_prekey(terminal_id: bytes) -> Prekey:
    """The prekey that a terminal makes when it has lost the first."""
    return Prekey.from_seed(sha256(b"next prekey" + terminal_id).digest())


def next_bundle(terminal_id: bytes) -> VerifiedBundle:
    """Its bundle, as a sender has it from the ledger; here it is not entered."""
    public_key = next_prekey(terminal_id).public_key
    return VerifiedBundle(terminal_id, 2, public_key, sha256(public_key).digest())


def parcel_of(
    kind: ItemKind,
    content: bytes,
    origin: str,
    destination: str,
    precedence: int,
    size_seen: int,
    *,
    length: int = 0,
    body_id: bytes = b"",
) -> Parcel:
    """The parcel of an item: item id = SHA-256(kind byte || destination || SHA-256(content))."""
    item_id = sha256(bytes([kind]) + destination.encode() + sha256(content).digest()).digest()
    return Parcel(item_id, kind, origin, destination, precedence, 0, size_seen, length, body_id)
