"""Who listens, and frames on their way: in memory, bounded, each from whom it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.hotline import (
    BURST_FRAMES,
    FRAMES_PER_SECOND,
    GRACE_SECONDS,
    MAX_CONTENT,
    MAX_SEATS,
    MAX_SOURCES,
    QUEUE_FRAMES,
    SEAT_FRAMES,
    Switchboard,
)
from node.wire import HotlineFrame, Present
from protos.errors import DutabartaError, Malformed, Refused, Unavailable

HERE, THERE, SOMEWHERE = b"h" * 32, b"t" * 32, b"s" * 32
OUT = HotlineFrame(b"c" * 16, "DEL", HERE, "WAS", THERE, 4, b"content")
IN = HotlineFrame(b"c" * 16, "WAS", THERE, "DEL", HERE, 4, b"content")


def board(post: str = "DEL") -> Switchboard:
    return Switchboard(post, "DHA")


def code_of(act: object) -> str:
    with pytest.raises(DutabartaError) as refused:
        act()  # type: ignore[operator]
    return refused.value.code


def test_a_frame_goes_to_the_terminal_that_listens_in_order() -> None:
    one = board()
    ticket = one.sit(HERE, 1000, 0.0)
    frames = [replace(IN, content=bytes([number])) for number in range(1, 6)]
    for frame in frames:
        one.passed(frame, "WAS", 0.0)
    assert [one.take(HERE, ticket) for _ in range(6)] == [*frames, None]
    assert code_of(lambda: one.passed(replace(IN, terminal_id=SOMEWHERE), "WAS", 0.0)) == "not-at-hotline"


def test_presence_ends_a_while_after_the_stream_and_the_newest_stream_counts() -> None:
    one = board()
    first = one.sit(HERE, 1000, 0.0)
    second = one.sit(HERE, 1010, 1.0)
    one.passed(IN, "WAS", 1.0)
    assert one.take(HERE, first) is None and not one.holds(HERE, first)
    one.leave(HERE, first, 2.0)
    assert one.present(100.0) == (Present(HERE, 1000),), "the older stream's end says nothing"
    one.leave(HERE, second, 100.0)
    assert one.present(100.0 + GRACE_SECONDS - 0.1) and not one.present(100.0 + GRACE_SECONDS)
    assert code_of(lambda: one.passed(IN, "WAS", 200.0)) == "not-at-hotline"


def test_frames_of_a_short_break_wait_for_the_next_stream() -> None:
    one = board()
    one.leave(HERE, one.sit(HERE, 1000, 0.0), 1.0)
    one.passed(IN, "WAS", 2.0)
    assert one.take(HERE, one.sit(HERE, 1003, 3.0)) == IN


@pytest.mark.parametrize(
    "change", [{"origin": "LON"}, {"origin_terminal_id": SOMEWHERE}, {"origin": "DHA"}, {"origin": ""}]
)
def test_a_terminal_speaks_for_itself_only(change: dict[str, object]) -> None:
    assert code_of(lambda: board().put(replace(OUT, **change), HERE, 0.0)) == "not-yours"  # type: ignore[arg-type]


def test_only_headquarters_relays_and_only_what_its_sender_may_bring() -> None:
    through = replace(IN, destination="LON")
    assert code_of(lambda: board().passed(through, "WAS", 0.0)) == "no-relay"
    assert code_of(lambda: board().passed(IN, "LON", 0.0)) == "not-yours"
    assert code_of(lambda: board("DHA").passed(through, "LON", 0.0)) == "not-yours"
    assert code_of(lambda: board().passed(replace(IN, origin="DEL"), "DHA", 0.0)) == "not-yours", "one's own comes back"
    relay = board("DHA")
    relay.passed(through, "WAS", 0.0)
    assert relay.next_for("LON") == through and relay.next_for("LON") is None
    one = board()
    one.sit(HERE, 1, 0.0)
    one.passed(IN, "DHA", 0.0)


def test_a_source_has_its_share_and_gets_it_again() -> None:
    one = board()
    for _ in range(int(BURST_FRAMES)):
        one.put(OUT, HERE, 0.0)
        one.next_for("WAS")
    assert code_of(lambda: one.put(OUT, HERE, 0.0)) == "hotline-busy"
    one.put(replace(OUT, origin_terminal_id=SOMEWHERE), SOMEWHERE, 0.0)
    one.put(OUT, HERE, 1.5 / FRAMES_PER_SECOND)


def test_what_waits_is_bounded() -> None:
    one = board()
    with pytest.raises(Unavailable) as full:
        for number in range(QUEUE_FRAMES + 1):
            source = number.to_bytes(32)
            one.put(replace(OUT, origin_terminal_id=source), source, 0.0)
    assert full.value.code == "hotline-busy"
    one.sit(HERE, 1, 0.0)
    with pytest.raises(Unavailable):
        for number in range(SEAT_FRAMES + 1):
            one.passed(replace(IN, origin=f"P{number:02}"), "DHA", 0.0)
    with pytest.raises(Unavailable) as seats:
        for number in range(MAX_SEATS):
            one.sit(number.to_bytes(32), 1, 0.0)
    assert seats.value.code == "hotline-full" and len(one.present(0.0)) == MAX_SEATS


def test_sources_are_forgotten_the_oldest_first() -> None:
    one = board()
    for number in range(MAX_SOURCES + 100):
        source = number.to_bytes(32)
        one.put(replace(OUT, origin_terminal_id=source, destination=f"Q{number}"), source, 0.0)
    assert len(one._buckets) == MAX_SOURCES


@given(
    st.builds(
        HotlineFrame,
        call_id=st.binary(max_size=20),
        origin=st.sampled_from(["DEL", "WAS", ""]),
        origin_terminal_id=st.sampled_from([HERE, THERE, b"", b"x" * 33]),
        destination=st.sampled_from(["DEL", "WAS", "DHA", ""]),
        terminal_id=st.sampled_from([HERE, THERE, b""]),
        kind=st.integers(0, 2**32 - 1),
        content=st.binary(max_size=20),
    )
)
def test_no_frame_raises_anything_but_a_named_error(frame: HotlineFrame) -> None:
    one = board()
    one.sit(HERE, 1, 0.0)
    for act in (lambda: one.put(frame, HERE, 0.0), lambda: one.passed(frame, "WAS", 0.0)):
        try:
            act()
        except (Malformed, Refused, Unavailable) as problem:
            assert problem.code in {"bad-frame", "not-yours", "no-relay", "not-at-hotline", "hotline-busy"}


def test_a_frame_has_a_size() -> None:
    assert code_of(lambda: board().put(replace(OUT, content=bytes(MAX_CONTENT + 1)), HERE, 0.0)) == "bad-frame"
    board().put(replace(OUT, content=bytes(MAX_CONTENT)), HERE, 0.0)
