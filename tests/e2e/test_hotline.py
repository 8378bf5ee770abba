"""Two officers at two posts talk over real nodes, by the commands that they type."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.hotline_command import WAIT_SECONDS, Typing, stop_all
from support.posts import eventually
from support.processes import Exercise, exercise

pytestmark = pytest.mark.xdist_group("e2e-hotline")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with exercise(tmp_path_factory.mktemp("hotline"), "DHA", "DEL", "WAS") as made:
        for code, name, clearance in (
            ("DEL", "duty", "SECRET"),
            ("WAS", "duty", "SECRET"),
            ("WAS", "junior", "RESTRICTED"),
        ):
            made.enrol(code, name, "releaser", clearance)
            made.sync(code, name)
        yield made


@pytest.fixture(autouse=True)
def _nobody_stays() -> Iterator[None]:
    yield
    stop_all()


def call(net: Exercise, code: str, officer: str, to: str, marking: str = "SECRET", *more: str) -> Typing:
    return Typing(net.passphrase_file, "call", to, "--classification", marking, *net.at(code, officer), *more)


def answer(net: Exercise, code: str, officer: str, *more: str) -> Typing:
    found = Typing(net.passphrase_file, "answer", *net.at(code, officer), *more)
    found.wait("waiting")
    return found


def hotline(net: Exercise, *arguments: str) -> dict[str, Any]:
    return net.must("hotline", *arguments)


def test_two_posts_talk_and_both_anchor_the_same_transcript(net: Exercise) -> None:
    called = answer(net, "WAS", "duty", "--once")
    present = hotline(net, "present", "WAS", *net.at("DEL", "duty"))
    assert [one["officer"] for one in present["present"]] == ["duty"]
    caller = call(net, "DEL", "duty", "WAS")
    caller.type("এখান থেকে বলছি")
    ring = called.wait("ringing")
    assert (ring["post"], ring["officer"], ring["classification"]) == ("DEL", "duty", "SECRET")
    called.type("y")
    assert called.wait("line")["text"] == "এখান থেকে বলছি"
    called.type("Heard. What is it?", "\x1b[2Jclean")
    assert caller.wait("line")["text"] == "Heard. What is it?"
    assert caller.wait("line")["text"] == "\x1b[2Jclean"
    assert caller.end() == 0
    assert called.wait("ended")["code"] == "hung up"
    assert called.end() == 0

    call_id = ring["call_id"]
    records = [hotline(net, "read", call_id, *net.at(code, "duty")) for code in ("DEL", "WAS")]
    assert records[0]["item_hash"] == records[1]["item_hash"]
    assert [[(one["from"], one["text"]) for one in record["lines"]] for record in records] == [
        [("DEL", "এখান থেকে বলছি"), ("WAS", "Heard. What is it?"), ("WAS", "\x1b[2Jclean")]
    ] * 2
    assert all(one["confirmed"] for record in records for one in record["lines"])
    for code in ("DEL", "WAS"):
        eventually(lambda code=code: hotline(net, "list", *net.at(code, "duty"))["calls"][-1]["anchored"])  # type: ignore[misc]


def test_no_node_keeps_a_word_of_it(net: Exercise) -> None:
    canary = "গোপন-কথা-7391"
    called = answer(net, "WAS", "duty", "--once", "--yes")
    caller = call(net, "DEL", "duty", "WAS")
    caller.type(canary)
    assert called.wait("line")["text"] == canary
    assert caller.end() == 0
    called.wait("ended")
    called.end()
    for code in net.codes:
        kept = b"".join(path.read_bytes() for path in (net.home(code) / "node").rglob("*") if path.is_file())
        kept += net.log(code).read_bytes()
        assert canary.encode() not in kept


def test_nobody_is_called_who_is_not_there_or_not_cleared(net: Exercise) -> None:
    place = net.at("DEL", "duty")
    eventually(lambda: not hotline(net, "present", "WAS", *place)["present"])
    absent = net("hotline", "call", "WAS", "--classification", "SECRET", *place)
    assert absent.code == 4 and "nobody-present" in absent.err
    junior = answer(net, "WAS", "junior", "--yes")
    refused = net("hotline", "call", "WAS", "--classification", "SECRET", *place)
    assert refused.code == 1 and "nobody-cleared" in refused.err
    above = net("hotline", "call", "WAS", "--classification", "TOP-SECRET", *place)
    assert above.code == 1 and "clearance-too-low" in above.err
    assert not [one for one in junior.seen if one["event"] != "waiting"]
    assert junior.end() == 0


def test_refused_busy_and_unanswered_calls_say_so(net: Exercise) -> None:
    called = answer(net, "WAS", "duty")
    caller = call(net, "DEL", "duty", "WAS")
    called.wait("ringing")
    called.type("n")
    assert caller.process.wait(WAIT_SECONDS) == 1
    unheard = call(net, "DEL", "duty", "WAS", "SECRET", "--wait", "5")
    called.wait("ringing")
    assert unheard.process.wait(WAIT_SECONDS) == 4
    called.wait("missed", lambda event: event["code"] == "no-answer")

    talking = call(net, "DEL", "duty", "WAS")
    called.wait("ringing")
    called.type("y")
    talking.wait("talking")
    second = call(net, "DHA", "first", "WAS")
    assert second.process.wait(WAIT_SECONDS) == 1
    called.wait("missed", lambda event: event["code"] == "busy")
    talking.type("/bye")
    called.wait("ended")
    assert talking.process.wait(WAIT_SECONDS) == 0 and called.end() == 0
    states = [one["state"] for one in hotline(net, "list", *net.at("WAS", "duty"))["calls"]]
    assert states[-4:] == ["missed", "missed", "hung up", "missed"]


def test_a_node_that_dies_in_the_middle_loses_no_line(net: Exercise) -> None:
    called = answer(net, "WAS", "duty", "--once", "--yes")
    caller = call(net, "DEL", "duty", "WAS")
    caller.wait("talking")
    caller.type("before")
    called.wait("line")
    net.kill("WAS")
    caller.type("while it is down", "and this")
    time.sleep(2.0)
    net.start("WAS")
    assert called.wait("line")["text"] == "while it is down"
    assert called.wait("line")["text"] == "and this"
    called.type("back again")
    assert caller.wait("line")["text"] == "back again"
    assert caller.end() == 0
    called.wait("ended")
    assert called.end() == 0


def test_a_killed_terminal_keeps_what_was_confirmed_and_says_that_it_was_interrupted(net: Exercise) -> None:
    called = answer(net, "WAS", "duty", "--yes")
    caller = call(net, "DEL", "duty", "WAS")
    caller.wait("talking")
    caller.type("kept")
    called.wait("line")
    caller.wait("confirmed", lambda event: event["number"] >= 2)
    caller.process.kill()
    caller.process.wait()
    last = hotline(net, "list", *net.at("DEL", "duty"))["calls"][-1]
    assert last["state"] == "interrupted"
    lines = hotline(net, "read", last["call_id"], *net.at("DEL", "duty"))["lines"]
    assert [(one["text"], one["confirmed"]) for one in lines] == [("kept", True)]
    called.process.kill()
    called.process.wait()


def test_bad_words_are_refused_by_name(net: Exercise, tmp_path: Path) -> None:
    place = net.at("DEL", "duty")
    for arguments, code in (
        (("call", "DEL", "--classification", "SECRET"), "unknown-post"),
        (("call", "XYZ", "--classification", "SECRET"), "un"),
        (("present", "XYZ"), "unknown-post"),
        (("read", "00" * 16), "unknown-call"),
    ):
        ended = net("hotline", *arguments, *place)
        assert ended.code in (1, 4) and code in ended.err and "Traceback" not in ended.err
