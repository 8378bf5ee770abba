"""A node whose store is a PostgreSQL database. The store's units run on one in test_store_units.py."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from node.config import load_config, node_folder, save_config
from node.store.database import Database, StoreFailed
from protos.errors import Malformed
from support.postgresql import PostgreSQL
from support.posts import Posts
from terminal.compose import Composition


@pytest.fixture
def posts(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[Posts]:
    """HQ and a mission, the mission's store in PostgreSQL."""
    network = Posts(tmp_path / "posts", ("DHA", "DEL"))
    folder = node_folder(network.home("DEL"))
    save_config(folder, replace(load_config(folder), database=postgresql.new_database()))
    network.start()
    yield network
    network.close()


def carry(posts: Posts, sender: str, receiver: str, subject: str) -> None:
    """A cable goes from one officer to the other."""
    cable = Composition((receiver,), Precedence.ROUTINE, Clearance.UNCLASSIFIED, subject, "text")
    with posts.terminal(sender) as terminal:
        sent = terminal.send(cable)
    deadline = time.monotonic() + 60
    with posts.terminal(receiver) as terminal:
        while not any(one.cable_id == sent.cable_id for one in terminal.cables("in")):
            assert time.monotonic() < deadline, f"{receiver} did not get {subject}"
            terminal.sync()
            time.sleep(0.1)


def test_a_node_on_postgresql_founds_follows_carries_and_comes_back(posts: Posts) -> None:
    for code in ("DHA", "DEL"):
        posts.wait_ready(code)
    assert not (node_folder(posts.home("DEL")) / "node.db").exists()
    carry(posts, "DEL", "DHA", "there")
    carry(posts, "DHA", "DEL", "and back")
    assert posts.stop("DEL") == 0
    posts.start("DEL")
    posts.wait_ready("DEL")
    carry(posts, "DEL", "DHA", "after a start")


def test_a_store_of_a_newer_program_is_refused_by_name(postgresql: PostgreSQL) -> None:
    url = postgresql.new_database()
    store = Database(url)
    with store.write() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    with pytest.raises(Malformed, match="newer program"):
        Database(url)


def test_a_server_that_is_gone_is_a_named_failure(postgresql: PostgreSQL) -> None:
    with pytest.raises(StoreFailed, match="the store failed"):
        Database(postgresql.url("nowhere"))
