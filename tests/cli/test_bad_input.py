"""The issue's bad inputs: each has its error, its hint and its exit code, and nothing is half done."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.ministry import Ministry

if TYPE_CHECKING:
    from support.commands import Commands, Said


def refused(said: Said, exit_code: int, code: str) -> None:
    """One error with its code, one hint, nothing on stdout, no traceback."""
    assert said.code == exit_code, said.err
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert lines[0].startswith("error: ") and lines[0].endswith(f"[{code}]"), said.err
    assert lines[1].startswith("hint: ") and len(lines[1]) > len("hint: ") and len(lines) == 2, said.err


def nothing_done(dutabarta: Commands, post: str = "DHA", officer: str = "first") -> None:
    """No cable, draft or alarm is kept, no serial is taken, nothing is with the node."""
    assert dutabarta("cable", "list", *dutabarta.at(post, officer), "--json").data == {"cables": [], "alarms": []}
    assert dutabarta.ministry.bodies == {} and not any(dutabarta.ministry.serials.values())


@pytest.mark.parametrize(
    ("to", "code"), [("ROM", "unknown-post"), ("EVERYBODY", "unknown-post"), ("D-", "bad-addressee")]
)
def test_unknown_post(dutabarta: Commands, to: str, code: str) -> None:
    said = dutabarta.send("DHA", f"DEL,{to}")
    assert said.code == 1 and said.out == "" and "hint: " in said.err, said.err
    nothing_done(dutabarta)


def test_an_officer_without_the_role(dutabarta: Commands) -> None:
    dutabarta.enrol("DHA", "auditor", "auditor", "TOP-SECRET")
    refused(dutabarta.send("DHA", "DEL", officer="auditor"), 1, "role-missing")
    nothing_done(dutabarta, officer="auditor")


def test_an_officer_without_the_clearance(dutabarta: Commands) -> None:
    dutabarta.enrol("DHA", "karim", "drafter,releaser", "RESTRICTED")
    refused(dutabarta.send("DHA", "DEL", officer="karim", classification="CONFIDENTIAL"), 1, "clearance-too-low")
    nothing_done(dutabarta, officer="karim")


def test_nobody_cleared_at_the_addressee(dutabarta: Commands, ministry: Ministry) -> None:
    for name in ("first", "second"):
        dutabarta("cable", "list", *dutabarta.at("WAS", name))
        assert dutabarta("officer", "revoke", name, "--post", "WAS", *dutabarta.at("DHA")).code == 0
    refused(dutabarta.send("DHA", "WAS"), 1, "no-reader")
    nothing_done(dutabarta)


def test_a_suspended_officer(dutabarta: Commands) -> None:
    dutabarta.enrol("DHA", "karim", "drafter,releaser", "SECRET")
    assert dutabarta("officer", "suspend", "karim", *dutabarta.at("DHA"), "--json").data["state"] == "suspended"
    refused(dutabarta.send("DHA", "DEL", officer="karim"), 1, "suspended-officer")
    assert dutabarta.ministry.bodies == {}


def test_a_revoked_officer(dutabarta: Commands) -> None:
    dutabarta.enrol("DHA", "karim", "drafter,releaser", "SECRET")
    assert dutabarta("officer", "revoke", "karim", *dutabarta.at("DHA"), "--json").data["state"] == "revoked"
    refused(dutabarta.send("DHA", "DEL", officer="karim"), 1, "revoked-officer")
    assert dutabarta.ministry.bodies == {}


def test_the_wrong_passphrase(dutabarta: Commands, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.touch(mode=0o600)
    wrong.write_text("not this one\n")
    refused(dutabarta.send("DHA", "DEL", "--passphrase-file", wrong), 1, "wrong-passphrase")
    nothing_done(dutabarta)


def test_an_unreachable_node(dutabarta: Commands) -> None:
    dutabarta.ministry.down = True
    refused(dutabarta.send("DHA", "DEL"), 4, "unreachable")
    dutabarta.ministry.down = False
    nothing_done(dutabarta)


def test_what_is_here_is_read_without_the_node(dutabarta: Commands) -> None:
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    dutabarta("cable", "list", *dutabarta.at("DEL"))
    dutabarta.ministry.down = True
    said = dutabarta("cable", "list", *dutabarta.at("DEL"), "--json")
    assert said.code == 0 and said.data["cables"][0]["cable_id"] == cable_id and "not fetched now" in said.err


def test_a_cable_sealed_while_the_node_goes_away_is_kept_and_handed_in_later(
    dutabarta: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    from protos.errors import Unavailable

    def cut(*_: object) -> bytes:
        raise Unavailable("unreachable", "the node is gone", hint="try again")

    with monkeypatch.context() as patch:
        patch.setattr("support.ministry.FakeDesk.put_cable", cut)
        sent = dutabarta.send("DHA", "DEL")
    assert sent.code == 0 and sent.data["carried"] is False
    assert dutabarta.ministry.bodies == {}
    dutabarta("cable", "list", *dutabarta.at("DHA"))
    assert [one.hex() for one in dutabarta.ministry.bodies] == [sent.data["envelope_id"]]


@pytest.mark.parametrize("text", [b"\xff\xfe", b"caf\xe9"])
def test_a_text_that_is_not_utf8(dutabarta: Commands, text: bytes) -> None:
    refused(dutabarta.send("DHA", "DEL", text=text), 1, "not-utf8")
    nothing_done(dutabarta)


def test_an_oversized_attachment_states_the_limit(dutabarta: Commands, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate((512 << 20) + 1)
    said = dutabarta.send("DHA", "DEL", "--attach", huge)
    refused(said, 1, "attachment-too-large")
    assert "512 MiB" in said.err
    nothing_done(dutabarta)


def test_an_attachment_that_is_not_there(dutabarta: Commands, tmp_path: Path) -> None:
    refused(dutabarta.send("DHA", "DEL", "--attach", tmp_path / "missing"), 4, "no-file")
    nothing_done(dutabarta)


def test_no_such_officer(dutabarta: Commands) -> None:
    refused(dutabarta.send("DHA", "DEL", officer="nobody"), 4, "no-terminal")


def test_a_damaged_keystore(dutabarta: Commands) -> None:
    path = dutabarta.home("DHA") / "terminals" / "first" / "keystore"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    refused(dutabarta.send("DHA", "DEL"), 1, "keystore-damaged")


def test_a_malformed_configuration(dutabarta: Commands) -> None:
    path = dutabarta.home("DHA") / "terminals" / "first" / "config.toml"
    path.write_text(path.read_text() + 'extra = "key"\n')
    refused(dutabarta.send("DHA", "DEL"), 1, "config-malformed")


@pytest.mark.parametrize("what", ["id", "request", "plan", "card"])
def test_malformed_files_and_ids(dutabarta: Commands, tmp_path: Path, what: str) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"\x00junk")
    match what:
        case "id":
            assert dutabarta("cable", "read", "xyz", *dutabarta.at("DHA")).code == 2
        case "request":
            refused(dutabarta("officer", "approve", junk, *dutabarta.at("DHA")), 1, "not-a-request")
        case "plan":
            refused(dutabarta("network", "init", junk, "--all-here", tmp_path / "net"), 1, "bad-plan")
            assert not (tmp_path / "net").exists()
        case "card":
            plan = tmp_path / "network.toml"
            plan.write_text(dutabarta("network", "template", "--posts", "DHA,DEL").out)
            refused(dutabarta("network", "init", plan, "--cards", junk, "--out", tmp_path / "g"), 1, "not-a-card")
            assert not (tmp_path / "g").exists()


def test_an_unknown_cable(dutabarta: Commands) -> None:
    refused(dutabarta("cable", "read", "00" * 16, *dutabarta.at("DHA")), 1, "unknown-cable")


def test_another_networks_cable_is_kept_aside_by_name(
    dutabarta: Commands, ministry: Ministry, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Ministry(tmp_path_factory.mktemp("other"), ("DHA", "DEL"), ministry.now)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("terminal.terminal.NodeClient", other.connect)
        home = other.folder / "DHA"
        marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Foreign")
        sent = dutabarta(
            "cable", "send", "--to", "DEL", *marking, "--home", home, "--officer", "first", "-", "--json", stdin=b"x"
        )
    (foreign,) = [one for inbox in other.inboxes.values() for one in inbox][:1]
    listed = dutabarta("cable", "list", *dutabarta.at("DEL"), "--json").data
    assert listed["cables"] == []
    terminal_id = ministry.machine.state.roster("DEL").terminal_ids[0]
    for one in ministry.machine.state.roster("DEL").terminal_ids:
        ministry.deliver(one, 1, foreign.content, foreign.envelope_id, "DHA", foreign.body_length)
    ministry.bodies[foreign.envelope_id] = other.bodies[foreign.envelope_id]
    listed = dutabarta("cable", "list", *dutabarta.at("DEL"), "--json").data
    assert listed["cables"] == [] and [one["code"] for one in listed["alarms"]] == ["wrong-network"]
    assert terminal_id and sent.code == 0


def test_another_networks_terminal_reaches_nobody(
    dutabarta: Commands, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Ministry(tmp_path_factory.mktemp("other"), ("DHA", "DEL"), dutabarta.ministry.now)
    stolen = dutabarta.home("DHA") / "terminals" / "stranger"
    shutil.copytree(other.folder / "DHA" / "terminals" / "first", stolen)
    refused(dutabarta.send("DHA", "DEL", officer="stranger"), 4, "unreachable")


def test_a_second_enrolment_under_one_name(dutabarta: Commands) -> None:
    dutabarta.enrol("DHA", "karim", "drafter", "SECRET")
    refused(dutabarta.enrol("DHA", "karim", "drafter", "SECRET"), 1, "terminal-exists")


def test_an_enrolment_that_broke_off_is_taken_up_again(dutabarta: Commands) -> None:
    dutabarta.ministry.down = True
    assert dutabarta.enrol("DHA", "karim", "drafter", "SECRET").code == 4
    dutabarta.ministry.down = False
    assert dutabarta.enrol("DHA", "karim", "drafter", "SECRET").data["state"] == "enrolled"


def test_a_folder_that_is_not_empty_is_left_alone(dutabarta: Commands, tmp_path: Path) -> None:
    plan = tmp_path / "network.toml"
    plan.write_text(dutabarta("network", "template", "--posts", "DHA,DEL").out)
    refused(dutabarta("network", "init", plan, "--all-here", tmp_path), 1, "folder-not-empty")
