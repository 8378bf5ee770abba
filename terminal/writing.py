"""What an officer writes at his terminal, and does about what he has written."""

from __future__ import annotations

from dataclasses import replace

from crypto_msg.wire import decode_draft
from protos.errors import Refused
from terminal import drafting, outgoing, prekeys, sending
from terminal.additions import add_terminal
from terminal.compose import Composed, Composition, compose
from terminal.exceptions import except_post
from terminal.expiry import check_not_expired, expiry_after
from terminal.lists import expanded
from terminal.lookup import find_cable, find_draft, signatures_of
from terminal.naks import allow, answer_naks
from terminal.reading import Reading
from terminal.records import DRAFTS, CableRecord
from terminal.replacing import cancelling, check_relations
from terminal.resending import resend
from terminal.roster import adopt_rotation


class Writing(Reading):
    """Cables made, released and looked after. What is made is durable here at the end, and at the node if it can be."""

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

    def resend(self, any_id: bytes) -> tuple[str, ...]:
        """Hand a cable in again for the posts that have not DELIVERED it; which they are. Raises as `resend`."""
        posts = resend(self.session, self.find(any_id))
        outgoing.flush_if_possible(self.session)
        return posts

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

    def except_post(self, any_id: bytes, post: str) -> CableRecord:
        """Put an addressee of a cable on its exception list. Raises `Refused("not-outstanding")`."""
        return except_post(self.session, *find_cable(self.session, any_id), post)

    def _ready(self) -> None:
        adopt_rotation(self.session)
        prekeys.rotate(self.session)

    def _compose(self, composition: Composition) -> Composed:
        composed = compose(expanded(self.session, composition), self.session.config.post)
        self._ready()
        check_relations(self.session, composed.draft)
        return replace(composed, expires_at=expiry_after(self.session, composition.expires_hours))
