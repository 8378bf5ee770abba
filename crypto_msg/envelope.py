"""The envelope as a relay sees it, and what it checks before it stores a byte (docs/protocol/cable.md §2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from crypto_msg.cable import CABLE_ID_BYTES, ID_BYTES, KINDS, PRECEDENCES
from crypto_msg.content import is_padded_length
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.segments import BodyRoot, Buffer, body_length, body_root
from crypto_msg.wire import CODEC, Head, Outer, SignedParts
from crypto_msg.wraps import MAX_WRAPS, check_wraps
from keys.public import SUITE_ED25519, PublicKey
from keys.purpose import Purpose
from keys.signing import Verifier
from ledger.names import is_code
from ledger.records import Terminal
from protos.errors import Malformed, VerificationFailed

VERSION = 1
MAX_OUTER = 256
MAX_HEAD = 2 << 20

_OUTERS_CACHED = 256


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed cable or draft: canonical Head and body, as they travel."""

    head: bytes
    body: Buffer


def encode_head(head: Head) -> bytes:
    """The canonical bytes of a head."""
    return CODEC.encode(head)


def decode_head(data: bytes) -> Head:
    """A head of which every size and every wrap's place are checked, but no signature. Raises as `check_form`."""
    head = CODEC.decode(Head, data, limit=MAX_HEAD)
    check_form(head)
    return head


def read_outer(head: Head) -> Outer:
    """What the head's outer bytes say, within bounds. Raises `Malformed`."""
    return _decode_outer(head.outer)


@lru_cache(maxsize=_OUTERS_CACHED)
def _decode_outer(data: bytes) -> Outer:
    outer = CODEC.decode(Outer, data, limit=MAX_OUTER)
    _require(outer.version == VERSION, "version")
    _require(outer.kind in KINDS, "kind")
    _require(len(outer.network_id) == ID_BYTES, "network id")
    _require(len(outer.cable_id) == CABLE_ID_BYTES, "cable id")
    _require(is_code(outer.post), "post")
    _require(len(outer.terminal_id) == ID_BYTES, "terminal id")
    _require(outer.precedence in PRECEDENCES, "precedence")
    _require(outer.expires_at >= 0, "expiry")
    _require(outer.size_seen >= 1, "size")
    _require(is_padded_length(outer.padded_length), "padded length")
    _require(len(outer.cek_commit) == ID_BYTES, "key commitment")
    _require(1 <= outer.terminal_count <= MAX_WRAPS, "number of terminals")
    return outer


def check_form(head: Head) -> Outer:
    """The outer part, if all sizes are right (else `Malformed`) and the root holds the wraps (`VerificationFailed`)."""
    outer = read_outer(head)
    _require(len(head.body_root) == len(head.wraps_root) == ID_BYTES, "root")
    check_wraps(head, outer.terminal_count)
    return outer


def check_head(head: Head, network_id: bytes, terminal: Terminal | None, verifier: Verifier) -> None:
    """What every relay checks before it stores a byte. `terminal`: the originating terminal's record at S.

    Raises `VerificationFailed`: "wrong-network", "unknown-terminal", "bad-signature"; `Malformed` for the form.
    """
    outer = check_form(head)
    check_network(outer, network_id)
    check_envelope_signature(head, outer, terminal, verifier)


def check_network(outer: Outer, network_id: bytes) -> None:
    """Raise `VerificationFailed` ("wrong-network") unless the envelope was made for this network."""
    if outer.network_id != network_id:
        raise VerificationFailed(
            "wrong-network", f"this was sealed for network {outer.network_id.hex()}", hint=DO_NOT_RELY
        )


def check_envelope_signature(head: Head, outer: Outer, terminal: Terminal | None, verifier: Verifier) -> None:
    """Raise `VerificationFailed` unless the originating terminal, as enrolled at S, signed the envelope."""
    known = terminal is not None and terminal.terminal_id == outer.terminal_id and terminal.post == outer.post
    if terminal is None or not known or not is_in_force(terminal.enrolled_at, terminal.retired_at, outer.size_seen):
        text = f"terminal {outer.terminal_id.hex()[:16]} was not enrolled at {outer.post} at size {outer.size_seen}"
        raise VerificationFailed("unknown-terminal", text, post=outer.post, size=outer.size_seen, hint=SYNCHRONISE)
    signed = CODEC.encode(SignedParts(head.envelope_id, head.body_root, head.wraps_root))
    key = PublicKey(SUITE_ED25519, terminal.key)
    verifier.verify(key, Purpose.ENVELOPE, outer.network_id, signed, head.signature)


def is_in_force(since: int, until: int, size: int) -> bool:
    """Whether what was entered at log index `since`, and ended at `until` (0: not), stood at `size`."""
    return since < size and not 0 < until < size


class BodyCheck:
    """Checks a body as it arrives; holds at most one segment."""

    __slots__ = ("_expected", "_length", "_root")

    def __init__(self, head: Head) -> None:
        self._expected = head.body_root
        self._length = body_length(read_outer(head).padded_length)
        self._root = BodyRoot()

    def update(self, data: Buffer) -> None:
        """Take the next bytes. Raises `VerificationFailed` ("body-changed") as soon as there are too many."""
        if self._root.length + len(data) > self._length:
            raise _body_changed(f"the body is longer than {self._length} bytes")
        self._root.update(data)

    def finish(self) -> None:
        """Raise `VerificationFailed` ("body-changed") unless all bytes have come and give the signed root."""
        if self._root.length != self._length or self._root.root() != self._expected:
            raise _body_changed("the body is not the one that the terminal signed")


def verify_body(head: Head, body: Buffer) -> None:
    """Check a whole body against its head, without any key. Raises `VerificationFailed` ("body-changed")."""
    if len(body) != body_length(read_outer(head).padded_length) or body_root(body) != head.body_root:
        raise _body_changed("the body is not the one that the terminal signed")


def _body_changed(text: str) -> VerificationFailed:
    return VerificationFailed("body-changed", text, hint=DO_NOT_RELY)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Malformed("bad-envelope", f"the envelope's {what} is not allowed", what=what, hint=DO_NOT_RELY)
