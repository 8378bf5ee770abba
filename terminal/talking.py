"""An established hotline call: the channel over the line and the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from crypto_msg.channel import Channel
from crypto_msg.channel_actions import (
    Action,
    Confirmed,
    Cut,
    Dropped,
    Ended,
    Ending,
    Established,
    Heard,
    RenewalDue,
    Resumed,
    Said,
    Send,
    Side,
)
from crypto_msg.hotkeys import CallKeys
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rules import is_reader
from ledger.state import officer_key, terminal_key
from protos.errors import DutabartaError, Refused, Unavailable
from terminal.callrecords import BROKEN, HUNG_UP, LOST, CallRecord, LineRecord
from terminal.calls import end_call
from terminal.line import Line
from terminal.recipients import Seat, fetch_bundles, seat_of
from terminal.session import Session
from terminal.view import ProvedState

_STATES = {Ending.HUNG_UP: HUNG_UP, Ending.LOST: LOST, Ending.BROKEN: BROKEN}


@dataclass(frozen=True, slots=True)
class Event:
    """Something for the officer's eyes. `what`: calling, ringing, talking, said, line, confirmed, cut, resumed,
    dropped, ended, missed, busy.

    `number`: of the line, or up to which own messages are confirmed. `code`: a reason by name.
    """

    what: str
    call: CallRecord
    number: int = 0
    at: int = 0
    text: str = ""
    code: str = ""


class Talking:
    """One call from its keys on. What is said is durable before it goes, what is heard before it is confirmed."""

    def __init__(
        self,
        session: Session,
        line: Line,
        call: CallRecord,
        keys: CallKeys,
        check: Callable[[bytes], None],
        now: float,
    ) -> None:
        """`check` raises if the caller's confirmation fails."""
        self._session, self._line, self.call = session, line, call
        side = Side.CALLER if call.is_caller else Side.CALLED
        self._channel = Channel(side, call.call_id, keys, lambda: session.keyring.prekeys_by_hash, check, now)
        self.is_over = False
        with session.store.transaction() as transaction:
            transaction.put_call(call)

    @property
    def is_established(self) -> bool:
        """Whether both sides have proved that they hold the keys."""
        return self._channel.is_established

    def confirm(self, signature: bytes, now: float) -> list[Event]:
        """The caller's confirmation."""
        return self._do(self._channel.confirm(signature, self._session.clock(), now), now)

    def say(self, text: str, now: float) -> list[Event]:
        """A line. Raises as `Channel.say`."""
        return self._do(self._channel.say(text, self._session.clock(), now), now)

    def hang_up(self, now: float) -> list[Event]:
        """Say bye."""
        return self._do(self._channel.hang_up(now), now)

    def take(self, kind: int, content: bytes, now: float) -> list[Event]:
        """A frame from the other side, or from a liar."""
        return self._do(self._channel.received_frame(kind, content, now), now)

    def tick(self, now: float) -> list[Event]:
        """To be called about twice a second."""
        return self._do(self._channel.tick(now), now)

    def abandon(self, code: str) -> list[Event]:
        """The other side has never proved that it holds the keys."""
        return [self._end(Ending.LOST, code)]

    # --- carrying out ----------------------------------------------------------------------------------------

    def _do(self, actions: list[Action], now: float) -> list[Event]:
        events: list[Event] = []
        for one in actions:
            match one:
                case Send(kind, content):
                    self._line.put(self.call.call_id, self.call.post, self.call.terminal_id, kind, content)
                case Said(number, talk):
                    events.append(self._keep(LineRecord(number, True, talk.at, talk.text), "said"))
                case Heard(number, talk):
                    events.append(self._keep(LineRecord(number, False, talk.at, talk.text), "line"))
                case Confirmed(number):
                    events.append(self._confirmed(number))
                case RenewalDue():
                    events += self._renew(now)
                case Ended(how, code):
                    events.append(self._end(how, code))
                case Established():
                    events.append(Event("talking", self.call))
                case Cut():
                    events.append(Event("cut", self.call))
                case Resumed():
                    events.append(Event("resumed", self.call))
                case Dropped(code):
                    events.append(Event("dropped", self.call, code=code))
        return events

    def _keep(self, line: LineRecord, what: str) -> Event:
        with self._session.store.transaction() as transaction:
            transaction.add_line(self.call.call_id, line)
        return Event(what, self.call, line.number, line.at, line.text)

    def _confirmed(self, number: int) -> Event:
        self.call = replace(self.call, confirmed=number)
        with self._session.store.transaction() as transaction:
            transaction.put_call(self.call)
        return Event("confirmed", self.call, number)

    def _end(self, how: Ending, code: str) -> Event:
        self.is_over = True
        self.call = end_call(self._session, self.call, _STATES[how])
        return Event("ended", self.call, code=code or self.call.state)

    # --- fresh keys ------------------------------------------------------------------------------------------

    def _renew(self, now: float) -> list[Event]:
        """Fresh keys to the other's current bundle; who may talk no more is hung up on. Out of reach: later."""
        try:
            bundle = self._current_bundle()
        except Unavailable:
            return []
        except DutabartaError as problem:
            return [Event("dropped", self.call, code=problem.code), *self.hang_up(now)]
        return [] if bundle is None else self._do(self._channel.renew(bundle, self._session.clock(), now), now)

    def _current_bundle(self) -> VerifiedBundle | None:
        """None while the node does not hand it over. Raises `Refused` if either may talk of this no more."""
        seat = self._session.view.judge(self._other)
        bundles = fetch_bundles(self._session.desk, [seat], self._session.network_id)
        return bundles.get(self.call.terminal_id)

    def _other(self, state: ProvedState) -> Seat:
        self._session.own(state)
        state.prefetch([terminal_key(self.call.terminal_id), officer_key(self.call.officer_id)])
        seat = seat_of(state, self.call.terminal_id)
        if seat is None or not is_reader(state, seat.terminal, self.call.classification):
            raise Refused("nobody-cleared", "the other side may talk of this no more", hint="", post=self.call.post)
        return seat
