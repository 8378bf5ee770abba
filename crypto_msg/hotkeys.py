"""The secrets and keys of a hotline call (docs/protocol/hotline.md §3).

Each side seals 32 random bytes by HPKE to the prekey bundle that the ledger proves the other's, so that only those two
terminals can derive the keys, whoever breaks X25519 or forges Ed25519 one day.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from crypto_msg.hotline_wire import SECRET_BYTES, Answer, Ring
from crypto_msg.prekey import VerifiedBundle
from keys.prekey import Prekey, seal
from protos.errors import VerificationFailed

_RING = b"dutabarta/v1/hotline-ring\x00"
_ANSWER = b"dutabarta/v1/hotline-answer\x00"
_KEYS = b"dutabarta/v1/hotline-keys\x00"


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """Keys of what one side sends, 32 bytes each: its first stream, the chain that renews it, its Acks."""

    stream: bytes = field(repr=False)
    chain: bytes = field(repr=False)
    ack: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CallKeys:
    """The keys of both directions."""

    caller: DirectionKeys
    called: DirectionKeys


def seal_ring_secret(secret: bytes, call_id: bytes, terminal_id: bytes, bundle: VerifiedBundle) -> bytes:
    """The caller's 32-byte secret for the terminal of `bundle`."""
    return seal(bundle.public_key, secret, _ring_info(call_id, terminal_id, bundle.terminal_id, bundle.bundle_hash))


def open_ring_secret(ring: Ring, prekeys: Mapping[bytes, Prekey]) -> bytes:
    """The caller's secret. `prekeys` by bundle hash. Raises `VerificationFailed` ("call-not-opened")."""
    info = _ring_info(ring.call_id, ring.terminal_id, ring.called_terminal_id, ring.bundle_hash)
    return _open(prekeys.get(ring.bundle_hash), ring.sealed, info)


def seal_answer_secret(secret: bytes, ring_hash: bytes, terminal_id: bytes, bundle: VerifiedBundle) -> bytes:
    """The called side's 32-byte secret for the caller, whose `bundle` it is."""
    return seal(bundle.public_key, secret, _answer_info(ring_hash, terminal_id, bundle.bundle_hash))


def open_answer_secret(answer: Answer, prekeys: Mapping[bytes, Prekey]) -> bytes:
    """The called side's secret. Raises `VerificationFailed` ("call-not-opened")."""
    info = _answer_info(answer.ring_hash, answer.terminal_id, answer.bundle_hash)
    return _open(prekeys.get(answer.bundle_hash), answer.sealed, info)


def call_keys(network_id: bytes, ring_hash: bytes, answer_hash: bytes, caller: bytes, called: bytes) -> CallKeys:
    """HKDF-SHA256 (RFC 5869) of both secrets, salted with the whole set-up: 96 bytes for each direction."""
    salt = sha256(_KEYS + network_id + ring_hash + answer_hash).digest()
    extracted = hmac.digest(salt, caller + called, "sha256")
    return CallKeys(*(_direction(extracted, info) for info in (b"caller", b"called")))


def renewed(chain: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """(stream key, chain key) behind a renewal: HKDF-SHA256 of the fresh `secret`, salted with the last chain key."""
    blocks = _expand(hmac.digest(chain, secret, "sha256"), _KEYS + b"renew", 2)
    return blocks[0], blocks[1]


def seal_renewal(secret: bytes, call_id: bytes, number: int, bundle: VerifiedBundle) -> bytes:
    """A fresh 32-byte secret for the other side, sent as message `number` of a direction."""
    return seal(bundle.public_key, secret, _renew_info(call_id, number, bundle.bundle_hash))


def open_renewal(
    sealed: bytes, bundle_hash: bytes, call_id: bytes, number: int, prekeys: Mapping[bytes, Prekey]
) -> bytes:
    """The fresh secret. Raises `VerificationFailed` ("call-not-opened")."""
    return _open(prekeys.get(bundle_hash), sealed, _renew_info(call_id, number, bundle_hash))


def _ring_info(call_id: bytes, terminal_id: bytes, called_id: bytes, bundle_hash: bytes) -> bytes:
    return _RING + call_id + terminal_id + called_id + bundle_hash


def _answer_info(ring_hash: bytes, terminal_id: bytes, bundle_hash: bytes) -> bytes:
    return _ANSWER + ring_hash + terminal_id + bundle_hash


def _renew_info(call_id: bytes, number: int, bundle_hash: bytes) -> bytes:
    return _KEYS + b"renew" + call_id + number.to_bytes(8, "big") + bundle_hash


def _direction(extracted: bytes, info: bytes) -> DirectionKeys:
    return DirectionKeys(*_expand(extracted, _KEYS + info, 3))


def _expand(extracted: bytes, info: bytes, blocks: int) -> list[bytes]:
    """HKDF-Expand (RFC 5869 §2.3), in blocks of 32 bytes."""
    made: list[bytes] = []
    for count in range(1, blocks + 1):
        made.append(hmac.digest(extracted, (made[-1] if made else b"") + info + bytes([count]), "sha256"))
    return made


def _open(prekey: Prekey | None, sealed: bytes, info: bytes) -> bytes:
    if prekey is not None:
        try:
            secret = prekey.open(sealed, info)
        except VerificationFailed:
            secret = b""
        if len(secret) == SECRET_BYTES:
            return secret
    hint = "Synchronise, and call again."
    raise VerificationFailed("call-not-opened", "none of this terminal's prekeys opens the call's secret", hint=hint)
