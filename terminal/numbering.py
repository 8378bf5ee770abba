"""The number of this officer's next entry, remembered for when the node is out of reach."""

from __future__ import annotations

from terminal.session import Session
from terminal.submit import next_sequence
from terminal.view import ProvedState

NUMBER = "officer-number"


def note_number(session: Session) -> None:
    """Remember it as the newest proved state says."""
    key_id = session.keyring.officer_signer.public_key.key_id
    number = session.view.judge(lambda state: next_sequence(state, key_id))
    if known_number(session) != number:
        with session.store.transaction() as transaction:
            transaction.set_setting(NUMBER, number)


def own_number(session: Session) -> int:
    """The number of this officer's next entry, as the newest proved state says. Raises as `Session.own`."""

    def question(state: ProvedState) -> int:
        officer, _ = session.own(state)
        return next_sequence(state, officer.key.key_id)

    return session.view.judge(question)


def known_number(session: Session) -> int:
    """As last remembered; 0 if never."""
    with session.store.transaction() as transaction:
        return transaction.setting(NUMBER)
