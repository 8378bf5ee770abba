"""What supervisors do from their terminals: approve, submit, list, suspend, revoke, rotate."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from keys.possession import prove
from keys.public import SUITE_DUAL
from keys.purpose import Purpose
from keys.signing import Signer
from ledger.bodies import OfficerRevoked, OfficerRotated, OfficerSuspended, TerminalRetired
from ledger.entry import sign_entry
from ledger.records import Officer, Terminal
from protos.errors import Refused
from terminal.enrol import OFFICER_SUSPENDED, TERMINAL_RETIRED, Candidate, approve, missing_approvals, pending
from terminal.names import names_of
from terminal.numbering import note_number, own_number
from terminal.recipients import Seat, seats_of
from terminal.request import Request
from terminal.session import Session
from terminal.view import ProvedState

OFFICER_ID_BYTES, SALT_BYTES = 16, 32


@dataclass(frozen=True, slots=True)
class Listed:
    """An officer of the roster with his name as far as it is opened, and his terminals in force."""

    officer: Officer
    name: str
    terminals: tuple[Terminal, ...]


def new_candidate(post: str, name: str, roles: tuple[int, ...], clearance: int) -> Candidate:
    """Somebody to enrol, with a random id and salt."""
    officer_id, salt = secrets.token_bytes(OFFICER_ID_BYTES), secrets.token_bytes(SALT_BYTES)
    return Candidate(officer_id, post, roles, clearance, name, salt)


def approve_as(session: Session, request: Request) -> Request:
    """Add this supervisor's signature. Raises as `enrol.approve`, and "wrong-network"."""
    _check_network(session, request)
    officer, state = session.view.judge(lambda state: (session.own(state)[0], _warm(request, state)))
    return approve(request, officer, session.keyring.officer_signer, state)


def missing_for(session: Session, request: Request) -> list[str]:
    """The posts whose supervisors must still sign."""
    return session.view.judge(lambda state: missing_approvals(request, state))


def submit_request(session: Session, request: Request) -> None:
    """Enter a complete request, entry by entry, each final and proved; then open the name. May be repeated.

    Raises `Refused`: "wrong-network", else the ledger's own code.
    """
    _check_network(session, request)
    for one in request.entries:
        session.submitter.submit(one.leaf())
    if request.opening is not None:
        opening = request.opening
        session.desk.put_opening(opening.officer_id, opening.salt, opening.name)


def roster_of(session: Session, post: str) -> list[Listed]:
    """The officers of a post, proved complete, by name."""

    def question(state: ProvedState) -> tuple[tuple[Officer, ...], tuple[Seat, ...]]:
        state.active_post(post)
        seats = seats_of(state, [post])
        return tuple(state.live_officer(one) for one in state.roster(post).officer_ids), seats

    officers, seats = session.view.judge(question)
    names = names_of(session, [one.officer_id for one in officers])
    found = [
        Listed(one, names[one.officer_id], tuple(seat.terminal for seat in seats if seat.officer == one))
        for one in officers
    ]
    return sorted(found, key=lambda one: one.name)


def find_officer(session: Session, post: str, who: str) -> Officer:
    """An officer of the post by name or by the hex digits of his id. Raises "unknown-officer", "ambiguous-name"."""
    found = [
        one.officer
        for one in roster_of(session, post)
        if one.name.strip("()") == who or one.officer.officer_id.hex() == who.lower()
    ]
    if len(found) > 1:
        raise Refused("ambiguous-name", f"several officers of {post} are called {who}", hint="give his id")
    if not found:
        raise Refused("unknown-officer", f"{post} has no officer {who}", hint="see `dutabarta officer list`")
    return found[0]


def suspend(session: Session, officer: Officer) -> None:
    """He signs nothing until reinstated. One supervisor of his post, or of HQ, is enough."""
    _enter_as_supervisor(session, OFFICER_SUSPENDED, OfficerSuspended(officer.officer_id, False))


def reinstatement_request(session: Session, officer: Officer) -> Request:
    """The entry by which a suspended officer of this post signs again; a supervisor of headquarters has to approve.

    Raises `Refused("nothing-changed")` if he is not suspended.
    """
    if not officer.suspended:
        raise Refused("nothing-changed", "the officer is not suspended", hint="see `dutabarta officer list`")
    number = own_number(session)
    body, signer = OfficerSuspended(officer.officer_id, True), session.keyring.officer_signer
    return Request(session.network_id, (pending(session.network_id, OFFICER_SUSPENDED, number, body, signer),))


def revoke(session: Session, officer: Officer, compromised_since: int = 0) -> None:
    """He leaves for ever. `compromised_since`: log index from which his signatures are doubtful, 0 none."""
    _enter_as_supervisor(session, "officer-revoked", OfficerRevoked(officer.officer_id, compromised_since))


def retire(session: Session, terminal_id: bytes, reason: str) -> None:
    """A terminal leaves for ever: `reason` replaced, lost or zeroized. Raises `Refused` as the ledger does."""
    _enter_as_supervisor(session, TERMINAL_RETIRED, TerminalRetired(terminal_id, reason))


def rotation_request(session: Session) -> Request:
    """This officer's new key, kept in the keystore until the ledger names it; a supervisor has still to approve."""
    successor = _successor(session)
    number = own_number(session)
    body = OfficerRotated(session.officer_id, prove(successor, "officer"))
    entry = pending(session.network_id, "officer-rotated", number, body, session.keyring.officer_signer)
    signature = sign_entry(entry.entry, successor, session.network_id, Purpose.ENROLMENT)
    return Request(session.network_id, (entry.with_signature(signature),))


def adopt_rotation(session: Session) -> bool:
    """Use the new key once the ledger names it. True if it has just been taken into use."""
    old = session.keyring
    if not old.next_officer:
        return False
    officer = session.view.judge(lambda state: state.live_officer(session.officer_id))
    if officer.key.key_id != old.next_officer_signer.public_key.key_id:
        return False
    due = tuple(replace(one, made_at=0) for one in old.prekeys)  # the old key vouches for them no longer
    session.save_keyring(replace(old, officer=old.next_officer, next_officer=b"", prekeys=due))
    old.holder.destroy(old.officer)
    return True


def _check_network(session: Session, request: Request) -> None:
    if request.network_id != session.network_id:
        raise Refused("wrong-network", "this request is for another network", hint="look at the file's name and origin")


def _successor(session: Session) -> Signer:
    """The key to come, durable before anything is signed with it."""
    if not session.keyring.next_officer:
        made = session.keyring.holder.generate(SUITE_DUAL)
        session.save_keyring(replace(session.keyring, next_officer=made))
    return session.keyring.next_officer_signer


def _enter_as_supervisor(session: Session, kind: str, body: object) -> None:
    number = own_number(session)
    entry = pending(session.network_id, kind, number, body, session.keyring.officer_signer)
    session.submitter.submit(entry.leaf())
    note_number(session)


def _warm(request: Request, state: ProvedState) -> ProvedState:
    """Fetch what judging the request will read, so that it is all proved under one checkpoint."""
    missing_approvals(request, state)
    return state
