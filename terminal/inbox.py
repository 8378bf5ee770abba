"""The pages of the node's inbox, and how far this terminal has come in it."""

from __future__ import annotations

from node.wire import InboxItem
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import DoubtfulNode

POSITION, INBOX = "inbox-position", "inbox-id"
INBOX_ID_BYTES = 16
PAGE = 100


def next_items(session: Session) -> tuple[InboxItem, ...]:
    """The next page. Raises `DoubtfulNode("bad-inbox")` unless its positions rise from where this terminal stands.

    A node rebuilt from nothing counts them anew under another inbox id: so does the terminal. It knows what it has.
    """
    inbox = session.desk.inbox(_position(session), PAGE)
    if _begins_anew(session, inbox.inbox_id):
        inbox = session.desk.inbox(0, PAGE)
        if _begins_anew(session, inbox.inbox_id):
            raise _bad_inbox()
    position = _position(session)
    for item in inbox.items:
        if item.position <= position:
            raise _bad_inbox()
        position = item.position
    return inbox.items


def _bad_inbox() -> DoubtfulNode:
    return DoubtfulNode("bad-inbox", "the node's inbox does not move on", hint="tell the node's operator")


def _begins_anew(session: Session, inbox_id: bytes) -> bool:
    """Note the id of the node's inbox. True if it is another one than before: then this terminal starts again at 0."""
    if len(inbox_id) != INBOX_ID_BYTES:
        raise _bad_inbox()
    number = int.from_bytes(inbox_id)
    with session.store.transaction() as transaction:
        if transaction.setting(INBOX) == number:
            return False
        transaction.set_setting(INBOX, number)
        transaction.set_setting(POSITION, 0)
    return True


def _position(session: Session) -> int:
    with session.store.transaction() as transaction:
        return transaction.setting(POSITION)


def set_position(transaction: Transaction, item: InboxItem) -> None:
    """The terminal has done with an item: the position moves on, never back."""
    transaction.set_setting(POSITION, max(item.position, transaction.setting(POSITION)))
