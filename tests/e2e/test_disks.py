"""Full and read-only disks: a sentence and an exit code, nothing lost, and all goes on once there is room again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.disks import (
    SmallDisk,
    growing_to,
    may_mount,
    mounted_read_only,
    obeying_permissions,
    without_write_permission,
)
from support.processes import Ended, Exercise, exercise
from terminal.records import CableRecord

pytestmark = pytest.mark.xdist_group("e2e-disks")
FULL = ["file-limit", *(["small-disk"] if may_mount() else [])]
READ_ONLY = ["permissions", *(["mount"] if may_mount() else [])]
ROOM = 120_000
DISK_FULL = "the disk is full [disk-full]"
FULL_SENTENCES = {
    "small-disk": (DISK_FULL,),
    "file-limit": (DISK_FULL, "the store failed: disk I/O error [store-failed]"),  # SQLite does not tell EFBIG
}


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with exercise(tmp_path_factory.mktemp("posts"), "DHA", "DEL", "WAS") as made:
        for code in made.codes:
            made.sync(code)
        made.settle()
        yield made


class Quill:
    """Sends cables from DEL to WAS and knows which must arrive."""

    def __init__(self, posts: Exercise) -> None:
        self.posts = posts
        self.sent: list[CableRecord] = []

    def send(self, count: int) -> None:
        for _ in range(count):
            self.sent.append(self.posts.queue("DEL", "WAS"))

    def all_arrived_once(self) -> None:
        self.posts.settle(lambda: self.posts.sync("WAS"))
        arrived = [one.envelope_id for one in self.posts.sync("WAS") if one.box == "in"]
        wanted = [one.envelope_id for one in self.sent]
        assert [one for one in arrived if one in wanted] == wanted


@pytest.fixture
def quill(posts: Exercise) -> Quill:
    return Quill(posts)


def said_since(posts: Exercise, code: str, start: int) -> str:
    return posts.log(code).read_text()[start:]


def stopped_saying(said: str, *sentences: str) -> None:
    """One error and its hint close the log; no traceback is anywhere."""
    *_, error, hint = said.strip().splitlines()
    assert error.removeprefix("error: ") in sentences and hint.startswith("hint: "), said
    assert "Traceback" not in said


@pytest.mark.parametrize("how", FULL)
def test_a_full_disk_stops_the_node_with_a_sentence_and_nothing_is_lost(
    posts: Exercise, quill: Quill, how: str
) -> None:
    assert posts.stop("WAS") == 0
    folder = posts.home("WAS") / "node"
    start = len(posts.log("WAS").read_text())
    with ExitStack() as after:
        if how == "small-disk":
            disk = SmallDisk(folder)
            after.callback(disk.close)
            disk.leave_free(ROOM)
            posts.start("WAS")
        else:
            posts.start_under("WAS", growing_to((folder / "node.db").stat().st_size + ROOM))
        quill.send(9)
        assert posts.wait_end("WAS") == 4
        stopped_saying(said_since(posts, "WAS", start), *FULL_SENTENCES[how])
        quill.send(1)
        if how == "small-disk":
            disk.enlarge()
        posts.start("WAS")
        posts.wait_ready("WAS")
        quill.all_arrived_once()
        assert posts.stop("WAS") == 0
    posts.start("WAS")
    posts.wait_ready("WAS")
    quill.send(1)
    quill.all_arrived_once()


@pytest.mark.parametrize("how", READ_ONLY)
def test_a_read_only_disk_keeps_the_node_from_starting_with_a_sentence(posts: Exercise, quill: Quill, how: str) -> None:
    assert posts.stop("WAS") == 0
    folder = posts.home("WAS") / "node"
    start = len(posts.log("WAS").read_text())
    with ExitStack() as after:
        if how == "permissions":
            after.enter_context(without_write_permission(folder))
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        posts.start_under("WAS", obeying_permissions() if how == "permissions" else mounted_read_only(folder))
        quill.send(1)
        assert posts.wait_end("WAS") == 4
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    stopped_saying(said_since(posts, "WAS", start), "the store cannot be written [disk-read-only]")
    posts.start("WAS")
    posts.wait_ready("WAS")
    quill.all_arrived_once()


# --- terminals -------------------------------------------------------------------------------------------------------


def refused(ended: Ended) -> None:
    """An error and its hint, nothing on stdout, no traceback."""
    assert ended.code in (1, 4) and ended.out == "", ended
    error, hint = ended.err.strip().splitlines()
    assert error.startswith("error: ") and hint.startswith("hint: "), ended.err


def held(posts: Exercise, code: str) -> list[tuple[str, str, bytes]]:
    """What a terminal's store holds, without asking the node."""
    with posts.terminal(code) as terminal:
        return [(one.box, one.state, one.envelope_id) for one in terminal.cables()]


def test_on_a_full_disk_a_terminal_sends_nothing_and_says_so(posts: Exercise) -> None:
    store = posts.terminal_folder("DEL").store_path
    before, sent = held(posts, "DEL"), posts.count("DEL", "envelopes")
    ended = posts.send("DEL", "first", "WAS", text=b"Text. " * 9_000, before=growing_to(store.stat().st_size))
    refused(ended)
    assert "[disk-failed]" in ended.err
    assert held(posts, "DEL") == before and posts.count("DEL", "envelopes") == sent
    assert posts.send("DEL", "first", "WAS").data["carried"] is True


def test_on_a_full_disk_a_terminal_receives_nothing_and_later_all(posts: Exercise, quill: Quill) -> None:
    posts.settle(lambda: posts.sync("WAS"))
    for _ in range(3):
        quill.send(1)
    posts.settle()
    before = held(posts, "WAS")
    limit = growing_to(posts.terminal_folder("WAS").store_path.stat().st_size)
    ended = posts("cable", "list", *posts.at("WAS", "first"), before=limit)
    assert "[disk-failed]" in ended.err or "not fetched now" in ended.err
    assert set(before) <= set(held(posts, "WAS")) and "Traceback" not in ended.err
    quill.all_arrived_once()


@pytest.mark.parametrize("how", READ_ONLY)
def test_on_a_read_only_disk_a_terminal_does_nothing_and_says_so(posts: Exercise, how: str) -> None:
    folder = posts.terminal_folder("DEL").path
    before, sent = files(folder), posts.count("DEL", "envelopes")
    with ExitStack() as after:
        if how == "permissions":
            after.enter_context(without_write_permission(folder))
        program = obeying_permissions() if how == "permissions" else mounted_read_only(folder)
        refused(posts.send("DEL", "first", "WAS", before=program))
        refused(posts("cable", "list", *posts.at("DEL", "first"), before=program))
        assert files(folder) == before
    assert posts.count("DEL", "envelopes") == sent
    assert posts.send("DEL", "first", "WAS").code == 0


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
