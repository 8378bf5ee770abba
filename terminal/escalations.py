"""What other posts' terminals tell headquarters' duty officers: who has not answered their cables in time."""

from __future__ import annotations

from collections.abc import Callable

from crypto_msg.cable import Precedence
from crypto_msg.dtg import format_dtg
from crypto_msg.escalation import open_escalation, read_escalation, verify_escalation
from crypto_msg.wire import Escalation
from keys.signing import DirectVerifier
from ledger.state import terminal_key
from terminal.records import ESCALATION, Aside, Notice
from terminal.session import Session
from terminal.store import Transaction
from terminal.timers import unanswered
from terminal.view import ProvedState

UNANSWERED = "cable-unanswered"
MOST_KEPT = 1000


def take_escalation(session: Session, content: bytes, then: Callable[[Transaction], None]) -> None:
    """Check and keep an escalation, with `then` in the same transaction. The one that says it is over stands.

    Raises "prekey-gone", "cannot-open", "unknown-terminal", "bad-signature".
    """
    signed = open_escalation(content, session.keyring.prekeys_by_hash)
    said = session.view.judge(lambda state: _verified(session, signed, state))
    new = Notice(ESCALATION, said.envelope_id, said.terminal_id.hex(), said.post, said.released_at, signed)
    with session.store.transaction() as transaction:
        before = [one for one in transaction.notices(said.envelope_id) if _is_of(one, new)]
        if not any(read_escalation(one.signed).is_over for one in before):
            transaction.put_notice(new)
            for old in transaction.notices_of(ESCALATION)[:-MOST_KEPT]:
                transaction.drop_notice(old)
        then(transaction)


def unanswered_cables(session: Session) -> list[Aside]:
    """An alarm for each cable of which headquarters was told, and that is not over."""
    with session.store.transaction() as transaction:
        kept = transaction.notices_of(ESCALATION)
    return [_alarm(one, said) for one in kept if not (said := read_escalation(one.signed)).is_over]


def _verified(session: Session, signed: bytes, state: ProvedState) -> Escalation:
    terminal_id = read_escalation(signed).terminal_id
    state.prefetch([terminal_key(terminal_id)])
    return verify_escalation(signed, session.network_id, state.terminal(terminal_id), DirectVerifier())


def _is_of(one: Notice, other: Notice) -> bool:
    return (one.kind, one.subject) == (other.kind, other.subject)


def _alarm(one: Notice, said: Escalation) -> Aside:
    what = f"{Precedence(said.precedence).name} cable {said.envelope_id.hex()[:16]} of {said.post}"
    text = f"{what}, released {format_dtg(said.released_at)}: {unanswered(said)}"
    return Aside(one.envelope_id + said.terminal_id, UNANSWERED, text, said.post, one.at, envelope_id=one.envelope_id)
