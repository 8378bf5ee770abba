"""Real processes: a reply to all, a cancellation and a successor while an addressee's node is down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.posts import eventually
from support.processes import Exercise, exercise

pytestmark = pytest.mark.xdist_group("e2e-correspondence")


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with exercise(tmp_path_factory.mktemp("posts"), "DHA", "DEL", "WAS") as made:
        for code in made.codes:
            made.sync(code)
        made.settle()
        yield made


def listed(posts: Exercise, code: str) -> dict[str, dict]:  # type: ignore[type-arg]
    found = posts.must("cable", "list", *posts.at(code, "first"))["cables"]
    return {one["envelope_id"]: one for one in found}


def test_marks_reach_a_post_that_was_away(posts: Exercise) -> None:
    first = posts.send("DHA", "first", "ALL-MISSIONS").data
    second = posts.send("DHA", "first", "DEL,WAS").data
    posts.settle()
    answer = posts.must("cable", "reply", first["cable_id"], "--all", *posts.at("DEL", "first"), "-", stdin=b"Yes.\n")
    assert answer["posts"] == ["DEL", "DHA", "WAS"]

    posts.kill("WAS")
    gone = posts.must("cable", "cancel", first["cable_id"], *posts.at("DHA", "first"))
    better = posts.send("DHA", "first", "DEL,WAS", "--supersedes", second["cable_id"]).data
    eventually(lambda: gone["envelope_id"] in listed(posts, "DEL"))
    posts.start("WAS")
    posts.wait_ready()
    eventually(lambda: {gone["envelope_id"], better["envelope_id"]} <= set(listed(posts, "WAS")))
    for code in posts.codes:
        cables = listed(posts, code)
        assert cables[first["envelope_id"]]["cancelled_by"] == [gone["envelope_id"]]
        assert cables[second["envelope_id"]]["superseded_by"] == [better["envelope_id"]]
        assert posts.must("cable", "read", first["cable_id"], *posts.at(code, "first"))["paragraphs"] == ["Text.\n"]
