"""Receipts: signed, bound to one cable, and silent on the way when they say who has read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_msg.anchor import cable_item_hash, receipt_item_hash
from crypto_msg.receipt import (
    MAX_RECEIPT,
    ReceiptKind,
    contradicts,
    make_receipt,
    open_receipt,
    read_receipt,
    read_sealed_receipt,
    seal_receipt,
    verify_receipt,
)
from crypto_msg.wire import CODEC, Receipt, SealedReceipt, SignedReceipt
from keys.signing import DirectVerifier
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.cables import NETWORK_ID, small_world
from support.forger import flip

WORLD = small_world()
READER, ORIGIN = WORLD.seats["del1"], WORLD.seats["dha1"]
PREKEYS = {ORIGIN.bundle.bundle_hash: ORIGIN.prekey}
HASHES = (b"e" * 32, b"b" * 32, b"i" * 32)
RECEIPT = Receipt(1, *HASHES, "DEL", READER.terminal.terminal_id, 1200, b"r" * 32, 1_800_000_000)
SIGNED = make_receipt(RECEIPT, NETWORK_ID, READER.terminal_signer)


def verify(data: bytes = SIGNED, network_id: bytes = NETWORK_ID) -> Receipt:
    return verify_receipt(data, network_id, READER.terminal, DirectVerifier())


@pytest.mark.parametrize("kind", ReceiptKind)
def test_a_receipt_is_verified(kind: ReceiptKind) -> None:
    receipt = replace(RECEIPT, kind=kind)
    data = make_receipt(receipt, NETWORK_ID, READER.terminal_signer)
    assert verify(data) == read_receipt(data) == receipt


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    for bit in range(len(SIGNED) * 8):
        with pytest.raises((Malformed, VerificationFailed)):
            verify(flip(SIGNED, bit))
    for end in range(len(SIGNED)):
        with pytest.raises(Malformed):
            verify(SIGNED[:end])


def test_the_terminal_is_judged_at_the_size_it_names() -> None:
    for changes in ({"retired_at": 1199}, {"enrolled_at": 1200}, {"post": "LON"}, {"terminal_id": bytes(32)}):
        terminal = replace(READER.terminal, **changes)  # type: ignore[arg-type]
        with pytest.raises(VerificationFailed) as caught:
            verify_receipt(SIGNED, NETWORK_ID, terminal, DirectVerifier())
        assert caught.value.code == "unknown-terminal"
    with pytest.raises(VerificationFailed):
        verify_receipt(SIGNED, NETWORK_ID, None, DirectVerifier())
    verify_receipt(SIGNED, NETWORK_ID, replace(READER.terminal, retired_at=1200), DirectVerifier())


def test_a_receipt_of_another_network_or_terminal_is_refused() -> None:
    with pytest.raises(VerificationFailed):
        verify(network_id=bytes(32))
    with pytest.raises(VerificationFailed):
        verify(make_receipt(RECEIPT, NETWORK_ID, ORIGIN.terminal_signer))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": 0},
        {"kind": 4},
        {"envelope_id": b""},
        {"body_root": bytes(31)},
        {"inner_hash": b""},
        {"post": ""},
        {"terminal_id": b""},
        {"size": 0},
        {"root": bytes(33)},
        {"at": -1},
    ],
)
def test_a_field_out_of_bounds_is_refused_on_both_sides(changes: dict[str, object]) -> None:
    receipt = replace(RECEIPT, **changes)  # type: ignore[arg-type]
    with pytest.raises(Malformed):
        make_receipt(receipt, NETWORK_ID, READER.terminal_signer)
    signature = CODEC.decode(SignedReceipt, SIGNED, limit=MAX_RECEIPT).signature
    with pytest.raises(Malformed):
        read_receipt(CODEC.encode(SignedReceipt(CODEC.encode(receipt), signature)))


def test_a_receipt_without_a_signature_is_refused() -> None:
    with pytest.raises(Malformed):
        read_receipt(CODEC.encode(SignedReceipt(CODEC.encode(RECEIPT), None)))


def test_different_values_for_one_envelope_contradict() -> None:
    assert not contradicts(RECEIPT, replace(RECEIPT, kind=2, terminal_id=bytes(32), at=5, size=9))
    assert contradicts(RECEIPT, replace(RECEIPT, body_root=bytes(32)))
    assert contradicts(RECEIPT, replace(RECEIPT, inner_hash=bytes(32)))
    assert not contradicts(RECEIPT, replace(RECEIPT, envelope_id=bytes(32), inner_hash=bytes(32)))


LARGEST = replace(RECEIPT, kind=3, size=2**64 - 1, at=2**63 - 1)


def test_a_sealed_receipt_has_one_size_whatever_it_says() -> None:
    sizes = set()
    for receipt in (replace(RECEIPT, kind=2), LARGEST, replace(RECEIPT, kind=3, size=1, at=0)):
        signed = make_receipt(receipt, NETWORK_ID, READER.terminal_signer)
        sealed = seal_receipt(signed, ORIGIN.bundle)
        sizes.add(len(sealed))
        assert open_receipt(sealed, PREKEYS) == signed
        assert signed[10:90] not in sealed
    assert sizes == {1625}


def test_every_sampled_flip_of_a_sealed_receipt_is_refused() -> None:
    sealed = seal_receipt(SIGNED, ORIGIN.bundle)
    for bit in range(0, len(sealed) * 8, 7):
        with pytest.raises((Malformed, VerificationFailed)):
            open_receipt(flip(sealed, bit), PREKEYS)


def test_a_sealed_receipt_opens_in_its_context_only() -> None:
    sealed = read_sealed_receipt(seal_receipt(SIGNED, ORIGIN.bundle))
    for changes in ({"envelope_id": bytes(32)}, {"terminal_id": bytes(32)}):
        with pytest.raises(VerificationFailed) as caught:
            open_receipt(CODEC.encode(replace(sealed, **changes)), PREKEYS)  # type: ignore[arg-type]
        assert caught.value.code == "cannot-open"
    with pytest.raises(VerificationFailed) as caught:
        open_receipt(CODEC.encode(sealed), {})
    assert caught.value.code == "prekey-gone"
    with pytest.raises(Malformed):
        read_sealed_receipt(CODEC.encode(replace(sealed, sealed=sealed.sealed[:-1])))


@given(st.binary(max_size=400))
def test_arbitrary_bytes_raise_nothing_but_named_errors(data: bytes) -> None:
    ids = (b"e" * 32, ORIGIN.terminal.terminal_id, ORIGIN.bundle.bundle_hash)
    for call in (
        lambda: verify(data),
        lambda: open_receipt(data, PREKEYS),
        lambda: open_receipt(CODEC.encode(SealedReceipt(*ids, data.ljust(1520, b"x"))), PREKEYS),
    ):
        with pytest.raises(DutabartaError):
            call()


def test_item_hashes() -> None:
    assert (
        cable_item_hash(b"e" * 32, b"b" * 32).hex()
        == "f8194e063fbe9b96f427464d047057da722af4b8a0f7c35ba1feef3b89e666be"
    )
    assert receipt_item_hash(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
