"""The channel of a hotline call: numbered, acknowledged, re-keyed messages both ways (docs/protocol/hotline.md §4).

A state machine without I/O. What comes in are frames, the officer's lines and the time (seconds of a monotonic clock);
what goes out are the actions of channel_actions.py, to be carried out in their order. Whatever the line or a relay does
to frames, a line is heard once, in order, as it was said, or it stays unconfirmed on the side that said it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping

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
from crypto_msg.directions import Broken, Incoming, Outgoing
from crypto_msg.hotkeys import CallKeys
from crypto_msg.hotline_wire import CODEC, MAX_CONTENT, MAX_TEXT, Ack, Data, FrameKind, Talk, TalkKind
from crypto_msg.prekey import VerifiedBundle
from keys.prekey import Prekey
from protos.errors import DutabartaError, Refused, Unavailable, VerificationFailed

BEAT_SECONDS = 10.0
CUT_SECONDS = 35.0
LOST_SECONDS = 600.0
LEAVING_SECONDS = 60.0
"""How long a side that has hung up waits for the other's confirmations."""
LINGER_SECONDS = 5.0
"""How long it answers repetitions when everything is confirmed."""
RENEWAL_SECONDS = 30.0
"""How often a renewal that is due is asked for."""


class Channel:
    """One side of an established set-up. Made by both with the same `call_id` and `keys`."""

    def __init__(
        self,
        side: Side,
        call_id: bytes,
        keys: CallKeys,
        prekeys: Callable[[], Mapping[bytes, Prekey]],
        check: Callable[[bytes], None],
        now: float,
    ) -> None:
        """`prekeys`: this terminal's, by bundle hash. `check(signature)` raises if the caller's confirmation fails."""
        own, other = (keys.caller, keys.called) if side == Side.CALLER else (keys.called, keys.caller)
        self._side, self._call_id, self._check = side, call_id, check
        self._own_ack, self._other_ack = own.ack, other.ack
        self._outgoing, self._incoming = Outgoing(call_id, own, now), Incoming(call_id, other, prekeys)
        self._beat = self._other_beat = 0
        self._last_line = 0
        self._beat_at, self._heard_at, self._data_at = now, now, now
        self._renewal_at = float("-inf")
        self._left_at: float | None = None
        self._is_cut = self._is_over = self.is_established = False

    @property
    def received(self) -> int:
        """The last number of the other side that came in order."""
        return self._incoming.received

    @property
    def confirmed(self) -> int:
        """The last own number that is durable at the other side."""
        return self._outgoing.confirmed

    # --- what the officer does -----------------------------------------------------------------------------------

    def confirm(self, signature: bytes, at: int, now: float) -> list[Action]:
        """The caller's first message."""
        self._outgoing.seal(Talk(TalkKind.CONFIRM, at, signature=signature), now)
        return self._pump(now)

    def say(self, text: str, at: int, now: float) -> list[Action]:
        """A line. Raises `Refused` ("line-too-long", "call-over"), `Unavailable` ("line-waits")."""
        size = len(text.encode("utf-8", "replace"))
        if not 0 < size <= MAX_TEXT:
            hint = "Say it in several lines."
            raise Refused("line-too-long", f"a line has 1 to {MAX_TEXT} bytes", hint=hint, size=size, limit=MAX_TEXT)
        if self._is_over or self._left_at is not None:
            raise Refused("call-over", "the call is over", hint="Call again.")
        if self._outgoing.is_full:
            hint = "Wait until the line is back."
            raise Unavailable("line-waits", "too many lines wait for confirmation", hint=hint)
        talk = Talk(TalkKind.LINE, at, text)
        self._last_line = self._outgoing.seal(talk, now)
        return [Said(self._last_line, talk), *self._pump(now)]

    def renew(self, bundle: VerifiedBundle, at: int, now: float) -> list[Action]:
        """Fresh keys for what this side says, sealed to the other's current bundle."""
        if self._is_over or self._left_at is not None:
            return []
        self._outgoing.renew(bundle, at, now)
        return self._pump(now)

    def hang_up(self, now: float) -> list[Action]:
        """Say bye behind all that was said."""
        if self._is_over or self._left_at is not None:
            return []
        self._left_at = now
        self._outgoing.seal(Talk(TalkKind.BYE, 0), now)
        return self._pump(now)

    # --- what the line does --------------------------------------------------------------------------------------

    def received_frame(self, kind: int, content: bytes, now: float) -> list[Action]:
        """A frame has come, from the other side or from a liar."""
        if self._is_over:
            return []
        try:
            if kind == FrameKind.DATA:
                return self._take(CODEC.decode(Data, content, limit=MAX_CONTENT), now)
            if kind == FrameKind.ACK:
                return self._acknowledged(CODEC.decode(Ack, content, limit=MAX_CONTENT), now)
        except Broken as problem:
            return self._over(Ending.BROKEN, str(problem))
        except DutabartaError as problem:
            return [Dropped(problem.code)]
        return [Dropped("bad-frame")]

    def tick(self, now: float) -> list[Action]:
        """To be called about twice a second."""
        if self._is_over:
            return []
        if (ending := self._ending(now)) is not None:
            return self._over(ending)
        actions: list[Action] = []
        if self.is_established and not self._is_cut and now - self._heard_at >= CUT_SECONDS:
            self._is_cut = True
            actions.append(Cut())
        if self._is_renewal_due(now):
            self._renewal_at = now
            actions.append(RenewalDue())
        if now - self._beat_at >= BEAT_SECONDS:
            actions.append(self._ack(now))
        return actions + self._pump(now)

    def _take(self, data: Data, now: float) -> list[Action]:
        opened = self._incoming.take(data)
        self._data_at = now
        actions = self._alive(now) if opened else []
        for number, talk in opened:
            actions += self._said_to_us(number, talk, now)
        return [*actions, self._ack(now), *self._pump(now)] if not self._is_over else actions

    def _said_to_us(self, number: int, talk: Talk, now: float) -> list[Action]:
        is_confirmation = talk.kind == TalkKind.CONFIRM
        if is_confirmation != (number == 1 and self._side == Side.CALLED):
            raise Broken("bad-talk")
        if is_confirmation:
            return self._confirmed_by_caller(talk)
        if talk.kind == TalkKind.LINE:
            return [Heard(number, talk)]
        if talk.kind == TalkKind.BYE:
            return self.hang_up(now)
        return []

    def _confirmed_by_caller(self, talk: Talk) -> list[Action]:
        try:
            self._check(talk.signature)
        except VerificationFailed as problem:
            raise Broken(problem.code) from problem
        return self._establish()

    def _acknowledged(self, ack: Ack, now: float) -> list[Action]:
        if not hmac.compare_digest(ack.mac, _mac(self._other_ack, self._call_id, ack.received, ack.beat)):
            raise VerificationFailed("bad-ack", "an acknowledgement that the other side did not make")
        if ack.beat <= self._other_beat:
            return []
        self._other_beat = ack.beat
        actions = [*self._alive(now), *(self._establish() if self._side == Side.CALLER else [])]
        if self._outgoing.confirm(ack.received):
            actions.append(Confirmed(ack.received))
        return actions + self._pump(now)

    # --- inside --------------------------------------------------------------------------------------------------

    def _alive(self, now: float) -> list[Action]:
        self._heard_at = now
        if not self._is_cut:
            return []
        self._is_cut = False
        self._outgoing.send_soon()
        return [Resumed()]

    def _establish(self) -> list[Action]:
        if self.is_established:
            return []
        self.is_established = True
        return [Established()]

    def _pump(self, now: float) -> list[Action]:
        return [Send(FrameKind.DATA, content) for content in self._outgoing.due(now)]

    def _ack(self, now: float) -> Send:
        self._beat, self._beat_at = self._beat + 1, now
        mac = _mac(self._own_ack, self._call_id, self.received, self._beat)
        return Send(FrameKind.ACK, CODEC.encode(Ack(self.received, self._beat, mac)))

    def _is_renewal_due(self, now: float) -> bool:
        is_asked = now - self._renewal_at < RENEWAL_SECONDS
        return self._left_at is None and not is_asked and self._outgoing.is_renewal_due(now)

    def _ending(self, now: float) -> Ending | None:
        """Whether it is over: everything confirmed and a while to answer repetitions, or nothing heard for too long."""
        if self._left_at is None:
            return Ending.LOST if now - self._heard_at >= LOST_SECONDS else None
        is_heard_out = self._incoming.is_final and self.confirmed >= self._last_line
        if is_heard_out and self.confirmed == self._outgoing.number and now - self._data_at >= LINGER_SECONDS:
            return Ending.HUNG_UP
        if now - self._left_at >= LEAVING_SECONDS:
            return Ending.HUNG_UP if is_heard_out else Ending.LOST
        return None

    def _over(self, how: Ending, code: str = "") -> list[Action]:
        self._is_over = True
        return [Ended(how, code)]


def _mac(key: bytes, call_id: bytes, received: int, beat: int) -> bytes:
    """HMAC-SHA256 over call id || u64 received || u64 beat."""
    return hmac.digest(key, call_id + received.to_bytes(8, "big") + beat.to_bytes(8, "big"), "sha256")
