"""The called side's half of a hotline call's set-up."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from crypto_msg.hotkeys import CallKeys, call_keys, open_ring_secret, seal_answer_secret
from crypto_msg.hotline import make_answer, read_ring, signed_hash, verify_end, verify_ring
from crypto_msg.hotline_wire import SECRET_BYTES, Answer, End, Ring
from crypto_msg.prekey import prekey_key
from crypto_msg.rules import is_cleared, is_reader
from keys.signing import DirectVerifier
from ledger.state import officer_key, post_key, terminal_key
from protos.errors import Refused, Unavailable, VerificationFailed
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
    # The signature first: only then is it worth waiting for the size that the ring names.
    _, seat = session.view.judge(lambda state: _caller(session, state, ring))
    verify_ring(data, session.network_id, None if seat is None else seat.terminal, DirectVerifier())
    size, seat = session.view.judge(lambda state: _caller(session, state, ring), ring.size)
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


def take_cancel(session: Session, rang: Rang, data: bytes) -> End:
    """The caller's End of his own ring. Raises `Malformed`, `VerificationFailed`."""
    return verify_end(data, rang.ring, rang.ring_hash, session.network_id, rang.seat.terminal, DirectVerifier())


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
