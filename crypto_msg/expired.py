"""EXPIRED: a node says that it gave a cable up, because its expiry had passed (docs/protocol/expired.md)."""

from __future__ import annotations

from crypto_msg.cable import ID_BYTES
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.wire import CODEC, Expired, SignedExpired
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.names import is_code
from ledger.posts import entry_key_of
from ledger.records import Post
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

MAX_EXPIRED = 256


def make_expired(expired: Expired, network_id: bytes, node: Signer) -> bytes:
    """The canonical SignedExpired; `node` is the entry key of `expired.by`. Raises `Malformed` ("bad-expired")."""
    _check(expired)
    data = CODEC.encode(expired)
    signature = Signature(node.public_key.key_id, node.sign(Purpose.EXPIRED, network_id, data))
    return CODEC.encode(SignedExpired(data, signature))


def read_expired(data: bytes) -> Expired:
    """What a signed EXPIRED says; its signature is not checked. Raises `Malformed`."""
    return _split(data)[0]


def verify_expired(data: bytes, network_id: bytes, post: Post | None, verifier: Verifier) -> Expired:
    """The statement, if the entry key in force of `post`, the one that it names, signed it.

    Whether the block time is right is for whoever knows the log. Raises `Malformed`, or `VerificationFailed`:
    "unknown-node", "bad-signature".
    """
    expired, signature, signed = _split(data)
    if post is None or post.code != expired.by or entry_key_of(post).key_id != signature.key_id:
        text = f"no node of {expired.by} with this key stands on the ledger"
        raise VerificationFailed("unknown-node", text, post=expired.by, hint=SYNCHRONISE)
    verifier.verify(entry_key_of(post), Purpose.EXPIRED, network_id, signed, signature.signature)
    return expired


def _split(data: bytes) -> tuple[Expired, Signature, bytes]:
    outer = CODEC.decode(SignedExpired, data, limit=MAX_EXPIRED)
    expired = CODEC.decode(Expired, outer.expired, limit=MAX_EXPIRED)
    _check(expired)
    if outer.signature is None:
        raise Malformed("bad-expired", "the statement has no signature", hint=DO_NOT_RELY)
    return expired, outer.signature, outer.expired


def _check(expired: Expired) -> None:
    codes = (expired.origin, expired.post, expired.by)
    allowed = len(expired.envelope_id) == ID_BYTES and all(map(is_code, codes)) and min(expired.size, expired.time) >= 1
    if not allowed:
        raise Malformed("bad-expired", "a field of the statement is not allowed", hint=DO_NOT_RELY)
