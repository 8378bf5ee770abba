"""Cables with an expiry: when it is, and what a node says of one that it gave up (docs/protocol/expired.md)."""

from __future__ import annotations

from collections.abc import Callable

from crypto_msg.expired import read_expired, verify_expired
from crypto_msg.receipt import ReceiptKind
from crypto_msg.wire import Expired
from keys.signing import DirectVerifier
from ledger.state import post_key
from protos.errors import Refused, VerificationFailed
from terminal.exceptions import put_on_list
from terminal.records import EXPIRED, Aside, CableRecord, Notice
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

HOUR_SECONDS = 3600
MOST_HOURS = 24 * 366
CABLE_EXPIRED = "cable-expired"


def expiry_after(session: Session, hours: int) -> int:
    """POSIX seconds, `hours` from now; 0 (never) for 0. Raises `Refused("bad-expiry")` outside 1 to MOST_HOURS.

    Nodes judge it by the ledger's time. So a clock here that is behind gives no cable an expiry that has passed, and
    one that is ahead only a later one.
    """
    if not 0 <= hours <= MOST_HOURS:
        text, hint = f"a cable expires after 1 to {MOST_HOURS} hours", "leave --expires away: then it never does"
        raise Refused("bad-expiry", text, hint=hint, limit=MOST_HOURS)
    if not hours:
        return 0
    time = session.view.judge(lambda state: state.time)
    return max(session.clock(), time) + hours * HOUR_SECONDS


def check_not_expired(session: Session, record: CableRecord) -> None:
    """Raise `Refused("expired-cable")` for one whose expiry has passed in the newest proved block time."""
    if 0 < record.expires_at < session.view.judge(lambda state: state.time):
        raise Refused(
            "expired-cable",
            "the expiry of this cable has passed",
            hint="release a draft with another --expires, or send the cable anew",
        )


def take_expired(session: Session, content: bytes, then: Callable[[Transaction], None]) -> None:
    """Check a node's EXPIRED, put the addressee on the exception list with an alarm, and do `then` with it.

    One about a cable that is not here (this officer was not cleared for it) changes nothing, and nor does one about
    an addressee that has DELIVERED. Raises "unknown-node", "bad-signature", "not-expired".
    """
    expired = session.view.judge(lambda state: _verified(session, content, state))
    with session.store.transaction() as transaction:
        known = transaction.find_cables(expired.envelope_id)
    mine = [(number, record) for number, record in known if expired.post in record.posts]
    if mine:
        _check_time(session, mine[0][1], expired)
    with session.store.transaction() as transaction:
        for number, record in mine:
            _note(session, transaction, number, record, expired, content)
        then(transaction)


def _verified(session: Session, content: bytes, state: ProvedState) -> Expired:
    by = read_expired(content).by
    state.prefetch([post_key(by)])
    return verify_expired(content, session.network_id, state.post(by), DirectVerifier())


def _check_time(session: Session, record: CableRecord, expired: Expired) -> None:
    """The ledger itself says when it was: what a node claims of the time is never believed."""
    time = session.view.at(expired.size).time
    if expired.origin != record.post or time != expired.time or not 0 < record.expires_at < time:
        text = f"the node of {expired.by} says that a cable has expired, and it had not"
        raise VerificationFailed("not-expired", text, hint="tell headquarters", post=expired.by)


def _note(
    session: Session, transaction: Transaction, number: int, record: CableRecord, expired: Expired, content: bytes
) -> None:
    if expired.post in _delivered(transaction, record):
        return
    now, post = session.clock(), expired.post
    if any(one.kind == EXPIRED and one.subject == post for one in transaction.notices(record.envelope_id)):
        return
    transaction.put_notice(Notice(EXPIRED, record.envelope_id, post, expired.by, expired.time, content))
    text = f"cable {record.cable_id.hex()} expired before it came to {post}: given up at {expired.by}"
    key, about = record.envelope_id + post.encode(), record.envelope_id
    transaction.add_aside(Aside(key, CABLE_EXPIRED, text, expired.by, now, envelope_id=about))
    put_on_list(session, transaction, number, record, post)


def _delivered(transaction: Transaction, record: CableRecord) -> set[str]:
    receipts = transaction.receipts(record.envelope_id)
    return {one.post for one in receipts if one.kind == ReceiptKind.DELIVERED}
