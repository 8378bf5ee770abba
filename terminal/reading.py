"""What an officer reads at his terminal: cables, where they stand, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from crypto_msg.wire import decode_draft
from protos.errors import Refused
from terminal import outgoing
from terminal.anchors import missing_anchors
from terminal.answers import answer
from terminal.escalations import unanswered_cables
from terminal.exceptions import not_delivered
from terminal.gone import READERS, readers_gone
from terminal.lookup import find_cable
from terminal.marks import Mark, marks_of, withdrawn_too_late
from terminal.names import names_of
from terminal.proofs import Proved, prove
from terminal.records import DRAFTS, IN, NOTICES, OUT, Aside, CableRecord, ReceiptRecord
from terminal.session import Session
from terminal.standing import Standing, doubts_of, standing
from terminal.timers import overdue
from terminal.track import Tracked, track


class Reading:
    """Cables here, and what is known of them. Ids are cable ids or envelope ids."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def cables(self, box: str | None = None) -> list[CableRecord]:
        """What the store holds, oldest first; `box` in, out or drafts."""
        with self.session.store.transaction() as transaction:
            return [record for _, record in transaction.cables(box) if box or record.box != NOTICES]

    def marks(self, records: Iterable[CableRecord]) -> dict[bytes, tuple[Mark, ...]]:
        """By envelope id, what later cables here say of these: which supersede or cancel them, or claim to."""
        with self.session.store.transaction() as transaction:
            return {one.envelope_id: marks_of(transaction, one) for one in records}

    def find(self, any_id: bytes) -> CableRecord:
        """The cable with this cable id or envelope id; a released one before its draft.

        Raises `Refused("unknown-cable")`, or "ambiguous-id" naming the envelope ids.
        """
        return find_cable(self.session, any_id)[1]

    def attachments(self, record: CableRecord) -> tuple[bytes, ...]:
        """What the cable carries besides its text, in the draft's order; a countersignature carries nothing."""
        count = 0 if record.kind == Kind.COUNTERSIGNATURE else len(decode_draft(record.draft).attachments)
        with self.session.store.transaction() as transaction:
            return record.attachments or transaction.attachments(record.envelope_id, count)

    def read(self, any_id: bytes) -> CableRecord:
        """The cable; its originator is told READ the first time."""
        return self._answer(any_id, ReceiptKind.READ)

    def acknowledge(self, any_id: bytes) -> CableRecord:
        """The cable; its originator is told ACKNOWLEDGED, once.

        "undeliverable" if the originating officer has no terminal in force: it may be acknowledged again later.
        """
        return self._answer(any_id, ReceiptKind.ACKNOWLEDGED)

    def track(self, any_id: bytes) -> Tracked:
        """How far a cable has come."""
        return track(self.session, self.find(any_id))

    def receipts(self, record: CableRecord) -> list[ReceiptRecord]:
        """Every receipt for a cable that this terminal has signed or checked."""
        with self.session.store.transaction() as transaction:
            return transaction.receipts(record.envelope_id)

    def is_waiting(self, record: CableRecord) -> bool:
        """Whether the node has not yet confirmed that it carries this cable."""
        return outgoing.waiting(self.session, record.envelope_id)

    def names(self, officer_ids: Sequence[bytes]) -> dict[bytes, str]:
        """Officers' names, checked."""
        return names_of(self.session, officer_ids)

    def standing(self, record: CableRecord) -> Standing:
        """Where a cable is anchored, and why not to rely on it by what the ledger says now."""
        return standing(self.session, record)

    def doubts(self, records: Sequence[CableRecord]) -> dict[bytes, tuple[str, ...]]:
        """Why not to rely on some of these cables, by envelope id."""
        return doubts_of(self.session, records)

    def proof(self, any_id: bytes) -> Proved:
        """A cable's checked anchor proof and its sealed envelope. Raises as `prove`, "not-released" for a draft."""
        record = self.find(any_id)
        if record.box == DRAFTS:
            raise Refused(
                "not-released",
                "this is a draft: only a released cable is anchored",
                hint="see `dutabarta cable release`",
            )
        return prove(self.session, record)

    def alarms(self) -> list[Aside]:
        """What was kept aside, with its reasons, oldest first; then what the officer must know of cables sent."""
        with self.session.store.transaction() as transaction:
            kept = transaction.asides()
        sent = self.cables(OUT)
        gone = readers_gone(self.session, [one for one in sent if one.cek])
        late = [*missing_anchors(self.session, sent), *overdue(self.session), *not_delivered(self.session, sent)]
        late += [*unanswered_cables(self.session), *withdrawn_too_late(self.session)]
        return [*kept, *late, *(one for one in gone if one.code == READERS)]

    def _answer(self, any_id: bytes, kind: ReceiptKind) -> CableRecord:
        number, record = find_cable(self.session, any_id)
        if record.box == IN:
            record = answer(self.session, number, record, kind)
            outgoing.flush_if_possible(self.session)
        elif kind == ReceiptKind.ACKNOWLEDGED:
            raise Refused("not-received", "only a cable in the in-tray is acknowledged", hint="see `cable list`")
        return record
