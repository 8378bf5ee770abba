"""Replying, forwarding, cancelling, superseding and distribution lists on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.commands import Commands


def read(dutabarta: Commands, post: str, any_id: str) -> dict:  # type: ignore[type-arg]
    return dutabarta("cable", "read", any_id, *dutabarta.at(post), "--json").data


def test_reply_and_forward(dutabarta: Commands, tmp_path: Path) -> None:
    attachment = tmp_path / "note.pdf"
    attachment.write_bytes(b"%PDF")
    sent = dutabarta.send("DHA", "DEL", "--caveat", "EYES ONLY", "--attach", attachment).data
    answer = dutabarta("cable", "reply", sent["cable_id"], *dutabarta.at("DEL"), "--json", "-", stdin=b"Agreed.\n").data
    assert {"cable_id", "serial", "state"} <= set(answer) and answer["state"] == "released"
    got = read(dutabarta, "DHA", answer["cable_id"])
    assert got["relations"] == [{"kind": "REPLIES", "envelope_id": sent["envelope_id"]}]
    assert got["subject"] == "RE: Trade" and got["references"][0].startswith(f"DHA {sent['serial']}/")

    forward = ("cable", "forward", sent["cable_id"], "--to", "WAS", *dutabarta.at("DEL"))
    lower = dutabarta(*forward, "--classification", "RESTRICTED")
    assert lower.code == 1 and "[marking-lowered]" in lower.err
    passed = dutabarta(*forward, "--json").data
    got = read(dutabarta, "WAS", passed["cable_id"])
    assert got["classification"] == "CONFIDENTIAL" and got["caveats"] == ["EYES ONLY"]
    assert got["paragraphs"][1:] == read(dutabarta, "DEL", sent["cable_id"])["paragraphs"]
    assert [one["name"] for one in got["attachments"]] == ["note.pdf"]


def test_a_circular_is_answered_to_all(dutabarta: Commands) -> None:
    sent = dutabarta.send("DHA", "ALL-MISSIONS").data
    got = read(dutabarta, "DEL", sent["cable_id"])
    assert got["expansions"] == {"ALL-MISSIONS": ["DEL", "WAS"]} and got["action"][0]["name"] == "ALL-MISSIONS"
    answer = ("cable", "reply", sent["cable_id"], "--all", *dutabarta.at("DEL"), "--json", "-")
    assert dutabarta(*answer, stdin=b"Noted.\n").data["posts"] == ["DEL", "DHA", "WAS"]
    shown = dutabarta("cable", "read", sent["cable_id"], *dutabarta.at("WAS")).out
    assert "ALL-MISSIONS: DEL WAS" in shown


def test_a_cancelled_cable_says_so_in_list_read_and_track(dutabarta: Commands, tmp_path: Path) -> None:
    sent = dutabarta.send("DHA", "DEL").data
    reason = tmp_path / "reason.txt"
    reason.write_text("Wrong annex.\n")
    gone = dutabarta("cable", "cancel", sent["cable_id"], reason, *dutabarta.at("DHA"), "--json").data
    assert gone["cancels"] == [sent["envelope_id"]] and gone["state"] == "released" and gone["left_out"] == []
    for post in ("DHA", "DEL"):
        listed = dutabarta("cable", "list", *dutabarta.at(post), "--json").data["cables"]
        assert [one["cancelled_by"] for one in listed] == [[gone["envelope_id"]], []]
        for verb in ("list", "read", "track"):
            options = () if verb == "list" else (sent["cable_id"],)
            assert "CANCELLED" in dutabarta("cable", verb, *options, *dutabarta.at(post)).out
            assert "বাতিল" in dutabarta("--lang", "bn", "cable", verb, *options, *dutabarta.at(post)).out
    got = read(dutabarta, "DEL", sent["cable_id"])
    assert got["paragraphs"] == ["Text.\n"] and [one["kind"] for one in got["marks"]] == ["CANCELS"]
    assert got["superseded_by"] == [] and got["marks"][0]["reference"].startswith("DHA 2/")
    again = dutabarta("cable", "cancel", sent["cable_id"], *dutabarta.at("DHA"))
    assert again.code == 1 and "[already-cancelled]" in again.err
    foreign = dutabarta("--lang", "bn", "cable", "cancel", sent["cable_id"], *dutabarta.at("DEL"))
    assert foreign.code == 1 and "[foreign-cable]" in foreign.err and "DHA-এর" in foreign.err


def test_a_successor(dutabarta: Commands) -> None:
    sent = dutabarta.send("DHA", "DEL", "--info", "WAS").data
    short = dutabarta.send("DHA", "DEL", "--supersedes", sent["cable_id"])
    assert short.code == 1 and "[addressee-missing]" in short.err and "WAS" in short.err
    second = dutabarta.send("DHA", "DEL,WAS", "--supersedes", sent["cable_id"]).data
    got = dutabarta("cable", "read", sent["cable_id"], *dutabarta.at("WAS")).out
    assert "SUPERSEDED by DHA 2/" in got and second["envelope_id"] in got
    tracked = dutabarta("cable", "track", sent["cable_id"], *dutabarta.at("DHA"), "--json").data
    assert tracked["superseded_by"] == [second["envelope_id"]] and tracked["cancelled_by"] == []


def test_a_withdrawn_draft(dutabarta: Commands) -> None:
    drafted = dutabarta.send("DHA", "DEL", classification="SECRET").data
    cancel = ("cable", "cancel", drafted["cable_id"], *dutabarta.at("DHA"), "--json", "-")
    gone = dutabarta(*cancel, stdin=b"A mistake.\n").data
    assert gone["state"] == "withdrawn" and gone["cable_id"] == drafted["cable_id"] and gone["cancels"] == []
    released = dutabarta("cable", "release", drafted["cable_id"], *dutabarta.at("DHA", "second"))
    assert released.code == 1 and "[withdrawn]" in released.err
    assert "withdrawn" in dutabarta("cable", "list", *dutabarta.at("DHA", "second")).out
    shown = dutabarta("cable", "read", drafted["cable_id"], *dutabarta.at("DHA", "second")).out
    assert "WITHDRAWN by its drafter (first): A mistake." in shown


def test_distribution_lists(dutabarta: Commands) -> None:
    at = dutabarta.at("DHA")
    made = dutabarta("cable", "lists", "add", "Neighbours", "del, was", *at, "--json").data
    assert made == {"name": "NEIGHBOURS", "addressees": ["DEL", "WAS"]}
    assert dutabarta("cable", "lists", "show", *at).out == "@NEIGHBOURS  DEL,WAS\n"
    assert dutabarta.send("DHA", "@neighbours").data["posts"] == ["DEL", "DHA", "WAS"]
    left = dutabarta("cable", "lists", "remove", "neighbours", "WAS", *at, "--json").data
    assert left["addressees"] == ["DEL"]
    assert dutabarta("cable", "lists", "remove", "neighbours", *at).code == 0
    assert dutabarta("cable", "lists", "show", *at, "--json").data == {"lists": []}
    missing = dutabarta.send("DHA", "@neighbours")
    assert missing.code == 1 and "[unknown-list]" in missing.err
