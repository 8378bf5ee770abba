"""An escalation through real nodes: to headquarters' terminals, to nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto_msg.escalation import seal_escalation
from node.courier import ItemKind
from protos.errors import Refused
from support.posts import SUPERVISORS, eventually
from support.processes import Exercise, exercise
from terminal.recipients import fetch_bundles, seats_of


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    folder: Path = tmp_path_factory.mktemp("posts")
    with exercise(folder, "DHA", "DEL", "WAS") as made:
        made.settle()
        yield made


def test_the_duty_officers_are_told_and_nobody_else(posts: Exercise) -> None:
    posts.queue("DEL", "WAS")
    with posts.terminal("DEL") as sender:
        today = sender.session.clock
        sender.session.clock = lambda: today() + 2 * 86_400
        sender.sync()
        assert any(one.code == "answer-overdue" for one in sender.alarms())
    rows = f"SELECT content FROM inbox WHERE kind = {int(ItemKind.ESCALATION)}"
    eventually(lambda: len(posts.rows("DHA", rows)) == len(SUPERVISORS))
    assert not posts.rows("WAS", rows) and not posts.rows("DEL", rows)
    for name in SUPERVISORS:
        posts.sync("DHA", name)
        with posts.terminal("DHA", name) as duty:
            (alarm,) = [one for one in duty.alarms() if one.code == "cable-unanswered"]
            assert "WAS" in alarm.text


def test_a_mission_is_told_nothing(posts: Exercise) -> None:
    with posts.terminal("DEL") as sender:
        session = sender.session
        seats = session.view.judge(lambda state: seats_of(state, ["WAS"]))
        bundle = next(iter(fetch_bundles(session.desk, seats, session.network_id).values()))
        with pytest.raises(Refused) as caught:
            session.desk.put_receipt(seal_escalation(bytes(100), bundle), ItemKind.ESCALATION, b"", b"")
        assert caught.value.code == "wrong-destination"
