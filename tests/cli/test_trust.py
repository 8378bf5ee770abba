"""The trust file: written at a post, read by whoever holds the network id."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Commands
from support.ministry import Ministry


@pytest.fixture
def trust(ministry: Ministry, dutabarta: Commands, tmp_path: Path) -> Path:
    """The trust file that the node of WAS gives, stopped as it is."""
    ministry.store_log("WAS")
    path = tmp_path / "network.trust"
    said = dutabarta("ledger", "trust", "--home", dutabarta.home("WAS"), "--out", path, "--json")
    assert said.code == 0, said.err
    machine = ministry.machine
    assert said.data == {"network_id": machine.network_id.hex(), "size": machine.size, "out": str(path)}
    return path


@pytest.fixture
def proved(ministry: Ministry, dutabarta: Commands, tmp_path: Path) -> Path:
    """A cable of DHA and its proof, as PATH.cable and PATH.tlog-proof."""
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    ministry.close_slot()
    path = tmp_path / "arrival"
    assert dutabarta("cable", "proof", cable_id, *dutabarta.at("DHA"), "--out", path).code == 0
    return path


def verify(dutabarta: Commands, proved: Path, *trusted: str | Path) -> tuple[int, str]:
    proof = proved.with_suffix(".tlog-proof")
    said = dutabarta("verify", proved.with_suffix(".cable"), "--proof", proof, *trusted, "--json")
    return said.code, said.data["answer"] if said.out else said.err


def test_a_cable_is_proved_from_the_network_id_alone(
    ministry: Ministry, dutabarta: Commands, trust: Path, proved: Path, tmp_path: Path
) -> None:
    network_id = ministry.machine.network_id.hex()
    assert verify(dutabarta, proved, "--trust", trust, "--network-id", network_id) == (0, "genuine")
    said = dutabarta("ledger", "policy", "--trust", trust, "--network-id", network_id)
    assert said.code == 0 and said.err == ""
    assert said.out == (dutabarta.home("DHA") / "terminals" / "first" / "policy").read_text()
    policy = tmp_path / "policy"
    policy.write_text(said.out)
    assert verify(dutabarta, proved, "--policy", policy) == (0, "genuine")


def test_without_an_id_of_his_own_the_verifier_is_told_to_compare(
    ministry: Ministry, dutabarta: Commands, trust: Path
) -> None:
    said = dutabarta("ledger", "policy", "--trust", trust, "--size", "5", "--json")
    assert said.data["network_id"] == ministry.machine.network_id.hex() in said.err
    assert said.data["size"] == 5 and said.data["policy"].startswith("log ")


def test_another_networks_id_and_changed_bytes_are_refused(dutabarta: Commands, trust: Path, proved: Path) -> None:
    code, err = verify(dutabarta, proved, "--trust", trust, "--network-id", "00" * 32)
    assert code == 4 and "[wrong-network]" in err
    data = bytearray(trust.read_bytes())
    data[-1] ^= 1
    trust.write_bytes(data)
    assert dutabarta("ledger", "policy", "--trust", trust).code in (1, 3)
    assert verify(dutabarta, proved, "--trust", trust)[0] == 4


def test_a_node_without_a_checkpoint_gives_no_trust_file(dutabarta: Commands, tmp_path: Path) -> None:
    out = tmp_path / "network.trust"
    said = dutabarta("ledger", "trust", "--home", dutabarta.home("DEL"), "--out", out)
    assert said.code == 4 and "[no-ledger]" in said.err and not out.exists()
