"""An officer at the hotline, over a line whose every frame the test may hold, change, repeat or answer with a lie."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from crypto_msg.channel import LINGER_SECONDS
from crypto_msg.directions import RENEW_SECONDS
from crypto_msg.hotline import make_ring, read_ring
from crypto_msg.hotline_wire import FrameKind
from node.wire import HotlineFrame, Present
from protos.errors import DutabartaError, Refused, Unavailable
from support.ministry import Ministry, Officers
from terminal import failpoint, roster
from terminal.callrecords import HUNG_UP, INTERRUPTED, LOST, MISSED
from terminal.dialing import RING_SECONDS
from terminal.hotline import CONFIRM_SECONDS, Hotline
from terminal.talking import Event
from terminal.terminal import Terminal

SECRET, TOP_SECRET = 4, 5


class Wire:
    """Frames between terminals; `pass_on` says what becomes of each."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waiting: dict[bytes, deque[HotlineFrame]] = defaultdict(deque)
        self.past: list[HotlineFrame] = []
        self.pass_on: Callable[[HotlineFrame], HotlineFrame | None] = lambda frame: frame

    def deliver(self, frame: HotlineFrame) -> None:
        self.waiting[frame.terminal_id].append(frame)


class Port:
    """What terminal.line.Line is to a Hotline."""

    def __init__(self, wire: Wire, terminal: Terminal) -> None:
        self._wire, self._session = wire, terminal.session

    def put(self, call_id: bytes, post: str, terminal_id: bytes, kind: int, content: bytes) -> str:
        own = self._session
        frame = HotlineFrame(call_id, own.config.post, own.terminal_id, post, terminal_id, kind, content)
        self._wire.past.append(frame)
        passed = self._wire.pass_on(frame)
        if passed is not None:
            self._wire.deliver(passed)
        return ""

    def take(self, _seconds: float) -> HotlineFrame | None:
        waiting = self._wire.waiting[self._session.terminal_id]
        return waiting.popleft() if waiting else None


class Desk:
    """An officer at his hotline, and what he has seen."""

    def __init__(self, wire: Wire, terminal: Terminal) -> None:
        self.terminal, self.wire = terminal, wire
        self.line = Hotline(terminal.session, Port(wire, terminal), lambda: wire.now)  # type: ignore[arg-type]
        self.seen: list[Event] = []

    def do(self, events: list[Event]) -> None:
        self.seen += events

    def whats(self) -> list[str]:
        return [one.what for one in self.seen]

    def heard(self) -> list[str]:
        return [one.text for one in self.seen if one.what == "line"]


def run(wire: Wire, *desks: Desk, seconds: float = 0.0) -> None:
    """Until nothing is on the line, and so long besides."""
    end = wire.now + seconds
    while True:
        for desk in desks:
            desk.do(desk.line.step(0))
        if any(wire.waiting[desk.terminal.session.terminal_id] for desk in desks):
            continue
        if wire.now >= end:
            return
        wire.now += 0.5


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def desks(ministry: Ministry, officer: Officers, wire: Wire) -> tuple[Desk, Desk]:
    """DHA and DEL, with prekeys, DEL at the hotline."""
    caller, called = officer("DHA"), officer("DEL")
    for one in (caller, called):
        one.sync()
    ministry.present["DEL"] = (Present(called.session.terminal_id, ministry.now),)
    return Desk(wire, caller), Desk(wire, called)


def connected(wire: Wire, caller: Desk, called: Desk, marking: int = SECRET) -> None:
    caller.do(caller.line.call("DEL", marking, 60.0))
    run(wire, caller, called)
    called.do(called.line.accept())
    run(wire, caller, called)
    assert caller.line.is_talking and called.line.is_talking


def test_a_whole_call_and_both_posts_anchor_one_hash(ministry: Ministry, desks: tuple[Desk, Desk], wire: Wire) -> None:
    caller, called = desks
    connected(wire, caller, called)
    caller.do(caller.line.say("প্রস্তুত?"))
    run(wire, caller, called)
    called.do(called.line.say("Ready."))
    run(wire, caller, called)
    assert (called.heard(), caller.heard()) == (["প্রস্তুত?"], ["Ready."])
    called.do(called.line.hang_up())
    run(wire, caller, called, seconds=LINGER_SECONDS + 2)
    assert caller.line.is_idle and called.line.is_idle
    ours, theirs = (desk.terminal.calls()[-1] for desk in desks)
    assert ours.item_hash == theirs.item_hash and ours.state == theirs.state == HUNG_UP
    ministry.close_slot()
    for desk in desks:
        kept = desk.terminal.call(ours.call_id)
        assert kept.anchored_at is not None and all(kept.is_confirmed(one) for one in kept.lines)
        assert [one.text for one in kept.lines] == ["প্রস্তুত?", "Ready."]


def test_a_transcript_that_was_changed_at_rest_is_not_anchored(
    ministry: Ministry, desks: tuple[Desk, Desk], wire: Wire
) -> None:
    caller, called = desks
    connected(wire, caller, called)
    caller.do(caller.line.say("as it was"))
    caller.do(caller.line.hang_up())
    run(wire, caller, called, seconds=LINGER_SECONDS + 2)
    call = caller.terminal.calls()[-1]
    ministry.close_slot()
    kept = caller.terminal.call(call.call_id)
    with caller.terminal.session.store.transaction() as transaction:
        transaction.add_line(call.call_id, replace(kept.lines[0], number=9, text="added later"))
    assert kept.anchored_at is not None and caller.terminal.call(call.call_id).anchored_at is None


def test_refusals_and_lost_ones_are_told_again(desks: tuple[Desk, Desk], wire: Wire) -> None:
    caller, called = desks
    caller.do(caller.line.call("DEL", SECRET, 60.0))
    run(wire, caller, called)
    wire.pass_on = lambda frame: None if frame.kind == FrameKind.END else frame
    called.do(called.line.refuse())
    run(wire, caller, called)
    assert "ended" not in caller.whats()
    wire.pass_on = lambda frame: frame
    run(wire, caller, called, seconds=RING_SECONDS + 1)
    assert caller.seen[-1].what == "ended" and caller.seen[-1].code == "refused"
    assert called.terminal.calls()[-1].state == MISSED and caller.line.is_idle


def test_a_ring_that_is_replayed_rings_and_is_never_heard(
    officer: Officers, desks: tuple[Desk, Desk], wire: Wire
) -> None:
    caller, called = desks
    caller.do(caller.line.call("DEL", SECRET, 5.0))
    run(wire, caller, called, seconds=7)
    assert called.seen[-1].what == "missed" and caller.seen[-1].code == "no-answer"
    ring = next(one for one in wire.past if one.kind == FrameKind.RING)
    called.seen.clear()
    wire.deliver(ring)
    run(wire, called)
    assert not called.seen, "it was seen"
    with called.terminal.session.store.transaction() as transaction:
        transaction._connection.exec_driver_sql("DELETE FROM call")
    again = Desk(wire, officer("DEL"))
    wire.deliver(ring)
    run(wire, again)
    again.do(again.line.accept())
    run(wire, again, seconds=CONFIRM_SECONDS + 1)
    assert again.whats() == ["ringing", "ended"] and again.seen[-1].code == "not-confirmed"
    with pytest.raises(Refused):
        again.line.say("is anybody there?")


def test_what_a_relay_changes_is_dropped_by_name_and_the_call_goes_on(desks: tuple[Desk, Desk], wire: Wire) -> None:
    caller, called = desks
    turn = iter(range(10_000))

    def every_third_is_changed(frame: HotlineFrame) -> HotlineFrame:
        if next(turn) % 3:
            return frame
        middle = len(frame.content) // 2
        changed = frame.content[:middle] + bytes([frame.content[middle] ^ 4]) + frame.content[middle + 1 :]
        return replace(frame, content=changed)

    wire.pass_on = every_third_is_changed
    caller.do(caller.line.call("DEL", SECRET, 60.0))
    run(wire, caller, called, seconds=12)
    called.do(called.line.accept())
    run(wire, caller, called, seconds=12)
    for number in range(6):
        caller.do(caller.line.say(f"line {number}"))
        run(wire, caller, called, seconds=1)
    run(wire, caller, called, seconds=60)
    assert called.heard() == [f"line {number}" for number in range(6)]
    assert "dropped" in called.whats()


def test_frames_from_elsewhere_change_nothing(desks: tuple[Desk, Desk], wire: Wire, officer: Officers) -> None:
    caller, called = desks
    stranger = officer("WAS")
    stranger.sync()
    connected(wire, caller, called)
    own = called.terminal.session
    before = len(called.seen)
    port = Port(wire, stranger)
    for kind in (*FrameKind, 9):
        for past in list(wire.past):
            port.put(past.call_id, "DEL", own.terminal_id, kind, past.content)
            port.put(past.call_id, "DEL", own.terminal_id, kind, b"\xff" * 40)
    run(wire, caller, called)
    assert {one.what for one in called.seen[before:]} <= {"dropped"}
    caller.do(caller.line.say("still here"))
    run(wire, caller, called)
    assert called.heard() == ["still here"]


def test_a_ring_beyond_the_clearance_or_of_another_post_never_rings(
    desks: tuple[Desk, Desk], wire: Wire, ministry: Ministry
) -> None:
    caller, called = desks
    caller.do(caller.line.call("DEL", SECRET, 60.0))
    ring = wire.past[-1]
    wire.waiting.clear()
    said, signer = read_ring(ring.content, ministry.machine.network_id), caller.terminal.session.keyring.terminal_signer
    for change in ({"post": "WAS"}, {"called_post": "WAS"}, {"bundle_hash": b"b" * 32}, {"size": said.size - 1}):
        wire.deliver(replace(ring, content=make_ring(replace(said, **change), signer)))  # type: ignore[arg-type]
    run(wire, called)
    assert called.whats() == ["dropped"] * 3 + ["ringing"], "an earlier size is no fault"


def test_only_who_is_there_and_cleared_is_called(
    desks: tuple[Desk, Desk], wire: Wire, ministry: Ministry, officer: Officers
) -> None:
    caller, called = desks
    named = ministry.present.pop("DEL")
    with pytest.raises(Unavailable) as away:
        caller.line.call("DEL", SECRET, 60.0)
    assert away.value.code == "nobody-present"
    ministry.present["DEL"] = (Present(officer("WAS").session.terminal_id, 1), Present(b"x" * 32, 1))
    with pytest.raises(Refused) as strangers:
        caller.line.call("DEL", SECRET, 60.0)
    assert strangers.value.code == "nobody-cleared"
    ministry.present["DEL"] = named
    suspended = called.terminal.session.view.judge(called.terminal.session.own)[0]
    roster.suspend(officer("DEL", "second").session, suspended)
    with pytest.raises(Refused) as refused:
        caller.line.call("DEL", SECRET, 60.0)
    assert refused.value.code == "nobody-cleared" and not wire.past


def test_who_may_talk_no_more_is_hung_up_on_at_the_renewal(
    desks: tuple[Desk, Desk], wire: Wire, officer: Officers
) -> None:
    caller, called = desks
    connected(wire, caller, called)
    caller.do(caller.line.say("before"))
    run(wire, caller, called, seconds=RENEW_SECONDS + 5)
    caller.do(caller.line.say("under new keys"))
    run(wire, caller, called)
    assert called.heard() == ["before", "under new keys"] and caller.line.is_talking
    suspended = called.terminal.session.view.judge(called.terminal.session.own)[0]
    roster.suspend(officer("DEL", "second").session, suspended)
    run(wire, caller, called, seconds=RENEW_SECONDS + 40)
    assert caller.line.is_idle
    assert "nobody-cleared" in [one.code for one in caller.seen if one.what == "dropped"]


def test_a_cut_line_says_so_and_a_lost_call_shows_what_was_not_confirmed(desks: tuple[Desk, Desk], wire: Wire) -> None:
    caller, called = desks
    connected(wire, caller, called)
    wire.pass_on = lambda _: None
    caller.do(caller.line.say("into the void"))
    run(wire, caller, called, seconds=700)
    assert caller.whats()[-2:] == ["cut", "ended"] and caller.line.is_idle
    kept = caller.terminal.call(caller.terminal.calls()[-1].call_id)
    assert kept.call.state == LOST and [kept.is_confirmed(one) for one in kept.lines] == [False]
    assert kept.call.item_hash != called.terminal.calls()[-1].item_hash


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("point", range(1, 9))
def test_killed_at_any_write_point_what_was_confirmed_is_kept_on_both_sides(
    point: int, desks: tuple[Desk, Desk], wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, called = desks
    connected(wire, caller, called)
    left = iter(range(point - 1, -1, -1))

    def reach() -> None:
        if next(left, 1) == 0:
            raise Killed

    monkeypatch.setattr("terminal.store.reach", reach)
    with pytest.raises(Killed):
        for number in range(9):
            caller.do(caller.line.say(f"line {number}"))
            run(wire, caller, called)
    monkeypatch.setattr("terminal.store.reach", failpoint.reach)
    Hotline(caller.terminal.session, Port(wire, caller.terminal))  # type: ignore[arg-type]
    kept = caller.terminal.call(caller.terminal.calls()[-1].call_id)
    assert kept.call.state == INTERRUPTED and kept.call.item_hash
    theirs = called.terminal.call(kept.call.call_id)
    confirmed = [one.text for one in kept.lines if kept.is_confirmed(one)]
    there = [one.text for one in theirs.lines]
    assert confirmed == there[: len(confirmed)]
    assert there == [one.text for one in kept.lines][: len(there)], "nothing was sent that is not kept"


def test_one_call_at_a_time(desks: tuple[Desk, Desk], wire: Wire) -> None:
    caller, called = desks
    connected(wire, caller, called)
    for act in (partial(caller.line.call, "DEL", SECRET, 5.0), partial(called.line.call, "DHA", SECRET, 5.0)):
        with pytest.raises(DutabartaError) as refused:
            act()
        assert refused.value.code == "line-busy"
