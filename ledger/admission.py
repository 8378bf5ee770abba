"""Admitting a post: at founding (valid by the genesis) and later (by governance)."""

from __future__ import annotations

from keys.public import SUITE_DUAL, SUITE_ED25519, SUITE_MLDSA44
from ledger.bodies import PostAdmitted, Supervisor
from ledger.certificates import check_certificate, enter_certificate
from ledger.module import Entering
from ledger.names import check_address, check_code
from ledger.records import Officer, Post, Roster
from ledger.roles import FIRST_SUPERVISOR_CLEARANCE, FIRST_SUPERVISOR_ROLES
from ledger.state import HEADQUARTERS, POSTS, State, officer_key, post_key, roster_key
from protos.errors import Malformed, Refused

MAX_POSTS = 1024
OFFICER_ID_BYTES = 16
FIRST_SUPERVISORS = 2


def check_admission(state: State, body: PostAdmitted) -> tuple[Entering, ...]:
    """The keys that the post brings. Raises `Refused` or `Malformed`; the caller answers for `headquarters`."""
    check_code(body.code)
    check_address(body.address)
    codes = state.codes()
    if body.code in codes:
        raise Refused("known-post", f"post {body.code} is or was on the ledger", hint="A code is never used twice.")
    if len(codes) >= MAX_POSTS:
        raise Refused("too-many-posts", f"a network has at most {MAX_POSTS} posts")
    check_certificate(state, body.certificate)
    _check_supervisors(state, body)
    return _entering(body)


def admit(state: State, body: PostAdmitted, index: int) -> None:
    """Put the post, its first supervisors and its roster into the state. The keys are entered by the machine."""
    post = Post(
        code=body.code,
        headquarters=body.headquarters,
        satellite=body.satellite,
        address=body.address,
        entry_key=body.entry_key.key.key,
        cosigner_key=body.cosigner_key.key.key,
        log_key=body.log_key.key.key if body.log_key else b"",
        consensus_key=body.consensus_key.key.key if body.consensus_key else b"",
        certificate=body.certificate,
        former_certificate=b"",
        former_until=0,
        admitted_at=index,
        retired_at=0,
    )
    state.write(post_key(body.code), post)
    state.put(POSTS, "".join(sorted((*state.codes(), body.code))).encode())
    if body.headquarters:
        state.put(HEADQUARTERS, body.code.encode())
    enter_certificate(state, body.certificate, f"post/{body.code}")
    for supervisor in body.supervisors:
        state.write(officer_key(supervisor.officer_id), _first_supervisor(body.code, supervisor, index))
    state.write(roster_key(body.code), Roster(tuple(sorted(one.officer_id for one in body.supervisors)), ()))


def check_officer_id(state: State, officer_id: bytes) -> None:
    """Raises `Malformed("bad-officer-id")` or `Refused("known-officer")` unless the id is new."""
    if len(officer_id) != OFFICER_ID_BYTES:
        raise Malformed("bad-officer-id", f"an officer id has {OFFICER_ID_BYTES} bytes, not {len(officer_id)}")
    if state.officer(officer_id) is not None:
        raise Refused("known-officer", f"officer {officer_id.hex()} is on the ledger already")


def _check_supervisors(state: State, body: PostAdmitted) -> None:
    ids = [one.officer_id for one in body.supervisors]
    if len(ids) != FIRST_SUPERVISORS or len(set(ids)) != len(ids):
        raise Refused("bad-supervisors", "a post is admitted with exactly two different supervisors")
    for officer_id in ids:
        check_officer_id(state, officer_id)


def _entering(body: PostAdmitted) -> tuple[Entering, ...]:
    owner = f"post/{body.code}"
    keys = [
        Entering(body.entry_key, "entry", SUITE_ED25519, owner),
        Entering(body.cosigner_key, "cosigner", SUITE_MLDSA44, owner),
    ]
    if body.log_key is not None:
        keys.append(Entering(body.log_key, "log", SUITE_ED25519, owner))
    if body.consensus_key is not None:
        keys.append(Entering(body.consensus_key, "consensus", SUITE_ED25519, owner))
    keys += [Entering(one.key, "officer", SUITE_DUAL, f"officer/{one.officer_id.hex()}") for one in body.supervisors]
    return tuple(keys)


def _first_supervisor(code: str, supervisor: Supervisor, index: int) -> Officer:
    return Officer(
        officer_id=supervisor.officer_id,
        post=code,
        key=supervisor.key.key,
        roles=tuple(int(one) for one in FIRST_SUPERVISOR_ROLES),
        clearance=int(FIRST_SUPERVISOR_CLEARANCE),
        name_commitment=b"",
        suspended=False,
        revoked_at=0,
        compromised_since=0,
        enrolled_at=index,
    )
