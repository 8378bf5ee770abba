"""Acknowledgement timers: who has not answered a cable in time, alarmed here, then at headquarters (cables.md §3).

A timer runs by this machine's clock from the release, one interval for both answers, by the cable's precedence. After
it an alarm stands here until all have answered or are on the exception list; after a second one the duty officers of
headquarters are told, and told again when it is over (docs/protocol/escalation.md).
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from crypto_msg.cable import Precedence
from crypto_msg.escalation import MAX_POSTS, make_escalation, seal_escalation
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.wire import Escalation
from ledger.parameters import DEFAULT_ANSWER_SECONDS, answer_seconds
from ledger.roles import Role
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.awaiting import Awaited, awaited
from terminal.exceptions import KEY_SECONDS, forget_key
from terminal.failpoint import reach
from terminal.outgoing import RECEIPT
from terminal.recipients import Seat, fetch_bundles, seats_of
from terminal.records import Aside, Job, Watch
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

ESCALATION = 8
OVERDUE = "answer-overdue"


def watch_answers(session: Session) -> None:
    """At each synchronisation: tell headquarters of what is overdue twice, end what is over."""
    with session.store.transaction() as transaction:
        found = [(one, awaited(transaction, one)) for one in transaction.watches()]
    if not found:
        return
    _learn_intervals(session)
    with session.store.transaction() as transaction:
        due = {one.envelope_id for one, _ in found if _age(session, one) >= 2 * _interval(transaction, one)}
    for watch, left in found:
        if left.posts and not watch.escalated and watch.envelope_id in due:
            _tell_headquarters(session, watch, left)
        elif not left.posts:
            _end(session, watch, left)


def overdue(session: Session, envelope_id: bytes = b"") -> list[Aside]:
    """An alarm for each cable (or for one alone) that has not been answered in its interval. Needs no node."""
    found = []
    with session.store.transaction() as transaction:
        for one in transaction.watches():
            left = awaited(transaction, one)
            is_late = _age(session, one) >= _interval(transaction, one)
            if left.posts and is_late and envelope_id in (b"", one.envelope_id):
                text = f"{_name(one.precedence)} cable {one.cable_id.hex()}: {unanswered(left)}"
                told = "; headquarters has been told" if one.escalated else ""
                key = one.envelope_id
                found.append(Aside(key, OVERDUE, text + told, session.config.post, one.at, envelope_id=key))
    return found


def unanswered(left: Awaited | Escalation) -> str:
    """Who has not answered, for people."""
    missing = [("not delivered at", left.undelivered), ("not acknowledged by", left.unacknowledged)]
    return "; ".join(f"{what} {', '.join(posts)}" for what, posts in missing if posts)


def _name(precedence: int) -> str:
    return Precedence(precedence).name


def _age(session: Session, watch: Watch) -> int:
    return abs(session.clock() - watch.at)


def _interval(transaction: Transaction, watch: Watch) -> int:
    return transaction.setting(_setting(watch.precedence), DEFAULT_ANSWER_SECONDS[watch.precedence - 1])


def _setting(precedence: int) -> str:
    return f"answer-seconds/{precedence}"


def _learn_intervals(session: Session) -> None:
    """Keep what the network has set, so that alarms need no node."""
    parameters = session.view.judge(lambda state: state.parameters())
    with session.store.transaction() as transaction:
        for one in Precedence:
            seconds = answer_seconds(parameters, one)
            if transaction.setting(_setting(one)) != seconds:
                transaction.set_setting(_setting(one), seconds)


def _end(session: Session, watch: Watch, left: Awaited) -> None:
    """Everybody has answered: headquarters is told if it was before. The watch goes with the content key."""
    if watch.escalated:
        _tell_headquarters(session, watch, left)
    elif _age(session, watch) > KEY_SECONDS:
        with session.store.transaction() as transaction:
            forget_key(session, transaction, watch.envelope_id)
            transaction.drop_watch(watch.envelope_id)
        reach()


def _tell_headquarters(session: Session, watch: Watch, left: Awaited) -> None:
    """To each releaser's terminal there; if no bundle can be had now, the next synchronisation tries again."""
    size, seats = session.view.judge(lambda state: (state.size, _duty_seats(session, state)))
    bundles = _bundles(session, seats)
    if not bundles:
        return
    undelivered = left.undelivered[:MAX_POSTS]
    unacknowledged = left.unacknowledged[: MAX_POSTS - len(undelivered)]
    who = session.config.post, session.terminal_id, watch.precedence, watch.at
    said = Escalation(watch.envelope_id, *who, undelivered, unacknowledged, size)
    signed = make_escalation(said, session.network_id, session.keyring.terminal_signer)
    with session.store.transaction() as transaction:
        for bundle in bundles:
            content = seal_escalation(signed, bundle)
            transaction.add_job(Job(RECEIPT, sha256(content).digest(), content, ESCALATION))
        transaction.put_watch(replace(watch, escalated=bool(left.posts)))
    reach()


def _duty_seats(session: Session, state: ProvedState) -> tuple[Seat, ...]:
    """Whoever may have the duty at headquarters: its releasers in force, but this terminal."""
    seats = seats_of(state, [state.headquarters()])
    return tuple(
        one
        for one in seats
        if one.officer.is_active
        and one.officer.has_role(Role.RELEASER)
        and one.terminal.terminal_id != session.terminal_id
    )


def _bundles(session: Session, seats: tuple[Seat, ...]) -> list[VerifiedBundle]:
    try:
        return list(fetch_bundles(session.desk, seats, session.network_id).values())
    except (Refused, Unavailable, VerificationFailed):
        return []
