"""Zeroizing a terminal: its keys and its plaintext destroyed, and a signed statement of it for the ledger.

The statement needs the keys, so it is made first; it leaves the folder only when they are gone, so that nobody who
sees it is ever told too much. Killed anywhere, `resume` goes on (docs/protocol/terminal-folder.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ledger.bodies import TerminalRetired
from ledger.records import Officer, Terminal
from ledger.state import officer_key, terminal_key
from protos.errors import Malformed, Refused, Unavailable, VerificationFailed
from terminal.desk import Desk
from terminal.destroying import KEYSTORE, destroy, remove_rest
from terminal.enrol import TERMINAL_RETIRED, pending
from terminal.files import write_private
from terminal.folder import Folder
from terminal.numbering import known_number
from terminal.request import Request, parse_request
from terminal.session import Session
from terminal.submit import next_sequence
from terminal.view import ProvedState

ZEROIZED = "zeroized"
STATEMENT = "zeroize.json"


class Told(StrEnum):
    """How far the statement has come."""

    ENTERED = "entered"
    HANDED_IN = "handed in"
    LEFT_FOR_NODE = "left for the node"
    TO_CARRY = "to carry"
    REFUSED = "refused by the ledger"
    NOT_NEEDED = "not needed"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Zeroized:
    """`statement`: the file to carry, if there is one. `code`: why the ledger refused it."""

    told: Told
    statement: Path | None = None
    code: str = ""


def is_under_way(folder: Folder) -> bool:
    """Whether an earlier attempt has destroyed the keys, or was about to."""
    return (folder.path / STATEMENT).exists() or not (folder.path / KEYSTORE).exists()


def zeroize(session: Session, intake: Path | None) -> Zeroized:
    """Destroy this terminal, and tell the ledger. `intake`: the folder in which a node here looks for entries.

    Raises `Unavailable("not-destroyed")`; `Refused("no-statement")` before anything is done, if the node is out of
    reach and this terminal does not know the number of its officer's next entry.
    """
    statement, otherwise = _statement(session)
    session.folder.save_file(STATEMENT, statement.format().encode())
    session.store.close()
    session.keyring.holder.destroy_all()
    destroy(session.folder.path, STATEMENT)
    if not statement.entries:
        return _finished(session.folder, Zeroized(otherwise))
    told, code = _hand_in(session.desk, statement.entries[0].leaf())
    if told is None:
        return _leave(session.folder, intake)
    return _finished(session.folder, Zeroized(told, code=code))


def resume(folder: Folder, intake: Path | None) -> Zeroized:
    """Go on where an earlier attempt ended, or destroy a terminal without its passphrase, and so without statement."""
    with folder.locked():
        destroy(folder.path, STATEMENT)
        return _leave(folder, intake)


def _statement(session: Session) -> tuple[Request, Told]:
    """The signed entry; without one if the ledger does not take it, and what is then said."""
    try:
        number, otherwise = session.view.judge(lambda state: _number(session, state))
    except (Unavailable, VerificationFailed):
        number, otherwise = known_number(session), Told.NONE
        if not number:
            raise Refused(
                "no-statement",
                "the node is out of reach, and this terminal does not know the number of its statement",
                hint="start the node; or destroy without a statement: --without-statement",
            ) from None
    if not number:
        return Request(session.network_id, ()), otherwise
    body = TerminalRetired(session.terminal_id, ZEROIZED)
    signer = session.keyring.officer_signer
    entry = pending(session.network_id, TERMINAL_RETIRED, number, body, signer)
    return Request(session.network_id, (entry,)), Told.NONE


def _number(session: Session, state: ProvedState) -> tuple[int, Told]:
    state.prefetch([terminal_key(session.terminal_id), officer_key(session.officer_id)])
    terminal, officer = state.terminal(session.terminal_id), state.officer(session.officer_id)
    if _is_out(terminal, officer):
        return 0, Told.NOT_NEEDED
    key_id = session.keyring.officer_signer.public_key.key_id
    if not state.may_act(session.officer_id) or state.officer_of_key(key_id) is None:
        return 0, Told.NONE
    return next_sequence(state, key_id), Told.NONE


def _is_out(terminal: Terminal | None, officer: Officer | None) -> bool:
    """Whether nobody wraps for this terminal any more."""
    return terminal is None or not terminal.is_active or officer is None or officer.revoked_at > 0


def _hand_in(desk: Desk, leaf: bytes) -> tuple[Told | None, str]:
    """None: the node is out of reach. Once the entry stands, it knows this terminal's certificate no more."""
    try:
        result = desk.submit_entry(leaf)
    except Refused as problem:
        return (Told.ENTERED, "") if problem.code in ("retired", "unknown-caller") else (Told.REFUSED, problem.code)
    except (Unavailable, VerificationFailed):
        return None, ""
    if not result.is_settled:
        return Told.HANDED_IN, ""
    return (Told.ENTERED, "") if result.code == "accepted" else (Told.REFUSED, result.code)


def _leave(folder: Folder, intake: Path | None) -> Zeroized:
    """The statement where the node of this machine finds it, else beside the folder, to be carried."""
    request = _read_statement(folder)
    if request is None or not request.entries:
        return _finished(folder, Zeroized(Told.NONE))
    carried = folder.path.with_name(f"{folder.path.name}.{ZEROIZED}.json")
    if intake is not None and _put(intake / f"{ZEROIZED}-{folder.path.name}.entry", request.entries[0].leaf()):
        return _finished(folder, Zeroized(Told.LEFT_FOR_NODE))
    write_private(carried, request.format().encode())
    return _finished(folder, Zeroized(Told.TO_CARRY, carried))


def _read_statement(folder: Folder) -> Request | None:
    """None if there is none, or one that cannot be read: that of a damaged disk."""
    try:
        return parse_request((folder.path / STATEMENT).read_bytes())
    except (OSError, Malformed):
        return None


def _put(path: Path, leaf: bytes) -> bool:
    """False if this user may not write there."""
    try:
        write_private(path, leaf)
    except Unavailable:
        return False
    return True


def _finished(folder: Folder, zeroized: Zeroized) -> Zeroized:
    remove_rest(folder.path, STATEMENT)
    return zeroized
