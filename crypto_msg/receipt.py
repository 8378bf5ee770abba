"""Receipts: what a terminal answers to a cable (docs/protocol/receipt.md).

DELIVERED is readable by the hops; READ and ACKNOWLEDGED go sealed to the originating terminal, all of one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from crypto_msg.cable import ID_BYTES
from crypto_msg.envelope import is_in_force
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.wire import CODEC, Receipt, SealedReceipt, SignedReceipt
from keys.prekey import OVERHEAD_BYTES, Prekey, seal
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.names import is_code
from ledger.records import Terminal
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

PLAINTEXT_BYTES = 384
SEALED_BYTES = PLAINTEXT_BYTES + OVERHEAD_BYTES
MAX_RECEIPT = PLAINTEXT_BYTES - 2
MAX_SEALED_RECEIPT = 2048


class ReceiptKind(IntEnum):
    """How far a cable has come at one terminal."""

    DELIVERED = 1
    """Opened, checked and durably stored."""
    READ = 2
    ACKNOWLEDGED = 3


def make_receipt(receipt: Receipt, network_id: bytes, terminal: Signer) -> bytes:
    """The canonical SignedReceipt. Raises `Malformed` for a field out of bounds."""
    _check(receipt)
    data = CODEC.encode(receipt)
    signature = Signature(terminal.public_key.key_id, terminal.sign(Purpose.RECEIPT, network_id, data))
    return CODEC.encode(SignedReceipt(data, signature))


def read_receipt(data: bytes) -> Receipt:
    """What a signed receipt says; its signature is not checked. Raises `Malformed`."""
    return _split(data)[0]


def verify_receipt(data: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> Receipt:
    """The receipt, if `terminal`, in force at the size that the receipt names, signed it.

    Raises `Malformed`, or `VerificationFailed`: "unknown-terminal", "bad-signature".
    """
    receipt, signature, signed = _split(data)
    if terminal is None or not _is_by(receipt, signature, terminal):
        text = f"terminal {receipt.terminal_id.hex()[:16]} was not enrolled at {receipt.post} at size {receipt.size}"
        raise VerificationFailed("unknown-terminal", text, post=receipt.post, size=receipt.size, hint=SYNCHRONISE)
    key = PublicKey(SUITE_ED25519, terminal.key)
    verifier.verify(key, Purpose.RECEIPT, network_id, signed, signature.signature)
    return receipt


def contradicts(one: Receipt, other: Receipt) -> bool:
    """Whether two receipts name one envelope but different content: somebody lies, and an officer must be told."""
    if one.envelope_id != other.envelope_id:
        return False
    return (one.body_root, one.inner_hash) != (other.body_root, other.inner_hash)


def seal_receipt(signed_receipt: bytes, bundle: VerifiedBundle) -> bytes:
    """The canonical SealedReceipt for the terminal of `bundle`: SEALED_BYTES of HPKE, whatever it says."""
    receipt = read_receipt(signed_receipt)
    padded = len(signed_receipt).to_bytes(2, "big") + signed_receipt
    info = _info(receipt.envelope_id, bundle.terminal_id, bundle.bundle_hash)
    sealed = seal(bundle.public_key, padded.ljust(PLAINTEXT_BYTES, b"\x00"), info)
    return CODEC.encode(SealedReceipt(receipt.envelope_id, bundle.terminal_id, bundle.bundle_hash, sealed))


def read_sealed_receipt(data: bytes) -> SealedReceipt:
    """What hops see of a sealed receipt. Raises `Malformed`."""
    sealed = CODEC.decode(SealedReceipt, data, limit=MAX_SEALED_RECEIPT)
    ids = (sealed.envelope_id, sealed.terminal_id, sealed.bundle_hash)
    _require(all(len(one) == ID_BYTES for one in ids) and len(sealed.sealed) == SEALED_BYTES)
    return sealed


def open_receipt(data: bytes, prekeys: Mapping[bytes, Prekey]) -> bytes:
    """The SignedReceipt inside, not yet verified. `prekeys` by bundle hash.

    Raises `Malformed`, or `VerificationFailed`: "prekey-gone", "cannot-open".
    """
    sealed = read_sealed_receipt(data)
    prekey = prekeys.get(sealed.bundle_hash)
    if prekey is None:
        raise VerificationFailed(
            "prekey-gone",
            "this terminal no longer holds the prekey of this receipt",
            hint="Nothing can be done: it was sealed to a prekey that has been erased.",
        )
    padded = prekey.open(sealed.sealed, _info(sealed.envelope_id, sealed.terminal_id, sealed.bundle_hash))
    end = 2 + int.from_bytes(padded[:2], "big")
    signed, padding = padded[2:end], padded[end:]
    _require(len(padded) == PLAINTEXT_BYTES and end <= PLAINTEXT_BYTES and not any(padding))
    _require(read_receipt(signed).envelope_id == sealed.envelope_id)
    return signed


def _split(data: bytes) -> tuple[Receipt, Signature, bytes]:
    outer = CODEC.decode(SignedReceipt, data, limit=MAX_RECEIPT)
    receipt = CODEC.decode(Receipt, outer.receipt, limit=MAX_RECEIPT)
    _check(receipt)
    if outer.signature is None:
        raise Malformed("bad-receipt", "the receipt has no signature", hint=DO_NOT_RELY)
    return receipt, outer.signature, outer.receipt


def _is_by(receipt: Receipt, signature: Signature, terminal: Terminal) -> bool:
    same = receipt.terminal_id == terminal.terminal_id == signature.key_id and receipt.post == terminal.post
    return same and is_in_force(terminal.enrolled_at, terminal.retired_at, receipt.size)


def _check(receipt: Receipt) -> None:
    hashes = (receipt.envelope_id, receipt.body_root, receipt.inner_hash, receipt.terminal_id, receipt.root)
    _require(receipt.kind in list(ReceiptKind) and all(len(one) == ID_BYTES for one in hashes))
    _require(is_code(receipt.post) and receipt.size >= 1 and receipt.at >= 0)


def _info(envelope_id: bytes, terminal_id: bytes, bundle_hash: bytes) -> bytes:
    return b"dutabarta/v1/receipt\x00" + envelope_id + terminal_id + bundle_hash


def _require(holds: bool) -> None:
    if not holds:
        raise Malformed("bad-receipt", "a field of the receipt is not allowed", hint=DO_NOT_RELY)
