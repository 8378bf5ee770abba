"""Cables that expire on real nodes: the one that gives up says so, and the sender learns it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crypto_msg.expired import read_expired
from support.posts import eventually
from support.processes import Exercise
from terminal import expiry
from terminal.compose import Composition
from terminal.records import CableRecord


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    made = Exercise(tmp_path_factory.mktemp("posts"), ("DHA", "DEL", "WAS"))
    try:
        made.start()
        made.settle()
        made.queue("DEL", "WAS")  # fetches the bundles of WAS
        made.settle()
        made.stop("WAS")
        yield made
    finally:
        made.close()


def state(posts: Exercise, sent: CableRecord) -> str:
    """How far the cable has come at WAS, as the sender's terminal shows it. Another cable moves the ledger's time."""
    posts.queue("DEL", "DHA")
    posts.sync("DEL")
    with posts.terminal("DEL") as sender:
        return next(one.state for one in sender.track(sent.envelope_id).progress if one.post == "WAS")


def test_the_node_that_gives_up_tells_the_sender(posts: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """WAS is down. Of two cables one expires at the sender's own node, one at headquarters, which relays it."""
    monkeypatch.setattr(expiry, "HOUR_SECONDS", 1)
    sent = []
    with posts.terminal("DEL") as sender:
        for hours in (1, 45):
            cable = Composition(("DHA", "WAS"), 1, 1, "Trade", "Text.", expires_hours=hours)
            sent.append(sender.send(cable))
    for one in sent:
        eventually(lambda one=one: state(posts, one) == "expired", 90)
    with posts.terminal("DEL") as sender, sender.session.store.transaction() as transaction:
        notices = [transaction.notices(one.envelope_id) for one in sent]
        assert [[one.by for one in some] for some in notices] == [["DEL"], ["DHA"]]
        for (notice,), one in zip(notices, sent, strict=True):
            said = read_expired(notice.signed)
            assert (said.post, said.origin) == ("WAS", "DEL") and said.time > one.expires_at
    with posts.terminal("DEL") as sender:
        assert sum(one.code == "cable-expired" for one in sender.alarms()) == 2
        assert [sender.find(one.envelope_id).excepted for one in sent] == [("WAS",), ("WAS",)]
    waiting = "SELECT 1 FROM items WHERE kind = 1 AND state <> 'done'"
    assert not posts.rows("DHA", waiting) and not posts.rows("DEL", waiting)
