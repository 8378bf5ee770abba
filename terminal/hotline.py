"""An officer at the hotline: calling, being called, talking. One call at a time; not for several threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from crypto_msg.hotline import make_confirmation, signed_hash, verify_confirmation
from crypto_msg.hotline_wire import FrameKind, Reason
from keys.signing import DirectVerifier
from node.wire import HotlineFrame
from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed
from terminal.answering import Rang, answer_ring, take_cancel, take_ring
from terminal.callrecords import MISSED, OPEN, CallRecord
from terminal.calls import end_interrupted
from terminal.dialing import Rung, give_up, ring_post, take_answer, take_end
from terminal.line import Line
from terminal.session import Session
from terminal.talking import Event, Talking

RING_SECONDS = 5.0
"""How often a ring, and an answer that is not confirmed, goes again."""
CONFIRM_SECONDS = 60.0
MAX_SEEN = 256


class Hotline:
    """The states: nothing, calling (`_rung`), ringing (`_rang`), talking (`_talking`). `step` drives it."""

    def __init__(self, session: Session, line: Line, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._line, self._clock = session, line, clock
        self._rung: dict[bytes, Rung] = {}
        self._rang: Rang | None = None
        self._talking: Talking | None = None
        self._answer = b""
        self._until, self._again_at = 0.0, 0.0
        self._reasons: list[str] = []
        self._seen: dict[bytes, bytes] = {}
        end_interrupted(session)

    @property
    def is_idle(self) -> bool:
        """Nobody calls, rings or talks."""
        return not self._rung and self._rang is None and self._talking is None

    @property
    def is_ringing(self) -> bool:
        """Whether a call waits for the officer to take it."""
        return self._rang is not None and self._talking is None

    @property
    def is_talking(self) -> bool:
        """Whether the officers may talk now."""
        return self._talking is not None and self._talking.is_established

    # --- what the officer does -------------------------------------------------------------------------------

    def call(self, post: str, classification: int, wait_seconds: float, accept_stale: bool = False) -> list[Event]:
        """Ring the officers at the hotline of a post. Raises as `ring_post`, `Refused` ("line-busy")."""
        if not self.is_idle:
            raise Refused("line-busy", "this terminal is in a call", hint="hang up first")
        present = {one.terminal_id for one in self._session.desk.present(post)}
        self._rung = ring_post(self._session, post, classification, present, accept_stale)
        self._until, self._again_at, self._reasons = self._clock() + wait_seconds, 0.0, []
        self._ring_again()
        return [Event("calling", self._record_of(one)) for one in self._rung.values()]

    def accept(self) -> list[Event]:
        """Take the call that rings. Raises `Unavailable` ("bundle-missing")."""
        if (rang := self._rang) is None:
            return []
        self._answer, keys = answer_ring(self._session, rang)
        record = replace(self._record_of_rang(rang), state=OPEN, answer=self._answer)
        ring_hash, answer_hash, caller = rang.ring_hash, signed_hash(self._answer), rang.seat.terminal

        def check(signature: bytes) -> None:
            verify_confirmation(signature, ring_hash, answer_hash, self._session.network_id, caller, DirectVerifier())

        now = self._clock()
        self._talking = Talking(self._session, self._line, record, keys, check, now)
        self._until, self._again_at = now + CONFIRM_SECONDS, 0.0
        self._answer_again()
        return []

    def refuse(self, reason: Reason = Reason.REFUSED) -> list[Event]:
        """Do not take the call that rings."""
        if (rang := self._rang) is None or self._talking is not None:
            return []
        self._rang = None
        self._end_ring(rang, reason)
        return [self._missed(rang, reason.name.lower())]

    def say(self, text: str) -> list[Event]:
        """A line. Raises as `Channel.say`, `Refused` ("not-talking")."""
        if self._talking is None or not self._talking.is_established:
            raise Refused("not-talking", "nobody is on the line", hint="wait until the call is answered")
        return self._talking.say(text, self._clock())

    def hang_up(self) -> list[Event]:
        """End whatever there is."""
        if self._rung:
            return self._give_up(Reason.NO_ANSWER)
        if self._talking is not None:
            return self._talking.hang_up(self._clock())
        return self.refuse()

    # --- what happens ----------------------------------------------------------------------------------------

    def step(self, seconds: float) -> list[Event]:
        """Wait for a frame for up to so long, take it, and do what is due."""
        frame = self._line.take(seconds)
        events = self._take(frame) if frame is not None else []
        return events + self._tick()

    def _tick(self) -> list[Event]:
        now = self._clock()
        if self._rung:
            if now >= self._until:
                return self._give_up(Reason.NO_ANSWER)
            self._ring_again()
        if self._talking is None:
            return []
        if not self._talking.is_established and not self._talking.call.is_caller:
            self._answer_again()
        events = self._talking.tick(now)
        if not self._talking.is_established and now >= self._until:
            events += self._talking.abandon("not-confirmed")
        return events + self._tidy()

    def _take(self, frame: HotlineFrame) -> list[Event]:
        """A frame that does not hold changes nothing; the officer sees that somebody tampers."""
        try:
            return self._take_checked(frame)
        except (Malformed, VerificationFailed, Refused, Unavailable) as problem:
            return [self._dropped(problem)]

    def _take_checked(self, frame: HotlineFrame) -> list[Event]:
        if frame.kind == FrameKind.RING:
            return self._ring(frame)
        if frame.kind == FrameKind.ANSWER:
            return self._answered(frame)
        if frame.kind == FrameKind.END:
            return self._ended(frame)
        if self._talking is None or not self._is_of_call(frame):
            return []
        return self._talking.take(frame.kind, frame.content, self._clock()) + self._tidy()

    def _is_of_call(self, frame: HotlineFrame) -> bool:
        call = self._talking.call if self._talking is not None else None
        return call is not None and (frame.call_id, frame.origin_terminal_id) == (call.call_id, call.terminal_id)

    def _tidy(self) -> list[Event]:
        if self._talking is not None and self._talking.is_over:
            self._talking, self._rang, self._answer = None, None, b""
        return []

    # --- being called ----------------------------------------------------------------------------------------

    def _ring(self, frame: HotlineFrame) -> list[Event]:
        ring_hash = signed_hash(frame.content)
        if ring_hash in self._seen:
            self._end_again(frame, self._seen[ring_hash])
            return []
        rang = take_ring(self._session, frame.content)
        self._remember(ring_hash, b"")
        with self._session.store.transaction() as transaction:
            if transaction.call(rang.ring.call_id) is not None:
                return []
        if not self.is_idle:
            self._end_ring(rang, Reason.BUSY)
            return [self._missed(rang, "busy")]
        self._rang = rang
        return [Event("ringing", self._record_of_rang(rang), at=rang.ring.at)]

    def _end_again(self, frame: HotlineFrame, end: bytes) -> None:
        """A ring that was refused and goes on: the refusal was lost."""
        if end:
            self._put(frame.call_id, frame.origin, frame.origin_terminal_id, FrameKind.END, end)

    def _remember(self, ring_hash: bytes, end: bytes) -> None:
        """Rings that were seen, with the End that was given to them."""
        self._seen[ring_hash] = end
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def _answer_again(self) -> None:
        if (rang := self._rang) is not None and self._clock() >= self._again_at:
            self._again_at = self._clock() + RING_SECONDS
            self._put(rang.ring.call_id, rang.ring.post, rang.ring.terminal_id, FrameKind.ANSWER, self._answer)

    def _end_ring(self, rang: Rang, reason: Reason) -> None:
        end = give_up(self._session, rang.ring_hash, reason)
        self._remember(rang.ring_hash, end)
        self._put(rang.ring.call_id, rang.ring.post, rang.ring.terminal_id, FrameKind.END, end)

    def _missed(self, rang: Rang, code: str) -> Event:
        record = self._record_of_rang(rang)
        with self._session.store.transaction() as transaction:
            transaction.put_call(record)
        return Event("missed", record, code=code)

    # --- calling ---------------------------------------------------------------------------------------------

    def _ring_again(self) -> None:
        if self._clock() >= self._again_at:
            self._again_at = self._clock() + RING_SECONDS
            for one in self._rung.values():
                self._put_to(one, FrameKind.RING, one.signed)

    def _answered(self, frame: HotlineFrame) -> list[Event]:
        rung = self._rung.get(frame.origin_terminal_id)
        if rung is None:
            return []
        answer, keys = take_answer(self._session, rung, frame.content)
        del self._rung[answer.terminal_id]
        self._end_rings(Reason.ELSEWHERE)
        record = replace(self._record_of(rung), state=OPEN, answer=frame.content)
        now = self._clock()
        self._talking = Talking(self._session, self._line, record, keys, _nobody_confirms_to_the_caller, now)
        self._until = now + CONFIRM_SECONDS
        signer, network_id = self._session.keyring.terminal_signer, self._session.network_id
        signature = make_confirmation(rung.ring_hash, signed_hash(frame.content), network_id, signer)
        return self._talking.confirm(signature, now)

    def _ended(self, frame: HotlineFrame) -> list[Event]:
        """A rung terminal does not answer, or the caller gives up."""
        if (rung := self._rung.get(frame.origin_terminal_id)) is not None:
            end = take_end(self._session, rung, frame.content)
            del self._rung[frame.origin_terminal_id]
            code = Reason(end.reason).name.lower().replace("_", "-")
            return [] if self._rung else [Event("ended", self._record_of(rung), code=code)]
        rang = self._rang
        if rang is None or self._talking is not None or frame.origin_terminal_id != rang.ring.terminal_id:
            return []
        end = take_cancel(self._session, rang, frame.content)
        self._rang = None
        return [self._missed(rang, Reason(end.reason).name.lower().replace("_", "-"))]

    def _give_up(self, reason: Reason) -> list[Event]:
        first = next(iter(self._rung.values()))
        self._end_rings(reason)
        return [Event("ended", self._record_of(first), code="no-answer")]

    def _end_rings(self, reason: Reason) -> None:
        for one in self._rung.values():
            self._put_to(one, FrameKind.END, give_up(self._session, one.ring_hash, reason))
        self._rung = {}

    # --- inside ----------------------------------------------------------------------------------------------

    def _put_to(self, rung: Rung, kind: FrameKind, content: bytes) -> None:
        self._put(rung.ring.call_id, rung.ring.called_post, rung.ring.called_terminal_id, kind, content)

    def _put(self, call_id: bytes, post: str, terminal_id: bytes, kind: FrameKind, content: bytes) -> None:
        self._line.put(call_id, post, terminal_id, kind, content)

    def _record_of(self, rung: Rung) -> CallRecord:
        seat, ring = rung.seat, rung.ring
        return CallRecord(
            ring.call_id, True, ring.called_post, seat.terminal.terminal_id, seat.officer.officer_id,
            ring.classification, ring.at, MISSED, rung.signed,
        )  # fmt: skip

    def _record_of_rang(self, rang: Rang) -> CallRecord:
        seat, ring = rang.seat, rang.ring
        return CallRecord(
            ring.call_id, False, ring.post, seat.terminal.terminal_id, seat.officer.officer_id,
            ring.classification, self._session.clock(), MISSED, rang.signed,
        )  # fmt: skip

    def _dropped(self, problem: DutabartaError) -> Event:
        nobody = CallRecord(b"", False, "", b"", b"", 0, self._session.clock(), MISSED, b"")
        return Event("dropped", self._talking.call if self._talking else nobody, code=problem.code)


def _nobody_confirms_to_the_caller(_signature: bytes) -> None:
    raise VerificationFailed("bad-talk", "only the caller confirms")
