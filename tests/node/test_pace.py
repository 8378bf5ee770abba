"""Windows by what a link has proved, and the budget of a post."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.pace import FLASH, NARROW, PART_BYTES, PROVING_PAIRS, Budget, Flown, Pace, Room

WIDE, WIDEST = 16, 128


def frame(sent_at: float, *, taken: int = PART_BYTES, ahead: int = PART_BYTES) -> Flown:
    return Flown(0, taken, ahead, sent_at)


@pytest.mark.parametrize("kbit", [0, 64, 1000, 100_000])
def test_a_link_begins_narrow_whatever_line_this_post_has(kbit: int) -> None:
    """The far end may have a thin one."""
    assert Pace(WIDE, WIDEST, kbit).frames == NARROW


def test_a_link_stated_thin_stays_narrow_whatever_it_answers() -> None:
    pace = Pace(WIDE, WIDEST, 64)
    for _ in range(100):
        pace.answered(frame(0.0), 0.0)
    assert pace.frames == NARROW


def test_one_answer_sooner_than_a_thin_line_can_carry_it_widens() -> None:
    pace = Pace(WIDE, WIDEST)
    pace.answered(frame(0.0, ahead=2 * PART_BYTES), 0.132)
    assert pace.frames == NARROW, "16 KiB in 132 ms may be a line of 0.99 Mbit/s"
    pace.answered(frame(1.0, ahead=2 * PART_BYTES), 1.131)
    assert pace.frames == WIDE
    pace.answered(frame(2.0), 2.25)
    assert pace.frames == WIDE + 1


def test_small_frames_soon_answered_prove_nothing() -> None:
    """A receipt of 300 bytes takes 38 ms on 64 kbit/s."""
    pace = Pace(WIDE, WIDEST)
    for number in range(1000):
        pace.answered(frame(float(number), taken=1024, ahead=1024), number + 0.038)
    assert pace.frames == NARROW


def test_a_quick_line_to_the_other_end_of_the_world_is_known_by_its_pairs() -> None:
    pace, now = Pace(WIDE, WIDEST), 0.0
    for number in range(PROVING_PAIRS):
        assert pace.frames == NARROW, number
        pace.answered(frame(now), now + 1.2)
        pace.answered(frame(now, ahead=2 * PART_BYTES), now + 1.21)
        now += 1.21
    assert pace.frames == WIDE


@given(st.floats(0.0, 2.0), st.floats(8.0, 990.0), st.integers(1, 200))
def test_a_thin_line_without_loss_is_never_taken_for_a_quick_one(delay: float, kbit: float, count: int) -> None:
    """Frames one behind the other on the line, two under way."""
    pace, line_free, answered = Pace(WIDE, WIDEST), 0.0, [0.0, 0.0]
    for _ in range(count):
        sent = answered[-2]
        ahead = PART_BYTES * (2 if line_free > sent else 1)
        line_free = max(line_free, sent) + PART_BYTES * 8 / (kbit * 1000)
        answered.append(line_free + delay)
        pace.answered(frame(sent, ahead=ahead), answered[-1])
    assert pace.frames == NARROW


def test_late_answers_halve_the_window_and_a_link_must_prove_itself_again() -> None:
    pace = Pace(WIDE, WIDEST)
    pace.answered(frame(0.0), 0.0)
    for expected in (8, 4, 2, 2):
        pace.answered(frame(0.0), 2.0)
        assert pace.frames == expected
    pace.answered(frame(3.0), 3.2)
    assert pace.frames == NARROW


# --- room ------------------------------------------------------------------------------------------------------


def test_a_frame_is_kept_for_the_first_flash() -> None:
    room = Room(Pace(WIDE, WIDEST, 64))
    flown = [room.put(0, PART_BYTES, 1, 0.0) for _ in range(NARROW)]
    assert not room.has(1, FLASH - 1) and room.has(PART_BYTES, FLASH)
    flash = room.put(0, PART_BYTES, FLASH, 0.0)
    assert flash.ahead == 3 * PART_BYTES and not room.has(1, FLASH)
    room.free(flash, FLASH)
    room.free(flown[0], 1)
    assert (room.flying, room.urgent) == (PART_BYTES, 0) and room.has(PART_BYTES, 1)


def test_what_is_larger_than_the_window_goes_on_an_empty_link_only() -> None:
    room = Room(Pace(WIDE, WIDEST, 64))
    assert room.has(2 * 1024 * 1024, 1)
    room.put(0, 1024, 1, 0.0)
    assert not room.has(2 * 1024 * 1024, 1)


# --- the budget ------------------------------------------------------------------------------------------------

DEMANDS = st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(1, PART_BYTES), st.integers(1, FLASH)), max_size=200)


@given(st.integers(1, 2000), DEMANDS)
def test_the_budget_holds_over_every_stretch_of_time(kbit: int, demands: list[tuple[float, int, int]]) -> None:
    budget, now, paid = Budget(kbit), 0.0, [(0.0, 0)]
    for pause, size, precedence in demands:
        now += pause
        if budget.take(size, precedence, now):
            paid.append((now, size))
    for first in range(len(paid)):
        spent = sum(size for _, size in paid[first:])
        assert spent <= 2 * budget.most + (now - paid[first][0]) * kbit * 125 + 1


@given(st.integers(8, 2000))
def test_the_budget_is_used_to_the_full_by_who_asks_twice_a_second(kbit: int) -> None:
    budget, spent = Budget(kbit), 0
    for tick in range(240):
        while budget.take(1024, 1, tick / 2):
            spent += 1024
    assert spent >= 119 * kbit * 125


def test_a_flash_overdraws_and_the_others_pay_it_back() -> None:
    budget = Budget(64)
    while budget.take(PART_BYTES, 3, 0.0):
        pass
    assert budget.take(PART_BYTES, FLASH, 0.0) and budget.take(PART_BYTES, FLASH, 0.0)
    assert not budget.take(PART_BYTES, FLASH, 0.0)
    assert not budget.take(1024, 3, 2.1) and budget.take(1024, 3, 2.2)


def test_a_frame_larger_than_the_bucket_waits_until_it_is_full() -> None:
    budget = Budget(64)
    assert budget.take(100_000, 1, 0.0) and not budget.take(100_000, 1, 12.4) and budget.take(100_000, 1, 12.6)


def test_a_clock_that_steps_back_gives_nothing() -> None:
    budget = Budget(64)
    while budget.take(PART_BYTES, 3, 100.0):
        pass
    assert not budget.take(PART_BYTES, 3, 0.0) and not budget.take(PART_BYTES, 3, 100.0)
