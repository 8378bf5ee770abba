"""Re-wraps: the content key of a cable sealed again for one of its terminals (docs/protocol/rewrap.md).

Whether a terminal may have it is for whoever makes one; the envelope's commitment tells the reader that the key is
the one of before, whoever wrapped it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crypto_msg.cable import ID_BYTES
from crypto_msg.envelope import is_in_force
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.segments import CEK_BYTES
from crypto_msg.wire import CODEC, Rewrap, SignedRewrap
from crypto_msg.wraps import COUNTER_BYTES, MAX_COUNTER
from keys.prekey import OVERHEAD_BYTES, Prekey, seal
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.records import Terminal
from ledger.wire import Signature
from protos.errors import Malformed, VerificationFailed

PLAINTEXT_BYTES = CEK_BYTES + COUNTER_BYTES + ID_BYTES + COUNTER_BYTES
SEALED_BYTES = PLAINTEXT_BYTES + OVERHEAD_BYTES
MAX_REWRAP = SEALED_BYTES + 384


@dataclass(frozen=True, slots=True, repr=False)
class Content:
    """What a re-wrap holds: the CEK, its own number n, and the {terminal, n} that it replaces.

    `replaced_n` is 0 where the first wrap took no number, or a terminal re-wraps that does not know it. The sealing
    terminal itself keeps a number that there was: n = `replaced_n`.
    """

    cek: bytes
    n: int
    replaced_terminal_id: bytes
    replaced_n: int


def make_rewrap(
    envelope_id: bytes, content: Content, bundle: VerifiedBundle, size: int, network_id: bytes, terminal: Signer
) -> bytes:
    """The canonical SignedRewrap for the terminal of `bundle`, judged at `size`. Raises `Malformed` ("bad-rewrap")."""
    own = terminal.public_key.key_id
    _check_content(content, own)
    info = _info(envelope_id, bundle.terminal_id, bundle.bundle_hash, own)
    sealed = seal(bundle.public_key, _pack(content), info)
    rewrap = Rewrap(envelope_id, bundle.terminal_id, bundle.bundle_hash, own, size, sealed)
    _check(rewrap)
    data = CODEC.encode(rewrap)
    return CODEC.encode(SignedRewrap(data, Signature(own, terminal.sign(Purpose.REWRAP, network_id, data))))


def read_rewrap(data: bytes) -> Rewrap:
    """What hops see of a signed re-wrap; its signature is not checked. Raises `Malformed`."""
    return _split(data)[0]


def verify_rewrap(data: bytes, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> Rewrap:
    """The re-wrap, if `terminal`, in force at the size that it names, signed it.

    Raises `Malformed`, or `VerificationFailed`: "unknown-terminal", "bad-signature".
    """
    rewrap, signature, signed = _split(data)
    if terminal is None or not _is_by(rewrap, signature, terminal):
        text = f"terminal {rewrap.by_terminal_id.hex()[:16]} was not enrolled at size {rewrap.size}"
        raise VerificationFailed("unknown-terminal", text, post="", size=rewrap.size, hint=SYNCHRONISE)
    verifier.verify(PublicKey(SUITE_ED25519, terminal.key), Purpose.REWRAP, network_id, signed, signature.signature)
    return rewrap


def open_rewrap(rewrap: Rewrap, prekeys: Mapping[bytes, Prekey]) -> Content:
    """What was sealed. `prekeys` by bundle hash. Raises `VerificationFailed` ("wrap-not-opened"), `Malformed`."""
    prekey = prekeys.get(rewrap.bundle_hash)
    info = _info(rewrap.envelope_id, rewrap.terminal_id, rewrap.bundle_hash, rewrap.by_terminal_id)
    try:
        opened = prekey.open(rewrap.sealed, info) if prekey is not None else b""
    except VerificationFailed:
        opened = b""
    if not opened:
        hint = "Synchronise: this terminal asks again under its next prekey."
        raise VerificationFailed("wrap-not-opened", "none of this terminal's prekeys opens the re-wrap", hint=hint)
    content = _unpack(opened)
    _check_content(content, rewrap.by_terminal_id)
    return content


def _pack(content: Content) -> bytes:
    numbers = [one.to_bytes(COUNTER_BYTES, "big") for one in (content.n, content.replaced_n)]
    return content.cek + numbers[0] + content.replaced_terminal_id + numbers[1]


def _unpack(data: bytes) -> Content:
    cek, rest = data[:CEK_BYTES], data[CEK_BYTES:]
    n, replaced, last = rest[:COUNTER_BYTES], rest[COUNTER_BYTES:-COUNTER_BYTES], rest[-COUNTER_BYTES:]
    return Content(cek, int.from_bytes(n, "big"), replaced, int.from_bytes(last, "big"))


def _split(data: bytes) -> tuple[Rewrap, Signature, bytes]:
    outer = CODEC.decode(SignedRewrap, data, limit=MAX_REWRAP)
    rewrap = CODEC.decode(Rewrap, outer.rewrap, limit=MAX_REWRAP)
    _check(rewrap)
    if outer.signature is None:
        raise Malformed("bad-rewrap", "the re-wrap has no signature", hint=DO_NOT_RELY)
    return rewrap, outer.signature, outer.rewrap


def _is_by(rewrap: Rewrap, signature: Signature, terminal: Terminal) -> bool:
    same = rewrap.by_terminal_id == terminal.terminal_id == signature.key_id
    return same and is_in_force(terminal.enrolled_at, terminal.retired_at, rewrap.size)


def _check(rewrap: Rewrap) -> None:
    ids = (rewrap.envelope_id, rewrap.terminal_id, rewrap.bundle_hash, rewrap.by_terminal_id)
    _require(all(len(one) == ID_BYTES for one in ids))
    _require(len(rewrap.sealed) == SEALED_BYTES and rewrap.size >= 1)


def _check_content(content: Content, by_terminal_id: bytes) -> None:
    """The same terminal keeps the number that its wrap had; another takes its own next one."""
    _require(len(content.cek) == CEK_BYTES and len(content.replaced_terminal_id) == ID_BYTES)
    _require(1 <= content.n <= MAX_COUNTER and 0 <= content.replaced_n <= MAX_COUNTER)
    same = content.replaced_terminal_id == by_terminal_id
    _require(not same or content.replaced_n in (0, content.n))


def _info(envelope_id: bytes, terminal_id: bytes, bundle_hash: bytes, by_terminal_id: bytes) -> bytes:
    return b"dutabarta/v1/rewrap\x00" + envelope_id + terminal_id + bundle_hash + by_terminal_id


def _require(holds: bool) -> None:
    if not holds:
        raise Malformed("bad-rewrap", "a field of the re-wrap is not allowed", hint=DO_NOT_RELY)
