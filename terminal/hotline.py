"""An officer at the hotline: calling, being called, talking. One call at a time; not for several threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from crypto_msg.hotkeys import CallKeys
from crypto_msg.hotline import make_confirmation, signed_hash
from crypto_msg.hotline_wire import FrameKind, Reason
from node.wire import HotlineFrame
from protos.errors import DutabartaError, Malformed, Refused, Unavailable, VerificationFailed
from terminal.answering import Answering, take_ring
from terminal.callrecords import MISSED, OPEN, CallRecord
from terminal.calls import end_interrupted
from terminal.dialing import Dialing, Rung, ring_post
from terminal.line import Line
from terminal.session import Session
from terminal.talking import Event, Talking

CONFIRM_SECONDS = 60.0
MAX_SEEN = 256


class Hotline:
    """The states: nothing, calling (`_dialing`), ringing (`_answering`), talking (`_talking`). `step` drives it."""

    def __init__(self, session: Session, line: Line, clock: Callable[[], float] = time.monotonic) -> None:
        self._session, self._line, self._clock = session, line, clock
        self._dialing: Dialing | None = None
        self._answering: Answering | None = None
        self._talking: Talking | None = None
        self._until = 0.0
        self._seen: dict[bytes, bytes] = {}
        end_interrupted(session)

    @property
    def is_idle(self) -> bool:
        """Nobody calls, rings or talks."""
        return self._dialing is None and self._answering is None and self._talking is None

    @property
    def is_ringing(self) -> bool:
        """Whether a call waits for the officer to take it."""
        return self._answering is not None and self._talking is None

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
        rung = ring_post(self._session, post, classification, present, accept_stale)
        self._dialing = Dialing(self._session, self._line, rung, self._clock() + wait_seconds)
        self._dialing.ring(self._clock())
        return [Event("calling", one) for one in self._dialing.records]

    def accept(self) -> list[Event]:
        """Take the call that rings. Raises `Unavailable` ("bundle-missing")."""
        if self._answering is None or self._talking is not None:
            return []
        keys = self._answering.take()
        self._begin(replace(self._answering.record, state=OPEN), keys, self._answering.check)
        self._answering.send(self._clock())
        return []

    def refuse(self) -> list[Event]:
        """Do not take the call that rings."""
        if self._answering is None or self._talking is not None:
            return []
        answering, self._answering = self._answering, None
        return self._decline(answering, Reason.REFUSED)

    def say(self, text: str) -> list[Event]:
        """A line. Raises as `Channel.say`, `Refused` ("not-talking")."""
        if self._talking is None or not self._talking.is_established:
            raise Refused("not-talking", "nobody is on the line", hint="wait until the call is answered")
        return self._talking.say(text, self._clock())

    def hang_up(self) -> list[Event]:
        """End whatever there is."""
        if self._dialing is not None:
            return self._give_up(self._dialing)
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
        if self._dialing is not None:
            if now >= self._dialing.until:
                return self._give_up(self._dialing)
            self._dialing.ring(now)
        return [] if self._talking is None else self._tick_talk(self._talking, now)

    def _tick_talk(self, talking: Talking, now: float) -> list[Event]:
        if self._answering is not None and not talking.is_established:
            self._answering.send(now)
        events = talking.tick(now)
        if now >= self._until and not talking.is_established and not talking.is_over:
            events += talking.abandon("not-confirmed")
        self._tidy()
        return events

    def _take(self, frame: HotlineFrame) -> list[Event]:
        """A frame that does not hold changes nothing; the officer sees that somebody tampers."""
        try:
            return self._take_checked(frame)
        except Unavailable:
            return []  # it cannot be checked now: rings and answers come again
        except (Malformed, VerificationFailed, Refused) as problem:
            return [self._dropped(problem)]

    def _take_checked(self, frame: HotlineFrame) -> list[Event]:
        match frame.kind:
            case FrameKind.RING:
                return self._ring(frame)
            case FrameKind.ANSWER:
                return self._answered(frame)
            case FrameKind.END:
                return self._ended(frame)
        talking = self._talking
        if talking is None or (frame.call_id, frame.origin_terminal_id) != (
            talking.call.call_id,
            talking.call.terminal_id,
        ):
            return []
        events = talking.take(frame.kind, frame.content, self._clock())
        self._tidy()
        return events

    def _tidy(self) -> None:
        if self._talking is not None and self._talking.is_over:
            self._talking = self._answering = None

    def _begin(self, record: CallRecord, keys: CallKeys, check: Callable[[bytes], None]) -> Talking:
        now = self._clock()
        self._until = now + CONFIRM_SECONDS
        self._talking = Talking(self._session, self._line, record, keys, check, now)
        return self._talking

    # --- being called ----------------------------------------------------------------------------------------

    def _ring(self, frame: HotlineFrame) -> list[Event]:
        ring_hash = signed_hash(frame.content)
        if ring_hash in self._seen:
            self._end_again(frame, self._seen[ring_hash])
            return []
        answering = Answering(self._session, self._line, take_ring(self._session, frame.content))
        self._remember(ring_hash, b"")
        with self._session.store.transaction() as transaction:
            if transaction.call(answering.rang.ring.call_id) is not None:
                return []
        if not self.is_idle:
            return self._decline(answering, Reason.BUSY)
        self._answering = answering
        return [Event("ringing", answering.record, at=answering.rang.ring.at)]

    def _decline(self, answering: Answering, reason: Reason) -> list[Event]:
        self._remember(answering.rang.ring_hash, answering.refuse(reason))
        return [self._missed(answering, reason)]

    def _end_again(self, frame: HotlineFrame, end: bytes) -> None:
        """A ring that was refused and goes on: the refusal was lost."""
        if end:
            self._line.put(frame.call_id, frame.origin, frame.origin_terminal_id, FrameKind.END, end)

    def _remember(self, ring_hash: bytes, end: bytes) -> None:
        """Rings that were seen, with the End that was given to them."""
        self._seen[ring_hash] = end
        if len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]

    def _missed(self, answering: Answering, reason: Reason) -> Event:
        record = answering.record
        with self._session.store.transaction() as transaction:
            transaction.put_call(record)
        return Event("missed", record, code=_name(reason))

    # --- calling ---------------------------------------------------------------------------------------------

    def _answered(self, frame: HotlineFrame) -> list[Event]:
        taken = self._dialing.answered(frame) if self._dialing is not None else None
        if taken is None:
            return []
        self._dialing = None
        rung, keys = taken
        record = replace(rung.record, state=OPEN, answer=frame.content)
        talking = self._begin(record, keys, _nobody_confirms_to_the_caller)
        return talking.confirm(self._confirmation(rung, frame.content), self._clock())

    def _confirmation(self, rung: Rung, answer: bytes) -> bytes:
        signer = self._session.keyring.terminal_signer
        return make_confirmation(rung.ring_hash, signed_hash(answer), self._session.network_id, signer)

    def _ended(self, frame: HotlineFrame) -> list[Event]:
        """A rung terminal does not answer, or the caller gives up."""
        if self._dialing is not None:
            refused = self._dialing.refused(frame)
            if refused is None:
                return []
            self._dialing = None
            return [Event("ended", refused[0], code=_name(refused[1]))]
        if self._answering is None or self._talking is not None:
            return []
        answering, reason = self._answering, self._answering.cancelled(frame)
        if reason is None:
            return []
        self._answering = None
        return [self._missed(answering, reason)]

    def _give_up(self, dialing: Dialing) -> list[Event]:
        first = dialing.records[0]
        dialing.end(Reason.NO_ANSWER)
        self._dialing = None
        return [Event("ended", first, code=_name(Reason.NO_ANSWER))]

    def _dropped(self, problem: DutabartaError) -> Event:
        nobody = CallRecord(b"", False, "", b"", b"", 0, self._session.clock(), MISSED, b"")
        return Event("dropped", self._talking.call if self._talking else nobody, code=problem.code)


def _name(reason: Reason) -> str:
    return reason.name.lower().replace("_", "-")


def _nobody_confirms_to_the_caller(_signature: bytes) -> None:
    raise VerificationFailed("bad-talk", "only the caller confirms")
