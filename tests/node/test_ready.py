"""When a daemon says that it is ready: what was left for it is on the ledger, and its terminals are served."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.config import INTAKE_FOLDER, node_folder
from protos.errors import Unavailable
from support.posts import Posts, eventually


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    made = Posts(tmp_path, ("DHA", "DEL", "LON"))
    try:
        yield made
    finally:
        made.close()


def left_over(posts: Posts, code: str) -> list[str]:
    return sorted(path.name for path in (node_folder(posts.home(code)) / INTAKE_FOLDER).iterdir())


def answers(posts: Posts, code: str) -> bool:
    try:
        return posts.status(code).post == code
    except Unavailable:
        return False


def says_ready(posts: Posts, code: str) -> bool:
    return f"\nready: {code} " in "\n" + posts.log(code).read_text()


def test_a_mission_is_ready_when_its_intake_is_on_the_ledger_and_stays_so_without_headquarters(posts: Posts) -> None:
    posts.start("DEL")
    eventually(lambda: answers(posts, "DEL"))
    time.sleep(2)
    assert left_over(posts, "DEL") and not posts.status("DEL").ready and not says_ready(posts, "DEL")

    posts.start("DHA", "LON")
    posts.wait_ready()
    assert left_over(posts, "DEL") == []
    eventually(lambda: all(says_ready(posts, code) for code in posts.codes))

    posts.close()
    posts.log("DEL").unlink()
    posts.start("DEL")
    posts.wait_ready("DEL")
    eventually(lambda: says_ready(posts, "DEL"))
    with posts.terminal("DEL") as terminal:
        assert terminal.sync().cables == 0


def test_an_entry_that_is_refused_for_good_holds_nobody_up(posts: Posts) -> None:
    folder = node_folder(posts.home("DEL")) / INTAKE_FOLDER
    (folder / "999.entry").write_bytes(b"\x01no entry")
    posts.start()
    posts.wait_ready()
    assert left_over(posts, "DEL") == ["999.entry.refused"]
