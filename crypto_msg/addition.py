"""Added wraps: a cable's key for a terminal that was not on its list (docs/protocol/added-wrap.md).

A supervisor of the originating post signs it as an officer, within his clearance; the terminal that gets it must be of
a post that the cable was for, and its officer active and cleared, both at the size that it names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256

from crypto_msg.cable import ID_BYTES, Kind
from crypto_msg.envelope import check_head, decode_head, encode_head, read_outer
from crypto_msg.hints import DO_NOT_RELY, SYNCHRONISE
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.rewrap import Content
from crypto_msg.rules import View, is_cleared, is_reader
from crypto_msg.segments import CEK_BYTES
from crypto_msg.wire import Head
from crypto_msg.wraps import COUNTER_BYTES, MAX_COUNTER, split_head
from keys.prekey import OVERHEAD_BYTES, Prekey, seal
from keys.purpose import Purpose
from keys.signing import Signer, Verifier
from ledger.records import Officer, Terminal
from ledger.roles import Role
from ledger.wire import Signature
from protos import addition_pb2 as pb
from protos import ledger_pb2
from protos.codec import Codec
from protos.errors import Malformed, Refused, VerificationFailed

SEALED_BYTES = CEK_BYTES + COUNTER_BYTES + OVERHEAD_BYTES
MAX_ADDED = 12 * 1024


@dataclass(frozen=True, slots=True)
class AddedWrap:
    """`head`: the cable's, with one of its wraps; `size`: S at which the act is judged."""

    head: bytes
    terminal_id: bytes
    bundle_hash: bytes
    by_terminal_id: bytes
    size: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SignedAddedWrap:
    """The canonical AddedWrap and the supervisor's signature."""

    added: bytes
    supervisor: Signature | None


CODEC = Codec(
    {AddedWrap: pb.AddedWrap, SignedAddedWrap: pb.SignedAddedWrap, Signature: ledger_pb2.Signature},
)


@dataclass(frozen=True, slots=True)
class Addition:
    """A checked added wrap: the cable's head, the supervisor and his terminal as they stood at its S."""

    added: AddedWrap
    head: Head
    supervisor: Officer
    by: Terminal

    @property
    def envelope_id(self) -> bytes:
        """The cable's."""
        return self.head.envelope_id


@dataclass(frozen=True, slots=True)
class Adding:
    """Who adds: his terminal's id and his officer key, judged at `size`; `head`: of the cable as he holds it."""

    head: Head
    by_terminal_id: bytes
    size: int
    network_id: bytes
    supervisor: Signer


def make_added_wrap(adding: Adding, cek: bytes, n: int, bundle: VerifiedBundle) -> bytes:
    """The canonical SignedAddedWrap for the terminal of `bundle`. `n` counts this terminal's wraps for that one."""
    head = _one_wrap(adding.head, adding.by_terminal_id)
    info = _info(head.envelope_id, bundle.terminal_id, bundle.bundle_hash, adding.by_terminal_id)
    sealed = seal(bundle.public_key, cek + n.to_bytes(COUNTER_BYTES, "big"), info)
    added = AddedWrap(
        encode_head(head), bundle.terminal_id, bundle.bundle_hash, adding.by_terminal_id, adding.size, sealed
    )
    _check(added)
    data = CODEC.encode(added)
    signature = adding.supervisor.sign(Purpose.ADDED_WRAP, adding.network_id, data)
    return CODEC.encode(SignedAddedWrap(data, Signature(adding.supervisor.public_key.key_id, signature)))


def read_added_wrap(data: bytes) -> tuple[AddedWrap, Head]:
    """What hops see of it; no signature is checked. Raises `Malformed`, `VerificationFailed` for the head's wraps."""
    added, _, _ = _split(data)
    return added, decode_head(added.head)


def verify_added_wrap(data: bytes, network_id: bytes, view: View, verifier: Verifier) -> Addition:
    """Check it against the state at its S, or later for a relay.

    1. the head's form, network and signature
    2. it is of a cable, and from a terminal of the originating post
    3. a supervisor of that post, whose terminal it is, signed it

    Raises `Malformed`, `VerificationFailed`, `Refused` ("not-supervisor", "not-origin", "not-released").
    """
    added, signature, signed = _split(data)
    head = decode_head(added.head)
    outer = read_outer(head)
    check_head(head, network_id, view.terminal(outer.terminal_id), verifier)  # 1
    by = view.terminal(added.by_terminal_id)
    if outer.kind != Kind.CABLE:  # 2
        raise Refused("not-released", "a wrap is added to a released cable only", hint=DO_NOT_RELY)
    if by is None or by.post != outer.post or not by.is_active:
        text = f"terminal {added.by_terminal_id.hex()[:16]} is not in force at {outer.post}"
        raise Refused("not-origin", text, hint=DO_NOT_RELY, post=outer.post)
    supervisor = view.officer_of_key(signature.key_id)
    if supervisor is None or supervisor.officer_id != by.officer_id or not supervisor.has_role(Role.SUPERVISOR):  # 3
        raise Refused("not-supervisor", "only a supervisor of the originating post adds a wrap", hint=SYNCHRONISE)
    verifier.verify(supervisor.key, Purpose.ADDED_WRAP, network_id, signed, signature.signature)
    return Addition(added, head, supervisor, by)


def open_added_wrap(addition: Addition, prekey: Prekey | None) -> Content:
    """The content key and n. Raises `VerificationFailed` ("wrap-not-opened"), `Malformed`."""
    added = addition.added
    info = _info(addition.envelope_id, added.terminal_id, added.bundle_hash, added.by_terminal_id)
    try:
        opened = prekey.open(added.sealed, info) if prekey is not None else b""
    except VerificationFailed:
        opened = b""
    if not opened:
        hint = "Ask the supervisor to add it again."
        raise VerificationFailed("wrap-not-opened", "none of this terminal's prekeys opens the added wrap", hint=hint)
    n = int.from_bytes(opened[CEK_BYTES:], "big")
    if not 1 <= n <= MAX_COUNTER:
        raise Malformed("bad-added-wrap", "an added wrap has a number from 1 on", hint=DO_NOT_RELY)
    return Content(opened[:CEK_BYTES], n, read_outer(addition.head).terminal_id, 0)


def check_addition(supervisor: Officer, terminal: Terminal | None, view: View, classification: int) -> None:
    """Raise `Refused` unless the supervisor is cleared for the cable, and the terminal may have it, at the act's S."""
    if not is_cleared(supervisor, classification):
        hint = "Ask a supervisor with the clearance."
        raise Refused("clearance-too-low", "the supervisor is not cleared for this", hint=hint, act="add a wrap")
    if terminal is None or not is_reader(view, terminal, classification):
        raise Refused(
            "reader-not-cleared", "that terminal's officer is not active and cleared for this", hint="ask a supervisor"
        )


def added_item_hash(signed: bytes) -> bytes:
    """What is anchored: SHA-256 of a canonical SignedAddedWrap, 32 bytes."""
    return sha256(signed).digest()


def _one_wrap(head: Head, terminal_id: bytes) -> Head:
    """The head with that terminal's wrap alone, and its path."""
    if len(head.wraps) == read_outer(head).terminal_count:
        return split_head(head, [terminal_id])
    return replace(head, wraps=tuple(one for one in head.wraps if one.wrap.terminal_id == terminal_id))


def _split(data: bytes) -> tuple[AddedWrap, Signature, bytes]:
    outer = CODEC.decode(SignedAddedWrap, data, limit=MAX_ADDED)
    added = CODEC.decode(AddedWrap, outer.added, limit=MAX_ADDED)
    _check(added)
    if outer.supervisor is None:
        raise Malformed("bad-added-wrap", "the added wrap has no signature", hint=DO_NOT_RELY)
    return added, outer.supervisor, outer.added


def _check(added: AddedWrap) -> None:
    ids = (added.terminal_id, added.bundle_hash, added.by_terminal_id)
    if any(len(one) != ID_BYTES for one in ids) or len(added.sealed) != SEALED_BYTES or added.size < 1:
        raise Malformed("bad-added-wrap", "a field of the added wrap is not allowed", hint=DO_NOT_RELY)


def _info(envelope_id: bytes, terminal_id: bytes, bundle_hash: bytes, by_terminal_id: bytes) -> bytes:
    return b"dutabarta/v1/added-wrap\x00" + envelope_id + terminal_id + bundle_hash + by_terminal_id
