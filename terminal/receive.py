"""The inbox: each item is fetched, checked, stored and answered in one transaction, then the position moves on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crypto_msg.envelope import check_network, decode_head, read_outer
from crypto_msg.opening import open_cable
from crypto_msg.wraps import NotForYou
from ledger.state import terminal_key
from node.wire import InboxItem
from protos.errors import DutabartaError, Malformed, Unavailable, VerificationFailed
from terminal.additions import take_added
from terminal.counting import note_number
from terminal.escalations import take_escalation
from terminal.expiry import take_expired
from terminal.failpoint import reach
from terminal.inbox import next_items, set_position
from terminal.keeping import fetch_body, keep_opened, keep_unopened, kept_body, reader_of
from terminal.naks import take_nak
from terminal.own_receipts import repeat_delivered
from terminal.proofs import take_proof
from terminal.receipts import take_receipt
from terminal.records import Aside, Sealed
from terminal.restored import notice_own
from terminal.rewraps import take_rewrap
from terminal.session import Session
from terminal.view import DoubtfulNode

TRIES = 5
"""How many further synchronisations try an item that did not hold."""
ENVELOPE, DELIVERED, SEALED_RECEIPT, ITEM_PROOF, NAK, REWRAP, EXPIRED, ESCALATION, ADDED_WRAP = range(1, 10)


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
    body = kept_body(session, head.envelope_id) or fetch_body(session, head)
    try:
        opened = open_cable(head, body, reader_of(session, state))
    except VerificationFailed as problem:
        keep_unopened(session, head, Sealed(item.content, body), problem)
        raise
    newest = session.view.seen or state.checkpoint
    with session.store.transaction() as transaction:
        notice_own(session, transaction, outer, head.envelope_id)
        note_number(session, transaction, outer.terminal_id, opened.n, head.envelope_id, outer.post)
        keep_opened(session, transaction, opened, Sealed(item.content, body), newest)
        set_position(transaction, item)
    received.cables += 1


def _take_receipt(session: Session, item: InboxItem, received: Received) -> None:
    take_receipt(session, item.content, item.kind == SEALED_RECEIPT, lambda t: set_position(t, item))
    received.receipts += 1


def _take_nak(session: Session, item: InboxItem, _received: Received) -> None:
    take_nak(session, item.content, lambda t: set_position(t, item))


def _take_rewrap(session: Session, item: InboxItem, received: Received) -> None:
    received.cables += take_rewrap(session, item.content, lambda t: set_position(t, item))


def _take_added(session: Session, item: InboxItem, received: Received) -> None:
    received.cables += take_added(session, item.content, lambda t: set_position(t, item))


def _take_expired(session: Session, item: InboxItem, _received: Received) -> None:
    take_expired(session, item.content, lambda t: set_position(t, item))


def _take_escalation(session: Session, item: InboxItem, _received: Received) -> None:
    take_escalation(session, item.content, lambda t: set_position(t, item))


def _take_proof(session: Session, item: InboxItem, received: Received) -> None:
    take_proof(session, item.envelope_id, item.content, lambda t: set_position(t, item))
    received.proofs += 1


_TAKERS = {
    ENVELOPE: _take_envelope,
    DELIVERED: _take_receipt,
    SEALED_RECEIPT: _take_receipt,
    ITEM_PROOF: _take_proof,
    NAK: _take_nak,
    REWRAP: _take_rewrap,
    EXPIRED: _take_expired,
    ESCALATION: _take_escalation,
    ADDED_WRAP: _take_added,
}
