"""A node that lost its store joins again, and its terminals read on."""

from __future__ import annotations

from pathlib import Path

from crypto_msg.wire import decode_draft
from ledger.roles import Clearance
from node.config import node_folder
from support.posts import Posts, eventually
from terminal.compose import Composition


def test_the_terminals_of_a_node_rebuilt_from_nothing_read_on(tmp_path: Path) -> None:
    posts = Posts(tmp_path, ("DHA", "DEL", "WAS"))
    try:
        posts.start()
        posts.wait_ready()
        for number in range(3):
            send(posts, f"before {number}")
        eventually(lambda: received(posts) == {"before 0", "before 1", "before 2"})
        first = inbox_id(posts)
        posts.kill("DEL")
        posts.start("DEL")
        posts.wait_ready("DEL")
        assert inbox_id(posts) == first
        posts.kill("DEL")
        for path in node_folder(posts.home("DEL")).glob("node.db*"):
            path.unlink()
        posts.start("DEL")
        posts.wait_ready("DEL")
        assert inbox_id(posts) != first
        send(posts, "after")
        eventually(lambda: "after" in received(posts))
    finally:
        posts.close()


def send(posts: Posts, subject: str) -> None:
    with posts.terminal("DHA") as terminal:
        terminal.send(Composition(("DEL",), 1, Clearance.UNCLASSIFIED, subject, "text"))


def received(posts: Posts) -> set[str]:
    with posts.terminal("DEL") as terminal:
        terminal.sync()
        return {decode_draft(one.draft).subject for one in terminal.cables("in")}


def inbox_id(posts: Posts) -> bytes:
    with posts.client("DEL") as client:
        found = client.inbox().inbox_id
    assert len(found) == 16
    return found
