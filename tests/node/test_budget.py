"""A post with a link budget: it is held, and what the courier cost is shown."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cli.main import run
from crypto_msg.cable import Precedence
from ledger.roles import Clearance
from node.config import CourierSettings, load_config, node_folder, save_config
from support.posts import Posts, eventually
from terminal.compose import Composition

KBIT = 200
TEXT = secrets.token_hex(100_000)
"""Half as many bytes when compressed."""


@pytest.fixture
def posts(tmp_path: Path) -> Iterator[Posts]:
    network = Posts(tmp_path / "posts", ("DHA", "DEL"))
    folder = node_folder(network.home("DEL"))
    save_config(folder, replace(load_config(folder), courier=CourierSettings(KBIT)))
    network.start()
    network.wait_ready()
    yield network
    network.close()


def test_the_budget_is_held_and_the_cost_is_shown(posts: Posts, capsys: pytest.CaptureFixture[str]) -> None:
    with posts.terminal("DEL") as terminal:
        sent = terminal.send(Composition(("DHA",), Precedence.ROUTINE, Clearance.UNCLASSIFIED, "large", TEXT))
        began = time.monotonic()
        eventually(lambda: not posts.status("DEL").queues)
        assert time.monotonic() - began >= (len(TEXT) / 2 - KBIT * 125) / (KBIT * 125)
        eventually(lambda: terminal.track(sent.cable_id).sent_bytes > len(TEXT) / 2)
        assert terminal.track(sent.cable_id).sent_bytes < len(TEXT) / 2 * 1.4, "padding, head and proof"
    here, there = posts.status("DEL"), posts.status("DHA")
    assert (here.link_kbit, there.link_kbit) == (KBIT, 0)
    assert sum(day.sent for day in here.traffic) > len(TEXT) / 2
    eventually(lambda: sum(day.received for day in posts.status("DHA").traffic) > len(TEXT) / 2)
    for language, words in (("bn", f"{KBIT} কিলোবিট"), ("en", f"{KBIT} kbit/s")):
        assert run(["--lang", language, "node", "status", "--home", str(posts.home("DEL"))]) == 0
        assert words in capsys.readouterr().out
