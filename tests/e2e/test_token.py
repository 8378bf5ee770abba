"""An officer whose keys are in a token, with real posts: every command a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.api.tls import pin_of
from node.config import GENESIS_FILE, KEYS_FOLDER, load_config, node_folder
from node.secrets import load_node_keys
from support.processes import Exercise, exercise
from support.softhsm import SoftHsm

pytestmark = pytest.mark.xdist_group("e2e-token")

PIN = b"4711-0815"


@pytest.fixture
def posts(tmp_path: Path, softhsm: SoftHsm) -> Iterator[Exercise]:
    with exercise(tmp_path / "net", "DHA", "DEL") as running:
        yield running


def test_enrol_send_receive_and_a_token_that_is_taken_out(posts: Exercise, softhsm: SoftHsm, tmp_path: Path) -> None:
    place = softhsm.new_token("asha", PIN.decode())
    pin_file = secret_file(tmp_path, PIN)
    powers = ("--role", "drafter,releaser", "--clearance", "SECRET")
    secrets = ("--passphrase-file", pin_file, "--supervisors-passphrase-file", posts.passphrase_file)
    token = ("--token", f"{place.module}:{place.label}")
    made = posts.must("officer", "enrol", "asha", "--home", posts.home("DEL"), *powers, *token, *secrets)
    assert made["state"] == "enrolled"
    own = ("--passphrase-file", pin_file)
    sent = posts.send("DEL", "asha", "DHA", *own)
    assert sent.code == 0, sent.err
    softhsm.pull_out()
    refused = posts.send("DEL", "asha", "DHA", *own)
    assert refused.code == 4 and "[token-missing]" in refused.err and "Traceback" not in refused.err
    softhsm.put_in()
    back = posts.send("DHA", "first", "DEL")
    posts.settle(until=lambda: back.data["cable_id"] in listed(posts, own))
    assert posts.must("cable", "read", back.data["cable_id"], *posts.at("DEL", "asha"), *own)["subject"] == "Trade"


def test_a_terminal_elsewhere_has_its_keys_in_a_token(posts: Exercise, softhsm: SoftHsm, tmp_path: Path) -> None:
    place = softhsm.new_token("nila", PIN.decode())
    pin_file = secret_file(tmp_path, PIN)
    node = node_folder(posts.home("DEL"))
    certificate = load_node_keys(node / KEYS_FOLDER).tls.certificate
    reached = (
        "--node",
        load_config(node).address,
        "--pin",
        pin_of(certificate).hex(),
        "--genesis",
        node / GENESIS_FILE,
    )
    who = ("--post", "DEL", "--name", "nila", "--role", "drafter", "--clearance", "SECRET")
    token = ("--token", f"{place.module}:nila", "--passphrase-file", pin_file)
    folder = tmp_path / "carried"
    made = posts.must("terminal", "init", "--dir", folder, *reached, *who, *token)
    assert made["state"] == "awaiting approval"
    for code in ("DEL", "DHA"):  # headquarters last: its node keeps the name of another post's officer
        posts.must("officer", "approve", made["request"], *posts.at(code, "first"))
    assert not Path(made["request"]).exists(), "it waits for nothing"
    assert "nila" in {one["name"] for one in posts.must("officer", "list", *posts.at("DEL", "first"))["officers"]}
    own = ("--terminal", folder, "--passphrase-file", pin_file)
    marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Trade")
    drafted = posts.must("cable", "send", "--to", "DHA", *marking, *own, "-", stdin=b"Text.\n")
    assert drafted["state"] == "awaiting release"


def secret_file(folder: Path, secret: bytes) -> Path:
    path = folder / "pin"
    path.touch(mode=0o600)
    path.write_bytes(secret + b"\n")
    return path


def listed(posts: Exercise, own: tuple[str | Path, ...]) -> str:
    return posts("cable", "list", "--box", "in", *posts.at("DEL", "asha"), *own).out
