"""Posts that come back with less than they had: rebuilt from nothing but their keys, or with yesterday's database."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.parameters import EXERCISE_PARAMETERS as PARAMETERS
from protos.errors import Unavailable
from support.posts import eventually
from support.processes import Exercise, exercise
from terminal.records import CableRecord

pytestmark = pytest.mark.xdist_group("e2e-come-back")
SLOT_SECONDS = 6
DATABASE = ("node.db", "node.db-wal", "node.db-shm")


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with exercise(tmp_path_factory.mktemp("posts"), "DHA", "DEL", "WAS", "LON") as made:
        for code in made.codes:
            made.sync(code)
        made.settle()
        yield made


def incoming(posts: Exercise, code: str) -> list[bytes]:
    return [one.envelope_id for one in posts.sync(code) if one.box == "in"]


def sent(posts: Exercise, code: str, to: str) -> CableRecord:
    """A cable handed in as soon as the node can fetch what it needs: links come back within seconds."""
    cables: list[CableRecord] = []

    def tries() -> bool:
        with contextlib.suppress(Unavailable):
            cables.append(posts.queue(code, to))
        return bool(cables)

    eventually(tries)
    return cables[0]


def exchange(posts: Exercise, code: str) -> tuple[CableRecord, CableRecord]:
    """One cable to `code` and one from it: both arrive and are anchored."""
    to, of = sent(posts, "DHA", code), sent(posts, code, "DHA")
    posts.settle()
    assert to.envelope_id in incoming(posts, code) and of.envelope_id in incoming(posts, "DHA")
    for origin, cable in (("DHA", to), (code, of)):
        with posts.terminal(origin) as terminal:
            terminal.sync()
            assert terminal.track(cable.envelope_id).anchored
    return to, of


def signed_by(posts: Exercise, code: str) -> dict[int, bytes]:
    """size: root of every cosignature of `code` that headquarters has kept."""
    rows = posts.rows("DHA", f"SELECT size, root FROM cosignatures WHERE post = '{code}'")
    return dict(rows)


def last_signed(posts: Exercise, code: str) -> int:
    size: int = posts.rows(code, "SELECT size FROM sign_state WHERE role = 'cosigner'")[0][0]
    return size


def nobody_is_accused(posts: Exercise, *expected: str) -> None:
    """No evidence anywhere, no alarm but the expected ones."""
    for code in posts.codes:
        assert posts.count(code, "evidence") == 0
        assert {one.code for one in posts.status(code).alarms} <= set(expected)
        with posts.terminal(code) as terminal:
            assert terminal.alarms() == []


def test_a_post_rebuilt_from_its_keys_and_the_genesis_reaches_the_same_root(posts: Exercise, tmp_path: Path) -> None:
    exchange(posts, "LON")
    node = posts.home("LON") / "node"
    genesis = shutil.copy(node / "genesis.log", tmp_path / "genesis.log")
    keys = {path.name: path.read_bytes() for path in (node / "keys").iterdir()}
    posts.kill("LON")
    before = signed_by(posts, "LON")
    for path in node.iterdir():
        if path.is_file() and path.name != "config.toml":
            path.unlink()
    joined = posts.must("node", "join", "--home", posts.home("LON"), "--genesis", genesis)
    assert joined["post"] == "LON"
    assert {path.name: path.read_bytes() for path in (node / "keys").iterdir()} == keys
    posts.start("LON")
    posts.wait_ready("LON")
    posts.settle()
    assert last_signed(posts, "LON") >= max(before)
    assert all(signed_by(posts, "LON").get(size, root) == root for size, root in before.items())
    exchange(posts, "LON")
    nobody_is_accused(posts, "rolled-back")


def test_yesterdays_database_signs_nothing_twice_and_loses_no_cable_to_come(posts: Exercise, tmp_path: Path) -> None:
    """network.md section 6: before it signs it has asked two others, of whom one keeps its cosignatures."""
    exchange(posts, "WAS")
    assert posts.stop("WAS") == 0
    node = posts.home("WAS") / "node"
    shutil.copy(node / "node.db", tmp_path / "node.db")
    yesterday = last_signed(posts, "WAS")
    posts.start("WAS")
    posts.wait_ready("WAS")
    for _ in range(3):
        exchange(posts, "WAS")
    eventually(lambda: max(signed_by(posts, "WAS"), default=0) > yesterday)
    assert posts.stop("WAS") == 0
    newest, signed = last_signed(posts, "WAS"), signed_by(posts, "WAS")
    for name in DATABASE:
        (node / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "node.db", node / "node.db")
    restored = last_signed(posts, "WAS")
    assert restored < newest

    for code in ("DEL", "LON"):
        posts.kill(code)
    posts.start("WAS")
    eventually(lambda: serves(posts, "WAS") and posts.status("WAS").log_size >= newest)
    time.sleep(2 * PARAMETERS.cosign_seconds + 1)
    assert last_signed(posts, "WAS") == restored, "with headquarters alone it does not know enough to sign"

    posts.start("DEL", "LON")
    posts.wait_ready()
    exchange(posts, "WAS")
    eventually(lambda: last_signed(posts, "WAS") > newest)
    kept = signed_by(posts, "WAS")
    assert all(kept.get(size, root) == root for size, root in signed.items()) and min(kept) >= min(signed)
    nobody_is_accused(posts, "rolled-back")
    assert "rolled-back" in {one.code for one in posts.status("WAS").alarms}


def test_headquarters_with_yesterdays_database_goes_on_from_what_it_has_signed(posts: Exercise, tmp_path: Path) -> None:
    """Its log is behind what it has signed: it orders nothing before the missions have brought it the rest."""
    assert posts.stop("DHA") == 0
    node = posts.home("DHA") / "node"
    shutil.copy(node / "node.db", tmp_path / "node.db")
    posts.start("DHA")
    posts.wait_ready("DHA")
    exchange(posts, "DEL")
    before = posts.status("DEL")
    assert posts.stop("DHA") == 0
    for name in DATABASE:
        (node / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "node.db", node / "node.db")
    meanwhile = [sent(posts, code, to) for code, to in (("DEL", "LON"), ("LON", "WAS"), ("WAS", "DEL"))]
    time.sleep(SLOT_SECONDS)
    posts.start("DHA")
    posts.wait_ready("DHA")
    posts.settle()
    exchange(posts, "LON")
    for cable in meanwhile:
        with posts.terminal(cable.post) as terminal:
            terminal.sync()
            assert terminal.track(cable.envelope_id).anchored
    for code in posts.codes:
        roots = {posts.rows(code, f"SELECT root FROM blocks WHERE size = {before.log_size}")[0] for code in posts.codes}
    assert roots == {(before.root,)}
    nobody_is_accused(posts, "rolled-back")


def serves(posts: Exercise, code: str) -> bool:
    try:
        return posts.status(code).log_size > 0
    except Unavailable:
        return False
