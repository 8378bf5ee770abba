"""Wraps: the content key sealed to each terminal, and the tree over them (docs/protocol/cable.md §5).

Clearance is enforced here, by the sender: a terminal that may not read gets a wrap of zeros, of the same size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from crypto_msg.hints import DO_NOT_RELY
from crypto_msg.prekey import VerifiedBundle
from crypto_msg.segments import CEK_BYTES
from crypto_msg.wire import Head, PlacedWrap, Wrap
from keys.prekey import OVERHEAD_BYTES, SEED_BYTES, Prekey, seal
from ledger.merkle import Tree, leaf_hash, root_of, verify_inclusion
from protos.errors import DutabartaError, Malformed, Refused, VerificationFailed

COUNTER_BYTES = 8
MAX_COUNTER = 2**64 - 1
HASH_BYTES = 32
WRAPPED_BYTES = CEK_BYTES + COUNTER_BYTES
SEALED_WRAP_BYTES = WRAPPED_BYTES + OVERHEAD_BYTES
MAX_WRAPS = 1024

_NOTHING = bytes(WRAPPED_BYTES)

Random = Callable[[int], bytes]


class NotForYou(DutabartaError):
    """A wrap of zeros: this terminal's officer may not read the cable. The terminal drops it without a word."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A terminal of an addressed post. `n` counts the wraps made for it by the sealing terminal, from 1.

    A terminal that is not cleared, or has no bundle, takes no n: give 0.
    """

    terminal_id: bytes
    bundle: VerifiedBundle | None
    cleared: bool
    n: int


@dataclass(frozen=True, slots=True)
class WrapContext:
    """What every wrap of one envelope is bound to."""

    envelope_id: bytes
    origin_terminal_id: bytes

    def info(self, terminal_id: bytes, bundle_hash: bytes) -> bytes:
        """The HPKE info of one recipient's wrap."""
        parts = (b"dutabarta/v1/wrap\x00", self.envelope_id, terminal_id, bundle_hash, self.origin_terminal_id)
        return b"".join(parts)


def make_wraps(recipients: Sequence[Recipient], cek: bytes, context: WrapContext, random: Random) -> tuple[Wrap, ...]:
    """A wrap for each recipient, sorted by terminal id. Raises `Refused` ("bad-recipients")."""
    check_recipients(recipients)
    ordered = sorted(recipients, key=lambda one: one.terminal_id)
    return tuple(Wrap(one.terminal_id, _seal_wrap(one, cek, context, random)) for one in ordered)


def check_recipients(recipients: Sequence[Recipient]) -> None:
    """Raise `Refused` ("bad-recipients") unless they are 1 to 1,024 terminals, each once, with its own bundle and n."""
    ids = {one.terminal_id for one in recipients}
    if not 1 <= len(recipients) <= MAX_WRAPS or len(ids) != len(recipients):
        raise Refused("bad-recipients", f"a cable goes to 1 to {MAX_WRAPS} terminals, to each once", limit=MAX_WRAPS)
    for one in recipients:
        counts = one.cleared and one.bundle is not None
        if one.n not in (range(1, MAX_COUNTER + 1) if counts else (0,)):
            raise Refused("bad-recipients", "only a wrap that can be read takes a number, from 1", limit=MAX_WRAPS)
        if one.bundle is not None and one.bundle.terminal_id != one.terminal_id:
            raise Refused("bad-recipients", "a terminal comes with another terminal's bundle", limit=MAX_WRAPS)


def place_wraps(wraps: Sequence[Wrap]) -> tuple[PlacedWrap, ...]:
    """All wraps of an envelope in their places; the paths are left out where nothing is missing."""
    return tuple(PlacedWrap(wrap, index, ()) for index, wrap in enumerate(wraps))


def wraps_root(wraps: Iterable[Wrap]) -> bytes:
    """RFC 6962 root over terminal id || sealed, in ascending order of terminal id."""
    return root_of(map(_leaf, wraps))


def split_head(head: Head, terminal_ids: Iterable[bytes]) -> Head:
    """A full head cut down to the wraps of some terminals, with their paths: what one post's node is sent."""
    wanted = frozenset(terminal_ids)
    tree = Tree(_leaf(placed.wrap) for placed in head.wraps)
    if tree.root() != head.wraps_root:
        raise Malformed("bad-wraps", "only a head that holds every wrap can be split", hint=DO_NOT_RELY)
    kept = tuple(placed for placed in head.wraps if placed.wrap.terminal_id in wanted)
    if len(kept) == tree.size:
        return head
    return replace(head, wraps=tuple(replace(one, path=tree.inclusion(one.index, tree.size)) for one in kept))


def check_wraps(head: Head, count: int) -> None:
    """Raise unless every wrap of the head stands under its wraps root, in the tree of `count` wraps.

    Raises `Malformed` ("bad-wraps") for the form, `VerificationFailed` ("wraps-changed") for the root.
    """
    placed = head.wraps
    if not 1 <= len(placed) <= count:
        raise Malformed("bad-wraps", f"the head holds {len(placed)} of {count} wraps", hint=DO_NOT_RELY)
    if any(len(one.wrap.terminal_id) != 32 or len(one.wrap.sealed) != SEALED_WRAP_BYTES for one in placed):
        raise Malformed("bad-wraps", "a wrap has another size", hint=DO_NOT_RELY)
    for one, following in pairwise(placed):
        if one.index >= following.index or one.wrap.terminal_id >= following.wrap.terminal_id:
            raise Malformed("bad-wraps", "the wraps are not in ascending order", hint=DO_NOT_RELY)
    try:
        _check_root(head, count)
    except VerificationFailed as problem:
        raise VerificationFailed(
            "wraps-changed", "a wrap does not stand under the signed wraps root", hint=DO_NOT_RELY
        ) from problem


def open_wrap(wrap: Wrap, prekeys: Mapping[bytes, Prekey], context: WrapContext) -> tuple[bytes, int]:
    """The CEK and n. `prekeys` by bundle hash, newest first: the wrap does not say to which it was sealed.

    Raises `NotForYou` for a wrap of zeros, `VerificationFailed` ("wrap-not-opened") if no prekey opens it.
    """
    for bundle_hash, prekey in prekeys.items():
        try:
            opened = prekey.open(wrap.sealed, context.info(wrap.terminal_id, bundle_hash))
        except VerificationFailed:
            continue
        if opened == _NOTHING:
            raise NotForYou("not-for-you", "this terminal's officer may not read this cable")
        return opened[:CEK_BYTES], int.from_bytes(opened[CEK_BYTES:], "big")
    hint = "The prekey may be gone: the originator can wrap the cable again."
    raise VerificationFailed("wrap-not-opened", "none of this terminal's prekeys opens its wrap", hint=hint)


def _seal_wrap(recipient: Recipient, cek: bytes, context: WrapContext, random: Random) -> bytes:
    bundle = recipient.bundle
    if (
        bundle is None
    ):  # random bytes would show: an X25519 point's top bit is 0, and ML-KEM ciphertexts are not uniform
        throwaway = Prekey.from_seed(random(SEED_BYTES))
        return seal(throwaway.public_key, _NOTHING, context.info(recipient.terminal_id, random(HASH_BYTES)))
    plaintext = cek + recipient.n.to_bytes(COUNTER_BYTES, "big") if recipient.cleared else _NOTHING
    return seal(bundle.public_key, plaintext, context.info(recipient.terminal_id, bundle.bundle_hash))


def _check_root(head: Head, count: int) -> None:
    if len(head.wraps) < count:
        for one in head.wraps:
            verify_inclusion(_leaf(one.wrap), one.index, count, one.path, head.wraps_root)
        return
    if any(one.path or one.index != at for at, one in enumerate(head.wraps)):
        raise Malformed("bad-wraps", "a head with all wraps holds them in order, without paths", hint=DO_NOT_RELY)
    if wraps_root(one.wrap for one in head.wraps) != head.wraps_root:
        raise VerificationFailed("wraps-changed", "the wraps do not give the wraps root", hint=DO_NOT_RELY)


def _leaf(wrap: Wrap) -> bytes:
    return leaf_hash(wrap.terminal_id + wrap.sealed)
