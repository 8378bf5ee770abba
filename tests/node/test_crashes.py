"""A daemon that kills itself at a write point: whatever it had said stays true, and nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from protos.errors import Unavailable
from support.posts import Posts, eventually
from terminal.compose import Composition

POINTS = (2, 9, 19)


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    made = Posts(tmp_path, ("DHA", "DEL", "LON"))
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def send(posts: Posts, subject: str) -> bytes | None:
    """Hand in a cable at DEL; None if the node was not there before the terminal had made it durable."""
    try:
        with posts.terminal("DEL") as terminal:
            composition = Composition(("LON",), Precedence.ROUTINE, Clearance.UNCLASSIFIED, subject, "text")
            return terminal.send(composition).cable_id
    except Unavailable:
        return None


def received(posts: Posts) -> list[bytes]:
    with posts.terminal("DEL") as terminal:
        terminal.sync()  # hands in what a dead node could not take
    with posts.terminal("LON") as terminal:
        terminal.sync()
        return [one.cable_id for one in terminal.cables("in")]


def send_until_it_dies(posts: Posts, victim: str) -> list[bytes]:
    deadline, sent = time.monotonic() + 60, []
    while posts.nodes[victim].poll() is None:
        assert time.monotonic() < deadline, "it never reached its write point"
        sent.append(send(posts, f"until {victim} dies"))
    assert posts.nodes.pop(victim).returncode == -9
    return [one for one in sent if one is not None]


@pytest.mark.parametrize("victim", ["DEL", "LON", "DHA"])
def test_killed_at_write_points_every_cable_arrives_exactly_once(posts: Posts, victim: str) -> None:
    """DEL sends to LON; the sender's, the receiver's or the sequencer's daemon dies at ever later write points."""
    sent: list[bytes] = []
    for point in POINTS:
        assert posts.stop(victim) == 0
        posts.start(victim, fail_at=point)
        sent += send_until_it_dies(posts, victim)
        posts.start(victim)
        posts.wait_ready(victim)
    eventually(lambda: set(received(posts)) == set(sent))
    assert sorted(received(posts)) == sorted(sent)
    eventually(lambda: len({posts.status(code).root for code in posts.codes}) == 1)
    assert all(not posts.status(code).alarms for code in posts.codes)
