"""Escalations: who has not answered in time, for headquarters' duty officers (docs/protocol/escalation.md)."""

from __future__ import annotations

from collections.abc import Mapping

from crypto_msg.cable import ID_BYTES, PRECEDENCES
from crypto_msg.dtg import format_dtg
from crypto_msg.envelope import is_in_force
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.wire import CODEC, Escalation, SealedEscalation, SignedEscalation
from keys.prekey import OVERHEAD_BYTES, Prekey, seal
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.names import is_code
from ledger.records import Terminal
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

PLAINTEXT_BYTES = 1024
SEALED_BYTES = PLAINTEXT_BYTES + OVERHEAD_BYTES
MAX_ESCALATION = PLAINTEXT_BYTES - 2
MAX_SEALED_ESCALATION = SEALED_BYTES + 128
MAX_POSTS = 128
"""Of both lists together: so they fit PLAINTEXT_BYTES. Who leaves posts out must say so elsewhere."""


def make_escalation(escalation: Escalation, network_id: bytes, terminal: Signer) -> bytes:
    """The canonical SignedEscalation. Raises `Malformed` ("bad-escalation", "bad-dtg") for a field out of bounds."""
    _check(escalation)
    data = CODEC.encode(escalation)
    signature = Signature(terminal.public_key.key_id, terminal.sign(Purpose.ESCALATION, network_id, data))
    return CODEC.encode(SignedEscalation(data, signature))


def read_escalation(data: bytes) -> Escalation:
    """What a signed escalation says; its signature is not checked. Raises `Malformed`."""
    return _split(data)[0]


def verify_escalation(data: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> Escalation:
    """The escalation, if `terminal`, of its post and in force at the size that it names, signed it.

    Raises `Malformed`, or `VerificationFailed`: "unknown-terminal", "bad-signature".
    """
    said, signature, signed = _split(data)
    if terminal is None or not _is_by(said, signature, terminal):
        text = f"terminal {said.terminal_id.hex()[:16]} was not enrolled at {said.post} at size {said.size}"
        raise VerificationFailed("unknown-terminal", text, post=said.post, size=said.size, hint=SYNCHRONISE)
    key = PublicKey(SUITE_ED25519, terminal.key)
    verifier.verify(key, Purpose.ESCALATION, network_id, signed, signature.signature)
    return said


def seal_escalation(signed: bytes, bundle: VerifiedBundle) -> bytes:
    """The canonical SealedEscalation for the terminal of `bundle`, of one size whatever it says."""
    padded = (len(signed).to_bytes(2, "big") + signed).ljust(PLAINTEXT_BYTES, b"\x00")
    sealed = seal(bundle.public_key, padded, _info(bundle.terminal_id, bundle.bundle_hash))
    return CODEC.encode(SealedEscalation(bundle.terminal_id, bundle.bundle_hash, sealed))


def read_sealed_escalation(data: bytes) -> SealedEscalation:
    """What hops see of it. Raises `Malformed`."""
    sealed = CODEC.decode(SealedEscalation, data, limit=MAX_SEALED_ESCALATION)
    _require(len(sealed.terminal_id) == len(sealed.bundle_hash) == ID_BYTES and len(sealed.sealed) == SEALED_BYTES)
    return sealed


def open_escalation(data: bytes, prekeys: Mapping[bytes, Prekey]) -> bytes:
    """The SignedEscalation inside, not yet verified. `prekeys` by bundle hash.

    Raises `Malformed`, or `VerificationFailed`: "prekey-gone", "cannot-open".
    """
    sealed = read_sealed_escalation(data)
    prekey = prekeys.get(sealed.bundle_hash)
    if prekey is None:
        text = "this terminal no longer holds the prekey of this escalation"
        hint = "Nothing can be done: it was sealed to a prekey that has been erased."
        raise VerificationFailed("prekey-gone", text, hint=hint)
    padded = prekey.open(sealed.sealed, _info(sealed.terminal_id, sealed.bundle_hash))
    end = 2 + int.from_bytes(padded[:2], "big")
    _require(len(padded) == PLAINTEXT_BYTES and end <= PLAINTEXT_BYTES and not any(padded[end:]))
    return padded[2:end]


def _split(data: bytes) -> tuple[Escalation, Signature, bytes]:
    outer = CODEC.decode(SignedEscalation, data, limit=MAX_ESCALATION)
    said = CODEC.decode(Escalation, outer.escalation, limit=MAX_ESCALATION)
    _check(said)
    if outer.signature is None:
        raise Malformed("bad-escalation", "the escalation has no signature", hint=DO_NOT_RELY)
    return said, outer.signature, outer.escalation


def _is_by(said: Escalation, signature: Signature, terminal: Terminal) -> bool:
    same = said.terminal_id == terminal.terminal_id == signature.key_id and said.post == terminal.post
    return same and is_in_force(terminal.enrolled_at, terminal.retired_at, said.size)


def _check(said: Escalation) -> None:
    _require(len(said.envelope_id) == len(said.terminal_id) == ID_BYTES and is_code(said.post))
    _require(said.precedence in PRECEDENCES and said.size >= 1)
    format_dtg(said.released_at)
    posts = (*said.undelivered, *said.unacknowledged)
    _require(len(set(posts)) == len(posts) <= MAX_POSTS and all(map(is_code, posts)))
    _require(all(list(some) == sorted(some) for some in (said.undelivered, said.unacknowledged)))


def _info(terminal_id: bytes, bundle_hash: bytes) -> bytes:
    return b"dutabarta/v1/escalation\x00" + terminal_id + bundle_hash


def _require(holds: bool) -> None:
    if not holds:
        raise Malformed("bad-escalation", "a field of the escalation is not allowed", hint=DO_NOT_RELY)
