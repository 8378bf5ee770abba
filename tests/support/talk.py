"""Two ends of a hotline channel, and a line between them that does what the test says."""

from __future__ import annotations

from dataclasses import dataclass, field

from crypto_msg.channel import Channel
from crypto_msg.channel_actions import Action, Confirmed, Ended, Ending, Heard, RenewalDue, Said, Send, Side
from crypto_msg.hotkeys import call_keys
from crypto_msg.hotline_wire import FrameKind
from crypto_msg.prekey import VerifiedBundle
from keys.prekey import Prekey
from protos.errors import VerificationFailed

CALL_ID = b"c" * 16
KEYS = call_keys(b"n" * 32, b"r" * 32, b"a" * 32, b"1" * 32, b"2" * 32)
CONFIRMATION = b"s" * 64
PREKEYS = {side: Prekey(bytes([side]) * 32) for side in Side}
BUNDLES = {
    side: VerifiedBundle(bytes([side]) * 32, 1, prekey.public_key, bytes([side + 8]) * 32)
    for side, prekey in PREKEYS.items()
}


def check(signature: bytes) -> None:
    """Only the caller's own confirmation holds."""
    if signature != CONFIRMATION:
        raise VerificationFailed("bad-signature", "not the caller's")


@dataclass
class End:
    """One side, what it has put on the line, and what its officer has seen."""

    side: Side
    channel: Channel
    sent: list[Send] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    heard: list[tuple[int, str]] = field(default_factory=list)
    seen: list[Action] = field(default_factory=list)
    confirmed: int = 0
    now: float = 0.0

    @property
    def other(self) -> Side:
        return Side.CALLED if self.side == Side.CALLER else Side.CALLER

    @property
    def ending(self) -> Ending | None:
        return next((one.how for one in self.seen if isinstance(one, Ended)), None)

    def do(self, actions: list[Action]) -> None:
        """Carry actions out in their order."""
        for one in actions:
            match one:
                case Send():
                    self.sent.append(one)
                case Said(number, talk):
                    self.said.append((number, talk.text))
                case Heard(number, talk):
                    self.heard.append((number, talk.text))
                case Confirmed(number):
                    self.confirmed = number
                case RenewalDue():
                    self.do(self.channel.renew(BUNDLES[self.other], 7, self.now))
                case _:
                    self.seen.append(one)

    def say(self, text: str) -> None:
        self.do(self.channel.say(text, 1_800_000_000, self.now))

    def take(self, frame: Send) -> None:
        self.do(self.channel.received_frame(frame.kind, frame.content, self.now))

    def tick(self, now: float) -> None:
        self.now = now
        self.do(self.channel.tick(now))


def ends() -> tuple[End, End]:
    """Both ends, the caller's confirmation on the line."""
    made = [
        End(side, Channel(side, CALL_ID, KEYS, lambda side=side: prekeys_of(side), check, 0.0))  # type: ignore[misc]
        for side in (Side.CALLER, Side.CALLED)
    ]
    made[0].do(made[0].channel.confirm(CONFIRMATION, 1, 0.0))
    return made[0], made[1]


def prekeys_of(side: Side) -> dict[bytes, Prekey]:
    return {BUNDLES[side].bundle_hash: PREKEYS[side]}


def carry_all(one: End, other: End) -> None:
    """An honest line: everything on it arrives, until nothing more is said."""
    while one.sent or other.sent:
        for here, there in ((one, other), (other, one)):
            frames, here.sent = here.sent, []
            for frame in frames:
                there.take(frame)


def settle(one: End, other: End, seconds: float) -> None:
    """An honest line for so long."""
    start = max(one.now, other.now)
    for step in range(int(seconds * 2) + 1):
        for end in (one, other):
            end.tick(start + step / 2)
        carry_all(one, other)


DATA, ACK = FrameKind.DATA, FrameKind.ACK
