"""NAKs that come to the originating post: checked, remembered, and answered with a re-wrap (docs/protocol/rewrap.md).

Each terminal of the post that holds the content key may answer. The one that sealed does so at once; a colleague's
terminal waits an hour and only steps in if nothing has been DELIVERED meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from crypto_msg.cable import Kind
from crypto_msg.envelope import is_in_force
from crypto_msg.nak import Reason, read_nak, verify_nak
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rewrap import Content, make_rewrap
from crypto_msg.rules import is_reader
from crypto_msg.wire import Nak, decode_draft
from keys.signing import DirectVerifier
from ledger.state import officer_key, post_key, terminal_key
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.askrows import SENT
from terminal.failpoint import reach
from terminal.outgoing import RECEIPT
from terminal.own_receipts import is_delivered
from terminal.recipients import Seat, fetch_bundles, seat_of
from terminal.records import (
    ALLOWED,
    ANSWERED,
    ASKED_FOR,
    OFFICER,
    OPEN,
    REFUSED,
    Aside,
    Ask,
    CableRecord,
    Job,
    WrapNumber,
)
from terminal.resending import add_resend
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

REWRAP = 6
DAY_SECONDS = 86_400
MOST_A_DAY = 3
DEPUTY_SECONDS = 3600
TIMES_KEPT = 16


@dataclass(frozen=True, slots=True)
class Judged:
    """Who asks, as the newest state shows him, and the size of that state."""

    seat: Seat
    size: int


def take_nak(session: Session, content: bytes, then: Callable[[Transaction], None]) -> None:
    """Check a NAK, remember what is asked, and do `then` in the same transaction. A replayed one changes nothing."""
    nak = session.view.judge(lambda state: _verified(session, content, state))
    with session.store.transaction() as transaction:
        envelope_id = nak.envelope_id or transaction.envelope_under(SENT, nak.terminal_id, nak.n) or b""
        known = transaction.ask(envelope_id, nak.terminal_id)
        is_here = bool(envelope_id) and transaction.has_envelope(envelope_id)
        if is_here and (known is None or nak.size > known.size):
            times = () if known is None else known.times
            state = ALLOWED if known is not None and known.state == ALLOWED else OPEN
            asked = Ask(envelope_id, nak.terminal_id, state, session.clock(), nak.size, nak.reason, b"", times)
            transaction.put_ask(replace(asked, delivered=_has_delivered(transaction, asked)))
        then(transaction)


def answer_naks(session: Session) -> None:
    """Answer what is open, as far as the rules allow; what the node cannot help with now stays open."""
    with session.store.transaction() as transaction:
        waiting = [one for one in transaction.asks() if one.state in (OPEN, ALLOWED)]
    for one in waiting:
        try:
            _answer(session, one)
        except Unavailable:
            continue
        reach()


def allow(session: Session, record: CableRecord) -> int:
    """The officer's decision after too many NAKs in a day: each that waits for it is answered once more. How many."""
    with session.store.transaction() as transaction:
        asks = [one for one in transaction.asks(only_open=False) if one.envelope_id == record.envelope_id]
        waiting = [one for one in asks if one.state == OFFICER]
        for one in waiting:
            transaction.put_ask(replace(one, state=ALLOWED))
            transaction.drop_aside(_alarm(session, one, "nak-limit", ""))
    return len(waiting)


def recent(times: tuple[int, ...], now: int) -> int:
    """How many of these lie within a day of `now`, on either side: a clock set back opens no new day."""
    return sum(abs(now - at) < DAY_SECONDS for at in times)


def _verified(session: Session, content: bytes, state: ProvedState) -> Nak:
    terminal_id = read_nak(content).terminal_id
    state.prefetch([terminal_key(terminal_id)])
    return verify_nak(content, session.network_id, state.terminal(terminal_id), DirectVerifier())


def _answer(session: Session, asked: Ask) -> None:
    with session.store.transaction() as transaction:
        record = next((one for _, one in transaction.find_cables(asked.envelope_id)), None)
        delivered = _has_delivered(transaction, asked)
    if record is not None and record.terminal_id != session.terminal_id and asked.state != ALLOWED:
        if delivered and not asked.delivered:
            return _settle(session, asked)
        if abs(session.clock() - asked.at) < DEPUTY_SECONDS:
            return None
        if delivered:
            return _close(session, asked, "nak-delivered", "it has confirmed the cable before", OFFICER)
    if record is None or not record.cek:
        return _close(session, asked, "nak-key-gone", "the content key is no longer kept here")
    try:
        judged = _judge(session, record, asked)
    except Refused as problem:
        return _close(session, asked, "nak-refused", problem.text)
    if asked.state != ALLOWED and recent(asked.times, session.clock()) >= MOST_A_DAY:
        return _close(session, asked, "nak-limit", f"it asked more than {MOST_A_DAY} times in a day", OFFICER)
    _rewrap(session, record, asked, judged, _bundle(session, judged.seat))
    return None


def _judge(session: Session, record: CableRecord, asked: Ask) -> Judged:
    """Raise `Refused` unless that terminal was on the cable's list, and is enrolled, active and cleared now."""
    classification = decode_draft(record.draft).classification

    def question(state: ProvedState) -> Judged:
        session.own(state)
        terminal = state.active_terminal(asked.terminal_id)
        seat = seat_of(state, terminal.terminal_id)
        if seat is None or not is_reader(state, terminal, classification):
            raise Refused("not-cleared", "its officer is not active and cleared for it now", hint="ask a supervisor")
        return Judged(seat, state.size)

    _check_listed(session, record, asked, classification)
    return session.view.judge(question)


def _check_listed(session: Session, record: CableRecord, asked: Ask, classification: int) -> None:
    """The list: who got a number when it was sealed here; else who had to get the key at S."""
    with session.store.transaction() as transaction:
        if asked.terminal_id in transaction.wraps_of(SENT, record.envelope_id):
            return
    at_s = session.view.at(record.size_seen, [terminal_key(asked.terminal_id)])
    terminal = at_s.terminal(asked.terminal_id)
    keys = [] if terminal is None else [post_key(terminal.post), officer_key(terminal.officer_id)]
    at_s.prefetch(keys)
    listed = (
        record.kind == Kind.CABLE
        and terminal is not None
        and terminal.post in {*record.posts, record.post}
        and is_in_force(terminal.enrolled_at, terminal.retired_at, record.size_seen)
        and is_reader(at_s, terminal, classification)
    )
    if not listed:
        raise Refused("not-listed", "it was not on the cable's list", hint="a supervisor can add it")


def _bundle(session: Session, seat: Seat) -> VerifiedBundle:
    """Its current bundle. Raises `Unavailable("bundle-missing")`."""
    try:
        found = fetch_bundles(session.desk, [seat], session.network_id).get(seat.terminal.terminal_id)
    except VerificationFailed as problem:
        raise Unavailable(problem.code, problem.text, hint=problem.hint, **problem.params) from problem
    if found is None:
        post = seat.terminal.post
        raise Unavailable("bundle-missing", f"the prekeys of {post} could not be fetched", hint="wait", post=post)
    return found


def _rewrap(session: Session, record: CableRecord, asked: Ask, judged: Judged, bundle: VerifiedBundle) -> None:
    """The number, the re-wrap, the duty to hand it in and the day's count, durable together."""
    now = session.clock()
    with session.store.transaction() as transaction:
        n, replaced_n = _numbers(session, transaction, record, asked.terminal_id)
        content = Content(record.cek, n, record.terminal_id, replaced_n)
        signer = session.keyring.terminal_signer
        signed = make_rewrap(record.envelope_id, content, bundle, judged.size, session.network_id, signer)
        post = judged.seat.terminal.post
        transaction.note_wrap(SENT, WrapNumber(asked.terminal_id, n, record.envelope_id, post))
        transaction.put_ask(replace(asked, state=ANSWERED, times=(*asked.times, now)[-TIMES_KEPT:]))
        transaction.add_job(Job(RECEIPT, sha256(signed).digest(), signed, REWRAP, record.envelope_id))
        if asked.reason == Reason.NEVER_CAME:
            _send_again(session, transaction, record, asked, post)


def _send_again(session: Session, transaction: Transaction, record: CableRecord, asked: Ask, post: str) -> None:
    """The cable itself, as often as its key: only the terminal that sealed can hand it in."""
    text = "it says that the cable never came to it; it has the key again"
    mine = record.terminal_id == session.terminal_id
    sent = mine and add_resend(transaction, record, asked.terminal_id)
    text += ", and the cable is sent to it again" if sent else ", but not the cable"
    transaction.add_aside(_alarm(session, asked, ASKED_FOR, text, post))


def _numbers(session: Session, transaction: Transaction, record: CableRecord, terminal_id: bytes) -> tuple[int, int]:
    """(n, replaced n): a number that this terminal gave for this cable stays, else it takes its next one."""
    given = transaction.wraps_of(SENT, record.envelope_id).get(terminal_id)
    used = given.n if given else 0
    n = used or transaction.counter("sent", terminal_id) + 1
    if not used:
        transaction.set_counter("sent", terminal_id, n)
    return n, used if record.terminal_id == session.terminal_id else 0


def _has_delivered(transaction: Transaction, asked: Ask) -> bool:
    return is_delivered(transaction, asked.envelope_id, asked.terminal_id)


def _settle(session: Session, asked: Ask) -> None:
    """The terminal that sealed has answered: the cable is delivered since it was asked for."""
    with session.store.transaction() as transaction:
        transaction.put_ask(replace(asked, state=ANSWERED))


def _close(session: Session, asked: Ask, code: str, text: str, state: str = REFUSED) -> None:
    with session.store.transaction() as transaction:
        transaction.put_ask(replace(asked, state=state))
        transaction.add_aside(_alarm(session, asked, code, text))


def _alarm(session: Session, asked: Ask, code: str, text: str, post: str = "") -> Aside:
    whole = f"terminal {asked.terminal_id.hex()[:16]} asks again for cable {asked.envelope_id.hex()[:16]}: {text}"
    key = asked.envelope_id + asked.terminal_id
    return Aside(key, code, whole, post, session.clock(), envelope_id=asked.envelope_id)
