"""Nodes killed with SIGKILL at their write points, while they receive, send and order, and brought back at once.

A point is a write statement, or the moment before or after a commit, counted from the node's start. With three missions
dying side by side every fourth point is tried, and every sixteenth of headquarters; with the deep profile every one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from protos.errors import Unavailable
from support.processes import SIGKILLED, Exercise, dutabarta, exercise
from terminal.records import CableRecord

pytestmark = pytest.mark.xdist_group("e2e-killed-nodes")
HQ, MISSIONS = "DHA", ("DEL", "WAS", "LON")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
STRIDE = 1 if DEEP else 4
HQ_STRIDE = 1 if DEEP else 16
MOST_POINTS = 1_000


class Mortal:
    """Posts whose nodes die at chosen points; `sent` are the cables of the whole test, by originating post."""

    def __init__(self, posts: Exercise) -> None:
        self.posts = posts
        self.sent: dict[str, list[CableRecord]] = {code: [] for code in posts.codes}

    def round(self, points: Mapping[str, int], to_send: Mapping[str, tuple[str, ...]]) -> int:
        """Restart nodes so that they die at their points, send a cable each, revive the dead until all is settled.

        `to_send`: addressees by originating post. Returns how many nodes died.
        """
        for code, point in points.items():
            self.posts.kill(code)
            self.posts.start(code, fail_at=point)
        waiting = dict(to_send)
        died: set[str] = set()
        to_hand_in: set[str] = set()

        def meanwhile() -> None:
            for code in [code for code, node in self.posts.nodes.items() if node.poll() is not None]:
                assert code in points and self.posts.nodes[code].returncode == SIGKILLED
                died.add(code)
                self.posts.start(code)
            to_hand_in.update(code for code in list(waiting) if self._has_sent(code, waiting))
            to_hand_in.difference_update([code for code in to_hand_in if self._has_handed_in(code)])

        self.posts.settle(meanwhile, until=lambda: not waiting and not to_hand_in)
        return len(died)

    def _has_sent(self, code: str, waiting: dict[str, tuple[str, ...]]) -> bool:
        try:
            self.sent[code].append(self.posts.queue(code, *waiting[code]))
        except Unavailable:
            return False
        del waiting[code]
        return True

    def _has_handed_in(self, code: str) -> bool:
        """What the node did not take when it died goes again, as it was sealed."""
        try:
            self.posts.sync(code)
        except Unavailable:
            return False
        return True

    def all_is_well(self, folder: Path) -> None:
        """Every cable sealed, delivered and anchored once; no serial twice; one log, wholly valid; no alarm."""
        for code in self.posts.codes:
            self.posts.kill(code)
        self.posts.start()
        self.posts.wait_ready()
        self.posts.settle(lambda: [self.posts.sync(code) for code in self.posts.codes])
        for code in self.posts.codes:
            self._check_terminal(code)
            assert self.posts.status(code).alarms == ()
            assert self.posts.count(code, "evidence") == 0
        exports = [folder / f"{code}.log" for code in self.posts.codes]
        for code, out in zip(self.posts.codes, exports, strict=True):
            self.posts.must("ledger", "export", "--home", self.posts.home(code), "--out", out)
        replayed = [dutabarta("audit", "replay", out, "--json") for out in (exports[0], exports[-1])]
        assert [one.code for one in replayed] == [0, 0]
        assert replayed[0].data["root"] == replayed[1].data["root"] == self.posts.status(HQ).root.hex()

    def _check_terminal(self, code: str) -> None:
        with self.posts.terminal(code) as terminal:
            out = [one.envelope_id for one in terminal.cables("out")]
            assert out == [one.envelope_id for one in self.sent[code]]
            received = Counter(one.envelope_id for one in terminal.cables("in"))
            assert received == Counter(self._addressed_to(code))
            assert all(terminal.track(one).anchored for one in out)
            assert terminal.alarms() == []
        serials = [serial for (serial,) in self.posts.rows(code, "SELECT serial FROM serials ORDER BY serial")]
        assert serials == list(range(1, len(serials) + 1)) and len(serials) >= len(out)
        proofs = self.posts.rows(code, "SELECT count(*) FROM proofs WHERE kind = 'cable' GROUP BY envelope_id")
        assert set(proofs) <= {(1,)}

    def _addressed_to(self, code: str) -> list[bytes]:
        every = [one for cables in self.sent.values() for one in cables]
        return [one.envelope_id for one in every if code in one.posts and one.post != code]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Mortal]:
    with exercise(tmp_path / "mortal", HQ, *MISSIONS) as posts:
        for code in posts.codes:
            posts.sync(code)
        posts.settle()
        yield Mortal(posts)


def test_missions_killed_while_they_send_and_receive(mortal: Mortal, tmp_path: Path) -> None:
    ring = dict(zip(MISSIONS, ((code,) for code in (*MISSIONS[1:], MISSIONS[0])), strict=True))
    died = 0
    for first in range(1, MOST_POINTS, len(MISSIONS) * STRIDE):
        points = {code: first + number * STRIDE for number, code in enumerate(MISSIONS)}
        dead = mortal.round(points, ring)
        died += dead
        if not dead:
            break
    assert died >= 12, "a cable sent and one received are over 48 write points"
    mortal.all_is_well(tmp_path)


def test_headquarters_killed_while_it_sends_and_orders_the_ledger(mortal: Mortal, tmp_path: Path) -> None:
    died = 0
    for point in range(1, MOST_POINTS, HQ_STRIDE):
        dead = mortal.round({HQ: point}, {HQ: MISSIONS})
        died += dead
        if not dead:
            break
    assert died >= 5, "a cable sent to three posts and anchored is over 80 write points"
    mortal.all_is_well(tmp_path)
