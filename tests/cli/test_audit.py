"""Audit of files that are no log or a broken one; the demonstration's posts are checked before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import demo
from ledger.logfile import CHECKPOINT, LEAF, LogItem, write_log
from ledger.wire import Misbehaviour
from node.modules import MODULES
from support.commands import Commands
from support.ministry import Ministry
from support.network import TestNetwork


def log_file(path: Path, items: list[LogItem]) -> Path:
    with path.open("wb") as stream:
        write_log(stream, items)
    return path


def whole(ministry: Ministry) -> list[LogItem]:
    return [*(LogItem(LEAF, leaf) for leaf in ministry.leaves), LogItem(CHECKPOINT, ministry.note())]


def test_a_file_of_another_kind_is_an_error_and_no_verdict(dutabarta: Commands, tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    for content in (b"", b"Dear colleague", b"dutabarta/v2/log\n"):
        path.write_bytes(content)
        said = dutabarta("audit", "replay", path)
        assert said.code == 1 and said.out == ""
        assert "[not-a-log]" in said.err and "hint: " in said.err


def test_a_whole_log_passes(ministry: Ministry, dutabarta: Commands, tmp_path: Path) -> None:
    said = dutabarta("audit", "replay", log_file(tmp_path / "ledger.log", whole(ministry)), "--json")
    assert said.code == 0 and said.data["root"] == ministry.machine.root.hex() and said.data["problems"] == []


def test_an_offence_of_a_validator_is_told_and_the_log_is_whole(dutabarta: Commands, tmp_path: Path) -> None:
    net = TestNetwork.make(("DHA", "DEL", "LON", "WAS"), seed=77, validators=("DEL", "DHA", "LON", "WAS"))
    machine = net.machine(MODULES)
    block = machine.apply_block([], machine.time + 1, (Misbehaviour("LON", "duplicate-vote", 7, 100),))
    items = [LogItem(LEAF, leaf) for leaf in (*net.leaves, *block.leaves)]
    path = log_file(tmp_path / "ledger.log", items)
    for level in ("structure", "full"):
        found = dutabarta("audit", "replay", path, "--level", level, "--json")
        offence = {"index": machine.size - 1, "post": "LON", "offence": "duplicate-vote", "height": 7, "time": 100}
        assert found.code == 0 and found.data["offences"] == [offence]
    assert "LON broke the rules of consensus at height 7: duplicate-vote" in dutabarta("audit", "replay", path).out


def test_problems_are_told_in_the_language_asked_for(ministry: Ministry, dutabarta: Commands, tmp_path: Path) -> None:
    path = log_file(tmp_path / "ledger.log", whole(ministry))
    path.write_bytes(path.read_bytes()[:-7])
    english = dutabarta("audit", "replay", path, "--json")
    bengali = dutabarta("--lang", "bn", "audit", "replay", path, "--json")
    assert (english.code, bengali.code) == (3, 3)
    (one,), (other,) = english.data["problems"], bengali.data["problems"]
    assert one["code"] == other["code"] == "truncated"
    assert one["text"].isascii() and not other["text"].isascii()


@pytest.mark.parametrize(("posts", "code"), [("DHA,XQZ", "unknown-mission"), ("DHA,DEL,DHA", "mission-twice")])
def test_a_demonstration_of_unknown_posts_never_starts(
    dutabarta: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, posts: str, code: str
) -> None:
    monkeypatch.setattr(demo, "play", lambda *_: pytest.fail("it began"))
    said = dutabarta("demo", "--posts", posts, "--keep", tmp_path / "kept")
    assert said.code == 1 and said.err.count("error: ") == 1 and f"[{code}]" in said.err
    assert not (tmp_path / "kept").exists()
