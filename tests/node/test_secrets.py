from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from keys.possession import check_proven
from keys.public import SUITE_ED25519, SUITE_MLDSA44
from keys.signing import DirectVerifier
from node.secrets import NodeKeys, create_node_keys, load_node_keys
from protos.errors import DutabartaError, Refused
from support.bits import flip


def test_created_keys_load_again_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    made = create_node_keys(tmp_path / "keys")
    loaded = load_node_keys(tmp_path / "keys")
    assert loaded.tls == made.tls
    assert [s.secret for s in (loaded.entry, loaded.cosigner, loaded.log)] == [
        s.secret for s in (made.entry, made.cosigner, made.log)
    ]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "keys").iterdir()} == {0o600}


@pytest.mark.parametrize(("role", "suite"), [("entry", SUITE_ED25519), ("cosigner", SUITE_MLDSA44), ("log", 1)])
def test_every_key_proves_its_possession(tmp_path: Path, role: str, suite: int) -> None:
    keys = create_node_keys(tmp_path / "keys")
    check_proven(keys.proven(role), role, suite, DirectVerifier())


def test_existing_keys_are_never_overwritten(tmp_path: Path) -> None:
    before = create_node_keys(tmp_path / "keys")
    with pytest.raises(Refused) as caught:
        create_node_keys(tmp_path / "keys")
    assert caught.value.code == "keys-exist"
    assert load_node_keys(tmp_path / "keys").tls == before.tls


@pytest.mark.parametrize("name", ["entry.key", "cosigner.key", "log.key", "tls.crt", "tls.key"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    create_node_keys(tmp_path / "keys")
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(DutabartaError) as caught:
        load_node_keys(tmp_path / "keys")
    assert name in caught.value.text


@pytest.mark.parametrize("text", [b"", b"dutabarta-key 1 zz\n", b"dutabarta-key 2 " + b"00" * 32, b"\xff\xfe"])
def test_a_damaged_key_file_is_refused(tmp_path: Path, text: bytes) -> None:
    create_node_keys(tmp_path / "keys")
    (tmp_path / "keys" / "entry.key").write_bytes(text)
    with pytest.raises(DutabartaError) as caught:
        load_node_keys(tmp_path / "keys")
    assert caught.value.code == "bad-node-key"


def known(keys: NodeKeys) -> list[object]:
    """What others know them by."""
    signers = (keys.entry, keys.cosigner, keys.log, keys.consensus)
    return [keys.tls, *(signer and signer.public_key for signer in signers)]


@pytest.mark.parametrize("name", ["entry.key", "cosigner.key", "log.key", "consensus.key", "tls.crt", "tls.key"])
def test_a_flipped_bit_never_leaves_the_same_keys(tmp_path: Path, name: str) -> None:
    """Refused here, or other keys, which are not those on the ledger: not even a letter's case goes unnoticed."""
    before, random, path = known(create_node_keys(tmp_path / "keys")), Random(5), tmp_path / "keys" / name
    whole = path.read_bytes()
    for _ in range(400):
        which = flip(path, random)
        try:
            assert known(load_node_keys(tmp_path / "keys")) != before, which
        except DutabartaError as problem:
            assert problem.code == "bad-node-key", which
        path.write_bytes(whole)
    assert known(load_node_keys(tmp_path / "keys")) == before


def test_secrets_are_not_in_the_repr(tmp_path: Path) -> None:
    keys = create_node_keys(tmp_path / "keys")
    assert keys.entry.secret.hex() not in repr(keys)
    assert keys.tls.key_pem.decode().split()[4] not in repr(keys)
