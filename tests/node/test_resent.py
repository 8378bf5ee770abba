"""Cables handed in again through real nodes: what a node has lost is stored again, what it has is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from node.config import node_folder
from node.courier import ItemKind
from support.posts import eventually
from support.processes import Exercise, exercise
from terminal.compose import Composition
from terminal.records import CableRecord

ENVELOPES = f"SELECT item_id FROM items WHERE kind = {int(ItemKind.ENVELOPE)} AND origin = 'DEL'"


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with exercise(tmp_path_factory.mktemp("posts"), "DHA", "DEL", "WAS") as made:
        made.settle()
        yield made


def send(posts: Exercise) -> CableRecord:
    with posts.terminal("DEL") as sender:
        return sender.send(Composition(("WAS",), 2, 1, "Trade", "Text."))


def track(posts: Exercise, sent: CableRecord) -> str:
    posts.sync("DEL")
    with posts.terminal("DEL") as sender:
        return next(one.state for one in sender.track(sent.envelope_id).progress)


def test_a_node_that_was_set_back_stores_the_cable_again(posts: Exercise) -> None:
    """WAS takes a cable, loses its disk before anybody has read it, and gets it from DEL once more."""
    folder = node_folder(posts.home("WAS"))
    posts.stop("WAS")
    shutil.copytree(folder, folder.with_name("backup"))
    posts.start("WAS")
    posts.wait_ready("WAS")
    sent = send(posts)
    eventually(lambda: track(posts, sent) == "carried")
    posts.kill("WAS")
    shutil.rmtree(folder)
    folder.with_name("backup").rename(folder)
    posts.start("WAS")
    posts.wait_ready("WAS")
    assert not [one for one in posts.sync("WAS") if one.envelope_id == sent.envelope_id]
    answer = posts.must("cable", "resend", sent.cable_id.hex(), *posts.at("DEL", "first"))
    assert answer == {"cable_id": sent.cable_id.hex(), "posts": ["WAS"]}
    for name in ("first", "second"):
        eventually(lambda name=name: sent.envelope_id in [one.envelope_id for one in posts.sync("WAS", name)])
    eventually(lambda: track(posts, sent) == "delivered")


def test_a_receipt_that_was_lost_comes_again(posts: Exercise) -> None:
    """DEL sets its node back to before the DELIVERED; the cable that comes again makes WAS repeat it."""
    sent = send(posts)
    eventually(lambda: posts.rows("WAS", f"SELECT 1 FROM envelopes WHERE envelope_id = x'{sent.envelope_id.hex()}'"))
    folder = node_folder(posts.home("DEL"))
    posts.stop("DEL")
    shutil.copytree(folder, folder.with_name("backup"))
    posts.start("DEL")
    posts.wait_ready("DEL")
    posts.sync("WAS")
    receipts = f"SELECT 1 FROM items WHERE kind = 2 AND envelope_id = x'{sent.envelope_id.hex()}'"
    eventually(lambda: posts.rows("DEL", receipts))
    posts.kill("DEL")
    shutil.rmtree(folder)
    folder.with_name("backup").rename(folder)
    posts.start("DEL")
    posts.wait_ready("DEL")
    assert track(posts, sent) != "delivered"
    with posts.terminal("DEL") as sender:
        sender.resend(sent.envelope_id)
    eventually(lambda: posts.sync("WAS") is not None and track(posts, sent) == "delivered")
    with posts.terminal("WAS") as reader:
        assert sum(one.envelope_id == sent.envelope_id for one in reader.cables("in")) == 1
