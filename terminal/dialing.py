"""The caller's half of a hotline call's set-up."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field

from crypto_msg.hotkeys import CallKeys, call_keys, open_answer_secret, seal_ring_secret
from crypto_msg.hotline import make_end, make_ring, signed_hash, verify_answer, verify_end
from crypto_msg.hotline_wire import CALL_ID_BYTES, SECRET_BYTES, VERSION, End, FrameKind, Reason, Ring
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rules import is_cleared, is_reader
from keys.signing import DirectVerifier
from node.wire import HotlineFrame
from protos.errors import Refused, Unavailable
from terminal.callrecords import MISSED, CallRecord
from terminal.line import Line
from terminal.recipients import Seat, check_reachable, fetch_bundles, seats_of
from terminal.session import Session
from terminal.view import ProvedState, check_fresh

RING_SECONDS = 5.0
"""How often a ring, and an answer that is not confirmed, goes again."""
MAX_RUNG = 8
"""Terminals of a post that are rung at once."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A terminal that is being called."""

    seat: Seat
    ring: Ring
    signed: bytes
    secret: bytes = field(repr=False)

    @property
    def ring_hash(self) -> bytes:
        return signed_hash(self.signed)

    @property
    def record(self) -> CallRecord:
        """The call that this ring would become."""
        seat, ring = self.seat, self.ring
        return CallRecord(
            ring.call_id, True, ring.called_post, seat.terminal.terminal_id, seat.officer.officer_id,
            ring.classification, ring.at, MISSED, self.signed,
        )  # fmt: skip


def ring_post(
    session: Session, post: str, classification: int, present: Collection[bytes], accept_stale: bool
) -> dict[bytes, Rung]:
    """A signed ring, with a secret of its own, for every terminal of `post` that is at the hotline and may talk.

    Raises `Refused` ("clearance-too-low", "nobody-cleared", "no-reader", "stale-state"), `Unavailable`
    ("nobody-present", "bundle-missing").
    """
    size, seats = session.view.judge(lambda state: _seats(session, state, post, classification, accept_stale))
    if not present:
        raise Unavailable(
            "nobody-present", f"nobody is at the hotline of {post} now", hint="send a FLASH, or call later", post=post
        )
    there = [one for one in seats if one.terminal.terminal_id in present]
    if not there:
        hint = "Lower the classification, or send a cable."
        raise Refused("nobody-cleared", f"nobody at the hotline of {post} may hear this", hint=hint, post=post)
    bundles = fetch_bundles(session.desk, there[:MAX_RUNG], session.network_id)
    check_reachable([post], there[:MAX_RUNG], bundles, lambda _: True)
    call_id = secrets.token_bytes(CALL_ID_BYTES)
    rung = [
        _ring(session, call_id, one, bundles[one.terminal.terminal_id], classification, size)
        for one in there[:MAX_RUNG]
        if one.terminal.terminal_id in bundles
    ]
    return {one.ring.called_terminal_id: one for one in rung}


class Dialing:
    """The rings of one call, until one terminal answers or all have ended."""

    def __init__(self, session: Session, line: Line, rung: dict[bytes, Rung], until: float) -> None:
        self._session, self._line, self._rung = session, line, rung
        self._again_at = float("-inf")
        self.until = until

    @property
    def records(self) -> list[CallRecord]:
        """One for each terminal that is still rung."""
        return [one.record for one in self._rung.values()]

    def ring(self, now: float) -> None:
        """Ring all, every `RING_SECONDS`."""
        if now >= self._again_at:
            self._again_at = now + RING_SECONDS
            for one in self._rung.values():
                self._put(one, FrameKind.RING, one.signed)

    def answered(self, frame: HotlineFrame) -> tuple[Rung, CallKeys] | None:
        """Who has taken the call, and the keys that follow; the other rings end. Raises as `verify_answer`."""
        if (rung := self._rung.get(frame.origin_terminal_id)) is None:
            return None
        session, data = self._session, frame.content
        answer = verify_answer(
            data, rung.ring, rung.ring_hash, session.network_id, rung.seat.terminal, DirectVerifier()
        )
        called = open_answer_secret(answer, session.keyring.prekeys_by_hash)
        del self._rung[answer.terminal_id]
        self.end(Reason.ELSEWHERE)
        return rung, call_keys(session.network_id, rung.ring_hash, signed_hash(data), rung.secret, called)

    def refused(self, frame: HotlineFrame) -> tuple[CallRecord, Reason] | None:
        """The call's end, if this was the last terminal that could have taken it. Raises as `verify_end`."""
        if (rung := self._rung.get(frame.origin_terminal_id)) is None:
            return None
        end = verify_end(
            frame.content, rung.ring, rung.ring_hash, self._session.network_id, rung.seat.terminal, DirectVerifier()
        )
        del self._rung[frame.origin_terminal_id]
        return None if self._rung else (rung.record, Reason(end.reason))

    def end(self, reason: Reason) -> None:
        """End all rings."""
        for one in self._rung.values():
            self._put(one, FrameKind.END, give_up(self._session, one.ring_hash, reason))
        self._rung = {}

    def _put(self, rung: Rung, kind: FrameKind, content: bytes) -> None:
        self._line.put(rung.ring.call_id, rung.ring.called_post, rung.ring.called_terminal_id, kind, content)


def give_up(session: Session, ring_hash: bytes, reason: Reason) -> bytes:
    """The signed End of a ring, by this terminal."""
    end = End(ring_hash, session.terminal_id, reason, session.clock())
    return make_end(end, session.network_id, session.keyring.terminal_signer)


def _seats(
    session: Session, state: ProvedState, post: str, classification: int, accept_stale: bool
) -> tuple[int, tuple[Seat, ...]]:
    """(S, the terminals of the post that may hear this)."""
    officer, _ = session.own(state)
    check_fresh(state, session.clock(), accept_stale)
    if not is_cleared(officer, classification):
        hint = "Ask an officer with the clearance."
        raise Refused("clearance-too-low", "the officer is not cleared to speak of this", hint=hint, act="call")
    if post == session.config.post or state.post(post) is None:
        raise Refused("unknown-post", f"{post} is no other post of this network", hint="name another post", post=post)
    seats = seats_of(state, [post])
    return state.size, tuple(one for one in seats if one.prekey and is_reader(state, one.terminal, classification))


def _ring(session: Session, call_id: bytes, seat: Seat, bundle: VerifiedBundle, classification: int, size: int) -> Rung:
    secret = secrets.token_bytes(SECRET_BYTES)
    ring = Ring(
        version=VERSION,
        network_id=session.network_id,
        call_id=call_id,
        post=session.config.post,
        terminal_id=session.terminal_id,
        called_post=seat.terminal.post,
        called_terminal_id=seat.terminal.terminal_id,
        classification=classification,
        size=size,
        at=session.clock(),
        bundle_hash=bundle.bundle_hash,
        sealed=seal_ring_secret(secret, call_id, session.terminal_id, bundle),
    )
    return Rung(seat, ring, make_ring(ring, session.keyring.terminal_signer), secret)
