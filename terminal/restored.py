"""A terminal that was set back: restored from a backup, or one of two copies. Noticed, and what it misses asked for.

Three things tell: the ledger knows a newer prekey of this terminal than its keystore; a cable that it has sealed comes
to it and is new to it; and, to others, numbers of its wraps that come twice (counting.py). What its inbox still holds
it takes again from where it stands now. What does not open, and the numbers that are missing, it asks for at once.
"""

from __future__ import annotations

from crypto_msg.prekey import current_prekey
from crypto_msg.wire import Outer
from protos.errors import Refused, Unavailable
from terminal.prekeys import PATIENCE_SECONDS, notice_gap, publish
from terminal.records import Aside
from terminal.session import Session
from terminal.store import Transaction

RESTORED_AT, PUBLISHED_AT = "restored-at", "restored-published-at"
RESTORED_SECONDS = 30 * 86_400
"""For so long after it was noticed, missing numbers are asked for at once: nodes keep no inbox longer."""
PUBLISH_SECONDS = 3600
"""Two copies that are both in use do not fill the ledger with prekeys."""
UNKNOWN_OWN = "terminal-behind"


def notice_restore(session: Session) -> None:
    """Alarm if the ledger names a prekey that is not here, and publish one that others can seal to."""
    known = max((one.epoch for one in session.keyring.prekeys), default=0)
    current = session.view.judge(lambda state: current_prekey(state, session.terminal_id))
    if current is None or current.epoch <= known:
        return
    now = session.clock()
    with session.store.transaction() as transaction:
        is_due = abs(now - transaction.setting(PUBLISHED_AT)) >= PUBLISH_SECONDS
        transaction.set_setting(RESTORED_AT, now)
        if is_due:
            transaction.set_setting(PUBLISHED_AT, now)
    notice_gap(session, current.epoch + 1)
    if is_due:
        try:
            publish(session, PATIENCE_SECONDS)
        except (Refused, Unavailable):
            return  # the next rotation, or whatever does not open, publishes


def notice_own(session: Session, transaction: Transaction, outer: Outer, envelope_id: bytes) -> None:
    """Alarm if this terminal has sealed an envelope of which its store knows nothing."""
    if outer.terminal_id == session.terminal_id:
        text = f"this terminal has sealed cable {outer.cable_id.hex()}, and its store does not know it: it was restored"
        text += " from a backup, or there is a copy of it"
        about = Aside(envelope_id, UNKNOWN_OWN, text, outer.post, session.clock(), envelope_id=envelope_id)
        transaction.add_aside(about)
        transaction.set_setting(RESTORED_AT, session.clock())


def was_restored(session: Session, transaction: Transaction) -> bool:
    """Whether this terminal has noticed lately that it was set back."""
    at = transaction.setting(RESTORED_AT)
    return at > 0 and abs(session.clock() - at) < RESTORED_SECONDS
