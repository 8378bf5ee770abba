"""Added wraps: a supervisor gives a terminal that was not on a cable's list its key, and that terminal opens it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from crypto_msg.addition import (
    Adding,
    Addition,
    check_addition,
    make_added_wrap,
    open_added_wrap,
    read_added_wrap,
    verify_added_wrap,
)
from crypto_msg.cable import Kind
from crypto_msg.envelope import decode_head, encode_head, read_outer
from crypto_msg.opening import Reader, open_cable
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.wire import Head, decode_draft
from crypto_msg.wraps import WrapContext, open_wrap
from keys.signing import DirectVerifier
from ledger.roles import Role
from ledger.state import officer_key, post_key, terminal_key
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.askrows import SENT
from terminal.counting import note_number
from terminal.failpoint import reach
from terminal.keeping import fetch_body, keep_opened, kept_body
from terminal.outgoing import RECEIPT
from terminal.recipients import Seat, fetch_bundles, seat_of
from terminal.records import CableRecord, Job, Sealed, WrapNumber
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

ADDED_WRAP = 9
SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Judged:
    """Who gets the key, as the newest state shows him, and the size of that state."""

    seat: Seat
    size: int


# --- the supervisor's side ---------------------------------------------------------------------------------------


def add_terminal(session: Session, record: CableRecord, terminal_id: bytes) -> None:
    """Wrap the key of a cable of this post for a terminal that was not on its list: number and wrap durable together.

    Raises `Refused`: "not-released", "not-originator", "key-gone", "not-supervisor", "clearance-too-low",
    "not-addressed", "reader-not-cleared", those of a terminal that may not act; `Unavailable("bundle-missing")`.
    """
    head, cek = _held(session, record)
    judged = session.view.judge(lambda state: _judge(session, record, terminal_id, state))
    bundle = _bundle(session, judged.seat)
    with session.store.transaction() as transaction:
        given = transaction.wraps_of(SENT, record.envelope_id).get(terminal_id)
        n = given.n if given else transaction.counter("sent", terminal_id) + 1
        if given is None:
            transaction.set_counter("sent", terminal_id, n)
            post = judged.seat.terminal.post
            transaction.note_wrap(SENT, WrapNumber(terminal_id, n, record.envelope_id, post))
        signer = session.keyring.officer_signer
        adding = Adding(head, session.terminal_id, judged.size, session.network_id, signer)
        signed = make_added_wrap(adding, cek, n, bundle)
        salt = secrets.token_bytes(SALT_BYTES)
        transaction.add_job(Job(RECEIPT, sha256(signed).digest(), signed, ADDED_WRAP, record.envelope_id, salt))
    reach()


def _held(session: Session, record: CableRecord) -> tuple[Head, bytes]:
    """The cable's head and content key: kept, or from this terminal's own wrap while its prekey is."""
    if record.kind != Kind.CABLE:
        text = "a wrap is added to a released cable only"
        raise Refused("not-released", text, hint="see `dutabarta cable release`")
    if record.post != session.config.post:
        hint = "ask a supervisor of the post that sent it"
        raise Refused("not-originator", f"only {record.post} adds terminals to its cable", hint=hint, post=record.post)
    with session.store.transaction() as transaction:
        sealed = transaction.envelope(record.envelope_id)
    if sealed is None:
        raise Unavailable("store-damaged", "a sealed envelope is missing from the store", hint="restore the backup")
    head = decode_head(sealed.head)
    return head, record.cek or _from_own_wrap(session, head)


def _from_own_wrap(session: Session, head: Head) -> bytes:
    wrap = next((one.wrap for one in head.wraps if one.wrap.terminal_id == session.terminal_id), None)
    context = WrapContext(head.envelope_id, read_outer(head).terminal_id)
    try:
        if wrap is not None:
            return open_wrap(wrap, session.keyring.prekeys_by_hash, context)[0]
    except VerificationFailed:
        pass
    text, hint = "the cable's key is no longer kept at this terminal", "send the cable again"
    raise Refused("key-gone", text, hint=hint)


def _judge(session: Session, record: CableRecord, terminal_id: bytes, state: ProvedState) -> Judged:
    officer, _ = session.own(state)
    if not officer.has_role(Role.SUPERVISOR):
        hint = "ask a supervisor of your post"
        raise Refused("not-supervisor", "only a supervisor adds a terminal to a cable", hint=hint)
    state.prefetch([terminal_key(terminal_id)])
    terminal = state.active_terminal(terminal_id)
    if terminal.post not in {*record.posts, record.post}:
        hint = "forward the cable to that post"
        raise Refused("not-addressed", f"{terminal.post} is not among the cable's addressees", hint=hint)
    check_addition(officer, terminal, state, decode_draft(record.draft).classification)
    seat = seat_of(state, terminal_id)
    if seat is None or seat.prekey is None:
        hint = "let its officer open the terminal once"
        raise Refused("no-prekey", "that terminal has published no prekey yet", hint=hint)
    return Judged(seat, state.size)


def _bundle(session: Session, seat: Seat) -> VerifiedBundle:
    found = fetch_bundles(session.desk, [seat], session.network_id).get(seat.terminal.terminal_id)
    if found is None:
        post = seat.terminal.post
        raise Unavailable("bundle-missing", f"the prekeys of {post} could not be fetched", hint="wait", post=post)
    return found


# --- the side of the terminal that was added ---------------------------------------------------------------------


def take_added(session: Session, content: bytes, then: Callable[[Transaction], None]) -> int:
    """Check an added wrap and open its cable by it, with `then` in the same transaction. How many cables it opened."""
    addition, at = _verified(session, content)
    outer, by = read_outer(addition.head), addition.by
    prekey = session.keyring.prekeys_by_hash.get(addition.added.bundle_hash)
    opened_wrap = open_added_wrap(addition, prekey)
    with session.store.transaction() as transaction:
        known = bool(transaction.find_cables(addition.envelope_id))
    if known:
        with session.store.transaction() as transaction:
            note_number(session, transaction, by.terminal_id, opened_wrap.n, addition.envelope_id, by.post)
            then(transaction)
        return 0
    body = kept_body(session, addition.envelope_id) or fetch_body(session, addition.head)
    at_s = session.view.at(outer.size_seen, (terminal_key(outer.terminal_id),))
    prekeys = session.keyring.prekeys_by_hash
    reader = Reader(session.network_id, session.terminal_id, prekeys, at_s, DirectVerifier(), added_at=at)
    opened = open_cable(addition.head, body, reader, opened_wrap)
    check_addition(addition.supervisor, at.terminal(session.terminal_id), at, opened.draft.classification)
    newest = session.view.seen or at.checkpoint
    with session.store.transaction() as transaction:
        note_number(session, transaction, by.terminal_id, opened_wrap.n, addition.envelope_id, by.post)
        keep_opened(session, transaction, opened, Sealed(encode_head(addition.head), body), newest)
        then(transaction)
    return 1


def _verified(session: Session, content: bytes) -> tuple[Addition, ProvedState]:
    """The act and the state at its S."""
    added, head = read_added_wrap(content)
    if added.terminal_id != session.terminal_id:
        raise Refused("wrong-destination", "the added wrap is for another terminal", hint="tell the node's operator")
    outer = read_outer(head)
    keys = [terminal_key(one) for one in (outer.terminal_id, added.by_terminal_id, added.terminal_id)]
    own = [officer_key(session.officer_id), post_key(session.config.post), post_key(outer.post)]
    at = session.view.at(added.size, [*keys, *own])
    by = at.terminal(added.by_terminal_id)
    if by is not None:
        at.prefetch([officer_key(by.officer_id)])
    return verify_added_wrap(content, session.network_id, at, DirectVerifier()), at
