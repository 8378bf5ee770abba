"""What stays of an envelope that has come: the cable that was opened, or the sealed bytes that could not be."""

from __future__ import annotations

from crypto_msg.cable import Kind, is_withdrawal
from crypto_msg.envelope import read_outer, verify_body
from crypto_msg.opening import OpenedCable, Reader
from crypto_msg.receipt import ReceiptKind
from crypto_msg.segments import Buffer, body_length
from crypto_msg.wire import CODEC, Head
from keys.signing import DirectVerifier
from ledger.checkpoint import Checkpoint
from protos.errors import DutabartaError, Unavailable, VerificationFailed
from terminal.awaiting import watch_of
from terminal.exceptions import forget_key
from terminal.judging import close_drafts
from terminal.linking import note_relations
from terminal.own_receipts import add_own_receipt, own_receipt
from terminal.records import (
    AWAITING,
    CO_RELEASED,
    DRAFTS,
    IN,
    NEW,
    NOTICES,
    OUT,
    RELEASED,
    WITHDRAWAL,
    Aside,
    CableRecord,
    Sealed,
    Watch,
)
from terminal.session import Session
from terminal.store import Transaction
from terminal.view import ProvedState

NOT_OPENED = ("wrap-not-opened", "key-not-committed")
"""What a re-wrap mends."""
MISSING = "cable-missing"
MAX_UNOPENED_BYTES = 256 << 20
"""Bodies kept for a re-wrap; beyond it a body is asked for anew, as long as the node has it."""


def reader_of(session: Session, at_s: ProvedState) -> Reader:
    """This terminal, opening what was sealed at S."""
    return Reader(session.network_id, session.terminal_id, session.keyring.prekeys_by_hash, at_s, DirectVerifier())


def fetch_body(session: Session, head: Head) -> Buffer:
    """The sealed body, never more than the head announces. Raises `VerificationFailed("body-changed")`."""
    length = body_length(read_outer(head).padded_length)
    body = bytearray()
    for piece in session.desk.body(head.envelope_id):
        body += piece
        if len(body) > length:
            raise VerificationFailed("body-changed", f"the body is longer than {length} bytes", hint="tell HQ")
    if len(body) < length:
        raise Unavailable("body-cut", "the node broke off in the middle of a cable", hint="try again")
    return body


def kept_body(session: Session, envelope_id: bytes) -> Buffer:
    """The body that was kept when the envelope could not be opened; empty if there is none."""
    with session.store.transaction() as transaction:
        sealed = transaction.envelope(envelope_id)
    return b"" if sealed is None else sealed.body


def keep_unopened(session: Session, head: Head, sealed: Sealed, problem: DutabartaError) -> None:
    """Keep an authentic envelope whose key could not be had: a re-wrap comes without the body."""
    if problem.code not in NOT_OPENED:
        return
    verify_body(head, sealed.body)
    with session.store.transaction() as transaction:
        if transaction.unopened_bytes() + len(sealed.body) <= MAX_UNOPENED_BYTES:
            transaction.add_envelope(head.envelope_id, sealed)


def keep_opened(
    session: Session, transaction: Transaction, opened: OpenedCable, sealed: Sealed, newest: Checkpoint
) -> None:
    """Store an opened cable with everything that follows from it: its drafts closed, DELIVERED, alarms ended."""
    record = _record(session, opened)
    transaction.add_envelope(opened.envelope_id, sealed)
    transaction.add_cable(record)
    transaction.add_attachments(opened.envelope_id, opened.attachments)
    close_drafts(transaction, record)
    note_relations(transaction, record)
    for code in (*NOT_OPENED, MISSING):
        transaction.drop_aside(Aside(opened.envelope_id, code, "", "", 0))
    asked = transaction.ask(opened.envelope_id, session.terminal_id)
    if asked is not None:
        transaction.drop_ask(asked)
    if opened.outer.kind == Kind.CABLE and _is_addressed(session, opened):
        hashes = (opened.envelope_id, opened.body_root, opened.inner_hash)
        add_own_receipt(session, transaction, own_receipt(session, ReceiptKind.DELIVERED, *hashes, newest))
    if record.cek and record.kind == Kind.CABLE:
        transaction.put_watch(_watch(session, record, opened))
    forget_key(session, transaction, opened.envelope_id)


def _watch(session: Session, record: CableRecord, opened: OpenedCable) -> Watch:
    """Over its answers if this terminal sealed it, before it was set back; a colleague's, over its key alone."""
    if record.terminal_id == session.terminal_id:
        return watch_of(record, opened.draft, opened.inner.expansions)
    return Watch(record.envelope_id, record.cable_id, record.at, opened.outer.precedence, (), ())


def _record(session: Session, opened: OpenedCable) -> CableRecord:
    kind = Kind(opened.outer.kind)
    own_post = opened.draft.post == session.config.post
    box, state = _place(session, opened, kind)
    signers = opened.signers
    releasers = [*signers.co_releasers, *([signers.releaser] if signers.releaser else [])]
    return CableRecord(
        box=box,
        state=state,
        kind=kind,
        cable_id=opened.draft.cable_id,
        draft=opened.inner.draft,
        envelope_id=opened.envelope_id,
        inner=CODEC.encode(opened.inner),
        post=opened.outer.post,
        terminal_id=opened.outer.terminal_id,
        posts=opened.posts,
        size_seen=opened.outer.size_seen,
        body_root=opened.body_root,
        cek=opened.cek if own_post else b"",
        at=session.clock(),
        n=opened.n,
        drafter=signers.drafter.officer_id if signers.drafter else b"",
        releasers=tuple(one.officer_id for one in releasers),
        signatures=tuple((str(one.purpose), one.key_id, one.signature) for one in opened.draft_signatures),
        expires_at=opened.outer.expires_at,
    )


def _place(session: Session, opened: OpenedCable, kind: Kind) -> tuple[str, str]:
    """Box and state of what has come."""
    if kind != Kind.CABLE:
        return (NOTICES, WITHDRAWAL) if is_withdrawal(opened.draft) else (DRAFTS, _STATE_OF_DRAFT[kind])
    is_own = opened.draft.post == session.config.post
    return (OUT, RELEASED) if is_own and not _is_addressed(session, opened) else (IN, NEW)


_STATE_OF_DRAFT = {Kind.DRAFT: AWAITING, Kind.COUNTERSIGNATURE: CO_RELEASED}


def _is_addressed(session: Session, opened: OpenedCable) -> bool:
    expanded = {one.collective: one.posts for one in opened.inner.expansions}
    addressees = (*opened.draft.action, *opened.draft.info)
    return any(session.config.post in expanded.get(one.name, (one.name,)) for one in addressees)
