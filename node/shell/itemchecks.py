"""What a node verifies of an item before it stores a byte: signatures, proofs, where it belongs."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from crypto_msg.addition import verify_added_wrap
from crypto_msg.cable import Kind
from crypto_msg.envelope import MAX_HEAD, check_head, read_outer
from crypto_msg.escalation import read_sealed_escalation
from crypto_msg.expired import read_expired, verify_expired
from crypto_msg.nak import read_nak, verify_nak
from crypto_msg.receipt import read_receipt, read_sealed_receipt, verify_receipt
from crypto_msg.rewrap import read_rewrap, verify_rewrap
from crypto_msg.segments import body_length
from crypto_msg.wire import CODEC, Head, Outer
from keys.signing import Verifier
from ledger.names import is_code
from ledger.proof import ItemProof, TlogProof
from ledger.records import Terminal
from ledger.state import State
from node.courier import ItemKind, Parcel
from node.store.courier import CourierItem, StoredEnvelope
from protos import node_pb2 as pb
from protos.errors import DutabartaError, Malformed, Refused

MAX_CONTENT_BYTES = 256 * 1024
RECEIPT_PRECEDENCE = 1


def item_id(kind: int, destination: str, content: bytes) -> bytes:
    """SHA-256(kind byte || destination || SHA-256(content)), 32 bytes."""
    return sha256(bytes([kind]) + destination.encode() + sha256(content).digest()).digest()


def read_item(message: pb.Item) -> CourierItem:
    """An offered item whose id fits its content. Raises `Malformed`."""
    if message.kind not in list(ItemKind) or not is_code(message.destination) or not is_code(message.origin):
        raise Malformed("bad-item", "an item has a kind, an origin and a destination")
    if message.item_id != item_id(message.kind, message.destination, message.head):
        raise Malformed("bad-item", "the item's id is not that of its content")
    parcel = Parcel(
        message.item_id,
        message.kind,
        message.origin,
        message.destination,
        message.precedence,
        message.expires_at,
        message.size_seen,
        message.body_length,
        message.envelope_id if message.body_length else b"",
        head_bytes=len(message.head),
    )
    return CourierItem(parcel, message.envelope_id, message.head)


def write_item(item: CourierItem) -> pb.Item:
    """The wire form of an item."""
    parcel = item.parcel
    return pb.Item(
        item_id=parcel.item_id,
        kind=parcel.kind,
        origin=parcel.origin,
        destination=parcel.destination,
        precedence=parcel.precedence,
        expires_at=parcel.expires_at,
        size_seen=parcel.size_seen,
        head=item.head,
        body_length=parcel.length,
        envelope_id=item.envelope_id,
    )


def make_item(
    kind: ItemKind,
    destination: str,
    envelope: StoredEnvelope,
    content: bytes,
    origin: str,
    size_seen: int = 0,
    length: int = 0,
    expires_at: int = 0,
) -> CourierItem:
    """An item that begins its way here; it has the precedence of its envelope."""
    parcel = Parcel(
        item_id(kind, destination, content),
        kind,
        origin,
        destination,
        envelope.precedence,
        expires_at,
        size_seen,
        length,
        envelope.envelope_id if length else b"",
        head_bytes=len(content),
    )
    return CourierItem(parcel, envelope.envelope_id, content)


def envelope_from(head: Head, outer: Outer) -> StoredEnvelope:
    """What the node remembers of an envelope."""
    return StoredEnvelope(
        head.envelope_id,
        outer.cable_id,
        outer.post,
        outer.terminal_id,
        head.body_root,
        outer.precedence,
        outer.expires_at,
        outer.kind != Kind.CABLE,
    )


@lru_cache(maxsize=8)
def read_head(head: bytes) -> Head:
    """A head as its bytes say; the paths of its wraps are not computed. Raises `Malformed`.

    The last few are remembered: that of a short cable is read when offered, when its body is whole, and when stored.
    """
    return CODEC.decode(Head, head, limit=MAX_HEAD)


class ItemChecks:
    """Checks items against the own state, of S or later.

    The newest state serves for every S: a relay asks only about terminals, whose records stay for ever, name the log
    indexes at which they came and went, and never change key or post.
    """

    def __init__(self, network_id: bytes, verifier: Verifier) -> None:
        self._network_id = network_id
        self._verifier = verifier

    def refusal(self, item: CourierItem, state: State) -> str:
        """The code of a refusal, or ""."""
        try:
            self.check(item, state)
        except DutabartaError as problem:
            return problem.code
        return ""

    def check(self, item: CourierItem, state: State) -> None:
        """Raise unless the item is what it says it is. The state covers its S."""
        match item.parcel.kind:
            case ItemKind.ENVELOPE:
                self._check_envelope(item, state)
            case ItemKind.DELIVERED:
                self._check_delivered(item, state)
            case ItemKind.SEALED_RECEIPT:
                self._check_sealed(item, state)
            case ItemKind.PROOF:
                ItemProof.decode(TlogProof.decode(item.head).extra)
            case ItemKind.NAK:
                self._check_nak(item, state)
            case ItemKind.REWRAP:
                self._check_rewrap(item, state)
            case ItemKind.EXPIRED:
                self._check_expired(item, state)
            case ItemKind.ESCALATION:
                _check_escalation(item, state)
            case ItemKind.ADDED_WRAP:
                self._check_added(item, state)

    def envelope(self, head: bytes, state: State) -> tuple[Head, Outer]:
        """A head whose form, network and terminal's signature hold. Raises `Malformed` or `VerificationFailed`."""
        opened = read_head(head)
        outer = read_outer(opened)
        check_head(opened, self._network_id, state.terminal(outer.terminal_id), self._verifier)
        return opened, outer

    def _check_envelope(self, item: CourierItem, state: State) -> None:
        head, outer = self.envelope(item.head, state)
        parcel = item.parcel
        said = (parcel.origin, parcel.precedence, parcel.expires_at, parcel.size_seen, parcel.length, item.envelope_id)
        true = (
            outer.post,
            outer.precedence,
            outer.expires_at,
            outer.size_seen,
            body_length(outer.padded_length),
            head.envelope_id,
        )
        if said != true:
            raise Malformed("bad-item", "the item says another thing than its envelope")
        if posts_of(head, state) != {parcel.destination}:
            raise Refused("wrong-destination", "the head holds wraps for another post")

    def _check_delivered(self, item: CourierItem, state: State) -> None:
        receipt = read_receipt(item.head)
        terminal = state.terminal(receipt.terminal_id)
        verify_receipt(item.head, self._network_id, terminal, self._verifier)
        if receipt.envelope_id != item.envelope_id or receipt.post != item.parcel.origin or item.parcel.length:
            raise Malformed("bad-item", "the item says another thing than its receipt")

    def _check_sealed(self, item: CourierItem, state: State) -> None:
        receipt = read_sealed_receipt(item.head)
        terminal = state.terminal(receipt.terminal_id)
        if receipt.envelope_id != item.envelope_id or item.parcel.length:
            raise Malformed("bad-item", "the item says another thing than its receipt")
        if terminal is None or terminal.post != item.parcel.destination:
            raise Refused("wrong-destination", "the receipt is sealed for another post")

    def _check_nak(self, item: CourierItem, state: State) -> None:
        terminal = state.terminal(read_nak(item.head).terminal_id)
        nak = verify_nak(item.head, self._network_id, terminal, self._verifier)
        _check_way(item, nak.envelope_id, terminal, state.terminal(nak.origin_terminal_id))

    def _check_rewrap(self, item: CourierItem, state: State) -> None:
        terminal = state.terminal(read_rewrap(item.head).by_terminal_id)
        rewrap = verify_rewrap(item.head, self._network_id, terminal, self._verifier)
        _check_way(item, rewrap.envelope_id, terminal, state.terminal(rewrap.terminal_id))

    def _check_added(self, item: CourierItem, state: State) -> None:
        addition = verify_added_wrap(item.head, self._network_id, state, self._verifier)
        _check_way(item, addition.envelope_id, addition.by, state.terminal(addition.added.terminal_id))

    def _check_expired(self, item: CourierItem, state: State) -> None:
        post = state.post(read_expired(item.head).by)
        expired = verify_expired(item.head, self._network_id, post, self._verifier)
        parcel = item.parcel
        said = (item.envelope_id, parcel.origin, parcel.destination, parcel.size_seen, parcel.length)
        if said != (expired.envelope_id, expired.by, expired.origin, expired.size, 0):
            raise Malformed("bad-item", "the item says another thing than its content")


def _check_way(item: CourierItem, envelope_id: bytes, signer: Terminal | None, to: Terminal | None) -> None:
    """From its signer's post to the post of the terminal that it names, about one envelope, without a body."""
    parcel = item.parcel
    if signer is None or (item.envelope_id, parcel.origin, parcel.length) != (envelope_id, signer.post, 0):
        raise Malformed("bad-item", "the item says another thing than its content")
    if to is None or to.post != parcel.destination:
        raise Refused("wrong-destination", "the item is for a terminal of another post")


def _check_escalation(item: CourierItem, state: State) -> None:
    """To a terminal of headquarters, about what only that terminal may know. Any post's terminal may have made it."""
    terminal = state.terminal(read_sealed_escalation(item.head).terminal_id)
    if item.envelope_id or item.parcel.length:
        raise Malformed("bad-item", "the item says another thing than its content")
    if terminal is None or not terminal.post == item.parcel.destination == state.headquarters():
        raise Refused("wrong-destination", "the item is not for a terminal of headquarters")


def posts_of(head: Head, state: State) -> set[str]:
    """The posts whose terminals have a wrap in this head. Raises `Refused` for a terminal that is not on the ledger."""
    posts = set()
    for placed in head.wraps:
        terminal = state.terminal(placed.wrap.terminal_id)
        if terminal is None:
            raise Refused("unknown-terminal", f"terminal {placed.wrap.terminal_id.hex()[:16]} is not on the ledger")
        posts.add(terminal.post)
    return posts
