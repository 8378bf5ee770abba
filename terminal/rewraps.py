"""Re-wraps that come for this terminal: the kept envelope is opened with the key that they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from crypto_msg.envelope import decode_head, read_outer
from crypto_msg.opening import open_cable
from crypto_msg.rewrap import Content, open_rewrap, read_rewrap, verify_rewrap
from crypto_msg.wire import Outer, Rewrap
from keys.signing import DirectVerifier
from ledger.records import Terminal
from ledger.state import terminal_key
from protos.errors import DutabartaError, Refused, Unavailable, VerificationFailed
from terminal.counting import note_number
from terminal.keeping import MISSING, NOT_OPENED, fetch_body, keep_opened, reader_of
from terminal.records import Aside, Sealed
from terminal.restored import notice_own
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import DoubtfulNode, ProvedState

ENVELOPE = 1


def take_rewrap(session: Session, content: bytes, then: Callable[[Transaction], None]) -> int:
    """Check a re-wrap and open its cable by it, with `then` in the same transaction. How many cables it opened.

    One for a cable that is open here only accounts for its number. One for an envelope that never came is alarmed.
    """
    rewrap, by = session.view.judge(lambda state: _verified(session, content, state))
    opened = open_rewrap(rewrap, session.keyring.prekeys_by_hash)
    with session.store.transaction() as transaction:
        known = transaction.find_cables(rewrap.envelope_id)
    if known:
        record = known[0][1]
        _check_origin(by, record.post, record.terminal_id, opened)
        with session.store.transaction() as transaction:
            _note(session, transaction, rewrap, opened, by)
            then(transaction)
        return 0
    sealed = _unopened(session, rewrap.envelope_id)
    if sealed is None:
        _tell_missing(session, content, rewrap, opened, by, then)
        return 0
    _open(session, rewrap, opened, by, sealed, then)
    return 1


def open_with_kept(session: Session) -> int:
    """Open what came after its re-wrap, for a cable that had been missing. How many cables.

    A kept re-wrap that does not hold becomes an alarm, and the cable's key is asked for again.
    """
    with session.store.transaction() as transaction:
        asides = transaction.asides()
    unopened = {one.envelope_id for one in asides if one.code in NOT_OPENED and one.wire_kind == ENVELOPE}
    kept = [one for one in asides if one.code == MISSING and one.content and one.envelope_id in unopened]
    return sum(_open_kept(session, one) for one in kept)


def _open_kept(session: Session, kept: Aside) -> int:
    try:
        return take_rewrap(session, kept.content, lambda _: None)
    except (Unavailable, DoubtfulNode):
        raise
    except DutabartaError as problem:
        with session.store.transaction() as transaction:
            transaction.change_aside(kept, replace(kept, code=problem.code, text=problem.text, content=b""))
        return 0


def _verified(session: Session, content: bytes, state: ProvedState) -> tuple[Rewrap, Terminal]:
    by = read_rewrap(content).by_terminal_id
    state.prefetch([terminal_key(by)])
    terminal = state.terminal(by)
    rewrap = verify_rewrap(content, session.network_id, terminal, DirectVerifier())
    if terminal is None or rewrap.terminal_id != session.terminal_id:
        raise Refused("wrong-destination", "the re-wrap is for another terminal", hint="tell the node's operator")
    return rewrap, terminal


def _open(
    session: Session,
    rewrap: Rewrap,
    content: Content,
    by: Terminal,
    sealed: Sealed,
    then: Callable[[Transaction], None],
) -> None:
    head = decode_head(sealed.head)
    outer: Outer = read_outer(head)
    _check_origin(by, outer.post, outer.terminal_id, content)
    state = session.view.at(outer.size_seen, (terminal_key(outer.terminal_id), terminal_key(session.terminal_id)))
    opened = open_cable(head, sealed.body, reader_of(session, state), content)
    newest = session.view.seen or state.checkpoint
    with session.store.transaction() as transaction:
        notice_own(session, transaction, outer, head.envelope_id)
        _note(session, transaction, rewrap, content, by)
        keep_opened(session, transaction, opened, sealed, newest)
        then(transaction)


def _unopened(session: Session, envelope_id: bytes) -> Sealed | None:
    """The kept envelope; else its head, which was set aside, with the body asked for anew."""
    with session.store.transaction() as transaction:
        sealed = transaction.envelope(envelope_id)
        heads = [one for one in transaction.asides() if one.envelope_id == envelope_id and one.wire_kind == ENVELOPE]
    if sealed is not None or not heads:
        return sealed
    return Sealed(heads[0].content, fetch_body(session, decode_head(heads[0].content)))


def _check_origin(by: Terminal, post: str, sealed_by: bytes, content: Content) -> None:
    if by.post != post or content.replaced_terminal_id != sealed_by:
        text = f"a terminal of {by.post} re-wraps a cable of {post}, or names another wrap"
        raise VerificationFailed("not-origin", text, hint="Do not rely on it: tell headquarters.", post=by.post)


def _note(session: Session, transaction: Transaction, rewrap: Rewrap, content: Content, by: Terminal) -> None:
    """Account for the number of this wrap, and for that of the one that it replaces."""
    note_number(session, transaction, by.terminal_id, content.n, rewrap.envelope_id, by.post)
    if content.replaced_n and content.replaced_terminal_id != by.terminal_id:
        sealed_by = content.replaced_terminal_id
        note_number(session, transaction, sealed_by, content.replaced_n, rewrap.envelope_id, by.post)


def _tell_missing(
    session: Session,
    signed: bytes,
    rewrap: Rewrap,
    content: Content,
    by: Terminal,
    then: Callable[[Transaction], None],
) -> None:
    """The re-wrap is kept: its cable may come, and not open with the wrap that it brings."""
    envelope_id = rewrap.envelope_id
    text = f"cable {envelope_id.hex()} of {by.post} was sent to this terminal and has not come"
    with session.store.transaction() as transaction:
        note_number(session, transaction, by.terminal_id, content.n, envelope_id, by.post)
        missing = Aside(envelope_id, MISSING, text, by.post, session.clock(), signed, envelope_id)
        transaction.change_aside(missing, missing)
        then(transaction)
