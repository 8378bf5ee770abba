"""One officer's terminal: the object that the command line and the screen work with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from crypto_msg.cable import Kind
from crypto_msg.receipt import ReceiptKind
from crypto_msg.wire import decode_draft
from node.client import NodeClient
from protos.errors import Refused
from terminal import calls, drafting, outgoing, prekeys, sending
from terminal.additions import add_terminal
from terminal.anchors import missing_anchors
from terminal.answers import answer
from terminal.asking import ask_again
from terminal.callrecords import CallRecord
from terminal.calls import Kept
from terminal.compose import Composed, Composition, compose
from terminal.desk import Desk
from terminal.erasing import note_emptied
from terminal.escalations import unanswered_cables
from terminal.exceptions import except_post, not_delivered
from terminal.expiry import check_not_expired, expiry_after
from terminal.folder import Folder
from terminal.gone import READERS, readers_gone
from terminal.hotline import Hotline
from terminal.line import Line
from terminal.linking import index_once
from terminal.lists import expanded
from terminal.lookup import find_cable, find_draft, signatures_of
from terminal.marks import Mark, marks_of, withdrawn_too_late
from terminal.naks import allow, answer_naks
from terminal.names import names_of
from terminal.numbering import note_number
from terminal.presence import AtHotline, present_at
from terminal.proofs import Proved, prove
from terminal.receive import Received, receive
from terminal.records import DRAFTS, IN, NOTICES, OUT, Aside, CableRecord, ReceiptRecord
from terminal.replacing import cancelling, check_relations
from terminal.resending import resend
from terminal.restored import notice_restore
from terminal.rewraps import open_with_kept
from terminal.roster import adopt_rotation
from terminal.session import Session
from terminal.standing import Standing, doubts_of, standing
from terminal.store import Store
from terminal.submit import Submitter
from terminal.timers import overdue, watch_answers
from terminal.track import Tracked, track
from terminal.trusting import TrustingView

NAME_OPENED = "name-opened"


class Terminal:
    """Everything an officer does. Made by `open_terminal`; not for several threads."""

    def __init__(self, session: Session) -> None:
        self.session = session

    # --- the node ------------------------------------------------------------------------------------------

    def sync(self) -> Received:
        """Hand in what waits, publish a prekey if one is due, look at the ledger, take the inbox, answer and ask."""
        self._ready()
        self.open_own_name()
        outgoing.flush(self.session)
        self.session.view.newest()
        notice_restore(self.session)
        received = receive(self.session)
        received.cables += open_with_kept(self.session)
        answer_naks(self.session)
        ask_again(self.session)
        watch_answers(self.session)
        note_emptied(self.session)
        note_number(self.session)
        outgoing.flush(self.session)
        return received

    def publish_prekey(self) -> None:
        """Publish a new prekey now, or finish the one under way."""
        prekeys.publish(self.session)

    def open_own_name(self) -> None:
        """State a first supervisor's name in the posts' directory, once: the ledger holds no commitment to it."""
        with self.session.store.transaction() as transaction:
            if transaction.setting(NAME_OPENED):
                return
        officer, _ = self.session.view.judge(self.session.own)
        if not officer.name_commitment:
            self.session.desk.put_opening(officer.officer_id, bytes(32), self.session.config.officer_name)
        with self.session.store.transaction() as transaction:
            transaction.set_setting(NAME_OPENED, 1)

    # --- sending -------------------------------------------------------------------------------------------

    def send(self, composition: Composition, accept_stale: bool = False) -> CableRecord:
        """Release at once if this officer may alone; else a sealed draft to the post's releasers.

        The record's `state` says which. Either is durable here when this returns; it goes to the node now if it can.
        """
        composed = self._compose(composition)
        if sending.may_release_alone(self.session, composed.draft):
            record = sending.release(self.session, composed, accept_stale=accept_stale)
        else:
            record = drafting.draft(self.session, composed, accept_stale)
        outgoing.flush_if_possible(self.session)
        return record

    def draft(self, composition: Composition, accept_stale: bool = False) -> CableRecord:
        """A sealed draft to the post's releasers, whoever writes it."""
        composed = self._compose(composition)
        record = drafting.draft(self.session, composed, accept_stale)
        outgoing.flush_if_possible(self.session)
        return record

    def release(self, any_id: bytes, accept_stale: bool = False, expires_hours: int = 0) -> CableRecord:
        """Release a draft that awaits it; co-release another post's FLASH as an officer of headquarters.

        The cable has the draft's expiry if none is given. Raises as `sending.release`, `check_relations`,
        "not-a-draft", "already-released", "withdrawn", "expired-cable".
        """
        self._ready()
        number, waiting = find_draft(self.session, any_id)
        if drafting.is_for_co_release(self.session, waiting):
            record = drafting.co_release(self.session, number, waiting, accept_stale)
        else:
            expires_at = expiry_after(self.session, expires_hours) or waiting.expires_at
            check_not_expired(self.session, replace(waiting, expires_at=expires_at))
            composed = Composed(decode_draft(waiting.draft), self.attachments(waiting), expires_at)
            check_relations(self.session, composed.draft)
            record = sending.release(self.session, composed, signatures_of(self.session, waiting), accept_stale)
        outgoing.flush_if_possible(self.session)
        return record

    def cancel(self, any_id: bytes, reason: str = "", accept_stale: bool = False) -> CableRecord:
        """Cancel a released cable by another one, whose record is returned; or withdraw an own draft: its record.

        Raises as `send`, `cancelling` and `drafting.withdraw`.
        """
        record = self.find(any_id)
        if record.box != DRAFTS:
            return self.send(cancelling(self.session, record, reason), accept_stale)
        _, waiting = find_draft(self.session, any_id)
        self._ready()
        drafting.withdraw(self.session, waiting, reason, accept_stale)
        outgoing.flush_if_possible(self.session)
        return self.find(waiting.envelope_id)

    # --- reading -------------------------------------------------------------------------------------------

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

    def rewrap(self, any_id: bytes) -> int:
        """Answer once more whoever asked too often in a day for a cable: the officer's decision. How many.

        Raises `Refused("nobody-asks")`.
        """
        count = allow(self.session, self.find(any_id))
        if not count:
            raise Refused(
                "nobody-asks", "no terminal waits for your decision about this cable", hint="see `cable list`"
            )
        answer_naks(self.session)
        outgoing.flush_if_possible(self.session)
        return count

    def add_terminal(self, any_id: bytes, terminal_id: bytes) -> CableRecord:
        """As a supervisor, give a terminal that was not on a cable's list its key. Raises as `add_terminal`."""
        record = self.find(any_id)
        add_terminal(self.session, record, terminal_id)
        outgoing.flush_if_possible(self.session)
        return record

    def resend(self, any_id: bytes) -> tuple[str, ...]:
        """Hand a cable in again for the posts that have not DELIVERED it; which they are. Raises as `resend`."""
        posts = resend(self.session, self.find(any_id))
        outgoing.flush_if_possible(self.session)
        return posts

    def except_post(self, any_id: bytes, post: str) -> CableRecord:
        """Put an addressee of a cable on its exception list. Raises `Refused("not-outstanding")`."""
        return except_post(self.session, *find_cable(self.session, any_id), post)

    def attachments(self, record: CableRecord) -> tuple[bytes, ...]:
        """What the cable carries besides its text, in the draft's order; a countersignature carries nothing."""
        count = 0 if record.kind == Kind.COUNTERSIGNATURE else len(decode_draft(record.draft).attachments)
        with self.session.store.transaction() as transaction:
            return record.attachments or transaction.attachments(record.envelope_id, count)

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

    def names(self, officer_ids: Sequence[bytes]) -> dict[bytes, str]:
        """Officers' names, checked."""
        return names_of(self.session, officer_ids)

    def receipts(self, record: CableRecord) -> list[ReceiptRecord]:
        """Every receipt for a cable that this terminal has signed or checked."""
        with self.session.store.transaction() as transaction:
            return transaction.receipts(record.envelope_id)

    def is_waiting(self, record: CableRecord) -> bool:
        """Whether the node has not yet confirmed that it carries this cable."""
        return outgoing.waiting(self.session, record.envelope_id)

    def alarms(self) -> list[Aside]:
        """What was kept aside, with its reasons, oldest first; then what the officer must know of cables sent."""
        with self.session.store.transaction() as transaction:
            kept = transaction.asides()
        sent = self.cables(OUT)
        gone = readers_gone(self.session, [one for one in sent if one.cek])
        late = [*missing_anchors(self.session, sent), *overdue(self.session), *not_delivered(self.session, sent)]
        late += [*unanswered_cables(self.session), *withdrawn_too_late(self.session)]
        return [*kept, *late, *(one for one in gone if one.code == READERS)]

    # --- the hotline ---------------------------------------------------------------------------------------

    @contextmanager
    def hotline(self) -> Iterator[Hotline]:
        """This officer at the hotline of his post, until the end of the block."""
        self._ready()
        line = Line(self.session.desk, self.session.config.post, self.session.terminal_id)
        line.open()
        try:
            yield Hotline(self.session, line)
        finally:
            line.close()
            calls.end_interrupted(self.session)
            outgoing.flush_if_possible(self.session)

    def present(self, post: str) -> list[AtHotline]:
        """Which officers are at the hotline of a post, as its node says."""
        return present_at(self.session, post)

    def calls(self) -> list[CallRecord]:
        """Every hotline call, oldest first; what an ended program left open is closed."""
        calls.end_interrupted(self.session)
        outgoing.flush_if_possible(self.session)
        return calls.calls(self.session)

    def call(self, call_id: bytes) -> Kept:
        """A hotline call with its lines and its checked anchor. Raises as `kept_call`."""
        return calls.kept_call(self.session, call_id)

    # --- inside --------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        adopt_rotation(self.session)
        prekeys.rotate(self.session)

    def _compose(self, composition: Composition) -> Composed:
        composed = compose(expanded(self.session, composition), self.session.config.post)
        self._ready()
        check_relations(self.session, composed.draft)
        return replace(composed, expires_at=expiry_after(self.session, composition.expires_hours))

    def _answer(self, any_id: bytes, kind: ReceiptKind) -> CableRecord:
        number, record = find_cable(self.session, any_id)
        if record.box == IN:
            record = answer(self.session, number, record, kind)
            outgoing.flush_if_possible(self.session)
        elif kind == ReceiptKind.ACKNOWLEDGED:
            raise Refused("not-received", "only a cable in the in-tray is acknowledged", hint="see `cable list`")
        return record


@contextmanager
def open_terminal(path: Path, passphrase: bytes, desk: Desk | None = None) -> Iterator[Terminal]:
    """Open a terminal's folder for this process alone. `desk`: another node than the configured one (tests).

    Raises "no-terminal", "wrong-passphrase", "terminal-busy", "disk-failed".
    """
    folder = Folder.existing(path)
    with folder.locked(), closing(folder.load_keyring(passphrase)) as keyring:
        config = folder.load_config()
        node = desk or NodeClient(config.node, folder.load_node_certificate(), keyring.tls)
        store = Store(folder.store_path, keyring.store_key)
        try:
            index_once(store)
            network_id = bytes.fromhex(config.network_id)
            view = TrustingView(node, network_id, folder)
            submitter = Submitter(node, view)
            yield Terminal(Session(folder, config, keyring, passphrase, store, view, node, submitter))
        finally:
            store.close()
            node.close()
