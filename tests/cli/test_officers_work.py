"""An officer's day on the command line: the contract's options, JSON keys and exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.commands import Commands

BENGALI = "আ‌ইনের চোখে সবা‌ই সমান।\n\nদ্বিতীয় অনুচ্ছেদ।\n"
READ_KEYS = {
    "cable_id",
    "serial",
    "from",
    "action",
    "info",
    "precedence",
    "classification",
    "subject",
    "references",
    "dtg",
    "paragraphs",
    "attachments",
    "drafter",
    "releasers",
    "receipts",
}


def test_a_cable_goes_round(dutabarta: Commands, tmp_path: Path) -> None:
    attachment = tmp_path / "note.pdf"
    attachment.write_bytes(b"%PDF canary")
    sent = dutabarta.send(
        "DHA", "DEL", "--info", "WAS", "--ref", "DEL 7/2026", "--attach", attachment, text=BENGALI.encode()
    )
    assert sent.code == 0, sent.err
    assert {"cable_id", "serial", "state"} <= set(sent.data) and sent.data["state"] == "released"
    cable_id = sent.data["cable_id"]

    listed = dutabarta("cable", "list", "--box", "in", *dutabarta.at("DEL"), "--json").data["cables"]
    assert [one["cable_id"] for one in listed] == [cable_id]
    read = dutabarta("cable", "read", cable_id, "--save", tmp_path / "saved", *dutabarta.at("DEL"), "--json").data
    assert set(read) >= READ_KEYS
    assert "\n\n".join(read["paragraphs"]) == BENGALI
    assert read["action"] == [{"name": "DEL", "precedence": "PRIORITY"}]
    assert read["references"] == ["DEL 7/2026"] and read["serial"] == sent.data["serial"]
    assert Path(read["attachments"][0]["saved"]).read_bytes() == b"%PDF canary"
    assert {one["kind"] for one in read["receipts"]} == {"DELIVERED", "READ"}
    assert dutabarta("cable", "ack", cable_id, *dutabarta.at("DEL"), "--json").data["state"] == "acknowledged"

    tracked = dutabarta("cable", "track", cable_id, *dutabarta.at("DHA"), "--json").data
    states = {one["post"]: one["state"] for one in tracked["addressees"]}
    assert states == {"DEL": "acknowledged", "WAS": "carried"} and not tracked["anchored"]


def test_the_other_form_of_naming_a_terminal(dutabarta: Commands) -> None:
    folder = dutabarta.home("DEL") / "terminals" / "first"
    assert dutabarta("cable", "list", "--terminal", folder, "--json").data == {"cables": [], "alarms": []}


def test_two_officers_for_a_secret_cable(dutabarta: Commands) -> None:
    assert dutabarta.enrol("DHA", "karim", "drafter", "SECRET").data["state"] == "enrolled"
    sent = dutabarta.send("DHA", "DEL", officer="karim", classification="SECRET")
    assert (sent.code, sent.data["state"], sent.data["serial"]) == (0, "awaiting release", None)
    cable_id = sent.data["cable_id"]
    released = dutabarta("cable", "release", cable_id, *dutabarta.at("DHA"), "--json").data
    assert released["state"] == "released" and released["cable_id"] == cable_id and released["serial"] == 1
    read = dutabarta("cable", "read", cable_id, *dutabarta.at("DEL"), "--json").data
    assert read["drafter"] == "karim" and read["releasers"] == ["(first)"]


def test_a_proof_is_written_and_verified_offline(dutabarta: Commands, tmp_path: Path) -> None:
    cable_id = dutabarta.send("DHA", "DEL").data["cable_id"]
    early = dutabarta("cable", "proof", cable_id, "--out", tmp_path / "F", *dutabarta.at("DHA"))
    assert early.code == 4 and "not-anchored" in early.err and not (tmp_path / "F.cable").exists()
    dutabarta.ministry.close_slot()
    assert dutabarta("cable", "proof", cable_id, "--out", tmp_path / "F", *dutabarta.at("DHA")).code == 0
    policy = dutabarta.home("DHA") / "terminals" / "first" / "policy"
    files = (tmp_path / "F.cable", "--proof", tmp_path / "F.tlog-proof", "--policy", policy)
    assert dutabarta("verify", *files, "--json").data["answer"] == "genuine"
    changed = bytearray((tmp_path / "F.cable").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "F.cable").write_bytes(changed)
    assert dutabarta("verify", *files).code == 3


def test_a_circular_to_all_missions_from_a_file(dutabarta: Commands, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("To everybody.\n")
    marking = ("--precedence", "ROUTINE", "--classification", "UNCLASSIFIED", "--subject", "Circular")
    sent = dutabarta("cable", "send", "--to", "ALL-MISSIONS", *marking, *dutabarta.at("DHA"), text, "--json")
    assert sent.data["posts"] == ["DEL", "DHA", "WAS"]
    for post in ("DEL", "WAS"):
        assert dutabarta("cable", "read", sent.data["envelope_id"], *dutabarta.at(post)).code == 0


def test_the_roster_is_listed_with_checked_names(dutabarta: Commands) -> None:
    dutabarta.enrol("WAS", "rahima", "drafter,releaser", "TOP-SECRET")
    dutabarta("cable", "list", *dutabarta.at("WAS", "first"))
    found = dutabarta("officer", "list", *dutabarta.at("WAS"), "--json").data["officers"]
    names = {one["name"]: (one["roles"], one["clearance"], one["state"]) for one in found}
    assert names["rahima"] == (["drafter", "releaser"], "TOP-SECRET", "active")
    assert "(first)" in names


def test_outside_an_exercise_supervisors_sign_one_by_one(dutabarta: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.enrolment.complete_exercise", lambda *_: None)
    made = dutabarta.enrol("DEL", "rahima", "drafter", "SECRET")
    request = made.data["request"]
    first = dutabarta("officer", "approve", request, *dutabarta.at("DEL"), "--json").data
    assert first == {"request": request, "state": "awaiting approval", "missing": ["DHA"]}
    again = dutabarta("officer", "approve", request, *dutabarta.at("DEL"))
    assert again.code == 1 and "not-needed" in again.err
    assert dutabarta("officer", "approve", request, *dutabarta.at("DHA"), "--json").data["state"] == "entered"
    assert dutabarta("cable", "list", *dutabarta.at("DEL", "rahima"), "--json").code == 0


def test_a_rotated_key_is_used_once_the_ledger_names_it(dutabarta: Commands, tmp_path: Path) -> None:
    request = tmp_path / "rotate.json"
    assert dutabarta("officer", "rotate", "--out", request, *dutabarta.at("DEL", "second")).code == 0
    assert dutabarta("officer", "approve", request, *dutabarta.at("DEL"), "--json").data["state"] == "entered"
    assert dutabarta.send("DEL", "DHA", officer="second").code == 0
    assert dutabarta("cable", "list", *dutabarta.at("DHA"), "--json").data["cables"]


def state_of(dutabarta: Commands, post: str, name: str) -> str:
    found = dutabarta("officer", "list", *dutabarta.at(post), "--json").data["officers"]
    (state,) = (one["state"] for one in found if one["name"] == name)
    return state


def test_a_suspended_officer_is_reinstated_by_his_post_and_headquarters(dutabarta: Commands, tmp_path: Path) -> None:
    dutabarta.enrol("DEL", "rahima", "drafter,releaser", "SECRET")
    request = tmp_path / "request.json"
    reinstate = ("officer", "reinstate", "rahima", "--out", request, *dutabarta.at("DEL"), "--json")
    early = dutabarta(*reinstate)
    assert early.code == 1 and "[nothing-changed]" in early.err and not request.exists()
    assert dutabarta("officer", "suspend", "rahima", *dutabarta.at("DEL")).code == 0
    refused = dutabarta.send("DEL", "DHA", officer="rahima")
    assert refused.code == 1 and "[suspended-officer]" in refused.err
    assert dutabarta(*reinstate).data["state"] == "awaiting approval"
    assert state_of(dutabarta, "DEL", "rahima") == "suspended"
    again = dutabarta("officer", "approve", request, *dutabarta.at("DEL", "second"))
    assert again.code == 1 and "[not-needed]" in again.err
    assert dutabarta("officer", "approve", request, *dutabarta.at("DHA"), "--json").data["state"] == "entered"
    assert state_of(dutabarta, "DEL", "rahima") == "active"
    assert dutabarta.send("DEL", "DHA", officer="rahima").code == 0


def test_at_headquarters_the_lower_key_begins_a_reinstatement(dutabarta: Commands, tmp_path: Path) -> None:
    dutabarta.enrol("DHA", "karim", "drafter", "SECRET")
    assert dutabarta("officer", "suspend", "karim", *dutabarta.at("DHA")).code == 0
    tried = {}
    for begins, follows in (("first", "second"), ("second", "first")):
        request = tmp_path / f"{begins}.json"
        made = dutabarta("officer", "reinstate", "karim", "--out", request, *dutabarta.at("DHA", begins))
        assert made.code == 0, made.err
        tried[begins] = dutabarta("officer", "approve", request, *dutabarta.at("DHA", follows))
        if tried[begins].code == 0:
            assert state_of(dutabarta, "DHA", "karim") == "active"
            dutabarta("officer", "suspend", "karim", *dutabarta.at("DHA"))
    assert sorted(one.code for one in tried.values()) == [0, 1]
    assert "[other-author]" in "".join(one.err for one in tried.values())


def test_a_terminal_is_zeroized_once_the_post_is_named(dutabarta: Commands) -> None:
    place = dutabarta.at("DEL")
    folder = dutabarta.home("DEL") / "terminals" / "first"
    asked = dutabarta("officer", "zeroize", *place)
    assert asked.code == 1 and "not-confirmed" in asked.err and (folder / "keystore").exists()
    done = dutabarta("officer", "zeroize", "--yes", *place, "--json").data
    assert (done["state"], done["statement"], done["file"]) == ("zeroized", "entered", None) and not folder.exists()
    assert "no-terminal" in dutabarta("officer", "zeroize", "--yes", *place).err


def test_a_supervisor_retires_a_terminal(dutabarta: Commands) -> None:
    officers = dutabarta("officer", "list", *dutabarta.at("DEL"), "--json").data["officers"]
    terminal_id = next(one["terminals"][0] for one in officers if one["name"] != "(first)")
    retired = dutabarta("terminal", "retire", terminal_id, *dutabarta.at("DEL"), "--json").data
    assert (retired["terminal_id"], retired["state"]) == (terminal_id, "retired")
    assert dutabarta("terminal", "retire", "xyz", *dutabarta.at("DEL")).code == 2


def test_a_shift_is_taken_and_handed_over(dutabarta: Commands, tmp_path: Path) -> None:
    first, second, file = dutabarta.at("DEL"), dutabarta.at("DEL", "second"), tmp_path / "shift.json"
    for place in (first, second):
        dutabarta("officer", "list", *place)
    assert dutabarta("officer", "handover", *first, "--json").data["on_duty"] is None
    dutabarta("officer", "handover", "--take", "--out", file, *first, "--json")
    assert dutabarta("officer", "approve", file, *second, "--json").data["state"] == "entered"
    cable_id = dutabarta.send("DHA", "DEL").data["envelope_id"]
    for place in (first, second):
        dutabarta("cable", "list", *place)
    offered = dutabarta("officer", "handover", "--to", "second", "--out", file, *first, "--json").data
    assert offered["on_duty"]["name"] == "(first)" and offered["unacknowledged"] == [cable_id]
    assert dutabarta("officer", "handover", "--show", file, *second, "--json").data["missing_here"] == []
    accepted = dutabarta("officer", "handover", "--accept", file, *second, "--json").data
    assert (accepted["state"], accepted["on_duty"]["name"]) == ("handed over", "(second)")
    duty = {one["name"]: one["on_duty"] for one in dutabarta("officer", "list", *first, "--json").data["officers"]}
    assert duty == {"(first)": False, "(second)": True}
    assert dutabarta("officer", "handover", "--to", "second", *first).code == 2
    assert dutabarta("officer", "handover", "--accept", file, "--take", *first).code == 2
