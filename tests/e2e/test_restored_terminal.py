"""Case 5 with real nodes: a terminal's folder is set back to a backup, and every cable it had DELIVERED comes again."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.posts import eventually
from support.processes import Exercise, exercise


def alarms(posts: Exercise, post: str) -> dict[str, set[str]]:
    """By code, the envelope ids of what `cable list` alarms."""
    found: dict[str, set[str]] = {}
    for one in posts.must("cable", "list", *posts.at(post, "first"))["alarms"]:
        found.setdefault(one["code"], set()).add(one["envelope_id"])
    return found


def test_a_restored_terminal_lists_and_gets_every_cable_delivered_since(tmp_path: Path) -> None:
    with exercise(tmp_path, "DHA", "DEL") as posts:
        posts.settle()
        folder = posts.terminal_folder("DEL").path
        backup = Path(shutil.copytree(folder, folder.with_name("backup")))
        sent = [posts.send("DHA", "first", "DEL", text=b"before the next prekey").data["envelope_id"]]
        with posts.terminal("DEL") as reader:
            reader.publish_prekey()
        for number in range(3):
            data = posts.send("DHA", "first", "DEL", text=f"text {number}".encode()).data
            sent.append(data["envelope_id"])
        eventually(lambda: {one.envelope_id.hex() for one in posts.sync("DEL")} >= set(sent))
        eventually(lambda: _delivered(posts, sent))
        shutil.rmtree(folder)
        backup.rename(folder)
        found = alarms(posts, "DEL")
        assert "terminal-behind" in found, "noticed"
        assert found["wrap-not-opened"] == set(sent[1:]), "listed; the first opens with a prekey of the backup"
        eventually(lambda: bool(posts.sync("DHA")) and not alarms(posts, "DEL").get("wrap-not-opened"))
        texts = [posts.must("cable", "read", one, *posts.at("DEL", "first"))["paragraphs"] for one in sent]
        assert texts == [["before the next prekey"], ["text 0"], ["text 1"], ["text 2"]]
        assert set(alarms(posts, "DEL")) == {"terminal-behind"} and not alarms(posts, "DHA")
        eventually(lambda: _delivered(posts, sent))


def _delivered(posts: Exercise, sent: list[str]) -> bool:
    found = [posts.must("cable", "track", one, *posts.at("DHA", "first"))["addressees"] for one in sent]
    return all(one["delivered"] for some in found for one in some)
