"""Drafts and releases: judged at S, sealed once, durable here before the node is given anything."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from crypto_msg.cable import Draft, Expansion, Inner, Precedence, posts_of
from crypto_msg.dtg import format_dtg
from crypto_msg.envelope import MAX_OUTER
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rules import Signers, check_release, check_signers, expand, needs_two_officers
from crypto_msg.seal import Message, Release, Station, seal_cable, seal_draft
from crypto_msg.seal import Sealed as SealedEnvelope
from crypto_msg.signatures import DraftSignature, sign_draft
from crypto_msg.wire import CODEC, Outer, encode_draft
from keys.purpose import Purpose
from ledger.records import Officer
from ledger.roles import Role
from protos.errors import Refused, VerificationFailed
from terminal.compose import Composed
from terminal.failpoint import reach
from terminal.outgoing import CABLE
from terminal.recipients import Seat, check_reachable, fetch_bundles, make_recipients, seats_of
from terminal.records import DRAFTS, OUT, CableRecord, Job, Sealed
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState, check_fresh

RELEASED, AWAITING = "released", "awaiting release"
RACES = 5


@dataclass(frozen=True, slots=True)
class _Judged:
    """What was found at S: who signs, every post that gets wraps, their seats and bundles."""

    size: int
    signers: Signers
    expansions: tuple[Expansion, ...]
    posts: tuple[str, ...]
    seats: tuple[Seat, ...]
    bundles: dict[bytes, VerifiedBundle]


def may_release_alone(session: Session, draft: Draft) -> bool:
    """Whether this officer releases the draft at once: a releaser, below SECRET and FLASH."""
    officer, _ = session.view.judge(session.own)
    return officer.has_role(Role.RELEASER) and not needs_two_officers(draft)


def release(
    session: Session, composed: Composed, signatures: Sequence[DraftSignature] = (), accept_stale: bool = False
) -> CableRecord:
    """Seal and store a cable that this officer releases; `signatures` are the drafter's and co-releasers'.

    Raises before anything is stored, by name: "unknown-post", "role-missing", "clearance-too-low", "two-officers",
    "suspended-officer", "revoked-officer", "no-reader", "stale-state", "bundle-missing".
    """
    drafter = next((one.key_id for one in signatures if one.purpose == Purpose.DRAFT), _key_id(session))
    others = tuple(sorted(one.key_id for one in signatures if one.purpose == Purpose.CO_RELEASE))
    inner = Inner(encode_draft(composed.draft), 0, 0, "", (), drafter, (), others, _key_id(session), b"")

    def question(state: ProvedState) -> _Judged:
        check_fresh(state, session.clock(), accept_stale)
        session.own(state)
        expansions = _expansions(composed.draft, state)
        signers = check_release(composed.draft, inner, state)
        posts = posts_of(composed.draft, expansions)
        return _judged(session, state, signers, expansions, posts)

    judged = _judge(session, question, lambda seat: seat.officer.clearance >= composed.draft.classification)
    at = session.clock()
    year = datetime.fromtimestamp(at, UTC).year
    serial = session.desk.take_serial(composed.draft.cable_id, year)
    reach()
    step = Release(serial, year, format_dtg(at), judged.expansions)
    message = Message(composed.draft, composed.attachments)
    with session.store.transaction() as transaction:
        recipients = make_recipients(judged.seats, judged.bundles, _reader(composed.draft), _counting(transaction))
        sealed = seal_cable(
            _station(session, judged.size), message, step, signatures, session.keyring.officer_signer,
            recipients, secrets.token_bytes,
        )
        record = _record(OUT, RELEASED, sealed, composed, judged, at, signatures)
        _keep(transaction, record, sealed)
    reach()
    return record


def draft(session: Session, composed: Composed, accept_stale: bool = False) -> CableRecord:
    """Sign a draft and seal it for the releasers of the post; for FLASH also for the releasers of headquarters.

    Raises as `release`, and `Refused("no-releaser")` if nobody else could release it.
    """
    signature = sign_draft(encode_draft(composed.draft), Purpose.DRAFT, session.network_id, session.keyring.officer_signer)
    inner = Inner(encode_draft(composed.draft), 0, 0, "", (), _key_id(session), (), (), b"", b"")

    def question(state: ProvedState) -> _Judged:
        check_fresh(state, session.clock(), accept_stale)
        session.own(state)
        _expansions(composed.draft, state)
        signers = check_signers(composed.draft, inner, state)
        flash = composed.draft.precedence == Precedence.FLASH
        posts = sorted({composed.draft.post, *([state.headquarters()] if flash else [])})
        return _judged(session, state, signers, (), tuple(posts))

    def may_read(seat: Seat) -> bool:
        releases = seat.officer.has_role(Role.RELEASER) or seat.terminal.terminal_id == session.terminal_id
        return releases and _reader(composed.draft)(seat)

    judged = _judge(session, question, None)
    _check_releaser(session, judged, may_read)
    at = session.clock()
    with session.store.transaction() as transaction:
        recipients = make_recipients(judged.seats, judged.bundles, may_read, _counting(transaction))
        sealed = seal_draft(
            _station(session, judged.size), Message(composed.draft, composed.attachments), signature,
            recipients, secrets.token_bytes,
        )
        record = _record(DRAFTS, AWAITING, sealed, composed, judged, at, [signature])
        _keep(transaction, record, sealed)
    reach()
    return record


def _judge(
    session: Session, question: Callable[[ProvedState], _Judged], may_read: Callable[[Seat], bool] | None
) -> _Judged:
    """Judge and fetch bundles; a prekey that changes meanwhile is no lie, so a swapped bundle is asked for again."""
    for attempt in range(RACES):
        judged = session.view.judge(question)
        try:
            judged.bundles.update(fetch_bundles(session.desk, judged.seats, session.network_id))
        except VerificationFailed as problem:
            if problem.code != "other-bundle" or attempt == RACES - 1:
                raise
            time.sleep(0.2 * (attempt + 1))
            continue
        break
    if may_read is not None:
        check_reachable(judged.posts, judged.seats, judged.bundles, lambda seat: seat.officer.is_active and may_read(seat))
    return judged


def _judged(
    session: Session, state: ProvedState, signers: Signers, expansions: tuple[Expansion, ...], posts: tuple[str, ...]
) -> _Judged:
    seats = tuple(seat for seat in seats_of(state, posts) if state.active_post(seat.terminal.post))
    return _Judged(state.size, signers, expansions, posts, seats, {})


def _check_releaser(session: Session, judged: _Judged, may_read: Callable[[Seat], bool]) -> None:
    others = [
        seat
        for seat in judged.seats
        if may_read(seat) and seat.officer.officer_id != session.officer_id and seat.terminal.terminal_id in judged.bundles
    ]
    if not others:
        raise Refused(
            "no-releaser",
            "no other officer with a terminal could release this draft",
            hint="ask a supervisor to enrol a second releaser, cleared for it, and open his terminal once",
        )


def _expansions(draft: Draft, state: ProvedState) -> tuple[Expansion, ...]:
    names = [one.name for one in (*draft.action, *draft.info)]
    return expand(names, state.posts())


def _reader(draft: Draft) -> Callable[[Seat], bool]:
    return lambda seat: seat.officer.is_active and seat.officer.clearance >= draft.classification


def _counting(transaction: Transaction) -> Callable[[bytes], int]:
    """The next n for a terminal, counted in the same transaction that stores the envelope."""

    def next_n(terminal_id: bytes) -> int:
        n = transaction.counter("sent", terminal_id) + 1
        transaction.set_counter("sent", terminal_id, n)
        return n

    return next_n


def _station(session: Session, size: int) -> Station:
    return Station(session.network_id, session.config.post, session.keyring.terminal_signer, size)


def _key_id(session: Session) -> bytes:
    return session.keyring.officer_signer.public_key.key_id


def _record(
    box: str, state: str, sealed: SealedEnvelope, composed: Composed, judged: _Judged, at: int,
    signatures: Sequence[DraftSignature],
) -> CableRecord:
    drafter = judged.signers.drafter
    return CableRecord(
        box=box,
        state=state,
        kind=1 if box == OUT else 2,
        cable_id=composed.draft.cable_id,
        draft=encode_draft(composed.draft),
        attachments=composed.attachments,
        envelope_id=sealed.head.envelope_id,
        inner=CODEC.encode(sealed.inner),
        post=composed.draft.post,
        terminal_id=CODEC.decode(Outer, sealed.head.outer, limit=MAX_OUTER).terminal_id,
        posts=judged.posts,
        size_seen=judged.size,
        body_root=sealed.head.body_root,
        cek=sealed.cek,
        at=at,
        drafter=drafter.officer_id if drafter else b"",
        releasers=_ids(judged.signers),
        signatures=tuple((str(one.purpose), one.key_id, one.signature) for one in signatures),
    )


def _ids(signers: Signers) -> tuple[bytes, ...]:
    found: list[Officer | None] = [*signers.co_releasers, signers.releaser]
    return tuple(one.officer_id for one in found if one is not None)


def _keep(transaction: Transaction, record: CableRecord, sealed: SealedEnvelope) -> None:
    transaction.add_envelope(record.envelope_id, Sealed(sealed.envelope.head, sealed.envelope.body))
    transaction.add_cable(record)
    transaction.add_job(Job(CABLE, record.envelope_id, salt=sealed.inner.anchor_salt))


