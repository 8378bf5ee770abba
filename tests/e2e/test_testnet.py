"""`dutabarta testnet` as typed: five real posts, four of them validators, cut apart, healed, killed, brought back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.engines import built_engine
from support.posts import eventually
from support.processes import Ended, dutabarta
from testnet.network import Testnet
from testnet.processes import kill

pytestmark = pytest.mark.xdist_group("network")
HALVED_SECONDS = 10.0


class Net:
    """The commands at one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str) -> Ended:
        return dutabarta("testnet", *arguments, "--dir", self.folder, "--json")

    def must(self, *arguments: str) -> dict[str, Any]:
        ended = self(*arguments)
        assert ended.code == 0, ended.err
        return ended.data

    def posts(self) -> dict[str, dict[str, Any]]:
        return {one["post"]: one for one in self.must("status")["posts"]}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    built_engine()
    made = Net(tmp_path_factory.mktemp("t") / "net")
    try:
        up = made.must("up", "--posts", "5")
        assert up["validators"] == up["posts"][:4] == ["DHA", "ALG", "CAI", "ADD"] and len(up["posts"]) == 5
        yield made
    finally:
        made("down")


def enter(net: Net, code: str, name: str) -> Ended:
    """Something that puts entries on the ledger: enrol an officer."""
    passphrase = {"DUTABARTA_PASSPHRASE_FILE": str(net.folder / "passphrase")}
    options = ("--role", "drafter", "--clearance", "SECRET", "--home", net.folder / "posts" / code)
    return dutabarta("officer", "enrol", name, *options, environment=passphrase)


def test_a_whole_network_lives_through_what_is_done_to_its_links_and_processes(net: Net) -> None:
    posts = net.posts()
    assert all(one["alive"] and one["ready"] and not one["alarms"] for one in posts.values())
    assert [one["role"] for one in posts.values()] == ["validator"] * 4 + ["follower"]
    assert [one["engine"]["alive"] for one in posts.values()] == [True] * 4 + [False]
    assert all(one["node"]["memory_bytes"] > 2**20 and one["node"]["cpu_seconds"] > 0 for one in posts.values())

    cut = net.must("partition", "CAI,ADD")
    assert len(cut["cuts"]) == 2 * 2 * 3
    before = posts["DHA"]["log_size"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(enter, net, "DHA", "halved")
        time.sleep(HALVED_SECONDS)
        assert {one["log_size"] for one in net.posts().values()} == {before}, "two of four validators are no quorum"
        assert not waiting.done() and net.must("heal")["cuts"] == []
        assert waiting.result().code == 0, waiting.result().err
    eventually(lambda: all(one["log_size"] > before for one in net.posts().values()), 90.0)

    net.must("kill", "ADD")
    assert "[post-not-running]" in net("kill", "ADD").err
    assert enter(net, "ALG", "outlived").code == 0, "three of four validators are a quorum"
    net.must("kill", "NBO")
    assert {code for code, one in net.posts().items() if not one["alive"]} == {"ADD", "NBO"}
    net.must("link", "NBO", "--kbit", "128", "--delay", "300", "--loss", "1")
    assert net.must("start")["running"] == ["DHA", "ALG", "CAI", "ADD", "NBO"]
    eventually(lambda: net.must("status")["roots"] == 1, 90.0)
    assert net.posts()["NBO"]["ready"]


def test_a_relay_that_has_died_is_seen_and_brought_back(net: Net) -> None:
    found = Testnet(net.folder)
    kill(found.layout.processes["relay"])
    assert net.must("status")["relay"] == {"alive": False, "pid": 0, "memory_bytes": 0, "cpu_seconds": 0}
    assert "[relay-down]" in net("heal").err
    net.must("start")
    assert net.must("status")["relay"]["alive"]
    assert enter(net, "CAI", "later").code == 0


def test_down_stops_all_and_start_brings_it_back_with_its_ledger(net: Net) -> None:
    before = net.posts()["DHA"]["log_size"]
    assert net.must("down")["stopped"] == ["DHA", "ALG", "CAI", "ADD", "NBO"]
    assert not any(one["alive"] for one in net.posts().values())
    assert "[testnet-not-up]" in net("down").err
    net.must("start")
    assert all(one["ready"] and one["log_size"] >= before for one in net.posts().values())
    assert "[testnet-up]" in dutabarta("testnet", "up", "--posts", "5", "--dir", net.folder).err
    assert json.loads((net.folder / "testnet.json").read_text())["version"] == 1


def test_a_post_behind_a_line_of_seconds_catches_up(tmp_path: Path) -> None:
    """There and back takes 2.4 s, so every handshake takes more: a connection that is given up sooner never comes."""
    thin = Net(tmp_path / "net")
    try:
        thin.must("up", "--posts", "3", "--validators", "1")
        thin.must("kill", "CAI")
        assert enter(thin, "ALG", "meanwhile").code == 0
        thin.must("link", "CAI", "--delay", "1200")
        thin.must("start", "CAI")
        eventually(lambda: thin.must("status")["roots"] == 1, 90.0)
    finally:
        thin("down")
