"""Releases: judged at S, sealed once, durable here before the node is given anything."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_msg.cable import Draft, Inner, Kind
from crypto_msg.dtg import format_dtg, is_datable
from crypto_msg.rules import Signers, check_release, is_on_duty
from crypto_msg.seal import Message, Release, seal_cable
from crypto_msg.signatures import DraftSignature
from crypto_msg.wire import encode_draft
from keys.purpose import Purpose
from ledger.roles import Role
from terminal.compose import Composed
from terminal.failpoint import reach
from terminal.judging import Outcome, addressed, judge, keep, may_read, recipients_of, station_of
from terminal.recipients import check_reachable
from terminal.records import CableRecord
from terminal.replacing import check_officers, needs_two
from terminal.session import Session
from terminal.view import ProvedState


def may_release_alone(session: Session, draft: Draft) -> bool:
    """Whether this officer releases the draft at once: a releaser, below SECRET and FLASH, as is what it replaces."""
    officer, _ = session.view.judge(session.own)
    return officer.has_role(Role.RELEASER) and not needs_two(session, draft)


def release(
    session: Session, composed: Composed, signatures: Sequence[DraftSignature] = (), accept_stale: bool = False
) -> CableRecord:
    """Seal and store a cable that this officer releases; `signatures` are the drafter's, clearers' and co-releasers'.

    Raises before anything is stored, by name: "unknown-post", "role-missing", "clearance-too-low", "two-officers",
    "suspended-officer", "revoked-officer", "no-reader", "stale-state", "bundle-missing"; as `replacing.replaced`.
    """
    draft, readers = composed.draft, may_read(composed.draft)
    signatures = session.view.judge(lambda state: _of_duty_officers(signatures, state))
    inner = _to_judge(session, draft, signatures)

    def signers_at(state: ProvedState) -> Signers:
        signers = check_release(draft, inner, state)
        check_officers(session, draft, signers)
        return signers

    judged = judge(session, draft, signers_at, addressed(draft), accept_stale)
    check_reachable(judged.posts, judged.seats, judged.bundles, readers)
    at = _moment(session)
    year = datetime.fromtimestamp(at, UTC).year
    serial = session.desk.take_serial(draft.cable_id, year)
    reach()
    step = Release(serial, year, format_dtg(at), judged.expansions)
    with session.store.transaction() as transaction:
        recipients = recipients_of(transaction, judged, readers)
        sealed = seal_cable(
            station_of(session, judged),
            Message(draft, composed.attachments, composed.expires_at),
            step,
            signatures,
            session.keyring.officer_signer,
            recipients,
            secrets.token_bytes,
        )
        outcome = Outcome(Kind.CABLE, composed, sealed, judged, tuple(signatures), recipients)
        record = keep(session, transaction, outcome, readers, at)
    reach()
    return record


def _moment(session: Session) -> int:
    """POSIX seconds by the officer's clock; by the ledger's newest block if that clock is out by decades."""
    at = session.clock()
    return at if is_datable(at) else session.view.judge(lambda state: state.time)


def _of_duty_officers(signatures: Sequence[DraftSignature], state: ProvedState) -> tuple[DraftSignature, ...]:
    """Without the co-releases of officers who are on duty no more: another's may stand beside them."""

    def stands(one: DraftSignature) -> bool:
        officer = state.officer_of_key(one.key_id) if one.purpose == Purpose.CO_RELEASE else None
        return officer is None or is_on_duty(state, officer)

    return tuple(one for one in signatures if stands(one))


def _to_judge(session: Session, draft: Draft, signatures: Sequence[DraftSignature]) -> Inner:
    """Who would stand behind the cable; serial and the rest come later."""

    def signed(purpose: Purpose) -> tuple[bytes, ...]:
        return tuple(sorted(one.key_id for one in signatures if one.purpose == purpose))

    own = session.keyring.officer_signer.public_key.key_id
    drafter = next(iter(signed(Purpose.DRAFT)), own)
    return Inner(
        encode_draft(draft), 0, 0, "", (), drafter, signed(Purpose.CLEAR), signed(Purpose.CO_RELEASE), own, b""
    )
