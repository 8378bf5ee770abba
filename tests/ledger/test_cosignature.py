from __future__ import annotations

from dataclasses import replace

import pytest

from keys.public import SUITE_ED25519
from keys.signing import SoftwareSigner
from ledger.checkpoint import Checkpoint
from ledger.cosignature import (
    MAX_TIMESTAMP,
    CosignerKey,
    cosign,
    cosigned_message,
    cosigner_name,
    verify_cosignature,
)
from ledger.note import NoteSignature
from protos.errors import Malformed, Refused, VerificationFailed
from support.witnesses import COSIGNED_AT, Witnesses, seed

NETWORK = Witnesses()
CHECKPOINT = Checkpoint(NETWORK.origin, 7, seed("root"))
KEY = NETWORK.cosigner_key("DEL")


def signed_at(timestamp: int) -> NoteSignature:
    """A cosignature whose signature holds, whatever its timestamp."""
    message = cosigned_message(KEY.name, CHECKPOINT, timestamp)
    signature = NETWORK.cosigners["DEL"].sign_note(message)
    return NoteSignature(KEY.name, KEY.verifier.key_id, timestamp.to_bytes(8, "big") + signature)


def test_the_cosigned_message_is_that_of_the_specification() -> None:
    message = cosigned_message("witness.example/w1", Checkpoint("log.example", 258, bytes(range(32))), 1_679_315_147)
    assert message == (
        b"subtree/v1\n\x00"
        b"\x12witness.example/w1"
        b"\x00\x00\x00\x00\x64\x18\x50\xcb"
        b"\x0blog.example"
        b"\x00\x00\x00\x00\x00\x00\x00\x00"
        b"\x00\x00\x00\x00\x00\x00\x01\x02" + bytes(range(32))
    )


def test_a_cosignature_verifies_and_tells_its_time() -> None:
    line = NETWORK.cosignature("DEL", CHECKPOINT)
    assert verify_cosignature(KEY, CHECKPOINT, line) == COSIGNED_AT
    assert len(line.signature) == 8 + 2420


@pytest.mark.parametrize(
    "other",
    [
        replace(CHECKPOINT, size=8),
        replace(CHECKPOINT, root=seed("another root")),
        replace(CHECKPOINT, origin="elsewhere.example"),
    ],
)
def test_it_covers_origin_size_and_root(other: Checkpoint) -> None:
    with pytest.raises(VerificationFailed):
        verify_cosignature(KEY, other, NETWORK.cosignature("DEL", CHECKPOINT))


def test_it_covers_the_name_of_the_cosigner() -> None:
    line = NETWORK.cosignature("DEL", CHECKPOINT)
    renamed = CosignerKey(cosigner_name(NETWORK.origin, "LON"), KEY.public_key)
    with pytest.raises(VerificationFailed):
        verify_cosignature(renamed, CHECKPOINT, NoteSignature(renamed.name, renamed.verifier.key_id, line.signature))


def test_every_flipped_byte_is_refused() -> None:
    line = NETWORK.cosignature("DEL", CHECKPOINT)
    for at in range(len(line.signature)):
        flipped = bytearray(line.signature)
        flipped[at] ^= 1 << at % 8
        with pytest.raises(VerificationFailed):
            verify_cosignature(KEY, CHECKPOINT, replace(line, signature=bytes(flipped)))


@pytest.mark.parametrize("timestamp", [0, MAX_TIMESTAMP + 1])
def test_a_time_out_of_bounds_is_refused_even_if_signed(timestamp: int) -> None:
    assert verify_cosignature(KEY, CHECKPOINT, signed_at(MAX_TIMESTAMP)) == MAX_TIMESTAMP
    with pytest.raises(VerificationFailed):
        verify_cosignature(KEY, CHECKPOINT, signed_at(timestamp))
    with pytest.raises(Refused):
        cosign(NETWORK.cosigners["DEL"], KEY.name, CHECKPOINT, timestamp)


@pytest.mark.parametrize("length", [0, 7, 8, 8 + 2419, 8 + 2421])
def test_a_signature_of_another_length_is_refused(length: int) -> None:
    line = NETWORK.cosignature("DEL", CHECKPOINT)
    with pytest.raises(VerificationFailed):
        verify_cosignature(KEY, CHECKPOINT, replace(line, signature=(line.signature + b"\x00")[:length]))


def test_only_an_ml_dsa_44_key_cosigns() -> None:
    with pytest.raises(Refused):
        cosign(SoftwareSigner.from_secret(SUITE_ED25519, seed("key")), KEY.name, CHECKPOINT, 1)


def test_a_cosigner_key_comes_back_from_its_vkey() -> None:
    assert CosignerKey.from_vkey(KEY.vkey) == KEY
    with pytest.raises(Malformed):
        CosignerKey.from_vkey(NETWORK.log_key("DHA").vkey)
