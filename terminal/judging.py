"""What sending rests on: all judged at one verified size S, recipients with checked bundles, one durable step."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from crypto_msg.cable import Draft, Expansion, Kind, is_withdrawal, posts_of
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rules import Signers, expand
from crypto_msg.seal import Sealed as SealedEnvelope
from crypto_msg.seal import Station
from crypto_msg.signatures import DraftSignature
from crypto_msg.wire import CODEC, encode_draft
from crypto_msg.wraps import Recipient
from ledger.names import is_code
from ledger.records import Officer
from ledger.state import post_key
from protos.errors import VerificationFailed
from terminal.askrows import SENT
from terminal.awaiting import watch_of
from terminal.compose import Composed
from terminal.linking import note_relations
from terminal.outgoing import CABLE
from terminal.recipients import Seat, fetch_bundles, left_out, make_recipients, seats_of
from terminal.records import (
    AWAITING,
    CO_RELEASED,
    DRAFTS,
    NOTICES,
    OUT,
    RELEASED,
    WITHDRAWAL,
    Aside,
    CableRecord,
    Job,
    Sealed,
    WrapNumber,
)
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState, check_fresh

RACES = 5
PLACE = {Kind.CABLE: (OUT, RELEASED), Kind.DRAFT: (DRAFTS, AWAITING), Kind.COUNTERSIGNATURE: (DRAFTS, CO_RELEASED)}
"""Box and state of what this terminal has sealed."""

MayRead = Callable[[Seat], bool]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found at S: who signs, every post that gets wraps, their seats and bundles."""

    size: int
    signers: Signers
    expansions: tuple[Expansion, ...]
    posts: tuple[str, ...]
    seats: tuple[Seat, ...]
    bundles: dict[bytes, VerifiedBundle] = field(default_factory=dict)


def judge(
    session: Session,
    draft: Draft,
    signers_at: Callable[[ProvedState], Signers],
    posts_at: Callable[[ProvedState, tuple[Expansion, ...]], tuple[str, ...]],
    accept_stale: bool,
) -> Judged:
    """Judge at S and fetch bundles; a prekey may change meanwhile, so a swapped bundle is asked for again."""

    def question(state: ProvedState) -> Judged:
        check_fresh(state, session.clock(), accept_stale)
        session.own(state)
        expansions = _expansions(draft, state)
        signers = signers_at(state)
        posts = posts_at(state, expansions)
        seats = tuple(seat for seat in seats_of(state, posts) if state.active_post(seat.terminal.post))
        return Judged(state.size, signers, expansions, posts, seats)

    for attempt in range(RACES):
        judged = session.view.judge(question)
        try:
            judged.bundles.update(fetch_bundles(session.desk, judged.seats, session.network_id))
            break
        except VerificationFailed as problem:
            if problem.code != "other-bundle" or attempt == RACES - 1:
                raise
            time.sleep(0.2 * (attempt + 1))
    return judged


def addressed(draft: Draft) -> Callable[[ProvedState, tuple[Expansion, ...]], tuple[str, ...]]:
    """Every post that gets wraps of a cable."""
    return lambda _state, expansions: posts_of(draft, expansions)


def may_read(draft: Draft) -> MayRead:
    """Who gets the content key: active and cleared."""
    return lambda seat: seat.officer.is_active and seat.officer.clearance >= draft.classification


def recipients_of(transaction: Transaction, judged: Judged, readers: MayRead) -> tuple[Recipient, ...]:
    """A recipient per seat, its wraps counted in the transaction that stores the envelope."""

    def next_n(terminal_id: bytes) -> int:
        n = transaction.counter("sent", terminal_id) + 1
        transaction.set_counter("sent", terminal_id, n)
        return n

    return make_recipients(judged.seats, judged.bundles, readers, next_n)


def station_of(session: Session, judged: Judged) -> Station:
    """This terminal, sealing under S."""
    return Station(session.network_id, session.config.post, session.keyring.terminal_signer, judged.size)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was sealed, of what, and what it rests on."""

    kind: Kind
    composed: Composed
    sealed: SealedEnvelope
    judged: Judged
    signatures: tuple[DraftSignature, ...]
    recipients: tuple[Recipient, ...] = ()


def keep(session: Session, transaction: Transaction, outcome: Outcome, readers: MayRead, at: int) -> CableRecord:
    """Store a sealed envelope and the duty to hand it in; tell which readers it leaves out, and close the drafts."""
    sealed, record = outcome.sealed, _record(session, outcome, at)
    transaction.add_envelope(record.envelope_id, Sealed(sealed.envelope.head, sealed.envelope.body))
    transaction.add_cable(record)
    transaction.add_attachments(record.envelope_id, outcome.composed.attachments)
    transaction.add_job(Job(CABLE, record.envelope_id, salt=sealed.inner.anchor_salt))
    posts = {seat.terminal.terminal_id: seat.terminal.post for seat in outcome.judged.seats}
    for one in outcome.recipients:
        if one.n:
            number = WrapNumber(one.terminal_id, one.n, record.envelope_id, posts[one.terminal_id])
            transaction.note_wrap(SENT, number)
    for seat in left_out(outcome.judged.seats, outcome.judged.bundles, readers):
        transaction.add_aside(_left_out_alarm(record, seat, at))
    if record.kind == Kind.CABLE:
        transaction.put_watch(watch_of(record, outcome.composed.draft, outcome.judged.expansions))
    close_drafts(transaction, record)
    note_relations(transaction, record)
    return record


def close_drafts(transaction: Transaction, record: CableRecord) -> None:
    """A cable's draft awaits nothing any more, whoever released it and whichever came first."""
    same = [(number, one) for number, one in transaction.find_cables(record.cable_id) if one.draft == record.draft]
    if any(one.kind == Kind.CABLE for _, one in same):
        for number, one in same:
            if one.box == DRAFTS:
                transaction.change_cable(number, replace(one, state=RELEASED, cek=b""))


def _record(session: Session, outcome: Outcome, at: int) -> CableRecord:
    sealed, signers, draft = outcome.sealed, outcome.judged.signers, outcome.composed.draft
    box, state = (NOTICES, WITHDRAWAL) if is_withdrawal(draft) else PLACE[outcome.kind]
    releasers: list[Officer | None] = [*signers.co_releasers, signers.releaser]
    return CableRecord(
        box=box,
        state=state,
        kind=outcome.kind,
        cable_id=draft.cable_id,
        draft=encode_draft(draft),
        envelope_id=sealed.head.envelope_id,
        inner=CODEC.encode(sealed.inner),
        post=session.config.post,
        terminal_id=session.terminal_id,
        posts=outcome.judged.posts,
        size_seen=outcome.judged.size,
        body_root=sealed.head.body_root,
        cek=sealed.cek,
        at=at,
        drafter=signers.drafter.officer_id if signers.drafter else b"",
        releasers=tuple(one.officer_id for one in releasers if one is not None),
        signatures=tuple((str(one.purpose), one.key_id, one.signature) for one in outcome.signatures),
        expires_at=outcome.composed.expires_at,
    )


def _left_out_alarm(record: CableRecord, seat: Seat, at: int) -> Aside:
    terminal = seat.terminal
    text = (
        f"terminal {terminal.terminal_id.hex()[:16]} of {terminal.post} cannot open cable {record.cable_id.hex()}:"
        " its prekey bundle could not be had, or does not hold"
    )
    key, about = record.envelope_id + terminal.terminal_id, record.envelope_id
    return Aside(key, "terminal-left-out", text, terminal.post, at, envelope_id=about)


def _expansions(draft: Draft, state: ProvedState) -> tuple[Expansion, ...]:
    names = [one.name for one in (*draft.action, *draft.info)]
    codes = state.codes()
    if all(map(is_code, names)):
        codes = tuple(one for one in codes if one in names)
    state.prefetch(map(post_key, codes))
    return expand(names, [post for code in codes if (post := state.post(code))])
