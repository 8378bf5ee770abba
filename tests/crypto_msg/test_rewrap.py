"""NAKs and re-wraps: signed, canonical, bound to one cable, terminal, bundle and network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.nak import MAX_NAK, Reason, make_nak, read_nak, verify_nak
from crypto_msg.opening import open_cable
from crypto_msg.rewrap import (
    MAX_REWRAP,
    SEALED_BYTES,
    Content,
    make_rewrap,
    open_rewrap,
    read_rewrap,
    verify_rewrap,
)
from crypto_msg.wire import CODEC, Nak, Rewrap, SignedNak, SignedRewrap
from keys.signing import DirectVerifier
from ledger.records import Terminal
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.cables import NETWORK_ID, SIZE, plain_draft, small_world
from support.forger import flip

WORLD = small_world()
READER, ORIGIN, DEPUTY = WORLD.seats["del1"], WORLD.seats["dha1"], WORLD.seats["dha2"]
PREKEYS = {READER.bundle.bundle_hash: READER.prekey}
IDS = st.binary(min_size=32, max_size=32)
NAK = Nak(b"e" * 32, READER.terminal.terminal_id, 1, READER.bundle.bundle_hash, 1200, ORIGIN.terminal.terminal_id, 0)
SIGNED_NAK = make_nak(NAK, NETWORK_ID, READER.terminal_signer)
CONTENT = Content(b"c" * 32, 7, ORIGIN.terminal.terminal_id, 7)


def made(content: Content = CONTENT, envelope_id: bytes = b"e" * 32, size: int = 1200) -> bytes:
    return make_rewrap(envelope_id, content, READER.bundle, size, NETWORK_ID, ORIGIN.terminal_signer)


SIGNED_REWRAP = made()


def check_nak(data: bytes, network_id: bytes = NETWORK_ID, terminal: Terminal | None = READER.terminal) -> Nak:
    return verify_nak(data, network_id, terminal, DirectVerifier())


def check_rewrap(data: bytes, network_id: bytes = NETWORK_ID, terminal: Terminal | None = ORIGIN.terminal) -> Rewrap:
    return verify_rewrap(data, network_id, terminal, DirectVerifier())


@given(IDS, st.sampled_from(Reason), IDS, st.integers(12, 2**64 - 1), st.integers(1, 2**64 - 1))
def test_a_nak_comes_back_as_it_was(envelope_id: bytes, reason: Reason, bundle_hash: bytes, size: int, n: int) -> None:
    by_number = reason == Reason.NEVER_CAME
    changes = (b"", n) if by_number else (envelope_id, 0)
    nak = replace(NAK, envelope_id=changes[0], reason=reason, bundle_hash=bundle_hash, size=size, n=changes[1])
    data = make_nak(nak, NETWORK_ID, READER.terminal_signer)
    assert len(data) <= MAX_NAK and check_nak(data) == read_nak(data) == nak


@given(IDS, st.binary(min_size=32, max_size=32), st.integers(1, 2**64 - 1), st.booleans(), st.integers(12, 2**64 - 1))
def test_a_rewrap_comes_back_as_it_was(envelope_id: bytes, cek: bytes, n: int, new: bool, size: int) -> None:
    content = Content(cek, n, ORIGIN.terminal.terminal_id, 0 if new else n)
    data = made(content, envelope_id, size)
    rewrap = check_rewrap(data)
    assert rewrap == read_rewrap(data) and len(data) <= MAX_REWRAP
    assert (rewrap.envelope_id, rewrap.terminal_id, rewrap.size) == (envelope_id, READER.terminal.terminal_id, size)
    assert open_rewrap(rewrap, PREKEYS) == content


@pytest.mark.parametrize(
    ("data", "check"), [(SIGNED_NAK, check_nak), (SIGNED_REWRAP, check_rewrap)], ids=["nak", "rewrap"]
)
def test_every_flipped_bit_and_every_cut_is_refused(data: bytes, check: Callable[[bytes], object]) -> None:
    for bit in range(len(data) * 8):
        with pytest.raises((Malformed, VerificationFailed)):
            check(flip(data, bit))
    for end in range(len(data)):
        with pytest.raises(Malformed):
            check(data[:end])


@pytest.mark.parametrize("read", [read_nak, read_rewrap])
def test_bytes_that_are_not_canonical_are_refused(read: Callable[[bytes], object]) -> None:
    data = SIGNED_NAK if read is read_nak else SIGNED_REWRAP
    first = 2 + data[1] if data[1] < 128 else 3 + (data[1] & 127) + (data[2] << 7)
    swapped = data[first:] + data[:first]
    for other in (data + b"\x18\x00", swapped, data + data[first:], data + b"\x7a\x00"):
        with pytest.raises(Malformed):
            read(other)


@given(st.binary(max_size=500))
def test_arbitrary_bytes_raise_nothing_but_named_errors(data: bytes) -> None:
    signature = CODEC.decode(SignedNak, SIGNED_NAK, limit=MAX_NAK).signature
    for call in (
        lambda: check_nak(data),
        lambda: check_rewrap(data),
        lambda: check_nak(CODEC.encode(SignedNak(data, signature))),
        lambda: check_rewrap(CODEC.encode(SignedRewrap(data, signature))),
    ):
        with pytest.raises(DutabartaError):
            call()


def test_of_another_network_or_terminal_they_are_refused() -> None:
    for call in (
        lambda: check_nak(SIGNED_NAK, network_id=bytes(32)),
        lambda: check_rewrap(SIGNED_REWRAP, network_id=bytes(32)),
        lambda: check_nak(make_nak(NAK, NETWORK_ID, ORIGIN.terminal_signer)),
        lambda: check_nak(SIGNED_NAK, terminal=None),
        lambda: check_nak(SIGNED_NAK, terminal=replace(READER.terminal, retired_at=1199)),
        lambda: check_rewrap(SIGNED_REWRAP, terminal=replace(ORIGIN.terminal, enrolled_at=1200)),
        lambda: check_rewrap(SIGNED_REWRAP, terminal=DEPUTY.terminal),
    ):
        with pytest.raises(VerificationFailed):
            call()


@pytest.mark.parametrize(
    "changes",
    [
        {"envelope_id": b""},
        {"envelope_id": bytes(31)},
        {"terminal_id": b""},
        {"reason": 0},
        {"reason": 4},
        {"reason": 3},
        {"reason": 3, "n": 1},
        {"bundle_hash": bytes(33)},
        {"size": 0},
        {"origin_terminal_id": b""},
        {"n": 1},
    ],
)
def test_a_field_of_a_nak_out_of_bounds_is_refused_on_both_sides(changes: dict[str, object]) -> None:
    nak = replace(NAK, **changes)  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        make_nak(nak, NETWORK_ID, READER.terminal_signer)
    signature = CODEC.decode(SignedNak, SIGNED_NAK, limit=MAX_NAK).signature
    for data in (SignedNak(CODEC.encode(nak), signature), SignedNak(CODEC.encode(NAK), None)):
        with pytest.raises(Malformed):
            read_nak(CODEC.encode(data))


def test_a_field_of_a_rewrap_out_of_bounds_is_refused() -> None:
    signed = CODEC.decode(SignedRewrap, SIGNED_REWRAP, limit=MAX_REWRAP)
    good = CODEC.decode(Rewrap, signed.rewrap, limit=MAX_REWRAP)
    for changes in (
        {"envelope_id": b""},
        {"terminal_id": bytes(31)},
        {"bundle_hash": b""},
        {"by_terminal_id": bytes(33)},
        {"size": 0},
        {"sealed": bytes(SEALED_BYTES - 1)},
    ):
        rewrap = replace(good, **changes)  # type: ignore[arg-type]
        with pytest.raises(Malformed):
            read_rewrap(CODEC.encode(SignedRewrap(CODEC.encode(rewrap), signed.signature)))
    with pytest.raises(Malformed):
        read_rewrap(CODEC.encode(SignedRewrap(signed.rewrap, None)))


@pytest.mark.parametrize(
    "content",
    [
        replace(CONTENT, n=0, replaced_n=0),
        replace(CONTENT, n=8),
        replace(CONTENT, n=2**64, replaced_n=0),
        replace(CONTENT, cek=bytes(31)),
        replace(CONTENT, replaced_terminal_id=b""),
    ],
)
def test_content_out_of_bounds_is_not_sealed(content: Content) -> None:
    """The same terminal keeps the number that its wrap had."""
    with pytest.raises(Malformed):
        made(content)


def test_a_rewrap_opens_in_its_context_only() -> None:
    rewrap = read_rewrap(SIGNED_REWRAP)
    for changes in ({"envelope_id": bytes(32)}, {"terminal_id": bytes(32)}, {"by_terminal_id": bytes(32)}):
        with pytest.raises(VerificationFailed) as caught:
            open_rewrap(replace(rewrap, **changes), PREKEYS)  # type: ignore[arg-type]
        assert caught.value.code == "wrap-not-opened"
    with pytest.raises(VerificationFailed):
        open_rewrap(rewrap, {})
    with pytest.raises(VerificationFailed):
        open_rewrap(rewrap, {READER.bundle.bundle_hash: ORIGIN.prekey})


def test_a_cable_opens_by_its_rewrap_though_its_prekey_is_gone() -> None:
    world = small_world()
    sealed = world.seal(plain_draft(), "dha1")
    reader = replace(world.reader("del1"), prekeys={})
    with pytest.raises(VerificationFailed) as caught:
        open_cable(sealed.head, sealed.envelope.body, reader)
    assert caught.value.code == "wrap-not-opened"
    by = ORIGIN.terminal.terminal_id
    opened = open_cable(sealed.head, sealed.envelope.body, reader, Content(sealed.cek, 7, by, 7))
    assert (opened.cek, opened.n) == (sealed.cek, 7)
    with pytest.raises(VerificationFailed) as caught:
        open_cable(sealed.head, sealed.envelope.body, reader, Content(bytes(32), 7, by, 7))
    assert caught.value.code == "key-not-committed"
    assert opened.outer.size_seen == SIZE
