"""Filled slots on real nodes: every post has a batch in every slot, whoever sends; what that costs is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli import founding
from cli.main import run
from ledger.entry import EntryLeaf, decode_leaf
from ledger.parameters import DEFAULT_PARAMETERS, EXERCISE_PARAMETERS
from ledger.state import State
from node.slotcost import DAY_SECONDS, filled_slot_bytes
from support.posts import Posts, eventually
from support.processes import Exercise

SLOT_SECONDS, CODES = 2, ("DHA", "DEL", "WAS")


@pytest.fixture(scope="module")
def posts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    filled = replace(EXERCISE_PARAMETERS, filled_slots=True, slot_seconds=SLOT_SECONDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(founding, "EXERCISE_PARAMETERS", filled)
        made = Exercise(tmp_path_factory.mktemp("posts"), CODES)
    try:
        made.start()
        made.wait_ready()
        yield made
    finally:
        made.close()


def batches(posts: Exercise, code: str) -> dict[str, list[EntryLeaf]]:
    """The batch entries in a node's log, by the key that signed."""
    found: dict[str, list[EntryLeaf]] = {}
    for (data,) in posts.rows(code, "SELECT data FROM leaves ORDER BY position"):
        leaf = decode_leaf(data)
        if isinstance(leaf, EntryLeaf) and leaf.entry.kind == "batch":
            found.setdefault(leaf.signatures[0].key_id.hex(), []).append(leaf)
    return found


def test_every_post_fills_every_slot_and_nothing_shows_who_sends(posts: Exercise) -> None:
    eventually(lambda: min(map(len, _at_least(posts, 3)), default=0) >= 4)
    before = {key: len(some) for key, some in batches(posts, "WAS").items()}
    sent = posts.queue("DEL", "WAS")
    eventually(lambda: _anchored(posts, sent.envelope_id))
    after = {key: len(some) for key, some in batches(posts, "WAS").items()}
    more = [after[key] - before[key] for key in before]
    assert len(more) == len(CODES) and max(more) - min(more) <= 2, "no post has more batches than another"
    assert not posts.status("DHA").alarms and not posts.status("DEL").alarms


def test_what_they_cost_is_shown_beside_the_link_budget(posts: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    shown = posts.status("DEL").filled_slot_bytes
    rows = posts.rows("DEL", "SELECT data FROM leaves")
    sizes = [
        len(data) for (data,) in rows if isinstance(leaf := decode_leaf(data), EntryLeaf) and leaf.entry.kind == "batch"
    ]
    measured = sum(sizes) / len(sizes) * len(CODES) * DAY_SECONDS / SLOT_SECONDS
    assert abs(shown - measured) < measured * 0.03
    home = str(posts.home("DEL"))
    for language, words in (("en", f"about {shown} bytes"), ("bn", f"প্রায় {shown} বাইট")):
        assert run(["--lang", language, "node", "status", "--home", home]) == 0
        assert words in capsys.readouterr().out


def test_a_network_that_fills_no_slots_shows_no_cost() -> None:
    class Quiet(State):
        def parameters(self):  # type: ignore[no-untyped-def]
            return replace(DEFAULT_PARAMETERS, filled_slots=False)

    assert filled_slot_bytes(Quiet()) == 0


def _at_least(posts: Posts, keys: int) -> list[list[EntryLeaf]]:
    found = list(batches(posts, "WAS").values())  # type: ignore[arg-type]
    return found if len(found) >= keys else []


def _anchored(posts: Exercise, envelope_id: bytes) -> bool:
    with posts.terminal("DEL") as sender:
        sender.sync()
        return sender.track(envelope_id).anchored
