"""Setting a hotline call up: ring, answer, end, confirmation; and the transcript that stays (docs/protocol/hotline.md).

Signatures bind the whole set-up; the keys come from crypto_msg/hotkeys.py. Who may call and be called is for
`crypto_msg.rules.is_reader` to say, by the classification of the call.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TypeVar

from crypto_msg.cable import ID_BYTES
from crypto_msg.envelope import is_in_force
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.hotline_wire import (
    CALL_ID_BYTES,
    CODEC,
    MAX_CONTENT,
    MAX_TRANSCRIPT,
    SECRET_BYTES,
    VERSION,
    Answer,
    Confirmed,
    End,
    Line,
    Reason,
    Ring,
    Signed,
    Transcript,
)
from keys.prekey import OVERHEAD_BYTES
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.names import is_code
from ledger.records import Terminal
from ledger.roles import Clearance
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

SEALED_BYTES = SECRET_BYTES + OVERHEAD_BYTES
"""A secret of 32 bytes under HPKE."""

T = TypeVar("T", Ring, Answer, End)


def signed_hash(signed: bytes) -> bytes:
    """SHA-256 of a canonical Signed: the ring hash, the answer hash."""
    return sha256(signed).digest()


# --- ring ----------------------------------------------------------------------------------------------------


def make_ring(ring: Ring, terminal: Signer) -> bytes:
    """The canonical Signed with a Ring. Raises `Malformed` ("bad-call")."""
    _check_ring(ring)
    return _sign(ring, Purpose.HOTLINE_RING, ring.network_id, terminal)


def read_ring(data: bytes, network_id: bytes) -> Ring:
    """What a signed Ring says; its signature is not checked. Raises `Malformed`."""
    ring = _read(Ring, data)[0]
    _check_ring(ring)
    _require(ring.network_id == network_id)
    return ring


def verify_ring(data: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> Ring:
    """The Ring, if the caller's `terminal`, in force at S, signed it. Raises `Malformed`, `VerificationFailed`."""
    ring = read_ring(data, network_id)
    _verify(data, ring.terminal_id, ring.size, Purpose.HOTLINE_RING, network_id, terminal, verifier)
    return ring


# --- answer --------------------------------------------------------------------------------------------------


def make_answer(answer: Answer, network_id: bytes, terminal: Signer) -> bytes:
    """The canonical Signed with an Answer. Raises `Malformed` ("bad-call")."""
    _check_answer(answer)
    return _sign(answer, Purpose.HOTLINE_ANSWER, network_id, terminal)


def verify_answer(
    data: bytes, ring: Ring, ring_hash: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier
) -> Answer:
    """The Answer to just this ring, if the terminal that it called signed it.

    Raises `Malformed`, or `VerificationFailed`: "other-call", "unknown-terminal", "bad-signature".
    """
    answer = _read(Answer, data)[0]
    _check_answer(answer)
    _same_call(answer.ring_hash == ring_hash and answer.terminal_id == ring.called_terminal_id)
    _same_call(answer.size >= ring.size)
    _verify(data, answer.terminal_id, ring.size, Purpose.HOTLINE_ANSWER, network_id, terminal, verifier)
    return answer


# --- end -----------------------------------------------------------------------------------------------------


def make_end(end: End, network_id: bytes, terminal: Signer) -> bytes:
    """The canonical Signed with an End. Raises `Malformed` ("bad-call")."""
    _check_end(end)
    return _sign(end, Purpose.HOTLINE_END, network_id, terminal)


def verify_end(
    data: bytes, ring: Ring, ring_hash: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier
) -> End:
    """The End of just this ring by one of its two terminals. Raises as `verify_answer`."""
    end = _read(End, data)[0]
    _check_end(end)
    _same_call(end.ring_hash == ring_hash and end.terminal_id in (ring.terminal_id, ring.called_terminal_id))
    _verify(data, end.terminal_id, ring.size, Purpose.HOTLINE_END, network_id, terminal, verifier)
    return end


# --- confirmation --------------------------------------------------------------------------------------------


def make_confirmation(ring_hash: bytes, answer_hash: bytes, network_id: bytes, terminal: Signer) -> bytes:
    """The caller's signature over both sides of the set-up, 64 bytes: the first thing it says in the channel."""
    return terminal.sign(Purpose.HOTLINE_CONFIRM, network_id, CODEC.encode(Confirmed(ring_hash, answer_hash)))


def verify_confirmation(
    signature: bytes, ring_hash: bytes, answer_hash: bytes, network_id: bytes, terminal: Terminal, verifier: Verifier
) -> None:
    """Raises `VerificationFailed` ("bad-signature") unless the caller's `terminal` confirms this very set-up."""
    content = CODEC.encode(Confirmed(ring_hash, answer_hash))
    key = PublicKey(SUITE_ED25519, terminal.key)
    verifier.verify(key, Purpose.HOTLINE_CONFIRM, network_id, content, signature)


# --- what stays ----------------------------------------------------------------------------------------------


def encode_transcript(ring: bytes, answer: bytes, caller: tuple[Line, ...], called: tuple[Line, ...]) -> bytes:
    """The canonical Transcript; lines by number."""
    return CODEC.encode(Transcript(VERSION, ring, answer, caller, called))


def decode_transcript(data: bytes) -> Transcript:
    """Raises `Malformed`."""
    return CODEC.decode(Transcript, data, limit=MAX_TRANSCRIPT)


def transcript_item_hash(transcript: bytes) -> bytes:
    """SHA-256 of a canonical Transcript: what each side's post anchors."""
    return sha256(transcript).digest()


# --- inside --------------------------------------------------------------------------------------------------


def _sign(content: Ring | Answer | End, purpose: Purpose, network_id: bytes, terminal: Signer) -> bytes:
    data = CODEC.encode(content)
    return CODEC.encode(Signed(data, Signature(terminal.public_key.key_id, terminal.sign(purpose, network_id, data))))


def _read(kind: type[T], data: bytes) -> tuple[T, Signature, bytes]:
    signed = CODEC.decode(Signed, data, limit=MAX_CONTENT)
    content = CODEC.decode(kind, signed.content, limit=MAX_CONTENT)
    if signed.signature is None:
        raise Malformed("bad-call", "a ring, answer or end without a signature", hint=DO_NOT_RELY)
    return content, signed.signature, signed.content


def _verify(
    data: bytes,
    terminal_id: bytes,
    size: int,
    purpose: Purpose,
    network_id: bytes,
    terminal: Terminal | None,
    verifier: Verifier,
) -> None:
    signed = CODEC.decode(Signed, data, limit=MAX_CONTENT)
    signature = signed.signature
    is_its_own = (
        terminal is not None
        and signature is not None
        and terminal.terminal_id == signature.key_id == terminal_id
        and is_in_force(terminal.enrolled_at, terminal.retired_at, size)
    )
    if terminal is None or signature is None or not is_its_own:
        text = f"terminal {terminal_id.hex()[:16]} was not enrolled at size {size}"
        raise VerificationFailed("unknown-terminal", text, post="", size=size, hint=SYNCHRONISE)
    verifier.verify(PublicKey(SUITE_ED25519, terminal.key), purpose, network_id, signed.content, signature.signature)


def _check_ring(ring: Ring) -> None:
    ids = (ring.network_id, ring.terminal_id, ring.called_terminal_id, ring.bundle_hash)
    _require(ring.version == VERSION and len(ring.call_id) == CALL_ID_BYTES and ring.size >= 1)
    _require(all(len(one) == ID_BYTES for one in ids) and len(ring.sealed) == SEALED_BYTES)
    _require(is_code(ring.post) and is_code(ring.called_post) and ring.terminal_id != ring.called_terminal_id)
    _require(ring.classification in list(Clearance))


def _check_answer(answer: Answer) -> None:
    ids = (answer.ring_hash, answer.terminal_id, answer.bundle_hash)
    _require(all(len(one) == ID_BYTES for one in ids) and len(answer.sealed) == SEALED_BYTES and answer.size >= 1)


def _check_end(end: End) -> None:
    _require(len(end.ring_hash) == ID_BYTES and len(end.terminal_id) == ID_BYTES and end.reason in list(Reason))


def _require(holds: bool) -> None:
    if not holds:
        raise Malformed("bad-call", "a field of the ring, answer or end is not allowed", hint=DO_NOT_RELY)


def _same_call(holds: bool) -> None:
    if not holds:
        raise VerificationFailed("other-call", "this belongs to another call or terminal", hint=DO_NOT_RELY)
