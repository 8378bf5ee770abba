"""EXPIRED: who signed it, what it may say, and that no bit of it changes unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crypto_msg.expired import MAX_EXPIRED, make_expired, read_expired, verify_expired
from crypto_msg.wire import Expired
from keys.public import SUITE_ED25519
from keys.signing import DirectVerifier, SoftwareSigner
from ledger.records import Post
from protos.errors import DutabartaError, Malformed, VerificationFailed

NETWORK_ID = bytes(range(32))
NODE = SoftwareSigner.from_secret(SUITE_ED25519, bytes(range(32)))
DHA = Post("DHA", True, False, "node.example:1", NODE.public_key.key, b"", b"", b"", b"", b"", 0, 1, 0)
SAID = Expired(bytes(range(32, 64)), "DEL", "WAS", "DHA", 1000, 1_800_000_000)
SIGNED = make_expired(SAID, NETWORK_ID, NODE)
GOLDEN = Path(__file__).parents[1] / "golden" / "expired-v1.hex"


def test_it_says_what_its_node_signed() -> None:
    assert verify_expired(SIGNED, NETWORK_ID, DHA, DirectVerifier()) == SAID == read_expired(SIGNED)
    assert len(SIGNED) <= MAX_EXPIRED


def test_the_golden_statement_is_still_written_and_read() -> None:
    assert bytes.fromhex(GOLDEN.read_text("ascii")) == SIGNED


@pytest.mark.parametrize(
    "post",
    [
        None,
        replace(DHA, code="DEL"),
        replace(DHA, entry_key=SoftwareSigner.from_secret(SUITE_ED25519, bytes(32)).public_key.key),
    ],
)
def test_only_the_node_that_it_names_may_have_signed_it(post: Post | None) -> None:
    with pytest.raises(VerificationFailed, match="no node of DHA"):
        verify_expired(SIGNED, NETWORK_ID, post, DirectVerifier())


def test_another_networks_statement_is_refused() -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify_expired(SIGNED, bytes(32), DHA, DirectVerifier())
    assert caught.value.code == "bad-signature"


@pytest.mark.parametrize(
    "changed",
    [{"envelope_id": b"x"}, {"origin": ""}, {"post": "was"}, {"by": "DHAKA"}, {"size": 0}, {"time": 0}, {"time": -1}],
)
def test_a_field_out_of_bounds_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(Malformed) as caught:
        make_expired(replace(SAID, **changed), NETWORK_ID, NODE)  # type: ignore[arg-type]
    assert caught.value.code == "bad-expired"


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    flipped = [
        SIGNED[: at // 8] + bytes([SIGNED[at // 8] ^ 1 << at % 8]) + SIGNED[at // 8 + 1 :]
        for at in range(8 * len(SIGNED))
    ]
    for data in (*flipped, *(SIGNED[:end] for end in range(len(SIGNED))), SIGNED + b"\x00"):
        with pytest.raises(DutabartaError):
            verify_expired(data, NETWORK_ID, DHA, DirectVerifier())
