"""Officers and terminals enter the ledger: entries built here, approved by supervisors, submitted when complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from keys.name import commit_name
from keys.possession import prove
from keys.purpose import Purpose
from keys.signing import Signer
from ledger.bodies import OfficerEnrolled, OfficerRotated, OfficerSuspended, ShiftChanged, TerminalEnrolled
from ledger.entry import encode_entry, sign_entry
from ledger.records import Officer
from ledger.roles import Role
from ledger.state import State
from ledger.wire import CODEC, MAX_LEAF_BYTES
from protos.errors import Refused
from terminal.keyring import Keyring
from terminal.request import NameOpening, Pending, Request

OFFICER_ENROLLED = "officer-enrolled"
TERMINAL_ENROLLED = "terminal-enrolled"
OFFICER_ROTATED = "officer-rotated"
OFFICER_SUSPENDED = "officer-suspended"
TERMINAL_RETIRED = "terminal-retired"
SHIFT_CHANGED = "shift-changed"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who is to be enrolled. `officer_id` 16 random bytes, `salt` 32."""

    officer_id: bytes
    post: str
    roles: tuple[int, ...]
    clearance: int
    name: str
    salt: bytes


def enrolment_request(network_id: bytes, candidate: Candidate, keyring: Keyring) -> Request:
    """The new officer's two entries, signed by his own new key: himself, then his terminal."""
    body = OfficerEnrolled(
        candidate.officer_id,
        candidate.post,
        prove(keyring.officer_signer, "officer"),
        tuple(sorted(candidate.roles)),
        candidate.clearance,
        commit_name(candidate.salt, candidate.name),
    )
    first = pending(network_id, OFFICER_ENROLLED, 1, body, keyring.officer_signer)
    opening = NameOpening(candidate.officer_id, candidate.salt, candidate.name)
    second = terminal_entry(network_id, candidate.officer_id, keyring, 2)
    return Request(network_id, (first, second), opening)


def terminal_entry(network_id: bytes, officer_id: bytes, keyring: Keyring, sequence: int) -> Pending:
    """The entry that enrols the keyring's terminal, signed by its officer; a supervisor's signature is to follow."""
    body = TerminalEnrolled(officer_id, prove(keyring.terminal_signer, "terminal"), keyring.certificate)
    return pending(network_id, TERMINAL_ENROLLED, sequence, body, keyring.officer_signer)


def pending(
    network_id: bytes,
    kind: str,
    sequence: int,
    body: object,
    author: Signer,
    purpose: Purpose = Purpose.ENROLMENT,
) -> Pending:
    """An entry with its author's signature."""
    entry = encode_entry(kind, sequence, body)
    signature = sign_entry(entry, author, network_id, purpose)
    return Pending(entry, author.public_key.key_id, (signature,))


def approve(request: Request, supervisor: Officer, signer: Signer, state: State) -> Request:
    """Add the supervisor's signature to every entry that still needs one from his post.

    Raises `Refused`: "not-supervisor", "not-needed" if no entry waits for him, "other-author" if he must begin it.
    """
    if not supervisor.has_role(Role.SUPERVISOR):
        raise Refused("not-supervisor", "only a supervisor approves", hint="ask a supervisor of the post")
    entries = tuple(_approved(one, request, supervisor, signer, state) for one in request.entries)
    if entries == request.entries:
        raise Refused(
            "not-needed",
            "this request does not wait for your signature",
            hint=f"it waits for a supervisor of: {', '.join(sorted(missing_approvals(request, state))) or 'nobody'}",
        )
    return replace(request, entries=entries)


def missing_approvals(request: Request, state: State) -> list[str]:
    """The posts whose supervisors must still sign some entry; empty when the request is complete."""
    return sorted({post for one in request.entries for post in _missing(one, request, state).elements()})


def _approved(one: Pending, request: Request, supervisor: Officer, signer: Signer, state: State) -> Pending:
    wanted = _missing(one, request, state)
    key_id = signer.public_key.key_id
    if not wanted[supervisor.post] or key_id in one.signers:
        return one
    if _stands_before_author(one, supervisor, state):
        raise Refused(
            "other-author",
            "of two supervisors of one post, the one with the lower key id must begin this request",
            hint="begin it yourself with the same command, and let the other approve it",
        )
    purpose = Purpose.SHIFT if one.content.kind == SHIFT_CHANGED else Purpose.ENROLMENT
    return one.with_signature(sign_entry(one.entry, signer, request.network_id, purpose))


def _missing(one: Pending, request: Request, state: State) -> Counter[str]:
    """How many supervisors of which posts must still sign this entry."""
    return _needed(one, request, state) - Counter(_posts_of(one.signers - {one.author}, state))


def _needed(one: Pending, request: Request, state: State) -> Counter[str]:
    content = one.content
    if content.kind == OFFICER_ENROLLED:
        officer = CODEC.decode(OfficerEnrolled, content.payload, limit=MAX_LEAF_BYTES)
        return Counter([officer.post, state.headquarters()])
    if content.kind == TERMINAL_ENROLLED:
        terminal = CODEC.decode(TerminalEnrolled, content.payload, limit=MAX_LEAF_BYTES)
        return Counter([_post_of(terminal.officer_id, request, state)])
    if content.kind == OFFICER_ROTATED:
        rotated = CODEC.decode(OfficerRotated, content.payload, limit=MAX_LEAF_BYTES)
        return Counter([state.live_officer(rotated.officer_id).post])
    if content.kind == OFFICER_SUSPENDED:
        reinstated = CODEC.decode(OfficerSuspended, content.payload, limit=MAX_LEAF_BYTES)
        both = Counter([state.live_officer(reinstated.officer_id).post, state.headquarters()])
        return both - Counter(_posts_of([one.author], state))
    if content.kind == SHIFT_CHANGED:
        shift = CODEC.decode(ShiftChanged, content.payload, limit=MAX_LEAF_BYTES)
        return Counter() if shift.outgoing else Counter([shift.post])
    raise Refused("not-a-request", f"an entry of kind {content.kind} needs no approval here", hint="submit it as it is")


def _stands_before_author(one: Pending, supervisor: Officer, state: State) -> bool:
    """Whether the ledger would take the supervisor for the author: of two at HQ, the one with the lower key id."""
    author = state.officer_of_key(one.author)
    if one.content.kind != OFFICER_SUSPENDED or author is None or author.post != supervisor.post:
        return False
    return supervisor.key.key_id < one.author


def _post_of(officer_id: bytes, request: Request, state: State) -> str:
    """The post of an officer who is on the ledger, or enrolled by an entry of the same request."""
    for one in request.entries:
        content = one.content
        if content.kind == OFFICER_ENROLLED:
            officer = CODEC.decode(OfficerEnrolled, content.payload, limit=MAX_LEAF_BYTES)
            if officer.officer_id == officer_id:
                return officer.post
    return state.live_officer(officer_id).post


def _posts_of(key_ids: Iterable[bytes], state: State) -> Iterable[str]:
    return (officer.post for key_id in key_ids if (officer := state.officer_of_key(key_id)) is not None)
