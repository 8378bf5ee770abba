"""Officers: enrolled, changed, suspended, revoked, rotated (docs/protocol/ledger.md).

Nobody grants above his own clearance or for another post; a rise needs a supervisor of the post and one of HQ, a
lowering only one of either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from keys.possession import ProvenKey
from keys.public import SUITE_DUAL
from keys.purpose import Purpose
from ledger import bodies
from ledger.admission import check_officer_id
from ledger.module import Authority, Context, Entering, Signatory
from ledger.records import Officer
from ledger.roles import Clearance, Role
from ledger.state import State, officer_key, roster_key, there
from ledger.supervision import (
    check_grant,
    enrolment,
    one_of_post_or_headquarters,
    one_supervisor,
    signed_by,
    two_supervisors,
)
from protos.errors import Malformed, Refused

COMMITMENT_BYTES = 32
MAX_OFFICERS = 256


def _check_enrolled(context: Context) -> Authority:
    body: bodies.OfficerEnrolled = context.body
    state = context.state
    check_officer_id(state, body.officer_id)
    state.active_post(body.post)
    _check_powers(body.roles, body.clearance)
    if len(body.name_commitment) != COMMITMENT_BYTES:
        raise Malformed("bad-commitment", f"a name commitment has {COMMITMENT_BYTES} bytes")
    if len(state.roster(body.post).officer_ids) >= MAX_OFFICERS:
        raise Refused("roster-full", f"a post has at most {MAX_OFFICERS} officers", hint="Revoke who has left.")
    supervisors = two_supervisors(context, body.post)
    check_grant(body.clearance, supervisors)
    return Authority(
        Signatory(body.key.key, Purpose.ENROLMENT),
        tuple(enrolment(one) for one in supervisors),
        (_officer_key(body.key, body.officer_id),),
    )


def _apply_enrolled(context: Context) -> None:
    body: bodies.OfficerEnrolled = context.body
    officer = Officer(
        officer_id=body.officer_id,
        post=body.post,
        key=body.key.key,
        roles=body.roles,
        clearance=body.clearance,
        name_commitment=body.name_commitment,
        suspended=False,
        revoked_at=0,
        compromised_since=0,
        enrolled_at=context.index,
    )
    context.state.write(officer_key(body.officer_id), officer)
    _set_roster(context.state, body.post, {*context.state.roster(body.post).officer_ids, body.officer_id})


def _check_changed(context: Context) -> Authority:
    body: bodies.OfficerChanged = context.body
    _check_powers(body.roles, body.clearance)
    officer = context.state.live_officer(body.officer_id)
    if (body.roles, body.clearance) == (officer.roles, officer.clearance):
        raise Refused("nothing-changed", "these are the officer's roles and clearance already")
    if not (set(body.roles) - set(officer.roles) or body.clearance > officer.clearance):
        return signed_by(one_of_post_or_headquarters(context, officer.post))
    context.state.active_officer(body.officer_id)
    supervisors = two_supervisors(context, officer.post, besides=officer.officer_id)
    check_grant(body.clearance, supervisors)
    return signed_by(officer, *supervisors)


def _apply_changed(context: Context) -> None:
    body: bodies.OfficerChanged = context.body
    _change(context.state, body.officer_id, roles=body.roles, clearance=body.clearance)


def _check_suspended(context: Context) -> Authority:
    body: bodies.OfficerSuspended = context.body
    officer = context.state.live_officer(body.officer_id)
    if officer.suspended != body.reinstated:
        raise Refused("nothing-changed", "the officer is suspended, or reinstated, already")
    if not body.reinstated:
        return signed_by(one_of_post_or_headquarters(context, officer.post))
    supervisors = two_supervisors(context, officer.post, besides=officer.officer_id)
    check_grant(officer.clearance, supervisors)
    return signed_by(*supervisors)


def _apply_suspended(context: Context) -> None:
    body: bodies.OfficerSuspended = context.body
    _change(context.state, body.officer_id, suspended=not body.reinstated)


def _check_revoked(context: Context) -> Authority:
    body: bodies.OfficerRevoked = context.body
    officer = context.state.officer(body.officer_id)
    if officer is None:
        raise Refused("unknown-officer", f"officer {body.officer_id.hex()} is not on the ledger")
    if body.compromised_since > context.index:
        raise Refused("bad-index", "a key cannot be compromised since an index that the log has not reached")
    if officer.revoked_at and not _is_worse(officer.compromised_since, body.compromised_since):
        raise Refused("revoked-officer", "the officer has been revoked already")
    return signed_by(one_of_post_or_headquarters(context, officer.post))


def _apply_revoked(context: Context) -> None:
    body: bodies.OfficerRevoked = context.body
    officer = there(context.state.officer(body.officer_id))
    revoked_at = officer.revoked_at or context.index
    _change(context.state, body.officer_id, revoked_at=revoked_at, compromised_since=body.compromised_since)
    _set_roster(context.state, officer.post, {*context.state.roster(officer.post).officer_ids} - {body.officer_id})


def _check_rotated(context: Context) -> Authority:
    body: bodies.OfficerRotated = context.body
    officer = context.state.active_officer(body.officer_id)
    supervisor = one_supervisor(context, officer.post, besides=officer.officer_id)
    new = Signatory(body.key.key, Purpose.ENROLMENT)
    return Authority(enrolment(officer), (new, enrolment(supervisor)), (_officer_key(body.key, body.officer_id),))


def _apply_rotated(context: Context) -> None:
    body: bodies.OfficerRotated = context.body
    _change(context.state, body.officer_id, key=body.key.key)


def _check_powers(roles: tuple[int, ...], clearance: int) -> None:
    if any(one not in list(Role) for one in roles):
        raise Refused("unknown-role", "one of the roles does not exist")
    if any(after <= before for before, after in pairwise(roles)):
        raise Refused("unsorted", "the roles are not strictly ascending")
    if clearance not in list(Clearance):
        raise Refused("unknown-clearance", f"no clearance has number {clearance}")


def _is_worse(before: int, after: int) -> bool:
    """Does a later finding say that the key was compromised at all, or earlier?"""
    return after != 0 and (before == 0 or after < before)


def _officer_key(proven: ProvenKey, officer_id: bytes) -> Entering:
    return Entering(proven, "officer", SUITE_DUAL, f"officer/{officer_id.hex()}")


def _change(state: State, officer_id: bytes, **fields: object) -> None:
    officer = there(state.officer(officer_id))
    state.write(officer_key(officer_id), replace(officer, **fields))  # type: ignore[arg-type]


def _set_roster(state: State, code: str, officer_ids: set[bytes]) -> None:
    state.write(roster_key(code), replace(state.roster(code), officer_ids=tuple(sorted(officer_ids))))


OFFICER_RULES: dict[str, tuple[Callable[[Context], Authority], Callable[[Context], None]]] = {
    "officer-enrolled": (_check_enrolled, _apply_enrolled),
    "officer-changed": (_check_changed, _apply_changed),
    "officer-suspended": (_check_suspended, _apply_suspended),
    "officer-revoked": (_check_revoked, _apply_revoked),
    "officer-rotated": (_check_rotated, _apply_rotated),
}
