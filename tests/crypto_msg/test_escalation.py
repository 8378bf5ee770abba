"""Escalations: who signed them, for whom they open, one size whatever they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crypto_msg.escalation import (
    MAX_POSTS,
    make_escalation,
    open_escalation,
    read_sealed_escalation,
    seal_escalation,
    verify_escalation,
)
from crypto_msg.wire import CODEC, Escalation, SealedEscalation
from keys.prekey import seal
from keys.signing import DirectVerifier
from protos.errors import DutabartaError, Malformed, VerificationFailed
from support.cables import NETWORK_ID, SIZE, small_world

WORLD = small_world()
SENDER, DUTY, OTHER = WORLD.seats["del1"], WORLD.seats["dha1"], WORLD.seats["dha2"]
PREKEYS = {DUTY.bundle.bundle_hash: DUTY.prekey}
SAID = Escalation(
    bytes(range(32)), "DEL", SENDER.terminal.terminal_id, 4, 1_800_000_000, ("LON", "WAS"), ("DHA",), SIZE
)
SIGNED = make_escalation(SAID, NETWORK_ID, SENDER.terminal_signer)
GOLDEN = Path(__file__).parents[1] / "golden" / "escalation-v1.hex"


def test_a_duty_officer_reads_who_has_not_answered() -> None:
    sealed = seal_escalation(SIGNED, DUTY.bundle)
    assert open_escalation(sealed, PREKEYS) == SIGNED
    assert verify_escalation(SIGNED, NETWORK_ID, SENDER.terminal, DirectVerifier()) == SAID
    assert read_sealed_escalation(sealed).terminal_id == DUTY.terminal.terminal_id


def test_the_golden_escalation_is_still_written() -> None:
    assert bytes.fromhex(GOLDEN.read_text("ascii")) == SIGNED


def test_all_have_one_size() -> None:
    codes = tuple(sorted(f"{a}{b}X" for a in "ABCDEFGHIJKL" for b in "ABCDEFGHIJKL")[:MAX_POSTS])
    for posts in ((), codes):
        said = replace(SAID, undelivered=posts, unacknowledged=())
        signed = make_escalation(said, NETWORK_ID, SENDER.terminal_signer)
        sealed = seal_escalation(signed, DUTY.bundle)
        assert len(sealed) == len(seal_escalation(SIGNED, DUTY.bundle)) and open_escalation(sealed, PREKEYS) == signed
        assert said.is_over == (not posts)


@pytest.mark.parametrize(
    "changed",
    [
        {"envelope_id": b""},
        {"post": "del"},
        {"terminal_id": b"x"},
        {"precedence": 5},
        {"released_at": -1},
        {"released_at": 2**62},
        {"undelivered": ("WAS", "LON")},
        {"undelivered": ("LON", "LON")},
        {"unacknowledged": ("LON",)},
        {"undelivered": ("nobody",)},
        {"size": 0},
    ],
)
def test_a_field_out_of_bounds_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        make_escalation(replace(SAID, **changed), NETWORK_ID, SENDER.terminal_signer)  # type: ignore[arg-type]


def test_only_the_terminal_that_it_names_may_have_signed_it() -> None:
    stranger = make_escalation(SAID, NETWORK_ID, OTHER.terminal_signer)
    cases = [(SIGNED, None), (stranger, SENDER.terminal), (SIGNED, replace(SENDER.terminal, retired_at=SIZE - 1))]
    for signed, terminal in cases:
        with pytest.raises(VerificationFailed) as caught:
            verify_escalation(signed, NETWORK_ID, terminal, DirectVerifier())
        assert caught.value.code == "unknown-terminal"
    with pytest.raises(VerificationFailed, match="did not sign"):
        verify_escalation(SIGNED, bytes(32), SENDER.terminal, DirectVerifier())


def test_it_opens_for_its_terminal_alone() -> None:
    sealed = seal_escalation(SIGNED, DUTY.bundle)
    with pytest.raises(VerificationFailed) as caught:
        open_escalation(sealed, {})
    assert caught.value.code == "prekey-gone"
    with pytest.raises(VerificationFailed):
        open_escalation(sealed, {DUTY.bundle.bundle_hash: OTHER.prekey})


def test_what_is_padded_otherwise_is_refused() -> None:
    info = b"dutabarta/v1/escalation\x00" + DUTY.terminal.terminal_id + DUTY.bundle.bundle_hash
    for plain in (b"\xff\xff".ljust(1024, b"\x00"), b"\x00\x00".ljust(1023, b"\x00") + b"x"):
        inner = seal(DUTY.bundle.public_key, plain, info)
        data = CODEC.encode(SealedEscalation(DUTY.terminal.terminal_id, DUTY.bundle.bundle_hash, inner))
        with pytest.raises(Malformed):
            open_escalation(data, PREKEYS)


def test_flipped_bits_and_every_cut_is_refused() -> None:
    places = ((at, 1 << bit) for at in range(len(SIGNED)) for bit in (0, 7))
    flipped = (SIGNED[:at] + bytes([SIGNED[at] ^ bit]) + SIGNED[at + 1 :] for at, bit in places)
    for data in (*flipped, *(SIGNED[:end] for end in range(len(SIGNED)))):
        with pytest.raises(DutabartaError):
            verify_escalation(data, NETWORK_ID, SENDER.terminal, DirectVerifier())
