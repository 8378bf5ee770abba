"""The inbox: each item is fetched, checked, stored and answered in one transaction, then the position moves on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crypto_msg.cable import Kind
from crypto_msg.envelope import check_network, decode_head, read_outer
from crypto_msg.opening import OpenedCable, Reader, open_cable
from crypto_msg.receipt import ReceiptKind
from crypto_msg.segments import body_length
from crypto_msg.wire import CODEC, Head, Receipt
from crypto_msg.wraps import NotForYou
from keys.signing import DirectVerifier
from ledger.checkpoint import Checkpoint
from ledger.state import terminal_key
from node.wire import InboxItem
from protos.errors import DutabartaError, Malformed, Unavailable, VerificationFailed
from terminal.failpoint import reach
from terminal.inbox import next_items, set_position
from terminal.judging import close_drafts
from terminal.own_receipts import add_own_receipt, own_receipt, repeat_delivered
from terminal.proofs import take_proof
from terminal.receipts import take_receipt
from terminal.records import AWAITING, CO_RELEASED, DRAFTS, IN, NEW, OUT, RELEASED, Aside, CableRecord, Sealed
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import DoubtfulNode, ProvedState

TRIES = 5
"""How many further synchronisations try an item that did not hold."""
ENVELOPE, DELIVERED, SEALED_RECEIPT, ITEM_PROOF = 1, 2, 3, 4


@dataclass(slots=True)
class Received:
    """What one synchronisation brought."""

    cables: int = 0
    receipts: int = 0
    proofs: int = 0
    refused: int = 0


def receive(session: Session) -> Received:
    """Take everything that waits at the node. Stops with `Unavailable` if the node does; nothing is taken twice."""
    received = Received()
    _try_again(session, received)
    while items := next_items(session):
        for item in items:
            _take(session, item, received)
    return received


def _try_again(session: Session, received: Received) -> None:
    """Take what was refused before and may hold now: a body that the node has mended, a proof that came too early."""
    with session.store.transaction() as transaction:
        waiting = [one for one in transaction.asides() if one.tries]
    for one in waiting:
        item = InboxItem(0, one.wire_kind, one.content, 0, one.origin, one.envelope_id)
        problem = _problem(session, item, received)
        with session.store.transaction() as transaction:
            if problem is None or isinstance(problem, NotForYou):
                transaction.drop_aside(one)
            else:
                changed = _refused(session, item, problem)
                transaction.change_aside(one, replace(changed, key=one.key, at=one.at, tries=one.tries - 1))
        reach()


def _take(session: Session, item: InboxItem, received: Received) -> None:
    problem = _problem(session, item, received)
    if problem is not None:
        with session.store.transaction() as transaction:
            if not isinstance(problem, NotForYou):
                received.refused += 1
                transaction.add_aside(_refused(session, item, problem))
            set_position(transaction, item)
    reach()


def _problem(session: Session, item: InboxItem, received: Received) -> DutabartaError | None:
    """Take an item: what is wrong with it, None if it was stored. Raises what is the node's fault."""
    taker = _TAKERS.get(item.kind)
    if taker is None:
        return Malformed("unknown-inbox-item", f"no item of an inbox has kind {item.kind}", hint="update this program")
    try:
        taker(session, item, received)
    except (Unavailable, DoubtfulNode):
        raise
    except DutabartaError as problem:
        return problem
    return None


def _refused(session: Session, item: InboxItem, problem: DutabartaError) -> Aside:
    """What stays of an item that was refused. Only what is malformed can never hold later."""
    return Aside(
        key=item.envelope_id or item.position.to_bytes(8),
        code=problem.code,
        text=problem.text,
        origin=item.origin,
        at=session.clock(),
        content=item.content,
        envelope_id=item.envelope_id,
        wire_kind=item.kind,
        tries=0 if isinstance(problem, Malformed) else TRIES,
    )


def _take_envelope(session: Session, item: InboxItem, received: Received) -> None:
    head = decode_head(item.content)
    with session.store.transaction() as transaction:
        if transaction.has_envelope(head.envelope_id):
            repeat_delivered(session, transaction, head.envelope_id)
            set_position(transaction, item)
            return
    outer = read_outer(head)
    check_network(outer, session.network_id)
    state = session.view.at(outer.size_seen, (terminal_key(outer.terminal_id), terminal_key(session.terminal_id)))
    body = _fetch_body(session, head)
    opened = _open(session, head, body, state)
    receipt = _delivered(session, opened, session.view.seen or state.checkpoint)
    with session.store.transaction() as transaction:
        _note_number(session, transaction, opened)
        record = _record(session, opened)
        transaction.add_envelope(head.envelope_id, Sealed(item.content, body))
        transaction.add_cable(record)
        close_drafts(transaction, record)
        if opened.outer.kind == Kind.CABLE and _is_addressed(session, opened):
            add_own_receipt(session, transaction, receipt)
        set_position(transaction, item)
    received.cables += 1


def _open(session: Session, head: Head, body: bytes, at_s: ProvedState) -> OpenedCable:
    reader = Reader(session.network_id, session.terminal_id, session.keyring.prekeys_by_hash, at_s, DirectVerifier())
    return open_cable(head, body, reader)


def _fetch_body(session: Session, head: Head) -> bytes:
    """The sealed body, never more than the head announces. Raises `VerificationFailed("body-changed")`."""
    length = body_length(read_outer(head).padded_length)
    body = bytearray()
    for piece in session.desk.body(head.envelope_id):
        body += piece
        if len(body) > length:
            raise VerificationFailed("body-changed", f"the body is longer than {length} bytes", hint="tell HQ")
    if len(body) < length:
        raise Unavailable("body-cut", "the node broke off in the middle of a cable", hint="try again")
    return bytes(body)


def _delivered(session: Session, opened: OpenedCable, newest: Checkpoint) -> Receipt:
    return own_receipt(session, ReceiptKind.DELIVERED, opened.envelope_id, opened.body_root, opened.inner_hash, newest)


def _record(session: Session, opened: OpenedCable) -> CableRecord:
    kind = Kind(opened.outer.kind)
    own_post = opened.draft.post == session.config.post
    box = DRAFTS if kind != Kind.CABLE else OUT if own_post and not _is_addressed(session, opened) else IN
    signers = opened.signers
    releasers = [*signers.co_releasers, *([signers.releaser] if signers.releaser else [])]
    return CableRecord(
        box=box,
        state=_STATE_OF_DRAFT.get(kind) or (NEW if box == IN else RELEASED),
        kind=kind,
        cable_id=opened.draft.cable_id,
        draft=opened.inner.draft,
        attachments=opened.attachments,
        envelope_id=opened.envelope_id,
        inner=CODEC.encode(opened.inner),
        post=opened.outer.post,
        terminal_id=opened.outer.terminal_id,
        posts=opened.posts,
        size_seen=opened.outer.size_seen,
        body_root=opened.body_root,
        cek=opened.cek if own_post else b"",
        at=session.clock(),
        n=opened.n,
        drafter=signers.drafter.officer_id if signers.drafter else b"",
        releasers=tuple(one.officer_id for one in releasers),
        signatures=tuple((str(one.purpose), one.key_id, one.signature) for one in opened.draft_signatures),
    )


_STATE_OF_DRAFT = {Kind.DRAFT: AWAITING, Kind.COUNTERSIGNATURE: CO_RELEASED}


def _is_addressed(session: Session, opened: OpenedCable) -> bool:
    expanded = {one.collective: one.posts for one in opened.inner.expansions}
    addressees = (*opened.draft.action, *opened.draft.info)
    return any(session.config.post in expanded.get(one.name, (one.name,)) for one in addressees)


def _note_number(session: Session, transaction: Transaction, opened: OpenedCable) -> None:
    """n counts the wraps one terminal made for this one: what is missing is on its way or lost, a repeat is a clone."""
    origin = opened.outer.terminal_id
    numbers = transaction.numbers(origin)
    if opened.n < 1 or numbers.has(opened.n):
        text = f"terminal {origin.hex()[:16]} used wrap number {opened.n} again: it was restored or copied"
        code = "wrap-number-repeated"
        key = about = opened.envelope_id
        transaction.add_aside(Aside(key, code, text, opened.outer.post, session.clock(), envelope_id=about))
    else:
        transaction.set_numbers(origin, numbers.with_number(opened.n))


def _take_receipt(session: Session, item: InboxItem, received: Received) -> None:
    take_receipt(session, item.content, item.kind == SEALED_RECEIPT, lambda t: set_position(t, item))
    received.receipts += 1


def _take_proof(session: Session, item: InboxItem, received: Received) -> None:
    take_proof(session, item.envelope_id, item.content, lambda t: set_position(t, item))
    received.proofs += 1


_TAKERS = {
    ENVELOPE: _take_envelope,
    DELIVERED: _take_receipt,
    SEALED_RECEIPT: _take_receipt,
    ITEM_PROOF: _take_proof,
}
