"""What this terminal asks for again: envelopes that it cannot open, and numbers of wraps that never came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from crypto_msg.envelope import decode_head, read_outer
from crypto_msg.nak import Reason, make_nak
from crypto_msg.prekey import current_prekey, prekey_key
from crypto_msg.wire import Nak, Outer
from protos.errors import Refused, Unavailable
from terminal.counting import MISSING_NUMBER, missing_alarm
from terminal.failpoint import reach
from terminal.keeping import NOT_OPENED
from terminal.naks import MOST_A_DAY, TIMES_KEPT, recent
from terminal.outgoing import RECEIPT
from terminal.prekeys import PATIENCE_SECONDS, publish
from terminal.records import GAP, OWN, Aside, Ask, Job
from terminal.restored import was_restored
from terminal.session import Session

NAK, ENVELOPE = 5, 1
GAP_SECONDS = 86_400
"""How long numbers may be missing before they are asked for: the time in which a ROUTINE cable is to arrive."""
ASKED_AT_ONCE = 8
ASKED_WHEN_RESTORED = 256
"""Of one terminal, in a day, by one that was set back."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """The newest size, and the bundle that the ledger names for this terminal, whose prekey it holds."""

    size: int
    bundle_hash: bytes


def ask_again(session: Session) -> None:
    """Sign and store a NAK for each envelope that does not open, once for each bundle, at most 3 a day.

    A terminal whose current prekey is gone publishes a new one first: a re-wrap goes to the current bundle.
    """
    with session.store.transaction() as transaction:
        asides = [one for one in transaction.asides() if one.wire_kind == ENVELOPE and one.code in NOT_OPENED]
        gaps = [one for one in transaction.asks() if one.state == GAP]
        restored = was_restored(session, transaction)
    due = [one for one in gaps if restored or abs(session.clock() - one.at) >= GAP_SECONDS]
    if not asides and not due:
        return
    try:
        standing = _standing(session)
        for aside in asides:
            _ask_for_envelope(session, aside, standing)
        for gap in due:
            _ask_for_numbers(session, gap, standing, ASKED_WHEN_RESTORED if restored else ASKED_AT_ONCE)
    except (Refused, Unavailable):
        return  # the next synchronisation asks


def _standing(session: Session) -> _Standing:
    """Raises `Unavailable` or `Refused` while no prekey of this terminal's can become the current one."""
    for _ in range(2):
        size, recorded = session.view.judge(lambda state: (state.size, current_prekey(state, session.terminal_id)))
        if recorded is not None and recorded.bundle_hash in session.keyring.prekeys_by_hash:
            return _Standing(size, recorded.bundle_hash)
        publish(session, PATIENCE_SECONDS)
    raise Unavailable("not-settled", "the ledger has not settled the prekey yet", hint="synchronise again later")


def _ask_for_envelope(session: Session, aside: Aside, standing: _Standing) -> None:
    envelope_id, now = aside.envelope_id, session.clock()
    with session.store.transaction() as transaction:
        known = transaction.ask(envelope_id, session.terminal_id) or Ask(envelope_id, session.terminal_id, OWN, now)
    if known.bundle_hash == standing.bundle_hash or recent(known.times, now) >= MOST_A_DAY:
        return
    outer = read_outer(decode_head(aside.content))
    reason = _reason(session, outer)
    nak = Nak(envelope_id, session.terminal_id, reason, standing.bundle_hash, standing.size, outer.terminal_id, 0)
    times = (*known.times, now)[-TIMES_KEPT:]
    asked = replace(known, size=nak.size, reason=reason, bundle_hash=nak.bundle_hash, times=times)
    _store(session, [nak], asked)


def _reason(session: Session, outer: Outer) -> Reason:
    at_s = session.view.at(outer.size_seen, [prekey_key(session.terminal_id)])
    recorded = current_prekey(at_s, session.terminal_id)
    held = recorded is not None and recorded.bundle_hash in session.keyring.prekeys_by_hash
    return Reason.BAD_WRAP if held else Reason.PREKEY_GONE


def _ask_for_numbers(session: Session, gap: Ask, standing: _Standing, most: int) -> None:
    """The lowest few missing numbers of one terminal, once a day as long as they are missing."""
    by, now = gap.terminal_id, session.clock()
    if recent(gap.times, now):
        return
    terminal = session.view.judge(lambda state: state.terminal(by))
    with session.store.transaction() as transaction:
        numbers = transaction.numbers(by)
    wanted = [n for first, end in numbers.missing for n in range(first, min(end + 1, first + most))]
    naks = [
        Nak(b"", session.terminal_id, Reason.NEVER_CAME, standing.bundle_hash, standing.size, by, n)
        for n in wanted[:most]
    ]
    alarm = missing_alarm(session, by, numbers, terminal.post if terminal else "")
    _store(session, naks, replace(gap, times=(*gap.times, now)[-TIMES_KEPT:]), alarm)


def _store(session: Session, naks: list[Nak], asked: Ask, alarm: Aside | None = None) -> None:
    """The NAKs, the duty to hand them in, and that they were asked, durable together."""
    with session.store.transaction() as transaction:
        for nak in naks:
            signed = make_nak(nak, session.network_id, session.keyring.terminal_signer)
            transaction.add_job(Job(RECEIPT, sha256(signed).digest(), signed, NAK, nak.envelope_id))
        if alarm is not None:
            transaction.drop_aside(Aside(alarm.key, MISSING_NUMBER, "", "", 0))
            transaction.add_aside(alarm)
        transaction.put_ask(asked)
    reach()
