"""The called side's half of a hotline call's set-up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from crypto_msg.hotkeys import CallKeys, call_keys, open_ring_secret, seal_answer_secret
from crypto_msg.hotline import make_answer, read_ring, signed_hash, verify_confirmation, verify_end, verify_ring
from crypto_msg.hotline_wire import SECRET_BYTES, Answer, FrameKind, Reason, Ring
from crypto_msg.prekey import prekey_key
from crypto_msg.rules import is_cleared, is_reader
from keys.signing import DirectVerifier
from ledger.state import officer_key, post_key, terminal_key
from node.wire import HotlineFrame
from protos.errors import Refused, Unavailable, VerificationFailed
from terminal.callrecords import MISSED, CallRecord
from terminal.dialing import RING_SECONDS, give_up
from terminal.line import Line
from terminal.recipients import Seat, fetch_bundles, seat_of
from terminal.session import Session
from terminal.view import ProvedState


@dataclass(frozen=True, slots=True)
class Rang:
    """A call for this terminal, checked, with its caller. `size`: S, at which he was judged."""

    ring: Ring
    signed: bytes
    seat: Seat
    size: int
    secret: bytes = field(repr=False)

    @property
    def ring_hash(self) -> bytes:
        return signed_hash(self.signed)


def take_ring(session: Session, data: bytes) -> Rang:
    """A ring for this terminal from an officer who may call with this marking, to one who may hear it.

    Raises `Malformed`, `VerificationFailed` ("other-call", "unknown-terminal", "bad-signature", "call-not-opened"),
    `Refused` ("clearance-too-low"), `Unavailable`.
    """
    ring = read_ring(data, session.network_id)
    if (ring.called_terminal_id, ring.called_post) != (session.terminal_id, session.config.post):
        raise VerificationFailed("other-call", "this ring is for another terminal", hint="tell HQ")
    size, seat = session.view.judge(lambda state: _caller(session, state, ring))
    verify_ring(data, session.network_id, None if seat is None else seat.terminal, DirectVerifier())
    if size < ring.size:  # never waited for: whoever may call could name any size
        raise Unavailable("not-yet", f"the node has not reached size {ring.size}", hint="wait a moment")
    if seat is None or seat.terminal.post != ring.post:
        raise VerificationFailed("other-call", "the ring names another post than its terminal's", hint="tell HQ")
    return Rang(ring, data, seat, size, open_ring_secret(ring, session.keyring.prekeys_by_hash))


def answer_ring(session: Session, rang: Rang) -> tuple[bytes, CallKeys]:
    """The signed Answer, and the keys that follow. Raises `Unavailable` ("bundle-missing")."""
    caller_id = rang.seat.terminal.terminal_id
    bundle = fetch_bundles(session.desk, [rang.seat], session.network_id).get(caller_id)
    if bundle is None:
        hint = "The link may be down: let them call again."
        raise Unavailable("bundle-missing", "the caller's prekey could not be fetched", hint=hint, post=rang.ring.post)
    secret = secrets.token_bytes(SECRET_BYTES)
    answer = Answer(
        ring_hash=rang.ring_hash,
        terminal_id=session.terminal_id,
        size=rang.size,
        at=session.clock(),
        bundle_hash=bundle.bundle_hash,
        sealed=seal_answer_secret(secret, rang.ring_hash, session.terminal_id, bundle),
    )
    signed = make_answer(answer, session.network_id, session.keyring.terminal_signer)
    return signed, call_keys(session.network_id, rang.ring_hash, signed_hash(signed), rang.secret, secret)


class Answering:
    """A call that rings here, and the answer to it."""

    def __init__(self, session: Session, line: Line, rang: Rang) -> None:
        self._session, self._line, self.rang = session, line, rang
        self._again_at = float("-inf")
        self._answer = b""

    @property
    def record(self) -> CallRecord:
        """The call that it is, or would become."""
        seat, ring = self.rang.seat, self.rang.ring
        return CallRecord(
            ring.call_id, False, ring.post, seat.terminal.terminal_id, seat.officer.officer_id,
            ring.classification, self._session.clock(), MISSED, self.rang.signed, self._answer,
        )  # fmt: skip

    def take(self) -> CallKeys:
        """Answer. Raises as `answer_ring`."""
        self._answer, keys = answer_ring(self._session, self.rang)
        return keys

    def check(self, signature: bytes) -> None:
        """Raises `VerificationFailed` unless it is the caller's confirmation of this very set-up."""
        hashes = self.rang.ring_hash, signed_hash(self._answer)
        verify_confirmation(signature, *hashes, self._session.network_id, self.rang.seat.terminal, DirectVerifier())

    def send(self, now: float) -> None:
        """Send the answer, every `RING_SECONDS`."""
        if now >= self._again_at:
            self._again_at = now + RING_SECONDS
            self._put(FrameKind.ANSWER, self._answer)

    def refuse(self, reason: Reason) -> bytes:
        """Send the signed End, which is returned."""
        end = give_up(self._session, self.rang.ring_hash, reason)
        self._put(FrameKind.END, end)
        return end

    def cancelled(self, frame: HotlineFrame) -> Reason | None:
        """Why the caller ends his ring; None if the frame is another's. Raises as `verify_end`."""
        rang = self.rang
        if frame.origin_terminal_id != rang.ring.terminal_id:
            return None
        network_id, caller = self._session.network_id, rang.seat.terminal
        return Reason(verify_end(frame.content, rang.ring, rang.ring_hash, network_id, caller, DirectVerifier()).reason)

    def _put(self, kind: FrameKind, content: bytes) -> None:
        ring = self.rang.ring
        self._line.put(ring.call_id, ring.post, ring.terminal_id, kind, content)


def _caller(session: Session, state: ProvedState, ring: Ring) -> tuple[int, Seat | None]:
    """(S, the caller's seat if he may call). Raises `Refused` if either of the two may not talk of this."""
    state.prefetch([terminal_key(ring.terminal_id), prekey_key(ring.terminal_id), post_key(ring.post)])
    officer, _ = session.own(state)
    seat = seat_of(state, ring.terminal_id)
    if seat is None:
        return state.size, None
    state.prefetch([officer_key(seat.officer.officer_id)])
    if not is_cleared(officer, ring.classification) or not is_reader(state, seat.terminal, ring.classification):
        hint = "Do not answer; tell headquarters."
        raise Refused("clearance-too-low", "somebody calls with a marking beyond a clearance", hint=hint, act="call")
    return state.size, seat
