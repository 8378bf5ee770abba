from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.public import SUITE_MLDSA44
from keys.signing import SoftwareSigner
from ledger.checkpoint import Checkpoint, LogKey, origin_of, parse_checkpoint, sign_checkpoint, verify_log_signature
from ledger.merkle import MAX_SIZE, empty_root
from ledger.note import encode_base64
from protos.errors import Malformed, Refused, VerificationFailed
from support.witnesses import Witnesses, seed

ROOT = encode_base64(seed("root"))
NETWORK = Witnesses()


def test_the_example_of_the_specification_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == text


@given(st.integers(1, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back_from_its_text(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(NETWORK.origin, size, root)
    assert parse_checkpoint(checkpoint.text) == checkpoint


@given(st.text(max_size=60) | st.text(max_size=20).map(lambda size: f"origin\n{size}\n{ROOT}\n"))
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    try:
        checkpoint = parse_checkpoint(text)
    except Malformed:
        return
    assert checkpoint.text == text


@pytest.mark.parametrize(
    "text",
    [
        f"origin\n7\n{ROOT}",
        f"origin\n7\n{ROOT}\nextension\n",
        f"origin\n7\n{ROOT}\n\n",
        f"\n7\n{ROOT}\n",
        f"two words\n7\n{ROOT}\n",
        f"origin\n07\n{ROOT}\n",
        f"origin\n+7\n{ROOT}\n",
        f"origin\n-7\n{ROOT}\n",
        f"origin\n٧\n{ROOT}\n",
        f"origin\n²\n{ROOT}\n",
        f"origin\n\n{ROOT}\n",
        f"origin\n{MAX_SIZE + 1}\n{ROOT}\n",
        f"origin\n{'9' * 5000}\n{ROOT}\n",
        f"origin\n7\n{ROOT[:-1]}\n",
        f"origin\n7\n{encode_base64(bytes(31))}\n",
        f"origin\n0\n{ROOT}\n",
        f"origin\n7\n{encode_base64(empty_root())}\n",
    ],
)
def test_a_checkpoint_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(text)


def test_a_log_signature_verifies_with_its_key_only() -> None:
    checkpoint = Checkpoint(NETWORK.origin, 7, seed("root"))
    line = sign_checkpoint(NETWORK.log_signer("DHA"), checkpoint)
    verify_log_signature(NETWORK.log_key("DHA"), checkpoint, line)
    with pytest.raises(VerificationFailed):
        verify_log_signature(NETWORK.log_key("DEL"), checkpoint, line)
    for other in (
        Checkpoint(NETWORK.origin, 8, checkpoint.root),
        Checkpoint(NETWORK.origin, 7, seed("another root")),
        Checkpoint("elsewhere.example", 7, checkpoint.root),
    ):
        with pytest.raises(VerificationFailed):
            verify_log_signature(NETWORK.log_key("DHA"), other, line)


def test_a_log_key_comes_back_from_its_vkey() -> None:
    key = NETWORK.log_key("DHA")
    assert LogKey.from_vkey(key.vkey) == key
    with pytest.raises(Malformed):
        LogKey.from_vkey(NETWORK.cosigner_key("DHA").vkey)


def test_only_an_ed25519_key_signs_as_a_log() -> None:
    with pytest.raises(Refused):
        sign_checkpoint(SoftwareSigner.from_secret(SUITE_MLDSA44, seed("key")), Checkpoint("origin", 7, seed("root")))


def test_the_origin_names_the_network() -> None:
    assert origin_of("dutabarta.example", bytes(range(32))) == "dutabarta.example/000102030405060708090a0b0c0d0e0f"


@pytest.mark.parametrize("name", ["two words", "plus+sign", "x" * 250, "dutabarta/v1"])
def test_a_name_that_cannot_be_an_origin_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        origin_of(name, bytes(32))
