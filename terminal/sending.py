"""Releases: judged at S, sealed once, durable here before the node is given anything."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from crypto_msg.cable import Draft, Inner, Kind
from crypto_msg.dtg import format_dtg
from crypto_msg.rules import check_release, needs_two_officers
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
from terminal.session import Session


def may_release_alone(session: Session, draft: Draft) -> bool:
    """Whether this officer releases the draft at once: a releaser, below SECRET and FLASH."""
    officer, _ = session.view.judge(session.own)
    return officer.has_role(Role.RELEASER) and not needs_two_officers(draft)


def release(
    session: Session, composed: Composed, signatures: Sequence[DraftSignature] = (), accept_stale: bool = False
) -> CableRecord:
    """Seal and store a cable that this officer releases; `signatures` are the drafter's, clearers' and co-releasers'.

    Raises before anything is stored, by name: "unknown-post", "role-missing", "clearance-too-low", "two-officers",
    "suspended-officer", "revoked-officer", "no-reader", "stale-state", "bundle-missing".
    """
    draft, readers = composed.draft, may_read(composed.draft)
    inner = _to_judge(session, draft, signatures)
    judged = judge(session, draft, lambda state: check_release(draft, inner, state), addressed(draft), accept_stale)
    check_reachable(judged.posts, judged.seats, judged.bundles, readers)
    at = session.clock()
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


def _to_judge(session: Session, draft: Draft, signatures: Sequence[DraftSignature]) -> Inner:
    """Who would stand behind the cable; serial and the rest come later."""

    def signed(purpose: Purpose) -> tuple[bytes, ...]:
        return tuple(sorted(one.key_id for one in signatures if one.purpose == purpose))

    own = session.keyring.officer_signer.public_key.key_id
    drafter = next(iter(signed(Purpose.DRAFT)), own)
    return Inner(
        encode_draft(draft), 0, 0, "", (), drafter, signed(Purpose.CLEAR), signed(Purpose.CO_RELEASE), own, b""
    )
