"""A post whose store is full takes nothing more, says so, and goes on when there is room."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from node.config import load_config, node_folder, save_config
from support.posts import Posts
from terminal.compose import Composition
from terminal.terminal import Terminal

CABLES = 15
PIECE = 100_000


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    network = Posts(tmp_path / "posts", ("DHA", "DEL"))
    limit(network, "DHA", 1)
    network.start()
    yield network
    network.close()


def limit(posts: Posts, code: str, mib: int) -> None:
    folder = node_folder(posts.home(code))
    config = load_config(folder)
    save_config(folder, replace(config, limits=replace(config.limits, store_mib=mib)))


def cable(to: str) -> Composition:
    text = secrets.token_hex(PIECE)
    return Composition((to,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "large", text)


def have(terminal: Terminal, cable_ids: list[bytes]) -> bool:
    return {one.cable_id for one in terminal.cables("in")} >= set(cable_ids)


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_full_store_makes_others_wait_and_tells_its_own_officers(posts: Posts) -> None:
    for code in ("DHA", "DEL"):
        posts.wait_ready(code)
    with posts.terminal("DEL") as terminal:
        sent = [terminal.send(cable("DHA")).cable_id for _ in range(CABLES)]
    eventually(lambda: any(alarm.code == "store-full" for alarm in posts.status("DHA").alarms))
    with posts.terminal("DHA") as terminal:
        own = [terminal.send(cable("DEL")).cable_id for _ in range(CABLES)]  # kept by the terminal until they are taken
    assert "the store has no more room for items of DHA" in [one.text for one in posts.status("DHA").alarms]
    assert sum(queue.items for queue in posts.status("DEL").queues) > 0, "what is not taken waits"
    assert posts.stop("DHA") == 0
    limit(posts, "DHA", 1000)
    posts.start("DHA")
    posts.wait_ready("DHA")
    with posts.terminal("DHA") as at_dha, posts.terminal("DEL") as at_del:

        def has_all() -> bool:
            at_dha.sync()
            at_del.sync()
            return have(at_dha, sent) and have(at_del, own)

        eventually(has_all)
