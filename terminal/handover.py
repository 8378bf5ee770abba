"""A shift handed over: what is pending in one act that two officers sign (docs/protocol/shift.md)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace

from crypto_msg.duty import MAX_ITEMS, SALT_BYTES, DutyAlarm, DutyList, encode_list, list_hash, verify_list
from keys.purpose import Purpose
from ledger.bodies import ShiftChanged
from ledger.entry import sign_entry
from ledger.records import Officer, Shift
from ledger.wire import CODEC, MAX_LEAF_BYTES
from protos.errors import Malformed, Refused
from terminal.enrol import SHIFT_CHANGED, pending
from terminal.numbering import own_number
from terminal.records import AWAITING, DRAFTS, IN, NEW, READ, Aside
from terminal.request import Request
from terminal.session import Session


@dataclass(frozen=True, slots=True)
class Offered:
    """A hand-over as its file says it: who gives, who takes, what is pending. No signature is verified."""

    body: ShiftChanged
    duty: DutyList


def on_duty(session: Session, post: str) -> Shift | None:
    """Who holds the post's shift; None if nobody ever took it."""
    return session.view.judge(lambda state: state.shift(post))


def duty_list(session: Session, alarms: Iterable[Aside]) -> DutyList:
    """What is pending at this terminal. Raises `Refused("too-much-pending")`."""
    with session.store.transaction() as transaction:
        arrived = [record for _, record in transaction.cables(IN) if record.state in (NEW, READ)]
        drafts = [record for _, record in transaction.cables(DRAFTS) if record.state == AWAITING]
    duty = DutyList(
        session.config.post,
        session.clock(),
        tuple(one.envelope_id for one in arrived),
        tuple(one.envelope_id for one in drafts),
        tuple(dict.fromkeys(DutyAlarm(one.code, one.envelope_id) for one in alarms)),
        secrets.token_bytes(SALT_BYTES),
    )
    if len(duty.unacknowledged) + len(duty.drafts) + len(duty.alarms) > MAX_ITEMS:
        hint = "acknowledge what has been dealt with, then hand over"
        raise Refused("too-much-pending", f"more than {MAX_ITEMS} things are pending", hint=hint, limit=MAX_ITEMS)
    return duty


def offer(session: Session, incoming: Officer, duty: DutyList) -> Request:
    """The hand-over to `incoming`, signed by this officer. Raises `Refused("not-on-duty")` if he holds no shift."""
    shift = on_duty(session, session.config.post)
    if shift is None or shift.officer_id != session.officer_id:
        raise Refused("not-on-duty", "you are not on duty, so you have nothing to hand over", hint="see `officer list`")
    data = encode_list(duty)
    body = ShiftChanged(session.config.post, session.officer_id, incoming.officer_id, list_hash(data))
    return replace(_begun(session, body), duty_list=data)


def take(session: Session) -> Request:
    """The entry by which this officer takes the shift himself; a supervisor other than he has to approve it."""
    return _begun(session, ShiftChanged(session.config.post, b"", session.officer_id, b""))


def read_offer(request: Request) -> Offered:
    """What a hand-over's file holds. Raises `Malformed("not-a-request")`, `VerificationFailed("other-duty-list")`."""
    contents = [one.content for one in request.entries]
    if len(contents) != 1 or contents[0].kind != SHIFT_CHANGED or not request.duty_list:
        raise Malformed(
            "not-a-request", "this is no file of a hand-over", hint="give the file that `officer handover --to` wrote"
        )
    body = CODEC.decode(ShiftChanged, contents[0].payload, limit=MAX_LEAF_BYTES)
    return Offered(body, verify_list(request.duty_list, body.list_hash))


def accept(session: Session, request: Request) -> Request:
    """The hand-over with this officer's signature too. Raises as `read_offer`, and `Refused("shift-not-for-you")`."""
    if read_offer(request).body.incoming != session.officer_id:
        raise Refused(
            "shift-not-for-you", "this shift is handed over to another officer", hint="see `officer handover --show`"
        )
    (entry,) = request.entries
    signer = session.keyring.officer_signer
    if signer.public_key.key_id in entry.signers:
        return request
    signature = sign_entry(entry.entry, signer, session.network_id, Purpose.SHIFT)
    return replace(request, entries=(entry.with_signature(signature),))


def missing_here(session: Session, duty: DutyList) -> list[bytes]:
    """What the list names and this terminal does not hold: cables that the incoming officer could not read here."""
    with session.store.transaction() as transaction:
        return [one for one in (*duty.unacknowledged, *duty.drafts) if not transaction.find_cables(one)]


def _begun(session: Session, body: ShiftChanged) -> Request:
    signer = session.keyring.officer_signer
    entry = pending(session.network_id, SHIFT_CHANGED, own_number(session), body, signer, Purpose.SHIFT)
    return Request(session.network_id, (entry,))
