"""NAKs: a terminal says that it cannot open its wrap, or that one never came (docs/protocol/rewrap.md)."""

from __future__ import annotations

from enum import IntEnum

from crypto_msg.cable import ID_BYTES
from crypto_msg.envelope import is_in_force
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.wire import CODEC, Nak, SignedNak
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.records import Terminal
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

MAX_NAK = 384


class Reason(IntEnum):
    """Why a terminal asks again."""

    PREKEY_GONE = 1
    """The prekey that was its current one at S of the envelope is not in its keystore."""
    BAD_WRAP = 2
    """It holds that prekey, and the wrap does not open, or opens to another key than the envelope commits to."""
    NEVER_CAME = 3
    """It knows a later number of the same terminal's wraps, and not this one."""


def make_nak(nak: Nak, network_id: bytes, terminal: Signer) -> bytes:
    """The canonical SignedNak. Raises `Malformed` for a field out of bounds."""
    _check(nak)
    data = CODEC.encode(nak)
    signature = Signature(terminal.public_key.key_id, terminal.sign(Purpose.NAK, network_id, data))
    return CODEC.encode(SignedNak(data, signature))


def read_nak(data: bytes) -> Nak:
    """What a signed NAK says; its signature is not checked. Raises `Malformed`."""
    return _split(data)[0]


def verify_nak(data: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> Nak:
    """The NAK, if `terminal`, in force at the size that it names, signed it.

    Raises `Malformed`, or `VerificationFailed`: "unknown-terminal", "bad-signature".
    """
    nak, signature, signed = _split(data)
    if terminal is None or not nak.terminal_id == terminal.terminal_id == signature.key_id or not _stood(terminal, nak):
        text = f"terminal {nak.terminal_id.hex()[:16]} was not enrolled at size {nak.size}"
        raise VerificationFailed("unknown-terminal", text, post="", size=nak.size, hint=SYNCHRONISE)
    verifier.verify(PublicKey(SUITE_ED25519, terminal.key), Purpose.NAK, network_id, signed, signature.signature)
    return nak


def _split(data: bytes) -> tuple[Nak, Signature, bytes]:
    outer = CODEC.decode(SignedNak, data, limit=MAX_NAK)
    nak = CODEC.decode(Nak, outer.nak, limit=MAX_NAK)
    _check(nak)
    if outer.signature is None:
        raise Malformed("bad-nak", "the NAK has no signature", hint=DO_NOT_RELY)
    return nak, outer.signature, outer.nak


def _stood(terminal: Terminal, nak: Nak) -> bool:
    return is_in_force(terminal.enrolled_at, terminal.retired_at, nak.size)


def _check(nak: Nak) -> None:
    ids = (nak.terminal_id, nak.bundle_hash, nak.origin_terminal_id)
    by_number = nak.reason == Reason.NEVER_CAME
    _require(nak.reason in list(Reason) and all(len(one) == ID_BYTES for one in ids) and nak.size >= 1)
    _require(len(nak.envelope_id) == (0 if by_number else ID_BYTES) and (nak.n > 0) == by_number)


def _require(holds: bool) -> None:
    if not holds:
        raise Malformed("bad-nak", "a field of the NAK is not allowed", hint=DO_NOT_RELY)
