"""The two directions of a hotline channel: sealing, sending again, opening in order (docs/protocol/hotline.md §4)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crypto_msg.hotkeys import DirectionKeys, open_renewal, renewed, seal_renewal
from crypto_msg.hotline_wire import CODEC, MAX_CONTENT, MAX_TEXT, SECRET_BYTES, Data, Talk, TalkKind
from crypto_msg.prekey import VerifiedBundle
from keys.prekey import Prekey
from keys.secretstream import Puller, Pusher, Tag
from protos.errors import DutabartaError, Malformed, VerificationFailed

WINDOW = 16
"""Messages that may be under way, unacknowledged or ahead of a gap."""
MAX_WAITING = 256
RESEND_SECONDS = (4.0, 8.0, 12.0, 15.0)
REKEY_MESSAGES = 32
REKEY_SECONDS = 120.0
RENEW_MESSAGES = 512
RENEW_SECONDS = 900.0


class Broken(Exception):
    """The holder of the keys himself said what he may not; the code says what."""


def bound(call_id: bytes, number: int) -> bytes:
    """What a message is bound to besides its stream: call id (16) || u64 number."""
    return call_id + number.to_bytes(8, "big")


@dataclass(slots=True)
class _Flight:
    """The encoded Data of a message that is not confirmed. `tries` 0: not sent yet."""

    content: bytes = field(repr=False)
    due: float = 0.0
    tries: int = 0


class Outgoing:
    """What this side says: sealed once, under rising numbers, sent again as the same bytes until it is confirmed."""

    def __init__(self, call_id: bytes, keys: DirectionKeys, now: float) -> None:
        self._call_id = call_id
        self._stream = Pusher(keys.stream)
        self._chain = keys.chain
        self._has_header = False
        self._flights: dict[int, _Flight] = {}
        self._rekeyed = self._renewed = (0, now)
        self.number = 0
        self.confirmed = 0

    @property
    def is_full(self) -> bool:
        """Too much waits for confirmation."""
        return len(self._flights) >= MAX_WAITING

    def seal(self, talk: Talk, now: float) -> int:
        """Give it the next number. Raises `Malformed` for text that is not Unicode."""
        plaintext = CODEC.encode(talk)
        self.number += 1
        header = b"" if self._has_header else self._stream.header
        self._has_header = True
        sealed = self._stream.push(plaintext, bound(self._call_id, self.number), self._tag(talk, now))
        self._flights[self.number] = _Flight(CODEC.encode(Data(self.number, header, sealed)))
        return self.number

    def renew(self, bundle: VerifiedBundle, at: int, now: float) -> None:
        """The last message under the old keys carries the secret of the new ones."""
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = seal_renewal(secret, self._call_id, self.number + 1, bundle)
        self.seal(Talk(TalkKind.RENEW, at, bundle_hash=bundle.bundle_hash, sealed=sealed), now)
        stream_key, self._chain = renewed(self._chain, secret)
        self._stream, self._has_header = Pusher(stream_key), False
        self._rekeyed = self._renewed = (self.number, now)

    def is_renewal_due(self, now: float) -> bool:
        """Whether the keys have served long enough."""
        number, at = self._renewed
        return self.number - number >= RENEW_MESSAGES or (self.number > number and now - at >= RENEW_SECONDS)

    def confirm(self, received: int) -> bool:
        """The other side has everything up to `received`. True if that is news."""
        if not self.confirmed < received <= self.number:
            return False
        for number in range(self.confirmed + 1, received + 1):
            del self._flights[number]
        self.confirmed = received
        return True

    def due(self, now: float) -> list[bytes]:
        """The encoded Data to be sent now: new messages within the window, and what was not confirmed in time."""
        frames = []
        for number, flight in self._flights.items():
            if number > self.confirmed + WINDOW:
                break
            if flight.due <= now:
                flight.due = now + RESEND_SECONDS[min(flight.tries, len(RESEND_SECONDS) - 1)]
                flight.tries += 1
                frames.append(flight.content)
        return frames

    def send_soon(self) -> None:
        """The line is back: what is unconfirmed goes again at once."""
        for flight in self._flights.values():
            flight.due, flight.tries = 0.0, 0

    def _tag(self, talk: Talk, now: float) -> Tag:
        if talk.kind == TalkKind.BYE:
            return Tag.FINAL
        number, at = self._rekeyed
        if self.number - number < REKEY_MESSAGES and now - at < REKEY_SECONDS:
            return Tag.MESSAGE
        self._rekeyed = (self.number, now)
        return Tag.REKEY


class Incoming:
    """What the other side says: opened in order of the numbers, each once."""

    def __init__(self, call_id: bytes, keys: DirectionKeys, prekeys: Callable[[], Mapping[bytes, Prekey]]) -> None:
        """`prekeys`: this terminal's, by bundle hash; asked for at each renewal."""
        self._call_id, self._prekeys = call_id, prekeys
        self._key, self._chain = keys.stream, keys.chain
        self._stream: Puller | None = None
        self._ahead: dict[int, Data] = {}
        self.received = 0
        self.is_final = False

    def take(self, data: Data) -> list[tuple[int, Talk]]:
        """The messages that can be opened now. One that was opened before gives none.

        Raises `Malformed`, `VerificationFailed`: nothing has changed, the true message may still come. `Broken`: it was
        the true one.
        """
        if data.number <= self.received or self.is_final:
            return []
        if data.number > self.received + WINDOW:
            raise Malformed("bad-frame", "a message beyond the window")
        if data.number > self.received + 1:
            self._ahead.setdefault(data.number, data)
            return []
        opened = [self._open(data)]
        while not self.is_final and (following := self._ahead.pop(self.received + 1, None)) is not None:
            try:
                opened.append(self._open(following))
            except (Malformed, VerificationFailed):
                break  # it was kept unopened, and is not what the other side will send again
        return opened

    def _open(self, data: Data) -> tuple[int, Talk]:
        stream = self._stream or Puller(self._key, data.header)
        if self._stream is not None and data.header:
            raise Malformed("bad-frame", "a header where no stream begins")
        plaintext, tag = stream.pull(data.sealed, bound(self._call_id, data.number))
        self._stream, self.received = stream, data.number
        self._ahead.pop(data.number, None)
        try:
            return data.number, self._read(plaintext, data.number, tag)
        except DutabartaError as problem:
            raise Broken(problem.code) from problem

    def _read(self, plaintext: bytes, number: int, tag: int) -> Talk:
        talk = CODEC.decode(Talk, plaintext, limit=MAX_CONTENT)
        check_talk(talk, tag)
        if talk.kind == TalkKind.RENEW:
            secret = open_renewal(talk.sealed, talk.bundle_hash, self._call_id, number, self._prekeys())
            (self._key, self._chain), self._stream = renewed(self._chain, secret), None
        self.is_final = talk.kind == TalkKind.BYE
        return talk


def check_talk(talk: Talk, tag: int) -> None:
    """Raises `Malformed` ("bad-talk") unless just the fields of its kind are there. A bye ends the stream."""
    is_line, is_renewal, is_confirmation = (
        talk.kind == one for one in (TalkKind.LINE, TalkKind.RENEW, TalkKind.CONFIRM)
    )
    well_formed = (
        talk.kind in list(TalkKind)
        and (tag == Tag.FINAL) == (talk.kind == TalkKind.BYE)
        and (0 < len(talk.text.encode()) <= MAX_TEXT if is_line else not talk.text)
        and bool(talk.signature) == is_confirmation
        and bool(talk.sealed) == bool(talk.bundle_hash) == is_renewal
    )
    if not well_formed:
        raise Malformed("bad-talk", "a message of the channel is not as its kind has to be")
