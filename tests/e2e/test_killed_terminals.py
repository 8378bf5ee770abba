"""A terminal killed with SIGKILL at its write points, while its node goes on: every one, of an ack every third."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from support.forked import Forked
from support.posts import eventually
from support.processes import SIGKILLED, Ended, Exercise, exercise
from terminal.records import CableRecord

pytestmark = pytest.mark.xdist_group("e2e-killed-terminals")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
MOST_POINTS = 200
MOST_ACKNOWLEDGED, ACKNOWLEDGE_STRIDE = (100, 1) if DEEP else (30, 3)


class Scene:
    """Two running posts whose first supervisors write to each other; commands of DEL's run in killable processes."""

    def __init__(self, posts: Exercise, command: Forked) -> None:
        self.posts = posts
        self.command = command

    def send(self, fail_at: int = 0) -> Ended:
        marking = ("--precedence", "ROUTINE", "--classification", "RESTRICTED", "--subject", "Trade")
        place = self.posts.at("DEL", "first")
        return self.command("cable", "send", "--to", "WAS", *marking, *place, "-", stdin=b"Text.", fail_at=fail_at)

    def at_del(self, *words: str, fail_at: int = 0) -> Ended:
        return self.command("cable", *words, *self.posts.at("DEL", "first"), fail_at=fail_at)

    def stored(self, code: str, box: str) -> list[CableRecord]:
        """What a terminal's store holds, without asking its node."""
        with self.posts.terminal(code) as terminal:
            return terminal.cables(box)

    def waits_at_node(self, cable: CableRecord) -> bool:
        with self.posts.client("DEL") as client:
            after = 0
            while items := client.inbox(after).items:
                if any(one.envelope_id == cable.envelope_id for one in items):
                    return True
                after = items[-1].position
        return False


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("killed")
    with exercise(folder / "posts", "DHA", "DEL", "WAS") as posts, Forked(posts.passphrase_file, folder) as command:
        for code in posts.codes:
            posts.sync(code)
        yield Scene(posts, command)


def ids(cables: list[CableRecord]) -> list[bytes]:
    return [one.envelope_id for one in cables]


def test_killed_while_sending(scene: Scene) -> None:
    """What was sealed is handed in as it was sealed; what was not, was not sent; each arrives exactly once."""
    died = 0
    for point in range(1, MOST_POINTS):
        before = ids(scene.stored("DEL", "out"))
        ended = scene.send(point)
        if ended.code != SIGKILLED:
            break
        died += 1
        sealed = ids(scene.stored("DEL", "out"))
        assert sealed[: len(before)] == before and len(sealed) <= len(before) + 1
        assert scene.at_del("list").code == 0
        assert ids(scene.stored("DEL", "out")) == sealed
    assert ended.code == 0 and ended.data["carried"] is True
    assert died >= 10
    scene.posts.settle()
    sent = scene.stored("DEL", "out")
    arrived = [one for one in scene.posts.sync("WAS") if one.box == "in"]
    assert sorted(ids(arrived)) == sorted(ids(sent)) and len(set(ids(sent))) == len(sent)
    taken = scene.posts.rows("DEL", "SELECT serial FROM serials ORDER BY serial")
    assert taken == [(n,) for n in range(1, len(taken) + 1)]
    assert len(sent) < died, "some points came before the seal, some after"
    _everything_is_proved(scene, sent)


def _everything_is_proved(scene: Scene, sent: list[CableRecord]) -> None:
    """Each cable is anchored once and delivered; the receiver has missed no wrap and alarms nothing."""
    scene.posts.settle()
    scene.posts.sync("DEL")
    with scene.posts.terminal("DEL") as terminal:
        for cable in sent:
            tracked = terminal.track(cable.envelope_id)
            assert tracked.anchored and [one.state for one in tracked.progress] == ["delivered"]
    for code in ("DEL", "WAS"):
        with scene.posts.terminal(code) as terminal:
            assert terminal.alarms() == []
    for code in scene.posts.codes:
        assert scene.posts.status(code).alarms == ()


def test_killed_while_receiving(scene: Scene) -> None:
    """A cable is in the in-tray once, whole, and its DELIVERED comes once."""
    sent: list[CableRecord] = []
    died = 0
    for point in range(1, MOST_POINTS):
        sent.append(scene.posts.queue("WAS", "DEL"))
        eventually(lambda: scene.waits_at_node(sent[-1]))
        ended = scene.at_del("list", fail_at=point)
        if ended.code != SIGKILLED:
            break
        died += 1
        assert set(ids(scene.stored("DEL", "in"))) <= set(ids(sent))
        assert scene.at_del("list").code == 0
        assert ids(scene.stored("DEL", "in")) == ids(sent)
    assert ended.code == 0 and died >= 5
    scene.posts.settle()
    assert ids(scene.stored("DEL", "in")) == ids(sent)
    scene.posts.sync("WAS")
    with scene.posts.terminal("WAS") as terminal:
        for cable in sent:
            assert [one.state for one in terminal.track(cable.envelope_id).progress] == ["delivered"]
            assert len(terminal.receipts(cable)) == 1
    delivered = scene.posts.rows(
        "WAS", "SELECT envelope_id, count(*) FROM inbox WHERE kind = 2 GROUP BY envelope_id, terminal_id"
    )
    assert len(delivered) >= len(sent) and all(count == 1 for _, count in delivered)


def test_killed_while_acknowledging(scene: Scene) -> None:
    """The originator is told READ or ACKNOWLEDGED once, and the same command given again comes to its end."""
    waiting = [scene.posts.queue("WAS", "DEL") for _ in range(MOST_ACKNOWLEDGED)]
    scene.posts.settle()
    assert scene.at_del("list").code == 0
    scene.posts.settle()
    done: list[CableRecord] = []
    died = 0
    for number, cable in enumerate(waiting):
        done.append(cable)
        ended = scene.at_del("ack", cable.envelope_id.hex(), fail_at=1 + number * ACKNOWLEDGE_STRIDE)
        if ended.code != SIGKILLED:
            break
        died += 1
        again = scene.at_del("ack", cable.envelope_id.hex())
        assert again.code == 0 and again.data["state"] == "acknowledged", again.err
    assert ended.code == 0 and 5 <= died < len(waiting)
    scene.posts.settle()
    scene.posts.sync("WAS")
    with scene.posts.terminal("WAS") as terminal:
        for cable in done:
            assert [one.state for one in terminal.track(cable.envelope_id).progress] == ["acknowledged"]
            assert len(terminal.receipts(cable)) == 2, "DELIVERED and ACKNOWLEDGED"
