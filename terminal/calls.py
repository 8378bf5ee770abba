"""Hotline calls that are over: their transcripts, anchored by this side, and what was not confirmed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from crypto_msg.hotline import encode_transcript, transcript_item_hash
from crypto_msg.hotline_wire import CALL_ID_BYTES, Line
from ledger.checkpoint import parse_checkpoint
from ledger.note import SignedNote
from ledger.proof import TlogProof, VerifiedItem, verify_item
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.callrecords import INTERRUPTED, MISSED, OPEN, CallRecord, LineRecord
from terminal.outgoing import HOTLINE
from terminal.records import Job
from terminal.session import Session

SALT_BYTES = 32


@dataclass(frozen=True, slots=True)
class Kept:
    """A call, its lines, and the log index of its checked anchor, None while there is none."""

    call: CallRecord
    lines: tuple[LineRecord, ...]
    anchored_at: int | None

    def is_confirmed(self, line: LineRecord) -> bool:
        """Whether a line is known to be durable on both sides."""
        return not line.is_own or line.number <= self.call.confirmed


def end_call(session: Session, call: CallRecord, state: str) -> CallRecord:
    """Close a call's record and queue the hash of its transcript for the anchor, in one transaction."""
    with session.store.transaction() as transaction:
        transcript = _transcript(call, transaction.lines(call.call_id))
        ended = replace(
            call,
            state=state,
            ended_at=session.clock(),
            item_hash=transcript_item_hash(transcript),
            salt=secrets.token_bytes(SALT_BYTES),
        )
        transaction.put_call(ended)
        transaction.add_job(Job(HOTLINE, call.call_id, ended.item_hash, salt=ended.salt))
    return ended


def end_interrupted(session: Session) -> None:
    """Close what an earlier program left open: its keys are gone."""
    with session.store.transaction() as transaction:
        left = [one for one in transaction.calls() if one.state == OPEN]
    for one in left:
        end_call(session, one, INTERRUPTED)


def calls(session: Session) -> list[CallRecord]:
    """Every call of this terminal, oldest first."""
    with session.store.transaction() as transaction:
        return transaction.calls()


def kept_call(session: Session, call_id: bytes) -> Kept:
    """A call with its lines and its anchor. Raises `Refused` ("unknown-call"), `VerificationFailed`."""
    with session.store.transaction() as transaction:
        found = transaction.call(call_id) if len(call_id) == CALL_ID_BYTES else None
        lines = tuple(transaction.lines(call_id)) if found else ()
    if found is None:
        raise Refused("unknown-call", "this terminal has no such call", hint="see `dutabarta hotline list`")
    item = find_anchor(session, found, lines)
    return Kept(found, lines, None if item is None else item.entry_index)


def find_anchor(session: Session, call: CallRecord, lines: tuple[LineRecord, ...]) -> VerifiedItem | None:
    """The checked anchor of just these lines; None: not anchored yet, or the node cannot be asked."""
    if call.state in (OPEN, MISSED):
        return None
    item_hash = transcript_item_hash(_transcript(call, list(lines)))
    with session.store.transaction() as transaction:
        text = transaction.proof(item_hash)
    if text is None:
        try:
            text = session.desk.item_proof(item_hash, HOTLINE)
        except Unavailable:
            text = None
    if text is None:
        return None
    item = _check(session, item_hash, text)
    with session.store.transaction() as transaction:
        transaction.add_proof(item_hash, text)
    return item


def _check(session: Session, item_hash: bytes, text: bytes) -> VerifiedItem:
    proof = TlogProof.decode(text)
    size = parse_checkpoint(SignedNote.decode(proof.checkpoint_note).text).size
    item = verify_item(proof, item_hash, session.network_id, session.view.policy_at(size))
    if item.post != session.config.post or item.kind != HOTLINE:
        raise VerificationFailed("wrong-anchor", f"the call is anchored by {item.post}", hint="tell HQ")
    return item


def _transcript(call: CallRecord, lines: list[LineRecord]) -> bytes:
    """The canonical Transcript: the same bytes on both sides if nothing was lost."""
    own = _said(lines, is_own=True)
    other = _said(lines, is_own=False)
    caller, called = (own, other) if call.is_caller else (other, own)
    return encode_transcript(call.ring, call.answer, caller, called)


def _said(lines: list[LineRecord], *, is_own: bool) -> tuple[Line, ...]:
    mine = sorted((one for one in lines if one.is_own == is_own), key=lambda one: one.number)
    return tuple(Line(one.number, one.at, one.text) for one in mine)
