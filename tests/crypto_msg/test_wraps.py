"""Wraps: bound to their context, under one root, and silent about who may read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto_msg.prekey import VerifiedBundle
from crypto_msg.wire import Head, PlacedWrap, Wrap
from crypto_msg.wraps import (
    MAX_WRAPS,
    SEALED_WRAP_BYTES,
    NotForYou,
    Recipient,
    WrapContext,
    check_wraps,
    make_wraps,
    open_wrap,
    place_wraps,
    split_head,
    wraps_root,
)
from keys.prekey import Prekey
from protos.errors import Malformed, Refused, VerificationFailed
from support.cables import World

CEK = bytes(range(32))
POINT_END = 1088 + 32
"""An encapsulated key ends with its X25519 point, little-endian."""
CONTEXT = WrapContext(b"e" * 32, b"o" * 32)
PREKEY = Prekey.from_seed(bytes(32))
BUNDLE = VerifiedBundle(b"t" * 32, 1, PREKEY.public_key, b"h" * 32)
READER = Recipient(b"t" * 32, BUNDLE, True, 7)


def wrap_for(recipient: Recipient, cek: bytes = CEK) -> Wrap:
    return make_wraps([recipient], cek, CONTEXT, World().random)[0]


def test_a_wrap_holds_the_content_key_and_its_number() -> None:
    wrap = wrap_for(READER)
    other = Prekey.from_seed(b"1" * 32)
    assert open_wrap(wrap, {b"x" * 32: other, b"h" * 32: PREKEY}, CONTEXT) == (CEK, 7)
    assert len(wrap.sealed) == SEALED_WRAP_BYTES == 1176


@pytest.mark.parametrize(
    ("wrap", "prekeys", "context"),
    [
        (wrap_for(READER), {}, CONTEXT),
        (wrap_for(READER), {b"h" * 32: Prekey.from_seed(b"1" * 32)}, CONTEXT),
        (wrap_for(READER), {b"H" * 32: PREKEY}, CONTEXT),
        (wrap_for(READER), {b"h" * 32: PREKEY}, replace(CONTEXT, envelope_id=b"E" * 32)),
        (wrap_for(READER), {b"h" * 32: PREKEY}, replace(CONTEXT, origin_terminal_id=b"O" * 32)),
        (replace(wrap_for(READER), terminal_id=b"T" * 32), {b"h" * 32: PREKEY}, CONTEXT),
        (wrap_for(Recipient(b"t" * 32, None, True, 0)), {b"h" * 32: PREKEY}, CONTEXT),
    ],
    ids=["no-prekey", "other-prekey", "other-bundle", "other-envelope", "other-origin", "other-terminal", "no-bundle"],
)
def test_a_wrap_opens_in_its_context_only(wrap: Wrap, prekeys: dict[bytes, Prekey], context: WrapContext) -> None:
    with pytest.raises(VerificationFailed) as caught:
        open_wrap(wrap, prekeys, context)
    assert caught.value.code == "wrap-not-opened"


def test_a_terminal_that_may_not_read_gets_zeros_of_the_same_size() -> None:
    wraps = [
        wrap_for(READER),
        wrap_for(replace(READER, cleared=False, n=0)),
        wrap_for(Recipient(b"t" * 32, None, False, 0)),
    ]
    assert {len(one.sealed) for one in wraps} == {1176}
    with pytest.raises(NotForYou):
        open_wrap(wraps[1], {b"h" * 32: PREKEY}, CONTEXT)


def test_a_wrap_for_a_terminal_without_bundle_looks_like_any_other() -> None:
    random = World().random
    nobody = Recipient(b"t" * 32, None, False, 0)
    wraps = [make_wraps([nobody], CEK, CONTEXT, random)[0].sealed for _ in range(24)]
    assert {len(one) for one in wraps} == {1176} and len(set(wraps)) == 24
    assert all(one[POINT_END - 1] < 0x80 for one in wraps)  # RFC 7748 §5: a coordinate is below 2^255


@pytest.mark.parametrize(
    "recipients",
    [
        [],
        [READER, READER],
        [replace(READER, n=0)],
        [replace(READER, n=1 << 64)],
        [replace(READER, cleared=False)],
        [Recipient(b"t" * 32, None, True, 1)],
        [replace(READER, terminal_id=b"u" * 32)],
        [Recipient(n.to_bytes(32, "big"), None, True, 0) for n in range(MAX_WRAPS + 1)],
    ],
    ids=["none", "twice", "no-number", "number-too-large", "number-for-zeros", "no-bundle", "other-bundle", "too-many"],
)
def test_recipients_are_checked_before_anything_is_sealed(recipients: list[Recipient]) -> None:
    with pytest.raises(Refused) as caught:
        make_wraps(recipients, CEK, CONTEXT, World().random)
    assert caught.value.code == "bad-recipients"


def head_of(count: int) -> Head:
    recipients = [Recipient(bytes([n]) * 32, None, True, 0) for n in reversed(range(count))]
    wraps = make_wraps(recipients, CEK, CONTEXT, World().random)
    assert [one.terminal_id for one in wraps] == sorted(one.terminal_id for one in wraps)
    return Head(b"", b"", wraps_root(wraps), b"", place_wraps(wraps))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
def test_each_post_gets_its_own_wraps_with_their_paths(count: int) -> None:
    head = head_of(count)
    check_wraps(head, count)
    for kept in ([0], [count - 1], list(range(0, count, 2)), list(range(count))):
        part = split_head(head, [bytes([n]) * 32 for n in kept])
        assert [one.index for one in part.wraps] == kept
        check_wraps(part, count)
        assert (part == head) == (len(kept) == count)


def changed(part: Head, **changes: object) -> Head:
    return replace(part, wraps=(replace(part.wraps[0], **changes), *part.wraps[1:]))  # type: ignore[arg-type]


def test_a_wrap_elsewhere_or_otherwise_is_refused() -> None:
    whole = head_of(5)
    part = split_head(whole, [bytes([1]) * 32, bytes([3]) * 32])
    first: PlacedWrap = part.wraps[0]
    wrong = [
        changed(part, index=2),
        changed(part, index=0),
        changed(part, index=9),
        changed(part, path=first.path[:-1]),
        changed(part, path=(*first.path, bytes(32))),
        changed(part, path=(b"x", *first.path[1:])),
        changed(part, wrap=replace(first.wrap, terminal_id=bytes([2]) * 32)),
        changed(part, wrap=replace(first.wrap, sealed=bytes(1176))),
        changed(part, wrap=replace(first.wrap, sealed=bytes(1175))),
        changed(part, wrap=replace(first.wrap, terminal_id=b"")),
        replace(part, wraps=()),
        replace(part, wraps=part.wraps[::-1]),
        replace(part, wraps=(first, first)),
        replace(part, wraps_root=bytes(32)),
        replace(part, wraps_root=b""),
        changed(whole, index=1),
        changed(whole, path=(bytes(32),)),
        replace(whole, wraps=(*whole.wraps[:4], replace(whole.wraps[4], index=5))),
        replace(whole, wraps=(*whole.wraps, replace(whole.wraps[4], index=5))),
        replace(whole, wraps=(whole.wraps[1], whole.wraps[0], *whole.wraps[2:])),
        replace(whole, wraps_root=bytes(32)),
    ]
    for head in wrong:
        with pytest.raises((Malformed, VerificationFailed)) as caught:
            check_wraps(head, 5)
        assert caught.value.code in ("bad-wraps", "wraps-changed")


def test_only_a_whole_head_is_split() -> None:
    part = split_head(head_of(5), [bytes([1]) * 32])
    with pytest.raises(Malformed):
        split_head(part, [bytes([1]) * 32])
