"""Old prekeys erased when nobody needs them any more (docs/protocol/prekey.md).

A prekey goes when its grace has passed while this terminal was connected, counted from the first time that it had
emptied its inbox after a later prekey had become final. Time is the ledger's: no step of this machine's clock erases
anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crypto_msg.prekey import current_prekey
from terminal.failpoint import reach
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

GRACE_SECONDS = 7 * 86_400
HEADQUARTERS_GRACE_SECONDS = 72 * 3600
MOST_BETWEEN_SECONDS = 2 * 86_400
"""Two looks that lie further apart do not show that the terminal was connected between them. A quiet ledger has no
block but those of the daily prekeys."""
CONNECTED, LOOKED_AT = "connected-seconds", "connected-looked-at"
ENVELOPE = 1


@dataclass(frozen=True, slots=True)
class _Look:
    """What the newest proved state says to a terminal that has emptied its inbox. `time` is its block's."""

    time: int
    epoch: int
    grace: int


def note_emptied(session: Session) -> None:
    """The inbox is empty now: count the time connected, and erase the prekeys whose grace has passed."""
    look = session.view.judge(lambda state: _look(session, state))
    with session.store.transaction() as transaction:
        connected = _count(transaction, look.time)
        if look.epoch and not _waits(transaction) and not transaction.setting(_emptied(look.epoch)):
            transaction.set_setting(_emptied(look.epoch), connected + 1)
        kept_from = _kept_from(session, transaction, connected, look)
    stale = [one for one in session.keyring.prekeys if one.epoch < kept_from]
    if stale:
        keep = tuple(one for one in session.keyring.prekeys if one.epoch >= kept_from)
        reach()
        session.save_keyring(replace(session.keyring, prekeys=keep))
        reach()


def _look(session: Session, state: ProvedState) -> _Look:
    current = current_prekey(state, session.terminal_id)
    at_headquarters = state.headquarters() == session.config.post
    grace = HEADQUARTERS_GRACE_SECONDS if at_headquarters else GRACE_SECONDS
    return _Look(state.time, current.epoch if current else 0, grace)


def _count(transaction: Transaction, time: int) -> int:
    """Seconds of the ledger's time for which this terminal was connected."""
    connected, before = transaction.setting(CONNECTED), transaction.setting(LOOKED_AT)
    if before and 0 < time - before <= MOST_BETWEEN_SECONDS:
        connected += time - before
    transaction.set_setting(CONNECTED, connected)
    transaction.set_setting(LOOKED_AT, max(time, before))
    return connected


def _waits(transaction: Transaction) -> bool:
    """Whether an envelope that was refused may still hold, and then needs its prekey."""
    return any(one.wire_kind == ENVELOPE and one.tries for one in transaction.asides())


def _kept_from(session: Session, transaction: Transaction, connected: int, look: _Look) -> int:
    """The lowest epoch that stays: the newest final one whose grace, since the inbox was empty under it, is over."""
    final = [one.epoch for one in session.keyring.prekeys if one.epoch <= look.epoch]
    since = {epoch: transaction.setting(_emptied(epoch)) for epoch in final}
    over = [epoch for epoch, at in since.items() if at and connected + 1 - at >= look.grace]
    return max(over, default=0)


def _emptied(epoch: int) -> str:
    return f"emptied-under/{epoch}"
